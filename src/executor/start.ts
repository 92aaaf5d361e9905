// A node's start: its task, what its database wants done and running before it, its process.
import type { LaunchedTask } from "../mesos/executor-api.ts";
import { faultText } from "../std/reason.ts";
import { launchAdmin } from "./admin.ts";
import { missingCompanions, startCompanions } from "./companions.ts";
import { askOn, beginErrand, type Course, tell } from "./errand.ts";
import type { Decided, ExecutorState, Phase, Watch } from "./state.ts";
import { end } from "./stop.ts";
import { readAdminTask, readNodeTask } from "./task.ts";
import { chain, update } from "./updates.ts";

/** How the node's own task is called; all other tasks of an executor are admin tasks. */
const SERVER_TASK = /\.server$/;

export function launch(state: ExecutorState, task: LaunchedTask, nowMs: number): Decided {
  const known = { ...state, unacknowledgedTasks: [...state.unacknowledgedTasks, task] };
  if (state.phase.type !== "idle") {
    if (!SERVER_TASK.test(task.taskId)) return launchAdmin(known, task, nowMs);
    const message = `Cannot launch task "${task.taskId}": this executor has task "${state.taskId ?? "none"}"`;
    return update(known, task.taskId, { state: "TASK_ERROR", message }, nowMs);
  }
  const launched = { ...known, taskId: task.taskId };
  const data = new TextDecoder().decode(task.data);
  const read = readNodeTask(data);
  if ("faults" in read) {
    const admin = readAdminTask(data);
    if ("task" in admin) {
      // Its executor is gone: the agent has started a new one for it.
      const message = `Cannot do "${admin.task.operation}": node "${admin.task.node}" does not run`;
      return end(launched, { state: "TASK_FAILED", message }, nowMs);
    }
    const message = `Cannot read task "${task.taskId}": ${read.faults.map(faultText).join("; ")}`;
    return end(launched, { state: "TASK_ERROR", message }, nowMs);
  }
  const preparing: ExecutorState = { ...launched, node: read.task, phase: { type: "preparing", step: "files" } };
  const started = update(
    preparing,
    task.taskId,
    { state: "TASK_STARTING", message: "Preparing volume and files" },
    nowMs,
  );
  return { state: started.state, actions: [...started.actions, { type: "prepare", node: read.task }] };
}

export function prepared(state: ExecutorState, ready: NonNullable<ExecutorState["ready"]>, nowMs: number): Decided {
  const { phase, node } = state;
  if (phase.type !== "preparing" || phase.step !== "files" || node === undefined) return { state, actions: [] };
  if (phase.outcome !== undefined) return end(state, phase.outcome, nowMs);
  const course = beginErrand(() => ready.database.prepare(node, ready.place), nowMs);
  return prepareOn({ ...state, ready }, course, nowMs);
}

/** Takes what is to be done before the start as far as it goes now. */
export function prepareOn(state: ExecutorState, course: Course, nowMs: number): Decided {
  if (course.type === "failed") return end(state, { state: "TASK_FAILED", message: course.detail }, nowMs);
  if (course.type === "done") {
    const companions = startCompanions(state, nowMs);
    const untilMs = nowMs + state.timings.companionsMs;
    const waiting: ExecutorState = { ...companions.state, phase: { type: "preparing", step: "companions", untilMs } };
    return chain({ ...companions, state: waiting }, (next) => companionsReady(next, nowMs));
  }
  const news = tell(course.errand, nowMs);
  const told: Decided =
    news === undefined
      ? { state, actions: [] }
      : update(state, state.taskId, { state: "TASK_STARTING", message: news.text }, nowMs);
  return chain(told, (before) => {
    const { state: after, course: next, actions } = askOn(before, news?.errand ?? course.errand, nowMs);
    if (next.type !== "going") return prepareOn(after, next, nowMs);
    return { state: { ...after, phase: { type: "preparing", step: "asks", errand: next.errand } }, actions };
  });
}

/** The database is started when all that it wants beside it is there. */
export function companionsReady(state: ExecutorState, nowMs: number): Decided {
  const { phase } = state;
  if (phase.type !== "preparing" || phase.step !== "companions" || missingCompanions(state).length > 0)
    return { state, actions: [] };
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

export function preparingTick(
  state: ExecutorState,
  phase: Extract<Phase, { type: "preparing" }>,
  nowMs: number,
): Decided {
  if (phase.step === "asks") return prepareOn(state, { type: "going", errand: phase.errand }, nowMs);
  if (phase.step === "files" || nowMs < phase.untilMs) return { state, actions: [] };
  const seconds = state.timings.companionsMs / 1000;
  const message = `Cannot start the node: no connection after ${seconds} s to ${missingCompanions(state).join(" and ")}`;
  return end(state, { state: "TASK_FAILED", message }, nowMs);
}
