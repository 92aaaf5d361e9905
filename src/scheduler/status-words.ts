// Failures in words: how a task's end is kept, and why the next try waits.
import { FAILURE_LABEL, type NodeFailure } from "../databases/node.ts";
import type { TaskStatus } from "../mesos/task.ts";
import type { Reason } from "../std/reason.ts";
import type { Failure } from "./state.ts";

export function failureOf(nowMs: number, status: TaskStatus): Failure {
  const reason = status.reason === undefined || status.reason === "RECONCILIATION" ? "" : ` (${status.reason})`;
  const kind = status.labels[FAILURE_LABEL];
  return {
    atMs: nowMs,
    state: status.state,
    message: `${status.state}${reason}${status.message === undefined ? "" : `: ${status.message}`}`.slice(0, 2000),
    ...(isNodeFailure(kind) ? { kind } : {}),
  };
}

function isNodeFailure(kind: string | undefined): kind is NodeFailure {
  return kind === "empty-volume" || kind === "foreign-volume";
}

/** Whether operators of Mesos have emptied the agent: its node ended without a fault of its own. */
export function isDrainedBy({ message }: Failure): boolean {
  return message.startsWith("TASK_KILLED (AGENT_DRAINING)");
}

/** Why the next try after so many failures waits; undefined: it is due. */
export function backoffReason(nowMs: number, failures: number, retryAtMs: number, last: string): Reason | undefined {
  if (nowMs >= retryAtMs) return undefined;
  return {
    check: "back-off",
    found: `${failures} failures in a row, the last: ${last}`,
    wanted: `the next try at ${new Date(retryAtMs).toISOString()}`,
  };
}
