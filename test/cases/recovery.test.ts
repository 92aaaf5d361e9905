// Recovery by itself: nodes whose data or agent is gone get another node in their place, when and how that is safe.
import { describe, expect, test } from "bun:test";
import type { TaskStatus } from "../../src/mesos/task.ts";
import { diagnose } from "../../src/scheduler/doctor.ts";
import { nodeView, planView } from "../../src/scheduler/views.ts";
import { adminOffer, ask, BODY, nodeTaskOf, offerOf, pass, Scene, settled, steps } from "./scene.ts";

const HOUR_MS = 3_600_000;
const PLAN = "demo-replace-2";

function taskOf(scene: Scene, number: number): string {
  return scene.node(number).task?.taskId ?? "";
}

function say(scene: Scene, number: number, state: TaskStatus["state"], more: Partial<TaskStatus> = {}): void {
  scene.status(taskOf(scene, number), state, more);
}

function lose(scene: Scene, number: number, state: TaskStatus["state"]): void {
  say(scene, number, state, { source: "MASTER", reason: "AGENT_REMOVED" });
}

function killed(scene: Scene): readonly string[] {
  return scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []));
}

/** Why the first open step of a plan waits. */
function waits(scene: Scene, plan = PLAN): readonly string[] {
  const found = scene.state.plans.get(plan);
  const view = found === undefined ? undefined : planView(scene.state, found, scene.nowMs);
  const step = view?.steps.find(({ status }) => status !== "done");
  return step?.waitsFor.map(({ check, found: is, wanted }) => `${check}: ${is} (${wanted})`) ?? [];
}

/** The database lets the replacement begin: its check is launched on node 1 and done. */
function check(scene: Scene, on = 1): void {
  scene.offer(adminOffer(scene, on));
  const [admin] = scene.launched();
  scene.status(admin?.taskId ?? "", "TASK_FINISHED", { agentId: scene.node(on).place?.agentId ?? "" });
}

/** All tasks are as they were, says Mesos to a new subscription. */
function reconcile(scene: Scene, states: Readonly<Record<number, TaskStatus["state"]>> = {}): void {
  scene.subscribe();
  for (const { number, task } of scene.nodes())
    if (task !== undefined) scene.status(task.taskId, states[number] ?? "TASK_RUNNING", { reason: "RECONCILIATION" });
}

describe("a node whose agent an operator has marked as gone", () => {
  test("is replaced at once, by Cassandra's own procedure, and forgotten when the new one has joined", () => {
    const scene = new Scene().deployed();
    scene.status(taskOf(scene, 2), "TASK_RUNNING", { labels: { "ringmaster.address": "10.0.0.2" }, healthy: true });
    const { storage } = scene.node(2).place?.footprint.ports ?? {};
    lose(scene, 2, "TASK_GONE_BY_OPERATOR");
    expect(steps(scene, PLAN)).toEqual([
      "replace 2 done",
      "check-replace 1 pending",
      "start 4 pending",
      "release 2 pending",
    ]);
    scene.offer(offerOf("a4"));
    expect(scene.launched()).toEqual([]);
    check(scene);
    scene.offer(offerOf("a4"));
    const [task] = scene.launched();
    const node = task === undefined ? undefined : nodeTaskOf(task);
    expect({ node: node?.node, replaces: node?.replaces, expectData: node?.expectData, seeds: node?.seeds }).toEqual({
      node: "ringmaster-demo-4",
      replaces: `10.0.0.2:${storage}`,
      expectData: false,
      // The dead node was a seed: the next one in the row is one now.
      seeds: [1, 3].map((number) => `a${number}.example:${scene.node(number).place?.footprint.ports["storage"]}`),
    });
    say(scene, 4, "TASK_RUNNING");
    expect(scene.phases()).toEqual({ 1: "running", 3: "running", 4: "running" });
    const plan = scene.state.plans.get(PLAN);
    expect(plan?.status).toBe("done");
    expect(plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs).next).toBe(
      "repair the new node if the old node was away for longer than hints are kept: ringmaster node run ringmaster-demo-4 repair",
    );
    expect(scene.state.leftovers.size).toBe(0);
    expect(scene.state.clusters.get("demo")?.record.spec.nodes).toBe(3);
    scene.status(taskOf(scene, 4), "TASK_FAILED");
    scene.offer(scene.ownOffer(scene.node(4)));
    const [again] = scene.launched();
    expect(again === undefined ? "" : nodeTaskOf(again).replaces).toBeUndefined();
  });

  test("waits while another member is away, and says so", () => {
    const scene = new Scene().deployed();
    say(scene, 3, "TASK_FAILED");
    lose(scene, 2, "TASK_GONE_BY_OPERATOR");
    expect(waits(scene, "demo-replace-3")).toEqual([
      "node ringmaster-demo-3: down (every other member serves, so that a quorum lives)",
    ]);
    scene.offer(offerOf("a4"));
    expect(scene.phases()).toEqual({ 1: "running", 2: "lost", 3: "down" });
    scene.offer(scene.ownOffer(scene.node(3)));
    say(scene, 3, "TASK_RUNNING");
    expect(scene.phases()).toEqual({ 1: "running", 2: "lost", 3: "running", 4: "waiting" });
  });

  test("waits in a cluster that is too small for a quorum without it, until an operator decides", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create({ ...BODY, nodes: 2 });
    for (const number of [1, 2]) {
      scene.offer(offerOf(`a${number}`));
      say(scene, number, "TASK_RUNNING");
    }
    lose(scene, 2, "TASK_GONE_BY_OPERATOR");
    expect(waits(scene)).toEqual(["quorum: 1 other members (at least 2; with fewer, replace the node by hand)"]);
    expect(ask(scene, { type: "replaceNode", cluster: "demo", node: scene.node(2).id })).toMatchObject({
      type: "accepted",
      plan: "demo-replace-3",
    });
    expect(scene.state.plans.get(PLAN)?.status).toBe("aborted");
    expect(steps(scene, "demo-replace-3")).toEqual(["check-replace 1 pending", "start 3 pending", "release 2 pending"]);
  });
});

