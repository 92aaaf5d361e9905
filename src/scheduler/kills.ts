// Kills get lost: each is sent again until Mesos says that the task has ended.
import { backoffMs, type Backoff } from "../std/backoff.ts";
import type { Draft } from "./draft.ts";

const KILL_BACKOFF: Backoff = { initialMs: 5000, factor: 1.5, maxMs: 30_000, jitter: 0.1 };

/** From now on the task is killed until it has ended. */
export function killTask(draft: Draft, taskId: string, agentId: string): void {
  if (draft.state.kills.has(taskId)) return;
  draft.set({ kills: new Map(draft.state.kills).set(taskId, { agentId, attempt: 0, nextMs: draft.nowMs }) });
}

/** A task that is to be dead shows up alive: it is killed now, whenever the next kill was due. */
export function killAgain(draft: Draft, taskId: string, agentId: string): void {
  draft.set({ kills: new Map(draft.state.kills).set(taskId, { agentId, attempt: 0, nextMs: draft.nowMs }) });
}

/** The task has ended. */
export function forgetKill(draft: Draft, taskId: string): void {
  if (!draft.state.kills.has(taskId)) return;
  const kills = new Map(draft.state.kills);
  kills.delete(taskId);
  draft.set({ kills });
}

/** Sends the kills that are due. */
export function repeatKills(draft: Draft): void {
  if (!draft.state.connected) return;
  for (const [taskId, { agentId, attempt, nextMs }] of draft.state.kills) {
    if (draft.nowMs < nextMs) continue;
    draft.act({ type: "kill", taskId, agentId });
    const after = backoffMs(KILL_BACKOFF, attempt, draft.random());
    const next = { agentId, attempt: attempt + 1, nextMs: draft.nowMs + after };
    draft.set({ kills: new Map(draft.state.kills).set(taskId, next) });
  }
}
