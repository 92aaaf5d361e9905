// Scenes that the simulator has found: each was a defect once.
import { expect, test } from "bun:test";
import { brokenInvariants } from "../../src/scheduler/invariants.ts";
import type { PlanRecord } from "../../src/scheduler/state.ts";
import { planView } from "../../src/scheduler/views.ts";
import { BODY, offerOf, Scene, settled } from "./scene.ts";

test("a plan whose last step is an admin task ends with it", () => {
  const scene = new Scene().deployed();
  const deploy = scene.state.plans.get("demo-deploy-1");
  if (deploy === undefined) throw new Error("there is no plan");
  const task = { taskId: "ringmaster-demo-1.1.flush-9", agentId: "a1" };
  const plan: PlanRecord = {
    ...deploy,
    id: "demo-operate-9",
    kind: "operate",
    status: "running",
    steps: [
      { type: "admin", node: scene.node(1).id, operation: "flush", args: {}, after: [], status: "running", task },
    ],
  };
  scene.state = { ...scene.state, plans: new Map([[plan.id, plan]]) };
  scene.status(task.taskId, "TASK_FINISHED", { agentId: "a1" });
  expect(scene.state.plans.get(plan.id)?.status).toBe("done");
});

test("a node that ends while its steps wait for others is brought back by a plan of its own", () => {
  const scene = new Scene().deployed();
  const deploy = scene.state.plans.get("demo-deploy-1");
  if (deploy === undefined) throw new Error("there is no plan");
  const [first, second] = [scene.node(1).id, scene.node(2).id];
  const plan: PlanRecord = {
    ...deploy,
    id: "demo-restart-2",
    kind: "restart",
    status: "running",
    steps: [
      { type: "admin", node: first, operation: "settle", args: {}, after: [], status: "pending" },
      { type: "stop", node: second, after: [0], status: "pending" },
      { type: "start", node: second, after: [1], status: "pending" },
    ],
  };
  scene.state = { ...scene.state, plans: new Map([[plan.id, plan]]) };
  for (const node of [scene.node(2), scene.node(1)]) scene.status(node.task?.taskId ?? "", "TASK_FAILED");
  const recovering = [...scene.state.plans.values()].filter(({ kind }) => kind === "recover");
  expect(recovering.map(({ steps }) => steps.map(({ type, node }) => `${type} ${node}`))).toEqual([
    [`start ${second}`],
    [`start ${first}`],
  ]);
});

test("offers whose answer was lost on the way are declined again, once, with the next tick", () => {
  const scene = new Scene().deployed();
  const offer = offerOf("a4");
  scene.offer(offer);
  const call = scene.actions.find((action) => action.type === "decline");
  if (call === undefined) throw new Error("the offer was not declined");
  expect(scene.feed({ type: "callFailed", call, message: "connection reset" }).map(({ type }) => type)).toEqual([
    "note",
  ]);
  expect(scene.feed({ type: "tick" })).toEqual([{ type: "decline", offerIds: [offer.id], refuseSeconds: 1 }]);
  expect(scene.feed({ type: "tick" })).toEqual([]);
});

test("a rolling restart stops no node while another is away, and says so", () => {
  const scene = new Scene().deployed();
  scene.feed({ type: "command", id: 7, command: { type: "restartCluster", cluster: "demo" } });
  settled(scene, 1);
  scene.status(scene.node(3).task?.taskId ?? "", "TASK_FAILED");
  scene.nowMs += 60_000;
  scene.feed({ type: "tick" });
  expect(scene.actions.filter(({ type }) => type === "kill")).toEqual([]);
  const plan = scene.state.plans.get("demo-restart-2");
  expect(plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs).steps[1]?.waitsFor).toEqual([
    { check: "node ringmaster-demo-3", found: "down", wanted: "every other member serves while one is restarted" },
  ]);
  const node = scene.node(3);
  scene.offer(scene.ownOffer(node));
  scene.status(scene.node(3).task?.taskId ?? "", "TASK_RUNNING");
  scene.nowMs += 10_000;
  scene.feed({ type: "tick" });
  expect(scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []))).toEqual([
    scene.node(1).task?.taskId ?? "",
  ]);
});

test("a cluster whose agent is out of sight is destroyed, and what is left there goes when the agent comes back", () => {
  const scene = new Scene().deployed();
  const node = scene.node(2);
  const task = node.task?.taskId ?? "";
  scene.feed({ type: "command", id: 7, command: { type: "destroyCluster", cluster: "demo" } });
  scene.status(task, "TASK_UNREACHABLE", { source: "MASTER" });
  expect(scene.nodes().map(({ number }) => number)).toEqual([1, 3]);
  expect([...scene.state.leftovers.keys()]).toEqual([node.place?.reservation ?? ""]);
  scene.nowMs += 60_000;
  scene.status(task, "TASK_RUNNING", { agentId: "a2" });
  expect(scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []))).toContain(task);
  scene.offer(scene.ownOffer(node));
  expect(scene.accepts().map(({ operations }) => operations.map(({ type }) => type))).toEqual([
    ["destroy", "unreserve"],
  ]);
});