test("a node whose agent is gone before it ever ran stays lost; plan and doctor name the command that goes on", () => {
  const scene = new Scene();
  scene.subscribe();
  scene.create();
  scene.offer(offerOf("a1"));
  say(scene, 1, "TASK_RUNNING");
  scene.offer(offerOf("a2"));
  say(scene, 2, "TASK_STARTING");
  lose(scene, 2, "TASK_GONE_BY_OPERATOR");
  pass(scene, 2 * HOUR_MS);
  expect(scene.phases()).toEqual({ 1: "running", 2: "lost", 3: "waiting" });
  const command = "ringmaster node replace ringmaster-demo-2";
  expect(waits(scene, "demo-deploy-1")[0]).toEndWith(`(another in its place: ${command})`);
  const agents = [{ id: "a1", hostname: "a1.example", active: true, reservations: [] }];
  const mesos = { agents, tasks: [], frameworks: [] };
  const findings = diagnose({ nowMs: scene.nowMs, state: scene.state, mesos, rings: new Map(), endpoints: [] });
  expect(findings.find(({ id }) => id === "agent:ringmaster-demo-2")).toMatchObject({ severity: "error" });
  expect(findings.find(({ id }) => id === "agent:ringmaster-demo-2")?.advice).toContain(command);
  expect(ask(scene, { type: "replaceNode", cluster: "demo", node: "ringmaster-demo-2" })).toMatchObject({
    type: "accepted",
  });
});

/** The time of node 2 is over, and Mesos says, asked again, that it is out of sight still. */
function overdue(scene: Scene): void {
  pass(scene, HOUR_MS);
  expect(scene.actions).toContainEqual({ type: "reconcile", tasks: [{ taskId: taskOf(scene, 2), agentId: "a2" }] });
  say(scene, 2, "TASK_UNREACHABLE", { source: "MASTER", reason: "RECONCILIATION" });
}

