// Segments of protocol version 5: a head of three bytes (17 bits of length, a bit that says whether whole envelopes are inside)
// with CRC-24, a payload, CRC-32. With compression the head has five bytes: after the payload's length comes 17 bits of what it
// would be without, 0 where it is not compressed.
import { lz4, lz4Literals } from "./compression.ts";
import { BadBytes, HEAD_BYTES, type Head, Held, joined, NOTHING, type Reader, readHead } from "./envelopes.ts";

const CRC24_BYTES = 3;
const SEGMENT_TAIL_BYTES = 4;
export const PAYLOAD_MAX_BYTES = 0x1ffff;
const LENGTH_VALUES = 2 ** 17;
/** As much of our own becomes no longer than a payload may be. */
const LITERALS_MAX_BYTES = 130_000;

function headBytes(compressed: boolean): number {
  return (compressed ? 5 : 3) + CRC24_BYTES;
}

/** Of the head's bytes before it. */
function crc24(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0x875060;
  for (let at = from; at < to; at += 1) {
    crc ^= (bytes[at] ?? 0) << 16;
    for (let bit = 0; bit < 8; bit += 1) {
      crc <<= 1;
      if ((crc & 0x1000000) !== 0) crc ^= 0x1974f0b;
    }
  }
  return crc;
}

const CRC32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320;
  return crc;
});

