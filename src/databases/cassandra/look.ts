// What the operations of a Cassandra node look at: attributes through Jolokia, keyspaces and their replication.
import type { Json } from "../../std/json.ts";
import type { Answer, Ask, Question, Verdict } from "../database.ts";
import { execOf, listOf, mapOf, type Outcome, outcomes, readOf, STORAGE, textOf } from "./jolokia.ts";

export const SHORT_MS = 10_000;
const AGAIN_MS = 2_000;
/** For what a node does within seconds when nothing is wrong with it. */
export const SOON_MS = 60_000;

/** A bulk question to the node. */
export type Asking = (requests: readonly Json[], timeoutMs: number) => Question;

/** Finds the names of all keyspaces that have replicas. */
export function listKeyspaces(ask: Asking): Ask {
  return {
    say: "listing keyspaces",
    question: ask([readOf(STORAGE, ["NonLocalStrategyKeyspaces"])], SHORT_MS),
    read: looking(({ storage }) => {
      const names = [...listOf(storage["NonLocalStrategyKeyspaces"])].sort();
      return { type: "done", detail: names.join(", "), result: names };
    }),
    patienceMs: SOON_MS,
  };
}

type Look = { readonly storage: Readonly<Record<string, Json>>; readonly rest: readonly Outcome[] };

/** The attributes that a bulk question's first request reads, and what became of the others; as text: why there are none. */
function lookAt(answer: Answer): Look | string {
  const read = outcomes(answer);
  if ("error" in read) return read.error;
  const [first, ...rest] = read;
  if (first === undefined) return "Jolokia answered nothing";
  return "error" in first ? first.error : { storage: mapOf(first.value), rest };
}

/** Looks until the verdict on what is seen is another than "again". */
export function looking(judge: (look: Look) => Verdict): (answer: Answer) => Verdict {
  return (answer) => {
    const look = lookAt(answer);
    return typeof look === "string" ? again(look) : judge(look);
  };
}

export function again(detail: string): Verdict {
  return { type: "again", afterMs: AGAIN_MS, detail };
}

/** Cassandra's own keyspaces: they lose replicas with every ring that gets small, and nobody's data with them. */
const SYSTEM = /^system_/;

/** Requests for the replication of the keyspaces that `listKeyspaces` has found, Cassandra's own left out. */
export function replicationOf(found: Json): readonly Json[] {
  return listOf(found)
    .filter((name) => !SYSTEM.test(name))
    .map((name) => execOf(STORAGE, "getKeyspaceReplicationInfo(java.lang.String)", [name]));
}

/**
 * Replicas that a keyspace has in the datacenter; as text: why nobody knows; undefined: its strategy has no number.
 * `SimpleStrategy {replication_factor=3}` or `NetworkTopologyStrategy {dc1=3, dc2=2}`.
 */
export function replicasIn(info: Outcome, datacenter: string): number | string | undefined {
  if ("error" in info) return `cannot read the replication of keyspace "${info.of}": ${info.error}`;
  const found = [...textOf(info.value).matchAll(/([^\s{,=]+)=(\d+)/g)].find(
    ([, name]) => name === datacenter || name === "replication_factor",
  )?.[2];
  return found === undefined ? undefined : Number(found);
}