describe("a node whose agent is out of sight", () => {
  test("starts on its volume when Mesos says, asked before the replacement begins, that its agent is back without it", () => {
    const scene = new Scene().deployed();
    lose(scene, 2, "TASK_UNREACHABLE");
    pass(scene, HOUR_MS);
    expect(waits(scene)).toEqual(["reconciliation: 1 tasks of unknown state (Mesos' word on every task)"]);
    say(scene, 2, "TASK_GONE", { source: "MASTER", reason: "RECONCILIATION" });
    expect(scene.phases()).toEqual({ 1: "running", 2: "down", 3: "running" });
    scene.offer(scene.ownOffer(scene.node(2)));
    expect(scene.launched().map(({ taskId }) => taskId.split(".")[0])).toEqual(["ringmaster-demo-2"]);
    expect(scene.state.plans.get(PLAN)?.status).toBe("aborted");
  });

  test("is replaced after --permanent-after, though the scheduler was restarted meanwhile", () => {
    const before = new Scene().deployed();
    lose(before, 2, "TASK_UNREACHABLE");
    const due = new Date(before.nowMs + HOUR_MS).toISOString();
    expect(nodeView(before.state, before.node(2))).toMatchObject({ phase: "unreachable", replaceDue: due });
    pass(before, HOUR_MS - 10_000);
    expect(before.state.plans.has(PLAN)).toBe(false);
    const scene = before.restarted();
    pass(scene, 5000);
    // Mesos has not said yet whether the agent is back.
    const plan = "demo-replace-11";
    expect(waits(scene, plan)).toEqual(["Mesos: no connection to a leading master (a subscription)"]);
    reconcile(scene, { 2: "TASK_UNREACHABLE" });
    say(scene, 2, "TASK_UNREACHABLE", { source: "MASTER", reason: "RECONCILIATION" });
    expect(steps(scene, plan).slice(0, 2)).toEqual(["replace 2 done", "check-replace 1 pending"]);
  });

  test("is not replaced when its agent is back in time, or while nothing of the replacement has begun", () => {
    const scene = new Scene().deployed();
    lose(scene, 2, "TASK_UNREACHABLE");
    pass(scene, HOUR_MS - 1000);
    say(scene, 2, "TASK_RUNNING");
    pass(scene, 2 * HOUR_MS);
    expect(scene.state.plans.has(PLAN)).toBe(false);

    lose(scene, 2, "TASK_UNREACHABLE");
    overdue(scene);
    check(scene);
    expect(scene.phases()).toEqual({ 1: "running", 2: "unreachable", 3: "running", 4: "waiting" });
    say(scene, 2, "TASK_RUNNING");
    expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running" });
    expect(scene.state.plans.get(PLAN)?.status).toBe("aborted");
    expect(killed(scene)).toEqual([]);
    // The next time is another matter.
    lose(scene, 2, "TASK_UNREACHABLE");
    overdue(scene);
    expect(scene.phases()).toEqual({ 1: "running", 2: "unreachable", 3: "running", 5: "waiting" });
  });

  test("is killed at once when it shows up after its replacement has begun, also by the next scheduler", () => {
    const before = new Scene().deployed();
    lose(before, 2, "TASK_UNREACHABLE");
    overdue(before);
    check(before);
    before.offer(offerOf("a4"));
    say(before, 4, "TASK_STARTING");
    const old = taskOf(before, 2);
    const scene = before.restarted();
    reconcile(scene, { 2: "TASK_UNREACHABLE", 4: "TASK_STARTING" });
    expect(killed(scene)).toEqual([]);
    scene.status(old, "TASK_RUNNING", { reason: "AGENT_REREGISTERED" });
    expect(killed(scene)).toEqual([old]);
    expect(scene.node(2).phase).toBe("stopping");
    pass(scene, 60_000);
    expect(killed(scene)).toEqual([old]);
    const { place } = scene.node(2);
    scene.status(old, "TASK_KILLED");
    // Its volume is kept until the new node has joined, and nobody starts on it.
    scene.offer(scene.ownOffer(scene.node(2)));
    expect(scene.accepts()).toEqual([]);
    say(scene, 4, "TASK_RUNNING");
    expect([...scene.state.leftovers.keys()]).toEqual([place?.reservation ?? ""]);
    expect(scene.phases()).toEqual({ 1: "running", 2: "releasing", 3: "running", 4: "running" });
  });

  test("leaves a volume that is remembered, and given back when its agent is back", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    lose(scene, 2, "TASK_UNREACHABLE");
    overdue(scene);
    check(scene);
    scene.offer(offerOf("a4"));
    say(scene, 4, "TASK_RUNNING");
    expect(scene.phases()).toEqual({ 1: "running", 3: "running", 4: "running" });
    scene.status(node.task?.taskId ?? "", "TASK_RUNNING", { agentId: "a2" });
    expect(killed(scene)).toContain(node.task?.taskId ?? "");
    scene.offer(scene.ownOffer(node));
    expect(scene.accepts().map(({ operations }) => operations.map(({ type }) => type))).toEqual([
      ["destroy", "unreserve"],
    ]);
  });

  test("is never replaced where --permanent-after is never", () => {
    const scene = new Scene().deployed();
    const { permanentAfterMs: _never, ...settings } = scene.state.settings;
    scene.state = { ...scene.state, settings };
    lose(scene, 2, "TASK_UNREACHABLE");
    pass(scene, 1000 * HOUR_MS);
    expect(scene.phases()).toEqual({ 1: "running", 2: "unreachable", 3: "running" });
  });
});

