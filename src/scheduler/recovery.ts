// What brings a cluster back by itself: plans that start nodes again, and plans that replace those which never come back.
import type { TaskState } from "../mesos/task.ts";
import type { Draft } from "./draft.ts";
import { killAgain, killTask } from "./kills.ts";
import { databaseOf, membersOf } from "./members.ts";
import { forgetHeir, hasBegun, makeHeir } from "./nodes.ts";
import { abortPlan, beginPlan, isBlocked, step, stepsOf } from "./plans.ts";
import { isWaitingReplacement, replaceDueMs, replaceReasons } from "./replace.ts";
import { activePlans, runningPlans, type NodeRecord, type PlanRecord, type Step } from "./state.ts";

/** How old Mesos' word on a node that is out of sight may be when its replacement begins. */
const FRESH_MS = 60_000;

/**
 * Makes sure that some plan brings the node back: the one that is at it, or one of its own. A plan whose steps for the node
 * wait for others is not at it: those others may wait for the node.
 */
export function ensureRecovery(draft: Draft, node: NodeRecord): void {
  const cluster = draft.state.clusters.get(node.cluster);
  // One that has left its ring is of no use to it.
  if (cluster?.record.goal !== "running" || node.outside === "left") return;
  if (node.expelled === true && node.phase !== "lost") return;
  const dueMs = replaceDueMs(draft.state, cluster, node);
  if (dueMs !== undefined && draft.nowMs >= dueMs) return ensureReplacement(draft, node);
  const covered = activePlans(draft.state, node.cluster).some(({ steps }) =>
    steps.some((open) => open.node === node.id && isAtNode(open) && !isBlocked(steps, open)),
  );
  if (!covered) beginPlan(draft, "recover", node.cluster, [step("start", node.id)]);
}

/** Whether an open step brings its node up or down by itself; an admin task only waits for a node that runs. */
function isAtNode({ type, status }: Step): boolean {
  return status !== "done" && type !== "admin" && type !== "replace";
}

/** A node that is to go away, or has a replacement under way, needs no other. */
function ensureReplacement(draft: Draft, node: NodeRecord): void {
  const covered = activePlans(draft.state, node.cluster).some(({ steps }) =>
    steps.some(
      (open) => open.node === node.id && open.status !== "done" && (open.type === "replace" || open.type === "release"),
    ),
  );
  if (!covered) beginPlan(draft, "replace", node.cluster, [step("replace", node.id)]);
}

/** Looks for nodes whose time is over. Times pass with ticks. */
export function replaceOverdue(draft: Draft): void {
  for (const cluster of draft.state.clusters.values()) {
    for (const node of cluster.nodes.values()) {
      const dueMs = replaceDueMs(draft.state, cluster, node);
      if (dueMs !== undefined && draft.nowMs >= dueMs) ensureReplacement(draft, node);
    }
  }
}

/** Begins replacements whose turn has come, and calls those off that have not begun and whose old node is back. */
export function advanceReplacements(draft: Draft): void {
  for (const plan of runningPlans(draft.state)) {
    if (plan.kind !== "replace") continue;
    if (isWaitingReplacement(plan)) advanceWaiting(draft, plan);
    else keepOutOrCallOff(draft, plan);
  }
}

function advanceWaiting(draft: Draft, plan: PlanRecord): void {
  const cluster = draft.state.clusters.get(plan.cluster);
  const [first] = plan.steps;
  const old = cluster?.nodes.get(first?.node ?? "");
  const dueMs = cluster === undefined || old === undefined ? undefined : replaceDueMs(draft.state, cluster, old);
  if (cluster === undefined || first === undefined || old === undefined || dueMs === undefined) {
    draft.act({
      type: "note",
      level: "info",
      text: `Plan ${plan.id} is called off: node "${first?.node}" needs it no more`,
    });
    return abortPlan(draft, plan);
  }
  // A new subscription gives the agents their time anew.
  if (draft.nowMs < dueMs) return;
  if (!draft.state.connected || replaceReasons(draft.state, cluster, plan, old).length > 0) return;
  if (old.task !== undefined && draft.nowMs > (first.startedMs ?? -Infinity) + FRESH_MS) {
    // Mesos does not say that a lost agent is back without the task: so it is asked, and the answer waited for.
    draft.putPlan({ ...plan, steps: plan.steps.with(0, { ...first, startedMs: draft.nowMs }) });
    const unreconciled = new Set(draft.state.unreconciled).add(old.task.taskId);
    return draft.set({ unreconciled, reconcile: { attempt: 0, nextMs: draft.nowMs } });
  }
  const heir = makeHeir(draft, cluster, old);
  const members = membersOf(draft.state.clusters.get(plan.cluster) ?? cluster);
  const asked = { type: "replace", node: heir.id, old: old.id, byItself: true } as const;
  const sketches = databaseOf(cluster).plan(asked, cluster.record.spec, members);
  const steps = stepsOf(sketches).map((made) => ({ ...made, after: [0, ...made.after.map((index) => index + 1)] }));
  const done: Step = { ...first, status: "done", startedMs: draft.nowMs, endedMs: draft.nowMs };
  draft.putPlan({ ...plan, steps: [done, ...steps] });
  draft.act({ type: "note", level: "warn", text: `Node "${old.id}" is ${old.phase}: "${heir.id}" takes its place` });
}

