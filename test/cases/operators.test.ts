// What operators of Mesos do to a framework: maintenance, drained agents, a framework that is removed, and its end.
import { describe, expect, test } from "bun:test";
import type { Offer } from "../../src/mesos/offer.ts";
import { reserved } from "../../src/mesos/resources.ts";
import type { Command, Reply } from "../../src/scheduler/events.ts";
import { roleFault } from "../../src/scheduler/framework.ts";
import { frameworkIds } from "../../src/scheduler/state.ts";
import { frameworkView, nodeView, planView } from "../../src/scheduler/views.ts";
import { adminOffer, offerOf, pass, Scene } from "./scene.ts";

const HOUR = 3_600_000;
const REMOVED = { type: "error", message: "Framework has been removed" } as const;

function ask(scene: Scene, command: Command): Reply {
  const reply = scene.feed({ type: "command", id: 7, command }).find(({ type }) => type === "reply");
  if (reply?.type !== "reply") throw new Error("no reply");
  return reply.reply;
}

/** Mesos asks for a node's agent. Gives what it is answered. */
function inverse(
  scene: Scene,
  number: number,
  window: { readonly startMs: number; readonly durationMs?: number },
): string {
  const agentId = scene.node(number).place?.agentId ?? "";
  const actions = scene.feed({ type: "inverseOffers", inverseOffers: [{ id: "i1", agentId, unavailability: window }] });
  return actions
    .filter(({ type }) => type.endsWith("InverseOffers"))
    .map(({ type }) => type)
    .join();
}

/** What stands in the way of a plan's first open step. */
function waits(scene: Scene, kind: string): readonly string[] {
  const plan = [...scene.state.plans.values()].find((each) => each.kind === kind && each.status === "running");
  if (plan === undefined) return ["no such plan"];
  const open = planView(scene.state, plan, scene.nowMs).steps.find(({ status }) => status !== "done");
  return [open?.name ?? "", ...(open?.waitsFor ?? []).map(({ check, found }) => `${check}: ${found}`)];
}

function during(offer: Offer, startMs: number, durationMs?: number): Offer {
  return { ...offer, unavailability: { startMs, ...(durationMs === undefined ? {} : { durationMs }) } };
}

/** A node says that its ring is whole, lets its clients finish, and is killed. */
function stop(scene: Scene, number: number, window: { readonly startMs: number; readonly durationMs?: number }): void {
  scene.offer(during(adminOffer(scene, number), window.startMs, window.durationMs));
  const [admin] = scene.launched();
  scene.status(admin?.taskId ?? "", "TASK_FINISHED", { agentId: scene.node(number).place?.agentId ?? "" });
  pass(scene, 10_000);
}

