// Processes beside the database: started before it, started again with back-off when they end by themselves.
import { backoffMs, type Backoff } from "../std/backoff.ts";
import { nextRandom } from "../std/random.ts";
import type { Decided, ExecutorState } from "./state.ts";

const RESTART: Backoff = { initialMs: 500, factor: 2, maxMs: 30_000, jitter: 0.2 };
/** One that took connections for so long begins anew with the shortest wait. */
const STEADY_MS = 60_000;

/** "starting": lives and takes no connections yet. "waiting": has ended, and is started again at `nextMs`. */
export type CompanionState = { readonly sinceMs: number; readonly failures: number; readonly lastWords: string } & (
  { readonly state: "starting" | "up" } | { readonly state: "waiting"; readonly nextMs: number }
);

/** Starts all that the database wants. */
export function startCompanions(state: ExecutorState, nowMs: number): Decided {
  const { node, ready } = state;
  if (node === undefined || ready === undefined) return { state, actions: [] };
  const names = ready.database.companions(node, ready.place).map(({ name }) => name);
  const fresh: CompanionState = { state: "starting", sinceMs: nowMs, failures: 0, lastWords: "" };
  return {
    state: { ...state, companions: new Map(names.map((name) => [name, fresh])) },
    actions: names.map((name) => ({ type: "startCompanion", name })),
  };
}

export function companionUp(state: ExecutorState, name: string, nowMs: number): ExecutorState {
  const known = state.companions.get(name);
  if (known?.state !== "starting") return state;
  return { ...state, companions: new Map(state.companions).set(name, { ...known, state: "up", sinceMs: nowMs }) };
}

export function companionEnded(state: ExecutorState, name: string, lastWords: string, nowMs: number): ExecutorState {
  const known = state.companions.get(name);
  if (known === undefined || known.state === "waiting") return state;
  const steady = known.state === "up" && nowMs - known.sinceMs >= STEADY_MS;
  const failures = steady ? 1 : known.failures + 1;
  const random = nextRandom(state.seed);
  const nextMs = nowMs + backoffMs(RESTART, failures - 1, random.value);
  const waiting: CompanionState = { state: "waiting", sinceMs: nowMs, failures, nextMs, lastWords };
  return { ...state, seed: random.seed, companions: new Map(state.companions).set(name, waiting) };
}

/** Starts those again whose wait is over. */
export function companionsTick(state: ExecutorState, nowMs: number): Decided {
  const due = [...state.companions].filter(([, one]) => one.state === "waiting" && one.nextMs <= nowMs);
  if (due.length === 0) return { state, actions: [] };
  const companions = new Map(state.companions);
  for (const [name, { failures, lastWords }] of due)
    companions.set(name, { state: "starting", sinceMs: nowMs, failures, lastWords });
  return { state: { ...state, companions }, actions: due.map(([name]) => ({ type: "startCompanion", name })) };
}

/** Names of those that do not take connections, with the last words of each; empty: all do. */
export function missingCompanions(state: ExecutorState): readonly string[] {
  return [...state.companions]
    .filter(([, one]) => one.state !== "up")
    .map(([name, { lastWords }]) => (lastWords === "" ? `"${name}"` : `"${name}", which last ended ${lastWords}`));
}
