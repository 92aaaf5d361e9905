// cEPMD's decisions: what each request is answered, who holds a name, and what the store is to know of it. Pure: time comes in
// the events, chance from a seed.
import type { Decision } from "../std/decision.ts";
import { nextRandom } from "../std/random.ts";
import { unreachable } from "../std/assert.ts";
import { answerTo } from "./lookup.ts";
import { get, noNames, values, withName, withoutName } from "./names.ts";
import { holderText, keyOf, mayReplace, nameIn } from "./record.ts";
import { shareAll, shareName, shareTold } from "./share.ts";
import type { Action, Event, Registration, Settings, State } from "./state.ts";
import { aliveAnswer, type EpmdNode, hasWideCreation, type Request, wordAnswer } from "./wire.ts";

type Decided = Decision<State, Action>;
type Asked = Extract<Event, { readonly type: "request" }>;
type LocalRequest = Extract<Request, { readonly type: "alive" | "dump" | "kill" | "stop" }>;

/** How long a node waits for the store before it is answered without it; Erlang itself waits 10 s. */
const ANSWER_WITHIN_MS = 3000;
/** As many as epmd remembers. */
const FORMER_MAX = 1000;
/** Creations below are for nodes that have only two bits for them. */
const WIDE_CREATION_MIN = 4;

export function initialState(settings: Settings, seed: number): State {
  return {
    settings,
    seed,
    serial: 0,
    local: noNames(),
    former: new Map(),
    shares: noNames(),
    folder: new Map(),
    store: "lost",
  };
}

export function decide(state: State, event: Event): Decided {
  switch (event.type) {
    case "request":
      return asked(state, event);
    case "closed":
      return closed(state, event.connection, event.name);
    case "folder":
      return shareTold(state, event.folder);
    case "store":
      return shareAll({ ...state, store: event.store });
    case "claimed":
      return claimed(state, event);
    case "released":
      return released(state, event.name, event.outcome);
    case "tick":
      return late(state, event.nowMs);
  }
}

function asked(state: State, event: Asked): Decided {
  const { connection, request } = event;
  switch (request.type) {
    case "port":
    case "address":
    case "names":
    case "namesAt":
      return { state, actions: [answer(connection, answerTo(state, request))] };
    default:
      return event.local ? askedFromHere(state, event, request) : { state, actions: [{ type: "close", connection }] };
  }
}

/** What epmd does only for clients on its own machine. */
function askedFromHere(state: State, event: Asked, request: LocalRequest): Decided {
  const { connection } = event;
  switch (request.type) {
    case "alive":
      return alive(state, event, request);
    case "dump":
      return { state, actions: [answer(connection, answerTo(state, request))] };
    case "kill":
      return kill(state, connection);
    case "stop":
      return stop(state, connection, request.name);
    default:
      return unreachable(request);
  }
}

function answer(connection: number, bytes: Uint8Array, after: "close" | "keep" | "idle" = "close"): Action {
  return { type: "answer", connection, bytes, after };
}

function say(text: string): Action {
  return { type: "say", text };
}

function alive(state: State, event: Asked, request: Extract<Request, { readonly type: "alive" }>): Decided {
  const { connection } = event;
  const { node, highest } = request;
  const reason = node === undefined ? undefined : refusal(state, node);
  if (node === undefined || reason !== undefined) {
    // As epmd does, the connection is left to the client to close.
    const refused = answer(connection, aliveAnswer(highest, undefined), "idle");
    return { state, actions: reason === undefined ? [refused] : [refused, say(reason)] };
  }
  const drawn = drawCreation(state, node);
  const serial = state.serial + 1;
  const creation = request.creation ?? drawn.creation;
  const waits = state.settings.shared !== undefined && state.store === "connected";
  const answerBy = waits ? { answerByMs: event.nowMs + ANSWER_WITHIN_MS } : {};
  const registration: Registration = { node, connection, creation, serial, ...answerBy };
  const next: State = {
    ...state,
    seed: drawn.seed,
    serial,
    former: without(state.former, node.name),
    local: withName(state.local, node.name, registration),
  };
  const shared = shareName(next, node.name);
  if (waits) return shared;
  const away = `Registered "${node.name}" here only: the store is away, and gets it when it is back`;
  const said = state.settings.shared === undefined ? [] : [say(away)];
  return {
    state: shared.state,
    actions: [answer(connection, aliveAnswer(highest, creation), "keep"), ...said, ...shared.actions],
  };
}

function without(former: State["former"], name: string): State["former"] {
  if (!former.has(name)) return former;
  const others = new Map(former);
  others.delete(name);
  return others;
}

/** Why a node may not have its name, undefined when it may. */
function refusal(state: State, node: EpmdNode): string | undefined {
  const refused = (found: string): string => `Cannot register "${node.name}": found ${found}, wanted a name of its own`;
  if (get(state.local, node.name) !== undefined) return refused("it registered here already");
  const { shared } = state.settings;
  if (shared === undefined) return undefined;
  const key = keyOf(node.name);
  if (key === undefined) return `Cannot register "${node.name}": found a name too long for the store`;
  const found = nameIn(state.folder, key);
  // With the session lost nobody knows whether the last known holder still lives, and a database must be able to start.
  if (found === undefined || state.store === "lost" || mayReplace(found, { node, creation: 0, ...shared }))
    return undefined;
  return refused(`it held by ${holderText(found)}`);
}

