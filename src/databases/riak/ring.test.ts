// Who starts when, and the steps of every change.
import { describe, expect, test } from "bun:test";
import type { ClusterSpec } from "../cluster.ts";
import type { Change } from "../database.ts";
import type { Member } from "../node.ts";
import { mayStart, planFor } from "./ring.ts";

const SPEC: ClusterSpec = {
  name: "demo",
  database: "riak",
  version: "3.2.3",
  nodes: 3,
  resources: { cpus: 1, memMb: 1024, diskMb: 1024 },
  package: { uri: "file:///riak.tar.gz" },
  ports: {},
  constraints: [],
  datacenter: "dc1",
  env: {},
  settings: {},
};

/** `text`: a letter for each node from 1. Capital: has joined. a: absent, s: starting, v: serving. */
function ring(text: string): readonly Member[] {
  return text.split("").map((letter, index) => ({
    node: `r-demo-${index + 1}`,
    hostname: `10.0.0.${index + 1}`,
    rack: "rack1",
    ports: {},
    joined: letter === letter.toUpperCase(),
    state: ({ a: "absent", s: "starting", v: "serving" } as const)[letter.toLowerCase() as "a" | "s" | "v"],
  }));
}

/** A line for each step: what, on which node, with what, and after which steps. */
function plan(text: string, change: Change): readonly string[] {
  return planFor(change, SPEC, ring(text)).map(({ type, node, operation, args, after }, index) => {
    const given = Object.entries(args ?? {}).map(([name, value]) => ` ${name}=${value}`);
    return `${index} ${operation ?? type} ${node}${given.join("")} after ${after.join(" ") || "-"}`.replaceAll(
      "r-demo-",
      "",
    );
  });
}

const id = (number: number): string => `r-demo-${number}`;

describe("a node may start", () => {
  test.each<readonly [string, number, string | undefined]>([
    ["aaa", 1, undefined],
    ["aaa", 2, 'founder: first node "r-demo-1" has no process'],
    ["saa", 3, 'founder: first node "r-demo-1" is starting'],
    ["Vaa", 2, undefined],
    ["Aaa", 2, undefined],
    ["VAV", 2, undefined],
  ])("ring %s, node %i: %p", (text, number, expected) => {
    const members = ring(text);
    const reason = mayStart(SPEC, members, members[number - 1]!);
    expect(reason && `${reason.check}: ${reason.found}`).toEqual(expected);
  });
});

