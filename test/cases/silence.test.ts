// Executors that hang: they do not end their node when they are asked to, or say nothing any more.
import { describe, expect, test } from "bun:test";
import { diagnose } from "../../src/scheduler/doctor.ts";
import type { Finding } from "../../src/scheduler/findings.ts";
import type { NodeRecord, State } from "../../src/scheduler/state.ts";
import { offerOf, Scene } from "./scene.ts";

const MINUTE = 60_000;

/** Time passes as it does, a tick every half minute; these nodes say every five minutes that they run. */
function pass(scene: Scene, minutes: number, speaking: readonly number[] = [1, 2, 3]): void {
  for (let half = 1; half <= 2 * minutes; half++) {
    scene.nowMs += MINUTE / 2;
    if (scene.nowMs % (5 * MINUTE) < MINUTE / 2) for (const number of speaking) run(scene, number);
    scene.feed({ type: "tick" });
  }
}

function run(scene: Scene, number: number): void {
  scene.status(scene.node(number).task?.taskId ?? "", "TASK_RUNNING", { source: "EXECUTOR", healthy: true });
}

function asked(scene: Scene): readonly string[] {
  return scene.actions.flatMap((action) => {
    if (action.type === "kill") return [`kill ${action.taskId}`];
    return action.type === "shutdown" ? [`shutdown ${action.executorId} on ${action.agentId}`] : [];
  });
}

function until(scene: Scene, minutes: number, speaking: readonly number[], isThere: () => boolean): void {
  for (let minute = 0; minute < minutes && !isThere(); minute++) pass(scene, 1, speaking);
}

/** As a release wrote them whose executors did not repeat themselves. */
function ofEarlierRelease(clusters: State["clusters"]): State["clusters"] {
  const earlier = ({ task, ...node }: NodeRecord): NodeRecord =>
    task === undefined ? node : { ...node, task: { taskId: task.taskId, executor: task.executor } };
  return new Map(
    [...clusters].map(([name, { record, nodes }]) => [
      name,
      { record, nodes: new Map([...nodes].map(([id, node]) => [id, earlier(node)])) },
    ]),
  );
}

describe("a task that is killed and does not end", () => {
  test("has its executor shut down by the agent, once an executor that lives would have ended it", () => {
    const scene = new Scene().deployed();
    scene.feed({ type: "command", id: 1, command: { type: "stopNode", cluster: "demo", node: "ringmaster-demo-2" } });
    const { taskId = "", executor } = scene.node(2).task ?? {};
    expect(executor?.executorId).toBe(taskId.replace(/\.server$/, ""));
    const seen: (readonly string[])[] = [];
    for (let half = 0; half < 6; half++) {
      scene.nowMs += MINUTE / 2;
      scene.feed({ type: "tick" });
      seen.push(asked(scene));
    }
    const [kill, shutdown] = [[`kill ${taskId}`], [`shutdown ${executor?.executorId} on a2`]];
    expect(seen).toEqual([kill, kill, kill, kill, kill, shutdown]);
    scene.status(taskId, "TASK_FAILED", { source: "AGENT", reason: "EXECUTOR_TERMINATED" });
    expect([scene.phases(), scene.state.kills.size]).toEqual([{ 1: "running", 2: "stopped", 3: "running" }, 0]);
  });
});