/** A creation that differs from the last one of that name that anybody here knows of. */
function drawCreation(state: State, node: EpmdNode): { readonly creation: number; readonly seed: number } {
  const key = keyOf(node.name);
  const shared = key === undefined ? undefined : nameIn(state.folder, key);
  const last = state.former.get(node.name)?.creation ?? (shared === "unreadable" ? undefined : shared?.creation);
  const { value, seed } = nextRandom(state.seed);
  if (!hasWideCreation(node)) {
    const creation = last === undefined ? 1 + Math.floor(value * 3) : 1 + (last % 3);
    return { creation, seed };
  }
  const creation = WIDE_CREATION_MIN + Math.floor(value * (2 ** 32 - WIDE_CREATION_MIN - 1));
  return { creation: creation === last ? creation + 1 : creation, seed };
}

/** Forgets the registration that was made over a connection. */
function closed(state: State, connection: number, name: string): Decided {
  const registration = get(state.local, name);
  if (registration?.connection !== connection) return { state, actions: [] };
  return shareName(unregistered(state, registration), name);
}

function unregistered(state: State, registration: Registration): State {
  const { node, connection, creation } = registration;
  const former = new Map(state.former).set(node.name, { node, connection, creation });
  for (const oldest of former.keys()) {
    if (former.size <= FORMER_MAX) break;
    former.delete(oldest);
  }
  return { ...state, former, local: withoutName(state.local, node.name) };
}

function kill(state: State, connection: number): Decided {
  if (state.local.size > 0 && !state.settings.relaxed)
    return { state, actions: [answer(connection, wordAnswer("NO"))] };
  return { state, actions: [answer(connection, wordAnswer("OK")), say("Killed by request"), { type: "exit" }] };
}

/** The name goes, and its connection with it. */
function stop(state: State, connection: number, name: string): Decided {
  if (!state.settings.relaxed) return { state, actions: [{ type: "close", connection }] };
  const registration = get(state.local, name);
  // epmd goes on after its first word, and its own client reads no further.
  if (registration === undefined) return { state, actions: [answer(connection, wordAnswer("NOEXISTSTOPPED"))] };
  const { state: next, actions } = closed(state, registration.connection, name);
  const close: Action = { type: "close", connection: registration.connection };
  return { state: next, actions: [close, answer(connection, wordAnswer("STOPPED")), ...actions] };
}

function claimed(state: State, event: Extract<Event, { readonly type: "claimed" }>): Decided {
  const { name, serial, outcome, detail } = event;
  const share = get(state.shares, name);
  if (share === undefined) return { state, actions: [] };
  const held = { held: serial, taken: "none", unknown: "unknown" } as const;
  const after = { name, busy: false, held: held[outcome], taken: outcome === "taken" };
  const next: State = { ...state, shares: withName(state.shares, name, after) };
  const registration = get(state.local, name);
  if (registration?.serial !== serial) return shareName(next, name);
  const waits = registration.answerByMs !== undefined;
  if (outcome === "held") return waits ? answered(next, registration) : { state: next, actions: [] };
  if (outcome === "unknown") return { state: next, actions: [] };
  if (!waits) {
    // The node runs: it is left alone, and gets its place in the store when that is free.
    const text = `Serving "${name}" here only: found it held by ${detail}`;
    return { state: next, actions: share.taken ? [] : [say(text)] };
  }
  const { connection, node } = registration;
  const forgotten = shareName(unregistered(next, registration), name);
  const refused = answer(connection, aliveAnswer(node.highest, undefined), "idle");
  const said = say(`Cannot register "${name}": found it held by ${detail}, wanted a name of its own`);
  return { state: forgotten.state, actions: [refused, said, ...forgotten.actions] };
}

function answered(state: State, registration: Registration): Decided {
  const { node, connection, creation, serial } = registration;
  const told: Registration = { node, connection, creation, serial };
  return {
    state: { ...state, local: withName(state.local, node.name, told) },
    actions: [answer(connection, aliveAnswer(node.highest, creation), "keep")],
  };
}

function released(state: State, name: string, outcome: "gone" | "unknown"): Decided {
  const share = get(state.shares, name);
  if (share === undefined) return { state, actions: [] };
  const held = outcome === "gone" ? "none" : "unknown";
  const next: State = { ...state, shares: withName(state.shares, name, { ...share, busy: false, held }) };
  // What failed waits for the next tick.
  return outcome === "gone" ? shareName(next, name) : { state: next, actions: [] };
}

/** Answers who has waited for the store long enough, and tries again what the store did not take. */
function late(state: State, nowMs: number): Decided {
  let next = state;
  const actions: Action[] = [];
  for (const registration of values(state.local)) {
    const { answerByMs, node } = registration;
    if (answerByMs === undefined || nowMs < answerByMs) continue;
    const decided = answered(next, registration);
    next = decided.state;
    const text = `Registered "${node.name}" here only: the store did not answer within ${ANSWER_WITHIN_MS} ms, and gets it later`;
    actions.push(...decided.actions, say(text));
  }
  const again = shareAll(next);
  return { state: again.state, actions: [...actions, ...again.actions] };
}
