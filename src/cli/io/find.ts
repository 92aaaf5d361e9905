// Finds the cluster of a node that an operator named without it.
import { Failure } from "../failure.ts";
import type { Place } from "../request.ts";
import { ask, readAnswer } from "./http.ts";

/** The path of a place. Throws a Failure "refused" if no cluster has the node. */
export async function findPath(url: string, place: Place): Promise<string> {
  if (typeof place === "string") return place;
  const { node, below } = place;
  const { ClustersViewSchema, NodesViewSchema } = await import("../../databases/api.ts");
  const { clusters } = readAnswer(ClustersViewSchema, await ask({ url, method: "GET", path: "/api/v1/clusters" }));
  // A node's id is `<framework>-<cluster>-<n>`. Both names may have dashes, so more than one cluster may fit.
  const stem = node.replace(/-\d+$/, "");
  for (const { name } of clusters.filter((cluster) => stem.endsWith(`-${cluster.name}`))) {
    const path = `/api/v1/clusters/${encodeURIComponent(name)}/nodes`;
    const { nodes } = readAnswer(NodesViewSchema, await ask({ url, method: "GET", path }));
    if (nodes.some(({ id }) => id === node)) return `${path}/${encodeURIComponent(node)}${below}`;
  }
  const names = clusters.map(({ name }) => `"${name}"`).join(", ") || "none";
  throw new Failure(
    "refused",
    `Cannot find node "${node}": found it in no cluster, wanted one of a cluster's: ${names}`,
  );
}
