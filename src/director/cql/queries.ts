// Which of a driver's queries would lead it past the director: those that ask for the cluster's nodes.

/**
 * "local": the node itself, which must look like the director. "peers": the other nodes, of which there must be none.
 * "agreement": whether all nodes have the same schema; the others' versions must be seen, as the director's own.
 */
export type Kind = "local" | "peers" | "agreement";

/** Statements after which all nodes must get to know the schema. */
const CHANGE = /^\s*(?:create|alter|drop)\s/i;

const SELECT =
  /^\s*select\s+(?<columns>[\s\S]+?)\s+from\s+"?system"?\s*\.\s*"?(?<table>local|peers_v2|peers)"?(?=\s|;|$)/i;
/** Who selects these wants to know the nodes themselves. */
const OF_NODES = /\*|\b(?:tokens|data_center|rack|release_version)\b/i;

/** "schema": it changes the schema. Undefined: it is no business of the director's. */
export function kindOf(query: string): Kind | "schema" | undefined {
  if (CHANGE.test(query)) return "schema";
  const { columns = "", table } = SELECT.exec(query)?.groups ?? {};
  if (table === undefined) return undefined;
  if (table.toLowerCase() === "local") return "local";
  return /\bschema_version\b/i.test(columns) && !OF_NODES.test(columns) ? "agreement" : "peers";
}
