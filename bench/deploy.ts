// Figure `deploy`: from `cluster create` to the last executor process started, against a bare loop that makes the same calls
// on the same Mesos without state or checks. Both launch the smallest executor, so that the database's own start, the same for
// both, does not hide the difference.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Accepted, PlanView } from "../src/databases/api.ts";
import { connectScheduler, type ConnectionEvent } from "../src/mesos/io/scheduler-connection.ts";
import { parseMasters } from "../src/mesos/leader.ts";
import type { Offer } from "../src/mesos/offer.ts";
import { createVolume, launch, reserve } from "../src/mesos/operations.ts";
import { free, take } from "../src/mesos/resources.ts";
import type { FrameworkInfo } from "../src/mesos/scheduler-api.ts";
import { createLog } from "../src/std/io/log.ts";
import { startMesos, type Mesos } from "../test/real/mesos/mesos.ts";
import { startScheduler, until, type Scheduler } from "../test/real/ringmaster.ts";
import { against, median, type Figure } from "./figure.ts";

const ROUNDS = 9;
const NODES = 3;
const AMOUNTS = { cpus: 0.7, memMb: 928, diskMb: 1024, ports: [], morePorts: 5 };
const ROUND_DEADLINE_MS = 60_000;

/** Median seconds of both, measured in turns. */
export async function measureDeploy(): Promise<readonly Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-bench-"));
  try {
    await using mesos = await startMesos({ agents: NODES });
    const starts = join(directory, "starts");
    const artifact = join(directory, "ringmaster");
    const executor = resolve(import.meta.dir, "../test/real/mesos/executor.ts");
    await Bun.write(artifact, `#!/bin/sh\ndate +%s%N >> ${starts}\nexec ${process.execPath} ${executor}\n`);
    const empty = join(directory, "package.txt");
    await Bun.write(empty, "nothing");
    await using scheduler = await startScheduler({
      mesos: mesos.url,
      directory,
      flags: ["--artifact-uri", `file://${artifact}`],
    });
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await deployOurs(scheduler, empty, starts, round));
      bare.push(await deployBare(mesos, artifact, starts));
      console.error(
        `bench: deploy ${round + 1}/${ROUNDS}: ${ours.at(-1)?.toFixed(3)} s, bare loop ${bare.at(-1)?.toFixed(3)} s`,
      );
    }
    return [against("deploy", median(ours), median(bare), "s", "<= 1.15")];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Seconds from `beganMs` to the start of the last executor. */
async function lastStart(starts: string, beganMs: number): Promise<number> {
  const times = await until(`${NODES} executors have started`, ROUND_DEADLINE_MS, async () => {
    const lines = (
      await Bun.file(starts)
        .text()
        .catch(() => "")
    )
      .trim()
      .split("\n");
    return lines.length >= NODES ? lines.map((line) => Number(line) / 1e6) : undefined;
  });
  await rm(starts);
  return (Math.max(...times) - beganMs) / 1000;
}

async function deployOurs(scheduler: Scheduler, empty: string, starts: string, round: number): Promise<number> {
  const name = `demo-${round}`;
  const body = {
    name,
    database: "cassandra",
    version: "5.0.4",
    package: `file://${empty}`,
    nodes: NODES,
    resources: { cpus: 0.5, memMb: 768, diskMb: 1024 },
    constraints: "hostname:UNIQUE",
  };
  const beganMs = Date.now();
  const response = await fetch(`${scheduler.url()}/api/v1/clusters`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`Cannot create cluster "${name}": ${await response.text()}`);
  const seconds = await lastStart(starts, beganMs);
  const { plan } = await scheduler.json<Accepted>("cluster", "destroy", name, "--yes");
  await until(
    "the cluster is gone",
    ROUND_DEADLINE_MS,
    async () => (await scheduler.json<PlanView>("plan", "show", plan)).status === "done",
  );
  return seconds;
}

