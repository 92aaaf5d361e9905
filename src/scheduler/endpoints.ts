// What directors are told about a node.
import type { ClusterSpec } from "../databases/cluster.ts";
import type { Endpoint } from "../databases/endpoint.ts";
import { nodesInOrder } from "./members.ts";
import type { ClusterState, NodeRecord } from "./state.ts";

/** Where clients reach the node; undefined while it serves none. */
export function endpointOf(spec: ClusterSpec, node: NodeRecord): Endpoint | undefined {
  const { place, rack, phase, healthy, outside } = node;
  // Beside its ring a node has none of the ring's data.
  if (place === undefined || phase !== "running" || !healthy || outside !== undefined) return undefined;
  const zone = place.fields["@zone"];
  return {
    schema: 1,
    cluster: spec.name,
    database: spec.database,
    node: node.id,
    hostname: place.hostname,
    ports: place.footprint.ports,
    rack: rack ?? "",
    state: node.drainUntilMs === undefined ? "serving" : "draining",
    ...(zone === undefined ? {} : { zone }),
  };
}

/** Whether two endpoints say the same; a node's ports and place change only while it serves nobody. */
export function isSameEndpoint(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  return a?.state === b?.state && a?.hostname === b?.hostname;
}

/** The cluster's endpoints in the order of its nodes. */
export function endpointsOf(cluster: ClusterState): readonly Endpoint[] {
  return nodesInOrder(cluster).flatMap((node) => endpointOf(cluster.record.spec, node) ?? []);
}
