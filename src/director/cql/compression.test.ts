// LZ4's and Snappy's blocks, those of the libraries that Python's driver uses and such as no library makes.
import { describe, expect, test } from "bun:test";
import { intBytes } from "./body.ts";
import { type Compression, lz4, lz4Literals, plainEnvelope } from "./compression.ts";
import { envelope, joined, NOTHING, OPCODES, readHead } from "./envelopes.ts";

const TEXT = `${"SELECT release_version FROM system.local WHERE key='local'; ".repeat(3)}${"a".repeat(300)}${"xyz".repeat(50)}end`;
/** As PyPI's lz4 4.4.5 and python-snappy 0.7.3 compress it. */
const BLOCKS = {
  lz4: "f12553454c4543542072656c656173655f76657273696f6e2046524f4d2073797374656d2e6c6f63616c205748455245206b65793d2711003f273b203c00651f610100ff193f78797a03007e50797a656e64",
  snappy:
    "f904f03c53454c4543542072656c656173655f76657273696f6e2046524f4d2073797374656d2e6c6f63616c205748455245206b65793d276c6f63616c273b2053fe3c00da3c000061fe0100fe0100fe0100fe0100aa01000878797afe0300fe03004a030008656e64",
} as const;

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const lz4Body = (length: number, block: Uint8Array): Uint8Array => joined([intBytes(length), block]);

/** What a compressed body of a QUERY stands for. */
function plain(compression: Compression, body: Uint8Array, maxBytes = 1_000_000): Uint8Array | undefined {
  const whole = envelope({ version: 4, flags: 1, stream: 3, opcode: OPCODES.query }, body, false);
  const found = plainEnvelope(compression, readHead(whole, 0), whole, maxBytes);
  if (found === undefined) return undefined;
  expect(found.head).toEqual({
    version: 4,
    flags: 0,
    stream: 3,
    opcode: OPCODES.query,
    length: found.whole.length - 9,
  });
  return found.whole.slice(9);
}

test("blocks of the libraries are understood", () => {
  expect(Buffer.from(plain("lz4", lz4Body(TEXT.length, hex(BLOCKS.lz4))) ?? NOTHING).toString()).toBe(TEXT);
  expect(Buffer.from(plain("snappy", hex(BLOCKS.snappy)) ?? NOTHING).toString()).toBe(TEXT);
  expect(plain("lz4", lz4Body(0, hex("00")))).toEqual(NOTHING);
  expect(plain("lz4", lz4Body(0, NOTHING))).toEqual(NOTHING);
  expect(plain("snappy", hex("00"))).toEqual(NOTHING);
});

test("literals alone are an LZ4 block, of every length", () => {
  for (const length of [0, 1, 14, 15, 16, 269, 270, 271, 524, 525, 526, 70_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
    expect(Bun.deepEquals(lz4(lz4Literals(bytes), length), bytes)).toBe(true);
  }
});

test("an envelope that is not compressed stays as it is, and one that is needs to have been agreed on", () => {
  const whole = envelope({ version: 4, flags: 0, stream: 3, opcode: OPCODES.query }, NOTHING, false);
  expect(plainEnvelope("lz4", readHead(whole, 0), whole, 0)?.whole).toBe(whole);
  const compressed = envelope({ version: 4, flags: 1, stream: 3, opcode: OPCODES.query }, NOTHING, false);
  expect(() => plainEnvelope(undefined, readHead(compressed, 0), compressed, 0)).toThrow("none was agreed on");
});

test("what would be too long is not unpacked", () => {
  expect(plain("lz4", lz4Body(TEXT.length, hex(BLOCKS.lz4)), TEXT.length - 1)).toBeUndefined();
  expect(plain("snappy", hex(BLOCKS.snappy), TEXT.length - 1)).toBeUndefined();
  expect(plain("lz4", lz4Body(-1, NOTHING))).toBeUndefined();
  expect(plain("snappy", hex("ffffffff0f"))).toBeUndefined();
});

describe.each<[Compression, string, Uint8Array, string]>([
  ["lz4", "declares more than it can hold", lz4Body(1_000_000, hex("0061")), "2 bytes of lz4 that declare 1000000"],
  ["lz4", "declares too much", lz4Body(4, hex("30616263")), "block of 3 bytes, wanted the 4"],
  ["lz4", "declares too little", lz4Body(2, hex("30616263")), "more than the 2 bytes"],
  ["lz4", "copies more than it declares", lz4Body(6, hex("1f61010000")), "more than the 6 bytes"],
  ["lz4", "copies what was not written", lz4Body(6, hex("1061020000")), "copy from 2 bytes back, wanted 1 to 1"],
  ["lz4", "copies from nowhere", lz4Body(6, hex("1061000000")), "copy from 0 bytes back"],
  ["lz4", "ends in its literals", lz4Body(3, hex("3061")), "ends too early"],
  ["lz4", "ends in a length", lz4Body(100, hex("f0ff")), "ends too early"],
  ["lz4", "ends in an offset", lz4Body(6, hex("106101")), "ends too early"],
  ["lz4", "has no length", hex("0000"), "2 bytes of LZ4, wanted at least 4"],
  ["snappy", "declares more than it can hold", hex("ff7f0061"), "2 bytes of snappy that declare 16383"],
  ["snappy", "declares too much", hex("02" + "0061"), "block of 1 bytes, wanted the 2"],
  ["snappy", "declares too little", hex("01" + "046162"), "more than the 1 bytes"],
  ["snappy", "copies what was not written", hex("05" + "0061" + "0102"), "copy from 2 bytes back, wanted 1 to 1"],
  ["snappy", "ends in its literals", hex("08" + "1c61"), "ends too early"],
  ["snappy", "ends in a long length", hex("08" + "f4"), "ends too early"],
  ["snappy", "ends in an offset", hex("05" + "0061" + "1201"), "ends too early"],
  ["snappy", "has no length", hex("ffffffffff01"), "without their length"],
])("a block of %s", (compression, what, body, why) => {
  test(`that ${what} is refused`, () => expect(() => plain(compression, body)).toThrow(why));
});
