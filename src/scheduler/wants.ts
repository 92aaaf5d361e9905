// What is missing, in order of right: what is to be given back, then nodes that have their data on an agent, then new ones.
import { adminReasons } from "./admin.ts";
import { startReasons } from "./members.ts";
import { isBlocked } from "./plans.ts";
import { heldBy } from "./replace.ts";
import {
  runningPlans,
  type ClusterState,
  type LeftoverRecord,
  type NodeRecord,
  type PlanRecord,
  type State,
} from "./state.ts";

/** Something that only an offer can give. `key` tells one attempt from the next. */
export type Want =
  | { readonly type: "release"; readonly key: string; readonly leftover: LeftoverRecord }
  | { readonly type: "admin"; readonly key: string; readonly plan: PlanRecord; readonly index: number }
  | { readonly type: "relaunch"; readonly key: string; readonly cluster: ClusterState; readonly node: NodeRecord }
  | { readonly type: "place"; readonly key: string; readonly cluster: ClusterState; readonly node: NodeRecord };

/** How long a release may stay unanswered before it is sent again. */
const RELEASE_RETRY_MS = 30_000;

/** Everything that an offer could serve now. */
export function wants(state: State, nowMs: number): readonly Want[] {
  const found: Want[] = [];
  for (const leftover of state.leftovers.values()) {
    const sentMs = leftover.operation?.sentMs;
    if (sentMs !== undefined && nowMs < sentMs + RELEASE_RETRY_MS) continue;
    found.push({ type: "release", key: `release:${leftover.place.reservation}:${sentMs ?? 0}`, leftover });
  }
  const starts = nodesToStart(state).filter(({ cluster, node }) => startReasons(cluster, node, nowMs).length === 0);
  for (const { cluster, node } of starts) {
    if (node.place !== undefined)
      found.push({ type: "relaunch", key: `relaunch:${node.id}:${node.sinceMs}`, cluster, node });
  }
  for (const { cluster, node } of starts) {
    if (node.place === undefined) found.push({ type: "place", key: `place:${node.id}:${node.sinceMs}`, cluster, node });
  }
  return [...found, ...adminWants(state, nowMs)];
}

/** Admin steps that are due and have no task. */
function adminWants(state: State, nowMs: number): readonly Want[] {
  const found: Want[] = [];
  for (const plan of runningPlans(state)) {
    for (const [index, step] of plan.steps.entries()) {
      if (step.type !== "admin" || step.status === "done" || step.task !== undefined || isBlocked(plan.steps, step))
        continue;
      const node = step.node === undefined ? undefined : state.clusters.get(plan.cluster)?.nodes.get(step.node);
      if (node === undefined || adminReasons(node, step, nowMs).length > 0 || heldBy(state, plan) !== undefined)
        continue;
      found.push({
        type: "admin",
        key: `admin:${plan.id}:${index}:${step.trouble?.failures ?? 0}:${node.sinceMs}`,
        plan,
        index,
      });
    }
  }
  return found;
}

/** Nodes with an open start step and no process, oldest plan first; each once, also where two plans want it. */
function nodesToStart(state: State): readonly { readonly cluster: ClusterState; readonly node: NodeRecord }[] {
  const found: { cluster: ClusterState; node: NodeRecord }[] = [];
  const seen = new Set<string>();
  const plans = runningPlans(state).toSorted((a, b) => a.createdMs - b.createdMs);
  for (const plan of plans) {
    const cluster = state.clusters.get(plan.cluster);
    if (cluster === undefined || cluster.record.goal !== "running") continue;
    for (const step of plan.steps) {
      if (step.type !== "start" || step.status === "done" || step.node === undefined) continue;
      if (isBlocked(plan.steps, step)) continue;
      const node = cluster.nodes.get(step.node);
      if (node === undefined || node.task !== undefined || !isStartable(node) || seen.has(node.id)) continue;
      seen.add(node.id);
      found.push({ cluster, node });
    }
  }
  return found;
}

function isStartable(node: NodeRecord): boolean {
  return node.phase === "waiting" || node.phase === "down" || node.phase === "stopped";
}
