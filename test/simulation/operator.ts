// Operators: commands at random moments, wrong ones too; in the calm, what a person would do about nodes that need one.
import { clusterView, nodeView, planView } from "../../src/scheduler/views.ts";
import type { Command } from "../../src/scheduler/events.ts";
import type { ClusterState, State } from "../../src/scheduler/state.ts";
import type { SchedulerProcess } from "./scheduler.ts";
import type { World } from "./world.ts";

/** What operators may count on of a cluster: how many nodes it has at least and at most, and whether it may be gone. */
type Expected = { least: number; most: number; isGone: boolean; mayBeGone: boolean; readonly removed: Set<string> };

/** A plan that takes longer than this in the calm is given up. */
const PATIENCE_MS = 1_800_000;

const NAMES = ["demo", "big-data"];

export class Operator {
  readonly #world: World;
  readonly expected = new Map<string, Expected>();
  /** Clusters whose destruction was asked for. */
  readonly destroyed = new Set<string>();
  /** Nodes that an operator can neither replace nor remove, with what their database says to it. */
  readonly hopeless = new Map<string, string>();
  /** How often a plan's step was seen in trouble in the calm. */
  readonly #trouble = new Map<string, number>();
  /** Since when plans are watched. */
  readonly #watched = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  #leader(): SchedulerProcess | undefined {
    return this.#world.schedulers.find(({ state }) => state !== undefined);
  }

  get view(): State | undefined {
    return this.#leader()?.state;
  }

  /** One command of no particular wisdom. */
  act(): void {
    const leader = this.#leader();
    const state = leader?.state;
    if (leader === undefined || state === undefined) return;
    const command = this.#choose(state);
    if (command !== undefined) this.#submit(leader, command);
  }

  #choose(state: State): Command | undefined {
    const chance = this.#world.faults.stream("command");
    const names = NAMES.slice(0, this.#world.options.clusters ?? 2);
    const missing = names.filter((name) => !state.clusters.has(name) && !this.destroyed.has(name));
    const fresh = missing[0];
    if (fresh !== undefined && chance.hit(0.9)) return this.#create(fresh);
    const clusters = [...state.clusters.values()];
    const cluster = chance.pick(clusters)?.record.spec.name ?? "nobody";
    const nodes = [...(state.clusters.get(cluster)?.nodes.keys() ?? [])];
    const node = chance.hit(0.05) ? "ringmaster-demo-99" : (chance.pick(nodes) ?? "none");
    const plan = chance.hit(0.2)
      ? "demo-restart-77"
      : ([...state.plans.values()].findLast(({ status }) => status === "running")?.id ?? "none");
    return chance.weighted<Command>([
      [{ type: "createCluster", body: { name: "Wrong Name", database: "oracle" } }, 0.5],
      [{ type: "createCluster", body: bodyOf(cluster, "cassandra", 2) }, clusters.length > 0 ? 0.5 : 0],
      [{ type: "addNodes", cluster, count: 1 }, nodes.length < 5 ? 3 : 0],
      [{ type: "addNodes", cluster, count: -2 }, 0.2],
      [{ type: "removeNode", cluster, node, force: false }, 3],
      [{ type: "removeNode", cluster, node, force: true }, 0.5],
      [{ type: "restartCluster", cluster }, 3],
      [{ type: "restartNode", cluster, node }, 2],
      [{ type: "stopNode", cluster, node }, 1],
      [{ type: "startNode", cluster, node }, 2],
      [{ type: "replaceNode", cluster, node }, 2],
      [
        {
          type: "operate",
          cluster,
          node,
          operation: chance.pick(["flush", "settle", "cleanup", "rm -rf"]) ?? "flush",
          args: {},
        },
        2,
      ],
      [{ type: "updateCluster", cluster, change: { env: { LEVEL: String(this.#world.nextId()) } } }, 1],
      [{ type: "updateCluster", cluster, change: { nodes: 7, datacenter: "dc9" } }, 0.3],
      [{ type: "abortPlan", plan }, 1],
      [{ type: "destroyCluster", cluster }, 0.3],
    ]);
  }

  #create(name: string): Command {
    const chance = this.#world.faults.stream("create");
    return {
      type: "createCluster",
      body: bodyOf(name, chance.pick(["cassandra", "riak"]) ?? "cassandra", chance.between(1, 4)),
    };
  }

  /** `counts`: whether the cluster is to have another number of nodes by it. */
  #submit(leader: SchedulerProcess, command: Command, counts = true): void {
    this.#mark(command, leader.state);
    leader.submit(command, (outcome) => {
      const isUnknown = outcome.type === "unknown";
      if (isUnknown) this.#world.timeline.say(`operator: no answer to ${JSON.stringify(command)}`);
      if (outcome.type === "refused") {
        const isLastResort = command.type === "removeNode" && command.force;
        if ("node" in command && (isLastResort || / yet\b/.test(outcome.message)))
          this.hopeless.set(command.node, outcome.message);
        return;
      }
      if (counts) this.#expect(command, isUnknown);
    });
  }

  /** What a command may lead to, from the moment on that it is sent: whose end it is. */
  #mark(command: Command, state: State | undefined): void {
    const { checks } = this.#world;
    if (command.type === "destroyCluster") {
      for (const node of state?.clusters.get(command.cluster)?.nodes.keys() ?? []) checks.released.add(node);
      this.destroyed.add(command.cluster);
    } else if (command.type === "stopNode" || command.type === "replaceNode" || command.type === "removeNode") {
      checks.released.add(command.node);
      const ring = this.#world.rings.get(command.cluster);
      const volume = ring?.members.get(command.node);
      const givesUp = command.type === "replaceNode" || (command.type === "removeNode" && command.force);
      if (givesUp && volume !== undefined) ring?.harmed(volume);
    }
  }

  #expect(command: Command, isUnknown: boolean): void {
    if (command.type === "createCluster") {
      const { name, nodes } = command.body as { readonly name: string; readonly nodes: number };
      if (typeof nodes !== "number") return;
      const known = this.expected.get(name);
      if (known === undefined || known.isGone || known.mayBeGone)
        this.expected.set(name, { least: nodes, most: nodes, isGone: false, mayBeGone: isUnknown, removed: new Set() });
      return;
    }
    if (command.type === "abortPlan") return this.#expectAborted(command.plan);
    const expected = this.expected.get(command.cluster);
    if (expected === undefined) return;
    switch (command.type) {
      case "addNodes":
        expected.most += command.count;
        if (!isUnknown) expected.least += command.count;
        return;
      case "removeNode":
        if (!expected.removed.has(command.node)) expected.least -= 1;
        if (isUnknown || expected.removed.has(command.node)) return;
        expected.removed.add(command.node);
        expected.most -= 1;
        return;
      case "destroyCluster":
        expected.mayBeGone = true;
        if (!isUnknown) expected.isGone = true;
        break;
      default:
    }
  }

  /** A node whose leave was given up may be there or not. */
  #expectAborted(plan: string): void {
    for (const [name, expected] of this.expected) {
      if (!plan.startsWith(`${name}-leave-`)) continue;
      expected.most += 1;
    }
  }

  /** In the calm: looks at every cluster, and does what only a person can decide. */
  tend(): void {
    const leader = this.#leader();
    const state = leader?.state;
    if (leader === undefined || state === undefined || !state.connected) return;
    for (const cluster of state.clusters.values()) if (this.#tendCluster(leader, state, cluster)) return;
  }

  #tendCluster(leader: SchedulerProcess, state: State, cluster: ClusterState): boolean {
    const { name, status, activePlans } = clusterView(state, cluster);
    if (status === "removing") return false;
    const nodes = [...cluster.nodes.values()].map(nodeView);
    for (const { id, phase, agentId } of nodes) {
      const isHomeless = agentId !== undefined && !this.#world.agents.some((agent) => agent.id === agentId);
      if (phase === "lost" || isHomeless) {
        const isHandled = activePlans.some(
          (plan) =>
            /-(?:replace|leave)-\d+$/.test(plan) &&
            state.plans.get(plan)?.steps.some(({ node }) => node === id) === true,
        );
        if (this.hopeless.has(id) || isHandled) continue;
        if (phase !== "stopped" && this.#once(`replace ${id}`, 3))
          this.#submit(leader, { type: "replaceNode", cluster: name, node: id });
        else if (this.#once(`force ${id}`, 1))
          this.#submit(leader, { type: "removeNode", cluster: name, node: id, force: true }, false);
        else continue;
        return true;
      }
    }
    const stuck = activePlans.find((id) => this.#isStuck(state, id));
    if (stuck !== undefined) {
      this.#submit(leader, { type: "abortPlan", plan: stuck });
      return true;
    }
    if (activePlans.length === 0 && this.#rejoin(leader, name)) return true;
    const idle = nodes.find(({ phase }) => phase === "waiting" || phase === "stopped" || phase === "down");
    if (activePlans.length > 0 || idle === undefined || !this.#once(`start ${idle.id}`, 20)) return false;
    this.#submit(leader, { type: "startNode", cluster: name, node: idle.id });
    return true;
  }

  /** A node that runs beside its ring, since its join was given up, is taken out and a new one added. */
  #rejoin(leader: SchedulerProcess, cluster: string): boolean {
    const ring = this.#world.rings.get(cluster);
    const outside = [...(ring?.processes.values() ?? [])].find(
      ({ task, startedMs }) => ring?.members.has(task.node) === false && this.#world.nowMs - startedMs > 600_000,
    );
    const nodes = [...(leader.state?.clusters.get(cluster)?.nodes.keys() ?? [])];
    const node = outside?.task.node ?? nodes.find((id) => ring?.leavers.has(id) === true);
    const expected = this.expected.get(cluster);
    if (node !== undefined && this.#once(`rejoin ${node}`, 3)) {
      this.#submit(leader, { type: "removeNode", cluster, node, force: true }, false);
      return true;
    }
    const count = nodes.length;
    if (expected === undefined || count >= expected.least || !this.#once(`add to ${cluster}`, 10)) return false;
    this.#submit(leader, { type: "addNodes", cluster, count: 1 }, false);
    return true;
  }

  /** Whether a step of the plan says again and again that it failed, or it takes longer than anybody waits. */
  #isStuck(state: State, id: string): boolean {
    const plan = state.plans.get(id);
    if (plan === undefined || plan.kind === "remove" || plan.kind === "recover") return false;
    if (this.#once(`watch ${id}`, 1)) this.#watched.set(id, this.#world.nowMs);
    if (this.#world.nowMs - (this.#watched.get(id) ?? 0) > PATIENCE_MS) return this.#once(`abort ${id}`, 1);
    const failing = planView(state, plan, this.#world.nowMs).steps.some(({ waitsFor }) =>
      waitsFor.some(({ check, found }) => check === "back-off" && Number.parseInt(found, 10) >= 6),
    );
    return failing && this.#once(`abort ${id}`, 1);
  }

  #once(what: string, most: number): boolean {
    const times = (this.#trouble.get(what) ?? 0) + 1;
    this.#trouble.set(what, times);
    return times <= most;
  }
}

function bodyOf(name: string, database: string, nodes: number): object {
  return {
    name,
    database,
    version: database === "riak" ? "3.2.3" : "5.0.4",
    nodes,
    resources: { cpus: 1, memMb: 2048, diskMb: 1024 },
    package: `https://artifacts.example/${database}.tar.gz`,
  };
}
