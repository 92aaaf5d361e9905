// Plans: an operator's command or a failure as a flat, durable list of steps over nodes. A step's progress is read off its
// node, so a plan goes on after a restart where it was.
import type { StepSketch } from "../databases/database.ts";
import type { Draft } from "./draft.ts";
import { killTask } from "./kills.ts";
import { databaseOf, memberOf, membersOf, stopReasons } from "./members.ts";
import { takePlanNumber } from "./numbers.ts";
import { giveBack } from "./release.ts";
import {
  activePlans,
  runningPlans,
  SCHEMA,
  type ClusterState,
  type NodeRecord,
  type PlanKind,
  type PlanRecord,
  type Step,
  type StepType,
} from "./state.ts";

/** Finished plans that are kept for reading. */
const FINISHED_KEPT = 200;

/** Finished plans beyond those that are forgotten at once: at least, and at most. */
const PRUNED_LEAST = 20;
const PRUNED_MOST = 50;

/** How long a plan waits until a reservation is given back. */
const RELEASE_PATIENCE_MS = 600_000;

/** Starts a plan and saves it. Returns its id. */
export function beginPlan(draft: Draft, kind: PlanKind, clusterName: string, steps: readonly Step[]): string {
  const id = `${clusterName}-${kind}-${takePlanNumber(draft, clusterName)}`;
  const nothing =
    steps.length === 0 ? { status: "done" as const, endedMs: draft.nowMs } : { status: "running" as const };
  draft.putPlan({ schema: SCHEMA, id, kind, cluster: clusterName, createdMs: draft.nowMs, steps, ...nothing });
  return id;
}

/** Steps that have not begun, as a database sketched them. */
export function stepsOf(sketches: readonly StepSketch[]): readonly Step[] {
  return sketches.map((sketch) => ({ ...sketch, status: "pending" }));
}

/** One step that has not begun and waits for no other. */
export function step(type: StepType, node: string): Step {
  return { type, node, after: [], status: "pending" };
}

/** Ends all plans of a cluster and begins the one that destroys it. Returns its id. */
export function beginRemoval(draft: Draft, cluster: ClusterState): string {
  const { name } = cluster.record.spec;
  for (const plan of activePlans(draft.state, name)) abortPlan(draft, plan);
  const { record } = draft.state.clusters.get(name) ?? cluster;
  draft.putCluster({ ...record, goal: "removed" });
  const nodes = [...cluster.nodes.keys()];
  const stops = nodes.map((node) => step("stop", node));
  const releases = nodes.map((node, index) => ({ ...step("release", node), after: [index] }));
  const forget: Step = { type: "forget", after: [...stops, ...releases].map((_, index) => index), status: "pending" };
  return beginPlan(draft, "remove", name, [...stops, ...releases, forget]);
}

/** Takes every plan as far as it goes now. */
export function advancePlans(draft: Draft): void {
  for (const plan of runningPlans(draft.state)) advancePlan(draft, plan);
}

