// Status updates: how they are made, and how long they are kept.
import { ADDRESS_LABEL, FAILURE_LABEL } from "../databases/node.ts";
import type { ExecutorUpdate } from "../mesos/executor-api.ts";
import type { Labels } from "../mesos/resources.ts";
import { isTerminal } from "../mesos/task.ts";
import type { Decided, ExecutorState, Outcome } from "./state.ts";
import { nextUuid } from "./uuid.ts";

/** Mesos keeps messages in its own state: no more than this of one. */
const MESSAGE_MAX = 2_000;
/** More updates than these are not kept while the agent is away. */
const UNACKNOWLEDGED_MAX = 100;

/** `next` after `first`: its state, and what both want done, in order. */
export function chain(first: Decided, next: (state: ExecutorState) => Decided): Decided {
  const { state, actions } = next(first.state);
  return { state, actions: [...first.actions, ...actions] };
}

/** Tells the agent how a task is; kept until it is acknowledged. */
export function update(
  state: ExecutorState,
  taskId: string | undefined,
  said: Outcome & { readonly healthy?: boolean },
  nowMs: number,
): Decided {
  if (taskId === undefined) return { state, actions: [] };
  const { uuid, seed } = nextUuid(state.seed);
  const sent: ExecutorUpdate = {
    taskId,
    state: said.state,
    labels: labelsOf(state, taskId, said),
    uuid,
    timestampMs: nowMs,
    message: said.message.length > MESSAGE_MAX ? `${said.message.slice(0, MESSAGE_MAX)}…` : said.message,
    ...(said.healthy === undefined ? {} : { healthy: said.healthy }),
  };
  const next = { ...state, seed, saidMs: nowMs, unacknowledgedUpdates: pruned([...state.unacknowledgedUpdates, sent]) };
  return { state: next, actions: [{ type: "update", update: sent }] };
}

/** A node that runs tells its address: who takes its place some day has to name it. */
function labelsOf(state: ExecutorState, taskId: string, { state: said, failure }: Outcome): Labels {
  if (failure !== undefined) return { [FAILURE_LABEL]: failure };
  const isRunning = said === "TASK_RUNNING" && taskId === state.taskId && state.ready !== undefined;
  return isRunning ? { [ADDRESS_LABEL]: state.ready.place.address } : {};
}

/** Of very many only the last matter, and how each task ended; one that the agent has had and acknowledges later is no harm. */
function pruned(updates: readonly ExecutorUpdate[]): readonly ExecutorUpdate[] {
  if (updates.length <= UNACKNOWLEDGED_MAX) return updates;
  const oldest = updates.findIndex(({ state }) => !isTerminal(state));
  return updates.toSpliced(Math.max(0, oldest), 1);
}

/** The state without an update that is settled. */
export function without(state: ExecutorState, taskId: string, uuid: Uint8Array): ExecutorState {
  const same = (one: ExecutorUpdate): boolean =>
    one.taskId === taskId && one.uuid.every((byte, index) => byte === uuid[index]);
  return { ...state, unacknowledgedUpdates: state.unacknowledgedUpdates.filter((one) => !same(one)) };
}
