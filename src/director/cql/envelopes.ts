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
  register: 0x0b,
} as const;

export const FLAGS = { compressed: 0x01, tracing: 0x02, payload: 0x04, warning: 0x08 } as const;

/** Bytes that cannot be what they should; the connection cannot go on. */
export class BadBytes extends Error {
  override readonly name = "BadBytes";
}

/** The head that begins at `at`, where at least HEAD_BYTES must be. */
export function readHead(bytes: Uint8Array, at: number): Head {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEAD_BYTES);
  return {
    version: view.getUint8(0) & 0x7f,
    flags: view.getUint8(1),
    stream: view.getInt16(2),
    opcode: view.getUint8(4),
    length: view.getUint32(5),
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

/** What is done with each envelope of one direction. */
export interface Reader {
  /** Told of every envelope's head. Whether the whole envelope is wanted. */
  wants(head: Head): boolean;
  /** Gets a wanted envelope; returns what goes on in its place: the same bytes where nothing is changed. */
  rewrite(head: Head, whole: Uint8Array): Uint8Array;
  /** Whether what comes next are no plain envelopes any more. */
  readonly over: boolean;
}

const NOTHING = new Uint8Array();

/** One direction of plain envelopes. */
export class Envelopes {
  readonly #reader: Reader;
  #held: Uint8Array = NOTHING;
  /** Bytes of an envelope that passes, still to come. */
  #left = 0;
  /** An envelope of our own that waits for the end of the one that passes. */
  #own: Uint8Array = NOTHING;

  constructor(reader: Reader) {
    this.#reader = reader;
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
    const bytes = this.#held.length === 0 ? input : joined([this.#held, input]);
    this.#held = NOTHING;
    const forward: Uint8Array[] = [];
    let at = Math.min(this.#left, bytes.length);
    this.#left -= at;
    let from = 0;
    while (bytes.length - at >= HEAD_BYTES && !this.#reader.over) {
      const head = readHead(bytes, at);
      if (head.length > BODY_MAX_BYTES)
        throw new BadBytes(`found an envelope of ${head.length} bytes, wanted at most ${BODY_MAX_BYTES}`);
      const end = at + HEAD_BYTES + head.length;
      if (!this.#reader.wants(head)) {
        this.#left = Math.max(0, end - bytes.length);
        at = Math.min(end, bytes.length);
        continue;
      }
      if (end > bytes.length) break;
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
    if (this.#reader.over) return { forward, rest: bytes.subarray(at) };
    if (at < bytes.length) this.#held = bytes.slice(at);
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
