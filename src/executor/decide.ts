// The executor's decisions: one node from its launch to its end. Pure: time comes in the events, chance from a seed.
import type { Health, NodeTask } from "../databases/node.ts";
import { FAILURE_LABEL } from "../databases/node.ts";
import type { ExecutorUpdate, LaunchedTask } from "../mesos/executor-api.ts";
import type { TaskState } from "../mesos/task.ts";
import type { Decision } from "../std/decision.ts";
import { faultText } from "../std/reason.ts";
import type { Action, Event, ExecutorState, Outcome, Phase, Timings, Watch } from "./state.ts";
import { readNodeTask } from "./task.ts";
import { nextUuid } from "./uuid.ts";

export const DEFAULT_TIMINGS: Timings = {
  probeStartingMs: 2_000,
  probeServingMs: 10_000,
  unansweredMax: 6,
  hangMs: 300_000,
  failedStartMs: 60_000,
  acknowledgeMs: 10_000,
  shutdownGraceMs: 30_000,
};

/** Mesos keeps messages in its own state: no more than this of one. */
const MESSAGE_MAX = 2_000;
/** More updates than these are not kept while the agent is away. */
const UNACKNOWLEDGED_MAX = 100;
/** Between two SIGKILLs: the first can come too early for a process that the kernel holds. */
const KILL_AGAIN_MS = 5_000;

type Decided = Decision<ExecutorState, Action>;

export function initialState(seed: number, timings: Timings, nowMs: number): ExecutorState {
  return {
    timings,
    seed,
    phase: { type: "idle" },
    link: { state: "away", sinceMs: nowMs },
    unacknowledgedTasks: [],
    unacknowledgedUpdates: [],
  };
}

export function decide(state: ExecutorState, event: Event): Decided {
  switch (event.type) {
    case "subscribed":
      return { state: { ...state, link: { state: "connected", sinceMs: event.nowMs } }, actions: [] };
    case "disconnected":
      return { state: { ...state, link: { state: "away", sinceMs: event.nowMs } }, actions: [] };
    case "lost": {
      const alone: ExecutorState = { ...state, link: { state: "lost", sinceMs: event.nowMs } };
      if (alone.phase.type === "ended") return exitWhenDone(alone);
      return stop(alone, state.node?.graceMs ?? 0, { state: "TASK_FAILED", message: event.reason }, event.nowMs);
    }
    case "refused":
      return exitWhenDone(without(state, event.update.taskId, event.update.uuid));
    case "launch":
      return launch(state, event.task, event.nowMs);
    case "acknowledged":
      return acknowledged(state, event.taskId, event.uuid);
    case "kill":
      if (event.taskId !== state.taskId || state.node === undefined) return { state, actions: [] };
      return stop(state, event.graceMs ?? state.node.graceMs, { state: "TASK_KILLED", message: "Killed" }, event.nowMs);
    case "shutdown":
      return stop(
        state,
        shutdownGrace(state),
        { state: "TASK_KILLED", message: "Shut down by the agent" },
        event.nowMs,
      );
    case "error": {
      const message = `The agent refuses this executor: ${event.message}`;
      return stop(state, shutdownGrace(state), { state: "TASK_FAILED", message }, event.nowMs);
    }
    case "interrupted": {
      const grace = state.phase.type === "stopping" ? 0 : (state.node?.graceMs ?? 0);
      return stop(state, grace, { state: "TASK_KILLED", message: "Interrupted" }, event.nowMs);
    }
    case "prepared":
      return prepared(state, event.nowMs);
    case "failed": {
      const { message, failure } = event;
      const failed: Outcome = { state: "TASK_FAILED", message, ...(failure === undefined ? {} : { failure }) };
      return end(state, outcomeOf(state.phase) ?? failed, event.nowMs);
    }
    case "probed":
      return probed(state, event.answered, event.health, event.nowMs);
    case "drained":
      if (state.phase.type !== "stopping" || state.phase.step !== "draining") return { state, actions: [] };
      return terminate(state, state.phase);
    case "exited":
      return exited(state, event.how, event.lastLines, event.nowMs);
    case "tick":
      return tick(state, event.nowMs);
    case "message":
    case "heartbeat":
      return { state, actions: [] };
  }
}

