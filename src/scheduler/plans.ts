// Plans: an operator's command or a failure as a flat, durable list of steps over nodes. A step's progress is read off its
// node, so a plan goes on after a restart where it was.
import type { Draft } from "./draft.ts";
import { giveBack } from "./release.ts";
import {
  activePlans,
  SCHEMA,
  type NodeRecord,
  type PlanKind,
  type PlanRecord,
  type Step,
  type StepType,
} from "./state.ts";

/** Finished plans that are kept for reading. */
const FINISHED_KEPT = 200;

/** Starts a plan and saves it. Returns its id. */
export function beginPlan(draft: Draft, kind: PlanKind, clusterName: string, steps: readonly Step[]): string {
  const cluster = draft.state.clusters.get(clusterName);
  if (cluster === undefined) throw new Error(`Cannot begin a ${kind} plan: cluster "${clusterName}" is unknown`);
  const id = `${clusterName}-${kind}-${cluster.record.nextPlan}`;
  draft.putCluster({ ...cluster.record, nextPlan: cluster.record.nextPlan + 1 });
  draft.putPlan({ schema: SCHEMA, id, kind, cluster: clusterName, status: "running", createdMs: draft.nowMs, steps });
  prunePlans(draft);
  return id;
}

/** A step that has not begun. */
export function step(type: StepType, node?: string): Step {
  return { type, status: "pending", ...(node === undefined ? {} : { node }) };
}

/** Makes sure that some plan brings the node back: the one that is at it, or a recover plan of its own. */
export function ensureRecovery(draft: Draft, node: NodeRecord): void {
  const cluster = draft.state.clusters.get(node.cluster);
  if (cluster?.record.goal !== "running") return;
  const covered = activePlans(draft.state, node.cluster).some((plan) =>
    plan.steps.some((open) => open.node === node.id && open.status !== "done"),
  );
  if (!covered) beginPlan(draft, "recover", node.cluster, [step("start", node.id)]);
}

/** Takes every plan as far as it goes now. */
export function advancePlans(draft: Draft): void {
  for (const plan of draft.state.plans.values()) {
    if (plan.status === "running") advancePlan(draft, plan);
  }
}

function advancePlan(draft: Draft, plan: PlanRecord): void {
  let steps = plan.steps;
  for (const [index, current] of steps.entries()) {
    if (current.status === "done" || isBlocked(steps, index)) continue;
    const status = advanceStep(draft, plan, current);
    if (status === current.status) continue;
    const next: Step = {
      ...current,
      status,
      startedMs: current.startedMs ?? draft.nowMs,
      ...(status === "done" ? { endedMs: draft.nowMs } : {}),
    };
    steps = steps.with(index, next);
  }
  if (steps === plan.steps) return;
  const done = steps.every(({ status }) => status === "done");
  draft.putPlan({ ...plan, steps, ...(done ? { status: "done", endedMs: draft.nowMs } : {}) });
  if (done) draft.act({ type: "note", level: "info", text: `Plan ${plan.id} is done` });
}

/** "release" comes after its node's "stop", "forget" after everything. */
export function isBlocked(steps: readonly Step[], index: number): boolean {
  const current = steps[index];
  return steps
    .slice(0, index)
    .some((earlier) => earlier.status !== "done" && (current?.type === "forget" || earlier.node === current?.node));
}

/** Does what can be done for one step now; returns its status after that. */
function advanceStep(draft: Draft, plan: PlanRecord, current: Step): Step["status"] {
  const cluster = draft.state.clusters.get(plan.cluster);
  const node = current.node === undefined ? undefined : cluster?.nodes.get(current.node);
  switch (current.type) {
    case "start":
      if (node === undefined || node.phase === "running") return "done";
      return node.task === undefined ? current.status : "running";
    case "stop":
      return node === undefined || stopNode(draft, node) ? "done" : "running";
    case "release":
      return node === undefined || releaseNode(draft, node) ? "done" : "running";
    case "forget":
      draft.forgetCluster(plan.cluster);
      return "done";
  }
}

/** Kills the node's task if there is one. True once there is none. */
function stopNode(draft: Draft, node: NodeRecord): boolean {
  if (node.task === undefined) {
    if (node.phase !== "stopped") draft.putNode({ ...node, phase: "stopped", sinceMs: draft.nowMs });
    return true;
  }
  const { agentId } = node.place ?? {};
  if (agentId === undefined) throw new Error(`Cannot stop node "${node.id}": it has a task and no place`);
  if (node.phase !== "stopping") draft.putNode({ ...node, phase: "stopping", sinceMs: draft.nowMs });
  if (!draft.state.kills.has(node.task.taskId)) {
    draft.set({
      kills: new Map(draft.state.kills).set(node.task.taskId, { agentId, attempt: 0, nextMs: draft.nowMs }),
    });
  }
  return false;
}

/** Gives the node's reservation and volume back, then forgets the node. True once all is gone. */
function releaseNode(draft: Draft, node: NodeRecord): boolean {
  if (node.phase !== "releasing") {
    if (node.place !== undefined) giveBack(draft, node, node.place, true);
    draft.putNode({ ...node, phase: "releasing", sinceMs: draft.nowMs });
  }
  const { place } = node;
  if (place !== undefined && draft.state.leftovers.has(place.reservation)) return false;
  draft.forgetNode(node);
  return true;
}

/** Ends a cluster's plans that a later command makes pointless. */
export function abortPlans(draft: Draft, cluster: string): void {
  for (const plan of activePlans(draft.state, cluster))
    draft.putPlan({ ...plan, status: "aborted", endedMs: draft.nowMs });
}

function prunePlans(draft: Draft): void {
  const finished = [...draft.state.plans.values()].filter((plan) => plan.status !== "running");
  finished.sort((a, b) => (a.endedMs ?? 0) - (b.endedMs ?? 0));
  for (const plan of finished.slice(0, Math.max(0, finished.length - FINISHED_KEPT))) draft.forgetPlan(plan.id);
}
