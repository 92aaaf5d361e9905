// Simulated time: what is due next, and what has happened, in words.
import { hashOf } from "./chance.ts";

const START_MS = Date.UTC(2026, 0, 1);
const KEPT_LINES = 400;

type Due = {
  readonly atMs: number;
  readonly order: number;
  readonly counts: boolean;
  readonly run: () => void | Promise<void>;
};

export class Timeline {
  nowMs = START_MS;
  /** What has happened, ticks and probes left out. */
  events = 0;
  /** All lines so far in one number: two runs that said the same did the same. */
  hash = 0x811c9dc5;
  readonly #heap: Due[] = [];
  readonly #lines: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  #order = 0;

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  /** Does something later. `counts`: whether it is an event, not just a tick. */
  at(delayMs: number, run: () => void | Promise<void>, counts = true): void {
    const due: Due = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, counts, run };
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(due, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = due;
  }

  /** Takes the next thing, with the clock at its time; undefined: nothing is due any more. */
  next(): (() => void | Promise<void>) | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) sink(heap, last);
    this.nowMs = first.atMs;
    if (first.counts) this.events += 1;
    return first.run;
  }

  /** Notes what happens, for whoever reads the run. */
  say(text: string): void {
    const seconds = ((this.nowMs - START_MS) / 1000).toFixed(3);
    const line = `${this.events} ${seconds}s ${text}`;
    this.hash = hashOf(line, this.hash);
    this.#onLine?.(line);
    this.#lines.push(line);
    if (this.#lines.length >= 2 * KEPT_LINES) this.#lines.splice(0, KEPT_LINES);
  }

  last(count: number): readonly string[] {
    return this.#lines.slice(-count);
  }

  get minutes(): number {
    return (this.nowMs - START_MS) / 60_000;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function sink(heap: Due[], due: Due): void {
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    let child = heap[below];
    const right = heap[below + 1];
    if (child !== undefined && right !== undefined && isBefore(right, child)) {
      child = right;
      below += 1;
    }
    if (child === undefined || !isBefore(child, due)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = due;
}
