// The steps of a Cassandra cluster's changes.
import { expect, test } from "bun:test";
import type { Change } from "../database.ts";
import { planChange } from "./plan.ts";

/** A line for each step: what, which node, after which steps. */
function steps(change: Change): readonly string[] {
  return planChange(change).map(
    ({ type, node, operation, after }, index) =>
      `${index} ${operation ?? type} ${node} after ${after.join(",") || "-"}`,
  );
}

const nodes = ["n1", "n2", "n3"];

test("new nodes have no order here: mayStart gives them one", () => {
  expect(steps({ type: "add", nodes })).toEqual(["0 start n1 after -", "1 start n2 after -", "2 start n3 after -"]);
});

test("a restart goes from node to node", () => {
  expect(steps({ type: "restart", nodes })).toEqual([
    "0 stop n1 after -",
    "1 start n1 after 0",
    "2 stop n2 after 1",
    "3 start n2 after 2",
    "4 stop n3 after 3",
    "5 start n3 after 4",
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

test("what Ringmaster cannot do yet is refused in words", () => {
  expect(() => steps({ type: "replace", node: "n4", old: "n1" })).toThrow(
    'Cannot put node "n4" in the place of node "n1": Ringmaster cannot replace a Cassandra node yet',
  );
  expect(() => steps({ type: "forceRemove", node: "n1" })).toThrow(
    'Cannot force node "n1" out of its ring: Ringmaster cannot do that with Cassandra yet; a node that runs can leave',
  );
});
