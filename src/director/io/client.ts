// A client of traffic by requests, and its request on the way, as far as they are the same whatever it speaks.
import type { Socket } from "bun";
import type { Attempt } from "../state.ts";
import type { Link } from "./links.ts";
import { Side } from "./pump.ts";

/** A request of at most so many bytes is kept until it is answered, so that it can be sent again. */
const KEPT_MAX_BYTES = 64 * 1024;

/** "bound": its link is its own for ever, since that has state. "raw": so it is, and what passes is no requests any more. */
export type Hold = "free" | "bound" | "raw";

/** A request on its way. */
export abstract class Errand {
  /** What the decisions know it by. */
  readonly id: number;
  readonly startedMs = performance.now();
  /** What becomes of its client's link. */
  abstract readonly hold: Hold;
  /** Whether doing it twice may be as doing it once; then another node may be asked instead of one that is gone. */
  abstract readonly isSafe: boolean;
  /** The last try to place it. */
  attempt: Attempt | undefined;
  /** What was read of it, while it may have to be sent, or sent again. */
  kept: Uint8Array[] | undefined;
  #keptBytes: number;
  /** Bytes of an answer have come. */
  answered = false;
  /** Its link had answered others before. */
  linkIsOld = false;

  /** `id`: not used before. `bytes`: what was read of it so far. */
  constructor(id: number, bytes: Uint8Array) {
    this.id = id;
    this.kept = [bytes.slice()];
    this.#keptBytes = bytes.length;
  }

  keep(bytes: Uint8Array): void {
    this.kept?.push(bytes.slice());
    this.#keptBytes += bytes.length;
  }

  /** It was sent: one that is too long is not kept. */
  forgetLong(): void {
    if (this.#keptBytes > KEPT_MAX_BYTES) this.kept = undefined;
  }

  get mayBeSentAgain(): boolean {
    return !this.answered && this.kept !== undefined && this.isSafe;
  }
}

/** A client's connection. */
export class Client<One extends Errand> extends Side {
  socket: Socket<Side> | undefined;
  errand: One | undefined;
  link: Link | undefined;
  hold: Hold = "free";
  /** Bytes that came after the running request. */
  pending: Uint8Array | undefined;
  /** It sends no more. */
  ended = false;
  /** Its next request waits until it has read its last answer. */
  behind = false;
  /** It is told that its connection ends, and is sent nothing else. */
  dismissed = false;
  /** Since when it is as it is: dismissed, or about to send its next request, or with half of one's head. */
  sinceMs = 0;

  /** So many bytes of it went to a backend. */
  count(bytes: number): void {
    this.bytes += bytes;
    this.meter.bytes += bytes;
  }
}
