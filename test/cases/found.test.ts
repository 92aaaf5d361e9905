// Scenes that the simulator has found: each was a defect once.
import { expect, test } from "bun:test";
import type { PlanRecord } from "../../src/scheduler/state.ts";
import { Scene } from "./scene.ts";

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
