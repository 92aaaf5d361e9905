// A client of HTTP by requests, and its request on the way.
import type { Socket } from "bun";
import { type AnswerHead, isIdempotent, isSafe, type RequestHead } from "../http/heads.ts";
import { BodyReader, HeadReader } from "../http/stream.ts";
import type { Attempt } from "../state.ts";
import type { Link } from "./links.ts";
import { Side } from "./pump.ts";

/** A request of at most so many bytes is kept until it is answered, so that it can be sent again. */
const KEPT_MAX_BYTES = 64 * 1024;

/** A request on its way. */
export class Errand {
  /** What the decisions know it by. */
  readonly id: number;
  readonly head: RequestHead;
  readonly startedMs = performance.now();
  /** Of its answer: the heads, also those of interim ones, and the body of the last. */
  readonly heads = new HeadReader();
  readonly body = new BodyReader();
  answer: AnswerHead | undefined;
  /** The last try to place it. */
  attempt: Attempt | undefined;
  /** What was read of it, while it may have to be sent, or sent again. */
  kept: Uint8Array[] | undefined;
  #keptBytes = 0;
  /** Bytes of an answer have come. */
  answered = false;
  /** Its link had answered others before. */
  linkIsOld = false;

  constructor(id: number, head: RequestHead, bytes: Uint8Array) {
    this.id = id;
    this.head = head;
    this.kept = [];
    this.keep(bytes);
  }

  keep(bytes: Uint8Array): void {
    this.kept?.push(bytes);
    this.#keptBytes += bytes.length;
  }

  /** It was sent: one that is too long is not kept. */
  forgetLong(): void {
    if (this.#keptBytes > KEPT_MAX_BYTES) this.kept = undefined;
  }

  /** Whether another node may be asked instead of one that is gone. An old link may have ended before it saw the request. */
  get mayBeSentAgain(): boolean {
    const { method } = this.head;
    return !this.answered && this.kept !== undefined && (isSafe(method) || (this.linkIsOld && isIdempotent(method)));
  }
}

/** A client's connection. */
export class WebClient extends Side {
  readonly heads = new HeadReader();
  readonly body = new BodyReader();
  socket: Socket<Side> | undefined;
  errand: Errand | undefined;
  link: Link | undefined;
  /** After an upgrade no HTTP follows. */
  isRaw = false;
  /** Bytes that came after the running request. */
  pending: Uint8Array | undefined;
  /** It sends no more. */
  ended = false;
  /** It is told that its connection ends, and is sent nothing else. */
  dismissed = false;
  /** Its next request waits until it has read its last answer. */
  behind = false;

  /** So many bytes of it went to a backend. */
  count(bytes: number): void {
    this.bytes += bytes;
    this.meter.bytes += bytes;
  }
}
