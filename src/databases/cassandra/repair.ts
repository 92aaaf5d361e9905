// The repair of a Cassandra node: everything that it has is compared with its other replicas, and what differs is streamed.
import type { Json } from "../../std/json.ts";
import type { Ask, Question, Verdict } from "../database.ts";
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
  const status = (number: string): Json => execOf(STORAGE, "getParentRepairStatus(int)", [Number(number)]);
  const statuses = (found: Json): Question =>
    ask([readOf(STORAGE, ["OperationMode"]), ...listOf(found).map(status)], SHORT_MS);
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
      say: "waiting for it to begin",
      question: statuses,
      read: looking(({ rest }) => judgeBegun(rest)),
      patienceMs: SOON_MS,
    },
    { say: "repairing", question: statuses, read: looking(({ rest }) => judge(rest)), patienceMs: REPAIR_MS },
  ];
}

/** A status is a list: IN_PROGRESS, COMPLETED or FAILED, then what there is to say. For a moment there is none. */
function judgeBegun(all: readonly Outcome[]): Verdict {
  const begun = all.flatMap((one) => ("value" in one && one.value !== null ? [one.of] : []));
  const detail = `repairs begun: ${begun.length} of ${all.length}`;
  return begun.length === all.length ? { type: "done", detail } : again(detail);
}

/** Once it was there, a status that is none is of a repair that has ended well a day ago: a failure is seen before. */
function judge(all: readonly Outcome[]): Verdict {
  const states = all.map((one) => ("value" in one ? listOf(one.value) : ["FAILED", one.error]));
  const bad = states.flatMap(([state, ...said]) =>
    state === "FAILED" ? [said.join("; ") || "a repair failed; the node's system.log says why"] : [],
  );
  if (bad.length > 0) return { type: "failed", detail: bad.join("; ") };
  const done = states.filter(([state]) => state !== "IN_PROGRESS").length;
  const detail = `keyspaces repaired: ${done} of ${all.length}`;
  return done === all.length ? { type: "done", detail } : again(detail);
}
