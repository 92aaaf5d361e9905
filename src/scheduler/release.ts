// Reservations that no node keeps: remembered until Mesos says that they are gone, given back when their agent offers them.
import type { OperationStatus } from "../mesos/task.ts";
import type { Draft } from "./draft.ts";
import { SCHEMA, type Failure, type LeftoverRecord, type NodeRecord, type Place } from "./state.ts";

/** How long offers are asked for only to find a leftover in them; after that, for a part of each period. */
const SEEK_MS = 600_000;
const SEEK_PERIOD_MS = 3_600_000;
const SEEK_PART_MS = 60_000;
/** How long an uncertain reservation is looked for in offers: its agent may be out of sight. */
const UNCERTAIN_MS = 3_600_000;
/** After so long a release counts as done where Mesos does not report its end. */
const UNCONFIRMED_MS = 60_000;

/** From now on the place belongs to nobody. `certain`: whether Mesos is known to have made the reservation. */
export function giveBack(draft: Draft, node: NodeRecord, place: Place, certain: boolean): void {
  draft.putLeftover({ schema: SCHEMA, node: node.id, cluster: node.cluster, place, sinceMs: draft.nowMs, certain });
}

/** The node may go anywhere; what Mesos has perhaps reserved for it is given back. */
export function leavePlace(draft: Draft, node: NodeRecord): NodeRecord {
  const { place, rack: _open, unheard: _silent, begun: _empty, ...placeless } = node;
  if (place !== undefined) giveBack(draft, node, place, false);
  return placeless;
}

/** The operation id of a release; the reservation is read back from it. */
export function releaseId(leftover: LeftoverRecord, nowMs: number): string {
  return `release:${leftover.place.reservation}:${nowMs}`;
}

/** An agent's word on one of our operations: a finished release is the proof that a reservation is gone. */
export function operationStatus(draft: Draft, status: OperationStatus): void {
  const { operationId, agentId, uuid } = status;
  const reservation = operationId === undefined ? undefined : /^release:(.+):\d+$/.exec(operationId)?.[1];
  const leftover = reservation === undefined ? undefined : draft.state.leftovers.get(reservation);
  if (leftover !== undefined && leftover.operation?.id === operationId) {
    if (status.state === "OPERATION_FINISHED" || status.state === "OPERATION_GONE_BY_OPERATOR") {
      draft.forgetLeftover(leftover.place.reservation);
    } else if (
      status.state !== "OPERATION_PENDING" &&
      status.state !== "OPERATION_UNREACHABLE" &&
      status.state !== "OPERATION_RECOVERING"
    ) {
      const { operation: _failed, ...open } = leftover;
      draft.putLeftover(open);
      const text = `Release of reservation "${reservation}" on ${leftover.place.hostname} failed: ${status.state} ${status.message ?? ""}`;
      draft.act({ type: "note", level: "warn", text: text.trim() });
    }
  }
  if (uuid !== undefined && operationId !== undefined) {
    draft.act({ type: "acknowledgeOperation", operationId, uuid, ...(agentId === undefined ? {} : { agentId }) });
  }
}

/**
 * Whether offers are asked for because of the leftover alone. Its agent may never come back, so that is not always: but what
 * others ask for serves it too.
 */
export function isSought({ sinceMs, operation }: LeftoverRecord, nowMs: number): boolean {
  const ageMs = nowMs - (operation?.sentMs ?? sinceMs);
  return ageMs < SEEK_MS || ageMs % SEEK_PERIOD_MS < SEEK_PART_MS;
}

/** The agent never comes back, an operator said: nothing is left to give back on it, and the nodes that it keeps are lost. */
export function agentGone(draft: Draft, agentId: string, failure: Failure): void {
  for (const { place } of draft.state.leftovers.values())
    if (place.agentId === agentId) draft.forgetLeftover(place.reservation);
  for (const { nodes } of draft.state.clusters.values())
    for (const node of nodes.values())
      if (
        node.place?.agentId === agentId &&
        node.task === undefined &&
        (node.phase === "down" || node.phase === "stopped")
      )
        draft.putNode({ ...node, phase: "lost", sinceMs: draft.nowMs, lastFailure: failure });
}

/** Forgets uncertain reservations that did not show up, and releases that an old Mesos will never confirm. */
export function expireLeftovers(draft: Draft): void {
  for (const leftover of draft.state.leftovers.values()) {
    const unconfirmable =
      !draft.state.operationFeedback &&
      leftover.operation !== undefined &&
      draft.nowMs >= leftover.operation.sentMs + UNCONFIRMED_MS;
    const vanished =
      !leftover.certain && leftover.operation === undefined && draft.nowMs >= leftover.sinceMs + UNCERTAIN_MS;
    if (draft.state.connected && (unconfirmable || vanished)) draft.forgetLeftover(leftover.place.reservation);
  }
}
