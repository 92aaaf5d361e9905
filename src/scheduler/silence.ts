// Executors that hang: one whose node starts or runs says so again and again. After a long silence nobody watches
// the database any more, and a plan restarts the node, under the rules of every restart.
import type { Draft } from "./draft.ts";
import { beginPlan, isAt, step } from "./plans.ts";
import { activePlans, type NodeRecord, type PlanRecord, type State } from "./state.ts";

/** Four times what an executor may be silent, since Mesos repeats what was not acknowledged after up to ten minutes. */
const SILENT_MS = 1_200_000;
/** Times are kept, and looked at, no finer than this: with each the times of all nodes are copied. */
const HEARD_MS = 60_000;
/** A scheduler without a tick for so long stood still itself: that it heard nothing proves nothing. */
const STOOD_STILL_MS = 60_000;

/** The node's executor has said something. */
export function heardOf(draft: Draft, nodeId: string): void {
  if (draft.nowMs < (draft.state.heard.get(nodeId) ?? -Infinity) + HEARD_MS) return;
  draft.set({ heard: new Map(draft.state.heard).set(nodeId, draft.nowMs) });
}

/** From now on Mesos tells what executors say. */
export function listen(draft: Draft): void {
  draft.set({ heard: new Map(), listening: { sinceMs: draft.nowMs, tickMs: draft.nowMs } });
}

/** Restarts nodes whose executors are silent, one of a cluster at a time. Asked with every tick. */
export function restartSilent(draft: Draft): void {
  const { sinceMs, tickMs } = draft.state.listening;
  const stoodStill = draft.nowMs - tickMs > STOOD_STILL_MS;
  draft.set({ listening: { sinceMs: stoodStill ? draft.nowMs : sinceMs, tickMs: draft.nowMs } });
  const isNewMinute = Math.floor(draft.nowMs / HEARD_MS) > Math.floor(tickMs / HEARD_MS);
  if (!draft.state.connected || !isNewMinute) return;
  for (const { record, nodes } of draft.state.clusters.values()) {
    if (record.goal !== "running") continue;
    const silent = [...nodes.values()].find((node) => isSilent(draft.state, node, draft.nowMs));
    // Another plan may wait for this very node: for an operation that nobody is there to do, for one.
    if (silent === undefined || activePlans(draft.state, silent.cluster).some((plan) => isAt(plan, "stop", silent.id)))
      continue;
    const text = `Node "${silent.id}" has not been heard of for ${SILENT_MS / 60_000} minutes: its executor hangs, and is restarted`;
    draft.act({ type: "note", level: "warn", text });
    beginPlan(draft, "restart", silent.cluster, [step("stop", silent.id), { ...step("start", silent.id), after: [0] }]);
  }
}

/** An operator has ended a restart: its nodes have as much time again to be heard of. */
export function giveUpRestart(draft: Draft, { steps }: PlanRecord): void {
  for (const { type, node } of steps) if (type === "stop" && node !== undefined) heardOf(draft, node);
}

/** Whether the node starts or runs, as far as is known, and its executor has not said so for long. */
export function isSilent(state: State, node: NodeRecord, nowMs: number): boolean {
  const standsStill = nowMs - state.listening.tickMs > STOOD_STILL_MS;
  return !standsStill && nowMs >= silentSinceMs(state, node) + SILENT_MS;
}

/** Since when the executor of a node is silent, as far as is known; `Infinity`: it need not say anything. */
function silentSinceMs({ heard, listening }: State, { id, phase, task, sinceMs }: NodeRecord): number {
  if ((phase !== "starting" && phase !== "running") || task?.repeats !== true) return Infinity;
  return Math.max(heard.get(id) ?? 0, listening.sinceMs, sinceMs);
}