describe("a node whose executor says nothing any more", () => {
  test("is shown by the doctor, with what helps where others are away", () => {
    const scene = new Scene().deployed();
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    pass(scene, 19, [3]);
    const about = (): readonly Finding[] =>
      diagnose({
        ...{ nowMs: scene.nowMs, state: scene.state, mesos: { error: "not asked" } },
        ...{ rings: new Map(), endpoints: [] },
      }).filter(({ id }) => id.startsWith("silent:"));
    expect(about()).toEqual([]);
    pass(scene, 2, [3]);
    expect(about()).toEqual([
      {
        id: "silent:ringmaster-demo-2",
        severity: "error",
        what: 'The executor of node "ringmaster-demo-2" says nothing any more',
        why: "it hangs: nobody watches the database or can operate it; a plan restarts the node while all others serve",
        advice:
          "where others do not serve either: ringmaster node stop ringmaster-demo-2, then node start; plans of other nodes are aborted first",
      },
    ]);
  });

  test("is restarted after twenty minutes, while the others serve", () => {
    const scene = new Scene().deployed();
    pass(scene, 60);
    expect(scene.state.plans.size).toBe(1);
    until(scene, 21, [1, 3], () => scene.node(2).phase === "stopping");
    expect(scene.phases()).toEqual({ 1: "running", 2: "stopping", 3: "running" });
    expect([...scene.state.plans.values()].map(({ kind, status }) => [kind, status])).toEqual([
      ["deploy", "done"],
      ["restart", "running"],
    ]);
  });

  test("is restarted when it was starting, whatever the others do", () => {
    const scene = new Scene();
    scene.subscribe();
    scene.create();
    scene.offer(offerOf("a1"));
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_STARTING", { source: "EXECUTOR" });
    pass(scene, 19, []);
    expect(scene.phases()).toEqual({ 1: "starting", 2: "waiting", 3: "waiting" });
    pass(scene, 2, []);
    expect(scene.phases()).toEqual({ 1: "stopping", 2: "waiting", 3: "waiting" });
  });

  test("waits while another node is away, and is one of its cluster at a time", () => {
    const scene = new Scene().deployed();
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    pass(scene, 30, []);
    expect(scene.phases()).toEqual({ 1: "unreachable", 2: "running", 3: "running" });
    run(scene, 1);
    pass(scene, 1, []);
    expect(scene.phases()).toEqual({ 1: "running", 2: "stopping", 3: "running" });
  });

  test("is not what a scheduler finds that stood still, was away, or launched the node before executors spoke", () => {
    const scene = new Scene().deployed();
    scene.nowMs += 90 * MINUTE;
    scene.feed({ type: "tick" });
    pass(scene, 19, []);
    scene.feed({ type: "disconnected" });
    pass(scene, 30, []);
    scene.subscribe();
    pass(scene, 19, []);
    expect([scene.state.plans.size, scene.phases()]).toEqual([1, { 1: "running", 2: "running", 3: "running" }]);
    scene.state = { ...scene.state, clusters: ofEarlierRelease(scene.state.clusters) };
    pass(scene, 60, []);
    expect(scene.state.plans.size).toBe(1);
  });

  test("is stopped when an operator says so, whatever its restart waits for", () => {
    const scene = new Scene().deployed();
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_UNREACHABLE", { source: "MASTER" });
    pass(scene, 22, [3]);
    expect(scene.phases()).toEqual({ 1: "unreachable", 2: "running", 3: "running" });
    const stop = { type: "stopNode", cluster: "demo", node: "ringmaster-demo-2" } as const;
    scene.feed({ type: "command", id: 1, command: stop });
    pass(scene, 1, [3]);
    expect(scene.phases()).toEqual({ 1: "unreachable", 2: "stopping", 3: "running" });
    expect([...scene.state.plans.values()].map(({ kind, status }) => `${kind} ${status}`)).toEqual([
      ...["deploy done", "restart aborted", "stop running"],
    ]);
  });

  test("has as much time again when an operator aborts its restart", () => {
    const scene = new Scene().deployed();
    until(scene, 22, [1, 3], () => scene.state.plans.size > 1);
    const plan = [...scene.state.plans.keys()].at(-1) ?? "";
    scene.feed({ type: "command", id: 1, command: { type: "abortPlan", plan } });
    run(scene, 1);
    run(scene, 3);
    pass(scene, 18, [1, 3]);
    expect([...scene.state.plans.values()].filter(({ status }) => status === "running")).toEqual([]);
  });
});
