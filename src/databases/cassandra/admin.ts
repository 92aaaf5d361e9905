// What changes a Cassandra node or its ring, through JMX. Every operation may be asked for again from its beginning.
import type { Json } from "../../std/json.ts";
import type { Answer, Ask, Place, Question, Verdict } from "../database.ts";
import type { AdminTask, NodeTask } from "../node.ts";
import { checkDead, checkQuorum, removeNode, removeStranger } from "./dead.ts";
import { askJolokia, execOf, listOf, mapOf, type Outcome, outcomes, readOf, STORAGE, textOf } from "./jolokia.ts";
import { again, type Asking, listKeyspaces, looking, replicasIn, replicationOf, SHORT_MS, SOON_MS } from "./look.ts";
import { repairAsks } from "./repair.ts";

const STREAMS = "org.apache.cassandra.net:type=StreamManager";

const FLUSH_MS = 600_000;
const CLEANUP_MS = 24 * 3_600_000;
/** Handing over a large node's data took days where streaming was throttled. */
const LEAVE_MS = 7 * 24 * 3_600_000;

/** Operations that an operator may ask for by name. */
export const OPERATIONS: readonly string[] = ["cleanup", "flush", "remove-stranger", "repair"];

/**
 * The asks of an operation. `args.keyspace`: only this one is flushed, cleaned up or repaired. `args.force`: leaves whatever is lost.
 * `args.node`, `args.old`: the dead node that is to go or to be replaced. `args.quorum` "wanted": only if a quorum of all
 * replica sets lives without it.
 */
export function adminAsks(admin: AdminTask, task: NodeTask, place: Place): readonly Ask[] | undefined {
  const ask = (requests: readonly Json[], timeoutMs: number): Question => askJolokia(task, place, requests, timeoutMs);
  const { keyspace, force, quorum } = admin.args;
  const keyspaces = keyspace === undefined ? listKeyspaces(ask) : undefined;
  const onKeyspaces = (say: string, timeoutMs: number, request: (name: string) => Json): readonly Ask[] => {
    const question = (found: Json): Question =>
      ask((keyspaces !== undefined ? listOf(found) : [keyspace ?? ""]).map(request), timeoutMs);
    const last: Ask = { say, question, read: allDone, patienceMs: timeoutMs };
    return keyspaces === undefined ? [last] : [keyspaces, last];
  };
  switch (admin.operation) {
    case "decommission":
      return [...(force === "true" ? [] : [listKeyspaces(ask), checkReplicas(task, ask)]), ...leave(ask)];
    case "settle":
      return [settle(ask)];
    case "removenode":
      return removeNode(admin, ask);
    case "remove-stranger":
      return admin.args["member"] === undefined ? undefined : removeStranger(admin, ask);
    case "check-replace":
      return quorum === "wanted"
        ? [checkDead(admin, ask), listKeyspaces(ask), checkQuorum(task, ask)]
        : [checkDead(admin, ask)];
    case "cleanup":
      return onKeyspaces("cleaning up", CLEANUP_MS, (name) =>
        execOf(STORAGE, "forceKeyspaceCleanup(int,java.lang.String,[Ljava.lang.String;)", [0, name, []]),
      );
    case "flush":
      return onKeyspaces("flushing", FLUSH_MS, (name) =>
        execOf(STORAGE, "forceKeyspaceFlush(java.lang.String,[Ljava.lang.String;)", [name, []]),
      );
    case "repair":
      return [...(keyspaces === undefined ? [] : [keyspaces]), ...repairAsks(ask, keyspace)];
    default:
      return undefined;
  }
}

function allDone(answer: Answer): Verdict {
  const read = outcomes(answer);
  if ("error" in read) return { type: "failed", detail: read.error };
  // A cleanup answers 0; 1 and 2 say that it was aborted, or others could not be cancelled.
  const bad = read.flatMap((one) =>
    "error" in one ? [one.error] : one.value ? [`status ${JSON.stringify(one.value)}`] : [],
  );
  return bad.length > 0
    ? { type: "failed", detail: bad.join("; ") }
    : { type: "done", detail: `keyspaces: ${read.length}` };
}

/** Waits until every member is up, as this node sees it, and nobody comes or goes. */
function settle(ask: Asking): Ask {
  const changing = ["JoiningNodesWithPort", "LeavingNodesWithPort", "MovingNodesWithPort"];
  return {
    say: "looking whether the ring is whole",
    question: ask([readOf(STORAGE, ["UnreachableNodesWithPort", ...changing])], SHORT_MS),
    read: looking(({ storage }) => {
      const open = Object.entries({ down: ["UnreachableNodesWithPort"], changing }).flatMap(([what, names]) =>
        names.flatMap((name) => listOf(storage[name]).map((endpoint) => `${endpoint} (${what})`)),
      );
      return open.length === 0
        ? { type: "done", detail: "every member is up" }
        : again(`not at rest: ${[...new Set(open)].join(", ")}`);
    }),
    patienceMs: SOON_MS,
  };
}

