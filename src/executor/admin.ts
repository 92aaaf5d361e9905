// Admin tasks: what changes a running node or its ring, one after the other, each a Mesos task of this executor.
import type { Answer, Ask } from "../databases/database.ts";
import type { AdminTask } from "../databases/node.ts";
import type { LaunchedTask } from "../mesos/executor-api.ts";
import type { TaskState } from "../mesos/task.ts";
import type { Json } from "../std/json.ts";
import { faultText } from "../std/reason.ts";
import { askOn, beginErrand, type Course, errandText, expectsEnd, giveUp, hear, tell } from "./errand.ts";
import type { Decided, ExecutorState } from "./state.ts";
import { readAdminTask } from "./task.ts";
import { chain, update } from "./updates.ts";

/** Admin tasks that may wait for the one at work. */
const QUEUE_MAX = 4;
/** A longer result is not in the last message: an API is the place to read it. */
const RESULT_MAX = 1_000;

/** Accepts an admin task, at once or when those before it have ended; only while the node serves. */
export function launchAdmin(state: ExecutorState, task: LaunchedTask, nowMs: number): Decided {
  const { taskId } = task;
  const refuse = (kind: TaskState, message: string): Decided => update(state, taskId, { state: kind, message }, nowMs);
  const read = readAdminTask(new TextDecoder().decode(task.data));
  if ("faults" in read)
    return refuse("TASK_ERROR", `Cannot read admin task "${taskId}": ${read.faults.map(faultText).join("; ")}`);
  const { task: admin } = read;
  const cannot = `Cannot do "${admin.operation}"`;
  const node = state.node?.node ?? "none";
  if (admin.node !== node)
    return refuse("TASK_ERROR", `${cannot}: it is for node "${admin.node}", this executor runs node "${node}"`);
  if (state.phase.type !== "serving")
    return refuse("TASK_FAILED", `${cannot}: node "${node}" is ${state.phase.type}, wanted it serving`);
  const asks = asksFor(state, admin);
  if (typeof asks === "string") return refuse("TASK_ERROR", `${cannot}: ${asks}`);
  const work = { taskId, operation: admin.operation, asks };
  if (state.admin === undefined)
    return chain(update(state, taskId, { state: "TASK_STARTING", message: "Accepted" }, nowMs), (next) =>
      begin(next, work, nowMs),
    );
  if (state.adminQueue.length >= QUEUE_MAX)
    return refuse("TASK_FAILED", `${cannot}: busy with "${state.admin.operation}", and ${QUEUE_MAX} others wait`);
  const message = `Waits for "${state.admin.operation}" to end`;
  const queued = { ...state, adminQueue: [...state.adminQueue, work] };
  return update(queued, taskId, { state: "TASK_STARTING", message }, nowMs);
}