describe("a node that has ended on an agent that offers its volume no more", () => {
  test("is replaced after --permanent-after, and at the earliest a quarter of an hour after a subscription", () => {
    const before = new Scene().deployed();
    lose(before, 2, "TASK_GONE");
    expect(before.node(2).phase).toBe("down");
    before.nowMs += 2 * HOUR_MS;
    const scene = before.restarted();
    reconcile(scene);
    pass(scene, 890_000);
    expect(scene.phases()).toEqual({ 1: "running", 2: "down", 3: "running" });
    pass(scene, 10_000);
    expect(scene.phases()).toEqual({ 1: "running", 2: "down", 3: "running", 4: "waiting" });
    // Its agent offers the volume after all: nothing of the replacement has begun.
    scene.offer(scene.ownOffer(scene.node(2)));
    expect(scene.phases()).toEqual({ 1: "running", 2: "launching", 3: "running" });
  });

  test("is left alone when nobody wants it started", () => {
    const scene = new Scene().deployed();
    lose(scene, 2, "TASK_GONE");
    ask(scene, { type: "abortPlan", plan: "demo-recover-2" });
    pass(scene, 10 * HOUR_MS);
    expect(scene.phases()).toEqual({ 1: "running", 2: "down", 3: "running" });
  });
});

test("an empty volume under a known identity leads to a replacement, another's data to nothing", () => {
  const scene = new Scene().deployed();
  say(scene, 2, "TASK_FAILED", { labels: { "ringmaster.failure": "empty-volume" }, message: "no marker" });
  check(scene);
  // Also next to it, on the same agent.
  scene.offer(scene.ownOffer(scene.node(2)), offerOf("a2"));
  expect(scene.launched().map(({ taskId }) => taskId.split(".")[0])).toEqual(["ringmaster-demo-4"]);

  const other = new Scene().deployed();
  say(other, 2, "TASK_FAILED", { labels: { "ringmaster.failure": "foreign-volume" }, message: "of another" });
  pass(other, 10 * HOUR_MS);
  expect(other.phases()).toEqual({ 1: "running", 2: "lost", 3: "running" });
});

test("a replacement has the constraints, the cluster port and the rack of the node whose place it takes", () => {
  const scene = new Scene();
  scene.subscribe();
  scene.create({ ...BODY, constraints: "hostname:UNIQUE", rackAttribute: "rack" });
  for (const number of [1, 2, 3]) {
    scene.offer(offerOf(`a${number}`, { attributes: { rack: `r${number}` } }));
    say(scene, number, "TASK_RUNNING");
  }
  lose(scene, 3, "TASK_GONE_BY_OPERATOR");
  check(scene);
  scene.offer(offerOf("a4", { attributes: { rack: "r2" } }));
  expect(scene.launched()).toEqual([]);
  const plan = scene.state.plans.get(PLAN);
  const view = plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs);
  expect(view?.steps.flatMap(({ agents }) => agents.flatMap(({ reasons }) => reasons))).toEqual([
    { check: "rack", found: '"r2"', wanted: '"r3", that of the node whose place it takes' },
  ]);
  const { storage = 0 } = scene.node(3).place?.footprint.ports ?? {};
  const offer = offerOf("a5", { attributes: { rack: "r3" }, hostname: "a3.example" });
  const others = [{ begin: storage + 1, end: storage + 50 }];
  const without = offer.resources.map((resource) =>
    resource.name === "ports" ? { ...resource, ranges: others } : resource,
  );
  scene.offer({ ...offer, resources: without });
  expect(scene.launched()).toEqual([]);
  // The same host, set up anew as another agent.
  scene.offer(offer);
  expect(scene.launched()).toHaveLength(1);
  expect(scene.node(4).place?.footprint.ports["storage"]).toBe(storage);
});