/**
 * Whether all replicas of all data have a place when this node is gone. Cassandra's own check looks at its system keyspaces
 * too, which want three nodes whatever the ring: a ring of three could never lose one. So it is forced, and this is ours.
 */
function checkReplicas(task: NodeTask, ask: Asking): Ask {
  const ring = readOf(STORAGE, ["OperationMode", "EndpointWithPortToHostId", "LeavingNodesWithPort"]);
  return {
    say: "checking the replicas",
    question: (found) => ask([ring, ...replicationOf(found)], SHORT_MS),
    read: looking(({ storage, rest }) => {
      const mode = textOf(storage["OperationMode"]);
      // Asked for again while it leaves, or has left.
      if (LEAVING.test(mode)) return { type: "done", detail: `OperationMode ${mode}` };
      const members = Object.keys(mapOf(storage["EndpointWithPortToHostId"])).length;
      const others = members - listOf(storage["LeavingNodesWithPort"]).length - 1;
      const short = rest.flatMap((one) => missingReplicas(one, task.datacenter, others));
      return short.length > 0
        ? { type: "failed", detail: short.join("; ") }
        : { type: "done", detail: `nodes for all replicas after the leave: ${others}` };
    }),
    patienceMs: SOON_MS,
  };
}

const LEAVING = /^(?:LEAVING|DECOMMISSIONED)$/;

function missingReplicas(info: Outcome, datacenter: string, others: number): readonly string[] {
  const wanted = replicasIn(info, datacenter);
  if (typeof wanted === "string") return [wanted];
  if (wanted === undefined || wanted <= others) return [];
  return [`replicas of keyspace "${info.of}": found ${others} nodes for them after the leave, wanted ${wanted}`];
}

/** The operation itself only returns when all is handed over, and goes on when nobody waits for it: so it is watched instead. */
function leave(ask: Asking): readonly Ask[] {
  const watch = ask([readOf(STORAGE, ["OperationMode"]), readOf(STREAMS, ["CurrentStreams"])], SHORT_MS);
  const byMode = (judge: (mode: string, streams: Json) => Verdict): Ask["read"] =>
    looking(({ storage, rest: [streams] }) => {
      const mode = textOf(storage["OperationMode"]);
      if (mode === "DECOMMISSION_FAILED")
        return { type: "failed", detail: "OperationMode DECOMMISSION_FAILED; the node's system.log says why" };
      return judge(mode, streams !== undefined && "value" in streams ? streams.value : null);
    });
  return [
    {
      say: "asking it to leave",
      question: ask([execOf(STORAGE, "decommission(boolean)", [true])], SHORT_MS),
      read: (answer) => {
        const read = outcomes(answer);
        const [said] = "error" in read ? [] : read;
        // It has begun before, and may not be asked twice.
        if (said === undefined || !("error" in said) || /Node in (?:LEAVING|DECOMMISSIONED) state/.test(said.error))
          return { type: "done", detail: "" };
        return { type: "failed", detail: said.error };
      },
      patienceMs: SOON_MS,
    },
    {
      say: "waiting for it to leave",
      question: watch,
      read: byMode((mode) => (LEAVING.test(mode) ? { type: "done", detail: mode } : again(`OperationMode ${mode}`))),
      patienceMs: SOON_MS,
    },
    {
      say: "handing its data over",
      question: watch,
      read: byMode((mode, streams) => {
        if (mode === "DECOMMISSIONED") return { type: "done", detail: "OperationMode DECOMMISSIONED" };
        return mode === "LEAVING" ? again(sentOf(streams)) : { type: "failed", detail: `OperationMode ${mode}` };
      }),
      patienceMs: LEAVE_MS,
    },
  ];
}

/** How much of what is streamed out now has been sent. */
function sentOf(streams: Json): string {
  const all = mapOf(streams)["CurrentStreams"];
  const sum = (name: string): number =>
    (Array.isArray(all) ? all : []).reduce((bytes: number, one) => bytes + Number(mapOf(one)[name] ?? 0), 0);
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return `OperationMode LEAVING, sent ${mb(sum("currentTxBytes"))} of ${mb(sum("totalTxBytes"))} MB`;
}
