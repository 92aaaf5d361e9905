// Changes of a running cluster through whole scenes: plans with stops, starts and admin tasks.
import { describe, expect, test } from "bun:test";
import type { AdminTask } from "../../src/databases/node.ts";
import { planView } from "../../src/scheduler/views.ts";
import { adminOffer, ask, BODY, nodeTaskOf, offerOf, pass, settled, Scene, steps } from "./scene.ts";

describe("a rolling restart", () => {
  test("drains, stops and starts one node after the other, each on its own volume", () => {
    const scene = new Scene().deployed();
    expect(ask(scene, { type: "restartCluster", cluster: "demo" })).toEqual({
      type: "accepted",
      plan: "demo-restart-2",
      cluster: "demo",
    });
    for (const number of [1, 2, 3]) {
      const node = scene.node(number);
      settled(scene, number);
      expect(scene.actions.filter(({ type }) => type === "kill")).toEqual([]);
      expect(scene.node(number).drainUntilMs).toBe(scene.nowMs + 10_000);
      pass(scene, 10_000);
      expect(scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []))).toEqual([
        node.task?.taskId ?? "",
      ]);
      scene.status(node.task?.taskId ?? "", "TASK_KILLED");
      expect(scene.node(number).phase).toBe("stopped");
      scene.offer(scene.ownOffer(node));
      const [task] = scene.launched();
      expect(task === undefined ? undefined : nodeTaskOf(task).expectData).toBe(true);
      expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running", [number]: "launching" });
      scene.nowMs += 1000;
      scene.status(task?.taskId ?? "", "TASK_RUNNING");
    }
    expect(scene.state.plans.get("demo-restart-2")?.status).toBe("done");
    expect(scene.nodes().filter(({ drainUntilMs }) => drainUntilMs !== undefined)).toEqual([]);
  });

  test("tells directors that a node drains before it is stopped, and takes its endpoint away with it", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    ask(scene, { type: "restartNode", cluster: "demo", node: node.id });
    settled(scene, 2);
    const saved = scene.actions.find((action) => action.type === "save" && action.path === `endpoints/${node.id}`);
    expect(saved?.type === "save" ? (saved.record as { state: string }).state : undefined).toBe("draining");
    pass(scene, 10_000);
    expect(scene.actions).toContainEqual({ type: "forget", path: `endpoints/${node.id}` });
  });

  test("goes on after the scheduler was killed in the middle", () => {
    const before = new Scene().deployed();
    ask(before, { type: "restartCluster", cluster: "demo" });
    settled(before, 1);
    pass(before, 10_000);
    const scene = before.restarted();
    scene.subscribe();
    const task = scene.node(1).task?.taskId ?? "";
    scene.status(task, "TASK_KILLED", { reason: "RECONCILIATION" });
    for (const number of [2, 3])
      scene.status(scene.node(number).task?.taskId ?? "", "TASK_RUNNING", { reason: "RECONCILIATION" });
    scene.offer(scene.ownOffer(scene.node(1)));
    expect(scene.launched()).toHaveLength(1);
  });
});

