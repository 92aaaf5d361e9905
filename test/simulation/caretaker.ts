// In the calm: what a person would do about clusters that do not come to rest by themselves, one command after the other.
import type { Command } from "../../src/scheduler/events.ts";
import type { ClusterState, NodeRecord, State } from "../../src/scheduler/state.ts";
import { reasonText } from "../../src/std/reason.ts";
import { clusterView, planView } from "../../src/scheduler/views.ts";
import type { SchedulerProcess } from "./scheduler.ts";
import type { World } from "./world.ts";

/** A plan that takes longer than this in the calm is given up. */
const PATIENCE_MS = 1_800_000;
/** So long nothing is done about a dead node. */
const DEAD_MS = 900_000;
/** Where nobody has any data left, so many plans that come to nothing are enough: the cluster is destroyed. */
const FUTILE_ABORTS = 3;
/** A node that runs beside its ring for so long is brought there. */
const BESIDE_MS = 600_000;

export class Caretaker {
  readonly #world: World;
  /** How often something was tried about a trouble. */
  readonly #tries = new Map<string, number>();
  /** How often a command was not refused. */
  readonly #given = new Map<string, number>();
  /** Nodes that plans have waited for in vain. */
  readonly #awaited = new Set<string>();
  /** Since when plans are watched. */
  readonly #watched = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Looks at every cluster, and does one thing. */
  tend(): void {
    const { leader } = this.#world.operator;
    const state = leader?.state;
    if (leader === undefined || state === undefined || !state.connected) return;
    for (const cluster of state.clusters.values()) {
      const command = this.#choose(state, cluster);
      if (command === undefined) continue;
      this.#submit(leader, command);
      return;
    }
  }

