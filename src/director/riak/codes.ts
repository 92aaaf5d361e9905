// Riak's protocol buffers interface as a balancer needs it: which answer a request gets, and what may be done with it.

export type Replies =
  | { readonly type: "one" }
  /** Until an answer has `done`. With `ifField`, only when that field of the request is true; otherwise one. */
  | { readonly type: "stream"; readonly ifField?: number };

export type Request = {
  readonly replies: Replies;
  /** Doing it twice is as doing it once, so that it may be sent again to another node. */
  readonly safe: boolean;
  /** "bound": it changes or reads the connection's own state. "raw": what follows is no frames of this protocol. */
  readonly hold: "free" | "bound" | "raw";
};

const ONE: Replies = { type: "one" };
const STREAM: Replies = { type: "stream" };

/** Requests that may be sent again: ping, server info, gets, lists, map-reduce, index, search and the like. */
const SAFE = [1, 7, 9, 15, 17, 19, 23, 25, 27, 31, 33, 40, 52, 54, 58, 70, 80, 96, 98, 100];
/** Requests that may not: puts, deletes, updates, queries, and those that other nodes or tools send. */
const UNSAFE = [
  ...[11, 13, 21, 29, 32, 50, 56, 57, 60, 82, 90, 92, 94, 104, 128, 129, 200, 202, 204, 206],
  ...[210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 223, 230, 231],
];
/** Streams, and the requests whose field asks for one: list buckets and index. */
const STREAMS: Readonly<Record<number, Replies>> = {
  15: { type: "stream", ifField: 2 },
  17: STREAM,
  23: STREAM,
  25: { type: "stream", ifField: 8 },
  40: STREAM,
  98: STREAM,
};

/** Get and set the client id, and authentication. */
const BOUND = [3, 5, 253];
const START_TLS = 255;
export const ERROR = 0;

const free = (code: number, safe: boolean): readonly [number, Request] => [
  code,
  { replies: STREAMS[code] ?? ONE, safe, hold: "free" },
];
const REQUESTS: ReadonlyMap<number, Request> = new Map([
  ...SAFE.map((code) => free(code, true)),
  ...UNSAFE.map((code) => free(code, false)),
  ...BOUND.map((code): readonly [number, Request] => [code, { replies: ONE, safe: false, hold: "bound" }]),
  [START_TLS, { replies: ONE, safe: false, hold: "raw" }],
]);

/** What is unknown gets one answer, and keeps its connection from then on. */
const UNKNOWN: Request = { replies: ONE, safe: false, hold: "bound" };

export function requestOf(code: number): Request {
  return REQUESTS.get(code) ?? UNKNOWN;
}

/** Number of the `done` field of an answer in a stream; 0: the answer has none. */
export function doneField(code: number): number {
  return DONE[code] ?? 0;
}

const DONE: Readonly<Record<number, number>> = { 16: 2, 18: 2, 24: 3, 26: 4, 41: 3, 42: 3, 99: 2 };

/** An RpbErrorResp { errmsg = 1, errcode = 2 } of at most 127 bytes of text, so that its length is one byte. */
export function errorFrame(message: string): Uint8Array {
  const errmsg = new TextEncoder().encode(message).subarray(0, 127);
  const body = [ERROR, 0x0a, errmsg.length, ...errmsg, 0x10, 0];
  return Uint8Array.of(0, 0, 0, body.length, ...body);
}
