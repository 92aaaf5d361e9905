// Asks that are put to a database one after the other, each until it is done: the preparation of a node, an admin task.
import type { Answer, Ask, Verdict } from "../databases/database.ts";
import type { Json } from "../std/json.ts";
import type { Action, ExecutorState } from "./state.ts";

/** Between two updates of how far it is. */
const TELL_MS = 2_000;
/** An "again" that names no time to wait is no reason for a storm of questions. */
const AGAIN_MIN_MS = 100;

export type Errand = {
  readonly asks: readonly Ask[];
  readonly index: number;
  /** Since when the present ask is tried. */
  readonly sinceMs: number;
  /** When it is tried next; nothing is under way then. */
  readonly nextMs: number;
  /** Number of the question under way. */
  readonly question?: number;
  /** What its last answer says; empty: none yet. */
  readonly detail: string;
  /** The last result of the asks that are done. */
  readonly found: Json;
  /** What was last told about it, and when. */
  readonly told: { readonly text: string; readonly atMs: number };
};

/** What became of an errand. `done`, as the last ask has it, and `failed` are its end. */
export type Course =
  | { readonly type: "going"; readonly errand: Errand }
  | { readonly type: "done"; readonly detail: string; readonly result?: Json }
  | { readonly type: "failed"; readonly detail: string };

/** An errand with nothing to ask is done at once; one whose asks cannot be made (`make` throws) has failed. */
export function beginErrand(make: () => readonly Ask[], nowMs: number): Course {
  let asks: readonly Ask[];
  try {
    asks = make();
  } catch (error) {
    return { type: "failed", detail: textOf(error) };
  }
  if (asks.length === 0) return { type: "done", detail: "There was nothing to do" };
  const told = { text: "", atMs: nowMs - TELL_MS };
  return { type: "going", errand: { asks, index: 0, sinceMs: nowMs, nextMs: nowMs, detail: "", found: null, told } };
}

/** Puts the next question when its time has come and none is under way. */
export function askOn(
  state: ExecutorState,
  errand: Errand,
  nowMs: number,
): { readonly state: ExecutorState; readonly course: Course; readonly actions: readonly Action[] } {
  const ask = errand.asks[errand.index];
  if (ask === undefined || errand.question !== undefined || nowMs < errand.nextMs)
    return { state, course: { type: "going", errand }, actions: [] };
  const number = state.questions + 1;
  try {
    const question = typeof ask.question === "function" ? ask.question(errand.found) : ask.question;
    return {
      state: { ...state, questions: number },
      course: { type: "going", errand: { ...errand, question: number } },
      actions: [{ type: "ask", number, question }],
    };
  } catch (error) {
    return { state, course: { type: "failed", detail: `${ask.say}: ${textOf(error)}` }, actions: [] };
  }
}

/** Takes an answer to the question under way. */
export function hear(errand: Errand, answer: Answer, nowMs: number): Course {
  const ask = errand.asks[errand.index];
  if (ask === undefined) return { type: "going", errand };
  const { question: _answered, ...rest } = errand;
  const verdict = judge(ask, answer);
  switch (verdict.type) {
    case "failed":
      return { type: "failed", detail: `${ask.say}: ${verdict.detail}` };
    case "again": {
      const seconds = Math.round((nowMs - errand.sinceMs) / 1000);
      if (nowMs - errand.sinceMs >= ask.patienceMs)
        return { type: "failed", detail: `${ask.say}: not done after ${seconds} s: ${verdict.detail}` };
      const nextMs = nowMs + Math.max(AGAIN_MIN_MS, verdict.afterMs);
      return { type: "going", errand: { ...rest, nextMs, detail: verdict.detail } };
    }
    case "done": {
      const found = verdict.result ?? errand.found;
      const index = errand.index + 1;
      if (index === errand.asks.length) return verdict;
      return { type: "going", errand: { ...rest, index, sinceMs: nowMs, nextMs: nowMs, detail: "", found } };
    }
  }
}

/** An answer that nobody thought of must not take the executor, and the database with it, down. */
function judge(ask: Ask, answer: Answer): Verdict {
  try {
    return ask.read(answer);
  } catch (error) {
    return { type: "failed", detail: `cannot read the answer: ${textOf(error)}` };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What is being done, for people. */
export function errandText(errand: Errand): string {
  const say = errand.asks[errand.index]?.say ?? "";
  return errand.detail === "" ? say : `${say}: ${errand.detail}`;
}

/** What there is to tell now, and the errand after it; undefined: nothing new, or not yet. */
export function tell(errand: Errand, nowMs: number): { readonly text: string; readonly errand: Errand } | undefined {
  const text = errandText(errand);
  if (text === errand.told.text || nowMs - errand.told.atMs < TELL_MS) return undefined;
  return { text, errand: { ...errand, told: { text, atMs: nowMs } } };
}

/** Whether the end of the database's process is what the present ask is for. */
export function expectsEnd(errand: Errand): boolean {
  return errand.asks[errand.index]?.endsNode === true;
}

/** Gives the question under way up. */
export function giveUp(errand: Errand): readonly Action[] {
  return errand.question === undefined ? [] : [{ type: "giveUp", number: errand.question }];
}