describe("changing a cluster", () => {
  test("a new configuration is checked whole, saved, and taken over by a rolling restart", () => {
    const scene = new Scene().deployed();
    const change = { settings: { "cassandra.yaml": { num_tokens: 8 } } };
    expect(ask(scene, { type: "updateCluster", cluster: "demo", change })).toEqual({
      type: "accepted",
      plan: "demo-configure-2",
      cluster: "demo",
    });
    expect(scene.state.clusters.get("demo")?.record.config).toBe(2);
    settled(scene, 1);
    pass(scene, 10_000);
    const node = scene.node(1);
    scene.status(node.task?.taskId ?? "", "TASK_KILLED");
    scene.offer(scene.ownOffer(node));
    const [task] = scene.launched();
    expect(task === undefined ? undefined : nodeTaskOf(task).settings).toEqual(change.settings);
  });

  test("a change that changes nothing restarts nothing", () => {
    const scene = new Scene().deployed();
    const change = { version: "5.0.4", settings: {}, constraints: "hostname:UNIQUE" };
    expect(ask(scene, { type: "updateCluster", cluster: "demo", change })).toMatchObject({ type: "accepted" });
    expect(scene.state.plans.get("demo-configure-2")).toMatchObject({ status: "done", steps: [] });
    expect(scene.state.clusters.get("demo")?.record).toMatchObject({
      config: 1,
      spec: { constraints: [{ field: "hostname", operator: "UNIQUE" }] },
    });
  });

  test("what cannot change, and what is wrong, is refused with every fault and changes nothing", () => {
    const scene = new Scene().deployed();
    const before = scene.state.clusters;
    const change = { nodes: 5, datacenter: "dc2", settings: { "cassandra.yaml": { listen_address: "x" } } };
    const reply = ask(scene, { type: "updateCluster", cluster: "demo", change });
    expect(reply.type === "refused" ? reply.faults.map(({ path }) => path) : []).toEqual([
      "nodes",
      "datacenter",
      'settings."cassandra.yaml".listen_address',
    ]);
    expect(scene.state.clusters).toBe(before);
  });

  test("a second change waits for the first: it is refused, until the first is aborted", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "restartCluster", cluster: "demo" });
    expect(ask(scene, { type: "addNodes", cluster: "demo", count: 1 })).toMatchObject({
      type: "refused",
      why: "conflict",
    });
    expect(ask(scene, { type: "abortPlan", plan: "demo-restart-2" })).toEqual({
      type: "accepted",
      plan: "demo-restart-2",
      cluster: "demo",
    });
    expect(ask(scene, { type: "addNodes", cluster: "demo", count: 1 })).toMatchObject({ type: "accepted" });
    expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running", 4: "waiting" });
    scene.offer(offerOf("a4"));
    expect(scene.launched().map(({ taskId }) => taskId)).toEqual(["ringmaster-demo-4.4.server"]);
  });
});

describe("removing a node", () => {
  test("it hands its data over by an admin task on its own executor, then stops, then its volume is given back", () => {
    const scene = new Scene().deployed();
    const node = scene.node(3);
    expect(ask(scene, { type: "removeNode", cluster: "demo", node: node.id, force: false })).toMatchObject({
      type: "accepted",
      plan: "demo-leave-2",
    });
    scene.offer(adminOffer(scene, 3));
    const [admin] = scene.launched();
    expect(admin?.executor).toEqual(node.task?.executor as never);
    expect(admin?.taskId).toBe("ringmaster-demo-3.3.decommission-4");
    const data = JSON.parse(new TextDecoder().decode(admin?.data)) as AdminTask;
    expect([data.operation, data.members.length]).toEqual(["decommission", 3]);
    expect(steps(scene, "demo-leave-2")).toEqual(["decommission 3 running", "stop 3 pending", "release 3 pending"]);

    scene.status(admin?.taskId ?? "", "TASK_RUNNING", { message: "streaming 2 of 8", agentId: "a3" });
    const plan = scene.state.plans.get("demo-leave-2");
    expect(plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs).steps[0]?.waitsFor).toEqual([
      { check: "decommission", found: "streaming 2 of 8", wanted: "the end of the operation" },
    ]);
    scene.status(admin?.taskId ?? "", "TASK_FINISHED", { agentId: "a3" });
    pass(scene, 10_000);
    scene.status(node.task?.taskId ?? "", "TASK_KILLED");
    scene.offer(scene.ownOffer(node));
    const [accept] = scene.accepts();
    const operationId =
      accept?.operations.flatMap((operation) => ("id" in operation ? (operation.id ?? []) : []))[0] ?? "";
    scene.feed({ type: "operation", status: { operationId, state: "OPERATION_FINISHED" } });
    expect(scene.phases()).toEqual({ 1: "running", 2: "running" });
    expect(scene.state.clusters.get("demo")?.record.spec.nodes).toBe(2);
    expect(scene.state.plans.get("demo-leave-2")?.status).toBe("done");
  });

  test("an admin task that failed is tried again later, under another id, and says why", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: false });
    scene.offer(adminOffer(scene, 3));
    const [first] = scene.launched();
    scene.status(first?.taskId ?? "", "TASK_FAILED", { message: "not enough live nodes", agentId: "a3" });
    scene.offer(adminOffer(scene, 3));
    expect(scene.launched()).toEqual([]);
    const plan = scene.state.plans.get("demo-leave-2");
    const [wait] = plan === undefined ? [] : (planView(scene.state, plan, scene.nowMs).steps[0]?.waitsFor ?? []);
    expect(wait?.found).toBe("1 failures in a row, the last: TASK_FAILED: not enough live nodes");
    pass(scene, 5000);
    scene.offer(adminOffer(scene, 3));
    expect(scene.launched().map(({ taskId }) => taskId)).toEqual(["ringmaster-demo-3.3.decommission-5"]);
  });

  test("a scheduler that was killed asks for the admin task as well, and does not launch it twice", () => {
    const before = new Scene().deployed();
    ask(before, { type: "removeNode", cluster: "demo", node: before.node(3).id, force: false });
    before.offer(adminOffer(before, 3));
    const [admin] = before.launched();
    const scene = before.restarted();
    const asked = scene.subscribe().find((action) => action.type === "reconcile");
    expect(asked?.type === "reconcile" ? asked.tasks.map(({ taskId }) => taskId) : []).toContain(admin?.taskId ?? "");
    for (const { task } of scene.nodes())
      scene.status(task?.taskId ?? "", "TASK_RUNNING", { reason: "RECONCILIATION" });
    scene.status(admin?.taskId ?? "", "TASK_RUNNING", { reason: "RECONCILIATION", agentId: "a3" });
    scene.offer(adminOffer(scene, 3));
    expect(scene.launched()).toEqual([]);
    scene.status(admin?.taskId ?? "", "TASK_FINISHED", { agentId: "a3" });
    expect(steps(scene, "demo-leave-2")[0]).toBe("decommission 3 done");
  });

  test("the last node, and one that cannot hand over, are not removed without force", () => {
    const one = new Scene();
    one.subscribe();
    one.create({ ...BODY, nodes: 1 });
    one.offer(offerOf("a1"));
    one.status("ringmaster-demo-1.1.server", "TASK_RUNNING");
    expect(ask(one, { type: "removeNode", cluster: "demo", node: "ringmaster-demo-1", force: true })).toMatchObject({
      why: "conflict",
    });
    const three = new Scene().deployed();
    three.status(three.node(2).task?.taskId ?? "", "TASK_FAILED");
    expect(ask(three, { type: "removeNode", cluster: "demo", node: three.node(2).id, force: false })).toMatchObject({
      why: "conflict",
    });
  });
});