function advancePlan(draft: Draft, plan: PlanRecord): void {
  const orphan = plan.steps.find((open) => isWithoutHost(draft, plan, open));
  if (orphan !== undefined) {
    const text = `Plan ${plan.id} is aborted: node "${orphan.node}", which was to do "${orphan.operation}", is gone`;
    draft.act({ type: "note", level: "warn", text });
    return abortPlan(draft, plan);
  }
  let steps = plan.steps;
  for (const [index, current] of steps.entries()) {
    if (current.status === "done" || isBlocked(steps, current)) continue;
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
  // The last step may be an admin task, whose end is taken in before this.
  const done = steps.every(({ status }) => status === "done");
  if (steps === plan.steps && !done) return;
  // That a step has begun is read off its node after a restart.
  if (steps.every(({ status }, index) => status !== "done" || plan.steps[index]?.status === "done") && !done)
    return draft.turnPlan({ ...plan, steps });
  draft.putPlan({ ...plan, steps, ...(done ? { status: "done", endedMs: draft.nowMs } : {}) });
  if (done) draft.act({ type: "note", level: "info", text: `Plan ${plan.id} is done` });
}

/**
 * An operation that nobody is there to do was not done: what comes after it, such as the end of a node, must not happen. A
 * rolling plan only passes over nodes that are gone.
 */
function isWithoutHost({ state }: Draft, plan: PlanRecord, { type, status, node = "" }: Step): boolean {
  const isDue = type === "admin" && status !== "done" && !isRolling(plan);
  return isDue && state.clusters.get(plan.cluster)?.nodes.has(node) === false;
}

/** Whether a step waits for others of its plan. */
export function isBlocked(steps: readonly Step[], current: Step): boolean {
  return current.after.some((index) => steps[index]?.status !== "done");
}

/** Whether the plan has a step of that type for the node that is not done and waits for no other. */
export function isAt({ steps }: PlanRecord, type: Step["type"], nodeId: string): boolean {
  return steps.some(
    (open) => open.type === type && open.node === nodeId && open.status !== "done" && !isBlocked(steps, open),
  );
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
      // After a failover the records may be older than what has happened: others may be away by now.
      if (isRolling(plan) && (!draft.state.connected || draft.state.unreconciled.size > 0)) return current.status;
      if (cluster !== undefined && node !== undefined && isRolling(plan) && stopReasons(cluster, node).length > 0) {
        undrain(draft, node);
        return current.status;
      }
      return node === undefined || stopNode(draft, node, isReleased(plan, node)) ? "done" : "running";
    case "replace":
      // It is taken further where replacements are begun.
      return current.status;
    case "admin":
      // Offers, and what Mesos says of its task, take it further.
      return node === undefined ? "done" : current.status;
    case "release":
      return node === undefined || releaseNode(draft, node) ? "done" : "running";
    case "forget":
      draft.forgetCluster(plan.cluster);
      return "done";
  }
}

function isReleased({ steps }: PlanRecord, node: NodeRecord): boolean {
  return steps.some(({ type, node: other }) => type === "release" && other === node.id);
}

/** Whether the plan takes nodes down only to bring them up again: what an operator wants gone is not kept for others. */
export function isRolling({ kind }: PlanRecord): boolean {
  return kind === "restart" || kind === "configure" || kind === "maintain";
}

/**
 * Kills the node's task if there is one. True once there is none, or when it is out of sight and `isLeaving`: then its release
 * remembers what is left to do.
 */
function stopNode(draft: Draft, node: NodeRecord, isLeaving: boolean): boolean {
  if (node.task === undefined) {
    if (node.phase !== "stopped" && node.phase !== "lost" && node.phase !== "releasing")
      draft.putNode({ ...node, phase: "stopped", sinceMs: draft.nowMs });
    return true;
  }
  if (node.phase === "running" && !isDrained(draft, node)) return false;
  const isSeen = node.phase !== "unreachable";
  if (isSeen && node.phase !== "stopping") draft.putNode({ ...node, phase: "stopping", sinceMs: draft.nowMs });
  const { agentId } = node.place ?? {};
  if (agentId === undefined) throw new Error(`Cannot stop node "${node.id}": it has a task and no place`);
  killTask(draft, node.task.taskId, agentId);
  return !isSeen && isLeaving;
}

/** Tells directors that the node goes, and waits until its clients had their time. A cluster that is destroyed needs none. */
function isDrained(draft: Draft, node: NodeRecord): boolean {
  if (draft.state.clusters.get(node.cluster)?.record.goal === "removed") return true;
  if (node.drainUntilMs === undefined) {
    draft.putNode({ ...node, drainUntilMs: draft.nowMs + draft.state.settings.drainMs });
    return draft.state.settings.drainMs === 0;
  }
  return draft.nowMs >= node.drainUntilMs;
}

/**
 * Gives the node's reservation and volume back, then forgets the node. True once all is gone, as far as can be: what is on an
 * agent that is out of sight is remembered as a leftover and given back when the agent comes back.
 */
