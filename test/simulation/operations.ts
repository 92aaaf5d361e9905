// Offer operations on a simulated agent: carried out as far as its resources allow, their outcomes told until acknowledged.
import type { Operation } from "../../src/mesos/operations.ts";
import { withoutVolume, type Resource } from "../../src/mesos/resources.ts";
import type { OperationState } from "../../src/mesos/task.ts";
import type { Agent } from "./agent.ts";
import type { World } from "./world.ts";

/** How an agent sends: what is lost on the way is sent again. */
type Link = {
  readonly toMaster: (run: () => void) => void;
  readonly again: (attempt: number, run: () => void) => void;
  readonly uuid: () => Uint8Array;
};

export class Operations {
  readonly #world: World;
  readonly #agent: Agent;
  readonly #link: Link;
  /** Outcomes that the framework has not acknowledged, by operation id. */
  readonly #outcomes = new Map<
    string,
    { readonly state: OperationState; readonly uuid: Uint8Array; readonly frameworkId: string; attempt: number }
  >();
  /** Ids of all operations that arrived. */
  readonly #known = new Set<string>();

  constructor(world: World, agent: Agent, link: Link) {
    this.#world = world;
    this.#agent = agent;
    this.#link = link;
  }

  knows(id: string): boolean {
    return this.#known.has(id);
  }

  /** Carries an operation out as far as the agent's own resources allow. */
  apply(operation: Exclude<Operation, { type: "launch" }>): void {
    const { total, volumes, hostname } = this.#agent;
    const { id } = operation;
    const resources = "volumes" in operation ? operation.volumes : operation.resources;
    const before = beforeOf(operation.type, resources);
    const fits = total.has(before);
    if (fits) {
      total.remove(before);
      total.add(afterOf(operation.type, resources));
      for (const { volume } of resources) {
        if (volume === undefined) continue;
        if (operation.type === "create")
          volumes.set(volume.id, { id: volume.id, marker: undefined, hasFiles: false, data: new Map() });
        else if (operation.type === "destroy") volumes.delete(volume.id);
      }
    }
    this.#world.timeline.say(`${hostname}: ${operation.type} ${fits ? "done" : "does not fit"} ${labelOf(resources)}`);
    if (id === undefined) return;
    this.tell(id, fits ? "OPERATION_FINISHED" : "OPERATION_FAILED");
  }

  /** Tells how an operation ended, until that is acknowledged. */
  tell(id: string, state: OperationState): void {
    this.#known.add(id);
    const frameworkId = this.#world.master.frameworks.id ?? "";
    this.#outcomes.set(id, { state, uuid: this.#link.uuid(), frameworkId, attempt: 0 });
    this.#send(id);
  }

  /** Another registration: all that is not acknowledged is told again. */
  tellAll(): void {
    for (const [id, outcome] of this.#outcomes) {
      outcome.attempt = 0;
      this.#send(id);
    }
  }

  #send(id: string): void {
    const outcome = this.#outcomes.get(id);
    if (outcome === undefined) return;
    const { state, uuid, frameworkId } = outcome;
    const agent = this.#agent;
    this.#link.toMaster(() =>
      this.#world.master.operationUpdate(agent, frameworkId, { operationId: id, state, uuid, agentId: agent.id }),
    );
    this.#link.again(outcome.attempt++, () => this.#send(id));
  }

  acknowledge(id: string): void {
    this.#outcomes.delete(id);
  }

  /** The host is set up anew, or the framework is removed: nobody hears of them any more. */
  clear(frameworkId?: string): void {
    for (const [id, outcome] of this.#outcomes)
      if (frameworkId === undefined || outcome.frameworkId === frameworkId) this.#outcomes.delete(id);
  }
}

/** What an operation takes, and what it makes of it. */
export function beforeOf(type: Operation["type"], resources: readonly Resource[]): readonly Resource[] {
  if (type === "reserve")
    return resources.map((resource) => ({ ...resource, reservations: resource.reservations.slice(0, -1) }));
  return type === "create" ? resources.map(withoutVolume) : resources;
}

export function afterOf(type: Operation["type"], resources: readonly Resource[]): readonly Resource[] {
  if (type === "unreserve")
    return resources.map((resource) => ({ ...resource, reservations: resource.reservations.slice(0, -1) }));
  return type === "destroy" ? resources.map(withoutVolume) : resources;
}

function labelOf(resources: readonly Resource[]): string {
  return resources[0]?.reservations.at(-1)?.labels["ringmaster.reservation"] ?? "";
}
