// What a listener counts, apart from what its state says: read by /metrics and /status.
import type { Refusal } from "../state.ts";
import type { Meter } from "./pump.ts";

/** Upper bounds of a histogram's buckets, in seconds. */
export const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

/** Counts of observations by bucket, each with those of the smaller ones left out; the last counts what is larger than all. */
export class Histogram {
  readonly counts: number[] = Array.from({ length: BUCKETS.length + 1 }, () => 0);
  sum = 0;

  observe(seconds: number): void {
    this.sum += seconds;
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    const index = bucket < 0 ? BUCKETS.length : bucket;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
  }
}

/** Of one backend, for as long as the director runs. */
export type BackendFigures = {
  readonly node: string;
  /** Bytes from clients, and from the backend. */
  readonly received: Meter;
  readonly sent: Meter;
  connections: number;
  connectErrors: number;
  /** Connections that the backend ended without an answer to what was asked. */
  failures: number;
  ejections: number;
  probeFailures: number;
  lastUsedMs: number;
  lastError: string;
  lastErrorMs: number;
  readonly connectSeconds: Histogram;
};

/** Why clients were turned away that the decisions never heard of. */
export type Unheard = "too_many_clients" | "bad_frame" | "head_timeout" | "tls";

export type Figures = {
  readonly backends: Map<string, BackendFigures>;
  readonly refusals: Map<Refusal | Unheard, number>;
  readonly queueSeconds: Histogram;
  clients: number;
};

/** Addresses that were backends once are remembered up to this many. */
const FORMER_MAX = 1000;

export function newFigures(): Figures {
  return { backends: new Map(), refusals: new Map(), queueSeconds: new Histogram(), clients: 0 };
}

export function countRefusal(figures: Figures, why: Refusal | Unheard): void {
  figures.refusals.set(why, (figures.refusals.get(why) ?? 0) + 1);
}

/** It did not take a connection. */
export function countConnectError(figures: BackendFigures, detail: string): void {
  figures.connectErrors += 1;
  figures.lastError = detail;
  figures.lastErrorMs = Date.now();
}

/** It ended a connection, or a request, without an answer. */
export function countFailure(figures: BackendFigures, detail: string): void {
  figures.failures += 1;
  figures.lastError = detail;
  figures.lastErrorMs = Date.now();
}

/** The figures of a backend, new ones when it has none yet. */
export function figuresOf(figures: Figures, address: string, node: string): BackendFigures {
  const found = figures.backends.get(address);
  if (found !== undefined) return found;
  const fresh: BackendFigures = {
    node,
    received: { bytes: 0 },
    sent: { bytes: 0 },
    connections: 0,
    connectErrors: 0,
    failures: 0,
    ejections: 0,
    probeFailures: 0,
    lastUsedMs: 0,
    lastError: "",
    lastErrorMs: 0,
    connectSeconds: new Histogram(),
  };
  figures.backends.set(address, fresh);
  for (const oldest of figures.backends.keys()) {
    if (figures.backends.size <= FORMER_MAX) break;
    figures.backends.delete(oldest);
  }
  return fresh;
}
