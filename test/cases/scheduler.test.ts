// The scheduler's core through whole scenes: what it saves, sends and waits for.
import { describe, expect, test } from "bun:test";
import { planView } from "../../src/scheduler/views.ts";
import { ask, BODY, nodeTaskOf, offerOf, Scene, steps } from "./scene.ts";

describe("deploying", () => {
  test("a cluster is saved before its creation is answered, and nothing is launched without an offer", () => {
    const scene = new Scene();
    scene.subscribe();
    const actions = scene.create();
    expect(actions.map((action) => action.type)).toEqual(["save", "save", "save", "save", "save", "reply", "revive"]);
    expect(actions.find((action) => action.type === "reply")).toEqual({
      type: "reply",
      id: 1,
      reply: { type: "accepted", plan: "demo-deploy-1", cluster: "demo" },
    });
    expect(scene.phases()).toEqual({ 1: "waiting", 2: "waiting", 3: "waiting" });
  });

  test("one ACCEPT reserves, makes the volume and launches; what is not needed is declined at once", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"), offerOf("a2"));
    const [accept] = scene.accepts();
    expect(accept?.operations.map(({ type }) => type)).toEqual(["reserve", "create", "launch"]);
    expect(scene.actions.filter(({ type }) => type === "decline")).toHaveLength(1);
    expect(scene.phases()).toEqual({ 1: "launching", 2: "waiting", 3: "waiting" });
    const [task] = scene.launched();
    expect(task?.taskId).toBe("ringmaster-demo-1.1.server");
    expect(task === undefined ? undefined : nodeTaskOf(task).seeds).toEqual(["a1.example:31000"]);
  });

  test("the second node waits until the first serves, then finds its ring by the first", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"));
    scene.status("ringmaster-demo-1.1.server", "TASK_STARTING");
    scene.offer(offerOf("a2"));
    expect(scene.launched()).toEqual([]);
    scene.status("ringmaster-demo-1.1.server", "TASK_RUNNING");
    scene.offer(offerOf("a2"), offerOf("a3"));
    const tasks = scene.launched();
    expect(tasks.map(({ taskId }) => taskId)).toEqual(["ringmaster-demo-2.2.server"]);
    expect(tasks.map((task) => nodeTaskOf(task).seeds)).toEqual([["a1.example:31000"]]);
  });

  test("when all nodes run, the plan is done and Mesos is asked for no more offers", () => {
    const scene = new Scene().deployed();
    expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running" });
    expect(scene.state.plans.get("demo-deploy-1")?.status).toBe("done");
    expect(scene.state.offers.suppressed).toBe(true);
  });

  test("500 nodes without a place share 200 agents' reasons, and each has the sum of all", () => {
    const scene = new Scene();
    scene.state = { ...scene.state, settings: { ...scene.state.settings, sharedStore: "zk://zk.example:2181" } };
    scene.subscribe();
    scene.create({ ...BODY, database: "riak", version: "3.2.3", nodes: 500, constraints: "rack:LIKE:north" });
    scene.offer(offerOf("a0", { attributes: { rack: "north" } }));
    scene.status("ringmaster-demo-1.1.server", "TASK_RUNNING");
    scene.offer(...Array.from({ length: 180 }, (_, index) => offerOf(`b${index}`, { attributes: { rack: "south" } })));
    const plan = scene.state.plans.get("demo-deploy-1");
    const view = plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs);
    const waiting = view?.steps.filter(({ type, status }) => type === "start" && status !== "done") ?? [];
    expect(waiting).toHaveLength(499);
    for (const { agents, refused } of waiting) {
      expect(agents).toHaveLength(1);
      expect(refused).toEqual({
        agents: 180,
        reasons: [{ check: "rack:LIKE:north", found: '"south"', wanted: "one like /north/", agents: 180 }],
      });
    }
    expect(JSON.stringify(view).length).toBeLessThan(500_000);
  });

  test("a node that no agent will do for says why of each agent", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create({ ...BODY, nodes: 2, constraints: "hostname:UNIQUE" });
    scene.offer(offerOf("a1"));
    scene.status("ringmaster-demo-1.1.server", "TASK_RUNNING");
    scene.offer(offerOf("a1"), offerOf("a2", { resources: [] }));
    expect(scene.launched()).toEqual([]);
    const plan = scene.state.plans.get("demo-deploy-1");
    const view = plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs);
    expect(view?.steps[1]?.waitsFor).toEqual([
      {
        check: "offer",
        found: "2 agents, none of which will do",
        wanted: "an agent with room that meets all constraints",
      },
    ]);
    expect(view?.steps[1]?.agents).toEqual([
      {
        agentId: "a1",
        hostname: "a1.example",
        reasons: [
          {
            check: "hostname:UNIQUE",
            found: '"a1.example", which has a node already',
            wanted: "a hostname without a node of this cluster",
          },
        ],
      },
      {
        agentId: "a2",
        hostname: "a2.example",
        reasons: [
          { check: "cpus", found: "0 unreserved", wanted: "at least 1.2" },
          { check: "mem", found: "0 MB unreserved", wanted: "at least 1184 MB" },
          { check: "disk", found: "0 MB unreserved", wanted: "at least 1024 MB" },
          { check: "ports", found: "0", wanted: "at least 5" },
        ],
      },
    ]);
  });

  test("a launch that Mesos never took goes elsewhere, and its reservation is given back if it shows up", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"));
    const before = scene.node(1);
    scene.status("ringmaster-demo-1.1.server", "TASK_DROPPED", { source: "MASTER", reason: "INVALID_OFFERS" });
    expect(scene.phases()).toEqual({ 1: "waiting", 2: "waiting", 3: "waiting" });
    scene.offer(scene.ownOffer(before));
    expect(scene.accepts().map(({ operations }) => operations.map(({ type }) => type))).toEqual([
      ["destroy", "unreserve"],
    ]);
    scene.offer(offerOf("a2"));
    expect(scene.launched().map(({ taskId, agentId }) => [taskId, agentId])).toEqual([
      ["ringmaster-demo-1.2.server", "a2"],
    ]);
  });
});

