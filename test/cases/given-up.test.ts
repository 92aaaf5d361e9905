// Scenes about what an operator gave up: plans aborted half-way, nodes removed twice, agents that never come back.
import { describe, expect, test } from "bun:test";
import type { Command, Reply } from "../../src/scheduler/events.ts";
import { endpointsOf } from "../../src/scheduler/endpoints.ts";
import type { NodeRecord } from "../../src/scheduler/state.ts";
import { adminOffer, BODY, offerOf, Scene, settled } from "./scene.ts";

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

/** Lets the plan's open admin step run and end; returns what it was. */
function adminStep(scene: Scene, state: "TASK_FINISHED" | "TASK_FAILED" = "TASK_FINISHED"): string {
  for (const node of scene.nodes()) {
    scene.nowMs += 600_000;
    const whole = scene.ownOffer(node);
    const resources = whole.resources.filter(({ name }) => name === "cpus" || name === "mem");
    scene.offer({ ...whole, resources });
    const [task] = scene.launched();
    if (task === undefined) continue;
    scene.status(task.taskId, state, { agentId: task.agentId });
    return task.name;
  }
  return "none";
}

/** An operator stops the node, and its task ends. */
function stop(scene: Scene, node: NodeRecord): void {
  ask(scene, { type: "stopNode", cluster: "demo", node: node.id });
  scene.nowMs += 10_000;
  scene.feed({ type: "tick" });
  scene.status(node.task?.taskId ?? "", "TASK_KILLED");
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
    settled(scene, 2);
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
    settled(scene, 2);
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

  test("is what it was when a removal is aborted, but the node is not asked about a ring that it may have left", () => {
    const scene = riakRing();
    const removed = ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: false });
    expect(adminStep(scene)).toBe("settle ringmaster-demo-1");
    scene.nowMs += 600_000;
    scene.offer(adminOffer(scene, 1));
    expect(scene.launched().map(({ name }) => name)).toEqual(["leave ringmaster-demo-1"]);
    ask(scene, { type: "abortPlan", plan: removed.type === "accepted" ? removed.plan : "" });
    expect([count(scene), scene.node(3).outside]).toEqual([3, "joining"]);
    ask(scene, { type: "startNode", cluster: "demo", node: scene.node(3).id });
    expect([adminStep(scene), adminStep(scene)]).toEqual(["settle ringmaster-demo-1", "join ringmaster-demo-3"]);
  });

  test("is what it was when the removal is aborted", () => {
    const scene = riakRing();
    const removed = ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: false });
    expect(count(scene)).toBe(2);
    ask(scene, { type: "abortPlan", plan: removed.type === "accepted" ? removed.plan : "" });
    expect(count(scene)).toBe(3);
  });
});

test("a node whose volume is being given back is not kept when that is aborted, nor waited for", () => {
  const scene = riakRing();
  const old = scene.node(3);
  stop(scene, old);
  const removed = ask(scene, { type: "removeNode", cluster: "demo", node: old.id, force: true });
  const plan = removed.type === "accepted" ? removed.plan : "";
  expect(adminStep(scene)).toBe("force-remove ringmaster-demo-1");
  scene.feed({ type: "tick" });
  expect(scene.node(3).phase).toBe("releasing");
  ask(scene, { type: "abortPlan", plan });
  expect(scene.phases()).toEqual({ 1: "running", 2: "running" });
  expect(count(scene)).toBe(2);
  expect([...scene.state.leftovers.keys()]).toEqual([old.place?.reservation ?? ""]);
});

