// Keeps the store in step with the names registered here: what is missing there is claimed, what is gone here is released. One
// write for a name at a time; whatever went wrong is tried again until both agree.
import type { Decision } from "../std/decision.ts";
import type { Folder } from "../store/store.ts";
import { get, values, withName, withoutName } from "./names.ts";
import { keyOf, mayReplace, nameIn, type SharedName } from "./record.ts";
import type { Action, Registration, Share, State } from "./state.ts";

type Decided = Decision<State, Action>;

/** Looks after one name: what is registered here, what the store holds, and what is to be done about it. */
export function shareName(state: State, name: string): Decided {
  const { shared } = state.settings;
  const key = keyOf(name);
  if (shared === undefined || key === undefined) return { state, actions: [] };
  const share = get(state.shares, name) ?? { name, busy: false, held: "none", taken: false };
  if (share.busy) return { state, actions: [] };
  const next = (after: Share, ...actions: readonly Action[]): Decided => ({
    state: { ...state, shares: withName(state.shares, name, after) },
    actions,
  });
  const registration = get(state.local, name);
  if (registration === undefined) {
    if (share.held === "none") return { state: { ...state, shares: withoutName(state.shares, name) }, actions: [] };
    if (state.store !== "connected") return { state, actions: [] };
    return next({ ...share, busy: true }, { type: "release", key, name, owner: shared.owner });
  }
  const { node, creation, serial } = registration;
  const mine: SharedName = { node, creation, ...shared };
  const found = share.taken ? nameIn(state.folder, key) : undefined;
  const inVain = found !== undefined && !mayReplace(found, mine);
  if (share.held === serial || inVain || state.store !== "connected") return next(share);
  return next({ ...share, busy: true }, { type: "claim", key, serial, mine });
}

/** Looks after every name that the store may not agree on. */
export function shareAll(state: State): Decided {
  if (state.store !== "connected") return { state, actions: [] };
  let next = state;
  const actions: Action[] = [];
  for (const { name, held } of values(state.shares)) {
    if (held === get(state.local, name)?.serial) continue;
    const decided = shareName(next, name);
    next = decided.state;
    actions.push(...decided.actions);
  }
  return { state: next, actions };
}

/** The store tells what it holds. That may be of a moment ago, so what is missing is only taken for unknown. */
export function shareTold(state: State, folder: Folder): Decided {
  let next: State = { ...state, folder };
  for (const share of values(state.shares)) {
    const registration = get(state.local, share.name);
    if (registration === undefined || share.held !== registration.serial || isIn(next, registration)) continue;
    next = { ...next, shares: withName(next.shares, share.name, { ...share, held: "unknown" }) };
  }
  return shareAll(next);
}

function isIn(state: State, { node, creation }: Registration): boolean {
  const key = keyOf(node.name);
  const found = key === undefined ? undefined : nameIn(state.folder, key);
  if (found === undefined || found === "unreadable") return false;
  return found.owner === state.settings.shared?.owner && found.creation === creation;
}
