// The doctor on scenes that do not fit together: what it finds, what it would repair, and what the repairs do.
import { describe, expect, test } from "bun:test";
import { reserved, type Resource } from "../../src/mesos/resources.ts";
import type { AgentSight, ReservationSight, Sight } from "../../src/mesos/sight.ts";
import { diagnose } from "../../src/scheduler/doctor.ts";
import type { Evidence, Finding } from "../../src/scheduler/findings.ts";
import type { Reply } from "../../src/scheduler/events.ts";
import { offerOf, Scene } from "./scene.ts";

const LATER_MS = 3_600_000;

/** Mesos as it is when all is well. */
function sightOf(scene: Scene): Sight {
  const placed = scene.nodes().flatMap(({ place }) => place ?? []);
  const agents = placed.map(({ agentId, hostname, reservation, volume, footprint }): AgentSight => {
    const { cpus, memMb, diskMb, ports } = footprint;
    const ranges = Object.values(ports).map((port) => ({ begin: port, end: port }));
    const labels = { "ringmaster.framework": "f-1", "ringmaster.reservation": reservation };
    const held = { role: "ringmaster", labels, cpus, memMb, diskMb, ports: ranges, volumes: [volume] };
    return { id: agentId, hostname, active: true, reservations: [held] };
  });
  const tasks = scene
    .nodes()
    .flatMap(({ task, place }) =>
      task === undefined
        ? []
        : [{ id: task.taskId, frameworkId: "f-1", agentId: place?.agentId ?? "", state: "TASK_RUNNING" }],
    );
  return { agents, tasks, frameworks: [{ id: "f-1", name: "ringmaster", active: true }] };
}

function examine(scene: Scene, change: Partial<Omit<Evidence, "state">> = {}): readonly Finding[] {
  const nowMs = scene.nowMs + LATER_MS;
  const rings = new Map<string, never>();
  return diagnose({ nowMs, state: scene.state, mesos: sightOf(scene), rings, endpoints: [], ...change });
}

function ids(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ id, repair }) => `${id}${repair === undefined ? "" : ` (${repair.command.type})`}`);
}

function repair(scene: Scene, finding: Finding | undefined): Reply | undefined {
  if (finding?.repair === undefined) throw new Error("nothing to repair");
  const { command } = finding.repair;
  const reply = scene.feed({ type: "command", id: 9, command }).find(({ type }) => type === "reply");
  return reply?.type === "reply" ? reply.reply : undefined;
}

/** The sight with another reservation on the first agent. */
function withReservation(sight: Sight, more: Partial<ReservationSight>): Sight {
  const held = { role: "ringmaster", labels: {}, cpus: 1, memMb: 64, diskMb: 10, ports: [], volumes: [], ...more };
  const [first, ...rest] = sight.agents;
  return first === undefined
    ? sight
    : { ...sight, agents: [{ ...first, reservations: [...first.reservations, held] }, ...rest] };
}

test("a cluster that is as it should be has no findings", () => {
  const scene = new Scene().deployed();
  const names = scene.nodes().map(({ place }) => `10.0.0.1:${place?.footprint.ports["storage"]}`);
  const endpoints = scene.nodes().map(({ id }) => id);
  expect(examine(scene, { rings: new Map([["demo", { names }]]), endpoints })).toEqual([]);
});

