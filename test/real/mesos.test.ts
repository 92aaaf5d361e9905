// Our scheduler and executor connections on a real Mesos.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Offer } from "../../src/mesos/offer.ts";
import {
  createVolume,
  destroyVolumes,
  launch,
  type Operation,
  reserve,
  unreserve,
} from "../../src/mesos/operations.ts";
import { isReserved, type Resource, take, withoutVolume } from "../../src/mesos/resources.ts";
import {
  EXECUTOR,
  type Framework,
  NEVER_SECONDS,
  NODE,
  SOON_SECONDS,
  startFramework,
  testExecutor,
  testTask,
} from "./mesos/framework.ts";
import { type Mesos, startMesos } from "./mesos/mesos.ts";

const OWNER = { "test/owner": "mesos.test" };

let mesos: Mesos;
let directory: string;
let bundle: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mesos-test-"));
  await Bun.build({
    entrypoints: [new URL("./mesos/executor.ts", import.meta.url).pathname],
    target: "bun",
    outdir: directory,
  });
  bundle = join(directory, "executor.js");
  mesos = await startMesos({ agents: 3 });
}, 120_000);

afterAll(async () => {
  await mesos.stop();
  await rm(directory, { recursive: true });
}, 30_000);

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("Nothing was found");
  return value;
}

/** RESERVE + CREATE + LAUNCH of one small node, as one list of operations. */
function node(framework: Framework, offer: Offer, role: string): readonly Operation[] {
  const cut = found(take(offer.resources, "unreserved", NODE));
  const reservation = reserve(cut.taken, { role, labels: { ...OWNER, node: "node-1" } });
  const disk = found(reservation.resources.find(({ name }) => name === "disk"));
  const created = createVolume(disk, { id: "volume-1", containerPath: "data" });
  const others = reservation.resources.filter((resource) => resource !== disk);
  const split = found(take(others, OWNER, EXECUTOR));
  const executor = testExecutor(framework, bundle, split.taken);
  return [
    reservation.operation,
    created.operation,
    launch([testTask(offer, "task-1", executor, [...split.rest, created.volume])]),
  ];
}

/** Acknowledges the task's next update with this state. */
async function acknowledge(framework: Framework, state: string): Promise<void> {
  const { status } = await framework.next(
    "status",
    (event) => event.status.state === state && event.status.uuid !== undefined,
  );
  const { taskId, agentId = "", uuid = new Uint8Array() } = status;
  framework.send({ type: "acknowledge", agentId, taskId, uuid });
}

/** What the executor says about itself. */
async function interview(framework: Framework, agentId: string): Promise<{ pid: number; env: Record<string, string> }> {
  framework.send({ type: "message", agentId, executorId: "executor-1", data: Buffer.from("who are you?") });
  const { data } = await framework.next("message");
  return JSON.parse(Buffer.from(data).toString()) as { pid: number; env: Record<string, string> };
}

function mine(offer: Offer): readonly Resource[] {
  return offer.resources.filter((resource) => isReserved(resource, OWNER));
}

/** All of the node is offered again: nothing of it is in use. */
const wholeNode = (offer: Offer): boolean =>
  mine(offer).some(({ volume }) => volume !== undefined) &&
  mine(offer).some(({ name, scalar }) => name === "cpus" && scalar === NODE.cpus);

const byName = (resources: readonly Resource[]): readonly Resource[] =>
  resources.toSorted((a, b) => a.name.localeCompare(b.name));

