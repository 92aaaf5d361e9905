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
export class Order {
  readonly agents: readonly AgentOffer[];
  readonly hosts: Numbers;
  readonly #racks = new Map<string, Numbers>();

  constructor(agents: Iterable<AgentOffer>, nodesOnAgent: ReadonlyMap<string, number>) {
    const nodesOn = (agent: AgentOffer): number => nodesOnAgent.get(agent.agentId) ?? 0;
    this.agents = [...agents].sort(
      (a, b) =>
        nodesOn(a) - nodesOn(b) ||
        b.free.memMb - a.free.memMb ||
        compare(a.hostname, b.hostname) ||
        compare(a.agentId, b.agentId),
    );
    this.hosts = numbersOf(this.agents.map(({ hostname }) => hostname));
  }

  /** The agents' racks as a cluster sees them. */
  racks(spec: ClusterSpec): Numbers {
    const key = spec.rackAttribute ?? "";
    const known = this.#racks.get(key) ?? numbersOf(this.agents.map(({ fields }) => rackOn(spec, fields)));
    this.#racks.set(key, known);
    return known;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * One cluster's choice among the agents, for one node after the other: fewest nodes of the cluster in the rack,
 * then on the host, then as they are in order. Thousands of agents are looked through for every node, so values are numbered
 * and counted once.
 */
export class Ranking {
  readonly #agents: readonly AgentOffer[];
  readonly #racks: Counts;
  readonly #hosts: Counts;

  constructor(order: Order, spec: ClusterSpec, placed: readonly NodeRecord[]) {
    this.#agents = order.agents;
    this.#racks = new Counts(order.racks(spec));
    this.#hosts = new Counts(order.hosts);
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

/** Values by the position of their agents, numbered: counting by number is many times faster than by name. */
type Numbers = { readonly byValue: ReadonlyMap<string, number>; readonly byPosition: Uint32Array };

function numbersOf(values: readonly string[]): Numbers {
  const byValue = new Map<string, number>();
  const byPosition = Uint32Array.from(values, (value) => {
    const number = byValue.get(value) ?? byValue.size;
    byValue.set(value, number);
    return number;
  });
  return { byValue, byPosition };
}

/** How many nodes of a cluster have each value. */
class Counts {
  readonly #numbers: Numbers;
  readonly #counts: Uint32Array;

  constructor(numbers: Numbers) {
    this.#numbers = numbers;
    this.#counts = new Uint32Array(numbers.byValue.size);
  }

  add(value: string | undefined): void {
    const number = value === undefined ? undefined : this.#numbers.byValue.get(value);
    if (number !== undefined) this.#counts[number] = (this.#counts[number] ?? 0) + 1;
  }

  /** Of the value at this position. */
  at(position: number): number {
    return this.#counts[this.#numbers.byPosition[position] ?? 0] ?? 0;
  }

  least(): number {
    return this.#counts.reduce((least, count) => Math.min(least, count), Infinity);
  }
}
