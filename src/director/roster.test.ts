// The list of nodes through everything that a source does wrong.
import { expect, test } from "bun:test";
import type { Endpoint } from "../databases/endpoint.ts";
import { endpointsOf, hear, lapse, type Roster } from "./roster.ts";

function endpoint(node: string, state: Endpoint["state"] = "serving"): Endpoint {
  return {
    ...({ schema: 1, cluster: "c", database: "riak", rack: "rack1" } as const),
    ...{ node, hostname: node, ports: { http: 1, pb: 2 }, state },
  };
}

const NONE: Roster = new Map();
const nodes = (roster: Roster): readonly string[] => endpointsOf(roster).map(({ node, state }) => `${node} ${state}`);

test("an empty list changes nothing: the source forgot, or starts", () => {
  const roster = hear(NONE, [endpoint("a"), endpoint("b")], 0);
  expect(hear(roster, [], 1_000_000)).toBe(roster);
  expect(nodes(lapse(roster, 2_000_000))).toEqual(["a serving", "b serving"]);
});

test("a missing node is gone after 15 seconds, and not when it was listed again meanwhile", () => {
  const both = [endpoint("a"), endpoint("b")];
  let roster = hear(hear(NONE, both, 0), [endpoint("a")], 1000);
  roster = lapse(roster, 15_999);
  expect(nodes(roster)).toEqual(["a serving", "b serving"]);
  expect(nodes(lapse(roster, 16_000))).toEqual(["a serving"]);
  // Hearing again that it is missing does not start the time anew.
  expect(nodes(hear(roster, [endpoint("a")], 16_000))).toEqual(["a serving"]);
  const again = hear(roster, both, 15_999);
  expect(nodes(lapse(again, 60_000))).toEqual(["a serving", "b serving"]);
  expect(lapse(again, 60_000)).toBe(again);
});

test("a state or an address that changed counts at once", () => {
  const roster = hear(NONE, [endpoint("a")], 0);
  expect(nodes(hear(roster, [endpoint("a", "draining"), endpoint("b")], 1))).toEqual(["a draining", "b serving"]);
});
