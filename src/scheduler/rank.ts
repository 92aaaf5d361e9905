// Which of the agents that will do is best: spread first, then room; ties by id, never by chance.
import type { ClusterSpec } from "../databases/cluster.ts";
import type { AgentOffer } from "./feasible.ts";
import type { NodeRecord } from "./state.ts";
import type { Fields } from "./tally.ts";

/** Rack of nodes when the cluster names no rack attribute. */
const DEFAULT_RACK = "rack1";

/** The rack that a node gets on this agent: the value of the rack attribute, or the one rack that there is. */
export function rackOn({ rackAttribute }: Pick<ClusterSpec, "rackAttribute">, fields: Fields): string {
  if (rackAttribute === undefined) return DEFAULT_RACK;
  return fields[rackAttribute] ?? DEFAULT_RACK;
}

/** Agents in the order that all clusters agree on: fewest of our nodes first, then most memory left. */
export function inOrder(
  agents: Iterable<AgentOffer>,
  nodesOnAgent: ReadonlyMap<string, number>,
): readonly AgentOffer[] {
  const nodesOn = (agent: AgentOffer): number => nodesOnAgent.get(agent.agentId) ?? 0;
  return [...agents].sort(
    (a, b) =>
      nodesOn(a) - nodesOn(b) ||
      b.free.memMb - a.free.memMb ||
      compare(a.hostname, b.hostname) ||
      compare(a.agentId, b.agentId),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * One cluster's choice among agents that are `inOrder`, for one node after the other: fewest nodes of the cluster in the rack,
 * then on the host, then as they are in order. Thousands of agents are looked through for every node, so values are numbered
 * and counted once.
 */
export class Ranking {
  readonly #agents: readonly AgentOffer[];
  readonly #racks: Numbered;
  readonly #hosts: Numbered;

  constructor(agents: readonly AgentOffer[], spec: ClusterSpec, placed: readonly NodeRecord[]) {
    this.#agents = agents;
    this.#racks = new Numbered(agents.map(({ fields }) => rackOn(spec, fields)));
    this.#hosts = new Numbered(agents.map(({ hostname }) => hostname));
    for (const node of placed) this.add(node);
  }

  /** A node of the cluster has got a place. */
  add({ rack, place }: NodeRecord): void {
    this.#racks.add(rack);
    this.#hosts.add(place?.hostname);
  }

  /** The best of the agents that will do. `mayDo` is asked of a few only. */
  best(mayDo: (agent: AgentOffer) => boolean): AgentOffer | undefined {
    const leastInRack = this.#racks.least();
    let best: { readonly agent: AgentOffer; readonly inRack: number; readonly onHost: number } | undefined;
    for (let at = 0; at < this.#agents.length; at++) {
      const inRack = this.#racks.at(at);
      if (best !== undefined && inRack > best.inRack) continue;
      const onHost = this.#hosts.at(at);
      if (best !== undefined && inRack === best.inRack && onHost >= best.onHost) continue;
      const agent = this.#agents[at];
      if (agent === undefined || !mayDo(agent)) continue;
      best = { agent, inRack, onHost };
      if (inRack === leastInRack && onHost === 0) break;
    }
    return best?.agent;
  }
}

/** Values by position, and how many nodes each has. */
class Numbered {
  readonly #numbers = new Map<string, number>();
  readonly #byPosition: Uint32Array;
  readonly #counts: Uint32Array;

  constructor(values: readonly string[]) {
    this.#byPosition = Uint32Array.from(values, (value) => {
      const number = this.#numbers.get(value) ?? this.#numbers.size;
      this.#numbers.set(value, number);
      return number;
    });
    this.#counts = new Uint32Array(this.#numbers.size);
  }

  add(value: string | undefined): void {
    const number = value === undefined ? undefined : this.#numbers.get(value);
    if (number !== undefined) this.#counts[number] = (this.#counts[number] ?? 0) + 1;
  }

  /** How many nodes have the value at this position. */
  at(position: number): number {
    return this.#counts[this.#byPosition[position] ?? 0] ?? 0;
  }

  least(): number {
    return this.#counts.reduce((least, count) => Math.min(least, count), Infinity);
  }
}
