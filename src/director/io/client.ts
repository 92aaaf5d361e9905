// A client of traffic by requests, and its request on the way.
import type { Socket } from "bun";
import type { Request } from "../riak/codes.ts";
import { FrameReader } from "../riak/frames.ts";
import type { Attempt } from "../state.ts";
import type { Link } from "./links.ts";
import { Side } from "./pump.ts";

/** A request on its way. */
export type Running = {
  /** What the decisions know it by. */
  readonly id: number;
  readonly rule: Request;
  readonly startedMs: number;
  /** The last try to place it. */
  attempt: Attempt | undefined;
  /** Its answers go on until one says that it is the last. */
  stream: boolean;
  /** What was read of it, while it may have to be sent, or sent again. */
  kept: Uint8Array[] | undefined;
  keptBytes: number;
  /** Bytes of an answer have been handed to the client. */
  answered: boolean;
};

/** A request of at most so many bytes is kept until it is answered, so that it can be sent again. */
const KEPT_MAX_BYTES = 64 * 1024;

/** `id`: not used before. `bytes`: what was read of it so far. */
export function newRunning(id: number, rule: Request, bytes: Uint8Array): Running {
  return {
    ...{ id, rule, startedMs: performance.now(), attempt: undefined, stream: false, answered: false },
    kept: [bytes],
    keptBytes: bytes.length,
  };
}

/** Keeps more of it, all until it is being `sent`. */
export function keep(running: Running, bytes: Uint8Array, sent: boolean): void {
  if (running.kept === undefined) return;
  running.kept.push(bytes.slice());
  running.keptBytes += bytes.length;
  if (sent) forgetLong(running);
}

/** It was sent: one that is too long is not kept. */
export function forgetLong(running: Running): void {
  if (running.keptBytes > KEPT_MAX_BYTES) running.kept = undefined;
}

/** Whether another node may be asked instead of one that is gone. */
export function mayBeSentAgain({ answered, kept, rule }: Running): boolean {
  return !answered && kept !== undefined && rule.safe;
}

/** A client's connection. */
export class Client extends Side {
  readonly reader = new FrameReader();
  socket: Socket<Side> | undefined;
  running: Running | undefined;
  link: Link | undefined;
  /** Other than "free": the link is its own for ever, since it has state, or carries no frames any more. */
  hold: Request["hold"] = "free";
  /** Bytes that came after the running request. */
  pending: Uint8Array | undefined;
  /** It sends no more. */
  ended = false;
  /** Its next request waits until it has read its last answer. */
  behind = false;

  /** So many bytes of it went to a backend. */
  count(bytes: number): void {
    this.bytes += bytes;
    this.meter.bytes += bytes;
  }
}
