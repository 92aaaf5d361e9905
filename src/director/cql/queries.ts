// What a driver's queries mean for the director: those that ask for the cluster's nodes would lead it past it, others change
// what the connection is set to.

/**
 * "local": the node itself, which must look like the director. "peers": the other nodes, of which there must be none.
 * "agreement": whether all nodes have the same schema; the others' versions must be seen, as the director's own.
 */
export type Kind = "local" | "peers" | "agreement";

/** Statements after which all nodes must get to know the schema. */
const CHANGE = /^(?:create|alter|drop)\s/i;
const USE = /^use\b/i;
const SELECT = /^select\s/i;

const FROM = /\sfrom\s+"?system"?\s*\.\s*"?(local|peers_v2|peers)"?(?=\s|;|$)/i;
/** Who selects these wants to know the nodes themselves. */
const OF_NODES = /\*|\b(?:tokens|data_center|rack|release_version)\b/i;

/** What may stand before a statement. */
const BEFORE = /^(?:\s|--[^\n]*(?:\n|$)|\/\/[^\n]*(?:\n|$)|\/\*[^]*?\*\/)+/;

/** "schema": it changes the schema. "use": it sets the keyspace. Undefined: it is no business of the director's. */
export function kindOf(text: string): Kind | "schema" | "use" | undefined {
  const query = text.replace(BEFORE, "");
  if (CHANGE.test(query)) return "schema";
  if (USE.test(query)) return "use";
  if (!SELECT.test(query)) return undefined;
  const from = FROM.exec(query);
  if (from === null) return undefined;
  if (from[1]?.toLowerCase() === "local") return "local";
  const columns = query.slice(0, from.index);
  return /\bschema_version\b/i.test(columns) && !OF_NODES.test(columns) ? "agreement" : "peers";
}

/** Whether it only reads, so that asking it twice is as asking it once. */
export function onlyReads(query: string): boolean {
  return SELECT.test(query.replace(BEFORE, ""));
}
