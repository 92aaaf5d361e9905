// Which of the agents that will do is best: spread first, then room; ties by id, never by chance.
import type { ClusterSpec } from "../databases/cluster.ts";
import type { AgentOffer } from "./feasible.ts";
import type { NodeRecord } from "./state.ts";

/** Rack of nodes when the cluster names no rack attribute. */
const DEFAULT_RACK = "rack1";

/** The rack that a node gets on this agent: the value of the rack attribute, or the one rack that there is. */
export function rackOn(spec: ClusterSpec, fields: Readonly<Record<string, string>>): string {
  if (spec.rackAttribute === undefined) return DEFAULT_RACK;
  return fields[spec.rackAttribute] ?? DEFAULT_RACK;
}

/**
 * Orders agents for one more node of a cluster, best first: fewest nodes of the cluster in the rack, then on the agent, then
 * fewest nodes of all our clusters on the agent, then most memory left.
 */
export function rank(
  agents: readonly AgentOffer[],
  spec: ClusterSpec,
  placed: readonly NodeRecord[],
  nodesOnAgent: (agentId: string) => number,
): readonly AgentOffer[] {
  const inRack = (agent: AgentOffer) => placed.filter((node) => node.rack === rackOn(spec, agent.fields)).length;
  const onAgent = (agent: AgentOffer) => placed.filter((node) => node.place?.hostname === agent.hostname).length;
  const scored = agents.map((agent) => ({
    agent,
    score: [inRack(agent), onAgent(agent), nodesOnAgent(agent.agentId), -agent.free.memMb],
  }));
  scored.sort((a, b) => {
    for (const [index, left] of a.score.entries()) {
      const difference = left - (b.score[index] ?? 0);
      if (difference !== 0) return difference;
    }
    return a.agent.hostname < b.agent.hostname
      ? -1
      : a.agent.hostname > b.agent.hostname
        ? 1
        : a.agent.agentId < b.agent.agentId
          ? -1
          : 1;
  });
  return scored.map(({ agent }) => agent);
}