/** The same calls by a framework that remembers nothing and checks nothing; torn down at the end. */
async function deployBare(mesos: Mesos, artifact: string, starts: string): Promise<number> {
  const role = "bare";
  const framework: FrameworkInfo = {
    name: "bare",
    user: "root",
    roles: [role],
    failoverTimeoutMs: 0,
    capabilities: ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "REGION_AWARE"],
  };
  const used = new Set<string>();
  let frameworkId = "";
  let wanted = false;
  const subscribed = Promise.withResolvers<void>();
  const connection = connectScheduler({
    masters: parseMasters(mesos.url),
    framework: () => framework,
    log: createLog("bench", "error", false),
    // eslint-disable-next-line typescript/require-await -- the connection wants a promise
    onEvent: async (event: ConnectionEvent) => {
      if (event.type === "subscribed") {
        frameworkId = event.frameworkId;
        connection.send({ type: "suppress" });
        subscribed.resolve();
      } else if (event.type === "offers") {
        const offer = wanted ? event.offers.find(({ agentId }) => !used.has(agentId)) : undefined;
        if (offer !== undefined) {
          used.add(offer.agentId);
          wanted = false;
          accept(offer);
          connection.send({ type: "suppress" });
        }
        const rest = event.offers.filter((other) => other !== offer).map(({ id }) => id);
        if (rest.length > 0) connection.send({ type: "decline", offerIds: rest, refuseSeconds: 3600 });
      } else if (event.type === "status") {
        const { agentId = "", taskId, uuid, state } = event.status;
        if (uuid !== undefined) connection.send({ type: "acknowledge", agentId, taskId, uuid });
        if (state !== "TASK_RUNNING" || used.size >= NODES) return;
        wanted = true;
        connection.send({ type: "revive" });
      }
    },
  });
  function accept(offer: Offer): void {
    const executorId = `bare-${used.size}`;
    const cut = take(offer.resources, "unreserved", AMOUNTS);
    if (cut === undefined) throw new Error("Cannot launch: the offer is too small");
    const held = reserve(cut.taken, { role, labels: { bare: executorId } });
    const disk = held.resources.find(({ name }) => name === "disk");
    if (disk === undefined) throw new Error("Cannot launch: the offer has no disk");
    const made = createVolume(disk, { id: executorId, containerPath: "data" });
    const after = held.resources.map((resource) => (resource === disk ? made.volume : resource));
    const forTask = take(after, { bare: executorId }, { cpus: 0.5, memMb: 768, diskMb: 0, ports: [] });
    if (forTask === undefined) throw new Error("Cannot launch: the reservation is too small");
    const { ports } = free(forTask.rest, { bare: executorId });
    const forExecutor = take(
      forTask.rest,
      { bare: executorId },
      {
        cpus: 0.1,
        memMb: 128,
        diskMb: 0,
        ports: ports.flatMap(({ begin, end }) => Array.from({ length: end - begin + 1 }, (_, i) => begin + i)),
      },
    );
    const task = launch([
      {
        name: executorId,
        taskId: `${executorId}.server`,
        agentId: offer.agentId,
        resources: forTask.taken,
        executor: {
          executorId,
          frameworkId,
          name: executorId,
          source: "bare",
          resources: [...(forExecutor?.taken ?? []), made.volume],
          command: {
            uris: [
              { value: `file://${artifact}`, executable: true, extract: false, cache: true, outputFile: "ringmaster" },
            ],
            environment: {},
            value: "exec ./ringmaster executor",
          },
          labels: {},
          shutdownGraceMs: 1000,
        },
        data: new Uint8Array(),
        labels: {},
        killGraceMs: 1000,
      },
    ]);
    connection.send({
      type: "accept",
      offerIds: [offer.id],
      operations: [held.operation, made.operation, task],
      refuseSeconds: 1,
    });
  }
  await subscribed.promise;
  const beganMs = Date.now();
  wanted = true;
  connection.send({ type: "revive" });
  const seconds = await lastStart(starts, beganMs);
  await endBare(mesos, connection, role);
  return seconds;
}

/** Tears the framework down and gives its reservations back by the operator API, so that the next round finds the agents as they were. */
async function endBare(mesos: Mesos, connection: ReturnType<typeof connectScheduler>, role: string): Promise<void> {
  connection.send({ type: "teardown" });
  await connection.close();
  await until("the bare loop's reservations are gone", ROUND_DEADLINE_MS, async () => {
    const agents = await mesos.agents();
    const reserved = agents.filter((agent) => role in agent.reserved_resources);
    for (const agent of reserved) await release(mesos, agent.id, role);
    return reserved.length === 0;
  });
}

async function release(mesos: Mesos, agentId: string, role: string): Promise<void> {
  type Full = {
    readonly slaves: readonly {
      readonly id: string;
      readonly reserved_resources_full: Readonly<
        Record<string, readonly { readonly disk?: { readonly persistence?: unknown } }[]>
      >;
    }[];
  };
  const state = (await (await fetch(`${mesos.url}/master/slaves`)).json()) as Full;
  const resources = state.slaves.find(({ id }) => id === agentId)?.reserved_resources_full[role] ?? [];
  const post = (path: string, field: string, list: readonly unknown[]): Promise<Response> =>
    fetch(`${mesos.url}/master/${path}`, {
      method: "POST",
      body: new URLSearchParams({ slaveId: agentId, [field]: JSON.stringify(list) }),
    });
  const volumes = resources.filter(({ disk }) => disk?.persistence !== undefined);
  if (volumes.length > 0) await (await post("destroy-volumes", "volumes", volumes)).text();
  const plain = resources.map(({ disk: _volume, ...rest }) => rest);
  await (await post("unreserve", "resources", plain)).text();
}
