// What an executor knows, what can happen to it, and what it can do.
import type { Health, NodeFailure, NodeTask } from "../databases/node.ts";
import type { ExecutorEvent, ExecutorUpdate, LaunchedTask } from "../mesos/executor-api.ts";
import type { TaskState } from "../mesos/task.ts";
import type { Seed } from "../std/random.ts";

/** The executor's own waits, all in milliseconds. */
export type Timings = {
  /** Between two probes until the node serves, and after that. */
  readonly probeStartingMs: number;
  readonly probeServingMs: number;
  /** After so many probes in a row without an answer a serving node is unhealthy. */
  readonly unansweredMax: number;
  /** A process that answers nothing for so long hangs, and is killed. */
  readonly hangMs: number;
  /** A start that says of itself that it failed is ended after so long. */
  readonly failedStartMs: number;
  /** How long the end of the executor waits for the agent to acknowledge the last update. */
  readonly acknowledgeMs: number;
  /** How long a stop may take when the agent shuts the executor down; after it Mesos kills everything. */
  readonly shutdownGraceMs: number;
};

/** What the probes said lately. */
export type Watch = {
  readonly startedMs: number;
  readonly nextProbeMs: number;
  readonly probing: boolean;
  readonly lastAnswerMs: number;
  /** Probes without an answer since the last answer. */
  readonly unanswered: number;
  /** Since when the database says of itself that it failed. */
  readonly failingMs?: number;
  readonly healthy: boolean;
  /** The detail of the last answer. */
  readonly said: string;
  /** What the last probe told, an answer or the lack of one. */
  readonly health: Health;
};

/** How the task ends once its process is gone. */
export type Outcome = { readonly state: TaskState; readonly message: string; readonly failure?: NodeFailure };

export type Phase =
  | { readonly type: "idle" }
  /** Volume, package and files are being looked after. `outcome`: asked to stop meanwhile. */
  | { readonly type: "preparing"; readonly outcome?: Outcome }
  | { readonly type: "starting"; readonly watch: Watch }
  | { readonly type: "serving"; readonly watch: Watch }
  | {
      readonly type: "stopping";
      readonly step: "draining" | "terminating" | "killing";
      /** When the step ends by itself: draining in SIGTERM, the others in SIGKILL. */
      readonly stepUntilMs: number;
      readonly killMs: number;
      readonly outcome: Outcome;
    }
  | { readonly type: "ended"; readonly endedMs: number; readonly code: number };

export type ExecutorState = {
  readonly timings: Timings;
  readonly seed: Seed;
  readonly phase: Phase;
  readonly taskId?: string;
  readonly node?: NodeTask;
  /** "away": the agent may come back. "lost": it will not, nobody hears us any more. */
  readonly link: { readonly state: "away" | "connected" | "lost"; readonly sinceMs: number };
  /** Both are part of every subscription, until acknowledged. */
  readonly unacknowledgedTasks: readonly LaunchedTask[];
  readonly unacknowledgedUpdates: readonly ExecutorUpdate[];
};

/** What the agent says, and what the executor's own hands report. */
export type Event = { readonly nowMs: number } & (
  | ExecutorEvent
  | { readonly type: "disconnected" }
  | { readonly type: "lost"; readonly reason: string }
  /** The agent takes this update never: it is not to be sent again. */
  | { readonly type: "refused"; readonly update: ExecutorUpdate }
  | { readonly type: "prepared" }
  /** The process never came to be. */
  | { readonly type: "failed"; readonly message: string; readonly failure?: NodeFailure }
  /** `answered`: the database said something; otherwise `health.detail` says why not. */
  | { readonly type: "probed"; readonly answered: boolean; readonly health: Health }
  | { readonly type: "drained" }
  /** `how`: "with code 3", "by SIGKILL". `lastLines`: of its output. */
  | { readonly type: "exited"; readonly how: string; readonly lastLines: string }
  /** A second one in a row kills at once. */
  | { readonly type: "interrupted" }
  | { readonly type: "tick" }
);

export type Action =
  | { readonly type: "prepare"; readonly node: NodeTask }
  | { readonly type: "start" }
  | { readonly type: "probe" }
  | { readonly type: "drain"; readonly timeoutMs: number }
  | { readonly type: "signal"; readonly signal: "SIGTERM" | "SIGKILL" }
  | { readonly type: "update"; readonly update: ExecutorUpdate }
  | { readonly type: "exit"; readonly code: number };
