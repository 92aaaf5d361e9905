// A listener's decisions: which backend a client gets, when a backend is down, ejected or draining, who waits and who is
// turned away. Pure: time comes in the events.
import { backoffMs } from "../std/backoff.ts";
import type { Decision } from "../std/decision.ts";
import { isWell, pick, surplus } from "./pick.ts";
import type { Action, Attempt, Backend, Event, Refusal, Settings, State, Target } from "./state.ts";

type Decided = Decision<State, Action>;
type Of<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;

/** Times without a failure, in lengths of its last ejection, after which a backend's record is clean again. */
const FORGIVEN_AFTER = 2;
/**
 * How often connections that outlive their backends are spread anew, and how long all backends must have been well before: one that
 * moves to a node that has just started is slow to leave the one that is stopped next.
 */
const SPREAD_EVERY_MS = 10_000;

export const DEFAULTS = {
  connectionsMax: 4096,
  queueMax: 1024,
  queueTimeoutMs: 5000,
  // Shorter than the scheduler waits (10 s by default): a node that is being stopped answers with errors.
  drainTimeoutMs: 8000,
  probeIntervalMs: 1000,
  probeFall: 2,
  probeRise: 2,
  ejectFailures: 3,
  ejectWindowMs: 10_000,
  ejection: { initialMs: 1000, factor: 2, maxMs: 60_000, jitter: 0 },
} as const satisfies Partial<Settings>;

export function initialState(settings: Settings): State {
  return { settings, backends: [], turn: "", queue: [], spreadAtMs: 0 };
}

export function decide(state: State, event: Event): Decided {
  switch (event.type) {
    case "targets":
      return told(state, event);
    case "arrived":
      return arrived(state, event);
    case "left":
      return { state: { ...state, queue: state.queue.filter(({ client }) => client !== event.client) }, actions: [] };
    case "refused":
      return refused(state, event);
    case "closed":
      return closed(state, event);
    case "probed":
      return probed(state, event);
    case "tick":
      return tick(state, event.nowMs);
    case "stop":
      return stop(state, event.nowMs);
  }
}

function say(level: "info" | "warn", text: string): Action {
  return { type: "say", level, text };
}

function indexOf(state: State, address: string): number {
  return state.backends.findIndex(({ target }) => target.address === address);
}

/** "node (host:port)", or the address where they are the same. */
function nameOf({ node, address }: Target): string {
  return node === address ? node : `${node} (${address})`;
}

function freshBackend(target: Target, nowMs: number): Backend {
  return {
    ...{ target, connections: 0, health: "unknown", contrary: 0, probeAtMs: nowMs },
    ...{ failures: 0, failedAtMs: 0, ejections: 0, ejectedUntilMs: 0, gone: false },
    ...(target.draining ? { drainingSinceMs: nowMs } : {}),
  };
}

function told(state: State, { targets, nowMs }: Of<"targets">): Decided {
  if (state.stoppingSinceMs !== undefined) return { state, actions: [] };
  const actions: Action[] = [];
  const backends: Backend[] = [];
  const listed = new Map(targets.map((target) => [target.address, target]));
  for (const backend of state.backends) {
    const target = listed.get(backend.target.address);
    listed.delete(backend.target.address);
    if (target === undefined) backends.push(...without(backend, nowMs, actions));
    else backends.push(renewed(backend, target, nowMs, actions));
  }
  for (const target of listed.values()) {
    actions.push(say("info", `Backend ${nameOf(target)} is new${target.draining ? ", and draining" : ""}`));
    backends.push(freshBackend(target, nowMs));
  }
  backends.sort((a, b) => (a.target.address < b.target.address ? -1 : 1));
  const served = serveQueue({ ...state, backends }, nowMs);
  return { state: served.state, actions: [...actions, ...served.actions] };
}

/** A backend that the source no longer has. */
function without(backend: Backend, nowMs: number, actions: Action[]): readonly Backend[] {
  if (!backend.gone) {
    const left = backend.connections === 0 ? "" : `: ${backend.connections} connections may finish`;
    actions.push(say("info", `Backend ${nameOf(backend.target)} is gone${left}`));
    if (backend.drainingSinceMs === undefined) actions.push({ type: "drain", address: backend.target.address });
  }
  if (backend.connections === 0) return [];
  return [{ ...backend, gone: true, drainingSinceMs: backend.drainingSinceMs ?? nowMs }];
}

function renewed(backend: Backend, target: Target, nowMs: number, actions: Action[]): Backend {
  const { drainingSinceMs, ...rest } = backend;
  const next: Backend = { ...rest, target, gone: false };
  if (target.draining) {
    if (drainingSinceMs === undefined) {
      const finish = `${backend.connections} connections may finish`;
      actions.push(say("info", `Backend ${nameOf(target)} is draining: ${finish}`));
      actions.push({ type: "drain", address: target.address });
    }
    return { ...next, drainingSinceMs: drainingSinceMs ?? nowMs };
  }
  if (drainingSinceMs === undefined) return next;
  // It was away meanwhile: what was known of it no longer counts.
  actions.push(say("info", `Backend ${nameOf(target)} serves again`));
  return { ...freshBackend(target, nowMs), connections: backend.connections };
}