describe("Mesos", () => {
  test("runs a task of ours that no record knows: shown, never repaired", () => {
    const scene = new Scene().deployed();
    const sight = sightOf(scene);
    const orphan = { id: "ringmaster-old-1.7.server", frameworkId: "f-1", agentId: "a1", state: "TASK_RUNNING" };
    const foreign = { ...orphan, id: "other", frameworkId: "g-1" };
    const [finding, ...rest] = examine(scene, { mesos: { ...sight, tasks: [...sight.tasks, orphan, foreign] } });
    expect(rest).toEqual([]);
    expect(finding).toEqual({
      id: "task:ringmaster-old-1.7.server",
      severity: "warning",
      what: 'Task "ringmaster-old-1.7.server" (TASK_RUNNING) runs on agent "a1" for us, and no record knows it',
      why: "the store may be older than the task, which then serves data that nobody looks after",
      advice:
        'restore the store that knows node "ringmaster-old-1"; kill the task in Mesos only when its data is not needed',
    });
  });

  test("does not know a node's task: it is asked for again", () => {
    const scene = new Scene().deployed();
    const sight = sightOf(scene);
    const tasks = sight.tasks.filter(({ id }) => id !== scene.node(2).task?.taskId);
    const findings = examine(scene, { mesos: { ...sight, tasks } });
    expect(ids(findings)).toEqual(["stale-task:ringmaster-demo-2 (repair)"]);
    expect(repair(scene, findings[0])).toEqual({ type: "done" });
    expect(scene.actions.filter(({ type }) => type === "reconcile")).toHaveLength(2);
  });

  test("has lost a volume, or its agent: only a replacement helps", () => {
    const scene = new Scene().deployed();
    const sight = sightOf(scene);
    const [one, two, three] = sight.agents;
    if (one === undefined || two === undefined || three === undefined) throw new Error("no agents");
    const empty = one.reservations.map((held) => ({ ...held, volumes: [] }));
    const agents = [
      { ...one, reservations: empty },
      { ...two, reservations: [] },
    ];
    expect(ids(examine(scene, { mesos: { ...sight, agents } }))).toEqual([
      "volume:ringmaster-demo-1",
      "volume:ringmaster-demo-2",
      "agent:ringmaster-demo-3",
    ]);
  });

  test("has what was expelled: its ring goes on without it, so that no start helps", () => {
    const scene = new Scene().deployed();
    const { id } = scene.node(2);
    scene.status(scene.node(2).task?.taskId ?? "", "TASK_GONE", { source: "MASTER" });
    for (const plan of scene.state.plans.values())
      if (plan.status === "running")
        scene.feed({ type: "command", id: 7, command: { type: "abortPlan", plan: plan.id } });
    const cluster = scene.state.clusters.get("demo");
    if (cluster === undefined) throw new Error("there is no cluster");
    // As it is left by a replacement that was given up after its heir had begun.
    const nodes = new Map(cluster.nodes).set(id, { ...scene.node(2), expelled: true });
    const state = { ...scene.state, clusters: new Map(scene.state.clusters).set("demo", { ...cluster, nodes }) };
    const [finding] = examine(new Scene(state)).filter((each) => each.id === `idle:${id}`);
    expect(finding).toEqual({
      id: `idle:${id}`,
      severity: "error",
      what: `Node "${id}" is down, and no plan brings it back`,
      why: "its ring was told to go on without it, so it never starts again",
      advice: `ringmaster node replace ${id}, or ringmaster node remove ${id} --force`,
    });
  });

  test("cannot be looked at: that is a finding, and the rest is still compared", () => {
    const scene = new Scene().deployed();
    expect(ids(examine(scene, { mesos: { error: "403" }, endpoints: ["ringmaster-demo-9"] }))).toEqual([
      "endpoint:ringmaster-demo-9 (repair)",
      "mesos:unseen",
    ]);
  });
});

describe("a reservation with our label that no record knows", () => {
  const labels = {
    "ringmaster.framework": "f-1",
    "ringmaster.reservation": "ringmaster-old-1.7",
    "ringmaster.node": "ringmaster-old-1",
  };

  test("is never touched when it has a volume", () => {
    const scene = new Scene().deployed();
    const mesos = withReservation(sightOf(scene), { labels, volumes: ["ringmaster-old-1.7"] });
    expect(ids(examine(scene, { mesos }))).toEqual(["reservation:ringmaster-old-1.7"]);
  });

  test("is given back when it has none; a volume that has come meanwhile stays", () => {
    const scene = new Scene().deployed();
    const ports = [{ begin: 31_090, end: 31_091 }];
    const findings = examine(scene, { mesos: withReservation(sightOf(scene), { labels, ports }) });
    expect(ids(findings)).toEqual(["reservation:ringmaster-old-1.7 (repair)"]);
    expect(repair(scene, findings[0])).toEqual({ type: "done" });
    const plain: readonly Resource[] = [
      { name: "cpus", scalar: 1, reservations: [] },
      { name: "mem", scalar: 64, reservations: [] },
      { name: "ports", ranges: ports, reservations: [] },
    ];
    const disk: Resource = { name: "disk", scalar: 10, reservations: [] };
    const held = (last: Resource): readonly Resource[] =>
      reserved([...plain, last], { type: "DYNAMIC", role: "ringmaster", labels });
    scene.offer(offerOf("a1", { resources: held({ ...disk, volume: { id: "v", containerPath: "data" } }) }));
    expect(scene.accepts()).toEqual([]);
    scene.offer(offerOf("a1", { resources: held(disk) }));
    expect(scene.accepts().flatMap(({ operations }) => operations.map(({ type }) => type))).toEqual(["unreserve"]);
  });

  test("is shown when its framework is gone, and nobody's business while that runs", () => {
    const scene = new Scene().deployed();
    const others = { ...labels, "ringmaster.framework": "g-1" };
    const mesos = withReservation(sightOf(scene), { labels: others });
    expect(ids(examine(scene, { mesos }))).toEqual(["foreign:ringmaster-old-1.7@a1"]);
    const running = { id: "g-1", name: "another", active: true };
    expect(examine(scene, { mesos: { ...mesos, frameworks: [...mesos.frameworks, running] } })).toEqual([]);
  });
});

