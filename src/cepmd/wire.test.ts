// Our own requests and what a recording cannot show; what epmd itself answers is played from one in test/real/cepmd.test.ts.
import { describe, expect, test } from "bun:test";
import { aliveAnswer, type EpmdNode, NO_BYTES, portAnswer, readFrame, readRequest, type Request } from "./wire.ts";

const DEMO: EpmdNode = {
  name: "demo-1",
  port: 40_000,
  nodeType: 77,
  protocol: 0,
  highest: 6,
  lowest: 5,
  extra: NO_BYTES,
};
/** ALIVE2_REQ of DEMO, from its tag on. */
const ALIVE = "x\u009c\u0040M\0\0\u0006\0\u0005\0\u0006demo-1\0\0";

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** What is read of a request's body. */
function read(body: string): Request | undefined {
  return readRequest(bytes(`\0\0${body}`), body.length + 2);
}

function text(answer: Uint8Array): string {
  return String.fromCharCode(...answer);
}

describe("a frame", () => {
  const whole = bytes("\0\u0007zdemo-1");

  test("is read the same whole, byte by byte and in halves", () => {
    for (const size of [whole.length, 1, whole.length / 2]) {
      let before: Buffer | undefined;
      let request: Request | undefined;
      for (let at = 0; at < whole.length; at += Math.ceil(size)) {
        const frame = readFrame(before, whole.subarray(at, at + Math.ceil(size)));
        if (frame.type === "more") before = frame.bytes;
        if (frame.type === "request") request = readRequest(frame.bytes, frame.end);
      }
      expect(request).toEqual({ type: "port", name: "demo-1" });
    }
  });

  test("keeps no more of a flood than one request", () => {
    const begun = readFrame(undefined, bytes("\u000b\u00f1z"));
    expect(begun).toEqual({ type: "more", bytes: bytes("\u000b\u00f1z") });
    const flooded = readFrame(bytes("\u000b\u00f1z"), Buffer.alloc(1_000_000));
    expect(flooded.type === "request" && [flooded.bytes.length, flooded.end]).toEqual([3060, 3059]);
    expect(readFrame(bytes("\0"), Buffer.alloc(1_000_000))).toEqual({ type: "garbage" });
  });
});

describe("our own requests", () => {
  test("ADDRESS names a node, and its answer ends with the host", () => {
    expect(read("Ademo-1")).toEqual({ type: "address", name: "demo-1" });
    expect(text(portAnswer(DEMO))).toBe("w\0\u009c\u0040M\0\0\u0006\0\u0005\0\u0006demo-1\0\0");
    expect(text(portAnswer(DEMO, "agent-1"))).toBe(`${text(portAnswer(DEMO))}\0\u0007agent-1`);
    expect(text(portAnswer(DEMO, ""))).toBe(`${text(portAnswer(DEMO))}\0\0`);
    expect(text(portAnswer(undefined, undefined))).toBe("w\u0001");
  });

  test("NAMES_AT names a host", () => {
    expect(read("Hagent-1")).toEqual({ type: "namesAt", host: "agent-1" });
    expect(read("H")).toBeUndefined();
    expect(read("H\xff")).toBeUndefined();
  });

  test("ALIVE_AGAIN is a registration with the creation that the node has", () => {
    expect(read(ALIVE)).toEqual({ type: "alive", highest: 6, node: DEMO });
    expect(read(`C\u00fe\u00dc\u00ba\u0098${ALIVE.slice(1)}`)).toEqual({
      type: "alive",
      highest: 6,
      node: DEMO,
      creation: 0xfedcba98,
    });
    for (const short of ["C", "C\0\0\0", "C\0\0\0\0", `C\0\0\0\0${ALIVE.slice(1, 10)}`])
      expect(read(short)).toBeUndefined();
  });
});

test("a creation of 32 bits survives its answer", () => {
  expect(text(aliveAnswer(6, 0xfedcba98))).toBe("v\0\u00fe\u00dc\u00ba\u0098");
  expect(text(aliveAnswer(5, 3))).toBe("y\0\0\u0003");
});