function releaseNode(draft: Draft, node: NodeRecord): boolean {
  const { place, task } = node;
  const gone = node.lastFailure?.state === "TASK_GONE_BY_OPERATOR" && node.phase === "lost";
  if (place === undefined || gone) {
    draft.forgetNode(node);
    return true;
  }
  if (node.phase === "lost" || node.phase === "unreachable") {
    giveBack(draft, node, place, true);
    if (task !== undefined) killTask(draft, task.taskId, place.agentId);
    draft.forgetNode(node);
    return true;
  }
  // It may have come back since the plan was made.
  if (task !== undefined) {
    stopNode(draft, node, false);
    return false;
  }
  if (node.phase !== "releasing") {
    giveBack(draft, node, place, true);
    draft.putNode({ ...node, phase: "releasing", sinceMs: draft.nowMs });
    return false;
  }
  // Mesos does not say that an agent will never offer anything again: what takes so long stays remembered, nobody waits for it.
  const isOverdue = draft.nowMs >= node.sinceMs + RELEASE_PATIENCE_MS;
  if (draft.state.leftovers.has(place.reservation) && !isOverdue) return false;
  draft.forgetNode(node);
  return true;
}

/** The node is not stopped after all: its clients may come back. */
function undrain(draft: Draft, node: NodeRecord): void {
  if (node.drainUntilMs === undefined || node.phase !== "running") return;
  const { drainUntilMs: _before, ...serving } = node;
  draft.putNode(serving);
}

/**
 * Ends a plan before its end: its admin tasks are killed, its nodes stay as they are and count again. But for one whose volume is
 * being given back: that cannot be kept any more, and others would wait for it for ever.
 */
export function abortPlan(draft: Draft, plan: PlanRecord): void {
  for (const { task } of plan.steps) if (task !== undefined) killTask(draft, task.taskId, task.agentId);
  draft.putPlan({ ...plan, status: "aborted", endedMs: draft.nowMs });
  for (const { type, node: id = "", status } of plan.steps) {
    const node = draft.state.clusters.get(plan.cluster)?.nodes.get(id);
    if (type === "stop" && status !== "done" && node !== undefined) undrain(draft, node);
    if (type === "release" && node?.phase === "releasing") draft.forgetNode(node);
  }
  for (const step of plan.steps) if (step.task !== undefined && step.status !== "done") doubt(draft, plan, step);
  if (plan.kind === "leave") countNodes(draft, plan.cluster, 0);
}

/**
 * What a node was asked before its plan was aborted may go on: whom it takes out of the ring is perhaps beside it soon, where it must
 * not be asked about the ring any more. Not so where a node that serves is in the ring.
 */
function doubt(draft: Draft, plan: PlanRecord, { operation = "", node = "", args = {} }: Step): void {
  const cluster = draft.state.clusters.get(plan.cluster);
  if (cluster === undefined) return;
  const database = databaseOf(cluster);
  for (const id of database.moved(operation, node, args).left) {
    const member = cluster.nodes.get(id);
    if (member?.joined !== true || member.outside !== undefined || member.phase !== "running") continue;
    if (!database.joinsByServing(membersOf(cluster), memberOf(member)))
      draft.putNode({ ...member, outside: "joining" });
  }
}

/** Sets how many nodes the cluster is to have: those that no plan takes away, without so many more. */
export function countNodes(draft: Draft, name: string, without: number): void {
  const cluster = draft.state.clusters.get(name);
  if (cluster === undefined) return;
  const steps = activePlans(draft.state, name).flatMap((plan) => plan.steps);
  const going = new Set(
    steps.flatMap(({ type, node, status }) => (type === "release" && status !== "done" ? node : [])),
  );
  const isReplaced = ({ replacedBy = "" }: NodeRecord): boolean => cluster.nodes.has(replacedBy);
  const staying = [...cluster.nodes.values()].filter((node) => !going.has(node.id) && !isReplaced(node));
  const nodes = staying.length - without;
  const { record } = cluster;
  draft.putCluster({ ...record, spec: { ...record.spec, nodes: Math.max(1, nodes) } });
}

/** Forgets finished plans that are too many, the oldest first; several at once, so that few writes are about them. */
export function prunePlans(draft: Draft): void {
  const { plans } = draft.state;
  const surplus = plans.size - runningPlans(draft.state).length - FINISHED_KEPT;
  if (surplus < PRUNED_LEAST) return;
  const finished = [...plans.values()].filter(({ status }) => status !== "running");
  const oldest = finished.toSorted((a, b) => (a.endedMs ?? 0) - (b.endedMs ?? 0)).slice(0, surplus);
  for (const { id } of oldest.slice(0, PRUNED_MOST)) draft.forgetPlan(id);
}
