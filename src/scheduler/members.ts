// A cluster's nodes as its database's rules see them, and whether a node may start.
import { findDatabase } from "../databases/all.ts";
import type { Database } from "../databases/database.ts";
import type { Member } from "../databases/node.ts";
import type { Reason } from "../std/reason.ts";
import { remembered } from "../std/remembered.ts";
import type { ClusterState, NodeRecord } from "./state.ts";
import { backoffReason } from "./status-words.ts";

/** The database of a cluster. Throws when this binary does not have it: the record is from a newer one. */
export function databaseOf(cluster: ClusterState): Database {
  const { name, database } = cluster.record.spec;
  const found = findDatabase(database);
  if (found === undefined)
    throw new Error(`Cannot run cluster "${name}": this ringmaster has no database "${database}"`);
  return found;
}

export const memberOf = remembered((node: NodeRecord): Member => ({
  node: node.id,
  hostname: node.place?.hostname ?? "",
  ...(node.address === undefined ? {} : { address: node.address }),
  ...(node.replaces === undefined ? {} : { replaces: node.replaces.node }),
  rack: node.rack ?? "",
  ports: node.place?.footprint.ports ?? {},
  joined: node.joined,
  ...(node.outside !== undefined ? { outside: true } : {}),
  ...(node.phase === "lost" ? { lost: true } : {}),
  state: memberState(node),
}));

function memberState(node: NodeRecord): Member["state"] {
  if (node.phase === "running" && node.healthy) return "serving";
  return node.task === undefined ? "absent" : "starting";
}

/** Whether the node is in its ring, as far as can be known: it may have joined without a word of it. */
export function mayBeMember({ joined, begun, task }: NodeRecord): boolean {
  return joined || begun === true || task !== undefined;
}

/** Nodes in the order of their numbers. */
export const nodesInOrder = remembered((cluster: ClusterState): readonly NodeRecord[] =>
  [...cluster.nodes.values()].sort((a, b) => a.number - b.number),
);

/** All nodes of a cluster as members, in the order of their numbers. */
export const membersOf = remembered((cluster: ClusterState): readonly Member[] => nodesInOrder(cluster).map(memberOf));

/** Why the node must not be started now; empty: it may, as far as we and its database are concerned. */
export function startReasons(cluster: ClusterState, node: NodeRecord, nowMs: number): readonly Reason[] {
  if (node.phase === "lost") {
    const found = node.lastFailure?.message ?? "its data is gone";
    return [{ check: "data", found, wanted: `another in its place: ringmaster node replace ${node.id}` }];
  }
  const kin = kinReason(cluster, node);
  if (kin !== undefined) return [kin];
  const last = node.lastFailure?.message ?? "unknown";
  const backoff = backoffReason(nowMs, node.failures, node.retryAtMs, last);
  const turn = databaseOf(cluster).mayStart(cluster.record.spec, membersOf(cluster), memberOf(node));
  return [backoff, turn].filter((reason) => reason !== undefined);
}

/** A node and the one whose place it takes never both live. */
function kinReason(cluster: ClusterState, node: NodeRecord): Reason | undefined {
  if (node.expelled === true)
    return { check: "ring", found: "which goes on without the node", wanted: "its removal, or a replacement of it" };
  const old = cluster.nodes.get(node.replaces?.node ?? "");
  if (node.joined || old?.task === undefined || old.phase === "unreachable") return undefined;
  return { check: `node ${old.id}`, found: old.phase, wanted: "the end of the node whose place it takes" };
}

/**
 * Why a plan must not stop the node now; empty: it may. How many replicas a key has only the database's users know, so a node
 * that serves is stopped only while all others do: then no replica set loses more than one.
 */
export function stopReasons(cluster: ClusterState, node: NodeRecord): readonly Reason[] {
  if (node.phase === "unreachable") {
    const found = "unreachable, and may well serve";
    return [{ check: `node ${node.id}`, found, wanted: "its agent back before it is stopped" }];
  }
  return node.phase === "running" && node.healthy ? awayReasons(cluster, node) : [];
}

/** Members besides the node that do not serve. */
export function awayReasons(cluster: ClusterState, node: NodeRecord): readonly Reason[] {
  const away = nodesInOrder(cluster).filter(
    (other) => other.id !== node.id && mayBeMember(other) && memberState(other) !== "serving",
  );
  return away.map(({ id, phase }) => {
    const found = phase === "running" ? "running, its probes fail" : phase;
    return { check: `node ${id}`, found, wanted: "every other member serves while one is restarted" };
  });
}
