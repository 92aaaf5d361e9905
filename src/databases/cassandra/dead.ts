// What is asked of a Cassandra node about one that is dead: whether the ring thinks so too, whether it may be replaced, and to
// take it out of the ring.
import type { Json } from "../../std/json.ts";
import type { Ask, Verdict } from "../database.ts";
import type { AdminTask, NodeTask } from "../node.ts";
import { isNamed } from "./reads.ts";
import { execOf, listOf, mapOf, outcomes, readOf, STORAGE, textOf } from "./jolokia.ts";
import { again, type Asking, looking, replicasIn, replicationOf, SHORT_MS, SOON_MS } from "./look.ts";

/** Streaming what a large node had took days where it was throttled. */
const REMOVE_MS = 7 * 24 * 3_600_000;
/** A node that was killed is noticed within 21 s; how long the ring may take to be of one mind about it. */
const NOTICE_MS = 300_000;
/** Replicas of which one may be away while a quorum lives. */
const QUORUM_REPLICAS = 3;

const RING = readOf(STORAGE, [
  "EndpointWithPortToHostId",
  "LiveNodesWithPort",
  "UnreachableNodesWithPort",
  "RemovalStatusWithPort",
]);

/** Address and cluster port by which the ring knows a node. */
function endpointOf({ args, members }: AdminTask, name: string): string {
  const member = members.find(({ node }) => node === args[name]);
  const host = member?.address ?? member?.hostname ?? "";
  return `${host.includes(":") ? `[${host}]` : host}:${member?.ports["storage"]}`;
}

/** Waits until the ring takes `args.old` for dead: Cassandra does not replace a node that lives, and nor do we. */
export function checkDead(admin: AdminTask, ask: Asking): Ask {
  const endpoint = endpointOf(admin, "old");
  return {
    say: `looking whether ${admin.args["old"]} is dead`,
    question: ask([RING], SHORT_MS),
    read: looking(({ storage }) => {
      if (listOf(storage["LiveNodesWithPort"]).includes(endpoint)) return again(`${endpoint} is alive in the ring`);
      if (mapOf(storage["EndpointWithPortToHostId"])[endpoint] !== undefined)
        return { type: "done", detail: `${endpoint} is down` };
      const detail = `${endpoint} is not in the ring, so nothing can take its place: force its removal and add a node`;
      return { type: "failed", detail };
    }),
    patienceMs: NOTICE_MS,
  };
}

/** Whether a quorum of every keyspace's replicas lives while one node is away. */
export function checkQuorum(task: NodeTask, ask: Asking): Ask {
  return {
    say: "checking the replicas",
    question: (found) => ask([RING, ...replicationOf(found)], SHORT_MS),
    read: looking(({ storage, rest }) => {
      const away = Object.keys(mapOf(storage["EndpointWithPortToHostId"])).filter((endpoint) =>
        listOf(storage["UnreachableNodesWithPort"]).includes(endpoint),
      );
      if (away.length > 1) return again(`down are ${away.join(", ")}, wanted one at most`);
      const short = rest.flatMap((info) => {
        const replicas = replicasIn(info, task.datacenter);
        if (typeof replicas === "string") return [replicas];
        if (replicas === undefined || replicas >= QUORUM_REPLICAS) return [];
        return [`keyspace "${info.of}" has ${replicas} replicas, wanted ${QUORUM_REPLICAS} to do without one`];
      });
      if (short.length === 0) return { type: "done", detail: "a quorum of every keyspace lives" };
      return { type: "failed", detail: `${short.join("; ")}: replace the node by hand` };
    }),
    patienceMs: SOON_MS,
  };
}

/** Takes a dead member of the ring out that is none of the cluster's nodes: `args.member`, as the ring names it. */
export function removeStranger(admin: AdminTask, ask: Asking): readonly Ask[] {
  const { member = "" } = admin.args;
  const known = admin.members.find((node) => isNamed(member, node));
  if (known === undefined) return removeEndpoint(member, member, ask);
  const detail = `${member} is node "${known.node}": wanted a member that is none; remove the node instead`;
  const read = (): Verdict => ({ type: "failed", detail });
  return [{ say: `looking whose ${member} is`, question: ask([RING], SHORT_MS), read, patienceMs: SHORT_MS }];
}

/** Takes `args.node` out. */
export function removeNode(admin: AdminTask, ask: Asking): readonly Ask[] {
  return removeEndpoint(endpointOf(admin, "node"), admin.args["node"] ?? "", ask);
}

/**
 * Takes a dead member out. The operation itself only returns when all is streamed, and goes on when nobody waits for it: so the
 * ring is watched instead. Asked again, it goes on with a removal that another node has begun.
 */
function removeEndpoint(endpoint: string, name: string, ask: Asking): readonly Ask[] {
  const remove = (found: Json): Json => execOf(STORAGE, "removeNode", [textOf(found)]);
  const look = (say: string, judge: Parameters<typeof looking>[0], patienceMs: number): Ask => ({
    say,
    question: ask([RING], SHORT_MS),
    read: looking(judge),
    patienceMs,
  });
  return [
    look(
      `looking whether ${name} is dead`,
      ({ storage }) => {
        const id = mapOf(storage["EndpointWithPortToHostId"])[endpoint];
        if (id === undefined) return { type: "done", detail: `${endpoint} is not in the ring`, result: "" };
        if (listOf(storage["LiveNodesWithPort"]).includes(endpoint)) return again(`${endpoint} is alive in the ring`);
        return { type: "done", detail: `${endpoint} is down`, result: id };
      },
      NOTICE_MS,
    ),
    {
      say: "asking for its removal",
      question: (found) => ask(found === "" ? [RING] : [remove(found)], SHORT_MS),
      read: (answer) => {
        const read = outcomes(answer);
        const [said] = "error" in read ? [] : read;
        // No answer: it is at work. Not found: it is out. Processing: it was asked before.
        if (
          said === undefined ||
          !("error" in said) ||
          /Host ID not found|already processing a removal/.test(said.error)
        )
          return { type: "done", detail: "" };
        return said.error.includes("is alive") ? again(said.error) : { type: "failed", detail: said.error };
      },
      patienceMs: NOTICE_MS,
    },
    look(
      "waiting until it is out of the ring",
      ({ storage }) => {
        if (mapOf(storage["EndpointWithPortToHostId"])[endpoint] === undefined)
          return { type: "done", detail: `${endpoint} is out of the ring` };
        const status = textOf(storage["RemovalStatusWithPort"]) || `${endpoint} is in the ring`;
        return status.startsWith("No token removals") ? { type: "failed", detail: status } : again(status);
      },
      REMOVE_MS,
    ),
  ];
}
