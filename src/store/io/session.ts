// What every backend's session has: a state that listeners are told, and the locks that end with it.
import type { Lock, SessionState } from "../store.ts";
import { StoreConflict } from "../store.ts";

/** Part of a session's time-out in which a confirmed lock is surely held; the rest is for clocks and for what is under way. */
const SURE_PART = 0.75;

/** A lock in the hand of its holder. `token` is what the backend knows it by. */
export class HeldLock implements Lock {
  readonly name: string;
  readonly token: string;
  readonly #lost = new AbortController();
  readonly #giveUp: (lock: HeldLock) => Promise<void>;
  #sureUntilMs = 0;

  constructor(name: string, token: string, giveUp: (lock: HeldLock) => Promise<void>) {
    this.name = name;
    this.token = token;
    this.#giveUp = giveUp;
  }

  /**
   * The backend has said that the lock is held, to a question that was asked at `askedMs` (performance.now()): from then on its
   * session lasts for `timeoutMs` at least. When the answer came says nothing: it may have lain unread.
   */
  confirm(askedMs: number, timeoutMs: number): void {
    this.#sureUntilMs = Math.max(this.#sureUntilMs, askedMs + timeoutMs * SURE_PART);
  }

  isSurelyHeld(): boolean {
    return !this.lost.aborted && performance.now() < this.#sureUntilMs;
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
