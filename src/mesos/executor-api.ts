// Mesos' v1 executor API as plain data: what an agent tells an executor, and what an executor tells it.
import type { TaskInfo, TaskStatus } from "./task.ts";

/** A task as the agent hands it to its executor. */
export type LaunchedTask = Pick<TaskInfo, "name" | "taskId" | "agentId" | "data" | "killGraceMs"> & {
  /** The TaskInfo as it came, for `unacknowledged` in a later subscription. */
  readonly raw: Uint8Array;
};

export type ExecutorEvent =
  | { readonly type: "subscribed"; readonly agentId: string; readonly hostname: string; readonly frameworkName: string }
  | { readonly type: "launch"; readonly task: LaunchedTask }
  | { readonly type: "kill"; readonly taskId: string; readonly graceMs?: number }
  | { readonly type: "acknowledged"; readonly taskId: string; readonly uuid: Uint8Array }
  | { readonly type: "message"; readonly data: Uint8Array }
  | { readonly type: "shutdown" }
  | { readonly type: "error"; readonly message: string }
  | { readonly type: "heartbeat" };

/** A status update as the executor makes it; `uuid` is a version 4 UUID of 16 bytes (an agent aborts on anything else). */
export type ExecutorUpdate = Pick<TaskStatus, "taskId" | "state" | "labels"> & {
  readonly uuid: Uint8Array;
  readonly timestampMs: number;
  readonly message?: string;
  readonly healthy?: boolean;
};

export type ExecutorCall =
  | {
      readonly type: "subscribe";
      readonly unacknowledgedTasks: readonly LaunchedTask[];
      readonly unacknowledgedUpdates: readonly ExecutorUpdate[];
    }
  | { readonly type: "update"; readonly update: ExecutorUpdate }
  | { readonly type: "message"; readonly data: Uint8Array };
