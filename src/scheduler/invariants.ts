// What must hold after every decision, in production too: a broken one stops the scheduler before it acts.
import type { Decision } from "../std/decision.ts";
import type { Action } from "./events.ts";
import { reservationOf } from "./launch.ts";
import type { ClusterState, NodeRecord, State } from "./state.ts";

/** Every invariant that a decision breaks, as a sentence; looks only at what the decision changed. */
export function brokenInvariants(before: State, { state, actions }: Decision<State, Action>): readonly string[] {
  const broken: string[] = [];
  for (const [name, cluster] of state.clusters) {
    if (before.clusters.get(name) !== cluster) broken.push(...brokenCluster(state, before.clusters.get(name), cluster));
  }
  for (const action of actions) broken.push(...brokenAction(state, action));
  return broken;
}

function brokenCluster(state: State, before: ClusterState | undefined, cluster: ClusterState): readonly string[] {
  const broken: string[] = [];
  const volumes = new Map<string, string>();
  for (const node of cluster.nodes.values()) {
    if (node.place !== undefined && node.phase !== "releasing") {
      const other = volumes.get(node.place.volume);
      if (other !== undefined)
        broken.push(`Volume "${node.place.volume}" belongs to nodes "${other}" and "${node.id}"`);
      volumes.set(node.place.volume, node.id);
      if (state.leftovers.has(node.place.reservation)) {
        broken.push(`Reservation "${node.place.reservation}" of node "${node.id}" is kept and to be given back`);
      }
    }
    if (before?.nodes.get(node.id) !== node) broken.push(...brokenNode(before?.nodes.get(node.id), node));
  }
  return broken;
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

/** What is destroyed or unreserved must carry our own label and belong to no node that is kept. */
function brokenAction(state: State, action: Action): readonly string[] {
  if (action.type !== "accept") return [];
  const broken: string[] = [];
  for (const operation of action.operations) {
    if (operation.type !== "destroy" && operation.type !== "unreserve") continue;
    for (const resource of operation.type === "destroy" ? operation.volumes : operation.resources) {
      const reservation = reservationOf(resource, state.framework.frameworkId);
      if (reservation === undefined || !state.leftovers.has(reservation)) {
        broken.push(
          `The ${operation.type} of ${resource.name} with reservation "${reservation ?? "of others"}" is none of ours to give back`,
        );
      }
    }
  }
  return broken;
}