describe("a framework", () => {
  test("is offered what three agents have", async () => {
    await using framework = startFramework(mesos.url, { role: "offers" });
    expect(await framework.next("subscribed")).toEqual({
      type: "subscribed",
      frameworkId: expect.stringMatching(/-\d{4}$/),
      heartbeatMs: 15_000,
      masterVersion: "1.11.0",
      masterId: expect.any(String),
    });
    const offers: Offer[] = [];
    while (offers.length < 3) offers.push(...(await framework.next("offers")).offers);
    const agents = await mesos.agents();
    expect(
      offers
        .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
        .map((offer) => ({ ...offer, resources: byName(offer.resources) })),
    ).toEqual(
      agents.map((agent, i) => ({
        id: expect.any(String),
        agentId: agent.id,
        hostname: `127.0.0.${i + 1}`,
        address: { ip: "127.0.0.1", port: mesos.port },
        attributes: { rack: `rack-${i + 1}`, zone: `zone-${i + 1}` },
        resources: [
          { name: "cpus", scalar: 2, reservations: [], allocatedTo: "offers" },
          { name: "disk", scalar: 8192, reservations: [], allocatedTo: "offers" },
          { name: "mem", scalar: 4096, reservations: [], allocatedTo: "offers" },
          {
            name: "ports",
            ranges: [range(agent.unreserved_resources["ports"])],
            reservations: [],
            allocatedTo: "offers",
          },
        ],
      })),
    );
    expect(framework.state()).toEqual({ type: "subscribed", master: `${mesos.url}/master` });
    framework.send({ type: "teardown" });
  });

  test("reserves, makes a volume and launches in one ACCEPT, and gives all of it back", async () => {
    await using framework = startFramework(mesos.url, { role: "whole" });
    const offer = await framework.offer();
    framework.send({
      type: "accept",
      offerIds: [offer.id],
      operations: node(framework, offer, "whole"),
      refuseSeconds: SOON_SECONDS,
    });
    const running = await framework.next("status");
    expect(running.status).toEqual({
      taskId: "task-1",
      state: "TASK_RUNNING",
      source: "EXECUTOR",
      message: "hello",
      agentId: offer.agentId,
      executorId: "executor-1",
      timestampMs: expect.any(Number),
      uuid: expect.any(Uint8Array),
      labels: { from: "executor" },
    });
    framework.send({ type: "acknowledge", agentId: offer.agentId, taskId: "task-1", uuid: found(running.status.uuid) });

    const { env } = await interview(framework, offer.agentId);
    expect(env).toMatchObject({
      FLAVOUR: "plain",
      MESOS_CHECKPOINT: "1",
      MESOS_EXECUTOR_ID: "executor-1",
      MESOS_FRAMEWORK_ID: framework.id(),
    });
    expect(Object.keys(env).filter((name) => /^LD_|^LOCAL_/.test(name))).toEqual([]);

    framework.send({ type: "kill", taskId: "task-1", agentId: offer.agentId, graceMs: 1_500 });
    const killed = await framework.next("status");
    expect(killed.status).toMatchObject({ state: "TASK_KILLED", message: "after 1500 ms" });
    framework.send({ type: "acknowledge", agentId: offer.agentId, taskId: "task-1", uuid: found(killed.status.uuid) });
    framework.send({ type: "shutdown", agentId: offer.agentId, executorId: "executor-1" });
    expect(await framework.next("failure")).toEqual({
      type: "failure",
      agentId: offer.agentId,
      executorId: "executor-1",
      status: 0,
    });

    const back = await framework.offer(wholeNode);
    const volumes = mine(back).filter(({ volume }) => volume !== undefined);
    const operations = [
      destroyVolumes(volumes, OWNER, "destroy-1"),
      unreserve(mine(back).map(withoutVolume), OWNER, "unreserve-1"),
    ];
    framework.send({ type: "accept", offerIds: [back.id], operations, refuseSeconds: SOON_SECONDS });
    for (const operationId of ["destroy-1", "unreserve-1"]) {
      const { status } = await framework.next("operation");
      expect(status).toEqual({
        operationId,
        state: "OPERATION_FINISHED",
        agentId: offer.agentId,
        uuid: expect.any(Uint8Array),
      });
      framework.send({ type: "acknowledgeOperation", operationId, agentId: offer.agentId, uuid: found(status.uuid) });
    }
    const after = await framework.offer(({ agentId }) => agentId === offer.agentId);
    expect(byName(after.resources)).toEqual(byName(offer.resources));
    framework.send({ type: "teardown" });
  }, 60_000);

  test("hears of an operation that cannot be done, if the operation has an id", async () => {
    await using framework = startFramework(mesos.url, { role: "wrong" });
    const offer = await framework.offer();
    const reservation = { type: "DYNAMIC" as const, role: "wrong", labels: OWNER };
    const strange: Resource = { name: "cpus", scalar: 1, reservations: [reservation], allocatedTo: "wrong" };
    const operations = [unreserve([strange], OWNER), unreserve([strange], OWNER, "unreserve-1")];
    framework.send({ type: "accept", offerIds: [offer.id], operations, refuseSeconds: SOON_SECONDS });
    const { status } = await framework.next("operation");
    expect(status).toEqual({
      operationId: "unreserve-1",
      state: "OPERATION_ERROR",
      message: expect.stringContaining("does not contain cpus"),
    });
    framework.send({ type: "teardown" });
  });

  test("hears of a call that Mesos does not take", async () => {
    await using framework = startFramework(mesos.url, { role: "refused" });
    const early = { type: "suppress" } as const;
    framework.send(early);
    expect(await framework.next("callFailed")).toEqual({
      type: "callFailed",
      call: early,
      message: "there is no subscription",
    });
    const { agentId } = await framework.offer();
    const call = { type: "acknowledge", agentId, taskId: "task-1", uuid: Buffer.from("no uuid") } as const;
    framework.send(call);
    expect(await framework.next("callFailed")).toEqual({
      type: "callFailed",
      call,
      status: 400,
      message: expect.stringContaining("UUID"),
    });
    framework.send({ type: "teardown" });
  });

  test("gives way to another scheduler with its id, and does not fight for it", async () => {
    await using first = startFramework(mesos.url, { role: "twins" });
    await first.next("subscribed");
    await using second = startFramework(mesos.url, { role: "twins", id: first.id() });
    expect(await first.next("error")).toEqual({ type: "error", message: "Framework failed over" });
    expect((await first.ended)?.message).toBe(
      `Cannot stay subscribed: master "${mesos.url}/master" says "Framework failed over"`,
    );
    expect(await second.next("subscribed")).toMatchObject({ frameworkId: first.id() });
    second.send({ type: "teardown" });
  });

  test("keeps its task when Mesos is killed and starts again", async () => {
    await using framework = startFramework(`${mesos.url}/master`, { role: "survivor" });
    const offer = await framework.offer();
    framework.send({
      type: "accept",
      offerIds: [offer.id],
      operations: node(framework, offer, "survivor"),
      refuseSeconds: NEVER_SECONDS,
    });
    await acknowledge(framework, "TASK_RUNNING");
    const before = await interview(framework, offer.agentId);
    const id = framework.id();

    await mesos.kill();
    await framework.next("disconnected");
    await mesos.restart();
    await framework.next("subscribed", ({ frameworkId }) => frameworkId === id);
    framework.send({ type: "reconcile", tasks: [{ taskId: "task-1", agentId: offer.agentId }] });
    const { status } = await framework.next("status", (event) => event.status.reason === "RECONCILIATION");
    expect(status).toMatchObject({ taskId: "task-1", state: "TASK_RUNNING", source: "MASTER", agentId: offer.agentId });
    expect(await interview(framework, offer.agentId)).toEqual(before);
    framework.send({ type: "teardown" });
    await framework.next("disconnected");
  }, 60_000);
});

test("An executor whose agent does not come back within the recovery time-out ends by itself", async () => {
  await using lost = await startMesos({ agents: 1, env: { MESOS_RECOVERY_TIMEOUT: "2secs" } });
  await using framework = startFramework(lost.url, { role: "lost" });
  const offer = await framework.offer();
  const operations = node(framework, offer, "lost");
  framework.send({ type: "accept", offerIds: [offer.id], operations, refuseSeconds: NEVER_SECONDS });
  await acknowledge(framework, "TASK_RUNNING");
  const { pid } = await interview(framework, offer.agentId);
  await lost.kill();
  expect(await lost.processes()).toContain(pid);
  while ((await lost.processes()).has(pid)) await Bun.sleep(100);
}, 60_000);

/** A range as the master shows it, "[31000-31329]". */
function range(text: unknown): { readonly begin: number; readonly end: number } {
  const [begin, end] = String(text).replaceAll(/[[\]]/g, "").split("-").map(Number);
  return { begin: found(begin), end: found(end) };
}
