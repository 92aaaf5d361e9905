// The executor's decisions: one node from its launch to its end. Pure: time comes in the events, chance from a seed.
import type { Answer } from "../databases/database.ts";
import type { Health, NodeTask } from "../databases/node.ts";
import { adminAnswered, adminProcessEnded, adminTick, killAdmin } from "./admin.ts";
import { companionEnded, companionsTick, companionUp } from "./companions.ts";
import { errandText, hear } from "./errand.ts";
import { companionsReady, launch, prepared, prepareOn, preparingTick } from "./start.ts";
import type { Decided, Event, ExecutorState, Outcome, Phase, Timings, Watch } from "./state.ts";
import { end, exitWhenDone, kill, stop, terminate } from "./stop.ts";
import { chain, update, without } from "./updates.ts";

export const DEFAULT_TIMINGS: Timings = {
  probeStartingMs: 2_000,
  probeServingMs: 10_000,
  unansweredMax: 6,
  hangMs: 300_000,
  repeatMs: 300_000,
  failedStartMs: 60_000,
  companionsMs: 30_000,
  acknowledgeMs: 10_000,
  shutdownGraceMs: 30_000,
};

export function initialState(seed: number, timings: Timings, nowMs: number): ExecutorState {
  return {
    timings,
    seed,
    phase: { type: "idle" },
    companions: new Map(),
    adminQueue: [],
    questions: 0,
    link: { state: "away", sinceMs: nowMs },
    saidMs: nowMs,
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
      if (event.taskId !== state.taskId || state.node === undefined)
        return killAdmin(state, event.taskId, event.nowMs) ?? { state, actions: [] };
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
      return prepared(state, { database: event.database, place: event.place }, event.nowMs);
    case "failed": {
      const { message, failure } = event;
      const failed: Outcome = { state: "TASK_FAILED", message, ...(failure === undefined ? {} : { failure }) };
      return end(state, outcomeOf(state.phase) ?? failed, event.nowMs);
    }
    case "answered":
      return answered(state, event.number, event.answer, event.nowMs);
    case "companionUp":
      return companionsReady(companionUp(state, event.name, event.nowMs), event.nowMs);
    case "companionEnded": {
      const words = event.lastLines === "" ? event.how : `${event.how}: ${event.lastLines}`;
      return { state: companionEnded(state, event.name, words, event.nowMs), actions: [] };
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

function acknowledged(state: ExecutorState, taskId: string, uuid: Uint8Array): Decided {
  // Once one update of a task is acknowledged, the agent has the task itself.
  const unacknowledgedTasks = state.unacknowledgedTasks.filter((task) => task.taskId !== taskId);
  return exitWhenDone({ ...without(state, taskId, uuid), unacknowledgedTasks });
}

/** The errand of that question goes on; an answer that nobody waits for any more is passed over. */
function answered(state: ExecutorState, number: number, answer: Answer, nowMs: number): Decided {
  const { phase, admin } = state;
  if (admin?.errand.question === number) return adminAnswered(state, answer, nowMs);
  if (phase.type !== "preparing" || phase.step !== "asks" || phase.errand.question !== number)
    return { state, actions: [] };
  return prepareOn(state, hear(phase.errand, answer, nowMs), nowMs);
}

function probed(
  state: ExecutorState,
  answers: Extract<Event, { type: "probed" }>["answered"],
  health: Health,
  nowMs: number,
): Decided {
  const { phase, timings } = state;
  if (phase.type !== "starting" && phase.type !== "serving") return { state, actions: [] };
  const answered = answers === "all";
  const serving = phase.type === "serving" || (answered && health.phase === "serving");
  const { failingMs: failingSince, ...before } = phase.watch;
  const failingMs = answered && health.phase === "failing" ? (failingSince ?? nowMs) : undefined;
  const watch: Watch = {
    ...before,
    probing: false,
    nextProbeMs: nowMs + (serving ? timings.probeServingMs : timings.probeStartingMs),
    ...(answers === "none" ? {} : { lastAnswerMs: nowMs }),
    unanswered: answered ? 0 : before.unanswered + 1,
    ...(failingMs === undefined ? {} : { failingMs }),
    said: answers === "none" ? before.said : health.detail,
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
  const admin = adminProcessEnded(state, how, nowMs);
  if (admin.state.left === true) {
    const message = `Left the ring; the process ended ${how}`;
    return chain(admin, (next) => end(next, { state: "TASK_FINISHED", message }, nowMs));
  }
  const after = "watch" in phase ? Math.round((nowMs - phase.watch.startedMs) / 1000) : 0;
  const words = lastLines === "" ? "" : `; its last lines: ${lastLines}`;
  const message = `${state.node?.database ?? "The database"} ended by itself ${how} after ${after} s${words}`;
  return chain(admin, (next) => end(next, { state: "TASK_FAILED", message }, nowMs));
}

function outcomeOf(phase: Phase): Outcome | undefined {
  return "outcome" in phase ? phase.outcome : undefined;
}

function tick(state: ExecutorState, nowMs: number): Decided {
  if (state.phase.type === "ended") return nodeTick(state, nowMs);
  const work = chain(companionsTick(state, nowMs), (one) =>
    chain(adminTick(one, nowMs), (two) => nodeTick(two, nowMs)),
  );
  return chain(work, (next) => repeat(next, nowMs));
}

function nodeTick(state: ExecutorState, nowMs: number): Decided {
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
    case "preparing":
      return preparingTick(state, phase, nowMs);
    case "idle":
      return { state, actions: [] };
  }
}

/** Says again how the node is, to an agent that hears it. */
function repeat(state: ExecutorState, nowMs: number): Decided {
  const { phase, saidMs, timings, link } = state;
  const isUp = phase.type === "preparing" || phase.type === "starting" || phase.type === "serving";
  const isDue = nowMs >= saidMs + timings.repeatMs && link.state === "connected";
  if (!isUp || !isDue) return { state, actions: [] };
  const said =
    phase.type === "serving"
      ? { state: "TASK_RUNNING" as const, healthy: phase.watch.healthy }
      : { state: "TASK_STARTING" as const };
  return update(state, state.taskId, { ...said, message: detailOf(phase) }, nowMs);
}

/** What the executor's API tells about its node. */
export function statusOf(state: ExecutorState): {
  readonly phase: Phase["type"];
  readonly healthy: boolean;
  readonly detail: string;
  readonly node?: NodeTask["node"];
  /** The admin task at work. */
  readonly admin?: { readonly taskId: string; readonly operation: string; readonly detail: string };
} {
  const { phase, node, admin } = state;
  return {
    phase: phase.type,
    healthy: phase.type === "serving" && phase.watch.healthy,
    detail: detailOf(phase),
    ...(node === undefined ? {} : { node: node.node }),
    ...(admin === undefined
      ? {}
      : { admin: { taskId: admin.taskId, operation: admin.operation, detail: errandText(admin.errand) } }),
  };
}

function detailOf(phase: Phase): string {
  if ("watch" in phase) return phase.watch.health.detail;
  if ("errand" in phase) return errandText(phase.errand);
  return phase.type === "stopping" ? `${phase.step}: ${phase.outcome.message}` : "";
}
