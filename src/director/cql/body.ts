// Reads and writes the notations of Cassandra's native protocol inside a body.
import { BadBytes, FLAGS, HEAD_BYTES, type Head } from "./envelopes.ts";

const text = new TextDecoder();
const toBytes = new TextEncoder();

/** Reads a body from its beginning. Throws BadBytes where it ends too early. */
export class BodyReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  skip(length: number): void {
    if (length < 0 || this.at + length > this.#bytes.length)
      throw new BadBytes(`found a body of ${this.#bytes.length} bytes, wanted ${this.at + length}`);
    this.at += length;
  }

  short(): number {
    this.skip(2);
    return this.#view.getUint16(this.at - 2);
  }

  int(): number {
    this.skip(4);
    return this.#view.getInt32(this.at - 4);
  }

  bytes(length: number): Uint8Array {
    this.skip(length);
    return this.#bytes.subarray(this.at - length, this.at);
  }

  string(): string {
    return text.decode(this.bytes(this.short()));
  }

  /** The first bytes, `max` at most, of a string with four bytes of length, as queries are. */
  longString(max: number): string {
    return text.decode(this.bytes(this.int()).subarray(0, max));
  }

  stringList(): readonly string[] {
    return Array.from({ length: this.short() }, () => this.string());
  }
}

/** A request's own body, after a custom payload. */
export function requestBody({ flags }: Head, whole: Uint8Array): BodyReader {
  const reader = new BodyReader(whole, HEAD_BYTES);
  if ((flags & FLAGS.payload) !== 0) skipPayload(reader);
  return reader;
}

/** A RESULT's own body, after a tracing id, warnings and a custom payload. */
export function resultBody({ flags }: Head, body: Uint8Array): BodyReader {
  const reader = new BodyReader(body);
  if ((flags & FLAGS.tracing) !== 0) reader.skip(16);
  if ((flags & FLAGS.warning) !== 0) reader.stringList();
  if ((flags & FLAGS.payload) !== 0) skipPayload(reader);
  return reader;
}

function skipPayload(reader: BodyReader): void {
  for (let left = reader.short(); left > 0; left -= 1) {
    reader.skip(reader.short());
    reader.skip(Math.max(0, reader.int()));
  }
}

export function shortBytes(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}

export function intBytes(value: number): Uint8Array {
  return Uint8Array.of((value >> 24) & 0xff, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);
}

export function stringBytes(value: string): Uint8Array {
  const bytes = toBytes.encode(value);
  return Uint8Array.of(...shortBytes(bytes.length), ...bytes);
}

export function stringListBytes(values: readonly string[]): Uint8Array {
  return Uint8Array.of(...shortBytes(values.length), ...values.flatMap((value) => [...stringBytes(value)]));
}
