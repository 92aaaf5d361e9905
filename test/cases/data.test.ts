// Scenes about data that may be there although nobody heard of it: what once was possible is expected from then on.
import { describe, expect, test } from "bun:test";
import type { TaskStatus } from "../../src/mesos/task.ts";
import type { NodeRecord } from "../../src/scheduler/state.ts";
import { nodeTaskOf, offerOf, Scene } from "./scene.ts";

/** A cluster whose first node was launched, and no word of it came. */
function launched(): { readonly scene: Scene; readonly node: NodeRecord } {
  const scene = new Scene();
  scene.subscribe();
  scene.create();
  scene.offer(offerOf("a1"));
  return { scene, node: scene.node(1) };
}

/** What the next launch on the node's own volume tells its executor to find there. */
function expected(scene: Scene): { readonly expectData: boolean; readonly expectMarker?: boolean } | undefined {
  scene.nowMs += 600_000;
  scene.offer(scene.ownOffer(scene.node(1)));
  const [task] = scene.launched();
  if (task === undefined) return undefined;
  const { expectData, expectMarker } = nodeTaskOf(task);
  return { expectData, ...(expectMarker === undefined ? {} : { expectMarker }) };
}

describe("a node whose RUNNING was never heard", () => {
  test.each<readonly [string, Partial<TaskStatus> & Pick<TaskStatus, "state">]>([
    ["rebooted with its agent", { state: "TASK_DROPPED", source: "AGENT", reason: "RECONCILIATION" }],
    ["gone with its agent's memory", { state: "TASK_GONE", source: "MASTER", reason: "RECONCILIATION" }],
    [
      "rebooted with its agent, as the master tells later",
      { state: "TASK_DROPPED", source: "MASTER", reason: "RECONCILIATION" },
    ],
    ["killed with its executor", { state: "TASK_FAILED", source: "AGENT", reason: "EXECUTOR_TERMINATED" }],
    ["failed by its own word", { state: "TASK_FAILED", source: "EXECUTOR" }],
  ])("and that is %s has to find its marker again", (_, { state, ...more }) => {
    const { scene, node } = launched();
    scene.status(node.task?.taskId ?? "", state, more);
    expect(expected(scene)).toEqual({ expectData: false, expectMarker: true });
  });

  test("and that was stopped has to find it too, after a restart of the scheduler as well", () => {
    const { scene: first, node } = launched();
    first.feed({ type: "command", id: 7, command: { type: "abortPlan", plan: "demo-deploy-1" } });
    const command = { type: "stopNode", cluster: "demo", node: node.id } as const;
    first.feed({ type: "command", id: 8, command });
    first.status(node.task?.taskId ?? "", "TASK_KILLED", { source: "AGENT", reason: "EXECUTOR_TERMINATED" });
    expect(first.node(1).phase).toBe("stopped");
    const scene = first.restarted();
    scene.subscribe();
    scene.feed({ type: "command", id: 9, command: { ...command, type: "startNode" } });
    expect(expected(scene)).toEqual({ expectData: false, expectMarker: true });
  });

  test("is lost when its volume comes back empty, and never started on it", () => {
    const { scene, node } = launched();
    scene.status(node.task?.taskId ?? "", "TASK_DROPPED", { source: "AGENT", reason: "RECONCILIATION" });
    expected(scene);
    const labels = { "ringmaster.failure": "empty-volume" };
    scene.status(scene.node(1).task?.taskId ?? "", "TASK_FAILED", { labels, message: "found nothing" });
    expect(scene.node(1).phase).toBe("lost");
    expect(expected(scene)).toBe(undefined);
  });
});

test("a node whose executor never began finds its volume as new as it was", () => {
  const { scene, node } = launched();
  const failed = { source: "AGENT", reason: "CONTAINER_LAUNCH_FAILED" } as const;
  scene.status(node.task?.taskId ?? "", "TASK_FAILED", failed);
  expect(expected(scene)).toEqual({ expectData: false });
  // A later launch that fails in the same way proves nothing about those before it.
  scene.status(scene.node(1).task?.taskId ?? "", "TASK_FAILED", { source: "EXECUTOR" });
  expect(expected(scene)).toEqual({ expectData: false, expectMarker: true });
  scene.status(scene.node(1).task?.taskId ?? "", "TASK_FAILED", failed);
  expect(expected(scene)).toEqual({ expectData: false, expectMarker: true });
});

test("a node that never was heard of, and whose agent is gone, may have joined: it is lost, not placed anew", () => {
  const { scene, node } = launched();
  scene.status(node.task?.taskId ?? "", "TASK_GONE_BY_OPERATOR", { source: "MASTER" });
  expect([scene.node(1).phase, scene.node(1).place]).toEqual(["lost", node.place]);
});