/** Mesos kills everything at the end of its grace: ours ends a little earlier. */
function shutdownGrace(state: ExecutorState): number {
  return Math.round(state.timings.shutdownGraceMs * 0.9);
}

function launch(state: ExecutorState, task: LaunchedTask, nowMs: number): Decided {
  const known = { ...state, unacknowledgedTasks: [...state.unacknowledgedTasks, task] };
  if (state.phase.type !== "idle") {
    const message = `Cannot launch task "${task.taskId}": this executor has task "${state.taskId ?? "none"}"`;
    return update(known, task.taskId, { state: "TASK_ERROR", message }, nowMs);
  }
  const launched = { ...known, taskId: task.taskId };
  const read = readNodeTask(new TextDecoder().decode(task.data));
  if ("faults" in read) {
    const message = `Cannot read task "${task.taskId}": ${read.faults.map(faultText).join("; ")}`;
    return end(launched, { state: "TASK_ERROR", message }, nowMs);
  }
  const preparing: ExecutorState = { ...launched, node: read.task, phase: { type: "preparing" } };
  const started = update(
    preparing,
    task.taskId,
    { state: "TASK_STARTING", message: "Preparing volume and files" },
    nowMs,
  );
  return { state: started.state, actions: [...started.actions, { type: "prepare", node: read.task }] };
}

function acknowledged(state: ExecutorState, taskId: string, uuid: Uint8Array): Decided {
  // Once one update of a task is acknowledged, the agent has the task itself.
  const unacknowledgedTasks = state.unacknowledgedTasks.filter((task) => task.taskId !== taskId);
  return exitWhenDone({ ...without(state, taskId, uuid), unacknowledgedTasks });
}

function without(state: ExecutorState, taskId: string, uuid: Uint8Array): ExecutorState {
  const same = (update: ExecutorUpdate): boolean =>
    update.taskId === taskId && update.uuid.every((byte, index) => byte === uuid[index]);
  return { ...state, unacknowledgedUpdates: state.unacknowledgedUpdates.filter((update) => !same(update)) };
}

function prepared(state: ExecutorState, nowMs: number): Decided {
  if (state.phase.type !== "preparing") return { state, actions: [] };
  if (state.phase.outcome !== undefined) return end(state, state.phase.outcome, nowMs);
  const watch: Watch = {
    startedMs: nowMs,
    nextProbeMs: nowMs + state.timings.probeStartingMs,
    probing: false,
    lastAnswerMs: nowMs,
    unanswered: 0,
    healthy: false,
    said: "The process starts",
    health: { phase: "starting", detail: "The process starts" },
  };
  const starting: ExecutorState = { ...state, phase: { type: "starting", watch } };
  const told = update(starting, state.taskId, { state: "TASK_STARTING", message: watch.health.detail }, nowMs);
  return { state: told.state, actions: [...told.actions, { type: "start" }] };
}

function probed(state: ExecutorState, answered: boolean, health: Health, nowMs: number): Decided {
  const { phase, timings } = state;
  if (phase.type !== "starting" && phase.type !== "serving") return { state, actions: [] };
  const serving = phase.type === "serving" || (answered && health.phase === "serving");
  const { failingMs: failingSince, ...before } = phase.watch;
  const failingMs = answered && health.phase === "failing" ? (failingSince ?? nowMs) : undefined;
  const watch: Watch = {
    ...before,
    probing: false,
    nextProbeMs: nowMs + (serving ? timings.probeServingMs : timings.probeStartingMs),
    ...(answered ? { lastAnswerMs: nowMs, unanswered: 0 } : { unanswered: phase.watch.unanswered + 1 }),
    ...(failingMs === undefined ? {} : { failingMs }),
    said: answered ? health.detail : before.said,
    health,
    healthy: isHealthy(phase.watch, answered, health, timings),
  };
  if (!serving) {
    const next = { ...state, phase: { type: "starting", watch } as const };
    if (failingMs !== undefined && nowMs - failingMs >= timings.failedStartMs) {
      const message = `The start failed: ${health.detail}`;
      return stop(next, next.node?.graceMs ?? 0, { state: "TASK_FAILED", message }, nowMs);
    }
    // A join can take hours: whoever waits for it shall see how far it is.
    if (watch.said === phase.watch.said) return { state: next, actions: [] };
    return update(next, state.taskId, { state: "TASK_STARTING", message: health.detail }, nowMs);
  }
  const next: ExecutorState = { ...state, phase: { type: "serving", watch } };
  if (phase.type === "serving" && watch.healthy === phase.watch.healthy) return { state: next, actions: [] };
  return update(next, state.taskId, { state: "TASK_RUNNING", message: health.detail, healthy: watch.healthy }, nowMs);
}

