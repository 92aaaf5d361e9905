// What every backend's session has: a state that listeners are told, and the locks that end with it.
import type { Lock, SessionState } from "../store.ts";
import { StoreConflict } from "../store.ts";

/** A lock in the hand of its holder. `token` is what the backend knows it by. */
export class HeldLock implements Lock {
  readonly name: string;
  readonly token: string;
  readonly #lost = new AbortController();
  readonly #giveUp: (lock: HeldLock) => Promise<void>;

  constructor(name: string, token: string, giveUp: (lock: HeldLock) => Promise<void>) {
    this.name = name;
    this.token = token;
    this.#giveUp = giveUp;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Tells the holder; what the backend still has of the lock is the caller's to remove. */
  lose(why: string): void {
    this.#lost.abort(new Error(`Lost lock "${this.name}": ${why}`));
  }

  async release(): Promise<void> {
    if (this.lost.aborted) return;
    this.lose("released");
    await this.#giveUp(this);
  }
}

/** The state of a store's session and the locks that it holds. */
export class Session {
  readonly locks = new Set<HeldLock>();
  readonly #listeners: ((state: SessionState) => void)[] = [];
  #state: SessionState = "connected";

  get state(): SessionState {
    return this.#state;
  }

  listen(listener: (state: SessionState) => void): void {
    this.#listeners.push(listener);
  }

  /** Tells a change of state; "lost" takes all locks away first. */
  become(state: SessionState, why: string): void {
    if (state === this.#state) return;
    this.#state = state;
    if (state === "lost") this.loseLocks(why);
    for (const listener of this.#listeners) listener(state);
  }

  loseLocks(why: string): void {
    for (const lock of this.locks) lock.lose(why);
    this.locks.clear();
  }

  /** The lock behind `lock`, or StoreConflict when it is known to be gone; the backend has the last word. */
  held(lock: Lock): HeldLock {
    if (lock instanceof HeldLock && !lock.lost.aborted) return lock;
    throw lockConflict(lock);
  }
}

export function lockConflict(lock: Lock): StoreConflict {
  return new StoreConflict(`Cannot write: found lock "${lock.name}" lost, wanted it held`);
}
