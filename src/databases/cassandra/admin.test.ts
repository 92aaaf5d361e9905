// What is asked of a Cassandra node to change it, and what its answers mean. The answers are as Jolokia gave them.
import { describe, expect, test } from "bun:test";
import type { Json } from "../../std/json.ts";
import type { Answer, Ask, Place, Verdict } from "../database.ts";
import type { Member, NodeTask } from "../node.ts";
import { adminAsks } from "./admin.ts";

const STORAGE = "org.apache.cassandra.db:type=StorageService";
const TASK = { ports: { jolokia: 8778 }, token: "secret-of-16-letters", datacenter: "dc1" } as unknown as NodeTask;
const PLACE = { address: "10.1.2.3" } as Place;

function asks(operation: string, args: Readonly<Record<string, string>> = {}): readonly Ask[] {
  return adminAsks({ schema: 1, node: "n", operation, args, members: [] }, TASK, PLACE) ?? [];
}

/** The requests that an ask puts, when `found` was found before. */
function requests(ask: Ask | undefined, found: Json = null): readonly unknown[] {
  const question = typeof ask?.question === "function" ? ask.question(found) : ask?.question;
  return question?.type === "http" ? (JSON.parse(question.body ?? "[]") as readonly unknown[]) : [];
}

type Part = { readonly of?: string; readonly value?: Json; readonly error?: string };

/** An answer to a bulk question: what became of each request in turn. */
function answer(parts: readonly Part[]): Answer {
  const text = parts.map(({ of = "", value, error }) => {
    const request = { type: "exec", arguments: [of] };
    return error === undefined ? { request, value: value ?? null, status: 200 } : { request, error, status: 500 };
  });
  return { status: 200, text: JSON.stringify(text) };
}

function verdict(ask: Ask | undefined, ...parts: readonly Part[]): Verdict | undefined {
  return ask?.read(answer(parts));
}

describe("flush and cleanup", () => {
  test("go over all keyspaces that have replicas", () => {
    const [list, flush] = asks("flush");
    expect(requests(list)).toEqual([{ type: "read", mbean: STORAGE, attribute: ["NonLocalStrategyKeyspaces"] }]);
    const listed = verdict(list, { value: { NonLocalStrategyKeyspaces: ["system_auth", "app"] } });
    expect(listed).toEqual({ type: "done", detail: "app, system_auth", result: ["app", "system_auth"] });
    const operation = "forceKeyspaceFlush(java.lang.String,[Ljava.lang.String;)";
    expect(requests(flush, ["app", "system_auth"])).toEqual([
      { type: "exec", mbean: STORAGE, operation, arguments: ["app", []] },
      { type: "exec", mbean: STORAGE, operation, arguments: ["system_auth", []] },
    ]);
    expect(verdict(flush, { value: null }, { value: null })).toEqual({ type: "done", detail: "keyspaces: 2" });
  });

  test("go over one that is named", () => {
    const operation = "forceKeyspaceCleanup(int,java.lang.String,[Ljava.lang.String;)";
    const [cleanup, ...more] = asks("cleanup", { keyspace: "app" });
    expect(more).toEqual([]);
    expect(requests(cleanup)).toEqual([{ type: "exec", mbean: STORAGE, operation, arguments: [0, "app", []] }]);
    expect(verdict(cleanup, { value: 0 })).toEqual({ type: "done", detail: "keyspaces: 1" });
    expect(verdict(cleanup, { value: 1 })).toEqual({ type: "failed", detail: "status 1" });
  });

  test("fail with Cassandra's words, or with why there are none", () => {
    const [flush] = asks("flush", { keyspace: "nope" });
    const error = "java.lang.IllegalArgumentException : Keyspace nope does not exist";
    expect(verdict(flush, { error })).toEqual({ type: "failed", detail: error });
    expect(flush?.read({ error: "no answer" })).toEqual({ type: "failed", detail: "no answer" });
    expect(flush?.read({ status: 401, text: "" })).toEqual({
      type: "failed",
      detail: "Jolokia answered with HTTP status 401",
    });
    expect(flush?.read({ status: 200, text: "<html>" })).toEqual({
      type: "failed",
      detail: 'Jolokia answered "<html>"',
    });
  });
});

