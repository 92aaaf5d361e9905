// Finds agents for new nodes in one batch of offers; every agent takes one node at most. What many nodes ask is worked out once.
import type { Reason } from "../std/reason.ts";
import { infeasible, isFeasible, type AgentOffer, type Scene } from "./feasible.ts";
import { needOf } from "./launch.ts";
import { databaseOf } from "./members.ts";
import { Order, Ranking } from "./rank.ts";
import type { ClusterState, Explanation, NodeRecord, State } from "./state.ts";
import { Tally } from "./tally.ts";

/** Agents whose reasons are kept for each node. */
const EXPLAINED_AGENTS = 200;

export class Placement {
  readonly #open: Map<string, AgentOffer>;
  readonly #offered = new Tally(() => this.#open.values().map(({ fields }) => fields));
  readonly #searches = new Map<string, Search>();
  #order: Order | undefined;
  #ports: Set<number> | undefined;

  constructor(agents: ReadonlyMap<string, AgentOffer>) {
    this.#open = new Map(agents);
  }

  isOpen(agentId: string): boolean {
    return this.#open.has(agentId);
  }

  /** The agent got a node and takes no other. */
  close(agentId: string): void {
    const agent = this.#open.get(agentId);
    if (agent === undefined) return;
    this.#open.delete(agentId);
    this.#offered.change(agent.fields, -1);
  }

  /** The best agent for a node of the cluster that has no place yet. Undefined when none will do. */
  find(state: State, cluster: ClusterState, node: NodeRecord, nowMs: number): AgentOffer | undefined {
    return this.#search(state, cluster, node, nowMs).find(this.#open);
  }

  /** Why no agent will do for a node of which `before` was known. */
  explain(
    state: State,
    cluster: ClusterState,
    node: NodeRecord,
    nowMs: number,
    before: Explanation | undefined,
  ): Explanation {
    return this.#search(state, cluster, node, nowMs).explain(this.#open, before);
  }

  /** The node got the place that was found for it. */
  add(node: NodeRecord): void {
    for (const search of this.#searches.values()) if (search.cluster === node.cluster) search.add(node);
    for (const port of portsOf(node)) this.#ports?.add(port);
  }

  /** Ports that nodes of ours have, on any agent. */
  ports(state: State): ReadonlySet<number> {
    this.#ports ??= new Set(nodesOf(state).flatMap(portsOf));
    return this.#ports;
  }

  /** A node that takes the place of another has a search of its own: that other is no neighbour. */
  #search(state: State, cluster: ClusterState, node: NodeRecord, nowMs: number): Search {
    const key = node.replaces === undefined ? cluster.record.spec.name : node.id;
    const known = this.#searches.get(key);
    if (known !== undefined) return known;
    this.#order ??= new Order(this.#open.values(), nodesByAgent(state));
    const search = new Search(cluster, node.replaces, this.#order, this.#offered, nowMs);
    this.#searches.set(key, search);
    return search;
  }
}

/** The search for places for the nodes of one cluster, or for one that takes another's place. */
class Search {
  readonly cluster: string;
  readonly #placed: NodeRecord[];
  readonly #tally = new Tally(() => this.#placed.flatMap(({ place }) => (place === undefined ? [] : [place.fields])));
  readonly #ranking: Ranking;
  readonly #scene: () => Scene;
  /** Whether an agent that would not do may do after another node was placed. */
  readonly #mayOpen: boolean;
  readonly #refused = new Set<string>();
  readonly #explanations = new Map<Explanation | undefined, Explanation>();
  #isOver = false;

  constructor(cluster: ClusterState, replaces: NodeRecord["replaces"], order: Order, offered: Tally, nowMs: number) {
    const { spec } = cluster.record;
    this.cluster = spec.name;
    this.#placed = [...cluster.nodes.values()].filter(({ id, place }) => place !== undefined && id !== replaces?.node);
    this.#ranking = new Ranking(order, spec, this.#placed);
    this.#mayOpen = spec.constraints.some(({ operator }) => operator === "GROUP_BY");
    const need = needOf(spec, databaseOf(cluster), replaces);
    this.#scene = () => ({
      spec,
      need,
      placed: (field) => this.#tally.of(field),
      offered: (field) => offered.of(field).keys(),
      ...(replaces?.rack === undefined ? {} : { rack: replaces.rack }),
      nowMs,
    });
  }

  find(open: ReadonlyMap<string, AgentOffer>): AgentOffer | undefined {
    if (this.#isOver) return undefined;
    if (this.#mayOpen) this.#refused.clear();
    const scene = this.#scene();
    const found = this.#ranking.best((agent) => {
      if (this.#refused.has(agent.agentId) || !open.has(agent.agentId)) return false;
      const fits = isFeasible(agent, scene);
      if (!fits) this.#refused.add(agent.agentId);
      return fits;
    });
    this.#isOver = found === undefined;
    return found;
  }

  add(node: NodeRecord): void {
    this.#placed.push(node);
    this.#ranking.add(node);
    if (node.place !== undefined) this.#tally.change(node.place.fields, 1);
  }

  /** The reasons of this batch's agents; those that did not offer now keep what was said of them before. */
  explain(open: ReadonlyMap<string, AgentOffer>, before: Explanation | undefined): Explanation {
    const known = this.#explanations.get(before);
    if (known !== undefined) return known;
    const agents = new Map<string, { readonly hostname: string; readonly reasons: readonly Reason[] }>(before?.agents);
    const scene = this.#scene();
    for (const agent of open.values()) {
      if (agents.size >= EXPLAINED_AGENTS && !agents.has(agent.agentId)) continue;
      agents.set(agent.agentId, { hostname: agent.hostname, reasons: infeasible(agent, scene) });
    }
    const explanation: Explanation = { agents };
    this.#explanations.set(before, explanation);
    return explanation;
  }
}

function nodesOf(state: State): readonly NodeRecord[] {
  return [...state.clusters.values()].flatMap(({ nodes }) => [...nodes.values()]);
}

function portsOf({ place }: NodeRecord): readonly number[] {
  return Object.values(place?.footprint.ports ?? {});
}

function nodesByAgent(state: State): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { place } of nodesOf(state))
    if (place !== undefined) counts.set(place.agentId, (counts.get(place.agentId) ?? 0) + 1);
  return counts;
}