/**
 * Once anything of the heir has begun, the old node stays out for good. Until then it goes on as if nothing had been when it
 * lives after all.
 */
function keepOutOrCallOff(draft: Draft, plan: PlanRecord): void {
  const nodes = draft.state.clusters.get(plan.cluster)?.nodes;
  const heir = plan.steps.flatMap((made) => (made.type === "start" ? (nodes?.get(made.node ?? "") ?? []) : []))[0];
  const old = nodes?.get(heir?.replaces?.node ?? "");
  if (heir === undefined || old === undefined) return;
  if (hasBegun(heir)) {
    if (old.expelled === true) return;
    draft.putNode({ ...old, expelled: true });
    // What was to bring it back would wait for ever, and keep operators from other changes.
    for (const other of activePlans(draft.state, plan.cluster))
      if (other.kind === "recover" && other.steps.every(({ node }) => node === old.id)) abortPlan(draft, other);
    return;
  }
  if (old.phase !== "launching" && old.phase !== "starting" && old.phase !== "running") return;
  draft.act({ type: "note", level: "info", text: `Plan ${plan.id} is called off: node "${old.id}" is back` });
  abortPlan(draft, plan);
  forgetHeir(draft, heir);
}

/** An operator has ended a replacement: what has not begun is forgotten, and it does not begin again by itself. */
export function giveUpReplacement(draft: Draft, plan: PlanRecord): void {
  if (plan.kind !== "replace") return;
  const nodes = draft.state.clusters.get(plan.cluster)?.nodes;
  for (const { type, node: id = "" } of plan.steps) {
    const node = nodes?.get(id);
    if (type === "start" && node !== undefined && !hasBegun(node)) forgetHeir(draft, node);
    const old = draft.state.clusters.get(plan.cluster)?.nodes.get(id);
    if ((type === "replace" || type === "release") && old !== undefined) draft.putNode({ ...old, keep: true });
  }
}

/** An operator has ended a forced removal: where the ring has not been asked yet, the node goes on as before. */
export function giveUpRemoval(draft: Draft, { kind, cluster, steps }: PlanRecord): void {
  const isAsked = steps.some(({ type, status, task, trouble }) =>
    type === "admin" ? status !== "pending" || task !== undefined || trouble !== undefined : false,
  );
  if (kind !== "leave" || isAsked) return;
  for (const { type, node: id = "" } of steps) {
    const node = draft.state.clusters.get(cluster)?.nodes.get(id);
    if (type !== "release" || node?.expelled !== true || node.replacedBy !== undefined) continue;
    const { expelled: _before, ...kept } = node;
    draft.putNode(kept);
  }
}

/**
 * The task of a node that is expelled is alive after all: Mesos does not kill what runs on an agent that comes back, so we
 * do, at once. Until then the database's own ring keeps it out.
 */
export function keepOut(draft: Draft, node: NodeRecord, state: TaskState): void {
  const { task, place } = node;
  if (task === undefined || place === undefined) return;
  if (state === "TASK_KILLING") killTask(draft, task.taskId, place.agentId);
  else killAgain(draft, task.taskId, place.agentId);
  if (node.phase === "stopping") return;
  draft.act({
    type: "note",
    level: "warn",
    text: `Node "${node.id}" is back, and its ring goes on without it: killed`,
  });
  draft.putNode({ ...node, phase: "stopping", healthy: false, sinceMs: draft.nowMs });
}
