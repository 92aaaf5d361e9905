// RecordIO streams in three chunkings each, well and ill formed.
import { describe, expect, test } from "bun:test";
import { RecordReader } from "./recordio.ts";

const LIMIT = 20;

/** Stream, and its frames or the error that it ends with. */
const CASES: readonly (readonly [name: string, stream: string, outcome: readonly string[] | string])[] = [
  ["nothing", "", []],
  ["one frame", "5\nhello", ["hello"]],
  ["several frames", "5\nhello1\n!12\nhello, world", ["hello", "!", "hello, world"]],
  ["an empty frame", "0\n3\nabc", ["", "abc"]],
  ["an empty frame at the end", "3\nabc0\n", ["abc", ""]],
  ["digits and newlines inside a frame", "6\n12\n3\n42\nok", ["12\n3\n4", "ok"]],
  ["zeros before the length", "0003\nabc", ["abc"]],
  ["a frame of the longest length", `20\n${"x".repeat(20)}`, ["x".repeat(20)]],
  ["a frame above the limit", "21\n", "found a frame of 21 bytes, wanted at most 20"],
  ["a length that no frame can have", "99999999999\n", 'found "9" in a frame\'s length after 10 digits'],
  ["no length", "\nabc", "found byte 0x0a in a frame's length after 0 digits"],
  ["a word for a length", "five\nhello", 'found "f" in a frame\'s length after 0 digits'],
  ["a sign", "-1\n", 'found "-" in a frame\'s length after 0 digits'],
  ["a carriage return", "5\r\nhello", "found byte 0x0d in a frame's length after 1 digits"],
  ["a chunk too much", "5\nhello!", 'found "!" in a frame\'s length after 0 digits'],
  ["HTML", "<html>", 'found "<" in a frame\'s length after 0 digits'],
];

const CHUNKINGS: readonly (readonly [name: string, cut: (stream: Uint8Array) => readonly Uint8Array[]])[] = [
  ["whole", (stream) => [stream]],
  ["byte by byte", (stream) => Array.from(stream, (_, i) => stream.subarray(i, i + 1))],
  ["in halves", (stream) => [stream.subarray(0, stream.length / 2), stream.subarray(stream.length / 2)]],
];

for (const [chunking, cut] of CHUNKINGS) {
  describe(`a stream that arrives ${chunking}`, () => {
    test.each(CASES)("with %s", (_, stream, outcome) => {
      const reader = new RecordReader(LIMIT);
      const read = (): readonly string[] =>
        cut(Buffer.from(stream)).flatMap((chunk) => reader.push(chunk).map((frame) => Buffer.from(frame).toString()));
      if (typeof outcome === "string") expect(read).toThrow(outcome);
      else expect([read(), reader.idle]).toEqual([outcome, true]);
    });
  });
}

test("A stream that ends within a length or a frame does not end clean", () => {
  const cut = ["5", "5\n", "5\nhell", "5\nhello3"].map((stream) => {
    const reader = new RecordReader(LIMIT);
    reader.push(Buffer.from(stream));
    return reader.idle;
  });
  expect(cut).toEqual([false, false, false, false]);
});
