// What must never happen, seen from outside: on the wire, on agents and volumes, in the databases. Knows nothing of the
// scheduler's or an executor's state.
import type { Operation } from "../../src/mesos/operations.ts";
import type { Offer } from "../../src/mesos/offer.ts";
import type { Resource } from "../../src/mesos/resources.ts";
import type { TaskInfo, TaskStatus } from "../../src/mesos/task.ts";
import type { Action } from "../../src/scheduler/events.ts";
import type { World } from "./world.ts";

/** A broken law. `kind` groups failures of one sort. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(`${kind}: ${message}`);
    this.kind = kind;
  }
}

const OWNER = "ringmaster.framework";

export class Checks {
  readonly #world: World;
  readonly #taskIds = new Set<string>();
  readonly #volumeIds = new Set<string>();
  /** Nodes by id whose end an operator has asked for: their volumes may go. */
  readonly released = new Set<string>();
  /** Nodes by id whose data an operator has given up. */
  readonly givenUp = new Set<string>();
  /** Of those, nodes that stay members while they live: a replacement may be called off, a command without an answer be lost. */
  readonly mayLive = new Set<string>();
  /** Last server task that was launched for a node, by node id. */
  readonly #latest = new Map<string, string>();
  /** Tasks that a kill was sent for: further ones only repeat it. */
  readonly #killed = new Set<string>();
  /** Live tasks that Mesos has not yet told the present subscription about. */
  #untold = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  fail(kind: string, message: string): never {
    throw new Violation(kind, message);
  }

  /** What a scheduler wants done after one event: saves first, every offer answered at once. */
  decided(actions: readonly Action[], offers: readonly Offer[]): void {
    const found = disorder(actions, offers);
    if (found !== undefined) this.fail(found.kind, found.message);
  }

  /** A new subscription: it has to hear of all live tasks before it may launch. */
  subscribed(frameworkId: string | undefined): void {
    this.#untold = new Set();
    const { master } = this.#world;
    for (const [node, task] of this.#latest)
      // Of tasks of a framework that it was before it can hear nothing.
      if (
        master.taskInfo(task)?.executor.frameworkId === frameworkId &&
        !this.#isGivenUp(node) &&
        this.#world.agents.some((agent) => agent.hasLive(task))
      )
        this.#untold.add(task);
  }

  /** Its end was asked for, or its ring goes on without it. */
  #isGivenUp(node: string): boolean {
    return this.released.has(node) || [...this.#world.rings.values()].some(({ removed }) => removed.has(node));
  }

  told({ taskId }: TaskStatus): void {
    this.#untold.delete(taskId);
  }

  /** An operation that the master takes. */
  operation(operation: Operation): void {
    if (operation.type === "launch") {
      for (const task of operation.tasks) this.#launch(task);
    } else if (operation.type === "create") {
      for (const { volume } of operation.volumes) {
        const id = volume?.id ?? "";
        if (this.#volumeIds.has(id)) this.fail("ids", `volume id "${id}" is used twice`);
        this.#volumeIds.add(id);
      }
    }
    for (const resource of resourcesOf(operation)) {
      const owner = resource.reservations.at(-1)?.labels[OWNER];
      if (!this.#world.master.frameworks.given.has(owner ?? ""))
        this.fail("foreign", `${operation.type} of ${resource.name}, which belongs to "${owner ?? "nobody"}"`);
      if (operation.type === "destroy") this.#destroy(resource);
    }
  }

  #launch(task: TaskInfo): void {
    if (this.#taskIds.has(task.taskId)) this.fail("ids", `task id "${task.taskId}" is used twice`);
    this.#taskIds.add(task.taskId);
    if (!task.taskId.endsWith(".server")) return;
    const node = task.labels["ringmaster.node"] ?? "";
    for (const agent of this.#world.agents) {
      const other = agent.liveServer(node);
      if (other !== undefined)
        this.fail(
          "two tasks",
          `"${task.taskId}" is launched while "${other}" of node "${node}" lives on ${agent.hostname}`,
        );
    }
    const latest = this.#latest.get(node);
    if (latest !== undefined && this.#world.master.hasLive(latest) && !this.released.has(node))
      this.fail("two tasks", `"${task.taskId}" is launched while Mesos has "${latest}" of node "${node}" as live`);
    const untold = [...this.#untold].find((taskId) => this.#world.agents.some((agent) => agent.hasLive(taskId)));
    if (untold !== undefined)
      this.fail("reconciliation", `"${task.taskId}" is launched before Mesos has told about "${untold}", which lives`);
    this.#latest.set(node, task.taskId);
  }

  #destroy({ volume }: Resource): void {
    const holder = this.#world.agents
      .map((agent) => agent.volumes.get(volume?.id ?? ""))
      .find((found) => found !== undefined);
    if (holder?.node === undefined || this.released.has(holder.node)) return;
    const ring = this.#world.rings.get(holder.cluster ?? "");
    if (ring?.isHome(holder.node, holder) === true)
      this.fail("data", `volume "${holder.id}" of member "${holder.node}" is destroyed, and nobody has asked for it`);
  }

  kill(taskId: string): void {
    const world = this.#world;
    // A kill of what never arrived hits nobody.
    if (!this.#taskIds.has(taskId) && world.agents.some((agent) => agent.hasLive(taskId)))
      this.fail("foreign", `task "${taskId}", which no ACCEPT of ours has launched, is killed`);
    if (this.#killed.has(taskId)) return;
    this.#killed.add(taskId);
    const task = world.master.nodeOf(taskId);
    if (task === undefined || !taskId.endsWith(".server") || this.released.has(task.node)) return;
    world.rings.get(task.cluster)?.checkKill(task.node);
  }
}

/** What is wrong with the order of a decision's actions: saves come first, every offer is answered at once. */
export function disorder(
  actions: readonly Action[],
  offers: readonly Offer[],
): { readonly kind: string; readonly message: string } | undefined {
  const firstCall = actions.findIndex(({ type }) => type !== "save" && type !== "forget");
  const lastSave = actions.findLastIndex(({ type }) => type === "save" || type === "forget");
  if (firstCall !== -1 && firstCall < lastSave)
    return { kind: "order", message: `a ${actions[firstCall]?.type} comes before a save` };
  const answered = new Set(actions.flatMap((action) => ("offerIds" in action ? action.offerIds : [])));
  const open = offers.find(({ id }) => !answered.has(id));
  return open === undefined ? undefined : { kind: "offers", message: `offer "${open.id}" was not answered at once` };
}

function resourcesOf(operation: Operation): readonly Resource[] {
  if (operation.type === "destroy") return operation.volumes;
  return operation.type === "unreserve" ? operation.resources : [];
}
