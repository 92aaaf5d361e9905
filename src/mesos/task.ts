// Tasks, executors and what Mesos says about them.
import type { Labels, Resource } from "./resources.ts";

export type TaskState =
  | "TASK_STAGING"
  | "TASK_STARTING"
  | "TASK_RUNNING"
  | "TASK_KILLING"
  | "TASK_FINISHED"
  | "TASK_FAILED"
  | "TASK_KILLED"
  | "TASK_ERROR"
  | "TASK_LOST"
  | "TASK_DROPPED"
  | "TASK_UNREACHABLE"
  | "TASK_GONE"
  | "TASK_GONE_BY_OPERATOR"
  | "TASK_UNKNOWN";

/** States after which the task's process does not run and never will. TASK_UNREACHABLE and TASK_UNKNOWN are not among them. */
const TERMINAL: ReadonlySet<TaskState> = new Set<TaskState>([
  "TASK_FINISHED",
  "TASK_FAILED",
  "TASK_KILLED",
  "TASK_ERROR",
  "TASK_LOST",
  "TASK_DROPPED",
  "TASK_GONE",
  "TASK_GONE_BY_OPERATOR",
]);

export function isTerminal(state: TaskState): boolean {
  return TERMINAL.has(state);
}

export type Uri = {
  readonly value: string;
  readonly executable?: boolean;
  readonly extract?: boolean;
  readonly cache?: boolean;
  readonly outputFile?: string;
};

export type ExecutorInfo = {
  readonly executorId: string;
  readonly frameworkId: string;
  readonly name: string;
  readonly source: string;
  readonly resources: readonly Resource[];
  readonly command: {
    readonly uris: readonly Uri[];
    readonly environment: Readonly<Record<string, string>>;
    /** Run by /bin/sh -c in the sandbox. */
    readonly value: string;
    readonly user?: string;
  };
  readonly labels: Labels;
  readonly shutdownGraceMs: number;
};

export type TaskInfo = {
  readonly name: string;
  readonly taskId: string;
  readonly agentId: string;
  readonly resources: readonly Resource[];
  readonly executor: ExecutorInfo;
  readonly data: Uint8Array;
  readonly labels: Labels;
  readonly killGraceMs: number;
  /** Named ports for Mesos' own service discovery. */
  readonly discovery?: { readonly name: string; readonly ports: Readonly<Record<string, number>> };
};

export type TaskStatus = {
  readonly taskId: string;
  readonly state: TaskState;
  readonly source?: "MASTER" | "AGENT" | "EXECUTOR";
  /** Without its REASON_, e.g. "RECONCILIATION". */
  readonly reason?: string;
  readonly message?: string;
  readonly agentId?: string;
  readonly executorId?: string;
  readonly timestampMs?: number;
  /** Set when the update wants an acknowledgement. */
  readonly uuid?: Uint8Array;
  readonly healthy?: boolean;
  readonly labels: Labels;
  readonly unreachableMs?: number;
};

export type OperationState =
  | "OPERATION_UNSUPPORTED"
  | "OPERATION_PENDING"
  | "OPERATION_FINISHED"
  | "OPERATION_FAILED"
  | "OPERATION_ERROR"
  | "OPERATION_DROPPED"
  | "OPERATION_UNREACHABLE"
  | "OPERATION_GONE_BY_OPERATOR"
  | "OPERATION_RECOVERING"
  | "OPERATION_UNKNOWN";

export type OperationStatus = {
  readonly operationId?: string;
  readonly state: OperationState;
  readonly message?: string;
  readonly agentId?: string;
  readonly resourceProviderId?: string;
  readonly uuid?: Uint8Array;
};