describe("repair", () => {
  test("begins one of each keyspace, and waits for those that have other replicas", () => {
    const [list, begin, start, wait] = asks("repair");
    expect(list?.say).toBe("listing keyspaces");
    const options = { parallelism: "parallel", primaryRange: "false", incremental: "false" };
    const operation = "repairAsync(java.lang.String,java.util.Map)";
    expect(requests(begin, ["app", "single"])).toEqual([
      { type: "exec", mbean: STORAGE, operation, arguments: ["app", options] },
      { type: "exec", mbean: STORAGE, operation, arguments: ["single", options] },
    ]);
    const detail = "keyspaces with more than one replica: 1";
    expect(verdict(begin, { of: "app", value: 7 }, { of: "single", value: 0 })).toEqual({
      type: "done",
      detail,
      result: [7],
    });
    expect(requests(wait, [7])).toEqual([
      { type: "read", mbean: STORAGE, attribute: ["OperationMode"] },
      { type: "exec", mbean: STORAGE, operation: "getParentRepairStatus(int)", arguments: [7] },
    ]);
    const mode = { value: { OperationMode: "NORMAL" } };
    // Cassandra notes a repair a moment after it has given it a number, and forgets it a day after its end.
    expect(verdict(start, mode, { value: null })).toMatchObject({ type: "again" });
    expect(verdict(start, mode, { value: ["IN_PROGRESS"] })).toEqual({ type: "done", detail: "repairs begun: 1 of 1" });
    expect(verdict(wait, mode, { value: null }, { value: ["IN_PROGRESS"] })).toMatchObject({ type: "again" });
    expect(verdict(wait, mode, { value: null })).toMatchObject({ type: "done" });
    expect(verdict(wait, mode, { value: ["COMPLETED", "Repair completed successfully"] })).toEqual({
      type: "done",
      detail: "keyspaces repaired: 1 of 1",
    });
    expect(verdict(wait, mode)).toEqual({ type: "done", detail: "keyspaces repaired: 0 of 0" });
  });

  test("fails with Cassandra's words", () => {
    const [begin, , wait, ...more] = asks("repair", { keyspace: "app" });
    expect(more).toEqual([]);
    expect(requests(begin)).toHaveLength(1);
    expect(verdict(begin, { error: "unknown keyspace" })).toEqual({ type: "failed", detail: "unknown keyspace" });
    const mode = { value: { OperationMode: "NORMAL" } };
    expect(verdict(wait, mode, { value: ["FAILED", "a replica is down"] })).toEqual({
      type: "failed",
      detail: "a replica is down",
    });
  });
});

describe("decommission", () => {
  const [, check, leave, begin, hand] = asks("decommission");
  const ring = (mode: string, members: number, leaving: readonly string[] = []): { value: Json } => ({
    value: {
      OperationMode: mode,
      EndpointWithPortToHostId: Object.fromEntries(Array.from({ length: members }, (_, i) => [`10.0.0.${i}:7000`, ""])),
      LeavingNodesWithPort: leaving,
    },
  });
  const simple = { of: "app", value: "SimpleStrategy {replication_factor=2}" };
  const network = { of: "shop", value: "NetworkTopologyStrategy {dc0=5, dc1=3}" };

  test("looks at the replication of all keyspaces but Cassandra's own", () => {
    expect(requests(check, ["app", "system_auth"]).slice(1)).toEqual([
      {
        type: "exec",
        mbean: STORAGE,
        operation: "getKeyspaceReplicationInfo(java.lang.String)",
        arguments: ["app"],
      },
    ]);
  });

  test("is refused while replicas would find no node", () => {
    expect(verdict(check, ring("NORMAL", 4), simple, network)).toEqual({
      type: "done",
      detail: "nodes for all replicas after the leave: 3",
    });
    expect(verdict(check, ring("NORMAL", 3), simple, network)).toEqual({
      type: "failed",
      detail: 'replicas of keyspace "shop": found 2 nodes for them after the leave, wanted 3',
    });
    expect(verdict(check, ring("NORMAL", 4, ["10.0.0.3:7000"]), simple, network)).toMatchObject({ type: "failed" });
    expect(verdict(check, ring("NORMAL", 3), { of: "x", error: "no such keyspace" })).toEqual({
      type: "failed",
      detail: 'cannot read the replication of keyspace "x": no such keyspace',
    });
    expect(verdict(check, { error: "no MBean" })).toEqual({ type: "again", afterMs: 2000, detail: "no MBean" });
  });

  test("that has begun, or is done, may be asked for again", () => {
    expect(verdict(check, ring("LEAVING", 3, ["10.0.0.1:7000"]), network)).toEqual({
      type: "done",
      detail: "OperationMode LEAVING",
    });
    const error =
      "java.lang.UnsupportedOperationException : Node in DECOMMISSIONED state; wait for status to become normal or restart";
    expect(verdict(leave, { error })).toEqual({ type: "done", detail: "" });
  });

  test("is asked without waiting for its end, and forced: Cassandra's own check counts its system keyspaces", () => {
    expect(requests(leave)).toEqual([
      { type: "exec", mbean: STORAGE, operation: "decommission(boolean)", arguments: [true] },
    ]);
    expect(leave?.read({ error: "no answer within 10000 ms" })).toEqual({ type: "done", detail: "" });
    const error =
      "java.lang.UnsupportedOperationException : no other normal nodes in the ring; decommission would be pointless";
    expect(verdict(leave, { error })).toEqual({ type: "failed", detail: error });
  });

  test("is watched to its end", () => {
    const seen = (mode: string, streams: Json = []): readonly Part[] => [
      { value: { OperationMode: mode } },
      { value: { CurrentStreams: streams } },
    ];
    expect(verdict(begin, ...seen("NORMAL"))).toEqual({ type: "again", afterMs: 2000, detail: "OperationMode NORMAL" });
    expect(verdict(begin, ...seen("LEAVING"))).toEqual({ type: "done", detail: "LEAVING" });
    const streams = [
      { currentTxBytes: 1_500_000, totalTxBytes: 4_000_000 },
      { currentTxBytes: 0, totalTxBytes: 1_000_000 },
    ];
    expect(verdict(hand, ...seen("LEAVING", streams))).toEqual({
      type: "again",
      afterMs: 2000,
      detail: "OperationMode LEAVING, sent 1.5 of 5.0 MB",
    });
    expect(verdict(hand, ...seen("DECOMMISSIONED"))).toEqual({ type: "done", detail: "OperationMode DECOMMISSIONED" });
    expect(verdict(hand, ...seen("NORMAL"))).toEqual({ type: "failed", detail: "OperationMode NORMAL" });
    expect(verdict(hand, ...seen("DECOMMISSION_FAILED"))).toEqual({
      type: "failed",
      detail: "OperationMode DECOMMISSION_FAILED; the node's system.log says why",
    });
  });

  test("by force asks for no replicas", () => {
    expect(asks("decommission", { force: "true" }).map(({ say }) => say)).toEqual([
      "asking it to leave",
      "waiting for it to leave",
      "handing its data over",
    ]);
  });
});

