// What Mesos says about a task, taken over into its node.
import { ADDRESS_LABEL } from "../databases/node.ts";
import { isTerminal, type TaskState, type TaskStatus } from "../mesos/task.ts";
import { backoffMs, type Backoff } from "../std/backoff.ts";
import { adminStatus, lateAdminStatus } from "./admin.ts";
import type { Draft } from "./draft.ts";
import { forgetKill, killAgain } from "./kills.ts";
import { databaseOf, memberOf, membersOf } from "./members.ts";
import { ensureRecovery, keepOut } from "./recovery.ts";
import { agentGone, leavePlace } from "./release.ts";
import { findAdminStep, findNode, nodeOfTask, type NodeRecord, type State } from "./state.ts";
import { heardOf } from "./silence.ts";
import { failureOf } from "./status-words.ts";

/** Wait before the second start after a failure and all further ones; the first is tried at once. */
const CRASH_BACKOFF: Backoff = { initialMs: 10_000, factor: 2, maxMs: 300_000, jitter: 0.2 };

/** A node that ran this long before it failed starts the count anew. */
const STABLE_MS = 600_000;

/** Orphans that are kept for showing. */
const ORPHANS_KEPT = 1000;

/** Takes a status update in, and acknowledges it once what it changed is saved. */
export function taskStatus(draft: Draft, status: TaskStatus): void {
  settle(draft, status.taskId);
  if (status.state === "TASK_GONE_BY_OPERATOR" && status.agentId !== undefined)
    agentGone(draft, status.agentId, failureOf(draft.nowMs, status));
  const nodeId = nodeOfTask(status.taskId);
  const node = nodeId === undefined ? undefined : findNode(draft.state, nodeId);
  const admin = findAdminStep(draft.state, status.taskId);
  if (admin !== undefined) adminStatus(draft, admin.plan, admin.index, status);
  else if (node?.task !== undefined && node.task.taskId === status.taskId) {
    if (isTerminal(status.state)) ended(draft, node, status);
    else alive(draft, node, status);
  } else if (node !== undefined || isOfLeftover(draft.state, nodeId)) supersededTask(draft, status);
  else orphanTask(draft, status);
  const { agentId, taskId, uuid } = status;
  if (uuid !== undefined && agentId !== undefined) draft.act({ type: "acknowledge", agentId, taskId, uuid });
}

/** The task's state is known now. */
function settle(draft: Draft, taskId: string): void {
  if (!draft.state.unreconciled.has(taskId)) return;
  const unreconciled = new Set(draft.state.unreconciled);
  unreconciled.delete(taskId);
  draft.set({ unreconciled });
}

/** A task of a node that no record knows. Its data may be somebody's: it is shown, never killed. */
function orphanTask(draft: Draft, status: TaskStatus): void {
  if (draft.state.orphans.has(status.taskId) === !isTerminal(status.state)) return;
  const orphans = new Map(draft.state.orphans);
  if (isTerminal(status.state)) orphans.delete(status.taskId);
  else if (orphans.size < ORPHANS_KEPT) {
    orphans.set(status.taskId, { type: "task", hostname: status.agentId ?? "unknown", seenMs: draft.nowMs });
    draft.act({
      type: "note",
      level: "warn",
      text: `Task "${status.taskId}" is ours and unknown to the store: left alone`,
    });
  }
  draft.set({ orphans });
}

/** Whether the node was replaced or removed while its agent was out of sight: nothing of it may go on. */
function isOfLeftover(state: State, nodeId: string | undefined): boolean {
  return [...state.leftovers.values()].some(({ node }) => node === nodeId);
}

/** A task whose node or plan has gone on without it: two processes of one node must not live, nor two tasks of one step. */
function supersededTask(draft: Draft, status: TaskStatus): void {
  const { taskId, state, agentId } = status;
  lateAdminStatus(draft, status);
  if (isTerminal(state)) return forgetKill(draft, taskId);
  // Mesos does not see it: it is killed when it shows up, which Mesos tells.
  if (isOutOfSight(state) || agentId === undefined) return;
  const isKnown = draft.state.kills.has(taskId);
  if (!isKnown || state !== "TASK_KILLING") killAgain(draft, taskId, agentId);
  if (isKnown) return;
  draft.act({ type: "note", level: "warn", text: `Task "${taskId}" is superseded and alive: killed` });
}

