// Kills get lost: each is sent again until Mesos says that the task has ended. An executor that does not end a node's task in
// time hangs: its agent is asked to shut it down, which ends its container whether it answers or not.
import { backoffMs, type Backoff } from "../std/backoff.ts";
import type { Draft } from "./draft.ts";
import { executorOfServer } from "./launch.ts";

const KILL_BACKOFF: Backoff = { initialMs: 5000, factor: 1.5, maxMs: 30_000, jitter: 0.1 };
/** A node that is killed is gone after its executor's grace (120 s), unless the executor hangs. */
const SHUTDOWN_AFTER_MS = 150_000;

/** A task that is killed until it has ended. */
export type Kill = {
  readonly agentId: string;
  readonly sinceMs: number;
  readonly attempt: number;
  readonly nextMs: number;
  /** Its agent was asked to shut its executor down. */
  readonly hangs?: true;
};

/** From now on the task is killed until it has ended. */
export function killTask(draft: Draft, taskId: string, agentId: string): void {
  if (!draft.state.kills.has(taskId)) killAgain(draft, taskId, agentId);
}

/** A task that is to be dead shows up alive: it is killed now, whenever the next kill was due. */
export function killAgain(draft: Draft, taskId: string, agentId: string): void {
  const kill = { agentId, sinceMs: draft.nowMs, attempt: 0, nextMs: draft.nowMs };
  draft.set({ kills: new Map(draft.state.kills).set(taskId, kill) });
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
  for (const [taskId, kill] of draft.state.kills) {
    if (draft.nowMs < kill.nextMs) continue;
    const { agentId, sinceMs, attempt } = kill;
    const executorId = draft.nowMs < sinceMs + SHUTDOWN_AFTER_MS ? undefined : executorOfServer(taskId);
    if (executorId === undefined) draft.act({ type: "kill", taskId, agentId });
    else draft.act({ type: "shutdown", executorId, agentId });
    const hangs = executorId !== undefined;
    if (hangs && kill.hangs !== true) {
      const text = `Task "${taskId}" does not end: agent "${agentId}" is asked to shut its executor down`;
      draft.act({ type: "note", level: "warn", text });
    }
    const nextMs = draft.nowMs + backoffMs(KILL_BACKOFF, attempt, draft.random());
    const next = { ...kill, attempt: attempt + 1, nextMs, ...(hangs ? { hangs } : {}) };
    draft.set({ kills: new Map(draft.state.kills).set(taskId, next) });
  }
}
