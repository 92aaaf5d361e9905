// Admin tasks: what changes a running node, as a Mesos task of its own on the node's executor. Mesos delivers it once, and
// its progress and result are status updates.
import type { AdminTask } from "../databases/node.ts";
import { launch, type Operation } from "../mesos/operations.ts";
import { take } from "../mesos/resources.ts";
import { isTerminal, type TaskStatus } from "../mesos/task.ts";
import { backoffMs, type Backoff } from "../std/backoff.ts";
import type { Reason } from "../std/reason.ts";
import type { Draft } from "./draft.ts";
import type { AgentOffer } from "./feasible.ts";
import { forgetKill } from "./kills.ts";
import { ADMIN, ownResources } from "./launch.ts";
import { databaseOf, membersOf } from "./members.ts";
import type { ClusterState, NodeRecord, PlanRecord, State, Step } from "./state.ts";
import { backoffReason, failureOf } from "./status-words.ts";

/** Wait before an admin task that failed is tried again: the ring may not be ready for it yet. */
const RETRY: Backoff = { initialMs: 5000, factor: 2, maxMs: 300_000, jitter: 0.2 };

/** Why the step's task must not be launched now; empty: it may. */
export function adminReasons(node: NodeRecord, step: Step, nowMs: number): readonly Reason[] {
  const { failures = 0, retryAtMs = 0, last } = step.trouble ?? {};
  const backoff = backoffReason(nowMs, failures, retryAtMs, last?.message ?? "unknown");
  const reasons: Reason[] = backoff === undefined ? [] : [backoff];
  if (node.phase !== "running" || !node.healthy) {
    const found = node.phase === "running" ? "running, its probes fail" : node.phase;
    reasons.push({ check: `node ${node.id}`, found, wanted: "running and healthy" });
  }
  return reasons;
}

/** The LAUNCH of a step's task on the node's executor. Undefined when the offer has not the resources that are kept for it. */
export function launchAdmin(
  state: State,
  cluster: ClusterState,
  node: NodeRecord,
  step: Step,
  agent: AgentOffer,
): { readonly step: Step; readonly operations: readonly Operation[] } | undefined {
  const { place, task } = node;
  if (place === undefined || task === undefined || step.operation === undefined) return undefined;
  const { held, owner } = ownResources(state, place, agent);
  const cut = take(held, owner, { ...ADMIN, diskMb: 0, ports: [] });
  if (cut === undefined) return undefined;
  const taskId = `${task.executor.executorId}.${step.operation}-${state.nextLaunch}`;
  const data: AdminTask = {
    schema: 1,
    node: node.id,
    operation: step.operation,
    args: step.args ?? {},
    members: membersOf(cluster),
  };
  const launching = launch([
    {
      name: `${step.operation} ${node.id}`,
      taskId,
      agentId: place.agentId,
      resources: cut.taken,
      executor: task.executor,
      data: new TextEncoder().encode(JSON.stringify(data)),
      labels: task.executor.labels,
      killGraceMs: 10_000,
    },
  ]);
  return { step: { ...step, status: "running", task: { taskId, agentId: place.agentId } }, operations: [launching] };
}

function redoOf(state: State, plan: PlanRecord, { operation = "" }: Step): readonly string[] {
  const cluster = state.clusters.get(plan.cluster);
  return cluster === undefined ? [] : databaseOf(cluster).redo(operation);
}

/** An operation of a plan that was aborted has ended well after all: the ring has changed by it. */
export function lateAdminStatus(draft: Draft, status: TaskStatus): void {
  if (status.state !== "TASK_FINISHED") return;
  for (const plan of draft.state.plans.values()) {
    const step = plan.status === "aborted" ? plan.steps.find(({ task }) => task?.taskId === status.taskId) : undefined;
    if (step !== undefined) return noteMoved(draft, plan, step);
  }
}

/** Keeps who is in the ring and who is not, after an operation that has changed it. */
function noteMoved(draft: Draft, plan: PlanRecord, { operation = "", node = "", args = {} }: Step): void {
  const cluster = draft.state.clusters.get(plan.cluster);
  if (cluster === undefined) return;
  const { joined, left } = databaseOf(cluster).moved(operation, node, args);
  for (const id of [...joined, ...left]) {
    const found = cluster.nodes.get(id);
    if (found === undefined) continue;
    const { outside: _before, ...inside } = found;
    draft.putNode(left.includes(id) ? { ...inside, outside: "left" } : { ...inside, joined: true });
  }
}

/** What Mesos says of a step's task. A failed one is tried again: every operation may be repeated. */
export function adminStatus(draft: Draft, plan: PlanRecord, index: number, status: TaskStatus): void {
  const step = plan.steps[index];
  if (step === undefined) return;
  if (status.message !== undefined) draft.say(status.taskId, status.message);
  if (!isTerminal(status.state)) return;
  forgetKill(draft, status.taskId);
  const { task: _ended, trouble, ...rest } = step;
  if (status.state === "TASK_FINISHED") {
    noteMoved(draft, plan, step);
    draft.putPlan({ ...plan, steps: plan.steps.with(index, { ...rest, status: "done", endedMs: draft.nowMs }) });
    return;
  }
  const failures = (trouble?.failures ?? 0) + 1;
  const retryAtMs = draft.nowMs + backoffMs(RETRY, failures - 1, draft.random());
  const last = failureOf(draft.nowMs, status);
  const failed: Step = { ...rest, status: "pending", trouble: { failures, retryAtMs, last } };
  const redo = redoOf(draft.state, plan, step);
  const steps = plan.steps.map((other): Step => {
    if (other.operation === undefined || other.status !== "done" || !redo.includes(other.operation)) return other;
    const { endedMs: _done, ...again } = other;
    return { ...again, status: "pending" };
  });
  draft.putPlan({ ...plan, steps: steps.with(index, failed) });
  draft.act({
    type: "note",
    level: "warn",
    text: `Plan ${plan.id}: ${step.operation} ${step.node} failed: ${last.message}`,
  });
}