describe("the steps", () => {
  test("of a new ring: the first alone, all joins in one commit", () => {
    expect(plan("aaa", { type: "add", nodes: [id(1), id(2), id(3)] })).toEqual([
      "0 start 1 after -",
      "1 start 2 after 0",
      "2 start 3 after 0",
      "3 join 2 to=1 after 1 0",
      "4 join 3 to=1 after 2 3",
      "5 commit 1 nodes=2,3 after 4",
      "6 settle 1 after 5",
    ]);
    expect(plan("a", { type: "add", nodes: [id(1)] })).toEqual(["0 start 1 after -"]);
  });

  test("of more nodes for a ring: it is at rest before they are staged", () => {
    expect(plan("AVVaa", { type: "add", nodes: [id(4), id(5)] })).toEqual([
      "0 settle 2 after -",
      "1 start 4 after -",
      "2 start 5 after -",
      "3 join 4 to=2 after 1 0",
      "4 join 5 to=2 after 2 3",
      "5 commit 2 nodes=4,5 after 4",
      "6 settle 2 after 5",
    ]);
  });

  test("of a leave: asked of one that stays, and seen to be over before anything is given back", () => {
    expect(plan("VVV", { type: "leave", nodes: [id(1), id(3)] })).toEqual([
      "0 settle 2 after -",
      "1 leave 2 node=1 after 0",
      "2 stop 1 after 1",
      "3 release 1 after 2",
      "4 settle 2 after 3",
      "5 leave 2 node=3 after 4",
      "6 stop 3 after 5",
      "7 release 3 after 6",
    ]);
  });

  test("of a rolling restart: one after the other, the ring at rest before each", () => {
    expect(plan("VVV", { type: "restart", nodes: [id(1), id(2)] })).toEqual([
      "0 settle 3 after -",
      "1 stop 1 after 0",
      "2 start 1 after 1",
      "3 settle 1 after 2",
      "4 stop 2 after 3",
      "5 start 2 after 4",
      "6 settle 2 after 5",
    ]);
    expect(plan("VAV", { type: "restart", nodes: [id(1), id(2)] }).slice(0, 4)).toEqual([
      "0 stop 2 after -",
      "1 start 2 after 0",
      "2 settle 2 after 1",
      "3 stop 1 after 2",
    ]);
    expect(plan("A", { type: "restart", nodes: [id(1)] })).toEqual([
      "0 stop 1 after -",
      "1 start 1 after 0",
      "2 settle 1 after 1",
    ]);
  });

  test("of a replacement: nothing is begun before the ring lets the old node be marked as down", () => {
    expect(plan("AVVa", { type: "replace", node: id(4), old: id(1), byItself: false })).toEqual([
      "0 down 2 node=1 after -",
      "1 start 4 after 0",
      "2 join 4 to=2 after 1",
      "3 force-replace 2 old=1 node=4 after 2",
      "4 settle 2 after 3",
      "5 release 1 after 4",
    ]);
    expect(plan("Aa", { type: "replace", node: id(2), old: id(1), byItself: false })).toEqual([
      "0 start 2 after -",
      "1 release 1 after 0",
    ]);
  });

  test("of a forced removal: a node that serves is stopped first", () => {
    expect(plan("VVA", { type: "forceRemove", node: id(3) })).toEqual([
      "0 force-remove 1 node=3 after -",
      "1 release 3 after 0",
    ]);
    expect(plan("VVV", { type: "forceRemove", node: id(1) })).toEqual([
      "0 stop 1 after -",
      "1 force-remove 2 node=1 after 0",
      "2 release 1 after 1",
    ]);
  });

  test("are none where no member is there to change the ring", () => {
    expect(() => plan("ASa", { type: "add", nodes: [id(3)] })).toThrow(
      "Cannot add nodes: found none of r-demo-1, r-demo-2 serving, wanted one",
    );
    expect(() => plan("AAa", { type: "replace", node: id(3), old: id(1), byItself: false })).toThrow(
      "Cannot replace r-demo-1: found none of r-demo-2 serving, wanted one",
    );
    expect(() => plan("VA", { type: "leave", nodes: [id(1)] })).toThrow(
      "Cannot let r-demo-1 leave: found no other that serves in the ring",
    );
    // One beside the ring knows nothing of it, and would say that the leave is done.
    const beside = ring("VV").map((member) => (member.node === id(2) ? { ...member, outside: true as const } : member));
    expect(() => planFor({ type: "leave", nodes: [id(1)] }, SPEC, beside)).toThrow(
      "found no other that serves in the ring",
    );
    const away = ring("AV").map((member) => (member.node === id(2) ? { ...member, outside: true as const } : member));
    const change = { type: "replace", node: id(3), old: id(1), byItself: false } as const;
    expect(() => planFor(change, SPEC, away)).toThrow(
      "Cannot replace r-demo-1: found no other that serves in the ring, and its own data is not lost",
    );
    const lost = away.map((member) => (member.node === id(1) ? { ...member, lost: true as const } : member));
    expect(planFor(change, SPEC, lost)[0]).toMatchObject({ node: id(2), operation: "down" });
    expect(() => plan("AA", { type: "forceRemove", node: id(1) })).toThrow("Cannot remove r-demo-1");
    expect(plan("A", { type: "forceRemove", node: id(1) })).toEqual(["0 release 1 after -"]);
  });
});