/** Lost answers count only when there are several in a row: a long collection of garbage is no illness. */
function isHealthy(watch: Watch, answered: boolean, health: Health, timings: Timings): boolean {
  if (answered) return health.phase === "serving" || health.phase === "leaving";
  return watch.healthy && watch.unanswered + 1 < timings.unansweredMax;
}

function exited(state: ExecutorState, how: string, lastLines: string, nowMs: number): Decided {
  const { phase } = state;
  if (phase.type === "ended" || phase.type === "idle") return { state, actions: [] };
  const asked = outcomeOf(phase);
  if (asked !== undefined)
    return end(state, { ...asked, message: `${asked.message}; the process ended ${how}` }, nowMs);
  const after =
    phase.type === "preparing" ? 0 : Math.round((nowMs - ("watch" in phase ? phase.watch.startedMs : nowMs)) / 1000);
  const words = lastLines === "" ? "" : `; its last lines: ${lastLines}`;
  const message = `${state.node?.database ?? "The database"} ended by itself ${how} after ${after} s${words}`;
  return end(state, { state: "TASK_FAILED", message }, nowMs);
}

function outcomeOf(phase: Phase): Outcome | undefined {
  return phase.type === "stopping" || phase.type === "preparing" ? phase.outcome : undefined;
}

/** Begins the stop, or makes one that is under way faster: drain at most half of the grace, SIGTERM, SIGKILL at its end. */
function stop(state: ExecutorState, graceMs: number, outcome: Outcome, nowMs: number): Decided {
  const { phase } = state;
  const killMs = nowMs + graceMs;
  switch (phase.type) {
    case "idle": {
      const code = codeOf(outcome);
      return { state: { ...state, phase: { type: "ended", endedMs: nowMs, code } }, actions: [{ type: "exit", code }] };
    }
    case "ended":
      return { state, actions: [] };
    case "preparing":
      return { state: { ...state, phase: { type: "preparing", outcome: phase.outcome ?? outcome } }, actions: [] };
    case "stopping": {
      if (phase.step === "killing" || killMs >= phase.killMs) return { state, actions: [] };
      const faster = { ...phase, killMs, stepUntilMs: Math.min(phase.stepUntilMs, killMs) };
      return graceMs === 0 ? kill(state, faster, nowMs) : { state: { ...state, phase: faster }, actions: [] };
    }
    case "starting":
    case "serving": {
      const stopping = {
        type: "stopping",
        step: "draining",
        stepUntilMs: nowMs + graceMs / 2,
        killMs,
        outcome,
      } as const;
      if (graceMs === 0) return kill(state, stopping, nowMs);
      // A node that does not answer, or is no member yet, cannot hand anything over.
      const drains = phase.type === "serving" && phase.watch.unanswered === 0;
      if (!drains) return terminate(state, stopping);
      return { state: { ...state, phase: stopping }, actions: [{ type: "drain", timeoutMs: graceMs / 2 }] };
    }
  }
}

type Stopping = Extract<Phase, { type: "stopping" }>;

function terminate(state: ExecutorState, phase: Stopping): Decided {
  const next: Stopping = { ...phase, step: "terminating", stepUntilMs: phase.killMs };
  return { state: { ...state, phase: next }, actions: [{ type: "signal", signal: "SIGTERM" }] };
}

function kill(state: ExecutorState, phase: Stopping, nowMs: number): Decided {
  const next: Stopping = { ...phase, step: "killing", stepUntilMs: nowMs + KILL_AGAIN_MS };
  return { state: { ...state, phase: next }, actions: [{ type: "signal", signal: "SIGKILL" }] };
}

