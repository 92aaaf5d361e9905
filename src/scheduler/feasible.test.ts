// Each operator and each resource, met and not met.
import { expect, test } from "bun:test";
import { readConstraints } from "../databases/constraints.ts";
import type { ClusterSpec } from "../databases/cluster.ts";
import { infeasible, type AgentOffer, type Scene } from "./feasible.ts";
import { Tally } from "./tally.ts";

const NEED = { cpus: 1, memMb: 100, diskMb: 100, fixedPorts: {}, morePorts: 1 };
const FREE = { cpus: 1, memMb: 100, diskMb: 100, ports: [{ begin: 5, end: 5 }] };

function agent(fields: Record<string, string>, free = FREE): AgentOffer {
  return { agentId: "a", hostname: fields.hostname ?? "h", offers: [], free, fields };
}

function scene(constraints: string, placed: readonly Record<string, string>[], known: readonly string[] = []): Scene {
  const tally = new Tally(() => placed);
  return {
    spec: { constraints: readConstraints(constraints, "c").constraints } as unknown as ClusterSpec,
    need: NEED,
    placed: (field) => tally.of(field),
    offered: () => known,
    nowMs: 0,
  };
}

function fits(
  fields: Record<string, string>,
  constraints: string,
  placed: readonly Record<string, string>[],
  known?: readonly string[],
): boolean {
  return infeasible(agent(fields), scene(constraints, placed, known)).length === 0;
}

test.each([
  // [constraint, agent, placed, known values, fits]
  ["hostname:UNIQUE", "h1", ["h2"], [], true],
  ["hostname:UNIQUE", "h1", ["h1"], [], false],
  ["@hostname:UNIQUE", "h1", ["h1"], [], false],
  ["hostname:CLUSTER:h1", "h1", [], [], true],
  ["hostname:CLUSTER:h1", "h2", [], [], false],
  ["hostname:CLUSTER", "h2", [], [], true],
  ["hostname:CLUSTER", "h2", ["h1"], [], false],
  ["hostname:CLUSTER", "h1", ["h1"], [], true],
  ["hostname:MAX_PER:2", "h1", ["h1"], [], true],
  ["hostname:MAX_PER:2", "h1", ["h1", "h1"], [], false],
  ["hostname:LIKE:h[12]", "h1", [], [], true],
  ["hostname:LIKE:h", "h1", [], [], false],
  ["hostname:UNLIKE:h[12]", "h1", [], [], false],
  ["hostname:UNLIKE:h[12]", "h3", [], [], true],
  ["hostname:IS:h1", "h1", [], [], true],
  ["hostname:IS:h1", "h2", [], [], false],
  ["hostname:IS_NOT:h1", "h1", [], [], false],
  ["hostname:IS_NOT:h1", "h2", [], [], true],
  ["hostname:GROUP_BY", "h1", ["h1"], ["h1", "h2"], false],
  ["hostname:GROUP_BY", "h2", ["h1"], ["h1", "h2"], true],
  ["hostname:GROUP_BY", "h1", ["h1"], ["h1"], true],
  ["hostname:GROUP_BY:2", "h1", ["h1"], ["h1"], false],
  ["hostname:GROUP_BY:2", "h2", ["h1"], ["h2"], true],
  ["hostname:GROUP_BY:2", "h1", ["h1", "h2"], ["h1", "h2"], true],
  ["hostname:GROUP_BY:2", "h1", ["h1", "h1", "h2"], ["h1", "h2"], false],
  ["hostname:UNIQUE,hostname:LIKE:x", "h1", ["h1"], [], false],
])("%s on %s beside %j, knowing %j: %p", (constraints, hostname, placed, known, expected) => {
  const others = placed.map((other) => ({ hostname: other }));
  expect(fits({ hostname }, constraints, others, known)).toBe(expected);
});

test("an attribute that the agent lacks fails all but the two negative operators", () => {
  for (const operator of ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE:x", "MAX_PER:1", "IS:x"]) {
    expect(fits({ hostname: "h" }, `rack:${operator}`, [])).toBe(false);
  }
  for (const operator of ["UNLIKE:x", "IS_NOT:x"]) expect(fits({ hostname: "h" }, `rack:${operator}`, [])).toBe(true);
});

test("every resource that is short is told, with what was found and wanted", () => {
  const free = { cpus: 0.5, memMb: 50, diskMb: 0, ports: [] };
  expect(
    infeasible(agent({ hostname: "h" }, free), { ...scene("", []), need: { ...NEED, fixedPorts: { native: 9042 } } }),
  ).toEqual([
    { check: "cpus", found: "0.5 unreserved", wanted: "at least 1" },
    { check: "mem", found: "50 MB unreserved", wanted: "at least 100 MB" },
    { check: "disk", found: "0 MB unreserved", wanted: "at least 100 MB" },
    { check: "port native", found: "not in the offer", wanted: "9042" },
    { check: "ports", found: "0", wanted: "at least 2" },
  ]);
});
