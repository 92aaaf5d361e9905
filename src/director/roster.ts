// The list of a cluster's nodes as its source tells it, kept through what a source does wrong when it is away or starts: then
// it has no nodes, or only some. Nodes that are to stop are told as draining, so that a node that is missing is in no hurry.
import type { Endpoint } from "../databases/endpoint.ts";

/** A node must be missing for so long, from lists that have others, before it is gone. */
const MISSING_MS = 15_000;

type Known = { readonly endpoint: Endpoint; readonly missingSinceMs?: number };

/** By node. */
export type Roster = ReadonlyMap<string, Known>;

/** The roster after the source told its whole list. An empty one changes nothing: dead nodes are found by probes. */
export function hear(roster: Roster, list: readonly Endpoint[], nowMs: number): Roster {
  if (list.length === 0) return roster;
  const next = new Map<string, Known>(list.map((endpoint) => [endpoint.node, { endpoint }]));
  for (const [node, known] of roster) {
    if (!next.has(node)) next.set(node, { missingSinceMs: nowMs, ...known });
  }
  return lapse(next, nowMs);
}

/** The roster without the nodes that have been missing for long enough; the same one when there are none. */
export function lapse(roster: Roster, nowMs: number): Roster {
  const kept = [...roster].filter(([, { missingSinceMs }]) => nowMs - (missingSinceMs ?? nowMs) < MISSING_MS);
  return kept.length === roster.size ? roster : new Map(kept);
}

export function endpointsOf(roster: Roster): readonly Endpoint[] {
  return [...roster.values()].map(({ endpoint }) => endpoint);
}
