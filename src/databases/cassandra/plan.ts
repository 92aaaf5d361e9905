// The steps of a cluster's changes, in Cassandra's order.
import type { Change, StepSketch } from "../database.ts";

/**
 * New nodes have no order here: `mayStart` lets one join at a time. A restart goes from node to node, each after the one
 * before it has started. A leave streams a node's data to the others, so only one node leaves at a time; the process of a
 * node that has left goes on living and is stopped by us.
 */
export function planChange(change: Change): readonly StepSketch[] {
  switch (change.type) {
    case "add":
      return change.nodes.map((node) => ({ type: "start", node, after: [] }));
    case "restart":
      return change.nodes.flatMap((node, index): readonly StepSketch[] => [
        { type: "stop", node, after: index === 0 ? [] : [2 * index - 1] },
        { type: "start", node, after: [2 * index] },
      ]);
    case "leave":
      return change.nodes.flatMap((node, index): readonly StepSketch[] => [
        { type: "admin", node, operation: "decommission", args: {}, after: index === 0 ? [] : [3 * index - 1] },
        { type: "stop", node, after: [3 * index] },
        { type: "release", node, after: [3 * index + 1] },
      ]);
    case "replace":
      throw new Error(
        `Cannot put node "${change.node}" in the place of node "${change.old}": Ringmaster cannot replace a Cassandra node yet`,
      );
    case "forceRemove":
      throw new Error(
        `Cannot force node "${change.node}" out of its ring: Ringmaster cannot do that with Cassandra yet; a node that runs can leave`,
      );
  }
}
