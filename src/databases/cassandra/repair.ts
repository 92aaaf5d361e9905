// The repair of a Cassandra node: everything that it has is compared with its other replicas, and what differs is streamed.
import type { Json } from "../../std/json.ts";
import type { Ask, Verdict } from "../database.ts";
import { execOf, listOf, type Outcome, outcomes, readOf, STORAGE } from "./jolokia.ts";
import { again, type Asking, looking, SHORT_MS, SOON_MS } from "./look.ts";

/** A large node's repair takes days. */
const REPAIR_MS = 7 * 24 * 3_600_000;

/** A full repair of all that the node has a replica of, at once on all of them, as nodetool does by default but for `full`. */
const OPTIONS = { parallelism: "parallel", primaryRange: "false", incremental: "false" };

/**
 * Begins a repair of each keyspace (`keyspace`: of this one; else of those that the ask before has found) and waits for all.
 * The call answers with a number at once, 0 where there is one replica only; its status is asked for by that number.
 */
export function repairAsks(ask: Asking, keyspace: string | undefined): readonly Ask[] {
  const begin = (name: string): Json => execOf(STORAGE, "repairAsync(java.lang.String,java.util.Map)", [name, OPTIONS]);
  return [
    {
      say: "beginning the repair",
      question: (found) => ask((keyspace === undefined ? listOf(found) : [keyspace]).map(begin), SOON_MS),
      read: (answer) => {
        const read = outcomes(answer);
        if ("error" in read) return { type: "failed", detail: read.error };
        const bad = read.flatMap((one) => ("error" in one ? [one.error] : []));
        if (bad.length > 0) return { type: "failed", detail: bad.join("; ") };
        const begun = read.filter((one) => "value" in one && Number(one.value) > 0);
        const detail = `keyspaces with more than one replica: ${begun.length}`;
        return { type: "done", detail, result: begun.map((one) => ("value" in one ? one.value : 0)) };
      },
      patienceMs: SOON_MS,
    },
    {
      say: "repairing",
      question: (found) => {
        const status = (number: string): Json => execOf(STORAGE, "getParentRepairStatus(int)", [Number(number)]);
        return ask([readOf(STORAGE, ["OperationMode"]), ...listOf(found).map(status)], SHORT_MS);
      },
      read: looking(({ rest }) => judge(rest)),
      patienceMs: REPAIR_MS,
    },
  ];
}

/** A status is a list: IN_PROGRESS, COMPLETED or FAILED, then what there is to say; null of a repair that nobody knows. */
function judge(all: readonly Outcome[]): Verdict {
  const states = all.map((one) => ("value" in one ? listOf(one.value) : ["FAILED", one.error]));
  const bad = states.flatMap(([state, ...said]) => {
    if (state === "FAILED") return [said.join("; ") || "a repair failed; the node's system.log says why"];
    return state === undefined
      ? ["the node knows nothing of a repair that it had begun: it was perhaps restarted"]
      : [];
  });
  if (bad.length > 0) return { type: "failed", detail: bad.join("; ") };
  const done = states.filter(([state]) => state === "COMPLETED").length;
  const detail = `keyspaces repaired: ${done} of ${all.length}`;
  return done === all.length ? { type: "done", detail } : again(detail);
}
