// When a node is replaced by itself, and what that waits for. A node whose data is gone is due at once, one whose agent is out
// of sight after --permanent-after; the times are in its record, so that no restart of the scheduler postpones them.
import type { Reason } from "../std/reason.ts";
import { heirOf } from "./nodes.ts";
import { memberOf, nodesInOrder } from "./members.ts";
import { isAt } from "./plans.ts";
import { isDrainedBy } from "./status-words.ts";
import { activePlans, type ClusterState, type NodeRecord, type PlanRecord, type State } from "./state.ts";

/**
 * How long an agent that Mesos has not given up may take until it offers what is reserved there: a master that failed over
 * gives agents ten minutes to come back.
 */
const OFFER_MS = 900_000;

/** Other members that must serve: with the replacement they are a quorum of three replicas. */
const OTHERS_LEAST = 2;

/** Reasons of one sort that are told. */
const REASONS_MOST = 5;

/** When the node is due to be replaced by itself; undefined: it is not. */
export function replaceDueMs(state: State, cluster: ClusterState, node: NodeRecord): number | undefined {
  if (!node.joined || node.outside !== undefined || node.keep === true || cluster.record.goal !== "running")
    return undefined;
  // Another's data on its volume is a riddle for people.
  if (node.phase === "lost") return node.lastFailure?.kind === "foreign-volume" ? undefined : node.sinceMs;
  const { permanentAfterMs } = state.settings;
  if (permanentAfterMs === undefined) return undefined;
  if (node.phase === "unreachable") return node.sinceMs + permanentAfterMs;
  return absentDueMs(state, node, permanentAfterMs);
}

/**
 * A node that has ended, is wanted, and whose volume nobody offers: its agent is gone. Mesos says no more of it, so the time
 * counts from when an offer could have come; a subscription starts at least the agents' own time anew.
 */
function absentDueMs(state: State, node: NodeRecord, permanentAfterMs: number): number | undefined {
  if (node.task !== undefined || (node.phase !== "down" && node.phase !== "stopped")) return undefined;
  // Without a framework nobody is offered anything; a drained agent, or one that was promised, comes back when its operators say.
  const window = state.maintenance.get(node.place?.agentId ?? "");
  const isPromised = window?.isAccepted === true;
  const isForEver = isPromised && window.durationMs === undefined;
  const isDrained = node.phase === "down" && node.lastFailure !== undefined && isDrainedBy(node.lastFailure);
  if (state.framework.removed !== undefined || (isPromised && !isForEver) || isDrained) return undefined;
  // Who plans maintenance knows how long it takes: only a machine that is to go for ever is not waited for.
  const plans = activePlans(state, node.cluster).filter(({ kind }) => kind !== "maintain" || isForEver);
  const wanting = plans.find((plan) => isAt(plan, "start", node.id));
  if (wanting === undefined) return undefined;
  if (isForEver) return node.sinceMs;
  const wantedMs = Math.max(node.sinceMs, node.retryAtMs, wanting.createdMs);
  return Math.max(wantedMs + Math.max(permanentAfterMs, OFFER_MS), state.subscribedMs + OFFER_MS);
}

/** Whether the plan is a replacement that nobody asked for and that has not begun. */
export function isWaitingReplacement({ status, steps: [first] }: PlanRecord): boolean {
  return status === "running" && first?.type === "replace" && first.status !== "done";
}

/** The replacement that is at work on the plan's cluster: until it is done, no other plan changes the ring. */
export function heldBy(state: State, plan: PlanRecord): PlanRecord | undefined {
  return activePlans(state, plan.cluster).find(
    ({ id, steps: [first] }) => id !== plan.id && first?.type === "replace" && first.status === "done",
  );
}

/**
 * Why a replacement that is due does not begin; empty: it does. Which replicas are where only the database's users know, so
 * all other members have to serve: then every set of three replicas lacks one at most.
 */
export function replaceReasons(
  state: State,
  cluster: ClusterState,
  plan: PlanRecord,
  old: NodeRecord,
): readonly Reason[] {
  if (state.unreconciled.size > 0) {
    const found = `${state.unreconciled.size} tasks of unknown state`;
    return [{ check: "reconciliation", found, wanted: "Mesos' word on every task" }];
  }
  const others = nodesInOrder(cluster).filter(
    (node) => node.joined && node.outside === undefined && node.id !== old.id,
  );
  const away = others.filter((node) => memberOf(node).state !== "serving");
  const reasons = away.slice(0, REASONS_MOST).map((node): Reason => {
    const found = node.phase === "running" ? "running, its probes fail" : node.phase;
    return { check: `node ${node.id}`, found, wanted: "every other member serves, so that a quorum lives" };
  });
  if (others.length < OTHERS_LEAST)
    reasons.push({
      check: "quorum",
      found: `${others.length} other members`,
      wanted: `at least ${OTHERS_LEAST}; with fewer, replace the node by hand`,
    });
  return [...reasons, ...turnReasons(state, cluster, plan, old)];
}

/** What is going on in the cluster and comes first. A plan that only waits for the dead node is not waited for. */
function turnReasons(state: State, cluster: ClusterState, plan: PlanRecord, old: NodeRecord): readonly Reason[] {
  const reasons: Reason[] = [];
  for (const other of activePlans(state, plan.cluster)) {
    if (other.id === plan.id) continue;
    const isAtWork = other.steps.some(
      ({ type, status, task, args }) =>
        status !== "done" &&
        (task !== undefined ||
          (type === "admin" && Object.values(args ?? {}).some((arg) => arg.split(",").includes(old.id)))),
    );
    const isReplacement = other.kind === "replace" && !isWaitingReplacement(other);
    if (isAtWork || isReplacement)
      reasons.push({ check: "turn", found: `plan ${other.id} is at work`, wanted: "its end, or that it is aborted" });
  }
  for (const node of cluster.nodes.values()) {
    if (node.id === old.id || node === heirOf(cluster, old)) continue;
    const isComing = !node.joined && node.task !== undefined;
    const isGoing = node.phase === "stopping" || (node.phase === "running" && node.drainUntilMs !== undefined);
    if (!isComing && !isGoing) continue;
    const found = isGoing ? "is being stopped" : `${node.phase}, has not joined`;
    reasons.push({ check: `node ${node.id}`, found, wanted: "one change of the cluster at a time" });
  }
  return reasons.slice(0, REASONS_MOST);
}
