// What the doctor compares and finds: the shapes, and what all of its checks need.
import type { Sight } from "../mesos/sight.ts";
import type { Command, Repair } from "./events.ts";
import { nodesInOrder } from "./members.ts";
import type { NodeRecord, State } from "./state.ts";

/** What was found to compare. */
export type Evidence = {
  readonly nowMs: number;
  readonly state: State;
  /** What the master said, or why it said nothing. */
  readonly mesos: Sight | { readonly error: string };
  /** Names of the ring's members as the cluster's nodes see it, or why none of them said, by cluster. */
  readonly rings: ReadonlyMap<string, { readonly names: readonly string[] } | { readonly error: string }>;
  /** Ids of nodes that the store has an endpoint for. */
  readonly endpoints: readonly string[];
};

export type Finding = {
  /** `<check>:<subject>`: the same thing found again has the same id. */
  readonly id: string;
  readonly severity: "error" | "warning" | "info";
  /** What it is, why it matters, what to do about it. */
  readonly what: string;
  readonly why: string;
  readonly advice: string;
  /** What may be done without any danger to data: in words, and as a command. */
  readonly repair?: { readonly does: string; readonly command: Command };
};

export type Check = (evidence: Evidence) => readonly Finding[];

/** Launches and releases under way are not there yet, or not gone yet. */
export const SETTLED_MS = 60_000;

export function nodesOf(state: State): readonly NodeRecord[] {
  return [...state.clusters.values()].flatMap(nodesInOrder);
}

export function repairing(repair: Repair): Command {
  return { type: "repair", repair };
}
