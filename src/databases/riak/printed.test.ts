// The readers of what Riak prints, against what a real Riak KV 3.2.3 printed (recorded/).
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  isNoAnswer,
  readAaeStatus,
  readBucketTypes,
  readClusterStatus,
  readMemberStatus,
  readPlan,
  readRingReady,
  readTransfers,
  said,
} from "./printed.ts";

/** What `command` printed each time in that recording. */
function printed(file: string, command: string): readonly string[] {
  const text = readFileSync(new URL(`recorded/${file}.txt`, import.meta.url), "utf8");
  const runs = text.split(/^\$ /m).slice(1);
  return runs
    .filter((run) => run.startsWith(`${command}\n`))
    .map((run) => run.slice(command.length + 1).replace(/--- exit \d+, \d+ ms\n*$/, ""));
}

const [R1, R2, R3, R4] = ["riak1@127.0.0.1", "riak2@127.0.0.1", "riak3@127.0.0.1", "riak4@127.0.0.1"] as const;

describe("member-status", () => {
  test("shows who owns how much, and what is to move", () => {
    expect(printed("2-join", "riak admin member-status").map(readMemberStatus)).toEqual([
      {
        nodes: [
          { id: R1, status: "valid", ring_percentage: 50, pending_percentage: 37.5 },
          { id: R2, status: "valid", ring_percentage: 25, pending_percentage: 31.3 },
          { id: R3, status: "valid", ring_percentage: 25, pending_percentage: 31.3 },
        ],
        valid: 3,
        leaving: 0,
        exiting: 0,
        joining: 0,
        down: 0,
      },
      {
        nodes: [
          { id: R1, status: "valid", ring_percentage: 37.5, pending_percentage: null },
          { id: R2, status: "valid", ring_percentage: 31.3, pending_percentage: null },
          { id: R3, status: "valid", ring_percentage: 31.3, pending_percentage: null },
        ],
        valid: 3,
        leaving: 0,
        exiting: 0,
        joining: 0,
        down: 0,
      },
    ]);
    expect(readMemberStatus(printed("6-leave", "riak admin member-status")[0] ?? "")?.nodes[0]).toEqual({
      id: R4,
      status: "leaving",
      ring_percentage: 31.3,
      pending_percentage: 0,
    });
  });

  test("is nothing when the node did not answer", () => {
    const [text = ""] = printed("5-dead-node", "riak admin member-status").filter(isNoAnswer);
    expect([readMemberStatus(text), said(text)]).toEqual([undefined, `Node ${R2} is not responding to pings`]);
  });

  test("is read in the quotes of older releases too", () => {
    const [text = ""] = printed("1-single", "riak admin member-status");
    expect(readMemberStatus(text.replace(R1, `'${R1}'`))).toEqual(readMemberStatus(text));
  });
});

test("ringready, over several lines, with a node down, and of two minds", () => {
  expect(printed("2-join", "riak admin ringready").map(readRingReady)).toEqual([
    { ready: true, nodes: [R1, R2, R3] },
    { ready: true, nodes: [R1, R2, R3] },
  ]);
  expect(printed("5-dead-node", "riak admin ringready").map(readRingReady)).toEqual([
    { ready: false, error: { nodes_down: [R2] } },
    { ready: false, error: { nodes_down: [R2] } },
    { ready: true, nodes: [R1, R2, R4] },
  ]);
  expect(readRingReady(`FALSE Node '${R1}' and '${R2}' list different partition owners\nerror\n`)).toEqual({
    ready: false,
    error: { different_owners: [R1, R2] },
  });
});

