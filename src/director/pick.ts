// Which backend takes the next client: those of the own rack first, then of the own zone, then the others.
import type { Backend, Settings, State } from "./state.ts";

export type Picked =
  | { readonly type: "backend"; readonly index: number }
  /** None has room at the moment. */
  | { readonly type: "wait"; readonly why: string }
  /** All that could take it did not. */
  | { readonly type: "none"; readonly why: string };

/** Whether new connections may go to the backend, its limit aside. An ejection is looked at apart: it may be overruled. */
function isOpen(backend: Backend): boolean {
  return backend.drainingSinceMs === undefined && backend.health !== "down";
}

/** Backends that take new connections now, however many they have. */
export function usableCount(state: State, nowMs: number): number {
  return state.backends.filter((backend) => isOpen(backend) && backend.ejectedUntilMs <= nowMs).length;
}

/** One word for a backend: gone, draining, down, ejected, up or unknown. */
export function stateOf(backend: Backend, nowMs: number): string {
  if (backend.gone) return "gone";
  if (backend.drainingSinceMs !== undefined) return "draining";
  if (backend.health === "down") return "down";
  return backend.ejectedUntilMs > nowMs ? "ejected" : backend.health;
}

/** 0: own rack, 1: own zone, 2: elsewhere. */
function distance({ target }: Backend, { rack, zone }: Settings): number {
  const sameZone = zone === undefined || target.zone === undefined || target.zone === zone;
  if (rack !== undefined && target.rack === rack && sameZone) return 0;
  return zone !== undefined && target.zone === zone ? 1 : 2;
}

/** Picks for a client that was not taken by the backends `tried`. */
export function pick(state: State, tried: readonly string[], nowMs: number): Picked {
  const { backends, settings } = state;
  let open = 0;
  let isAnyHealthy = false;
  for (const backend of backends) {
    if (!isOpen(backend)) continue;
    open += 1;
    if (backend.ejectedUntilMs <= nowMs) isAnyHealthy = true;
  }
  if (open === 0) return { type: "wait", why: whyNone(backends) };
  // The next in turn comes first, those before it last.
  let usable = 0;
  let best: number | undefined;
  const start = nextInTurn(state);
  for (let i = 0; i < backends.length; i += 1) {
    const index = (start + i) % backends.length;
    const backend = backends[index];
    // A doubtful backend is better than none.
    if (backend === undefined || !isOpen(backend) || (isAnyHealthy && backend.ejectedUntilMs > nowMs)) continue;
    if (tried.includes(backend.target.address)) continue;
    usable += 1;
    if (backend.connections >= settings.connectionsMax) continue;
    const known = best === undefined ? undefined : backends[best];
    if (known === undefined || isBetter(backend, known, settings)) best = index;
  }
  if (best !== undefined) return { type: "backend", index: best };
  if (usable === 0) return { type: "none", why: `none of ${open} backends took the connection` };
  return { type: "wait", why: `all ${usable} backends have ${settings.connectionsMax} connections, their limit` };
}

/** At most so many connections look for another backend at a time, and only where it is worth it: two, and a tenth. */
const SPREAD_MAX = 32;
const SPREAD_FROM = 2;

/** Whether it surely serves. */
export function isWell(backend: Backend, nowMs: number): boolean {
  return isOpen(backend) && backend.health === "up" && backend.ejectedUntilMs <= nowMs;
}

/** The backend that has too many connections beside one that is as near or nearer, and how many of them could go there. */
export function surplus(state: State): { readonly address: string; readonly count: number } | undefined {
  const { settings } = state;
  const byConnections = state.backends.toSorted((a, b) => a.connections - b.connections);
  const nearest = Math.min(...byConnections.map((backend) => distance(backend, settings)));
  const [far, near] = [
    byConnections.findLast((backend) => distance(backend, settings) > nearest),
    byConnections.filter((backend) => distance(backend, settings) === nearest),
  ];
  const [least, most] = [near[0], near.at(-1)];
  if (least === undefined || most === undefined) return undefined;
  if (far !== undefined && far.connections > 0 && least.connections < settings.connectionsMax)
    return { address: far.target.address, count: Math.min(SPREAD_MAX, far.connections) };
  const difference = most.connections - least.connections;
  if (difference < SPREAD_FROM || difference * 10 < most.connections) return undefined;
  return { address: most.target.address, count: Math.min(SPREAD_MAX, Math.floor(difference / 2)) };
}

/** The index of the first backend after the one that was picked last. */
function nextInTurn({ backends, turn }: State): number {
  const index = backends.findIndex(({ target }) => target.address > turn);
  return Math.max(0, index);
}

/** Strictly better: among equals the turn decides. */
function isBetter(backend: Backend, best: Backend, settings: Settings): boolean {
  const nearer = distance(backend, settings) - distance(best, settings);
  if (nearer !== 0) return nearer < 0;
  return settings.balance === "leastConnections" && backend.connections < best.connections;
}

function whyNone(backends: readonly Backend[]): string {
  if (backends.length === 0) return "there are no backends";
  const down = backends.filter(({ health, drainingSinceMs }) => health === "down" && drainingSinceMs === undefined);
  return `of ${backends.length} backends ${down.length} are down and ${backends.length - down.length} are draining`;
}
