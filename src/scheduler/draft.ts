// A decision in the making: the new state, with a save for every record that changed and the actions so far. Lives only
// inside one call of `decide`.
import type { Decision } from "../std/decision.ts";
import type { Json } from "../std/json.ts";
import { nextRandom } from "../std/random.ts";
import { endpointOf, isSameEndpoint } from "./endpoints.ts";
import type { Action } from "./events.ts";
import {
  SCHEMA,
  type ClusterRecord,
  type FrameworkRecord,
  type LeftoverRecord,
  type MaintenanceRecord,
  type NodeRecord,
  type PlanRecord,
  type Records,
  type State,
  type Window,
} from "./state.ts";

export class Draft {
  readonly nowMs: number;
  #state: State;
  readonly #records = new Map<string, Json | undefined>();
  readonly #actions: Action[] = [];

  constructor(state: State, nowMs: number) {
    this.#state = state;
    this.nowMs = nowMs;
  }

  get state(): State {
    return this.#state;
  }

  /** Changes what is not stored. */
  set(change: Partial<Omit<State, "settings" | keyof Records>>): void {
    this.#state = { ...this.#state, ...change };
  }

  act(action: Exclude<Action, { type: "save" | "forget" }>): void {
    this.#actions.push(action);
  }

  /** A number in [0, 1) from the state's seed. */
  random(): number {
    const { value, seed } = nextRandom(this.#state.seed);
    this.set({ seed });
    return value;
  }

  /** Keeps what an executor said last about a node or an admin task. */
  say(about: string, text: string): void {
    this.set({ messages: withEntry(this.#state.messages, about, text.slice(0, 500)) });
  }

  putFramework(record: FrameworkRecord): void {
    this.#state = { ...this.#state, framework: record };
    this.#records.set("framework", record);
  }

  putCluster(record: ClusterRecord): void {
    const nodes = this.#state.clusters.get(record.spec.name)?.nodes ?? new Map<string, NodeRecord>();
    this.#state = { ...this.#state, clusters: withEntry(this.#state.clusters, record.spec.name, { record, nodes }) };
    this.#records.set(`clusters/${record.spec.name}`, toJson(record));
  }

  forgetCluster(name: string): void {
    this.#state = { ...this.#state, clusters: without(this.#state.clusters, name) };
    this.#records.set(`clusters/${name}`, undefined);
  }

  /** Saves the node, and its endpoint where that changes with it. */
  putNode(node: NodeRecord): void {
    const cluster = this.#state.clusters.get(node.cluster);
    const before = cluster?.nodes.get(node.id);
    const endpoint = cluster === undefined ? undefined : endpointOf(cluster.record.spec, node);
    const known = cluster === undefined || before === undefined ? undefined : endpointOf(cluster.record.spec, before);
    if (!isSameEndpoint(endpoint, known)) this.#records.set(`endpoints/${node.id}`, endpoint);
    this.#changeNodes(node.cluster, (nodes) => withEntry(nodes, node.id, node));
    this.#records.set(`nodes/${node.id}`, toJson(node));
  }

  forgetNode(node: NodeRecord): void {
    this.#changeNodes(node.cluster, (nodes) => without(nodes, node.id));
    this.#records.set(`nodes/${node.id}`, undefined);
    this.#records.set(`endpoints/${node.id}`, undefined);
    this.set({
      explanations: without(this.#state.explanations, node.id),
      messages: without(this.#state.messages, node.id),
      heard: without(this.#state.heard, node.id),
    });
  }

  /** Removes the endpoint of a node that is none. */
  forgetEndpoint(nodeId: string): void {
    this.#records.set(`endpoints/${nodeId}`, undefined);
  }

  putPlan(plan: PlanRecord): void {
    this.#state = { ...this.#state, plans: withEntry(this.#state.plans, plan.id, plan) };
    this.#records.set(`plans/${plan.id}`, toJson(plan));
  }

  /** Changes of a plan what can be told without its record, which is saved with its next change. */
  turnPlan(plan: PlanRecord): void {
    if (this.#records.has(`plans/${plan.id}`)) return this.putPlan(plan);
    this.#state = { ...this.#state, plans: withEntry(this.#state.plans, plan.id, plan) };
  }

  forgetPlan(id: string): void {
    this.#state = { ...this.#state, plans: without(this.#state.plans, id) };
    this.#records.set(`plans/${id}`, undefined);
  }

  putLeftover(leftover: LeftoverRecord): void {
    const id = leftover.place.reservation;
    this.#state = { ...this.#state, leftovers: withEntry(this.#state.leftovers, id, leftover) };
    this.#records.set(`leftovers/${id}`, toJson(leftover));
  }

  forgetLeftover(reservation: string): void {
    this.#state = { ...this.#state, leftovers: without(this.#state.leftovers, reservation) };
    this.#records.set(`leftovers/${reservation}`, undefined);
  }

  /** Keeps what operators of Mesos want of an agent; a promise outlives the scheduler. */
  putWindow(agentId: string, window: Window): void {
    const before = this.#state.maintenance.get(agentId);
    this.#state = { ...this.#state, maintenance: withEntry(this.#state.maintenance, agentId, window) };
    const { isAccepted, startMs, durationMs } = window;
    const isSpan = before?.startMs === startMs && before.durationMs === durationMs;
    if ((before?.isAccepted ?? false) === isAccepted && (isSpan || !isAccepted)) return;
    const span = { startMs, ...(durationMs === undefined ? {} : { durationMs }) };
    const record: MaintenanceRecord | undefined = isAccepted ? { schema: SCHEMA, agentId, ...span } : undefined;
    this.#records.set(`maintenance/${agentId}`, record);
  }

  forgetWindow(agentId: string): void {
    const before = this.#state.maintenance.get(agentId);
    this.#state = { ...this.#state, maintenance: without(this.#state.maintenance, agentId) };
    if (before?.isAccepted === true) this.#records.set(`maintenance/${agentId}`, undefined);
  }

  /** Does what `change` does, or nothing: when it throws, everything is as before. */
  attempt<T>(change: () => T): T {
    const [state, records, actions] = [this.#state, new Map(this.#records), this.#actions.length];
    try {
      return change();
    } catch (error) {
      this.#state = state;
      this.#actions.length = actions;
      this.#records.clear();
      for (const [path, record] of records) this.#records.set(path, record);
      throw error;
    }
  }

  /** The finished decision: saves first, then the actions in the order they were asked for. */
  decision(): Decision<State, Action> {
    const saves = [...this.#records].map(([path, record]): Action =>
      record === undefined ? { type: "forget", path } : { type: "save", path, record },
    );
    return { state: this.#state, actions: [...saves, ...this.#actions] };
  }

  #changeNodes(
    cluster: string,
    change: (nodes: ReadonlyMap<string, NodeRecord>) => ReadonlyMap<string, NodeRecord>,
  ): void {
    const found = this.#state.clusters.get(cluster);
    if (found === undefined) throw new Error(`Cannot change a node: cluster "${cluster}" is unknown`);
    const changed = { ...found, nodes: change(found.nodes) };
    this.#state = { ...this.#state, clusters: withEntry(this.#state.clusters, cluster, changed) };
  }
}

/** Records are plain data; only their optional fields keep TypeScript from seeing that they are `Json`. */
function toJson(record: object): Json {
  return record as Json;
}

function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return new Map(map).set(key, value);
}

function without<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  const copy = new Map(map);
  copy.delete(key);
  return copy;
}