describe("an agent that never comes back", () => {
  test("keeps no stopped node from being replaced", () => {
    const scene = riakRing();
    const old = scene.node(3);
    stop(scene, old);
    expect(scene.node(3).phase).toBe("stopped");
    expect(ask(scene, { type: "replaceNode", cluster: "demo", node: old.id }).type).toBe("accepted");
  });

  test("is asked for at every reconciliation, and what is on it is lost or done with once Mesos says that it is gone", () => {
    const scene = riakRing();
    const [removed, stopped] = [scene.node(2), scene.node(3)];
    stop(scene, stopped);
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
    stop(scene, node);
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

describe("a node beside its ring", () => {
  /** Two nodes whose ring the second has not been joined to yet. */
  function beside(): Scene {
    const scene = new Scene();
    scene.state = { ...scene.state, settings: { ...scene.state.settings, sharedStore: "zk://zk.example:2181" } };
    scene.subscribe();
    scene.create({ ...BODY, database: "riak", version: "3.2.3", nodes: 2 });
    for (const agent of ["a1", "a2"]) {
      scene.offer(offerOf(agent));
      scene.nowMs += 1000;
      for (const { taskId } of scene.launched()) scene.status(taskId, "TASK_RUNNING");
    }
    return scene;
  }

  test("serves no clients, and is asked nothing about the ring, until its join has ended", () => {
    const scene = beside();
    expect(scene.nodes().map(({ joined, outside }) => [joined, outside])).toEqual([
      [true, undefined],
      [true, "joining"],
    ]);
    expect(endpointStates(scene)).toEqual(["serving"]);
    expect([adminStep(scene), adminStep(scene)]).toEqual(["join ringmaster-demo-2", "commit ringmaster-demo-1"]);
    expect(scene.node(2).outside).toBe(undefined);
    expect(endpointStates(scene)).toEqual(["serving", "serving"]);
  });

  test("is not the one that takes others out of the ring, nor the one that others join", () => {
    const scene = beside();
    ask(scene, { type: "abortPlan", plan: "demo-deploy-1" });
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_RUNNING", { healthy: false });
    expect(ask(scene, { type: "addNodes", cluster: "demo", count: 1 })).toMatchObject({ why: "conflict" });
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_FAILED", { labels: { "ringmaster.failure": "empty-volume" } });
    const replaced = ask(scene, { type: "replaceNode", cluster: "demo", node: scene.node(1).id });
    // With the ring's only member gone, the one beside it is what the ring begins with again.
    const plan = scene.state.plans.get(replaced.type === "accepted" ? replaced.plan : "");
    expect(plan?.steps.map(({ operation, type, node }) => `${operation ?? type} ${node?.at(-1)}`)).toEqual([
      "down 2",
      "start 3",
      "join 3",
      "force-replace 2",
      "settle 2",
      "release 1",
    ]);
  });

  test("is joined by a start, when its join was given up", () => {
    const scene = beside();
    ask(scene, { type: "abortPlan", plan: "demo-deploy-1" });
    expect(ask(scene, { type: "startNode", cluster: "demo", node: scene.node(2).id }).type).toBe("accepted");
    const steps = [adminStep(scene), adminStep(scene), adminStep(scene)];
    expect(steps).toEqual(["settle ringmaster-demo-1", "join ringmaster-demo-2", "commit ringmaster-demo-1"]);
    expect(scene.node(2).outside).toBe(undefined);
  });

  test("is in it when its commit ends after the plan was aborted", () => {
    const scene = beside();
    adminStep(scene);
    scene.nowMs += 600_000;
    const whole = scene.ownOffer(scene.node(1));
    scene.offer({ ...whole, resources: whole.resources.filter(({ name }) => name === "cpus" || name === "mem") });
    const [commit] = scene.launched();
    ask(scene, { type: "abortPlan", plan: "demo-deploy-1" });
    expect(scene.node(2).outside).toBe("joining");
    scene.status(commit?.taskId ?? "", "TASK_FINISHED", { agentId: "a1" });
    expect(scene.node(2).outside).toBe(undefined);
  });

  test("is staged again when the commit fails: the claimant may have forgotten it", () => {
    const scene = beside();
    expect(adminStep(scene)).toBe("join ringmaster-demo-2");
    expect(adminStep(scene, "TASK_FAILED")).toBe("commit ringmaster-demo-1");
    expect([adminStep(scene), adminStep(scene)]).toEqual(["join ringmaster-demo-2", "commit ringmaster-demo-1"]);
  });

  test("is one that has left: clients are not sent there any more", () => {
    const scene = riakRing();
    for (const number of [2, 3]) ask(scene, { type: "startNode", cluster: "demo", node: scene.node(number).id });
    ask(scene, { type: "abortPlan", plan: "demo-start-2" });
    ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: false });
    expect([adminStep(scene), adminStep(scene)]).toEqual(["settle ringmaster-demo-1", "leave ringmaster-demo-1"]);
    expect(scene.node(3).outside).toBe("left");
  });
});

test("a leave whose host is gone does not count as done: the plan ends, and the node keeps its data", () => {
  const scene = riakRing();
  const node = scene.node(3);
  const removed = ask(scene, { type: "removeNode", cluster: "demo", node: node.id, force: false });
  const id = removed.type === "accepted" ? removed.plan : "";
  const host = scene.state.plans.get(id)?.steps[0]?.node ?? "";
  const cluster = scene.state.clusters.get("demo");
  if (cluster === undefined) throw new Error("there is no cluster");
  // Its heir has joined, and what it had was given back.
  const nodes = new Map([...cluster.nodes].filter(([other]) => other !== host));
  scene.state = { ...scene.state, clusters: new Map([["demo", { ...cluster, nodes }]]) };
  scene.feed({ type: "tick" });
  expect(scene.state.plans.get(id)?.status).toBe("aborted");
  expect(scene.node(3)).toEqual(node);
  expect(scene.actions.flatMap((action) => (action.type === "note" ? [action.text] : []))).toEqual([
    `Plan ${id} is aborted: node "${host}", which was to do "settle", is gone`,
  ]);
});

describe("a replacement", () => {
  /** Four nodes that run; the data of node 2 is gone, and an operator has it replaced: its heir is the fifth. */
  function replacing(): { readonly scene: Scene; readonly plan: string } {
    const scene = new Scene();
    scene.subscribe();
    scene.create({ ...BODY, nodes: 4 });
    for (const agent of ["a1", "a2", "a3", "a4"]) {
      scene.nowMs += 60_000;
      scene.offer(offerOf(agent));
      for (const { taskId } of scene.launched()) scene.status(taskId, "TASK_RUNNING");
    }
    scene.status(scene.node(2).task?.taskId ?? "", "TASK_GONE", { source: "MASTER" });
    const replaced = ask(scene, { type: "replaceNode", cluster: "demo", node: scene.node(2).id });
    return { scene, plan: replaced.type === "accepted" ? replaced.plan : "" };
  }

  /** Lets the check of the plan, on node 1, be done. */
  function checked({ scene, plan }: { readonly scene: Scene; readonly plan: string }): void {
    scene.offer(adminOffer(scene, 1));
    scene.status(scene.state.plans.get(plan)?.steps[0]?.task?.taskId ?? "", "TASK_FINISHED");
    expect(scene.state.plans.get(plan)?.steps.map(({ status }) => status)).toEqual(["done", "pending", "pending"]);
  }

  test("is not begun beside another, for a node which looked whether that one's is dead", () => {
    const { scene, plan } = replacing();
    checked({ scene, plan });
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_GONE", { source: "MASTER" });
    expect(ask(scene, { type: "replaceNode", cluster: "demo", node: scene.node(1).id })).toMatchObject({
      type: "refused",
      message: `Cannot change cluster "demo": plan "${plan}" is at work; wait for it, or abort it`,
    });
  });

  test("that is given up after its heir has begun leaves no plan that wants the old node back", () => {
    const { scene, plan } = replacing();
    checked({ scene, plan });
    scene.offer(offerOf("a5"));
    expect(scene.node(5).phase).toBe("launching");
    scene.feed({ type: "tick" });
    ask(scene, { type: "abortPlan", plan });
    expect(ask(scene, { type: "startNode", cluster: "demo", node: scene.node(2).id })).toMatchObject({
      message: `Cannot start node "${scene.node(2).id}": its ring goes on without it; replace it, or force its removal`,
    });
    const open = [...scene.state.plans.values()].filter(({ status }) => status === "running");
    expect(open.map(({ id }) => id)).toEqual([]);
  });

  test("of a node that its ring has let go is by one that is new to the ring", () => {
    const { scene, plan } = replacing();
    ask(scene, { type: "abortPlan", plan });
    const removed = ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(2).id, force: true });
    const removal = removed.type === "accepted" ? removed.plan : "";
    scene.offer(adminOffer(scene, 1));
    ask(scene, { type: "abortPlan", plan: removal });
    // The end of the removal comes after the plan's: the node is kept, and out of its ring.
    const task = scene.state.plans.get(removal)?.steps[0]?.task?.taskId ?? "";
    scene.status(task, "TASK_FINISHED", { agentId: "a1" });
    expect(scene.node(2).outside).toBe("left");
    const replaced = ask(scene, { type: "replaceNode", cluster: "demo", node: scene.node(2).id });
    const steps = scene.state.plans.get(replaced.type === "accepted" ? replaced.plan : "")?.steps;
    expect(steps?.map(({ operation, type }) => operation ?? type)).toEqual(["removenode", "start", "release"]);
    const heir = scene.nodes().at(-1);
    expect(heir?.replaces).toEqual({ node: scene.node(2).id, rack: "rack1" });
  });

  test("that begins again with the heir there is needs another member to serve besides it", () => {
    const scene = riakRing();
    const old = { type: "replaceNode", cluster: "demo", node: scene.node(3).id } as const;
    scene.status(scene.node(3).task?.taskId ?? "", "TASK_GONE", { source: "MASTER" });
    const first = ask(scene, old);
    const plan = first.type === "accepted" ? first.plan : "";
    const host = scene.state.plans.get(plan)?.steps[0]?.node === scene.node(1).id ? 1 : 2;
    scene.offer(adminOffer(scene, host));
    scene.status(scene.state.plans.get(plan)?.steps[0]?.task?.taskId ?? "", "TASK_FINISHED");
    scene.offer(offerOf("a4"));
    scene.status(scene.node(4).task?.taskId ?? "", "TASK_RUNNING");
    ask(scene, { type: "abortPlan", plan });
    for (const number of [1, 2]) scene.status(scene.node(number).task?.taskId ?? "", "TASK_FAILED");
    expect(ask(scene, old)).toMatchObject({
      type: "refused",
      message: `Cannot replace ${old.node}: found none of ringmaster-demo-1, ringmaster-demo-2 serving, wanted one`,
    });
  });
});
