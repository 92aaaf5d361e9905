// Scenes about what an operator gave up: plans aborted half-way, nodes removed twice, agents that never come back.
import { describe, expect, test } from "bun:test";
import type { Command, Reply } from "../../src/scheduler/events.ts";
import { endpointsOf } from "../../src/scheduler/endpoints.ts";
import { BODY, offerOf, Scene } from "./scene.ts";

function ask(scene: Scene, command: Command): Reply {
  const actions = scene.feed({ type: "command", id: 7, command });
  const reply = actions.find((action) => action.type === "reply");
  if (reply?.type !== "reply") throw new Error("there is no reply");
  return reply.reply;
}

/** Three nodes of a Riak ring that all run. */
function riakRing(): Scene {
  const scene = new Scene();
  scene.state = { ...scene.state, settings: { ...scene.state.settings, sharedStore: "zk://zk.example:2181" } };
  scene.subscribe();
  scene.create({ ...BODY, database: "riak", version: "3.2.3" });
  for (const agents of [["a1"], ["a2", "a3"]]) {
    scene.offer(...agents.map((agent) => offerOf(agent)));
    for (const { taskId } of scene.launched()) {
      scene.nowMs += 1000;
      scene.status(taskId, "TASK_RUNNING");
    }
  }
  scene.feed({ type: "command", id: 6, command: { type: "abortPlan", plan: "demo-deploy-1" } });
  expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running" });
  return scene;
}

function count(scene: Scene): number | undefined {
  return scene.state.clusters.get("demo")?.record.spec.nodes;
}

function endpointStates(scene: Scene): readonly string[] {
  const cluster = scene.state.clusters.get("demo");
  return cluster === undefined ? [] : endpointsOf(cluster).map(({ state }) => state);
}

describe("a node that drains", () => {
  test("serves again when its plan is aborted", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "restartNode", cluster: "demo", node: scene.node(2).id });
    expect(endpointStates(scene)).toEqual(["serving", "draining", "serving"]);
    ask(scene, { type: "abortPlan", plan: "demo-restart-2" });
    expect(endpointStates(scene)).toEqual(["serving", "serving", "serving"]);
    scene.nowMs += 60_000;
    scene.feed({ type: "tick" });
    expect(scene.state.kills.size).toBe(0);
  });

  test("serves again while it must not be stopped, since another member is away", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "restartNode", cluster: "demo", node: scene.node(2).id });
    scene.status(scene.node(3).task?.taskId ?? "", "TASK_FAILED");
    expect(endpointStates(scene)).toEqual(["serving", "serving"]);
  });
});

describe("the number of nodes", () => {
  test("falls by one however often the removal of a node is forced", () => {
    const scene = riakRing();
    for (let time = 0; time < 3; time++) {
      const removal = { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: true } as const;
      expect(ask(scene, removal).type).toBe("accepted");
      expect(count(scene)).toBe(2);
    }
  });

  test("is what it was when the removal is aborted", () => {
    const scene = riakRing();
    const removed = ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: false });
    expect(count(scene)).toBe(2);
    ask(scene, { type: "abortPlan", plan: removed.type === "accepted" ? removed.plan : "" });
    expect(count(scene)).toBe(3);
  });
});

describe("an agent that never comes back", () => {
  test("keeps no stopped node from being replaced", () => {
    const scene = riakRing();
    const old = scene.node(3);
    ask(scene, { type: "stopNode", cluster: "demo", node: old.id });
    scene.nowMs += 10_000;
    scene.feed({ type: "tick" });
    scene.status(old.task?.taskId ?? "", "TASK_KILLED");
    expect(scene.node(3).phase).toBe("stopped");
    expect(ask(scene, { type: "replaceNode", cluster: "demo", node: old.id }).type).toBe("accepted");
  });

  test("is asked for at every reconciliation, and what is on it is lost or done with once Mesos says that it is gone", () => {
    const scene = riakRing();
    const [removed, stopped] = [scene.node(2), scene.node(3)];
    ask(scene, { type: "stopNode", cluster: "demo", node: stopped.id });
    scene.nowMs += 10_000;
    scene.feed({ type: "tick" });
    scene.status(stopped.task?.taskId ?? "", "TASK_KILLED");
    scene.status(removed.task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    ask(scene, { type: "destroyCluster", cluster: "demo" });
    const places = [removed, stopped].map(({ place }) => ({
      taskId: `${place?.reservation}.server`,
      agentId: place?.agentId ?? "",
    }));
    scene.nowMs += 900_000;
    scene.feed({ type: "tick" });
    const asked = scene.actions.flatMap((action) => (action.type === "reconcile" ? action.tasks : []));
    expect(asked.filter(({ taskId }) => places.some((place) => place.taskId === taskId))).toEqual(places);
    for (const { taskId, agentId } of places) {
      scene.status(taskId, "TASK_GONE_BY_OPERATOR", { agentId, source: "MASTER", reason: "RECONCILIATION" });
      expect([...scene.state.leftovers.values()].filter(({ place }) => place.agentId === agentId)).toEqual([]);
    }
  });

  test("makes a stopped node of it a lost one", () => {
    const scene = riakRing();
    const node = scene.node(3);
    ask(scene, { type: "stopNode", cluster: "demo", node: node.id });
    scene.nowMs += 10_000;
    scene.feed({ type: "tick" });
    scene.status(node.task?.taskId ?? "", "TASK_KILLED");
    const { agentId = "", reservation = "" } = node.place ?? {};
    const gone = { agentId, source: "MASTER", reason: "RECONCILIATION" } as const;
    // Out of sight is not gone, and there is nothing to kill.
    scene.status(`${reservation}.server`, "TASK_UNREACHABLE", gone);
    expect([scene.node(3).phase, scene.state.kills.size]).toEqual(["stopped", 0]);
    scene.status(`${reservation}.server`, "TASK_GONE_BY_OPERATOR", gone);
    expect(scene.node(3).phase).toBe("lost");
  });

  test("keeps offers flowing for ten minutes, then for a minute in each hour", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    ask(scene, { type: "destroyCluster", cluster: "demo" });
    for (const { task } of [scene.node(1), scene.node(3)]) scene.status(task?.taskId ?? "", "TASK_KILLED");
    scene.status(node.task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    for (const other of [1, 3]) scene.offer(scene.ownOffer(scene.node(other)));
    for (const leftover of scene.state.leftovers.values()) {
      if (leftover.operation === undefined) continue;
      const operationId = leftover.operation.id;
      scene.feed({ type: "operation", status: { operationId, state: "OPERATION_FINISHED" } });
    }
    expect([...scene.state.leftovers.keys()]).toEqual([node.place?.reservation ?? ""]);
    const beganMs = scene.nowMs;
    const flowing: number[] = [];
    for (let minute = 0; minute < 150; minute++) {
      scene.nowMs = beganMs + minute * 60_000;
      scene.feed({ type: "tick" });
      if (!scene.state.offers.suppressed) flowing.push(minute);
    }
    expect(flowing).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 60, 120]);
    // Whenever it shows up, it is served.
    scene.feed({ type: "tick" });
    scene.offer(scene.ownOffer(node));
    expect(scene.accepts().map(({ operations }) => operations.map(({ type }) => type))).toEqual([
      ["destroy", "unreserve"],
    ]);
  });
});
