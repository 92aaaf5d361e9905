// Undoes the compressions of Cassandra's native protocol, LZ4's blocks and Snappy's, so that what a driver and its node say in
// them can be read. Nothing that was declared is believed before it is bounded, and nothing is written or read past its end.
import { BadBytes, FLAGS, FRAMED_SINCE, HEAD_BYTES, type Head, envelope, joined } from "./envelopes.ts";

export const COMPRESSIONS = ["lz4", "snappy"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** Of one byte of a block at most so many come: in LZ4 a byte of 255 adds as many to a length, in Snappy three bytes copy 64. */
const RATIO_MAX = { lz4: 255, snappy: 64 } as const satisfies Record<Compression, number>;
const LZ4_MATCH_MIN = 4;
/** Shorter pieces are quicker byte by byte. */
const SHORT_BYTES = 16;

export function isCompression(name: string): name is Compression {
  return COMPRESSIONS.some((known) => known === name);
}

/** An envelope as it is without compression. */
export type Plain = { readonly head: Head; readonly whole: Uint8Array };

/**
 * An envelope without compression: as it is if its body has none, as in versions since 5, where segments are compressed instead.
 * Undefined: it would be longer than `maxBytes`. Throws BadBytes where it is not what it should be.
 */
export function plainEnvelope(
  compression: Compression | undefined,
  head: Head,
  whole: Uint8Array,
  maxBytes: number,
): Plain | undefined {
  if (head.version >= FRAMED_SINCE || (head.flags & FLAGS.compressed) === 0) return { head, whole };
  if (compression === undefined) throw new BadBytes("found a compressed envelope, wanted none: none was agreed on");
  const body = whole.subarray(HEAD_BYTES);
  const { length, block } = compression === "lz4" ? lz4Length(body) : snappyLength(body);
  if (length > maxBytes) return undefined;
  const plain = compression === "lz4" ? lz4(block, length) : snappy(block, length);
  const plainHead = { ...head, flags: head.flags & ~FLAGS.compressed, length };
  const isAnswer = ((whole[0] ?? 0) & 0x80) !== 0;
  return { head: plainHead, whole: envelope(plainHead, plain, isAnswer) };
}

type Declared = { readonly length: number; readonly block: Uint8Array };

/** In envelopes the length comes before LZ4's block, in four bytes. */
function lz4Length(body: Uint8Array): Declared {
  if (body.length < 4) throw new BadBytes(`found ${body.length} bytes of LZ4, wanted at least 4`);
  const length = new DataView(body.buffer, body.byteOffset).getUint32(0);
  return { length, block: body.subarray(4) };
}

/** Seven bits a byte, the lowest first. */
function snappyLength(body: Uint8Array): Declared {
  let length = 0;
  for (let at = 0; at < 5; at += 1) {
    const byte = body[at];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return { length, block: body.subarray(at + 1) };
  }
  throw new BadBytes("found bytes of Snappy without their length");
}

/** Reads a block and writes what it stands for, within the bounds of both. */
class Unpacking {
  readonly #block: Uint8Array;
  readonly #out: Uint8Array;
  #at = 0;
  #to = 0;

  constructor(compression: Compression, block: Uint8Array, length: number) {
    if (length > block.length * RATIO_MAX[compression])
      throw new BadBytes(`found ${block.length} bytes of ${compression} that declare ${length}`);
    this.#block = block;
    this.#out = new Uint8Array(length);
  }

  get more(): boolean {
    return this.#at < this.#block.length;
  }

  /** A number of so many bytes, the lowest first. */
  number(bytes: number): number {
    if (this.#at + bytes > this.#block.length) throw new BadBytes("found a compressed block that ends too early");
    let value = 0;
    for (let index = 0; index < bytes; index += 1) value += (this.#block[this.#at + index] ?? 0) * 2 ** (8 * index);
    this.#at += bytes;
    return value;
  }

  /** The next bytes of the block as they are. */
  literals(length: number): void {
    if (this.#at + length > this.#block.length) throw new BadBytes("found a compressed block that ends too early");
    this.#room(length);
    if (length > SHORT_BYTES) this.#out.set(this.#block.subarray(this.#at, this.#at + length), this.#to);
    else
      for (let index = 0; index < length; index += 1) this.#out[this.#to + index] = this.#block[this.#at + index] ?? 0;
    this.#at += length;
    this.#to += length;
  }

  /** What was written `offset` bytes before, once more; it may go on into what it writes itself. */
  copy(offset: number, length: number): void {
    if (offset === 0 || offset > this.#to)
      throw new BadBytes(`found a copy from ${offset} bytes back, wanted 1 to ${this.#to}`);
    this.#room(length);
    const from = this.#to - offset;
    if (length > SHORT_BYTES && offset >= length) this.#out.copyWithin(this.#to, from, from + length);
    else for (let index = 0; index < length; index += 1) this.#out[this.#to + index] = this.#out[from + index] ?? 0;
    this.#to += length;
  }

  #room(length: number): void {
    if (this.#to + length > this.#out.length)
      throw new BadBytes(`found a compressed block of more than the ${this.#out.length} bytes that it declares`);
  }

  get done(): Uint8Array {
    if (this.#to === this.#out.length) return this.#out;
    throw new BadBytes(
      `found a compressed block of ${this.#to} bytes, wanted the ${this.#out.length} that it declares`,
    );
  }
}

/** The `length` bytes that an LZ4 block stands for. Throws BadBytes. */
export function lz4(block: Uint8Array, length: number): Uint8Array {
  const unpacking = new Unpacking("lz4", block, length);
  const long = (short: number): number => {
    let all = short;
    for (let more = short === 15 ? 255 : 0; more === 255; all += more) more = unpacking.number(1);
    return all;
  };
  while (unpacking.more) {
    const token = unpacking.number(1);
    unpacking.literals(long(token >> 4));
    // The last sequence has nothing but literals.
    if (!unpacking.more) break;
    const offset = unpacking.number(2);
    unpacking.copy(offset, long(token & 0x0f) + LZ4_MATCH_MIN);
  }
  return unpacking.done;
}

/** The `length` bytes that Snappy's elements stand for. Throws BadBytes. */
function snappy(block: Uint8Array, length: number): Uint8Array {
  const unpacking = new Unpacking("snappy", block, length);
  while (unpacking.more) {
    const tag = unpacking.number(1);
    const upper = tag >> 2;
    switch (tag & 3) {
      case 0:
        unpacking.literals((upper < 60 ? upper : unpacking.number(upper - 59)) + 1);
        break;
      case 1:
        unpacking.copy(((upper >> 3) << 8) + unpacking.number(1), (upper & 7) + 4);
        break;
      default:
        unpacking.copy(unpacking.number((tag & 3) === 2 ? 2 : 4), upper + 1);
    }
  }
  return unpacking.done;
}

/** An LZ4 block of literals alone: what there is of our own is little, and not worth the time that a search takes. */
export function lz4Literals(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 15) return joined([Uint8Array.of(bytes.length << 4), bytes]);
  const rest = bytes.length - 15;
  const lengths = new Uint8Array(2 + Math.floor(rest / 255)).fill(255);
  lengths[0] = 15 << 4;
  lengths[lengths.length - 1] = rest % 255;
  return joined([lengths, bytes]);
}