describe("a maintenance window", () => {
  test("far ahead is promised; the node stops shortly before it, keeps its volume and starts after it", () => {
    const scene = new Scene().deployed();
    const startMs = scene.nowMs + 2 * HOUR;
    const window = { startMs, durationMs: HOUR };
    expect(inverse(scene, 2, window)).toBe("acceptInverseOffers");
    expect(nodeView(scene.state, scene.node(2)).maintenance).toEqual({
      start: new Date(startMs).toISOString(),
      end: new Date(startMs + HOUR).toISOString(),
      accepted: true,
      reasons: [],
    });
    expect(waits(scene, "maintain")).toEqual(["no such plan"]);
    scene.nowMs = startMs - 300_000;
    expect(inverse(scene, 2, window)).toBe("acceptInverseOffers");
    const { task } = scene.node(2);
    pass(scene, 10_000);
    // Before that it says itself that its ring is whole.
    expect([scene.phases(), waits(scene, "maintain")[0]]).toEqual([
      { 1: "running", 2: "running", 3: "running" },
      "settle ringmaster-demo-2",
    ]);
    stop(scene, 2, window);
    expect(scene.phases()).toEqual({ 1: "running", 2: "stopping", 3: "running" });
    scene.status(task?.taskId ?? "", "TASK_KILLED");
    const volume = scene.ownOffer(scene.node(2));
    scene.offer(during(volume, startMs, HOUR));
    expect(scene.launched()).toEqual([]);
    expect(waits(scene, "maintain")).toEqual([
      "start ringmaster-demo-2",
      `maintenance: agent "a2.example" from ${new Date(startMs).toISOString()} on`,
    ]);
    scene.nowMs = startMs + HOUR;
    scene.offer(during({ ...volume, id: "late" }, startMs, HOUR));
    expect(scene.launched().map(({ name }) => name)).toEqual(["ringmaster-demo-2"]);
  });

  test("without an end moves the node: it is stopped, then another takes its place elsewhere", () => {
    const scene = new Scene().deployed();
    const window = { startMs: scene.nowMs + 60_000 };
    inverse(scene, 2, window);
    stop(scene, 2, window);
    expect(scene.phases()).toEqual({ 1: "running", 2: "stopping", 3: "running" });
    scene.status(scene.node(2).task?.taskId ?? "", "TASK_KILLED");
    pass(scene, 1000);
    expect(scene.phases()).toEqual({ 1: "running", 2: "stopped", 3: "running", 4: "waiting" });
    const replacing = [...scene.state.plans.values()].find(({ kind }) => kind === "replace");
    expect(
      replacing?.steps.map(({ type, node, operation, status }) => `${operation ?? type} ${node} ${status}`),
    ).toEqual([
      "replace ringmaster-demo-2 done",
      "check-replace ringmaster-demo-1 pending",
      "start ringmaster-demo-4 pending",
      "release ringmaster-demo-2 pending",
    ]);
    // The machine is gone: Mesos asks no more, and the promise stands.
    pass(scene, HOUR);
    expect(scene.state.maintenance.get("a2")?.isAccepted).toBe(true);
  });

  test("with an end moves no node, however long it is, and the promise stands while the machine is away", () => {
    const scene = new Scene().deployed();
    const window = { startMs: scene.nowMs + 60_000, durationMs: 100 * HOUR };
    inverse(scene, 2, window);
    stop(scene, 2, window);
    scene.status(scene.node(2).task?.taskId ?? "", "TASK_KILLED");
    pass(scene, 50 * HOUR);
    expect([...scene.state.plans.values()].map(({ kind }) => kind)).toEqual(["deploy", "maintain"]);
    expect(inverse(scene, 3, window)).toBe("declineInverseOffers");
    expect(scene.state.maintenance.get("a3")?.reasons[0]?.found).toBe('agent "a2.example" promised for the same time');
    pass(scene, 51 * HOUR);
    expect(scene.state.maintenance.has("a2")).toBe(false);
  });

  test("is refused where the cluster would lose more than it can spare, and node info says why", () => {
    const alone = new Scene();
    alone.subscribe();
    alone.create({
      name: "demo",
      database: "cassandra",
      version: "5.0.4",
      nodes: 1,
      resources: { cpus: 1, memMb: 1024, diskMb: 1024 },
      package: "https://artifacts.example/c.tar.gz",
    });
    alone.offer(offerOf("a1"));
    alone.status(alone.launched()[0]?.taskId ?? "", "TASK_RUNNING");
    expect(inverse(alone, 1, { startMs: alone.nowMs + HOUR })).toBe("declineInverseOffers");
    expect(nodeView(alone.state, alone.node(1)).maintenance?.reasons).toEqual([
      { check: "cluster demo", found: "its only node on the agent", wanted: "other nodes that serve meanwhile" },
    ]);

    const scene = new Scene().deployed();
    scene.status(scene.node(3).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    const soon = { startMs: scene.nowMs + 60_000, durationMs: HOUR };
    expect(inverse(scene, 2, soon)).toBe("declineInverseOffers");
    expect(scene.state.maintenance.get("a2")?.reasons.map(({ check }) => check)).toContain("node ringmaster-demo-3");
    scene.status(scene.node(3).task?.taskId ?? "", "TASK_RUNNING");
    expect(inverse(scene, 2, soon)).toBe("acceptInverseOffers");
  });

  test("is not promised for a node that hangs while another is away", () => {
    const scene = new Scene().deployed();
    scene.status(scene.node(3).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    scene.status(scene.node(2).task?.taskId ?? "", "TASK_RUNNING", { healthy: false });
    expect(inverse(scene, 2, { startMs: scene.nowMs + 60_000, durationMs: HOUR })).toBe("declineInverseOffers");
    expect(scene.state.maintenance.get("a2")?.reasons.map(({ check }) => check)).toEqual(["node ringmaster-demo-3"]);
  });

  test("is promised for one agent of a cluster at a time", () => {
    const scene = new Scene().deployed();
    const window = { startMs: scene.nowMs + HOUR, durationMs: HOUR };
    expect(inverse(scene, 2, window)).toBe("acceptInverseOffers");
    expect(inverse(scene, 3, { startMs: window.startMs + HOUR / 2 })).toBe("declineInverseOffers");
    expect(scene.state.maintenance.get("a3")?.reasons).toEqual([
      {
        check: "cluster demo",
        found: 'agent "a2.example" promised for the same time',
        wanted: "one of its agents at a time",
      },
    ]);
    expect(inverse(scene, 3, { startMs: window.startMs + HOUR })).toBe("acceptInverseOffers");
  });

  test("is not promised for a node that is down while another is away, by a scheduler that knows of no other promise", () => {
    const before = new Scene().deployed();
    before.status(before.node(2).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    before.status(before.node(3).task?.taskId ?? "", "TASK_FAILED");
    const scene = before.restarted();
    scene.subscribe();
    expect(inverse(scene, 3, { startMs: scene.nowMs + 60_000, durationMs: HOUR })).toBe("declineInverseOffers");
    expect(scene.state.maintenance.get("a3")?.reasons).toEqual([
      {
        check: "node ringmaster-demo-2",
        found: "unreachable",
        wanted: "every other member serves while one is restarted",
      },
    ]);
  });

  test("that was promised is kept by the scheduler that follows, until Mesos asks for it no more", () => {
    const before = new Scene().deployed();
    const window = { startMs: before.nowMs + HOUR, durationMs: HOUR };
    expect(inverse(before, 2, window)).toBe("acceptInverseOffers");
    expect(before.actions.find(({ type }) => type === "save")).toEqual({
      type: "save",
      path: "maintenance/a2",
      record: { schema: 1, agentId: "a2", ...window },
    });
    expect(inverse(before, 2, window)).toBe("acceptInverseOffers");
    expect(before.actions.some(({ type }) => type === "save")).toBe(false);
    const scene = before.restarted();
    pass(scene, HOUR / 4);
    scene.subscribe();
    expect(inverse(scene, 3, window)).toBe("declineInverseOffers");
    pass(scene, 151_000);
    expect(scene.actions).toContainEqual({ type: "forget", path: "maintenance/a2" });
    expect(inverse(scene, 3, window)).toBe("acceptInverseOffers");
  });

  test("that is called off, or that Mesos does not ask for any more, stops nothing", () => {
    const scene = new Scene().deployed();
    const window = { startMs: scene.nowMs + HOUR, durationMs: HOUR };
    inverse(scene, 2, window);
    scene.feed({ type: "inverseOfferRescinded", inverseOfferId: "i1" });
    expect(scene.state.maintenance.size).toBe(0);
    inverse(scene, 2, window);
    pass(scene, HOUR);
    expect([scene.state.maintenance.size, scene.phases()]).toEqual([0, { 1: "running", 2: "running", 3: "running" }]);
  });

  test("that is called off after the node has stopped lets it start, and does not stop it again", () => {
    const scene = new Scene().deployed();
    inverse(scene, 2, { startMs: scene.nowMs + 60_000, durationMs: HOUR });
    pass(scene, 10_000);
    scene.status(scene.node(2).task?.taskId ?? "", "TASK_KILLED");
    scene.offer(scene.ownOffer(scene.node(2)));
    const [task] = scene.launched();
    scene.status(task?.taskId ?? "", "TASK_RUNNING");
    pass(scene, 10_000);
    pass(scene, 10_000);
    expect([scene.phases(), scene.state.maintenance.size]).toEqual([{ 1: "running", 2: "running", 3: "running" }, 0]);
  });

  test("of an agent without a node of ours is accepted at once", () => {
    const scene = new Scene().deployed();
    const unavailability = { startMs: scene.nowMs };
    const [answer] = scene.feed({
      type: "inverseOffers",
      inverseOffers: [{ id: "i9", agentId: "a9", unavailability }],
    });
    expect(answer).toEqual({ type: "acceptInverseOffers", inverseOfferIds: ["i9"], refuseSeconds: 60 });
    expect(scene.state.maintenance.size).toBe(0);
  });
});

test("a node that fails before a window which was refused starts again at once", () => {
  const scene = new Scene().deployed();
  scene.status(scene.node(3).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
  const soon = { startMs: scene.nowMs + 60_000, durationMs: HOUR };
  expect(inverse(scene, 2, soon)).toBe("declineInverseOffers");
  scene.status(scene.node(2).task?.taskId ?? "", "TASK_FAILED");
  scene.offer(during(scene.ownOffer(scene.node(2)), soon.startMs, HOUR));
  expect(scene.launched().map(({ name }) => name)).toEqual(["ringmaster-demo-2"]);
});

test("another role is refused as long as anything is reserved for the one before", () => {
  const { state } = new Scene().deployed();
  expect(roleFault(state, "ringmaster")).toBeUndefined();
  expect(roleFault(state, "other")).toBe(
    "found --role other, wanted --role ringmaster: the volumes of 3 nodes and 0 leftover reservations belong to it, and Mesos offers them to no other role",
  );
  expect(roleFault({ ...state, clusters: new Map() }, "other")).toBeUndefined();
});

test("a node on a drained agent waits without a failure to its name, and starts when the agent is back", () => {
  const scene = new Scene().deployed();
  scene.status(scene.node(2).task?.taskId ?? "", "TASK_KILLED", { reason: "AGENT_DRAINING" });
  const { phase, failures, retryAtMs } = scene.node(2);
  expect({ phase, failures, retryAtMs }).toEqual({ phase: "down", failures: 0, retryAtMs: scene.nowMs });
  expect(waits(scene, "recover")).toEqual([
    "start ringmaster-demo-2",
    'agent: "a2.example" drained by operators of Mesos',
  ]);
  pass(scene, 2 * HOUR);
  expect([...scene.state.plans.values()].filter(({ kind }) => kind === "replace")).toEqual([]);
  scene.offer(scene.ownOffer(scene.node(2)));
  expect(scene.launched().map(({ name }) => name)).toEqual(["ringmaster-demo-2"]);
});

describe("a framework that Mesos has removed", () => {
  test("keeps what it knows, says so, and starts on its volumes under a new id once it is registered", () => {
    const scene = new Scene().deployed();
    const places = scene.nodes().map(({ place }) => place);
    const actions = scene.feed(REMOVED);
    expect(actions.filter(({ type }) => type === "end" || type === "kill")).toEqual([]);
    expect(actions.flatMap((action) => (action.type === "note" ? [action.text] : [])).join()).toContain(
      "framework register",
    );
    expect(scene.phases()).toEqual({ 1: "down", 2: "down", 3: "down" });
    expect(frameworkView(scene.state).status).toBe("removed");
    expect(waits(scene, "recover")[1]).toContain("framework: Mesos has removed the framework");
    const refused = ask(scene, { type: "createCluster", body: {} });
    expect(refused.type === "refused" && refused.why).toBe("conflict");

    pass(scene, 2 * HOUR);
    expect([...scene.state.plans.values()].filter(({ kind }) => kind === "replace")).toEqual([]);
    const again = scene.restarted();
    expect(again.state.framework.removed?.message).toBe(REMOVED.message);
    expect(ask(again, { type: "registerFramework" })).toEqual({ type: "done" });
    expect(again.state.framework.frameworkId).toBeUndefined();
    again.feed({ type: "subscribed", frameworkId: "f-2", heartbeatMs: 15_000, masterVersion: "1.11.0" });
    expect(frameworkIds(again.state.framework)).toEqual(["f-2", "f-1"]);
    for (const number of [1, 2, 3]) {
      const old = again.ownOffer(again.node(number));
      again.offer(old);
      const [task] = again.launched();
      expect(task?.executor.frameworkId).toBe("f-2");
      again.status(task?.taskId ?? "", "TASK_RUNNING");
    }
    expect(again.nodes().map(({ place }) => place)).toEqual(places);
    const no = ask(again, { type: "registerFramework" });
    expect(no.type === "refused" && no.message).toContain("Mesos has not removed it");
  });

  test("counts a node that was heard to start as one that may have data: it starts on no volume that is empty", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"));
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_STARTING");
    scene.feed(REMOVED);
    ask(scene, { type: "registerFramework" });
    scene.feed({ type: "subscribed", frameworkId: "f-2", heartbeatMs: 15_000, masterVersion: "1.11.0" });
    scene.offer(scene.ownOffer(scene.node(1)));
    const [task] = scene.launched();
    expect(JSON.parse(new TextDecoder().decode(task?.data))).toMatchObject({ expectData: false, expectMarker: true });
  });

  test("gives back under its new id what it reserved under the old one", () => {
    const scene = new Scene().deployed();
    scene.feed(REMOVED);
    ask(scene, { type: "registerFramework" });
    scene.feed({ type: "subscribed", frameworkId: "f-2", heartbeatMs: 15_000, masterVersion: "1.11.0" });
    ask(scene, { type: "destroyCluster", cluster: "demo" });
    pass(scene, 1000);
    scene.offer(scene.ownOffer(scene.node(1)));
    expect(scene.accepts().flatMap(({ operations }) => operations.map(({ type }) => type))).toEqual([
      "destroy",
      "unreserve",
    ]);
    const [cpus] = scene.ownOffer(scene.node(2)).resources;
    const foreign = { "ringmaster.framework": "f-0", "ringmaster.reservation": scene.node(2).place?.reservation ?? "" };
    const plain = cpus === undefined ? [] : [{ ...cpus, reservations: [] }];
    scene.offer(
      offerOf("a2", { resources: reserved(plain, { type: "DYNAMIC", role: "ringmaster", labels: foreign }) }),
    );
    expect(scene.accepts()).toEqual([]);
  });
});

describe("an uninstallation", () => {
  test("destroys every cluster, waits for every reservation, then tears the framework down", () => {
    const scene = new Scene().deployed();
    expect(ask(scene, { type: "uninstallFramework", force: false })).toEqual({ type: "done" });
    expect(frameworkView(scene.state)).toMatchObject({
      status: "uninstalling",
      clusters: [{ name: "demo", activePlans: ["demo-remove-2"] }],
    });
    const refused = ask(scene, { type: "createCluster", body: {} });
    expect(refused.type === "refused" && refused.message).toContain("is being uninstalled");
    for (const number of [1, 2, 3]) {
      scene.status(scene.node(number).task?.taskId ?? "", "TASK_KILLED");
      scene.offer(scene.ownOffer(scene.node(number)));
    }
    expect(frameworkView(scene.state).leftovers).toHaveLength(3);
    for (const { operation } of scene.state.leftovers.values()) {
      expect(scene.actions.some(({ type }) => type === "teardown")).toBe(false);
      scene.feed({ type: "operation", status: { operationId: operation?.id ?? "", state: "OPERATION_FINISHED" } });
    }
    expect(scene.actions.filter(({ type }) => type === "teardown")).toHaveLength(1);
    pass(scene, 1000);
    expect(scene.actions.filter(({ type }) => type === "teardown")).toEqual([]);
    pass(scene, 10_000);
    expect(scene.actions.filter(({ type }) => type === "teardown")).toHaveLength(1);
    scene.feed(REMOVED);
    expect(frameworkView(scene.state).status).toBe("uninstalled");
    pass(scene, 20_000);
    expect(scene.actions).toEqual([]);
  });

  test("that an operator of Mesos cuts short is none: what is left is shown, and given back after a registration", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "uninstallFramework", force: false });
    for (const number of [1, 2]) scene.status(scene.node(number).task?.taskId ?? "", "TASK_KILLED");
    const note = scene.feed(REMOVED).find(({ type }) => type === "note");
    expect(note?.type === "note" && note.text).toContain('and another "ringmaster framework uninstall"');
    expect(frameworkView(scene.state)).toMatchObject({ status: "removed", clusters: [{ name: "demo" }] });
    expect(ask(scene, { type: "registerFramework" })).toEqual({ type: "done" });
    scene.feed({ type: "subscribed", frameworkId: "f-2", heartbeatMs: 15_000, masterVersion: "1.11.0" });
    for (const number of [1, 2, 3]) scene.offer(scene.ownOffer(scene.node(number)));
    for (const { operation } of scene.state.leftovers.values())
      scene.feed({ type: "operation", status: { operationId: operation?.id ?? "", state: "OPERATION_FINISHED" } });
    expect(frameworkView(scene.state)).toMatchObject({ status: "active", clusters: [], leftovers: [] });
    expect(ask(scene, { type: "uninstallFramework", force: false })).toEqual({ type: "done" });
    expect(scene.actions.filter(({ type }) => type === "teardown")).toHaveLength(1);
  });

  test("waits for an agent that is away, unless it is forced", () => {
    const scene = new Scene().deployed();
    scene.status(scene.node(3).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    ask(scene, { type: "uninstallFramework", force: false });
    for (const number of [1, 2]) {
      scene.status(scene.node(number).task?.taskId ?? "", "TASK_KILLED");
      scene.offer(scene.ownOffer(scene.node(number)));
    }
    for (const { operation } of scene.state.leftovers.values())
      if (operation !== undefined)
        scene.feed({ type: "operation", status: { operationId: operation.id, state: "OPERATION_FINISHED" } });
    pass(scene, 10_000);
    const { clusters, leftovers } = frameworkView(scene.state);
    expect([clusters, leftovers.map(({ node }) => node)]).toEqual([[], ["ringmaster-demo-3"]]);
    expect(scene.actions.some(({ type }) => type === "teardown")).toBe(false);
    ask(scene, { type: "uninstallFramework", force: true });
    expect(scene.actions.some(({ type }) => type === "teardown")).toBe(true);
  });
});
