// What must hold after every decision, in production too: a broken one stops the scheduler before it acts.
import type { TaskInfo } from "../mesos/task.ts";
import type { Decision } from "../std/decision.ts";
import type { Action } from "./events.ts";
import { executorOfServer, reservationOf } from "./launch.ts";
import { findNode, type LeftoverRecord, type NodeRecord, type State } from "./state.ts";

/** Every invariant that a decision breaks, as a sentence; looks only at the records that it saves and at what it does. */
export function brokenInvariants(before: State, { state, actions }: Decision<State, Action>): readonly string[] {
  return actions.flatMap((action) => {
    if (action.type === "accept") return brokenAccept(state, action);
    if (action.type !== "save") return [];
    const [folder, id = ""] = action.path.split("/");
    if (folder === "nodes") {
      const node = findNode(state, id);
      return node === undefined ? [`Node "${id}" is saved and not known`] : brokenSave(before, state, node);
    }
    const leftover = folder === "leftovers" ? state.leftovers.get(id) : undefined;
    return leftover === undefined ? [] : brokenLeftover(findNode(state, leftover.node), leftover);
  });
}

function brokenSave(before: State, state: State, node: NodeRecord): readonly string[] {
  const known = findNode(before, node.id);
  const broken = [...brokenNode(known, node)];
  const { place } = node;
  if (place === undefined || node.phase === "releasing") return broken;
  const leftover = state.leftovers.get(place.reservation);
  if (leftover !== undefined) broken.push(...brokenLeftover(node, leftover));
  if (known?.place === place && known.phase !== "releasing") return broken;
  for (const other of state.clusters.get(node.cluster)?.nodes.values() ?? []) {
    if (other.id !== node.id && other.phase !== "releasing" && other.place?.volume === place.volume)
      broken.push(`Volume "${place.volume}" belongs to nodes "${other.id}" and "${node.id}"`);
  }
  return broken;
}

function brokenLeftover(node: NodeRecord | undefined, { place }: LeftoverRecord): readonly string[] {
  if (node === undefined || node.phase === "releasing" || node.place?.reservation !== place.reservation) return [];
  return [`Reservation "${place.reservation}" of node "${node.id}" is kept and to be given back`];
}

function brokenNode(before: NodeRecord | undefined, node: NodeRecord): readonly string[] {
  const broken: string[] = [];
  const lives = ["launching", "starting", "running", "unreachable", "stopping"].includes(node.phase);
  if (lives !== (node.task !== undefined))
    broken.push(`Node "${node.id}" is ${node.phase} ${node.task === undefined ? "without" : "with"} a task`);
  if (node.task !== undefined && node.place === undefined) broken.push(`Node "${node.id}" has a task and no place`);
  if (before?.task !== undefined && node.task !== undefined && before.task.taskId !== node.task.taskId) {
    broken.push(`Node "${node.id}" gets task "${node.task.taskId}" while "${before.task.taskId}" may live`);
  }
  if (
    node.joined &&
    before?.place !== undefined &&
    before.place.volume !== node.place?.volume &&
    before.generation === node.generation
  ) {
    broken.push(`Node "${node.id}" loses volume "${before.place.volume}" with its data`);
  }
  return broken;
}

/**
 * What is destroyed or unreserved must carry our own label and belong to no node that is kept; a database is only launched as
 * the one task that its node's record has.
 */
function brokenAccept(state: State, action: Extract<Action, { type: "accept" }>): readonly string[] {
  const broken: string[] = [];
  for (const operation of action.operations) {
    if (operation.type === "launch") broken.push(...brokenLaunch(state, operation.tasks));
    if (operation.type !== "destroy" && operation.type !== "unreserve") continue;
    for (const resource of operation.type === "destroy" ? operation.volumes : operation.resources) {
      const reservation = reservationOf(resource, state.framework);
      if (reservation === undefined || !state.leftovers.has(reservation)) {
        broken.push(
          `The ${operation.type} of ${resource.name} with reservation "${reservation ?? "of others"}" is none of ours to give back`,
        );
      }
    }
  }
  return broken;
}

/** A node's database is launched as the task that its record has: a second one would be a second process of the node. */
function brokenLaunch(state: State, tasks: readonly TaskInfo[]): readonly string[] {
  return tasks.flatMap(({ taskId, name }) => {
    const known = findNode(state, name)?.task?.taskId;
    return executorOfServer(taskId) === undefined || known === taskId
      ? []
      : [`Task "${taskId}" is launched, node "${name}" has task "${known ?? "none"}"`];
  });
}
