// Frames as a real Riak sent them, in every chunking; and a million that nobody sends.
import { describe, expect, test } from "bun:test";
import { nextRandom } from "../../std/random.ts";
import { doneField, errorFrame, requestOf } from "./codes.ts";
import { FrameReader } from "./frames.ts";

type Seen = { readonly code: number; readonly length: number; readonly flag: boolean };

/** All complete frames in the bytes, fed in pieces of `size`; `fields`: which field to look for, by code. */
function framesIn(bytes: Uint8Array, size: number, fields: (code: number) => number): readonly Seen[] {
  const reader = new FrameReader();
  const seen: Seen[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    const piece = bytes.subarray(start, start + size);
    let at = 0;
    while (at < piece.length) {
      if (reader.between || reader.head === undefined) {
        at = reader.readHead(piece, at);
        if (reader.head === undefined) break;
        reader.want(fields(reader.head.code));
      }
      at = reader.readBody(piece, at);
      if (reader.complete && reader.head !== undefined) seen.push({ ...reader.head, flag: reader.flag });
    }
  }
  return seen;
}

/** List keys of bucket "b", list buckets as a stream and not, index as a stream, and their answers, as recorded. */
const REQUESTS =
  "00000004110a0162" + "000000010f" + "000000030f1001" + "00000014190a01621207246275636b657418002201624001";
const ANSWERS =
  "00000005120a026b32" +
  "00000003121001" +
  "00000004100a0162" +
  "00000003101001" +
  "000000051a0a026b32" +
  "000000031a2001";

describe("frames", () => {
  test("are found with their fields in every chunking", () => {
    const requests = Buffer.from(REQUESTS, "hex");
    const answers = Buffer.from(ANSWERS, "hex");
    const asked = (code: number): number => {
      const { replies } = requestOf(code);
      return replies.type === "stream" ? (replies.ifField ?? 0) : 0;
    };
    for (let size = 1; size <= requests.length; size += 1) {
      expect(framesIn(requests, size, asked)).toEqual([
        { code: 17, length: 4, flag: false },
        { code: 15, length: 1, flag: false },
        { code: 15, length: 3, flag: true },
        { code: 25, length: 20, flag: true },
      ]);
      expect(framesIn(answers, size, doneField).map(({ code, flag }) => [code, flag])).toEqual([
        [18, false],
        [18, true],
        [16, false],
        [16, true],
        [26, false],
        [26, true],
      ]);
    }
  });

  test("of any garbage are read without a crash, and no byte twice", () => {
    let seed = 20_261_122;
    const dice = (sides: number): number => {
      const next = nextRandom(seed);
      seed = next.seed;
      return Math.floor(next.value * sides);
    };
    const good = Buffer.from(REQUESTS + ANSWERS, "hex");
    for (let run = 0; run < 200_000; run += 1) {
      const bytes = Buffer.from(good);
      for (let change = dice(4); change >= 0; change -= 1) bytes[dice(bytes.length)] = dice(256);
      const seen = framesIn(bytes, 1 + dice(bytes.length), () => 1 + dice(8));
      const length = seen.reduce((sum, frame) => sum + 4 + Math.max(1, frame.length), 0);
      if (length > bytes.length) throw new Error(`Found ${length} bytes in ${bytes.length}: seed 20261122, run ${run}`);
    }
  }, 60_000);
});

test("every request is known for what it is", () => {
  expect(requestOf(9)).toEqual({ replies: { type: "one" }, safe: true, hold: "free" });
  expect(requestOf(11)).toEqual({ replies: { type: "one" }, safe: false, hold: "free" });
  expect(requestOf(23)).toEqual({ replies: { type: "stream" }, safe: true, hold: "free" });
  expect([3, 5, 253].map((code) => requestOf(code).hold)).toEqual(["bound", "bound", "bound"]);
  expect(requestOf(255).hold).toBe("raw");
  expect(requestOf(240)).toEqual({ replies: { type: "one" }, safe: false, hold: "bound" });
});

test("an error is a frame with the text, cut to what one byte of length can say", () => {
  const text = Buffer.from("No backend: why");
  expect(Buffer.from(errorFrame("No backend: why")).toString("hex")).toBe(`00000014000a0f${text.toString("hex")}1000`);
  const long = errorFrame("y".repeat(500));
  expect([long.length, long[3], long[6]]).toEqual([4 + 1 + 2 + 127 + 2, 132, 127]);
});