describe("operators", () => {
  test("come first: a replacement waits for their plan, unless that only waits for the dead node", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "restartCluster", cluster: "demo" });
    settled(scene, 1);
    pass(scene, 10_000);
    lose(scene, 3, "TASK_GONE_BY_OPERATOR");
    expect(waits(scene, "demo-replace-3")).toEqual([
      "node ringmaster-demo-1: stopping (every other member serves, so that a quorum lives)",
      "node ringmaster-demo-1: is being stopped (one change of the cluster at a time)",
    ]);
    const node = scene.node(1);
    say(scene, 1, "TASK_KILLED");
    scene.offer(scene.ownOffer(node));
    say(scene, 1, "TASK_RUNNING");
    expect(waits(scene, "demo-restart-2")).toEqual(["turn: plan demo-replace-3 replaces a node (its end)"]);
    check(scene);
    scene.offer(offerOf("a4"));
    say(scene, 4, "TASK_RUNNING");
    expect(scene.state.plans.get("demo-replace-3")?.status).toBe("done");
    // Now the restart goes on.
    settled(scene, 2);
    pass(scene, 0);
    expect(scene.node(2).drainUntilMs).toBe(scene.nowMs + 10_000);
  });

  test("see their operations wait until the replacement is done", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "operate", cluster: "demo", node: scene.node(1).id, operation: "flush", args: {} });
    lose(scene, 2, "TASK_GONE_BY_OPERATOR");
    expect(waits(scene, "demo-operate-2")).toEqual(["turn: plan demo-replace-3 replaces a node (its end)"]);
    check(scene);
    scene.offer(offerOf("a4"));
    say(scene, 4, "TASK_RUNNING");
    scene.offer(adminOffer(scene, 1));
    expect(scene.launched().map(({ taskId }) => taskId.split(".")[2])).toEqual(["flush-6"]);
  });

  test("may abort a replacement: it does not begin again by itself, but by their command", () => {
    const scene = new Scene().deployed();
    lose(scene, 2, "TASK_GONE_BY_OPERATOR");
    ask(scene, { type: "abortPlan", plan: PLAN });
    pass(scene, 10 * HOUR_MS);
    expect(scene.phases()).toEqual({ 1: "running", 2: "lost", 3: "running" });
    expect(ask(scene, { type: "replaceNode", cluster: "demo", node: scene.node(2).id })).toMatchObject({
      type: "accepted",
    });
    expect(scene.phases()).toEqual({ 1: "running", 2: "lost", 3: "running", 5: "waiting" });
  });

  test("may force a dead node out: the others take its data over, its volume is given back", () => {
    const scene = new Scene().deployed();
    lose(scene, 2, "TASK_UNREACHABLE");
    const reply = ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(2).id, force: true });
    expect(reply).toMatchObject({ plan: "demo-leave-2" });
    expect(steps(scene, "demo-leave-2")).toEqual(["stop 2 done", "removenode 1 pending", "release 2 pending"]);
    const old = scene.node(2);
    check(scene);
    expect(scene.phases()).toEqual({ 1: "running", 3: "running" });
    expect([...scene.state.leftovers.keys()]).toEqual([old.place?.reservation ?? ""]);
  });

  test("never see a node start again that they have forced out, whatever becomes of it", () => {
    const scene = new Scene().deployed();
    const [old, { id }] = [taskOf(scene, 2), scene.node(2)];
    lose(scene, 2, "TASK_UNREACHABLE");
    ask(scene, { type: "removeNode", cluster: "demo", node: id, force: true });
    scene.offer(adminOffer(scene, 1));
    scene.status(old, "TASK_RUNNING");
    expect(killed(scene)).toEqual([old]);
    scene.status(old, "TASK_FAILED");
    expect([...scene.state.plans.values()].filter(({ kind }) => kind === "recover")).toEqual([]);
    ask(scene, { type: "abortPlan", plan: "demo-leave-2" });
    expect(ask(scene, { type: "startNode", cluster: "demo", node: id })).toMatchObject({
      why: "conflict",
      message: `Cannot start node "${id}": its ring goes on without it; replace it, or force its removal`,
    });
  });

  test("may think better of a forced removal before the ring was asked", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(2).id, force: true });
    ask(scene, { type: "abortPlan", plan: "demo-leave-2" });
    say(scene, 2, "TASK_FAILED");
    scene.offer(scene.ownOffer(scene.node(2)));
    expect(scene.launched()).toHaveLength(1);
  });

  test("cannot force a node out whose replacement has begun", () => {
    const scene = new Scene().deployed();
    lose(scene, 2, "TASK_GONE_BY_OPERATOR");
    check(scene);
    scene.offer(offerOf("a4"));
    expect(ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(2).id, force: true })).toMatchObject({
      why: "conflict",
      message:
        'Cannot remove node "ringmaster-demo-2": node "ringmaster-demo-4" takes its place; wait for it, or remove it first',
    });
  });
});

test("a node that keeps failing waits on after a restart of the scheduler, and says so", () => {
  const before = new Scene().deployed();
  for (let failures = 1; failures <= 4; failures++) {
    say(before, 2, "TASK_FAILED", { message: "bad start" });
    pass(before, 60_000);
    before.offer(before.ownOffer(before.node(2)));
  }
  say(before, 2, "TASK_FAILED", { message: "bad start" });
  const scene = before.restarted();
  reconcile(scene);
  scene.offer(scene.ownOffer(scene.node(2)));
  expect(scene.launched()).toEqual([]);
  expect(waits(scene, "demo-recover-2")).toEqual([
    `back-off: 5 failures in a row, the last: TASK_FAILED: bad start (the next try at ${new Date(scene.node(2).retryAtMs).toISOString()})`,
  ]);
});