describe("transfers", () => {
  const NONE = { down: [], waiting_to_handoff: [], stopped: [], active: [] };

  test("that wait, and of a node that is down", () => {
    expect(printed("1-single", "riak admin transfers").map(readTransfers)).toEqual([NONE]);
    expect(printed("5-dead-node", "riak admin transfers").map(readTransfers)).toEqual([{ ...NONE, down: [R2] }]);
    expect(printed("6-leave", "riak admin transfers").map(readTransfers)).toEqual([
      {
        ...NONE,
        waiting_to_handoff: [
          { node: R2, partitions: 3 },
          { node: R1, partitions: 1 },
        ],
      },
    ]);
  });

  // Written after the words and columns in Riak's own source: none was under way while the recordings were made.
  test("that run", () => {
    const text = `'${R1}' does not have 2 primary partitions running

Active Transfers:

transfer type: ownership_transfer
vnode type: riak_kv_vnode
partition: 1370157784997721485815954530671515330927436759040
started: 2026-11-22 17:00:01 [2.04 s ago]
last update: 2026-11-22 17:00:03 [300.00 us ago]
total size: 1024 bytes
objects transferred: 12

                          6 Objs/s
     ${R1}      =======>      ${R2}
     |=========================                  |  59%
                          1.21 KB/s

ok
`;
    expect(readTransfers(text)).toEqual({
      ...NONE,
      stopped: [{ node: R1, partitions: 2 }],
      active: [
        {
          "transfer type": "ownership_transfer",
          "vnode type": "riak_kv_vnode",
          partition: "1370157784997721485815954530671515330927436759040",
          started: "2026-11-22 17:00:01 [2.04 s ago]",
          "last update": "2026-11-22 17:00:03 [300.00 us ago]",
          "total size": "1024 bytes",
          "objects transferred": "12",
          "source node": R1,
          "target node": R2,
          done: "59%",
        },
      ],
    });
  });
});

test("aae-status has its three tables", () => {
  const status = readAaeStatus(printed("2-join", "riak admin aae-status")[0] ?? "");
  const last = "1370157784997721485815954530671515330927436759040";
  expect(status?.exchanges).toHaveLength(6);
  expect(status?.exchanges[0]).toEqual({ index: "0", last: "36.9 s", all: "1.9 min" });
  expect(status?.exchanges.at(-1)).toEqual({ index: last, last: "36.9 s", all: null });
  expect(status?.entropy_trees.at(-1)).toEqual({ index: last, built: "2.3 min" });
  expect(status?.keys_repaired).toEqual([
    { index: "0", last: 0, mean: 0, max: 0 },
    { index: last, last: 0, mean: 0, max: 0 },
  ]);
});

test("cluster status names the claimant and what is unexpected", () => {
  const [dead, marked, back] = printed("5-dead-node", "riak admin cluster status").map(readClusterStatus);
  expect(dead).toEqual({
    ring_ready: true,
    nodes: [
      { node: R1, claimant: true, status: "valid", avail: "up", ring: 37.5, pending: null },
      { node: R2, claimant: false, status: "valid", avail: "down!", ring: 31.3, pending: null },
      { node: R4, claimant: false, status: "valid", avail: "up", ring: 31.3, pending: null },
    ],
  });
  expect(marked?.nodes[0]).toEqual({
    node: R2,
    claimant: false,
    status: "down",
    avail: "down",
    ring: 31.3,
    pending: null,
  });
  expect(back?.nodes[0]?.avail).toBe("up!");
  const [moving] = printed("6-leave", "riak admin cluster status").map(readClusterStatus);
  expect([moving?.ring_ready, moving?.nodes[0]?.pending]).toEqual([false, 0]);
});

test("a plan shows what is staged", () => {
  const plans = ["2-join", "4-force-replace", "6-leave"].flatMap((file) => printed(file, "riak admin cluster plan"));
  expect(plans.map(readPlan)).toEqual([
    [{ action: "join", nodes: [R2] }],
    [
      { action: "join", nodes: [R2] },
      { action: "join", nodes: [R3] },
    ],
    [
      { action: "force-replace", nodes: [R3, R4] },
      { action: "join", nodes: [R4] },
    ],
    [{ action: "leave", nodes: [R4] }],
    [],
    [{ action: "force-remove", nodes: [R2] }],
  ]);
  expect(
    readPlan("Cannot plan until cluster state has converged.\nCheck 'Ring Ready' in 'riak-admin ring_status'\n"),
  ).toBe(undefined);
});

test("bucket types, active or not", () => {
  expect(readBucketTypes(printed("3-bucket-types", "riak admin bucket-type list").at(-1) ?? "")).toEqual([
    { id: "default", active: true },
    { id: "t1", active: true },
  ]);
  expect(readBucketTypes("default (active)\nt2 (not active)\nok\n")?.[1]).toEqual({ id: "t2", active: false });
});

test("the meaning of a message is its text without its last word", () => {
  const [self = ""] = printed("2-join", `riak admin cluster join ${R2}`);
  expect(said(self)).toBe("Failed: This node cannot join itself in a cluster");
  const [unknown = ""] = printed("3-bucket-types", "riak admin bucket-type activate nosuch");
  expect(said(unknown)).toBe("nosuch is not an existing bucket type");
});