/** The asks of an operation, or why there are none. */
function asksFor(state: ExecutorState, admin: AdminTask): readonly Ask[] | string {
  if (state.node === undefined || state.ready === undefined) return "this executor runs no node";
  const { database, place } = state.ready;
  try {
    return database.admin(admin, state.node, place) ?? `${database.name} knows no such operation`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** An admin task that is accepted. */
export type AdminWork = { readonly taskId: string; readonly operation: string; readonly asks: readonly Ask[] };

function begin(state: ExecutorState, { taskId, operation, asks }: AdminWork, nowMs: number): Decided {
  const course = beginErrand(() => asks, nowMs);
  if (course.type === "going") return goOn(state, { taskId, operation, errand: course.errand }, nowMs);
  return settle(state, taskId, course, nowMs);
}

/** Takes the task at work as far as it goes now: tells what is new, asks what is due. */
function goOn(state: ExecutorState, admin: NonNullable<ExecutorState["admin"]>, nowMs: number): Decided {
  const { taskId } = admin;
  const news = tell(admin.errand, nowMs);
  const told: Decided =
    news === undefined
      ? { state, actions: [] }
      : update(state, taskId, { state: "TASK_RUNNING", message: news.text }, nowMs);
  return chain(told, (before) => {
    const { state: after, course, actions } = askOn(before, news?.errand ?? admin.errand, nowMs);
    if (course.type !== "going") return settle(after, taskId, course, nowMs);
    return { state: { ...after, admin: { ...admin, errand: course.errand } }, actions };
  });
}

/** The last update of the task at work; then the next one's turn comes. */
function settle(
  state: ExecutorState,
  taskId: string,
  course: Exclude<Course, { readonly type: "going" }>,
  nowMs: number,
): Decided {
  const said =
    course.type === "done"
      ? ({ state: "TASK_FINISHED", message: withResult(course.detail, course.result) } as const)
      : ({ state: "TASK_FAILED", message: course.detail } as const);
  return chain(update(idle(state), taskId, said, nowMs), (next) => beginNext(next, nowMs));
}

function withResult(detail: string, found: Json | undefined): string {
  const result = found === undefined ? "" : JSON.stringify(found);
  return result === "" || result.length > RESULT_MAX ? detail : `${detail}\n${result}`;
}

function idle(state: ExecutorState): ExecutorState {
  const { admin: _ended, ...rest } = state;
  return rest;
}

function beginNext(state: ExecutorState, nowMs: number): Decided {
  const [next, ...adminQueue] = state.adminQueue;
  if (next === undefined || state.admin !== undefined) return { state, actions: [] };
  return begin({ ...state, adminQueue }, next, nowMs);
}

/** An answer to the question of the task at work. */
export function adminAnswered(state: ExecutorState, answer: Answer, nowMs: number): Decided {
  const { admin } = state;
  if (admin === undefined) return { state, actions: [] };
  const course = hear(admin.errand, answer, nowMs);
  const passed = course.type === "done" || (course.type === "going" && course.errand.index > admin.errand.index);
  const known: ExecutorState = passed && expectsEnd(admin.errand) ? { ...state, left: true } : state;
  if (course.type !== "going") return settle(known, admin.taskId, course, nowMs);
  return goOn(known, { ...admin, errand: course.errand }, nowMs);
}

export function adminTick(state: ExecutorState, nowMs: number): Decided {
  return state.admin === undefined ? { state, actions: [] } : goOn(state, state.admin, nowMs);
}

/** A killed task asks no further; what the database has begun may go on. Undefined: it is none of the admin tasks. */
export function killAdmin(state: ExecutorState, taskId: string, nowMs: number): Decided | undefined {
  const { admin, adminQueue } = state;
  if (admin?.taskId === taskId) {
    const message = `Killed while ${errandText(admin.errand)}; what the database has begun may go on`;
    return chain({ state: idle(state), actions: giveUp(admin.errand) }, (given) =>
      chain(update(given, taskId, { state: "TASK_KILLED", message }, nowMs), (next) => beginNext(next, nowMs)),
    );
  }
  const queued = { ...state, adminQueue: adminQueue.filter((work) => work.taskId !== taskId) };
  if (queued.adminQueue.length === adminQueue.length) return undefined;
  return update(queued, taskId, { state: "TASK_KILLED", message: "Killed before it began" }, nowMs);
}

/** The node goes: no admin task goes on. `why`: "the node ended meanwhile". */
export function failAdmin(state: ExecutorState, why: string, nowMs: number): Decided {
  const { admin, adminQueue } = state;
  let decided: Decided = { state: { ...idle(state), adminQueue: [] }, actions: [] };
  if (admin !== undefined) {
    const message = `${errandText(admin.errand)}: ${why}`;
    decided = chain({ ...decided, actions: giveUp(admin.errand) }, (given) =>
      update(given, admin.taskId, { state: "TASK_FAILED", message }, nowMs),
    );
  }
  for (const { taskId } of adminQueue) {
    const message = `Not begun: ${why}`;
    decided = chain(decided, (before) => update(before, taskId, { state: "TASK_FAILED", message }, nowMs));
  }
  return decided;
}

/** The process ended by itself. Where the task at work is to make the node leave, it is done, and `left` is known. */
export function adminProcessEnded(state: ExecutorState, how: string, nowMs: number): Decided {
  const { admin } = state;
  const why = "the node ended meanwhile";
  if (admin === undefined || !expectsEnd(admin.errand)) return failAdmin(state, why, nowMs);
  const message = `${errandText(admin.errand)}: the process ended ${how}`;
  return chain({ state: { ...idle(state), left: true }, actions: giveUp(admin.errand) }, (given) =>
    chain(update(given, admin.taskId, { state: "TASK_FINISHED", message }, nowMs), (next) =>
      failAdmin(next, why, nowMs),
    ),
  );
}