describe("what is written", () => {
  test("a node that fails, is launched again and runs takes its own record, and few others", () => {
    const scene = new Scene().deployed();
    const written = (): readonly string[] =>
      scene.actions.flatMap((action) => (action.type === "save" || action.type === "forget" ? [action.path] : []));
    const node = scene.node(2);
    scene.status(node.task?.taskId ?? "", "TASK_FAILED");
    expect(written()).toEqual(["endpoints/ringmaster-demo-2", "nodes/ringmaster-demo-2", "plans/demo-recover-2"]);
    scene.offer(scene.ownOffer(node));
    const [launched] = scene.launched();
    expect(launched?.taskId).toBe("ringmaster-demo-2.4.server");
    expect(written()).toEqual(["nodes/ringmaster-demo-2"]);
    expect(steps(scene, "demo-recover-2")).toEqual(["start 2 running"]);
    scene.status(launched?.taskId ?? "", "TASK_RUNNING");
    expect(written()).toEqual(["endpoints/ringmaster-demo-2", "nodes/ringmaster-demo-2", "plans/demo-recover-2"]);
  });

  test("launches are numbered in blocks, of which the next is saved with its first launch", () => {
    const scene = new Scene().deployed();
    expect(scene.state.framework.launches).toBe(101);
    for (let number = 4; number <= 101; number++) {
      const node = scene.node(2);
      scene.status(node.task?.taskId ?? "", "TASK_FAILED");
      scene.nowMs += 600_000;
      scene.offer(scene.ownOffer(node));
      expect(scene.launched().map(({ taskId }) => taskId)).toEqual([`ringmaster-demo-2.${number}.server`]);
      const framework = scene.actions.filter((action) => action.type === "save" && action.path === "framework");
      expect(framework).toHaveLength(number === 101 ? 1 : 0);
    }
    expect(scene.state.framework.launches).toBe(201);
    expect(scene.restarted().state.nextLaunch).toBe(201);
  });

  test("finished plans beyond 200 are forgotten, twenty or more at a time", () => {
    const scene = new Scene().deployed();
    const kept: number[] = [];
    for (let count = 0; count < 240; count++) {
      ask(scene, { type: "updateCluster", cluster: "demo", change: { constraints: [] } });
      scene.feed({ type: "tick" });
      kept.push(scene.state.plans.size);
    }
    expect(Math.max(...kept)).toBe(219);
    expect(kept.slice(-3)).toEqual([219, 200, 201]);
    expect(scene.state.plans.has("demo-deploy-1")).toBe(false);
  });
});

