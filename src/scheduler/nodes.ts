// Makes nodes: new ones of a cluster, and heirs: a node that takes the place of another, whose data or agent is gone.
import { databaseOf } from "./members.ts";
import type { Draft } from "./draft.ts";
import { SCHEMA, type ClusterState, type NodeRecord } from "./state.ts";

/** Makes records for so many new nodes; returns them. */
export function makeNodes(draft: Draft, clusterName: string, count: number): readonly NodeRecord[] {
  const record = draft.state.clusters.get(clusterName)?.record;
  if (record === undefined) throw new Error(`Cannot make nodes: cluster "${clusterName}" is unknown`);
  const made: NodeRecord[] = [];
  for (let number = record.nextNode; number < record.nextNode + count; number++) {
    const node: NodeRecord = {
      schema: SCHEMA,
      id: `${draft.state.framework.name}-${clusterName}-${number}`,
      cluster: clusterName,
      number,
      phase: "waiting",
      sinceMs: draft.nowMs,
      config: record.config,
      generation: 1,
      joined: false,
      healthy: false,
      failures: 0,
      retryAtMs: 0,
    };
    draft.putNode(node);
    made.push(node);
  }
  draft.putCluster({ ...record, nextNode: record.nextNode + count });
  return made;
}

/** The node that takes or took the place of `old`. */
export function heirOf(cluster: ClusterState | undefined, old: NodeRecord): NodeRecord | undefined {
  return old.replacedBy === undefined ? undefined : cluster?.nodes.get(old.replacedBy);
}

/** Whether anything of the heir may live or lie on an agent: from then on the old node has to stay away. */
export function hasBegun(heir: NodeRecord): boolean {
  return heir.place !== undefined || heir.joined;
}

/** Whether the node is the last of its ring: it leaves no ring behind in which its place could be taken. */
export function isLast(cluster: ClusterState, node: NodeRecord): boolean {
  return ![...cluster.nodes.values()].some(
    ({ id, joined, outside }) => id !== node.id && joined && outside === undefined,
  );
}

/** The heir of `old`, made if there is none yet. */
export function makeHeir(draft: Draft, cluster: ClusterState, old: NodeRecord): NodeRecord {
  const known = heirOf(cluster, old);
  if (known !== undefined) return known;
  const [fresh] = makeNodes(draft, cluster.record.spec.name, 1);
  if (fresh === undefined) throw new Error(`Cannot replace node "${old.id}": no node was made`);
  const {
    ports: [clusterPort = ""],
    keepsRack,
  } = databaseOf(cluster);
  const host = old.address ?? old.place?.hostname ?? "";
  const at = `${host.includes(":") ? `[${host}]` : host}:${old.place?.footprint.ports[clusterPort]}`;
  const rack = keepsRack && old.rack !== undefined ? { rack: old.rack } : {};
  const isInRing = old.joined && old.outside !== "left" && !isLast(cluster, old);
  const heir: NodeRecord = { ...fresh, replaces: { node: old.id, ...(isInRing ? { at } : {}), ...rack } };
  draft.putNode(heir);
  const { keep: _open, ...replaced } = old;
  draft.putNode({ ...replaced, replacedBy: heir.id });
  return heir;
}

/** Forgets an heir of which nothing has begun: the old node keeps its place. */
export function forgetHeir(draft: Draft, heir: NodeRecord): void {
  const old = draft.state.clusters.get(heir.cluster)?.nodes.get(heir.replaces?.node ?? "");
  if (old !== undefined) {
    const { replacedBy: _none, ...kept } = old;
    draft.putNode(kept);
  }
  draft.forgetNode(heir);
}
