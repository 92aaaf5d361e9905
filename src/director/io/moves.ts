// Which drivers' connections are to go on with another backend, and when: those whose backend is to stop, those that lost it, and
// some of those that are too many on theirs.
import type { Talk } from "./talk.ts";

/** Drivers that change their backend at a time; the others stay where they are meanwhile. */
const MOVING_MAX = 256;
/** A driver that found no other backend looks again after so long. */
const MOVE_AGAIN_MS = 1000;

/** What is done with a connection. */
type Does = {
  /** Asks for another backend. */
  readonly seek: (talk: Talk) => void;
  /** Ends the client's connection: it has nothing under way. */
  readonly dismiss: (talk: Talk) => void;
};

export class Moves {
  readonly #does: Does;
  /** Whose backend is to stop, or is gone. */
  readonly #leaving = new Set<Talk>();
  /** Addresses that were told to be draining; one that is given again no longer is. */
  readonly #draining = new Set<string>();
  /** Looking for another backend, or being told to it. */
  readonly #moving = new Set<Talk>();

  constructor(does: Does) {
    this.#does = does;
  }

  /** All that are on the backend are to leave it. Returns how many of them cannot move. */
  drain(address: string, talks: Iterable<Talk>): number {
    this.#draining.add(address);
    let bound = 0;
    for (const talk of talks)
      if (talk.present?.address === address) {
        this.#leaving.add(talk);
        if (talk.conversation.isBound) bound += 1;
      }
    this.some();
    return bound;
  }

  /** So many of those that rest on the backend look for another one. */
  spread(address: string, count: number, talks: Iterable<Talk>): void {
    let left = Math.min(count, MOVING_MAX - this.#moving.size);
    for (const talk of talks) {
      if (left <= 0) return;
      const { present, conversation } = talk;
      if (present?.address !== address || !conversation.quiet || !this.#canMove(talk)) continue;
      this.seek(talk);
      left -= 1;
    }
  }

  /** The backend is given to clients. */
  serves(address: string): void {
    this.#draining.delete(address);
  }

  /** A backend is its present one from now on. */
  arrived(talk: Talk, address: string): void {
    if (this.#draining.has(address)) this.#leaving.add(talk);
  }

  /** The move came to nothing: later another try. */
  stays(talk: Talk): void {
    this.#moving.delete(talk);
    talk.moveAtMs = performance.now() + MOVE_AGAIN_MS;
    this.#leaving.add(talk);
  }

  /** It looks for another backend no longer. */
  over(talk: Talk): void {
    this.#moving.delete(talk);
  }

  /** It has no backend to leave any more, or is gone itself. */
  forget(talk: Talk): void {
    this.#leaving.delete(talk);
    this.#moving.delete(talk);
  }

  seek(talk: Talk): void {
    this.#leaving.delete(talk);
    this.#moving.add(talk);
    talk.waits = true;
    talk.waitsSinceMs = performance.now();
    this.#does.seek(talk);
  }

  /** Begins as many moves as may be under way. */
  some(): void {
    const now = performance.now();
    for (const talk of this.#leaving) {
      if (this.#moving.size >= MOVING_MAX) return;
      const { present, conversation } = talk;
      if (present !== undefined && !this.#draining.has(present.address)) this.#leaving.delete(talk);
      else if (present !== undefined && conversation.isBound && conversation.quiet) {
        this.#leaving.delete(talk);
        this.#does.dismiss(talk);
      } else if (talk.moveAtMs <= now && this.#canMove(talk)) this.seek(talk);
    }
  }

  #canMove({ present, next, waits, conversation }: Talk): boolean {
    return next === undefined && !waits && (present === undefined || conversation.movable);
  }
}