  /** Whoever has lost patience with a node wants as many as before; replacing one changes nothing about that either. */
  #submit(leader: SchedulerProcess, command: Command): void {
    const what = `${command.type} ${"node" in command ? command.node : ""}`;
    const counts = command.type === "destroyCluster";
    this.#world.operator.submit(leader, command, counts, (how) =>
      how === "refused" ? undefined : this.#given.set(what, (this.#given.get(what) ?? 0) + 1),
    );
  }

  #choose(state: State, cluster: ClusterState): Command | undefined {
    const { name, status, activePlans } = clusterView(state, cluster);
    if (status === "removing") return undefined;
    const nodes = [...cluster.nodes.values()].sort((a, b) => a.number - b.number);
    const isGoing = ({ id }: NodeRecord): boolean =>
      activePlans.some(
        (plan) =>
          /-(?:replace|leave)-\d+$/.test(plan) &&
          state.plans.get(plan)?.steps.some(({ type, node }) => type === "release" && node === id) === true,
      );
    const kept = nodes.filter((node) => !isGoing(node));
    // Two changes of one ring at once are refused; only what waits for its rest lets another begin.
    const isBusy = activePlans.some(
      (plan) =>
        /-(?:replace|leave)-\d+$/.test(plan) &&
        state.plans
          .get(plan)
          ?.steps.some(
            ({ type, operation, status: open }) => open !== "done" && type !== "release" && operation !== "settle",
          ) === true,
    );
    // What the doctor says to an executor that hangs while others are away.
    const silent = nodes.find(({ id, phase }) => phase === "running" && this.#isSilent(state, id));
    const other = activePlans.find((id) => isInTheWay(state, id, silent?.id));
    if (silent !== undefined && !isBusy && other !== undefined) return { type: "abortPlan", plan: other };
    if (silent !== undefined && !isBusy && this.#try(`stop ${silent.id}`, 20))
      return { type: "stopNode", cluster: name, node: silent.id };
    // First those that others were seen to wait for, then members: those that never joined wait for them.
    const rank = ({ id, joined }: NodeRecord): number => (this.#awaited.has(id) ? 0 : joined ? 1 : 2);
    const deadForLong = kept.filter((node) => this.#isDeadForLong(node));
    for (const dead of deadForLong.sort((a, b) => rank(a) - rank(b))) {
      const isHopeless = isBusy || this.#world.operator.hopeless.has(dead.id);
      const command = isHopeless ? undefined : this.#about(lastHeir(dead, nodes), kept.length);
      if (command !== undefined) return command;
    }
    const isAllGone = nodes.some(({ joined }) => joined) && nodes.every((node) => !node.joined || this.#isDead(node));
    if (isAllGone && (this.#given.get(`abort in ${name}`) ?? 0) >= FUTILE_ABORTS)
      return { type: "destroyCluster", cluster: name };
    const stuck = activePlans.find((id) => this.#isStuck(state, id));
    if (stuck !== undefined) {
      for (const line of waitsOf(state, stuck, this.#world.nowMs)) {
        this.#world.timeline.say(`operator: reads ${line}`);
        for (const { id } of nodes) if (line.includes(`node "${id}"`)) this.#awaited.add(id);
      }
      this.#given.set(`abort in ${name}`, (this.#given.get(`abort in ${name}`) ?? 0) + 1);
      return { type: "abortPlan", plan: stuck };
    }
    const isOpen = activePlans.some((id) => state.plans.get(id)?.kind !== "recover");
    return isOpen ? undefined : this.#whenIdle(name, nodes, activePlans.length > 0);
  }

  /** Whether the node's data is gone, as far as a person can find out. */
  #isDead({ phase, place }: NodeRecord): boolean {
    const isHomeless = place !== undefined && !this.#world.agents.some((agent) => agent.id === place.agentId);
    return phase === "lost" || isHomeless;
  }

  /** The scheduler replaces what it can by itself. */
  #isDeadForLong(node: NodeRecord): boolean {
    const key = `dead ${node.id}`;
    if (!this.#isDead(node)) return false;
    if (this.#try(key, 1)) this.#watched.set(key, this.#world.nowMs);
    return this.#world.nowMs - (this.#watched.get(key) ?? 0) > DEAD_MS;
  }

  /**
   * One too many is removed, another replaced; what cannot be replaced is removed by force. So is what never joined, when
   * others wait for it: nobody has anything of it to take over.
   */
  #about({ id, cluster, joined }: NodeRecord, count: number): Command | undefined {
    if (!joined && this.#awaited.has(id) && this.#try(`force ${id}`, 2))
      return { type: "removeNode", cluster, node: id, force: true };
    const most = this.#world.operator.expected.get(cluster)?.most ?? count;
    const isReplaced = (this.#given.get(`replaceNode ${id}`) ?? 0) >= 3;
    if (count <= most && !isReplaced && this.#try(`replace ${id}`, 10))
      return { type: "replaceNode", cluster, node: id };
    return this.#try(`force ${id}`, 2) ? { type: "removeNode", cluster, node: id, force: true } : undefined;
  }

  #whenIdle(cluster: string, nodes: readonly NodeRecord[], recovers: boolean): Command | undefined {
    const ring = this.#world.rings.get(cluster);
    const expected = this.#world.operator.expected.get(cluster);
    const stranger = this.#stranger(cluster, nodes);
    if (stranger !== undefined) return stranger;
    const idle = nodes.find(
      ({ id, phase, outside, expelled }) =>
        (phase === "waiting" || phase === "stopped" || phase === "down") &&
        outside !== "left" &&
        expelled !== true &&
        (this.#given.get(`startNode ${id}`) ?? 0) < 3 &&
        this.#try(`start ${id}`, 20),
    );
    if (idle !== undefined) return { type: "startNode", cluster, node: idle.id };
    // Its replacement was given up after its ring had been told to go on without it.
    const expelled = nodes.find(({ expelled: isOut, phase }) => isOut === true && phase !== "running");
    const instead = expelled === undefined ? undefined : this.#about(lastHeir(expelled, nodes), nodes.length);
    if (instead !== undefined) return instead;
    const gone = nodes.find(
      ({ id, outside, phase }) =>
        (ring?.leavers.has(id) === true && !ring.members.has(id)) || (outside === "left" && phase !== "running"),
    );
    if (gone !== undefined && this.#try(`take out ${gone.id}`, 3))
      return { type: "removeNode", cluster, node: gone.id, force: true };
    if (recovers) return undefined;
    const futile = nodes.find(({ id, phase }) => phase !== "running" && (this.#given.get(`startNode ${id}`) ?? 0) >= 3);
    const another = futile === undefined ? undefined : this.#about(futile, nodes.length);
    if (another !== undefined) return another;
    const most = expected?.most ?? nodes.length;
    // What is not needed is what serves least.
    const spare = [...nodes].reverse().find(({ id }) => ring?.serving(id) === undefined) ?? nodes.at(-1);
    if (nodes.length > most && spare !== undefined && this.#try(`spare ${spare.id}`, 10))
      return { type: "removeNode", cluster, node: spare.id, force: spare.phase !== "running" || !spare.healthy };
    const replaced = nodes.find(({ replacedBy }) =>
      nodes.some(({ id, place }) => id === replacedBy && place !== undefined),
    );
    if (replaced !== undefined && this.#try(`end ${replaced.id}`, 3))
      return { type: "replaceNode", cluster, node: replaced.id };
    if (replaced !== undefined && this.#try(`remove ${replaced.id}`, 3))
      return { type: "removeNode", cluster, node: replaced.id, force: true };
    const beside = nodes.find(({ id }) => this.#isBeside(cluster, id));
    if (beside !== undefined && this.#try(`join ${beside.id}`, 3))
      return { type: "startNode", cluster, node: beside.id };
    if (beside !== undefined && this.#try(`take out ${beside.id}`, 3))
      return { type: "removeNode", cluster, node: beside.id, force: true };
    const isWhole = nodes.every(({ phase, healthy }) => phase === "running" && healthy);
    if (isWhole && nodes.length < (expected?.least ?? 0) && this.#try(`add to ${cluster}`, 10))
      return { type: "addNodes", cluster, count: 1 };
    return undefined;
  }

  /** What the doctor says to a dead member of the ring that is no node of the cluster. */
  #stranger(cluster: string, nodes: readonly NodeRecord[]): Command | undefined {
    const ring = this.#world.rings.get(cluster);
    const member = [...(ring?.members.keys() ?? [])].find((name) => !nodes.some(({ id }) => id === name));
    const host = nodes.find(({ id }) => ring?.serving(id) !== undefined);
    if (member === undefined || host === undefined || !this.#try(`stranger ${member}`, 5)) return undefined;
    return { type: "operate", cluster, node: host.id, operation: "remove-stranger", args: { member } };
  }

  /** Whether the node's executor hangs, and a restart waits for others for long. */
  #isSilent(state: State, node: string): boolean {
    const isWaiting = [...state.plans.values()].some(
      ({ kind, status, createdMs, steps }) =>
        kind === "restart" &&
        status === "running" &&
        steps.every((step) => step.node === node) &&
        this.#world.nowMs - createdMs > DEAD_MS,
    );
    return (
      isWaiting &&
      this.#world.agents.some(({ containers }) =>
        [...containers.values()].some(
          ({ executor, process }) => process?.hangs === true && executor.labels["ringmaster.node"] === node,
        ),
      )
    );
  }

  /** Whether the node runs and never came to its ring. */
  #isBeside(cluster: string, node: string): boolean {
    const ring = this.#world.rings.get(cluster);
    const process = ring?.processes.get(node);
    if (ring === undefined || ring.members.has(node)) return false;
    return process !== undefined && this.#world.nowMs - process.startedMs > BESIDE_MS;
  }

  /** Whether a step of the plan says again and again that it failed, or it takes longer than anybody waits. */
  #isStuck(state: State, id: string): boolean {
    const plan = state.plans.get(id);
    if (plan === undefined || plan.kind === "remove" || plan.kind === "recover") return false;
    if (this.#try(`watch ${id}`, 1)) this.#watched.set(id, this.#world.nowMs);
    if (this.#world.nowMs - (this.#watched.get(id) ?? 0) > PATIENCE_MS) return this.#try(`abort ${id}`, 1);
    const failing = planView(state, plan, this.#world.nowMs).steps.some(({ waitsFor }) =>
      waitsFor.some(({ check, found }) => check === "back-off" && Number.parseInt(found, 10) >= 6),
    );
    return failing && plan.kind !== "start" && this.#try(`abort ${id}`, 1);
  }

  #try(what: string, most: number): boolean {
    const times = (this.#tries.get(what) ?? 0) + 1;
    this.#tries.set(what, times);
    return times <= most;
  }
}

/** Whether a plan about other nodes keeps an operator from stopping this one. */
function isInTheWay(state: State, id: string, node: string | undefined): boolean {
  const steps = state.plans.get(id)?.steps ?? [];
  return steps[0]?.type !== "replace" && steps.some((step) => step.node !== node);
}

/** What the open steps of a plan wait for, in the words that an operator reads. */
export function waitsOf(state: State, id: string, nowMs: number): readonly string[] {
  const plan = state.plans.get(id);
  if (plan === undefined) return [];
  return planView(state, plan, nowMs).steps.flatMap(({ name, waitsFor }) =>
    waitsFor.map((reason) => `plan ${id}, ${name}: ${reasonText(reason)}`),
  );
}

/** The last of those that were to take a node's place, when that is dead too: it goes first. */
function lastHeir(node: NodeRecord, nodes: readonly NodeRecord[]): NodeRecord {
  const heir = nodes.find(({ id }) => id === node.replacedBy);
  return heir === undefined || heir.phase === "running" ? node : lastHeir(heir, nodes);
}
