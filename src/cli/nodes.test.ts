// What a node is asked for, from words to exit code, against the stand-in for the scheduler.
import { afterEach, expect, test } from "bun:test";
import type { Json } from "../std/json.ts";
import { clusterView, nodeRead, nodesView, nodeView, problem, run, standIn, stopStandIns } from "./io/stand-in.ts";

afterEach(stopStandIns);

const ID = "ringmaster-demo-1";
const NODE = `GET /api/v1/clusters/demo/nodes/${ID}`;

test("node status prints what the node says, and fails with the node's own answer", async () => {
  const scheduler = standIn({
    [`${NODE}/reads/status`]: [
      nodeRead("status", { mode: "NORMAL", ring: [{ host: "a", up: true }] }),
      nodeRead("status", { reason: "not started" }, 503),
      nodeRead("status", { error: "Node is not running!" }),
    ],
  });
  const words = ["node", "status", "demo", ID];
  expect(await run(scheduler, words)).toEqual({
    code: 0,
    out: "mode: NORMAL\nring:\n  HOST  UP\n  a     true\n",
    err: "",
  });
  const failed = (found: string) => ({
    code: 1,
    out: "",
    err: `ringmaster: Cannot read "status" of node "${ID}": found ${found}, wanted an answer of its database\n`,
  });
  expect(await run(scheduler, words)).toEqual(failed('status 503 {"reason":"not started"}'));
  expect(await run(scheduler, words)).toEqual(failed("Node is not running!"));
  const { code, out } = await run(scheduler, [...words, "--json"]);
  expect({ code, read: JSON.parse(out) as Json }).toEqual({
    code: 1,
    read: { node: ID, read: "status", status: 200, answer: { error: "Node is not running!" } },
  });
});

test("an answer that says why the ring is not ready is an answer", async () => {
  const answer = { ready: false, error: { nodes_down: ["a@b"] } };
  const scheduler = standIn({ [`${NODE}/reads/ringready`]: nodeRead("ringready", answer) });
  expect(await run(scheduler, ["node", "ringready", "demo", ID])).toEqual({
    code: 0,
    out: "ready: false\nerror:\n  nodes_down: a@b\n",
    err: "",
  });
});

test("a node named without its cluster is looked for in those that its id can mean", async () => {
  const id = "ring-master-a-demo-12";
  const scheduler = standIn({
    "GET /api/v1/clusters": Response.json({
      clusters: await Promise.all(["other", "demo", "a-demo"].map((name) => clusterView({ name }).json())),
    }),
    "GET /api/v1/clusters/demo/nodes": nodesView("ring-master-demo-12", "ring-master-demo-1"),
    "GET /api/v1/clusters/a-demo/nodes": nodesView("ring-master-a-demo-1", id),
    [`GET /api/v1/clusters/a-demo/nodes/${id}`]: nodeView({ id, cluster: "a-demo" }),
  });
  const { code, out } = await run(scheduler, ["node", "info", id]);
  expect({ code, first: out.split("\n")[0] }).toEqual({ code: 0, first: `node ${id}` });
  expect(scheduler.calls.splice(0).map(({ route }) => route)).toEqual([
    "GET /api/v1/clusters",
    "GET /api/v1/clusters/demo/nodes",
    "GET /api/v1/clusters/a-demo/nodes",
    `GET /api/v1/clusters/a-demo/nodes/${id}`,
  ]);
  expect(await run(scheduler, ["node", "restart", "ring-master-a-demo-13"])).toEqual({
    code: 1,
    out: "",
    err: 'ringmaster: Cannot find node "ring-master-a-demo-13": found it in no cluster, wanted one of a cluster\'s: "other", "demo", "a-demo"\n',
  });
});

test("node log tail prints lines as they are, and --json the API's answer", async () => {
  const text = 'first line\n\n{"third": 3}\n';
  const answer = nodeRead("log console.log", text);
  const scheduler = standIn({
    [`${NODE}/logs/console.log?lines=200`]: answer,
    [`${NODE}/logs`]: nodeRead("logs", { logs: [{ name: "console.log", bytes: 12 }] }),
  });
  const words = ["node", "log", "tail", "demo", ID];
  expect(await run(scheduler, words)).toEqual({ code: 0, out: text, err: "" });
  expect((await run(scheduler, [...words, "--json"])).out).toBe(`${await nodeRead("log console.log", text).text()}\n`);
  expect((await run(scheduler, ["node", "log", "list", "demo", ID])).out).toBe(
    "logs:\n  NAME         BYTES\n  console.log  12\n",
  );
});

