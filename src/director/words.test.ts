// Probes in each protocol, bytes as a real Riak and a real Cassandra send them.
import { expect, test } from "bun:test";
import { probeBytes, probeVerdict, type Verdict } from "./words.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const latin = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** Verdicts on an answer as it grows byte by byte: all but the last must be "more". */
function verdictOf(protocol: "http" | "pb" | "cql", answer: Uint8Array): Verdict {
  for (let length = 0; length < answer.length; length += 1) {
    const verdict = probeVerdict(protocol, answer.subarray(0, length));
    if (verdict.type !== "more") return verdict;
  }
  return probeVerdict(protocol, answer);
}

test("a probe of protocol buffers is a ping", () => {
  expect(hex(probeBytes("pb", "h:1"))).toBe("0000000101");
  expect(verdictOf("pb", latin("\0\0\0\x01\x02"))).toEqual({ type: "good" });
  const error = "ping: found code 0, wanted 2";
  expect(verdictOf("pb", latin("\0\0\0\x05\0\n\x01x\x10\0"))).toEqual({ type: "bad", error });
});

test("a probe of HTTP is GET /ping", () => {
  expect(Buffer.from(probeBytes("http", "h:1")).toString()).toBe(
    "GET /ping HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n",
  );
  expect(verdictOf("http", latin("HTTP/1.1 200 OK\r\n"))).toEqual({ type: "good" });
  const missing = "GET /ping: found status 404, wanted 200";
  expect(verdictOf("http", latin("HTTP/1.1 404 Object Not Found\r\n"))).toEqual({ type: "bad", error: missing });
  const other = "GET /ping: found status none, wanted 200";
  expect(verdictOf("http", latin("SSH-2.0-OpenSSH\r\n"))).toEqual({ type: "bad", error: other });
  const endless = "GET /ping: no HTTP answer";
  expect(verdictOf("http", latin("x".repeat(100)))).toEqual({ type: "bad", error: endless });
});

test("a probe of CQL is OPTIONS", () => {
  expect(hex(probeBytes("cql", "h:1"))).toBe("040000000500000000");
  expect(verdictOf("cql", Buffer.from("840000000600000002", "hex"))).toEqual({ type: "good" });
  const error = "OPTIONS: found opcode 0, wanted 6";
  expect(verdictOf("cql", Buffer.from("840000000000000002", "hex"))).toEqual({ type: "bad", error });
});