test("a release that no agent answers holds its plan up for ten minutes, and stays remembered", () => {
  const scene = new Scene().deployed();
  scene.feed({ type: "command", id: 7, command: { type: "destroyCluster", cluster: "demo" } });
  const reservations = scene.nodes().map(({ place }) => place?.reservation ?? "");
  for (const node of scene.nodes()) scene.status(node.task?.taskId ?? "", "TASK_KILLED");
  scene.nowMs += 599_000;
  scene.feed({ type: "tick" });
  expect(scene.state.clusters.size).toBe(1);
  scene.nowMs += 1000;
  scene.feed({ type: "tick" });
  expect(scene.state.clusters.size).toBe(0);
  expect([...scene.state.leftovers.keys()]).toEqual(reservations);
});

test("a launch that never reached its agent goes elsewhere once the agent shows that it has nothing of it", () => {
  const stories = [
    ["TASK_STAGING", "TASK_DROPPED"],
    ["TASK_UNREACHABLE", "TASK_DROPPED"],
    ["TASK_UNKNOWN", "TASK_GONE"],
  ] as const;
  for (const [meanwhile, end] of stories) {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"));
    const { place, task } = scene.node(1);
    scene.status(task?.taskId ?? "", meanwhile, { source: "MASTER", reason: "RECONCILIATION" });
    scene.status(task?.taskId ?? "", end, { source: "AGENT", reason: "RECONCILIATION" });
    expect([scene.node(1).phase, scene.node(1).place]).toEqual(["down", place]);
    scene.offer(offerOf("a1"));
    expect([scene.node(1).phase, scene.node(1).place]).toEqual(["waiting", undefined]);
  }
});

test("a launch that the agent has forgotten, but not its volume, goes on there: it may have run", () => {
  const scene = new Scene();
  scene.subscribe();
  scene.create();
  scene.offer(offerOf("a1"));
  const node = scene.node(1);
  scene.status(node.task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
  scene.status(node.task?.taskId ?? "", "TASK_GONE", { source: "MASTER", reason: "RECONCILIATION" });
  scene.offer(scene.ownOffer(node));
  expect(scene.accepts().map(({ operations }) => operations.map(({ type }) => type))).toEqual([["launch"]]);
  scene.status(scene.node(1).task?.taskId ?? "", "TASK_DROPPED", { source: "MASTER", reason: "INVALID_OFFERS" });
  expect([scene.node(1).phase, scene.node(1).place]).toEqual(["down", node.place]);
});

test("a launch whose executor was heard of keeps its place", () => {
  const scene = new Scene();
  scene.subscribe();
  scene.create();
  scene.offer(offerOf("a1"));
  const { place, task } = scene.node(1);
  scene.status(task?.taskId ?? "", "TASK_STARTING");
  scene.status(task?.taskId ?? "", "TASK_DROPPED", { source: "AGENT", reason: "RECONCILIATION" });
  expect([scene.node(1).phase, scene.node(1).place]).toEqual(["down", place]);
});

test("nodes that a ring cannot take now are refused in its database's words, and nothing is changed", () => {
  const scene = new Scene();
  scene.state = { ...scene.state, settings: { ...scene.state.settings, sharedStore: "zk://zk.example:2181" } };
  scene.subscribe();
  scene.create({ ...BODY, database: "riak", version: "3.2.3", nodes: 1 });
  scene.offer(offerOf("a1"));
  const task = scene.node(1).task?.taskId ?? "";
  scene.status(task, "TASK_RUNNING");
  scene.status(task, "TASK_RUNNING", { healthy: false });
  const before = scene.state.clusters;
  scene.feed({ type: "command", id: 7, command: { type: "addNodes", cluster: "demo", count: 1 } });
  expect(scene.actions.map((action) => (action.type === "reply" ? action.reply.type : action.type))).toEqual([
    "refused",
  ]);
  expect(scene.state.clusters).toBe(before);
});

test("a rolling restart does not stop a node that is out of sight: it may be one of the last that serve", () => {
  const scene = new Scene().deployed();
  scene.feed({ type: "command", id: 7, command: { type: "restartCluster", cluster: "demo" } });
  for (const node of scene.nodes()) scene.status(node.task?.taskId ?? "", "TASK_UNKNOWN", { source: "MASTER" });
  scene.nowMs += 60_000;
  scene.feed({ type: "tick" });
  expect(scene.state.kills.size).toBe(0);
});

test("a node that comes back while it is being replaced is stopped before its volume is given back", () => {
  const scene = new Scene().deployed();
  const deploy = scene.state.plans.get("demo-deploy-1");
  if (deploy === undefined) throw new Error("there is no plan");
  const old = scene.node(2);
  const plan: PlanRecord = {
    ...deploy,
    id: "demo-replace-2",
    kind: "replace",
    status: "running",
    steps: [{ type: "release", node: old.id, after: [], status: "pending" }],
  };
  scene.state = { ...scene.state, plans: new Map([[plan.id, plan]]) };
  scene.feed({ type: "tick" });
  scene.nowMs += 10_000;
  scene.feed({ type: "tick" });
  expect(scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []))).toEqual([
    old.task?.taskId ?? "",
  ]);
  scene.status(old.task?.taskId ?? "", "TASK_KILLED");
  expect([scene.node(2).phase, [...scene.state.leftovers.keys()]]).toEqual([
    "releasing",
    [old.place?.reservation ?? ""],
  ]);
});