test("a leftover that its agent does not have is forgotten, without touching anything", () => {
  const scene = new Scene().deployed();
  const before = sightOf(scene);
  scene.status(scene.node(3).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
  scene.feed({ type: "command", id: 9, command: { type: "destroyCluster", cluster: "demo" } });
  scene.nowMs += 60_000;
  scene.feed({ type: "tick" });
  const [leftover] = scene.state.leftovers.values();
  const reservation = leftover?.place.reservation ?? "";
  expect(ids(examine(scene, { mesos: before })).filter((id) => id.startsWith("leftover"))).toEqual([]);
  const agents = before.agents.map((agent) => (agent.id === "a3" ? { ...agent, reservations: [] } : agent));
  const found = examine(scene, { mesos: { ...before, agents } }).find(({ id }) => id === `leftover:${reservation}`);
  expect(repair(scene, found)).toEqual({ type: "done" });
  expect(scene.state.leftovers.has(reservation)).toBe(false);
  expect(repair(scene, found)?.type).toBe("refused");
});

test("nodes at odds with their configuration, their ring or their endpoints are told, with what may be done", () => {
  const scene = new Scene().deployed();
  const command = { type: "updateCluster", cluster: "demo", change: { env: { A: "1" } } } as const;
  scene.feed({ type: "command", id: 9, command });
  const [plan] = [...scene.state.plans.values()].filter(({ status }) => status === "running");
  scene.feed({ type: "command", id: 10, command: { type: "abortPlan", plan: plan?.id ?? "" } });
  const port = (number: number): number => scene.node(number).place?.footprint.ports["storage"] ?? 0;
  const names = [`10.0.0.1:${port(1)}`, `10.0.0.2:${port(2)}`, "10.0.0.9:7000"];
  expect(ids(examine(scene, { rings: new Map([["demo", { names }]]), endpoints: ["ringmaster-demo-9"] }))).toEqual([
    "outside:ringmaster-demo-3",
    "stranger:demo:10.0.0.9:7000",
    ...[1, 2, 3].map((number) => `config:ringmaster-demo-${number} (restartNode)`),
    "endpoint:ringmaster-demo-9 (repair)",
  ]);
  const endpoint = examine(scene, { endpoints: ["ringmaster-demo-9"] }).find(({ id }) => id.startsWith("endpoint"));
  expect(repair(scene, endpoint)).toEqual({ type: "done" });
  expect(scene.actions.filter(({ type }) => type === "forget")).toEqual([
    { type: "forget", path: "endpoints/ringmaster-demo-9" },
  ]);
});

test("a former id of ours that Mesos knows again, after another master came to lead, is to be torn down once more", () => {
  const scene = new Scene().deployed();
  const sight = sightOf(scene);
  scene.feed({ type: "error", message: "Framework has been removed" });
  scene.feed({ type: "command", id: 9, command: { type: "registerFramework" } });
  scene.feed({ type: "subscribed", frameworkId: "f-2", heartbeatMs: 15_000, masterVersion: "1.11.0" });
  const others = [{ id: "f-9", name: "ringmaster", active: true }];
  const findings = examine(scene, { mesos: { ...sight, tasks: [], frameworks: [...sight.frameworks, ...others] } });
  expect(findings.map(({ id, advice }) => [id, advice.includes("/master/teardown")])).toEqual([
    ["framework:f-1", true],
    ["framework:f-9", false],
  ]);
});
