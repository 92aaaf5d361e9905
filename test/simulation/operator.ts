// Operators: commands at random moments, wrong ones too, and what may be expected of a cluster after them.
import type { Command } from "../../src/scheduler/events.ts";
import type { State } from "../../src/scheduler/state.ts";
import type { SchedulerProcess } from "./scheduler.ts";
import type { World } from "./world.ts";

/** What operators may count on of a cluster: how many nodes it has at least and at most, and whether it may be gone. */
type Expected = { least: number; most: number; isGone: boolean; mayBeGone: boolean; readonly removed: Set<string> };

const NAMES = ["demo", "big-data"];

export class Operator {
  readonly #world: World;
  readonly expected = new Map<string, Expected>();
  /** Clusters whose destruction was asked for. */
  readonly destroyed = new Set<string>();
  /** Nodes that an operator can neither replace nor remove, with what their database says to it. */
  readonly hopeless = new Map<string, string>();
  /** Nodes that were to be replaced, and those in their place: which of the two is one too many is open. */
  readonly #pairs = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  get leader(): SchedulerProcess | undefined {
    return this.#world.schedulers.find(({ state }) => state !== undefined);
  }

  get view(): State | undefined {
    return this.leader?.state;
  }

  /** One command of no particular wisdom. */
  act(): void {
    const leader = this.leader;
    const state = leader?.state;
    if (leader === undefined || state === undefined) return;
    const command = this.#choose(state);
    if (command !== undefined) this.submit(leader, command);
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
    const isKept = state.clusters.has(cluster) && !this.destroyed.has(cluster);
    const plan = chance.hit(0.2)
      ? "demo-restart-77"
      : ([...state.plans.values()].findLast(({ status }) => status === "running")?.id ?? "none");
    return chance.weighted<Command>([
      [{ type: "createCluster", body: { name: "Wrong Name", database: "oracle" } }, 0.5],
      // A name may be used again once its cluster is gone, which this world does not follow.
      [{ type: "createCluster", body: bodyOf(cluster, "cassandra", 2) }, isKept ? 0.5 : 0],
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
  submit(
    leader: SchedulerProcess,
    command: Command,
    counts = true,
    heard?: (how: "given" | "refused" | "unknown") => void,
  ): void {
    const { released, givenUp } = this.#marksOf(command, leader.state);
    const clusters = [...(leader.state?.clusters.keys() ?? [])];
    const { checks } = this.#world;
    // A command may work before it is answered; what it may lead to is taken back when it is refused.
    const newlyReleased = released.filter((node) => !checks.released.has(node));
    const newlyGivenUp = givenUp.filter((node) => !checks.givenUp.has(node));
    for (const node of newlyReleased) checks.released.add(node);
    for (const node of newlyGivenUp) checks.givenUp.add(node);
    leader.submit(command, (outcome) => {
      const isUnknown = outcome.type === "unknown";
      if (isUnknown) this.#world.timeline.say(`operator: no answer to ${JSON.stringify(command)}`);
      heard?.(outcome.type === "refused" || isUnknown ? outcome.type : "given");
      if (outcome.type === "refused") {
        const isLastResort = command.type === "removeNode" && command.force;
        for (const node of newlyReleased) checks.released.delete(node);
        for (const node of newlyGivenUp) checks.givenUp.delete(node);
        if ("node" in command && isLastResort && !/takes its place|at work/.test(outcome.message))
          this.hopeless.set(command.node, outcome.message);
        return;
      }
      const isEnd = command.type === "destroyCluster" || command.type === "uninstallFramework";
      const mayLive = command.type === "replaceNode" || (isEnd && isUnknown);
      for (const node of givenUp)
        if (mayLive) checks.mayLive.add(node);
        else checks.mayLive.delete(node);
      if (command.type === "destroyCluster") this.destroyed.add(command.cluster);
      else if (command.type === "uninstallFramework") for (const cluster of clusters) this.destroyed.add(cluster);
      else this.#harm(givenUp);
      if (outcome.type === "accepted" && command.type === "replaceNode")
        for (const { node } of leader.state?.plans.get(outcome.plan)?.steps ?? [])
          if (node !== undefined) this.#pairs.add(node);
      if (counts) this.#expect(command, isUnknown);
    });
  }

  /** What a command may lead to: whose process may end, and whose data. */
  #marksOf(
    command: Command,
    state: State | undefined,
  ): { readonly released: readonly string[]; readonly givenUp: readonly string[] } {
    switch (command.type) {
      case "destroyCluster": {
        const nodes = [...(state?.clusters.get(command.cluster)?.nodes.keys() ?? [])];
        return { released: nodes, givenUp: nodes };
      }
      case "uninstallFramework": {
        const nodes = [...(state?.clusters.values() ?? [])].flatMap((cluster) => [...cluster.nodes.keys()]);
        return { released: nodes, givenUp: nodes };
      }
      case "replaceNode":
        return { released: [command.node], givenUp: [command.node] };
      case "removeNode":
        return { released: [command.node], givenUp: command.force ? [command.node] : [] };
      case "stopNode":
        return { released: [command.node], givenUp: [] };
      default:
        return { released: [], givenUp: [] };
    }
  }

  /** The copies of these nodes are gone by an operator's will. */
  #harm(nodes: readonly string[]): void {
    for (const ring of this.#world.rings.values())
      for (const node of nodes) {
        const volume = ring.members.get(node);
        if (volume !== undefined) ring.harmed(volume);
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
    if (command.type === "uninstallFramework") {
      for (const expected of this.expected.values()) {
        expected.mayBeGone = true;
        if (!isUnknown) expected.isGone = true;
      }
      return;
    }
    if (!("cluster" in command)) return;
    const expected = this.expected.get(command.cluster);
    if (expected === undefined) return;
    switch (command.type) {
      case "addNodes":
        if (command.count < 1) return;
        expected.most += command.count;
        if (!isUnknown) expected.least += command.count;
        return;
      case "removeNode":
        if (!expected.removed.has(command.node)) expected.least = Math.max(1, expected.least - 1);
        if (isUnknown || expected.removed.has(command.node)) return;
        expected.removed.add(command.node);
        if (!this.#pairs.has(command.node)) expected.most = Math.max(1, expected.most - 1);
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