const DEAD: Member = {
  node: "n1",
  hostname: "host1",
  address: "10.0.0.1",
  rack: "rack1",
  ports: { storage: 7000 },
  joined: true,
  state: "absent",
};

function onDead(operation: string, args: Readonly<Record<string, string>>, member: Member = DEAD): readonly Ask[] {
  return adminAsks({ schema: 1, node: "n2", operation, args, members: [member] }, TASK, PLACE) ?? [];
}

/** The ring of 10.0.0.1 to 10.0.0.3, as node 2 sees it. */
function seen(
  unreachable: readonly string[],
  removal = "No token removals in process.",
  gone = false,
): { value: Json } {
  const all = ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"].slice(gone ? 1 : 0);
  return {
    value: {
      EndpointWithPortToHostId: Object.fromEntries(all.map((endpoint) => [endpoint, `id of ${endpoint}`])),
      LiveNodesWithPort: all.filter((endpoint) => !unreachable.includes(endpoint)),
      UnreachableNodesWithPort: unreachable,
      RemovalStatusWithPort: removal,
    },
  };
}

describe("check-replace", () => {
  const [dead, list, quorum] = onDead("check-replace", { old: "n1", quorum: "wanted" });

  test("waits until the ring takes the old node for dead, and fails when it is no member", () => {
    expect(verdict(dead, seen([]))).toEqual({
      type: "again",
      afterMs: 2000,
      detail: "10.0.0.1:7000 is alive in the ring",
    });
    expect(verdict(dead, seen(["10.0.0.1:7000"]))).toEqual({ type: "done", detail: "10.0.0.1:7000 is down" });
    expect(verdict(dead, seen([], "", true))).toEqual({
      type: "failed",
      detail: "10.0.0.1:7000 is not in the ring, so nothing can take its place: force its removal and add a node",
    });
    const { address: _unknown, ...before } = DEAD;
    const [byName] = onDead("check-replace", { old: "n1" }, { ...before, hostname: "10.0.0.1" });
    expect(verdict(byName, seen([]))).toMatchObject({ type: "again" });
  });

  test("asks for a quorum of every keyspace, where nobody has asked for the replacement", () => {
    expect(list?.say).toBe("listing keyspaces");
    const three = { of: "shop", value: "NetworkTopologyStrategy {dc0=1, dc1=3}" };
    const two = { of: "app", value: "SimpleStrategy {replication_factor=2}" };
    expect(verdict(quorum, seen(["10.0.0.1:7000"]), three)).toMatchObject({ type: "done" });
    expect(verdict(quorum, seen(["10.0.0.1:7000"]), three, two)).toEqual({
      type: "failed",
      detail: 'keyspace "app" has 2 replicas, wanted 3 to do without one: replace the node by hand',
    });
    expect(verdict(quorum, seen(["10.0.0.1:7000", "10.0.0.3:7000"]), three)).toEqual({
      type: "again",
      afterMs: 2000,
      detail: "down are 10.0.0.1:7000, 10.0.0.3:7000, wanted one at most",
    });
    expect(onDead("check-replace", { old: "n1", quorum: "not asked for" })).toHaveLength(1);
  });
});