describe("after a restart", () => {
  test("no offer is used before every task that may live is reconciled, and no node gets a second task", () => {
    const before = new Scene();
    before.subscribe();
    before.create();
    before.offer(offerOf("a1"));
    const scene = before.restarted();
    const actions = scene.subscribe();
    expect(actions.filter(({ type }) => type === "reconcile")).toEqual([
      { type: "reconcile", tasks: [{ taskId: "ringmaster-demo-1.1.server", agentId: "a1" }] },
    ]);
    scene.offer(offerOf("a2"));
    expect(scene.actions.map(({ type }) => type)).toEqual(["decline"]);
    scene.status("ringmaster-demo-1.1.server", "TASK_STARTING", { reason: "RECONCILIATION", source: "MASTER" });
    scene.offer(offerOf("a2"));
    expect(scene.launched()).toEqual([]);
    scene.status("ringmaster-demo-1.1.server", "TASK_RUNNING");
    scene.offer(offerOf("a2"));
    // The numbers that were reserved before the restart are skipped.
    expect(scene.launched().map(({ taskId }) => taskId)).toEqual(["ringmaster-demo-2.101.server"]);
  });

  test("an unanswered reconciliation is asked again with growing patience", () => {
    const scene = new Scene().deployed().restarted();
    const asked: number[] = [];
    for (let second = 0; second < 40; second++) {
      const actions = second === 0 ? scene.subscribe() : scene.feed({ type: "tick" });
      if (actions.some(({ type }) => type === "reconcile")) asked.push(second);
      scene.nowMs += 1000;
    }
    expect(asked.length).toBeGreaterThanOrEqual(4);
    expect(asked.length).toBeLessThanOrEqual(7);
  });

  test("a framework id that is not the saved one ends the scheduler", () => {
    const scene = new Scene().deployed().restarted();
    scene.feed({ type: "subscribed", frameworkId: "f-2", heartbeatMs: 15_000 });
    expect(scene.actions.filter(({ type }) => type === "end")).toHaveLength(1);
  });
});

describe("failures", () => {
  test("a failed node comes back on its own volume, told to find its data there", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    scene.status(node.task?.taskId ?? "", "TASK_FAILED", { message: "exit code 137" });
    expect(scene.phases()).toEqual({ 1: "running", 2: "down", 3: "running" });
    expect(scene.state.plans.get("demo-recover-2")?.steps).toEqual([
      { type: "start", node: node.id, after: [], status: "pending" },
    ]);
    expect(scene.actions.map(({ type }) => type)).toContain("revive");
    scene.offer(offerOf("a2"), offerOf("a4"));
    expect(scene.launched()).toEqual([]);
    scene.offer(scene.ownOffer(node));
    const [task] = scene.launched();
    expect(task?.taskId).toBe("ringmaster-demo-2.4.server");
    expect(task === undefined ? undefined : nodeTaskOf(task).expectData).toBe(true);
    expect(scene.accepts().flatMap(({ operations }) => operations.map(({ type }) => type))).toEqual(["launch"]);
    scene.status("ringmaster-demo-2.4.server", "TASK_RUNNING");
    expect(scene.state.plans.get("demo-recover-2")?.status).toBe("done");
  });

  test("a part of the node's reservation is refused for a second only, since the rest is on its way", () => {
    const scene = new Scene().deployed();
    const node = scene.node(2);
    scene.status(node.task?.taskId ?? "", "TASK_FAILED");
    const whole = scene.ownOffer(node);
    scene.offer({ ...whole, resources: whole.resources.filter(({ name }) => name !== "disk") });
    expect(scene.actions.filter(({ type }) => type === "decline")).toEqual([
      { type: "decline", offerIds: [whole.id], refuseSeconds: 1 },
    ]);
  });

  test("a node that keeps failing waits longer each time, and says so", () => {
    const scene = new Scene().deployed();
    const node = scene.node(3);
    scene.status(node.task?.taskId ?? "", "TASK_FAILED", { message: "first" });
    scene.offer(scene.ownOffer(node));
    const [task] = scene.launched();
    scene.status(task?.taskId ?? "", "TASK_FAILED", { message: "second" });
    scene.offer(scene.ownOffer(node));
    expect(scene.launched()).toEqual([]);
    const plan = scene.state.plans.get("demo-recover-2");
    const wait = plan === undefined ? undefined : planView(scene.state, plan, scene.nowMs).steps[0]?.waitsFor[0];
    expect(wait?.check).toBe("back-off");
    expect(wait?.found).toBe("2 failures in a row, the last: TASK_FAILED: second");
    scene.nowMs += 10_000;
    scene.feed({ type: "tick" });
    scene.offer(scene.ownOffer(node));
    expect(scene.launched()).toHaveLength(1);
  });

  test("an unreachable node is neither started again nor forgotten", () => {
    const scene = new Scene().deployed();
    const node = scene.node(1);
    scene.status(node.task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    scene.offer(scene.ownOffer(node));
    expect(scene.launched()).toEqual([]);
    expect(scene.phases()).toEqual({ 1: "unreachable", 2: "running", 3: "running" });
    scene.status(node.task?.taskId ?? "", "TASK_RUNNING");
    expect(scene.phases()).toEqual({ 1: "running", 2: "running", 3: "running" });
  });

  test("an empty volume under a known identity is never started anew", () => {
    const scene = new Scene().deployed();
    const node = scene.node(1);
    scene.status(node.task?.taskId ?? "", "TASK_FAILED", {
      labels: { "ringmaster.failure": "empty-volume" },
      message: "no marker",
    });
    scene.offer(scene.ownOffer(node), offerOf("a4"));
    expect(scene.launched()).toEqual([]);
    expect(scene.phases()).toEqual({ 1: "lost", 2: "running", 3: "running", 4: "waiting" });
  });

  test("a task that was superseded is killed when it shows up, an unknown one is left alone", () => {
    const scene = new Scene().deployed();
    scene.status("ringmaster-demo-1.99.server", "TASK_RUNNING", { agentId: "a9" });
    expect(scene.actions.filter(({ type }) => type === "kill")).toEqual([
      { type: "kill", taskId: "ringmaster-demo-1.99.server", agentId: "a9" },
    ]);
    scene.status("ringmaster-other-1.1.server", "TASK_RUNNING", { agentId: "a9" });
    expect(scene.actions.filter(({ type }) => type === "kill")).toEqual([]);
    expect([...scene.state.orphans.keys()]).toEqual(["ringmaster-other-1.1.server"]);
  });

  test("a status update is acknowledged after the saves it leads to", () => {
    const scene = new Scene().deployed();
    const node = scene.node(1);
    const uuid = new Uint8Array(16);
    scene.status(node.task?.taskId ?? "", "TASK_FAILED", { uuid });
    const types = scene.actions.map(({ type }) => type);
    expect(types.indexOf("acknowledge")).toBeGreaterThan(types.lastIndexOf("save"));
    expect(scene.actions.find(({ type }) => type === "acknowledge")).toEqual({
      type: "acknowledge",
      agentId: "a1",
      taskId: node.task?.taskId ?? "",
      uuid,
    });
  });

  test("a launch whose ACCEPT failed on the way is asked for", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"));
    const [accept] = scene.accepts();
    if (accept === undefined) throw new Error("nothing was accepted");
    scene.feed({ type: "callFailed", call: accept, message: "connection reset" });
    scene.nowMs += 2000;
    scene.feed({ type: "tick" });
    expect(scene.actions.find(({ type }) => type === "reconcile")).toEqual({
      type: "reconcile",
      tasks: [{ taskId: "ringmaster-demo-1.1.server", agentId: "a1" }],
    });
  });
});

