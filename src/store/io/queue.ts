// One task after the other, in the order of the calls, with a limit to how many may wait.
import { StoreUnavailable } from "../store.ts";

/** Runs asynchronous tasks one at a time. */
export class Queue {
  readonly #pendingMax: number;
  #pending = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(pendingMax: number) {
    this.#pendingMax = pendingMax;
  }

  /** Throws StoreUnavailable when `pendingMax` tasks are here already; for what comes from outside, before its `run`. */
  checkRoom(what: string): void {
    if (this.#pending >= this.#pendingMax) throw tooMany(what, this.#pendingMax);
  }

  /** Runs `task` when all earlier ones have ended. */
  run<T>(task: () => Promise<T>): Promise<T> {
    this.#pending += 1;
    const result = this.#last.then(task).finally(() => {
      this.#pending -= 1;
    });
    this.#last = result.catch(() => undefined);
    return result;
  }
}

export function tooMany(what: string, pendingMax: number): StoreUnavailable {
  return new StoreUnavailable(`Cannot ${what}: found ${pendingMax} operations waiting, wanted fewer`);
}