test("a plan whose last step is an operation is done with it", () => {
  const scene = new Scene().deployed();
  ask(scene, { type: "operate", cluster: "demo", node: scene.node(1).id, operation: "flush", args: {} });
  scene.offer(adminOffer(scene, 1));
  const [admin] = scene.launched();
  scene.status(admin?.taskId ?? "", "TASK_FINISHED", { agentId: "a1" });
  expect(scene.state.plans.get("demo-operate-2")?.status).toBe("done");
});

describe("what a database cannot do", () => {
  test("is refused in its own words, and changes nothing", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    for (const { task } of scene.nodes()) scene.status(task?.taskId ?? "", "TASK_FAILED");
    const before = scene.state.clusters;
    expect(ask(scene, { type: "replaceNode", cluster: "demo", node: node.id })).toMatchObject({
      type: "refused",
      why: "conflict",
    });
    expect(ask(scene, { type: "removeNode", cluster: "demo", node: node.id, force: true })).toMatchObject({
      why: "conflict",
    });
    expect(scene.state.clusters).toBe(before);
  });
});

describe("single nodes", () => {
  test("a stopped node keeps its volume and stays down until it is started", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    ask(scene, { type: "stopNode", cluster: "demo", node: node.id });
    pass(scene, 10_000);
    scene.status(node.task?.taskId ?? "", "TASK_KILLED");
    expect(scene.state.plans.get("demo-stop-2")?.status).toBe("done");
    scene.offer(scene.ownOffer(node));
    expect(scene.accepts()).toEqual([]);
    ask(scene, { type: "startNode", cluster: "demo", node: node.id });
    scene.offer(scene.ownOffer(node));
    expect(scene.launched()).toHaveLength(1);
  });

  test("a plan that is aborted kills its admin task", () => {
    const scene = new Scene().deployed();
    ask(scene, { type: "removeNode", cluster: "demo", node: scene.node(3).id, force: false });
    scene.offer(adminOffer(scene, 3));
    const [admin] = scene.launched();
    ask(scene, { type: "abortPlan", plan: "demo-leave-2" });
    expect(scene.actions.filter(({ type }) => type === "kill")).toEqual([
      { type: "kill", taskId: admin?.taskId ?? "", agentId: "a3" },
    ]);
    scene.status(admin?.taskId ?? "", "TASK_KILLED", { agentId: "a3" });
    expect(scene.state.kills.size).toBe(0);
    expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running" });
  });
});