describe("destroying", () => {
  test("kills repeat until the task has ended, then volume and reservation go back, then the cluster is forgotten", () => {
    const scene = new Scene().deployed();
    scene.feed({ type: "command", id: 2, command: { type: "destroyCluster", cluster: "demo" } });
    const tasks = scene.nodes().map(({ task }) => task?.taskId ?? "");
    expect(scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []))).toEqual(tasks);
    scene.nowMs += 6000;
    scene.feed({ type: "tick" });
    expect(scene.actions.flatMap((action) => (action.type === "kill" ? [action.taskId] : []))).toEqual(tasks);
    const places = scene.nodes();
    for (const task of tasks) scene.status(task, "TASK_KILLED");
    expect(scene.phases()).toEqual({ 1: "releasing", 2: "releasing", 3: "releasing" });
    scene.offer(...places.map((node) => scene.ownOffer(node)));
    const accepts = scene.accepts();
    expect(accepts.map(({ operations }) => operations.map(({ type }) => type))).toEqual(
      places.map(() => ["destroy", "unreserve"]),
    );
    for (const { operations } of accepts) {
      const operationId = operations.flatMap((operation) => ("id" in operation ? (operation.id ?? []) : []))[0] ?? "";
      scene.feed({ type: "operation", status: { operationId, state: "OPERATION_FINISHED" } });
    }
    expect(scene.state.clusters.size).toBe(0);
    expect(scene.state.leftovers.size).toBe(0);
    expect(scene.state.plans.get("demo-remove-2")?.status).toBe("done");
  });

  test("a volume of another framework, or of a node that is kept, is never given back", () => {
    const scene = new Scene().deployed();
    const node = scene.node(1);
    const foreign = scene.ownOffer(node);
    const labels = { "ringmaster.framework": "f-other", "ringmaster.reservation": node.place?.reservation ?? "" };
    const resources = foreign.resources.map((resource) => ({
      ...resource,
      reservations: [{ type: "DYNAMIC" as const, role: "ringmaster", labels }],
    }));
    scene.offer({ ...foreign, resources }, scene.ownOffer(scene.node(2)));
    expect(scene.accepts()).toEqual([]);
  });

  test("an unknown cluster, and one that is being destroyed, are refused", () => {
    const scene = new Scene().deployed();
    scene.feed({ type: "command", id: 2, command: { type: "destroyCluster", cluster: "nope" } });
    expect(scene.actions).toEqual([
      {
        type: "reply",
        id: 2,
        reply: {
          type: "refused",
          why: "unknown",
          message: 'Cannot find cluster "nope"; there are "demo"',
          faults: [],
        },
      },
    ]);
  });
});
