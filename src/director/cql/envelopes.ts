// Envelopes of Cassandra's native protocol (a head of nine bytes and a body) as they pass by, in whatever pieces they come.
// Only those that are looked at are held back until they are complete.

export const HEAD_BYTES = 9;
/** Cassandra takes 256 MiB by default; what is longer is garbage. */
const BODY_MAX_BYTES = 256 * 1024 * 1024;

export type Head = {
  /** Protocol version, without the bit that marks answers. */
  readonly version: number;
  readonly flags: number;
  readonly stream: number;
  readonly opcode: number;
  /** Bytes of the body. */
  readonly length: number;
};

export const OPCODES = {
  error: 0x00,
  startup: 0x01,
  ready: 0x02,
  authenticate: 0x03,
  options: 0x05,
  supported: 0x06,
  query: 0x07,
  result: 0x08,
  prepare: 0x09,
  execute: 0x0a,
  register: 0x0b,
  batch: 0x0d,
  authChallenge: 0x0e,
  authResponse: 0x0f,
  authSuccess: 0x10,
} as const;

/** Since this version all that follows STARTUP comes in segments. */
export const FRAMED_SINCE = 5;
export const FLAGS = { compressed: 0x01, tracing: 0x02, payload: 0x04, warning: 0x08 } as const;

/** Bytes that cannot be what they should; the connection cannot go on. */
export class BadBytes extends Error {
  override readonly name = "BadBytes";
}

/** The head that begins at `at`, where at least HEAD_BYTES must be. */
export function readHead(bytes: Uint8Array, at: number): Head {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEAD_BYTES);
  const length = view.getUint32(5);
  if (length > BODY_MAX_BYTES)
    throw new BadBytes(`found an envelope of ${length} bytes, wanted at most ${BODY_MAX_BYTES}`);
  return {
    version: view.getUint8(0) & 0x7f,
    flags: view.getUint8(1),
    stream: view.getInt16(2),
    opcode: view.getUint8(4),
    length,
  };
}

/** A whole envelope like `head`, with another body. `answer`: from a server. */
export function envelope(head: Omit<Head, "length">, body: Uint8Array, answer: boolean): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, head.version | (answer ? 0x80 : 0));
  view.setUint8(1, head.flags);
  view.setInt16(2, head.stream);
  view.setUint8(4, head.opcode);
  view.setUint32(5, body.length);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

/** The same envelope on another stream. */
export function onStream(whole: Uint8Array, stream: number): Uint8Array {
  const bytes = whole.slice();
  new DataView(bytes.buffer).setInt16(2, stream);
  return bytes;
}

/** What is done with each envelope of one direction. */
export interface Reader {
  /** Told of every envelope's head, once. Whether the whole envelope is wanted. */
  begins(head: Head): boolean;
  /** Gets a wanted envelope; returns what goes on in its place: the same bytes where nothing is changed. */
  rewrite(head: Head, whole: Uint8Array): Uint8Array;
  /** Whether what comes next are no plain envelopes any more. */
  over(): boolean;
}

export const NOTHING = new Uint8Array();

/** Bytes that wait until there are enough of them: never more memory than twice what has come. */
export class Held {
  #buffer: Uint8Array = NOTHING;
  #length = 0;
  #needed = 0;

  /** All that waits with these bytes after it, once that is enough; undefined: it is not. */
  with(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#length === 0) return bytes;
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const wider = new Uint8Array(length < this.#needed ? Math.min(2 * length, this.#needed) : length);
      wider.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = wider;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
    if (length < this.#needed) return undefined;
    const all = this.#buffer.subarray(0, length);
    this.#buffer = NOTHING;
    this.#length = 0;
    return all;
  }

  /** These bytes wait until there are as many as needed. */
  keep(bytes: Uint8Array, needed: number): void {
    this.#buffer = bytes.slice();
    this.#length = bytes.length;
    this.#needed = needed;
  }
}

/** One direction of plain envelopes. */
export class Envelopes {
  readonly #reader: Reader;
  readonly #held = new Held();
  /** The head of a wanted envelope that is not complete yet. */
  #wanted: Head | undefined;
  /** Bytes of an envelope that passes, still to come. */
  #left = 0;
  /** An envelope of our own that waits for the end of the one that passes. */
  #own: Uint8Array = NOTHING;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Whether what went on so far ends with the end of an envelope. */
  get between(): boolean {
    return this.#left === 0;
  }

  /** Puts an envelope between those that pass. Returns what can be sent at once; the rest comes with `take`. */
  insert(own: Uint8Array): Uint8Array {
    if (this.#left === 0) return own;
    this.#own = joined([this.#own, own]);
    return NOTHING;
  }

  /**
   * What goes on of these bytes, in order, and what was not looked at because the reader is over. Throws BadBytes.
   */
  take(input: Uint8Array): { readonly forward: readonly Uint8Array[]; readonly rest: Uint8Array } {
    const bytes = this.#held.with(input);
    if (bytes === undefined) return { forward: [], rest: NOTHING };
    const forward: Uint8Array[] = [];
    let at = Math.min(this.#left, bytes.length);
    this.#left -= at;
    let from = 0;
    let needed = HEAD_BYTES;
    while (bytes.length - at >= HEAD_BYTES && !this.#reader.over()) {
      const head = this.#wanted ?? readHead(bytes, at);
      const end = at + HEAD_BYTES + head.length;
      if (this.#wanted === undefined && !this.#reader.begins(head)) {
        this.#left = Math.max(0, end - bytes.length);
        at = Math.min(end, bytes.length);
        continue;
      }
      this.#wanted = end > bytes.length ? head : undefined;
      if (end > bytes.length) {
        needed = HEAD_BYTES + head.length;
        break;
      }
      const whole = bytes.subarray(at, end);
      const changed = this.#reader.rewrite(head, whole);
      if (changed !== whole) {
        if (at > from) forward.push(bytes.subarray(from, at));
        if (changed.length > 0) forward.push(changed);
        from = end;
      }
      at = end;
    }
    if (at > from) forward.push(from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at));
    if (this.#left === 0 && this.#own.length > 0) {
      forward.push(this.#own);
      this.#own = NOTHING;
    }
    if (this.#reader.over()) return { forward, rest: bytes.subarray(at) };
    if (at < bytes.length) this.#held.keep(bytes.subarray(at), needed);
    return { forward, rest: NOTHING };
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
