// A status update that ended a task, as the failure that is kept and shown.
import { FAILURE_LABEL, type NodeFailure } from "../databases/node.ts";
import type { TaskStatus } from "../mesos/task.ts";
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
