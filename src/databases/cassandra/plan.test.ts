// The steps of a Cassandra cluster's changes.
import { expect, test } from "bun:test";
import type { Change } from "../database.ts";
import type { Member } from "../node.ts";
import { planChange } from "./plan.ts";

/** A letter for each node from n1, capital: has joined. a: absent, s: starting, v: serving. */
function ring(text: string): readonly Member[] {
  return text.split("").map((letter, index) => ({
    node: `n${index + 1}`,
    hostname: `host${index + 1}`,
    rack: "rack1",
    ports: { storage: 7000 },
    joined: letter === letter.toUpperCase(),
    state: ({ a: "absent", s: "starting", v: "serving" } as const)[letter.toLowerCase() as "a" | "s" | "v"],
  }));
}

/** A line for each step: what, which node, after which steps. */
function steps(change: Change, members = "VVV"): readonly string[] {
  return planChange(change, ring(members)).map(
    ({ type, node, operation, args, after }, index) =>
      `${index} ${operation ?? type} ${[node, ...Object.entries(args ?? {}).map(([key, value]) => `${key}=${value}`)].join(" ")} after ${after.join(",") || "-"}`,
  );
}

const nodes = ["n1", "n2", "n3"];

test("new nodes have no order here: mayStart gives them one", () => {
  expect(steps({ type: "add", nodes })).toEqual(["0 start n1 after -", "1 start n2 after -", "2 start n3 after -"]);
});

test("a restart goes from node to node, those that are down first; the others see before that their ring is whole", () => {
  expect(steps({ type: "restart", nodes }, "VAV")).toEqual([
    "0 stop n2 after -",
    "1 start n2 after 0",
    "2 settle n1 after 1",
    "3 stop n1 after 2",
    "4 start n1 after 3",
    "5 settle n3 after 4",
    "6 stop n3 after 5",
    "7 start n3 after 6",
  ]);
});

test("one node leaves at a time, and is stopped before its volume is given back", () => {
  expect(steps({ type: "leave", nodes: ["n3", "n2"] })).toEqual([
    "0 decommission n3 after -",
    "1 stop n3 after 0",
    "2 release n3 after 1",
    "3 decommission n2 after 2",
    "4 stop n2 after 3",
    "5 release n2 after 4",
  ]);
});

test("a replacement starts when the ring takes the old node for dead, and what that had is given back last", () => {
  expect(steps({ type: "replace", node: "n4", old: "n1", byItself: true }, "AVVa")).toEqual([
    "0 check-replace n2 old=n1 quorum=wanted after -",
    "1 start n4 after 0",
    "2 release n1 after 1",
  ]);
  expect(steps({ type: "replace", node: "n4", old: "n1", byItself: false }, "AAVa")[0]).toBe(
    "0 check-replace n3 old=n1 quorum=not asked for after -",
  );
});

test("the only node's replacement founds a ring anew; one that is a member already leaves the old volume to give back", () => {
  expect(steps({ type: "replace", node: "n2", old: "n1", byItself: false }, "Aa")).toEqual([
    "0 start n2 after -",
    "1 release n1 after 0",
  ]);
  expect(steps({ type: "replace", node: "n4", old: "n1", byItself: false }, "AVVV")).toEqual(["0 release n1 after -"]);
});

test("a node that is forced out is stopped if it may live, and taken out by another that serves", () => {
  expect(steps({ type: "forceRemove", node: "n1" }, "AVV")).toEqual([
    "0 removenode n2 node=n1 after -",
    "1 release n1 after 0",
  ]);
  expect(steps({ type: "forceRemove", node: "n1" }, "SAV")).toEqual([
    "0 stop n1 after -",
    "1 removenode n3 node=n1 after 0",
    "2 release n1 after 1",
  ]);
});

test("without another member that serves nobody can be replaced or forced out", () => {
  expect(() => steps({ type: "replace", node: "n4", old: "n1", byItself: false }, "ASAa")).toThrow(
    'Cannot replace node "n1": found none of n2, n3 serving, wanted one',
  );
  expect(() => steps({ type: "forceRemove", node: "n1" }, "AAS")).toThrow(
    'Cannot force node "n1" out of its ring: found none of n2, n3 serving, wanted one',
  );
});