function crc32(bytes: Uint8Array, before: number): number {
  let crc = before;
  for (const byte of bytes) crc = (CRC32[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc;
}

/** The CRC-32 of a payload starts from these bytes. */
const CRC32_START = crc32(Uint8Array.of(0xfa, 0x2d, 0x55, 0xca), 0xffffffff);

/** One segment. With compression it always is compressed: Python's driver misreads one that says that it is not, in pieces. */
function segment(payload: Uint8Array, selfContained: boolean, compressed: boolean): Uint8Array {
  const inside = compressed ? lz4Literals(payload) : payload;
  const [before, flag] = compressed ? [payload.length * LENGTH_VALUES, LENGTH_VALUES ** 2] : [0, LENGTH_VALUES];
  let head = inside.length + before + (selfContained ? flag : 0);
  const headLength = headBytes(compressed);
  const bytes = new Uint8Array(headLength + inside.length + SEGMENT_TAIL_BYTES);
  for (let i = 0; i < headLength - CRC24_BYTES; i += 1) {
    bytes[i] = head % 256;
    head = Math.floor(head / 256);
  }
  const crc = crc24(bytes, 0, headLength - CRC24_BYTES);
  for (let i = 0; i < CRC24_BYTES; i += 1) bytes[headLength - CRC24_BYTES + i] = (crc >>> (8 * i)) & 0xff;
  bytes.set(inside, headLength);
  new DataView(bytes.buffer).setUint32(headLength + inside.length, payloadCrc(inside), true);
  return bytes;
}

/** Segments that carry these whole envelopes. */
export function segmentsOf(envelopes: Uint8Array, compressed = false): Uint8Array {
  const max = compressed ? LITERALS_MAX_BYTES : PAYLOAD_MAX_BYTES;
  if (envelopes.length <= max) return segment(envelopes, true, compressed);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < envelopes.length;) {
    const whole = envelopes.subarray(at, at + HEAD_BYTES + readHead(envelopes, at).length);
    at += whole.length;
    if (whole.length <= max) parts.push(segment(whole, true, compressed));
    else
      for (let from = 0; from < whole.length; from += max)
        parts.push(segment(whole.subarray(from, from + max), false, compressed));
  }
  return joined(parts);
}

/** One direction of segments; the envelopes inside go by the reader. */
export class Segments {
  readonly #reader: Omit<Reader, "over">;
  readonly #held = new Held();
  /** Bytes of a segment that passes, still to come. */
  #left = 0;
  /** Bytes of an envelope over several segments that are still to come; its head and its parts if it is wanted. */
  #envelopeLeft = 0;
  #wanted: Head | undefined;
  readonly #parts = new Held();
  /** A segment of our own that waits for the end of what passes. */
  #own: Uint8Array = NOTHING;
  /** They have heads for compression, by LZ4. */
  compressed = false;

  constructor(reader: Omit<Reader, "over">) {
    this.#reader = reader;
  }

  /** Whether what went on so far ends with the end of an envelope. */
  get between(): boolean {
    return this.#left === 0 && (this.#envelopeLeft === 0 || this.#wanted !== undefined);
  }

  /** Puts an envelope between those that pass. Returns what can be sent at once; the rest comes with `take`. */
  insert(own: Uint8Array): Uint8Array {
    const bytes = segmentsOf(own, this.compressed);
    if (this.between) return bytes;
    this.#own = joined([this.#own, bytes]);
    return NOTHING;
  }

  /** What goes on of these bytes, in order. Throws BadBytes. */
  take(input: Uint8Array): readonly Uint8Array[] {
    const bytes = this.#held.with(input);
    if (bytes === undefined) return [];
    const forward: Uint8Array[] = [];
    let at = Math.min(this.#left, bytes.length);
    this.#left -= at;
    let from = 0;
    const headLength = headBytes(this.compressed);
    let needed = headLength;
    while (bytes.length - at >= headLength) {
      const { length, plainLength, selfContained } = readSegmentHead(bytes, at, this.compressed);
      const end = at + headLength + length + SEGMENT_TAIL_BYTES;
      const begins = !selfContained && this.#envelopeLeft === 0;
      // Whole envelopes, and the beginning of a longer one, are looked at when they are complete.
      const passes = !selfContained && !begins && this.#wanted === undefined;
      if (end > bytes.length && !passes) {
        needed = end - at;
        break;
      }
      const payload = bytes.subarray(at + headLength, Math.min(bytes.length, end - SEGMENT_TAIL_BYTES));
      const plain = plainLength === 0 || passes ? payload : lz4(payload, plainLength);
      const changed = selfContained ? this.#whole(plain) : this.#part(plain, plainLength || length, begins);
      if (changed !== undefined) {
        // What is made anew gets a right checksum: what it is made of must have had one.
        checkPayload(payload, bytes, end);
        if (at > from) forward.push(bytes.subarray(from, at));
        if (changed.length > 0) forward.push(changed);
        from = end;
      }
      this.#left = Math.max(0, end - bytes.length);
      at = Math.min(end, bytes.length);
    }
    if (at > from) forward.push(from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at));
    if (at < bytes.length) this.#held.keep(bytes.subarray(at), needed);
    if (this.between && this.#own.length > 0) {
      forward.push(this.#own);
      this.#own = NOTHING;
    }
    return forward;
  }

  /** Segments in the place of one with whole envelopes; undefined: it may pass as it is. */
  #whole(payload: Uint8Array): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    let same = true;
    for (let at = 0; at < payload.length;) {
      if (payload.length - at < HEAD_BYTES) throw new BadBytes("found a piece of an envelope, wanted whole ones");
      const head = readHead(payload, at);
      const whole = payload.subarray(at, at + HEAD_BYTES + head.length);
      at += HEAD_BYTES + head.length;
      if (at > payload.length) throw new BadBytes("found a piece of an envelope, wanted whole ones");
      const changed = this.#reader.begins(head) ? this.#reader.rewrite(head, whole) : whole;
      same &&= changed === whole;
      parts.push(changed);
    }
    return same ? undefined : this.#segmented(parts);
  }

  /** A part of a longer envelope; undefined: it may pass. Nothing of a wanted one goes on until it is complete. */
  #part(payload: Uint8Array, length: number, begins: boolean): Uint8Array | undefined {
    if (begins) {
      if (payload.length < HEAD_BYTES) throw new BadBytes("found an envelope without its head");
      const head = readHead(payload, 0);
      this.#envelopeLeft = HEAD_BYTES + head.length;
      this.#wanted = this.#reader.begins(head) ? head : undefined;
    }
    this.#envelopeLeft = Math.max(0, this.#envelopeLeft - length);
    const head = this.#wanted;
    if (head === undefined) return undefined;
    const all = HEAD_BYTES + head.length;
    if (begins && this.#envelopeLeft > 0) this.#parts.keep(payload, all);
    const whole = begins ? payload : this.#parts.with(payload);
    if (this.#envelopeLeft > 0 || whole === undefined) return NOTHING;
    this.#wanted = undefined;
    if (whole.length !== all) throw new BadBytes("found an envelope that goes on too long");
    return this.#segmented([this.#reader.rewrite(head, whole)]);
  }

  #segmented(envelopes: readonly Uint8Array[]): Uint8Array {
    const all = joined(envelopes);
    return all.length === 0 ? NOTHING : segmentsOf(all, this.compressed);
  }
}

function checkPayload(payload: Uint8Array, bytes: Uint8Array, end: number): void {
  const found = new DataView(bytes.buffer, bytes.byteOffset).getUint32(end - SEGMENT_TAIL_BYTES, true);
  if (found !== payloadCrc(payload)) throw new BadBytes("found a segment's payload with a wrong checksum");
}

function payloadCrc(payload: Uint8Array): number {
  return (crc32(payload, CRC32_START) ^ 0xffffffff) >>> 0;
}

type SegmentHead = {
  /** Of the payload as it is. */
  readonly length: number;
  /** Without compression; 0: it has none. */
  readonly plainLength: number;
  readonly selfContained: boolean;
};

function readSegmentHead(bytes: Uint8Array, at: number, compressed: boolean): SegmentHead {
  const end = at + headBytes(compressed) - CRC24_BYTES;
  const number = (from: number): number =>
    (bytes[from] ?? 0) | ((bytes[from + 1] ?? 0) << 8) | ((bytes[from + 2] ?? 0) << 16);
  if (crc24(bytes, at, end) !== number(end)) throw new BadBytes("found a segment's head with a wrong checksum");
  const low = number(at);
  const length = low % LENGTH_VALUES;
  if (!compressed) return { length, plainLength: 0, selfContained: low >= LENGTH_VALUES };
  const after = Math.floor((low + (bytes[at + 3] ?? 0) * 2 ** 24 + (bytes[at + 4] ?? 0) * 2 ** 32) / LENGTH_VALUES);
  return { length, plainLength: after % LENGTH_VALUES, selfContained: (after & LENGTH_VALUES) !== 0 };
}