test("a removal that is given up while its volume goes back ends its node all the same, and the volume goes", () => {
  const scene = new Scene().deployed();
  const deploy = scene.state.plans.get("demo-deploy-1");
  if (deploy === undefined) throw new Error("there is no plan");
  const old = scene.node(3);
  const steps: PlanRecord["steps"] = [
    { type: "stop", node: old.id, after: [], status: "pending" },
    { type: "release", node: old.id, after: [0], status: "pending" },
  ];
  const plan: PlanRecord = { ...deploy, id: "demo-leave-2", kind: "leave", status: "running", steps };
  scene.state = { ...scene.state, plans: new Map([[plan.id, plan]]) };
  scene.feed({ type: "tick" });
  scene.nowMs += 10_000;
  scene.feed({ type: "tick" });
  scene.status(old.task?.taskId ?? "", "TASK_KILLED");
  expect(scene.node(3).phase).toBe("releasing");
  scene.feed({ type: "command", id: 7, command: { type: "abortPlan", plan: plan.id } });
  expect(scene.phases()).toEqual({ 1: "running", 2: "running" });
  scene.offer(scene.ownOffer(old));
  const [accept] = scene.accepts();
  const operationId =
    accept?.operations.flatMap((operation) => ("id" in operation ? (operation.id ?? []) : []))[0] ?? "";
  scene.feed({ type: "operation", status: { operationId, state: "OPERATION_FINISHED" } });
  expect(scene.state.leftovers.size).toBe(0);
});

test("a node that two plans want to start is launched once", () => {
  const scene = new Scene();
  scene.subscribe();
  scene.create({ ...BODY, nodes: 1 });
  const deploy = scene.state.plans.get("demo-deploy-1");
  if (deploy === undefined) throw new Error("there is no plan");
  const second: PlanRecord = { ...deploy, id: "demo-start-2", kind: "start" };
  scene.state = { ...scene.state, plans: new Map([...scene.state.plans, [second.id, second]]) };
  scene.offer(offerOf("a1"), offerOf("a2"));
  const [task, ...more] = scene.launched();
  expect([task?.name, more]).toEqual(["ringmaster-demo-1", []]);
  scene.status(task?.taskId ?? "", "TASK_RUNNING");
  expect([...scene.state.plans.values()].map(({ status }) => status)).toEqual(["done", "done"]);
});

test("a second launch of one node breaks an invariant", () => {
  const scene = new Scene();
  scene.subscribe();
  scene.create({ ...BODY, nodes: 1 });
  scene.offer(offerOf("a1"));
  const [launched] = scene.launched();
  const one = scene.node(1);
  if (one.task === undefined || launched === undefined) throw new Error("nothing was launched");
  const task = { ...launched, taskId: `${one.id}.99.server` };
  const launch = { type: "launch" as const, tasks: [task] };
  const accept = { type: "accept" as const, offerIds: ["o"], operations: [launch], refuseSeconds: 1 };
  expect(brokenInvariants(scene.state, { state: scene.state, actions: [accept] })).toEqual([
    `Task "${task.taskId}" is launched, node "${one.id}" has task "${one.task.taskId}"`,
  ]);
});

test("a rolling restart stops no node before Mesos has told about the others, after the scheduler was away", () => {
  const before = new Scene().deployed();
  before.feed({ type: "command", id: 7, command: { type: "restartCluster", cluster: "demo" } });
  settled(before, 1);
  const scene = before.restarted();
  scene.nowMs += 60_000;
  scene.feed({ type: "tick" });
  scene.subscribe();
  const told = (number: number): readonly string[] => {
    scene.status(scene.node(number).task?.taskId ?? "", "TASK_RUNNING", { reason: "RECONCILIATION" });
    return scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []));
  };
  expect([told(1), told(2), told(3)]).toEqual([[], [], [scene.node(1).task?.taskId ?? ""]]);
});