function tick(state: ExecutorState, nowMs: number): Decided {
  const { phase, timings, link } = state;
  switch (phase.type) {
    case "starting":
    case "serving": {
      const silentMs = nowMs - phase.watch.lastAnswerMs;
      if (silentMs > timings.hangMs) {
        const message = `Hung: no answer for ${Math.round(silentMs / 1000)} s (${phase.watch.health.detail})`;
        return stop(state, 0, { state: "TASK_FAILED", message }, nowMs);
      }
      if (phase.watch.probing || nowMs < phase.watch.nextProbeMs) return { state, actions: [] };
      const watch = { ...phase.watch, probing: true };
      return { state: { ...state, phase: { ...phase, watch } }, actions: [{ type: "probe" }] };
    }
    case "stopping":
      if (nowMs < phase.stepUntilMs) return { state, actions: [] };
      return phase.step === "draining" ? terminate(state, phase) : kill(state, phase, nowMs);
    case "ended": {
      const waitedMs = nowMs - Math.max(phase.endedMs, link.sinceMs);
      const exits = link.state === "connected" && waitedMs > timings.acknowledgeMs;
      return { state, actions: exits ? [{ type: "exit", code: phase.code }] : [] };
    }
    case "idle":
    case "preparing":
      return { state, actions: [] };
  }
}

/** The last update; the executor leaves when the agent has acknowledged everything. */
function end(state: ExecutorState, outcome: Outcome, nowMs: number): Decided {
  if (state.phase.type === "ended") return { state, actions: [] };
  const code = codeOf(outcome);
  const last = update({ ...state, phase: { type: "ended", endedMs: nowMs, code } }, state.taskId, outcome, nowMs);
  const done = exitWhenDone(last.state);
  return { state: done.state, actions: [...last.actions, ...done.actions] };
}

function codeOf(outcome: Outcome): number {
  return outcome.state === "TASK_KILLED" ? 0 : 1;
}

function exitWhenDone(state: ExecutorState): Decided {
  const { phase } = state;
  const heard = state.unacknowledgedUpdates.length === 0 || state.link.state === "lost";
  if (phase.type !== "ended" || !heard) return { state, actions: [] };
  return { state, actions: [{ type: "exit", code: phase.code }] };
}

function update(
  state: ExecutorState,
  taskId: string | undefined,
  said: Outcome & { readonly healthy?: boolean },
  nowMs: number,
): Decided {
  if (taskId === undefined) return { state, actions: [] };
  const { uuid, seed } = nextUuid(state.seed);
  const sent: ExecutorUpdate = {
    taskId,
    state: said.state satisfies TaskState,
    labels: said.failure === undefined ? {} : { [FAILURE_LABEL]: said.failure },
    uuid,
    timestampMs: nowMs,
    message: said.message.length > MESSAGE_MAX ? `${said.message.slice(0, MESSAGE_MAX)}…` : said.message,
    ...(said.healthy === undefined ? {} : { healthy: said.healthy }),
  };
  // Of very many only the last matter; one that the agent has had and acknowledges later is no harm.
  const kept = [...state.unacknowledgedUpdates, sent].slice(-UNACKNOWLEDGED_MAX);
  const next = { ...state, seed, unacknowledgedUpdates: kept };
  return { state: next, actions: [{ type: "update", update: sent }] };
}

/** What the executor's API tells about its node. */
export function statusOf(state: ExecutorState): {
  readonly phase: Phase["type"];
  readonly healthy: boolean;
  readonly detail: string;
  readonly node?: NodeTask["node"];
} {
  const { phase, node } = state;
  const name = node === undefined ? {} : { node: node.node };
  if (phase.type === "starting" || phase.type === "serving")
    return {
      phase: phase.type,
      healthy: phase.type === "serving" && phase.watch.healthy,
      detail: phase.watch.health.detail,
      ...name,
    };
  const detail = phase.type === "stopping" ? `${phase.step}: ${phase.outcome.message}` : "";
  return { phase: phase.type, healthy: false, detail, ...name };
}
