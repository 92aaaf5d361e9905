// How a node is doing, by what its probes answered.
import { describe, expect, test } from "bun:test";
import type { Answer } from "../database.ts";
import { healthOf } from "./health.ts";

const PING: Answer = { status: 200, text: "OK\n" };
const UP: Answer = { status: 0, text: "riak_kv is not up: []\nriak_kv is up\n" };
const NOT_FOUND: Answer = { status: 404, text: "not found\n" };
const PONG: Answer = { status: 0, text: "0000000102" };
const REFUSED: Answer = { error: "connection refused" };

const said = (answers: readonly Answer[], serving: boolean): string => {
  const { phase, detail } = healthOf(answers, serving);
  return `${phase}: ${detail}`;
};

describe("a node that has not served yet", () => {
  test("serves once its service is up, a key is looked for in vain, and both ports answer", () => {
    expect(said([PING, UP, NOT_FOUND, PONG], false)).toBe("serving: riak_kv is up, HTTP and protocol buffers answer");
    expect(healthOf([PING, UP, { status: 200, text: "x" }, PONG], false).phase).toBe("serving");
  });

  test("is starting as long as anything of that is missing", () => {
    expect(said([REFUSED], false)).toBe("starting: HTTP ping: connection refused");
    expect(said([PING, { error: "no answer within 20000 ms" }], false)).toBe(
      "starting: service riak_kv: no answer within 20000 ms",
    );
    expect(said([PING, { status: 0, text: "riak_kv is not up: [riak_pipe]\n" }, NOT_FOUND, PONG], false)).toBe(
      'starting: service riak_kv: found "riak_kv is not up: [riak_pipe]"',
    );
    // The page of a web server that has no such resource yet.
    expect(said([PING, UP, { status: 404, text: "<HTML>…</HTML>" }, PONG], false)).toBe(
      'starting: a read of a key: found 404 "<HTML>…</HTML>"',
    );
    expect(said([PING, UP, { status: 503, text: "Error:\nall_nodes_down\n" }, PONG], false)).toBe(
      'starting: a read of a key: found 503 "all_nodes_down"',
    );
  });
});

describe("a node that has served", () => {
  test("serves while both ports answer pings", () => {
    expect(healthOf([PING, PONG], true).phase).toBe("serving");
  });

  test("fails when one of them does not", () => {
    expect(said([{ status: 503, text: "" }, PONG], true)).toBe('failing: HTTP ping: found 503 ""');
    expect(said([PING, REFUSED], true)).toBe("failing: protocol buffers ping: connection refused");
    expect(said([PING, { status: 0, text: "0000000e00" }], true)).toBe(
      'failing: protocol buffers ping: found "0000000e00"',
    );
  });
});
