// The framework's own life at Mesos: removed by an operator, registered again under a new id, uninstalled for good.
import type { Draft } from "./draft.ts";
import type { Reply } from "./events.ts";
import { beginRemoval } from "./plans.ts";
import { ensureRecovery } from "./recovery.ts";
import type { FrameworkRecord, NodeRecord, State } from "./state.ts";

/** How often an unanswered TEARDOWN is sent again. */
const TEARDOWN_AGAIN_MS = 10_000;

/** Whether Mesos' error says that it has removed the framework: its id is of no use any more, whoever asks. */
export function isRemoval(message: string): boolean {
  return /framework has been removed|framework .* (?:is|was) (?:removed|completed)/i.test(message);
}

/**
 * Mesos has removed the framework and ends all its tasks. Reservations and volumes stay: they belong to the role. All that is
 * known is kept, and nothing is begun until somebody registers the framework again.
 */
export function frameworkRemoved(draft: Draft, message: string): void {
  const { framework } = draft.state;
  if (framework.removed !== undefined) return;
  const { uninstall, ...rest } = framework;
  const isOver = uninstall !== undefined && isGivenBack(draft.state);
  // An uninstallation that somebody cut short has not given all back: that can only go on under another id.
  draft.putFramework({ ...(isOver ? framework : rest), removed: { atMs: draft.nowMs, message } });
  draft.set({ connected: false, unreconciled: new Set(), kills: new Map() });
  const text = isOver
    ? `Framework "${framework.frameworkId}" is torn down: nothing of it is left`
    : uninstall === undefined
      ? `Mesos has removed framework "${framework.frameworkId}" ("${message}") and ends all its tasks; reservations and volumes stay. "ringmaster framework register" starts it again on them`
      : `Mesos has removed framework "${framework.frameworkId}" ("${message}") while it was being uninstalled; reservations and volumes stay. "ringmaster framework register" and another "ringmaster framework uninstall" give them back`;
  draft.act({ type: "note", level: "warn", text });
  for (const plan of draft.state.plans.values()) {
    if (plan.status !== "running" || plan.steps.every(({ task }) => task === undefined)) continue;
    draft.putPlan({ ...plan, steps: plan.steps.map(({ task: _ended, ...step }) => step) });
  }
  for (const { nodes } of draft.state.clusters.values()) for (const node of nodes.values()) taskEnded(draft, node);
}

function taskEnded(draft: Draft, node: NodeRecord): void {
  const { task, drainUntilMs: _drain, ...rest } = node;
  if (task === undefined) return;
  // Its last updates went with the framework: it may have served without our knowing.
  const ended = { ...rest, begun: true as const, healthy: false, sinceMs: draft.nowMs, retryAtMs: 0 };
  if (node.phase === "stopping") return draft.putNode({ ...ended, phase: "stopped" });
  const lastFailure = { atMs: draft.nowMs, state: "TASK_KILLED", message: "Its framework was removed from Mesos" };
  const down: NodeRecord = { ...ended, phase: "down", lastFailure };
  draft.putNode(down);
  ensureRecovery(draft, down);
}

/** Ends the state after a removal: the next subscription is that of a new framework, which takes over what there is. */
export function registerFramework(draft: Draft): Reply {
  const { removed, frameworkId, uninstall: _over, ...framework } = draft.state.framework;
  if (removed === undefined) {
    return refused(
      `Cannot register the framework: Mesos has not removed it, its id is "${frameworkId ?? "to be given"}"`,
    );
  }
  const formerIds = [...(framework.formerIds ?? []), ...(frameworkId === undefined ? [] : [frameworkId])];
  draft.putFramework({ ...framework, formerIds });
  return { type: "done" };
}

/**
 * Destroys all clusters, and tears the framework down once no reservation is left. `force`: does not wait for reservations on
 * agents that do not come back.
 */
export function uninstallFramework(draft: Draft, force: boolean): Reply {
  const { framework } = draft.state;
  if (framework.removed !== undefined)
    return refused(
      "Cannot uninstall the framework: Mesos has removed it; register it first, to give back what it reserved",
    );
  draft.putFramework({ ...framework, uninstall: { sinceMs: framework.uninstall?.sinceMs ?? draft.nowMs, force } });
  for (const cluster of [...draft.state.clusters.values()])
    if (cluster.record.goal !== "removed") beginRemoval(draft, cluster);
  return { type: "done" };
}

/** Tears the framework down when it is to go and nothing is left of it. */
export function finishUninstall(draft: Draft): void {
  const { framework, connected, teardownMs } = draft.state;
  if (framework.uninstall === undefined || framework.removed !== undefined || !connected) return;
  if (!isGivenBack(draft.state)) return;
  if (draft.nowMs < teardownMs + TEARDOWN_AGAIN_MS) return;
  draft.act({ type: "teardown" });
  draft.set({ teardownMs: draft.nowMs });
}

/** Whether nothing keeps an uninstallation from its end. */
function isGivenBack({ framework, clusters, leftovers }: State): boolean {
  return clusters.size === 0 && (leftovers.size === 0 || framework.uninstall?.force === true);
}

/** Why no cluster can be made or changed now; undefined: it can. */
export function framelessReason(framework: FrameworkRecord): string | undefined {
  if (framework.removed !== undefined)
    return `Mesos has removed the framework at ${new Date(framework.removed.atMs).toISOString()}; "ringmaster framework register" starts it again`;
  return framework.uninstall === undefined ? undefined : "the framework is being uninstalled";
}

/** Why reservations of one role are of no use to a framework of another; undefined: there are none, or it is the same. */
export function roleFault(
  records: Pick<State, "framework" | "clusters" | "leftovers">,
  role: string,
): string | undefined {
  const { framework, clusters, leftovers } = records;
  if (framework.role === undefined || framework.role === role) return undefined;
  const placed = [...clusters.values()]
    .flatMap(({ nodes }) => [...nodes.values()])
    .filter(({ place }) => place !== undefined);
  if (placed.length + leftovers.size === 0) return undefined;
  return `found --role ${role}, wanted --role ${framework.role}: the volumes of ${placed.length} nodes and ${leftovers.size} leftover reservations belong to it, and Mesos offers them to no other role`;
}

function refused(message: string): Reply {
  return { type: "refused", why: "conflict", message, faults: [] };
}