test("settle waits until every member is up and nobody comes or goes", () => {
  const [only, ...more] = asks("settle");
  const ring = (change: Readonly<Record<string, Json>> = {}): Part => ({
    value: {
      UnreachableNodesWithPort: [],
      JoiningNodesWithPort: [],
      LeavingNodesWithPort: [],
      MovingNodesWithPort: [],
      ...change,
    },
  });
  expect(more).toEqual([]);
  expect(verdict(only, ring())).toEqual({ type: "done", detail: "every member is up" });
  const away = { UnreachableNodesWithPort: ["10.0.0.1:7000"], JoiningNodesWithPort: ["10.0.0.4:7000"] };
  expect(verdict(only, ring(away))).toEqual({
    type: "again",
    afterMs: 2000,
    detail: "not at rest: 10.0.0.1:7000 (down), 10.0.0.4:7000 (changing)",
  });
});

describe("remove-stranger", () => {
  test("takes a member out that is no node of the cluster, by the name that the ring has for it", () => {
    const [find, remove, wait] = onDead(
      "remove-stranger",
      { member: "10.0.0.3:7000" },
      { ...DEAD, ports: { storage: 7777 } },
    );
    expect(find?.say).toBe("looking whether 10.0.0.3:7000 is dead");
    expect(verdict(find, seen([]))).toMatchObject({ type: "again", detail: "10.0.0.3:7000 is alive in the ring" });
    const found = verdict(find, seen(["10.0.0.3:7000"]));
    expect(found).toEqual({ type: "done", detail: "10.0.0.3:7000 is down", result: "id of 10.0.0.3:7000" });
    expect(requests(remove, "id of 10.0.0.3:7000")).toMatchObject([{ operation: "removeNode" }]);
    expect(verdict(wait, seen([], "", false))).toMatchObject({ type: "again" });
  });

  test("never touches a node of the cluster, and wants to be told whom", () => {
    const [only, ...more] = onDead("remove-stranger", { member: "10.0.0.1:7000" });
    expect(more).toEqual([]);
    expect(verdict(only, seen(["10.0.0.1:7000"]))).toEqual({
      type: "failed",
      detail: '10.0.0.1:7000 is node "n1": wanted a member that is none; remove the node instead',
    });
    expect(onDead("remove-stranger", {})).toEqual([]);
  });
});

describe("removenode", () => {
  const [find, remove, wait] = onDead("removenode", { node: "n1" });

  test("asks by the host id of the dead node, without waiting for the end", () => {
    const found = verdict(find, seen(["10.0.0.1:7000"]));
    expect(found).toEqual({ type: "done", detail: "10.0.0.1:7000 is down", result: "id of 10.0.0.1:7000" });
    expect(verdict(find, seen([]))).toMatchObject({ type: "again" });
    expect(requests(remove, "id of 10.0.0.1:7000")).toEqual([
      { type: "exec", mbean: STORAGE, operation: "removeNode", arguments: ["id of 10.0.0.1:7000"] },
    ]);
    expect(remove?.read({ error: "no answer within 10000 ms" })).toEqual({ type: "done", detail: "" });
    const alive = "java.lang.UnsupportedOperationException : Node /10.0.0.1:7000 is alive and owns this ID.";
    expect(verdict(remove, { error: alive })).toEqual({ type: "again", afterMs: 2000, detail: alive });
    const error = "java.lang.UnsupportedOperationException : Cannot remove self";
    expect(verdict(remove, { error })).toEqual({ type: "failed", detail: error });
  });

  test("that is done, or was begun before, may be asked for again", () => {
    expect(verdict(find, seen([], "", true))).toEqual({
      type: "done",
      detail: "10.0.0.1:7000 is not in the ring",
      result: "",
    });
    expect(requests(remove, "")).toMatchObject([{ type: "read" }]);
    const error = "java.lang.UnsupportedOperationException : This node is already processing a removal. Wait for it";
    expect(verdict(remove, { error })).toEqual({ type: "done", detail: "" });
  });

  test("is watched to its end; one that nobody is at any more is begun again", () => {
    const status = "Removing token (-1). Waiting for replication confirmation from [10.0.0.3:7000].";
    expect(verdict(wait, seen(["10.0.0.1:7000"], status))).toEqual({ type: "again", afterMs: 2000, detail: status });
    expect(verdict(wait, seen(["10.0.0.1:7000"]))).toEqual({ type: "failed", detail: "No token removals in process." });
    expect(verdict(wait, seen([], "", true))).toEqual({ type: "done", detail: "10.0.0.1:7000 is out of the ring" });
  });
});

test("an operation that there is not is told", () => {
  expect(adminAsks({ schema: 1, node: "n", operation: "dance", args: {}, members: [] }, TASK, PLACE)).toBeUndefined();
});