test("node wait-for-service ends when the node runs and its probes are well", async () => {
  const words = ["node", "wait-for-service", "demo", ID];
  const starting = (): Response => nodeView({ phase: "starting", healthy: false });
  const ready = standIn({
    [NODE]: [starting(), starting(), nodeView({ healthy: false }), nodeView()],
  });
  expect(await run(ready, words)).toEqual({
    code: 0,
    out: `Node "${ID}" is ready on agent-1\n`,
    err: `node ${ID} is starting\nnode ${ID} is running, its probes fail\nnode ${ID} is running\n`,
  });
  const lastFailure = { at: "2026-01-02T03:04:05.000Z", state: "TASK_FAILED", message: "no riak_kv" };
  const down = standIn({ [NODE]: nodeView({ phase: "down", healthy: false, failures: 2, lastFailure }) });
  expect(await run(down, [...words, "--timeout", "0.1"])).toEqual({
    code: 4,
    out: "",
    err: `node ${ID} is down\nringmaster: Waited 0.1 s. Node "${ID}" is down, failures in a row: 2, the last: no riak_kv\n`,
  });
  const leaving = await run(standIn({ [NODE]: nodeView({ phase: "releasing", healthy: false }) }), words);
  expect(leaving).toMatchObject({ code: 1, out: "" });
  expect(leaving.err).toEndWith(`ringmaster: Cannot wait for node "${ID}": found it releasing, wanted it to be kept\n`);
});

const transfers = (partitions: readonly number[], active = 0): Response =>
  nodeRead("transfers", {
    down: [],
    waiting_to_handoff: partitions.map((count, index) => ({ node: `riak${index}@a`, partitions: count })),
    stopped: [],
    active: Array.from({ length: active }, () => ({ "transfer type": "ownership" })),
  });

test("node transfers -w waits until the ring has been quiet for three looks in a row", async () => {
  const scheduler = standIn({
    [`${NODE}/reads/transfers`]: [
      transfers([3, 1], 1),
      transfers([]),
      transfers([1]),
      problem(502, "Cannot ask node: no executor"),
      transfers([]),
    ],
  });
  expect(await run(scheduler, ["node", "transfers", "demo", ID, "-w"])).toEqual({
    code: 0,
    out: `Node "${ID}" says that no transfer waits and none is active\n`,
    err: `node ${ID} says: 4 partitions wait, 1 transfer is active
node ${ID} says: 0 partitions wait, 0 transfers are active
node ${ID} says: 1 partition waits, 0 transfers are active
node ${ID} is away, trying again: Cannot ask node: no executor
node ${ID} says: 0 partitions wait, 0 transfers are active
node ${ID} is back
`,
  });
  expect(scheduler.calls.length).toBe(7);
}, 20_000);

test("node transfers -w ends with 4 and what is left, with --json as the API says it", async () => {
  const down = { down: ["riak2@a"], waiting_to_handoff: [], stopped: [], active: [{}, {}] };
  const scheduler = standIn({ [`${NODE}/reads/transfers`]: nodeRead("transfers", down) });
  const { code, out, err } = await run(scheduler, ["node", "transfers", "demo", ID, "--timeout", "0.2", "--json"]);
  expect({ code, answer: (JSON.parse(out) as { answer: Json }).answer }).toEqual({ code: 4, answer: down });
  expect(err).toEndWith(
    `ringmaster: Waited 0.2 s. Node "${ID}" says: 0 partitions wait, 2 transfers are active, down: riak2@a\n`,
  );
});

test("node transfers -w does not wait for a node that cannot say anything, or not that", async () => {
  const waited = async (answer: Response) =>
    await run(standIn({ [`${NODE}/reads/transfers`]: answer }), ["node", "transfers", "demo", ID, "-w"]);
  const failed = (err: string) => ({ code: 1, out: "", err: `ringmaster: ${err}\n` });
  expect(await waited(nodeRead("transfers", { error: "Node is not running!" }))).toEqual(
    failed(`Cannot read "transfers" of node "${ID}": found Node is not running!, wanted an answer of its database`),
  );
  expect(await waited(nodeRead("transfers", { active: "no" }))).toEqual(
    failed(`Cannot wait for transfers: found none in the answer of node "${ID}", wanted Riak's`),
  );
});
