// Why agents will not do for a node, summed up: with hundreds of nodes and agents, each reason of each would be megabytes.
import type { StepView } from "../databases/api.ts";
import { remembered } from "../std/remembered.ts";
import type { Explanation } from "./state.ts";

/** Agents whose own reasons one answer tells, shared among the steps that have any; each has one at least. */
const AGENTS_TOLD = 200;

/** Reasons that a sum has. */
const REASONS_TOLD = 10;

type Refused = NonNullable<StepView["refused"]>;

/** How many agents one of so many steps shows in full. */
export function agentsToldOf(steps: number): number {
  return Math.max(1, Math.floor(AGENTS_TOLD / Math.max(1, steps)));
}

/** How many agents gave which reason, the most frequent first. Nodes of one cluster share their explanation, and so this. */
export const refusedOf = remembered(({ agents }: Explanation): Refused => {
  const sums = new Map<string, Refused["reasons"][number]>();
  for (const { reasons } of agents.values())
    for (const reason of reasons) {
      const key = `${reason.check}\n${reason.wanted}`;
      const sum = sums.get(key) ?? { ...reason, agents: 0 };
      sums.set(key, { ...sum, agents: sum.agents + 1 });
    }
  const reasons = [...sums.values()].toSorted((a, b) => b.agents - a.agents).slice(0, REASONS_TOLD);
  return { agents: agents.size, reasons };
});
