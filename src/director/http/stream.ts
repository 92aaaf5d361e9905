// One direction of an HTTP/1 connection as it passes by, in whatever pieces it comes: heads and the ends of bodies. A head is
// kept until it is complete, of bodies nothing is.
import { type Bad, type Body, HEAD_MAX_BYTES } from "./heads.ts";

/** A line of a chunked body, its length or a trailer; all trailers of a body. */
const LINE_MAX_BYTES = 4096;
const TRAILERS_MAX_BYTES = 32 * 1024;
const [CR, LF, SEMICOLON] = [13, 10, 59];

const NOTHING = new Uint8Array();

/** Collects a head. */
export class HeadReader {
  #before: Uint8Array | undefined;
  /** Where the head is that was read last: in the bytes that were given, if it came in one piece. */
  bytes: Uint8Array = NOTHING;
  from = 0;
  to = 0;
  /** Where it ended in the bytes that were given. */
  next = 0;

  /** Whether part of a head is here. */
  get begun(): boolean {
    return this.#before !== undefined;
  }

  /** The head that was read last. */
  get head(): Uint8Array {
    return this.bytes.subarray(this.from, this.to);
  }

  /** Forgets a part of a head. */
  forget(): void {
    this.#before = undefined;
  }

  /** Takes bytes from `at` on. */
  read(bytes: Uint8Array, at: number): "more" | "head" | "tooLong" {
    const before = this.#before;
    const had = before?.length ?? 0;
    const all = before === undefined ? bytes : Buffer.concat([before, at === 0 ? bytes : bytes.subarray(at)]);
    const from = before === undefined ? at : 0;
    const end = endOf(all, Math.max(from, had - 3));
    if ((end < 0 ? all.length : end - 4) - from > HEAD_MAX_BYTES) return "tooLong";
    if (end < 0) {
      this.#before = before === undefined ? bytes.slice(at) : all;
      return "more";
    }
    this.#before = undefined;
    this.bytes = all;
    this.from = from;
    this.to = end;
    this.next = at + end - from - had;
    return "head";
  }
}

/** Where the first empty line from `at` on ends; -1: there is none. */
function endOf(bytes: Uint8Array, at: number): number {
  for (let last = at + 3; last < bytes.length;) {
    const byte = bytes[last];
    if (byte === LF && bytes[last - 1] === CR && bytes[last - 2] === LF && bytes[last - 3] === CR) return last + 1;
    // How far the end can be at least: each of its bytes tells.
    last += byte === CR ? 1 : byte === LF ? 2 : 4;
  }
  return -1;
}

/** Finds the end of a body. */
export class BodyReader {
  #state: "bytes" | "rest" | "size" | "extension" | "data" | "dataCr" | "dataLf" | "sizeLf" | "trailer" | "done" =
    "done";
  #left = 0;
  #digits = 0;
  #line = 0;
  #trailers = 0;
  #lastIsCr = false;

  begin(body: Body): void {
    this.#state =
      body.type === "none" ? "done" : body.type === "length" ? "bytes" : body.type === "rest" ? "rest" : "size";
    this.#left = body.type === "length" ? body.bytes : 0;
    this.#newLine();
    this.#trailers = 0;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** Whether only the connection's end ends it. */
  get untilEnd(): boolean {
    return this.#state === "rest";
  }

  /** Takes bytes from `at` on; returns where the body ended or the bytes did. Undefined: this is no chunked body. */
  read(bytes: Uint8Array, at: number): number | undefined {
    let next = at;
    while (next < bytes.length && this.#state !== "done") {
      if (this.#state === "rest") return bytes.length;
      if (this.#state === "bytes" || this.#state === "data") {
        const step = Math.min(this.#left, bytes.length - next);
        next += step;
        this.#left -= step;
        if (this.#left === 0) this.#state = this.#state === "bytes" ? "done" : "dataCr";
      } else {
        if (!this.#step(bytes[next] ?? 0)) return undefined;
        next += 1;
      }
    }
    return next;
  }

  #newLine(): void {
    this.#digits = 0;
    this.#line = 0;
    this.#lastIsCr = false;
  }

  /** One byte of what surrounds the data. */
  #step(byte: number): boolean {
    this.#line += 1;
    if (this.#line > LINE_MAX_BYTES) return false;
    switch (this.#state) {
      case "size":
        return this.#size(byte);
      case "extension":
        if (byte === CR) this.#state = "sizeLf";
        return byte === CR || (byte >= 32 && byte !== 127) || byte === 9;
      case "sizeLf":
        this.#state = this.#left === 0 ? "trailer" : "data";
        this.#newLine();
        return byte === LF;
      case "dataCr":
        this.#state = "dataLf";
        return byte === CR;
      case "dataLf":
        this.#state = "size";
        this.#newLine();
        return byte === LF;
      default:
        return this.#trailer(byte);
    }
  }

  #size(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits += 1;
      return this.#digits <= 12;
    }
    if (this.#digits === 0) return false;
    this.#state = byte === CR ? "sizeLf" : "extension";
    return byte === CR || byte === SEMICOLON;
  }

  /** Lines up to an empty one. */
  #trailer(byte: number): boolean {
    this.#trailers += 1;
    if (this.#trailers > TRAILERS_MAX_BYTES) return false;
    if (this.#lastIsCr) {
      if (byte !== LF) return false;
      if (this.#line === 2) this.#state = "done";
      this.#newLine();
      return true;
    }
    this.#lastIsCr = byte === CR;
    return byte !== LF && byte !== 0;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** What is told of a head that is too long. */
export const TOO_LONG: Bad = { status: 431, why: `a head of more than ${HEAD_MAX_BYTES} bytes` };