function arrived(state: State, { client, nowMs }: Of<"arrived">): Decided {
  if (state.stoppingSinceMs !== undefined) return { state, actions: [refuse(client, "stopping", "it is stopping")] };
  return place(state, { client, sinceMs: nowMs, tried: [] }, nowMs);
}

function refuse(client: number, why: Refusal, detail: string): Action {
  return { type: "refuse", client, why, detail };
}

/** Sends the client to a backend, into the queue, or away. */
function place(state: State, attempt: Attempt, nowMs: number): Decided {
  const picked = pick(state, attempt.tried, nowMs);
  if (picked.type === "backend") return send(state, attempt, picked.index);
  if (picked.type === "none") return { state, actions: [refuse(attempt.client, "no_backend_left", picked.why)] };
  if (state.queue.length >= state.settings.queueMax) {
    const detail = `${picked.why}, and ${state.queue.length} clients wait already`;
    return { state, actions: [refuse(attempt.client, "queue_full", detail)] };
  }
  return { state: { ...state, queue: [...state.queue, attempt] }, actions: [] };
}

function send(state: State, attempt: Attempt, index: number): Decided {
  const backend = state.backends[index];
  if (backend === undefined) return { state, actions: [] };
  const { target } = backend;
  const backends = state.backends.with(index, { ...backend, connections: backend.connections + 1 });
  return {
    state: { ...state, backends, turn: target.address },
    actions: [{ type: "connect", attempt, target }],
  };
}

/** Sends waiting clients to backends that have room, the longest waiting first. */
function serveQueue(state: State, nowMs: number): Decided {
  if (state.queue.length === 0) return { state, actions: [] };
  let next: State = { ...state, queue: [] };
  const actions: Action[] = [];
  for (const [index, attempt] of state.queue.entries()) {
    const picked = pick(next, attempt.tried, nowMs);
    if (picked.type === "wait" && attempt.tried.length === 0) {
      // Where this one waits, all after it wait too, but for those that tried in vain before.
      next = { ...next, queue: [...next.queue, ...state.queue.slice(index)] };
      break;
    }
    const placed = place(next, attempt, nowMs);
    next = placed.state;
    actions.push(...placed.actions);
  }
  return { state: next, actions };
}

function refused(state: State, { attempt, address, detail, nowMs }: Of<"refused">): Decided {
  const ended = withoutConnection(state, address, nowMs, detail);
  const again: Attempt = { ...attempt, tried: [...attempt.tried, address] };
  if (ended.state.stoppingSinceMs !== undefined) {
    const refusal = refuse(attempt.client, "stopping", "it is stopping");
    return finish({ state: ended.state, actions: [...ended.actions, refusal] });
  }
  const placed = place(ended.state, again, nowMs);
  return { state: placed.state, actions: [...ended.actions, ...placed.actions] };
}

function closed(state: State, { address, outcome, nowMs }: Of<"closed">): Decided {
  const detail = outcome === "failed" ? "ended a connection without an answer" : undefined;
  const ended = withoutConnection(state, address, nowMs, detail, outcome === "answered");
  if (ended.state.queue.length === 0) return finish(ended);
  const served = serveQueue(ended.state, nowMs);
  return finish({ state: served.state, actions: [...ended.actions, ...served.actions] });
}

/** Takes a connection off its backend's count, and the failure it ended with, if any, to its record. */
function withoutConnection(
  state: State,
  address: string,
  nowMs: number,
  failure: string | undefined,
  answered = false,
): Decided {
  const index = indexOf(state, address);
  const backend = state.backends[index];
  if (backend === undefined) return { state, actions: [] };
  const connections = backend.connections - 1;
  if (backend.gone && connections === 0) {
    const actions = [say("info", `Backend ${nameOf(backend.target)} has no connections left`)];
    return { state: { ...state, backends: state.backends.toSpliced(index, 1) }, actions };
  }
  const actions: Action[] = [];
  let next: Backend = { ...backend, connections };
  if (failure !== undefined) next = failed(next, state.settings, failure, nowMs, actions);
  else if (answered && next.failures > 0) next = { ...next, failures: 0 };
  return { state: { ...state, backends: state.backends.with(index, next) }, actions };
}

/** Remembers a failure; enough of them in a row eject the backend, each time for longer. */
function failed(backend: Backend, settings: Settings, detail: string, nowMs: number, actions: Action[]): Backend {
  const isOld = nowMs - backend.failedAtMs > settings.ejectWindowMs;
  const failures = isOld ? 1 : backend.failures + 1;
  const next: Backend = { ...backend, failures, failedAtMs: nowMs, lastError: detail };
  if (backend.ejectedUntilMs > nowMs) return next;
  const lastLengthMs = backoffMs(settings.ejection, Math.max(0, backend.ejections - 1), 0);
  const forgiven = nowMs > backend.ejectedUntilMs + FORGIVEN_AFTER * lastLengthMs + settings.ejectWindowMs;
  const before = forgiven ? 0 : backend.ejections;
  // After an ejection the first failure is enough.
  if (failures < settings.ejectFailures && before === 0) return { ...next, ejections: 0 };
  const lengthMs = backoffMs(settings.ejection, before, 0);
  actions.push({ type: "ejected", address: backend.target.address });
  actions.push(say("warn", `Backend ${nameOf(backend.target)} is ejected for ${lengthMs} ms: ${detail}`));
  return { ...next, failures: 0, ejections: before + 1, ejectedUntilMs: nowMs + lengthMs };
}