function alive(draft: Draft, node: NodeRecord, status: TaskStatus): void {
  if (status.source === "EXECUTOR") heardOf(draft, node.id);
  const phase = alivePhase(node, status);
  const joined = node.joined || status.state === "TASK_RUNNING";
  if (status.message !== undefined) draft.say(node.id, status.message);
  const healthy = status.state === "TASK_RUNNING" ? (status.healthy ?? true) : node.healthy;
  const { unheard, ...heard } = node;
  const isHeard = unheard === true && status.state !== "TASK_STAGING" && phase !== "unreachable";
  const wasAway = node.phase === "unreachable" || node.phase === "stopping";
  if (node.expelled === true && wasAway && phase !== "unreachable") return keepOut(draft, node, status.state);
  const address = status.labels[ADDRESS_LABEL] ?? node.address;
  const isSame = joined === node.joined && healthy === node.healthy && address === node.address;
  if (phase === node.phase && isSame && !isHeard) return;
  const sinceMs = phase === node.phase ? node.sinceMs : draft.nowMs;
  const isFirst = joined && !node.joined;
  const first = isFirst && !isInRing(draft, node) ? { outside: "joining" as const } : {};
  if (isFirst && first.outside === undefined) leaveRing(draft, node);
  const { keep, ...free } = isHeard ? heard : node;
  // What was to stay as it is has come back: another time is another matter.
  const kept = keep === true && phase === "unreachable" ? { keep } : {};
  const known = address === undefined ? {} : { address };
  draft.putNode({ ...free, ...kept, ...known, phase, joined, healthy, sinceMs, ...first });
}

/** Whether a node is a member of its ring as soon as it serves. */
function isInRing(draft: Draft, node: NodeRecord): boolean {
  const cluster = draft.state.clusters.get(node.cluster);
  return cluster === undefined || databaseOf(cluster).joinsByServing(membersOf(cluster), memberOf(node));
}

/** Who has come into the ring has taken the place of its old node there. */
function leaveRing(draft: Draft, { cluster, replaces }: NodeRecord): void {
  const old = draft.state.clusters.get(cluster)?.nodes.get(replaces?.node ?? "");
  if (old !== undefined) draft.putNode({ ...old, outside: "left" });
}

function isOutOfSight(state: TaskState): boolean {
  return state === "TASK_UNREACHABLE" || state === "TASK_UNKNOWN";
}

function alivePhase(node: NodeRecord, status: TaskStatus): NodeRecord["phase"] {
  if (isOutOfSight(status.state)) return "unreachable";
  if (node.phase === "stopping") return "stopping";
  switch (status.state) {
    case "TASK_RUNNING":
      return "running";
    case "TASK_STAGING":
      return node.phase === "unreachable" ? "launching" : node.phase;
    case "TASK_KILLING":
      return node.phase;
    default:
      return node.phase === "running" ? "running" : "starting";
  }
}

function ended(draft: Draft, node: NodeRecord, status: TaskStatus): void {
  const { task: _ended, ...before } = node;
  const rest: Omit<NodeRecord, "task"> = isUntouched(status) ? before : { ...before, begun: true };
  forgetKill(draft, status.taskId);
  if (node.phase === "stopping") {
    const stopped = neverTook(node, status) ? leavePlace(draft, rest) : rest;
    draft.putNode({ ...stopped, phase: "stopped", sinceMs: draft.nowMs });
    return;
  }
  const failure = failureOf(draft.nowMs, status);
  // Operators of Mesos have emptied the agent: no fault of the node's.
  const isDrained = status.reason === "AGENT_DRAINING";
  const stable = node.phase === "running" && draft.nowMs - node.sinceMs >= STABLE_MS;
  const failures = isDrained ? node.failures : stable ? 1 : node.failures + 1;
  const delayMs = isDrained || failures === 1 ? 0 : backoffMs(CRASH_BACKOFF, failures - 2, draft.random());
  const failed = {
    ...rest,
    sinceMs: draft.nowMs,
    healthy: false,
    failures,
    retryAtMs: draft.nowMs + delayMs,
    lastFailure: failure,
  };
  draft.act({ type: "note", level: "warn", text: `Node "${node.id}" ended: ${failure.message}` });

  if (neverTook(node, status)) {
    draft.putNode({ ...leavePlace(draft, failed), phase: "waiting" });
  } else {
    const gone = status.state === "TASK_GONE_BY_OPERATOR" || failure.kind !== undefined;
    draft.putNode({ ...failed, phase: gone ? "lost" : "down" });
  }
  const after = findNode(draft.state, node.id);
  if (after !== undefined) ensureRecovery(draft, after);
}

/**
 * Whether the end of a task proves that its executor never came to the volume. What was heard of it proves nothing: the last
 * updates go with an agent that is rebooted.
 */
function isUntouched({ state, source, reason }: TaskStatus): boolean {
  // By a reconciliation the master passes on what an agent has said, also of a task that ran before the agent forgot it.
  if (source === "MASTER") return reason !== "RECONCILIATION" && (state === "TASK_DROPPED" || state === "TASK_ERROR");
  return reason === "CONTAINER_LAUNCH_FAILED" || reason === "TASK_KILLED_DURING_LAUNCH";
}

/** Whether the launch that made the place was not carried out, so that nothing of the node can be there. */
function neverTook({ joined, unheard, task, place }: NodeRecord, { state, source, reason }: TaskStatus): boolean {
  // Reservation and executor of one launch have the same id: at a place from an earlier one there may be data.
  const isFirst = task !== undefined && task.executor.executorId === place?.reservation;
  const isUntaken = state === "TASK_DROPPED" || state === "TASK_ERROR";
  return !joined && unheard === true && isFirst && isUntaken && source === "MASTER" && reason !== "RECONCILIATION";
}
