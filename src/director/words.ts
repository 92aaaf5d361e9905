// What a listener asks its backends to see whether they serve, and what their answers mean.
import { ownAnswer } from "./http/heads.ts";
import { errorFrame } from "./riak/codes.ts";
import type { Protocol } from "./state.ts";

/** "more": the answer is not complete yet. */
export type Verdict =
  { readonly type: "good" } | { readonly type: "more" } | { readonly type: "bad"; readonly error: string };

const text = new TextEncoder();
const GOOD: Verdict = { type: "good" };
const MORE: Verdict = { type: "more" };

/** Ping and its answer: length 1, codes 1 and 2. */
const PB_PING = Uint8Array.of(0, 0, 0, 1, 1);
const PB_PONG = 2;
/** OPTIONS in protocol version 4, which every Cassandra since 2.2 speaks, and the opcode of its answer. */
const CQL_OPTIONS = Uint8Array.of(4, 0, 0, 0, 5, 0, 0, 0, 0);
const CQL_SUPPORTED = 6;
const CQL_HEADER_BYTES = 9;

/** The bytes of a probe. */
export function probeBytes(protocol: Protocol, address: string): Uint8Array {
  switch (protocol) {
    case "http":
      return text.encode(`GET /ping HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\n\r\n`);
    case "pb":
      return PB_PING;
    case "cql":
      return CQL_OPTIONS;
  }
}

/** Reads what has come of an answer so far. */
export function probeVerdict(protocol: Protocol, answer: Uint8Array): Verdict {
  switch (protocol) {
    case "http": {
      const start = new TextDecoder("latin1").decode(answer.subarray(0, 64));
      if (!start.includes("\n")) return answer.length < 64 ? MORE : { type: "bad", error: "GET /ping: no HTTP answer" };
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(start)?.[1];
      if (status === "200") return GOOD;
      return { type: "bad", error: `GET /ping: found status ${status ?? "none"}, wanted 200` };
    }
    case "pb":
      if (answer.length < 5) return MORE;
      if (answer[4] === PB_PONG) return GOOD;
      return { type: "bad", error: `ping: found code ${answer[4]}, wanted ${PB_PONG}` };
    case "cql":
      if (answer.length < CQL_HEADER_BYTES) return MORE;
      if (answer[4] === CQL_SUPPORTED) return GOOD;
      return { type: "bad", error: `OPTIONS: found opcode ${answer[4]}, wanted ${CQL_SUPPORTED}` };
  }
}

/** What a client is told that gets no backend, in its protocol; CQL has no words for it before the client has spoken. */
export function refusalBytes(protocol: Protocol, detail: string): Uint8Array {
  switch (protocol) {
    case "http":
      return ownAnswer(503, `No backend: ${detail}`);
    case "pb":
      return errorFrame(`No backend: ${detail}`);
    case "cql":
      return new Uint8Array();
  }
}