function probed(state: State, { address, error, nowMs }: Of<"probed">): Decided {
  const { settings } = state;
  const index = indexOf(state, address);
  const backend = state.backends[index];
  if (backend === undefined) return { state, actions: [] };
  const verdict = error === undefined ? "up" : "down";
  const contrary = backend.health === verdict ? 0 : backend.contrary + 1;
  const wanted = verdict === "up" ? settings.probeRise : settings.probeFall;
  const turned = contrary >= wanted || (backend.health === "unknown" && verdict === "up");
  const next: Backend = {
    ...backend,
    probeAtMs: nowMs + settings.probeIntervalMs,
    ...(error === undefined ? {} : { lastError: error }),
    contrary: turned ? 0 : contrary,
    health: turned && backend.health !== verdict ? verdict : backend.health,
    // What is back from the dead starts with a clean record.
    ...(turned && backend.health === "down" ? { ejectedUntilMs: 0, ejections: 0, failures: 0 } : {}),
  };
  const after: State = { ...state, backends: state.backends.with(index, next) };
  if (!turned || next.drainingSinceMs !== undefined) return { state: after, actions: [] };
  const served = serveQueue(after, nowMs);
  const name = nameOf(backend.target);
  if (verdict === "up")
    return { state: served.state, actions: [say("info", `Backend ${name} is up`), ...served.actions] };
  // What can go elsewhere need not wait for one that hangs.
  const actions: readonly Action[] = [say("warn", `Backend ${name} is down: ${error}`), { type: "drain", address }];
  return { state: served.state, actions: [...actions, ...served.actions] };
}

function tick(state: State, nowMs: number): Decided {
  const { settings } = state;
  const actions: Action[] = [];
  const waiting = state.queue.filter((attempt) => nowMs - attempt.sinceMs < settings.queueTimeoutMs);
  for (const { client, sinceMs, tried } of state.queue) {
    if (nowMs - sinceMs < settings.queueTimeoutMs) continue;
    const picked = pick(state, tried, nowMs);
    const why = picked.type === "backend" ? "its turn did not come" : picked.why;
    actions.push(refuse(client, "queue_timeout", `${why}, for ${nowMs - sinceMs} ms`));
  }
  const backends = state.backends.map((backend) => late(backend, settings, nowMs, actions));
  const isCalm = settings.protocol === "cql" && state.backends.every((backend) => isWell(backend, nowMs));
  const spreads = isCalm && nowMs - state.spreadAtMs >= SPREAD_EVERY_MS;
  const tooMany = spreads ? surplus(state) : undefined;
  if (tooMany !== undefined) actions.push({ type: "spread", ...tooMany });
  const spreadAtMs = spreads || !isCalm ? nowMs : state.spreadAtMs;
  const served = serveQueue({ ...state, backends, queue: waiting, spreadAtMs }, nowMs);
  return { state: served.state, actions: [...actions, ...served.actions] };
}

/** What time brings for one backend: a probe is due, or its last connections have had theirs. */
function late(backend: Backend, settings: Settings, nowMs: number, actions: Action[]): Backend {
  const { target, drainingSinceMs, probeAtMs } = backend;
  if (drainingSinceMs !== undefined) {
    if (backend.connections === 0 || nowMs - drainingSinceMs < settings.drainTimeoutMs) return backend;
    const text = `Ending ${backend.connections} connections to ${nameOf(target)}: draining for ${settings.drainTimeoutMs} ms`;
    actions.push(say("warn", text), { type: "cut", address: target.address });
    return { ...backend, drainingSinceMs: nowMs };
  }
  if (probeAtMs === undefined || probeAtMs > nowMs) return backend;
  const { probeAtMs: _due, ...probing } = backend;
  actions.push({ type: "probe", target });
  return probing;
}

function stop(state: State, nowMs: number): Decided {
  if (state.stoppingSinceMs !== undefined) return { state, actions: [] };
  const actions: Action[] = state.queue.map(({ client }) => refuse(client, "stopping", "it is stopping"));
  const backends = state.backends.map((backend) => {
    if (backend.drainingSinceMs !== undefined) return backend;
    actions.push({ type: "drain", address: backend.target.address });
    return { ...backend, drainingSinceMs: nowMs };
  });
  return finish({ state: { ...state, backends, queue: [], stoppingSinceMs: nowMs }, actions });
}

/** Says when a listener that is to stop has no connection left. */
function finish(decided: Decided): Decided {
  const { state, actions } = decided;
  if (state.stoppingSinceMs === undefined || state.backends.some(({ connections }) => connections > 0)) return decided;
  return { state, actions: [...actions, { type: "stopped" }] };
}
