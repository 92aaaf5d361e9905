// Offer operations as plain data, and one builder for each that refuses wrong use.
import { assert } from "../std/assert.ts";
import {
  asVolume,
  isReserved,
  type Labels,
  type Reservation,
  reserved,
  type Resource,
  type Volume,
} from "./resources.ts";
import type { TaskInfo } from "./task.ts";

/** `id`: asks the agent to report the operation's outcome (agents of Mesos 1.8 and later). */
export type Operation =
  | { readonly type: "reserve"; readonly resources: readonly Resource[]; readonly id?: string }
  | { readonly type: "unreserve"; readonly resources: readonly Resource[]; readonly id?: string }
  | { readonly type: "create"; readonly volumes: readonly Resource[]; readonly id?: string }
  | { readonly type: "destroy"; readonly volumes: readonly Resource[]; readonly id?: string }
  | { readonly type: "launch"; readonly tasks: readonly TaskInfo[] };

/**
 * Reserves `resources` (as an offer has them), which must be allocated to the reservation's role. `resources` of the answer
 * is what they are afterwards.
 */
export function reserve(
  resources: readonly Resource[],
  reservation: Omit<Reservation, "type">,
): { readonly operation: Operation; readonly resources: readonly Resource[] } {
  assert(resources.length > 0, () => "a RESERVE names at least one resource");
  assert(
    Object.keys(reservation.labels).length > 0,
    () => "a reservation carries labels, or it could not be told from others'",
  );
  for (const { name, volume, allocatedTo } of resources) {
    assert(volume === undefined, () => `${name} cannot be reserved: it is volume "${volume?.id}"`);
    assert(
      allocatedTo === undefined || allocatedTo === reservation.role,
      () => `${name} is offered to role "${allocatedTo}", the reservation is for "${reservation.role}"`,
    );
  }
  const after = reserved(resources, { type: "DYNAMIC", ...reservation });
  return { operation: { type: "reserve", resources: after }, resources: after };
}

/** Makes one persistent volume of a reserved disk. `volume` of the answer is the disk afterwards. */
export function createVolume(
  disk: Resource,
  volume: Volume,
): { readonly operation: Operation; readonly volume: Resource } {
  assert(disk.reservations.length > 0, () => `volume "${volume.id}" needs a disk that is reserved`);
  const after = asVolume(disk, volume);
  return { operation: { type: "create", volumes: [after] }, volume: after };
}

/** Launches tasks of one executor. */
export function launch(tasks: readonly TaskInfo[]): Operation {
  const [first] = tasks;
  assert(first !== undefined, () => "a LAUNCH names at least one task");
  for (const { taskId, agentId, executor } of tasks) {
    assert(
      agentId === first.agentId,
      () => `task "${taskId}" is for agent "${agentId}", task "${first.taskId}" for "${first.agentId}"`,
    );
    assert(
      executor.executorId === first.executor.executorId,
      () =>
        `task "${taskId}" has executor "${executor.executorId}", task "${first.taskId}" has "${first.executor.executorId}"`,
    );
  }
  return { type: "launch", tasks };
}

/** Destroys volumes with all data on them. `owner`: labels that their reservations must carry. */
export function destroyVolumes(volumes: readonly Resource[], owner: Labels, id?: string): Operation {
  assert(volumes.length > 0, () => "a DESTROY names at least one volume");
  for (const resource of volumes) {
    assert(resource.volume !== undefined, () => `${resource.name} cannot be destroyed: it is no volume`);
    assertOwned(resource, owner, `volume "${resource.volume.id}"`);
  }
  return { type: "destroy", volumes, ...(id === undefined ? {} : { id }) };
}

/** Gives reserved resources back. `owner`: labels that their reservations must carry. */
export function unreserve(resources: readonly Resource[], owner: Labels, id?: string): Operation {
  assert(resources.length > 0, () => "an UNRESERVE names at least one resource");
  for (const resource of resources) {
    assert(
      resource.volume === undefined,
      () => `${resource.name} cannot be unreserved: it is volume "${resource.volume?.id}"`,
    );
    assertOwned(resource, owner, resource.name);
  }
  return { type: "unreserve", resources, ...(id === undefined ? {} : { id }) };
}

function assertOwned(resource: Resource, owner: Labels, what: string): void {
  assert(Object.keys(owner).length > 0, () => "an owner has at least one label");
  assert(
    isReserved(resource, owner) && resource.reservations.at(-1)?.type === "DYNAMIC",
    () => `${what} carries no dynamic reservation with the labels ${JSON.stringify(owner)}`,
  );
}
