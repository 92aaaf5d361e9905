// What an executor knows, what can happen to it, and what it can do.
import type { Answer, Database, Place, Question } from "../databases/database.ts";
import type { Health, NodeFailure, NodeTask } from "../databases/node.ts";
import type { ExecutorEvent, ExecutorUpdate, LaunchedTask } from "../mesos/executor-api.ts";
import type { TaskState } from "../mesos/task.ts";
import type { Decision } from "../std/decision.ts";
import type { Seed } from "../std/random.ts";
import type { AdminWork } from "./admin.ts";
import type { CompanionState } from "./companions.ts";
import type { Errand } from "./errand.ts";

/** The executor's own waits, all in milliseconds. */
export type Timings = {
  /** Between two probes until the node serves, and after that. */
  readonly probeStartingMs: number;
  readonly probeServingMs: number;
  /** After so many probes in a row without an answer a serving node is unhealthy. */
  readonly unansweredMax: number;
  /** A process that answers nothing for so long hangs, and is killed. */
  readonly hangMs: number;
  /** After so long a node says again how it is: the scheduler takes a long silence for an executor that hangs. */
  readonly repeatMs: number;
  /** A start that says of itself that it failed is ended after so long. */
  readonly failedStartMs: number;
  /** How long the processes beside the database may take before they are there. */
  readonly companionsMs: number;
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
  /** Rounds of probes since all of them were answered. */
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
  | { readonly type: "preparing"; readonly step: "files"; readonly outcome?: Outcome }
  /** What the database wants done before its start. */
  | { readonly type: "preparing"; readonly step: "asks"; readonly errand: Errand }
  /** The processes beside the database are being waited for. */
  | { readonly type: "preparing"; readonly step: "companions"; readonly untilMs: number }
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
  /** What the node runs with, once its files are there. */
  readonly ready?: { readonly database: Database; readonly place: Place };
  /** By name. */
  readonly companions: ReadonlyMap<string, CompanionState>;
  /** The admin task at work, and those that wait for it. */
  readonly admin?: { readonly taskId: string; readonly operation: string; readonly errand: Errand };
  readonly adminQueue: readonly AdminWork[];
  /** The node has left its ring: that its process ends is no failure. */
  readonly left?: true;
  /** How many questions of errands were asked; the number of the last one. */
  readonly questions: number;
  /** "away": the agent may come back. "lost": it will not, nobody hears us any more. */
  readonly link: { readonly state: "away" | "connected" | "lost"; readonly sinceMs: number };
  /** When the last update was made. */
  readonly saidMs: number;
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
  | ({ readonly type: "prepared" } & NonNullable<ExecutorState["ready"]>)
  /** The process never came to be. */
  | { readonly type: "failed"; readonly message: string; readonly failure?: NodeFailure }
  /** `answered`: how many of the probes; where it is not all, `health.detail` says why not. */
  | { readonly type: "probed"; readonly answered: "all" | "some" | "none"; readonly health: Health }
  /** To the question of that number. */
  | { readonly type: "answered"; readonly number: number; readonly answer: Answer }
  | { readonly type: "companionUp"; readonly name: string }
  | { readonly type: "companionEnded"; readonly name: string; readonly how: string; readonly lastLines: string }
  | { readonly type: "drained" }
  /** `how`: "with code 3", "by SIGKILL". `lastLines`: of its output. */
  | { readonly type: "exited"; readonly how: string; readonly lastLines: string }
  /** A second one in a row kills at once. */
  | { readonly type: "interrupted" }
  | { readonly type: "tick" }
);

export type Action =
  | { readonly type: "prepare"; readonly node: NodeTask }
  | { readonly type: "ask"; readonly number: number; readonly question: Question }
  | { readonly type: "giveUp"; readonly number: number }
  | { readonly type: "startCompanion"; readonly name: string }
  | { readonly type: "endCompanions" }
  | { readonly type: "start" }
  | { readonly type: "probe" }
  | { readonly type: "drain"; readonly timeoutMs: number }
  | { readonly type: "signal"; readonly signal: "SIGTERM" | "SIGKILL" }
  | { readonly type: "update"; readonly update: ExecutorUpdate }
  | { readonly type: "exit"; readonly code: number };

/** What each of the executor's decisions returns. */
export type Decided = Decision<ExecutorState, Action>;
