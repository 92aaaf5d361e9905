// The choice among agents against its own definition, and the counts it rests on.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ClusterSpec } from "../databases/cluster.ts";
import type { AgentOffer } from "./feasible.ts";
import { Order, rackOn, Ranking } from "./rank.ts";
import type { NodeRecord } from "./state.ts";
import { Tally } from "./tally.ts";

const spec = { rackAttribute: "rack" } as unknown as ClusterSpec;

const agentArbitrary = fc.record({
  host: fc.integer({ min: 1, max: 6 }),
  rack: fc.integer({ min: 1, max: 3 }),
  memMb: fc.integer({ min: 1, max: 3 }),
  others: fc.integer({ min: 0, max: 2 }),
  mayDo: fc.boolean(),
});

test("the best agent has the fewest nodes in its rack, then on its host, then of all, then the most memory", () => {
  fc.assert(
    fc.property(
      fc.array(agentArbitrary, { maxLength: 12 }),
      fc.array(agentArbitrary, { maxLength: 6 }),
      (rows, nodes) => {
        const agents = rows.map(({ host, rack, memMb }, index): AgentOffer => ({
          agentId: `a${index}`,
          hostname: `h${host}`,
          offers: [],
          free: { cpus: 1, memMb, diskMb: 1, ports: [] },
          fields: { rack: `r${rack}`, hostname: `h${host}` },
        }));
        const placed = nodes.map(
          ({ host, rack }) => ({ rack: `r${rack}`, place: { hostname: `h${host}` } }) as unknown as NodeRecord,
        );
        const onAgent = new Map(rows.map(({ others }, index) => [`a${index}`, others]));
        const allowed = new Set(rows.flatMap(({ mayDo }, index) => (mayDo ? [`a${index}`] : [])));
        const ranking = new Ranking(new Order(agents, onAgent), spec, placed.slice(0, 3));
        for (const node of placed.slice(3)) ranking.add(node);
        const score = (agent: AgentOffer): readonly number[] => [
          placed.filter(({ rack }) => rack === rackOn(spec, agent.fields)).length,
          placed.filter(({ place }) => place?.hostname === agent.hostname).length,
          onAgent.get(agent.agentId) ?? 0,
          -agent.free.memMb,
          Number(agent.hostname.slice(1)),
        ];
        const wanted = agents
          .filter(({ agentId }) => allowed.has(agentId))
          .toSorted((a, b) => {
            const [left, right] = [score(a), score(b)];
            const at = left.findIndex((value, index) => value !== right[index]);
            return (left[at] ?? 0) - (right[at] ?? 0);
          })
          .map(score);
        const best = ranking.best(({ agentId }) => allowed.has(agentId));
        expect(best === undefined ? undefined : score(best)).toEqual(wanted[0]);
      },
    ),
  );
});

test("a tally counts what comes and goes as if it counted anew", () => {
  const rows = [{ rack: "a", zone: "x" }, { rack: "b" }];
  const tally = new Tally(() => rows);
  expect(tally.of("rack")).toEqual(
    new Map([
      ["a", 1],
      ["b", 1],
    ]),
  );
  rows.push({ rack: "a", zone: "y" });
  tally.change({ rack: "a", zone: "y" }, 1);
  expect(tally.of("rack")).toEqual(
    new Map([
      ["a", 2],
      ["b", 1],
    ]),
  );
  expect(tally.of("zone")).toEqual(
    new Map([
      ["x", 1],
      ["y", 1],
    ]),
  );
  rows.splice(1, 1);
  tally.change({ rack: "b" }, -1);
  expect(tally.of("rack")).toEqual(new Map([["a", 2]]));
});
