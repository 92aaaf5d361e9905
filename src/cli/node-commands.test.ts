// Command lines about a node become requests, with its cluster named or not.
import { expect, test } from "bun:test";
import { readArguments } from "./program.ts";
import type { Task } from "./request.ts";

function read(words: readonly string[]): Task {
  const reading = readArguments(words, {});
  if (reading.type === "text") throw new Error(`"${words.join(" ")}" gave a text: ${reading.out}${reading.err}`);
  return reading.request.task;
}

const taskOf = (line: string): Task => read(line.split(" "));

function mistakeOf(line: string): string {
  const reading = readArguments(line.split(" "), {});
  if (reading.type === "request") throw new Error(`"${line}" was taken: ${JSON.stringify(reading.request)}`);
  expect({ out: reading.out, code: reading.code }).toEqual({ out: "", code: 2 });
  return reading.err;
}

const ID = "ringmaster-demo-1";
const NODE = `/api/v1/clusters/demo/nodes/${ID}`;

test("each command that looks at a node asks for its route", () => {
  const shown: Readonly<Record<string, readonly [string, string]>> = {
    info: ["node", ""],
    status: ["read", "/reads/status"],
    "member-status": ["read", "/reads/status"],
    ringready: ["read", "/reads/ringready"],
    "aae-status": ["read", "/reads/aae-status"],
    stats: ["read", "/reads/stats"],
    transfers: ["read", "/reads/transfers"],
    "bucket-type list": ["read", "/reads/bucket-types"],
    "log list": ["read", "/logs"],
    "log tail": ["read", "/logs/console.log?lines=200"],
  };
  for (const [command, [view, below]] of Object.entries(shown)) {
    const task: object = { type: "show", view };
    expect(taskOf(`node ${command} demo ${ID}`) as object).toEqual({ ...task, path: `${NODE}${below}` });
    expect(taskOf(`node ${command} ${ID}`) as object).toEqual({ ...task, path: { node: ID, below } });
  }
  const tail: object = taskOf(`node log tail demo ${ID} --file a/b.log --lines 5`);
  expect(tail).toEqual({ type: "show", view: "read", path: `${NODE}/logs/a%2Fb.log?lines=5` });
});

test("each command that changes a node is one request", () => {
  const done = { restart: "restarted", stop: "stopped", start: "started", replace: "replaced" };
  for (const [action, word] of Object.entries(done)) {
    const task: object = { type: "post", begun: `Node "${ID}" is being ${word}` };
    expect(taskOf(`node ${action} demo ${ID}`) as object).toEqual({ ...task, path: `${NODE}/${action}` });
    const path = { node: ID, below: `/${action}` };
    expect(taskOf(`node ${action} ${ID} --wait`) as object).toEqual({ ...task, path, waitMs: 7_200_000 });
  }
  const remove = { type: "removeNode", node: ID, force: false, yes: false } as const;
  expect(taskOf(`node remove demo ${ID}`)).toEqual({ ...remove, path: NODE });
  expect(taskOf(`node remove ${ID} -f`)).toEqual({ ...remove, path: { node: ID, below: "?force=true" }, force: true });
  expect(taskOf(`node remove demo ${ID} --force --yes --timeout 5`)).toEqual({
    ...remove,
    path: `${NODE}?force=true`,
    force: true,
    yes: true,
    waitMs: 5000,
  });
});

test("bucket types and operations take their own words behind the node's", () => {
  const props = '{"props":{"n_val":3}}';
  const create = { type: "bucketType", change: "create", bucketType: "carts" } as const;
  expect(read(["node", "bucket-type", "create", "demo", ID, "carts", props])).toEqual({
    ...create,
    list: `${NODE}/reads/bucket-types`,
    path: `${NODE}/operations/bucket-type-create`,
    body: { type: "carts", props },
    begun: 'Bucket type "carts" is being created',
  });
  expect(read(["node", "bucket-type", "update", ID, "carts", props, "--wait"])).toEqual({
    ...create,
    change: "update",
    list: { node: ID, below: "/reads/bucket-types" },
    path: { node: ID, below: "/operations/bucket-type-update" },
    body: { type: "carts", props },
    begun: 'Bucket type "carts" is being updated',
    waitMs: 7_200_000,
  });
  expect(taskOf(`node bucket-type activate ${ID} carts`)).toEqual({
    ...create,
    change: "activate",
    list: { node: ID, below: "/reads/bucket-types" },
    path: { node: ID, below: "/operations/bucket-type-activate" },
    body: { type: "carts" },
    begun: 'Bucket type "carts" is being activated',
  });
  expect(taskOf(`node run demo ${ID} re/pair --arg a=1=2 --arg b=`)).toEqual({
    type: "post",
    begun: `Operation "re/pair" is being run on node "${ID}"`,
    path: `${NODE}/operations/re%2Fpair`,
    body: { a: "1=2", b: "" },
  });
  expect(taskOf(`node run ${ID} cleanup`)).toMatchObject({ path: { below: "/operations/cleanup" }, body: {} });
});

test("commands that wait for a node have a limit", () => {
  const path = { node: ID, below: "/reads/transfers" };
  expect(
    [
      `node wait-for-service demo ${ID}`,
      `node wait-for-service ${ID} --timeout 1.5`,
      `node transfers ${ID} -w`,
      `node transfers ${ID} --wait-for-service --timeout 3`,
      `node transfers ${ID} --timeout 3`,
    ].map(taskOf),
  ).toEqual([
    { type: "waitForNode", node: ID, path: NODE, timeoutMs: 1_800_000 },
    { type: "waitForNode", node: ID, path: { node: ID, below: "" }, timeoutMs: 1500 },
    { type: "waitForTransfers", node: ID, path, timeoutMs: 1_800_000 },
    { type: "waitForTransfers", node: ID, path, timeoutMs: 3000 },
    { type: "waitForTransfers", node: ID, path, timeoutMs: 3000 },
  ]);
});

test("words that are too few, too many or no node's are told", () => {
  expect(mistakeOf("node info")).toContain("Missing required argument 'node'");
  expect(mistakeOf(`node run ${ID}`)).toContain("Missing required argument 'operation'");
  expect(mistakeOf(`node bucket-type create ${ID} carts`)).toContain("Missing required argument 'props-json'");
  expect(mistakeOf(`node info demo ${ID} more`)).toContain("Too many arguments. Expected 2 at most but got 3.");
  const wanted = "wanted the node's whole id, e.g. ringmaster-demo-1, or its cluster before it";
  expect(mistakeOf("node info demo")).toContain(`Cannot find a cluster by node "demo": ${wanted}`);
  expect(mistakeOf(`node run demo ${ID}`)).toContain(`Cannot find a cluster by node "demo": ${wanted}`);
});

test("properties that are no JSON object are refused before anything is sent", () => {
  expect(mistakeOf(`node bucket-type create ${ID} carts {n_val:3}`)).toContain("Cannot read the properties: ");
  expect(mistakeOf(`node bucket-type create ${ID} carts [1]`)).toContain(
    'Cannot read the properties: found [1], wanted a JSON object such as {"props":{"n_val":3}}',
  );
});

test("help shows that the cluster may be left out", () => {
  const reading = readArguments(["node", "bucket-type", "create", "--help"], {});
  const help = reading.type === "text" ? reading.out : "";
  expect(help).toStartWith(
    "Usage: ringmaster node bucket-type create [options] [cluster] <node> <type> <props-json>\n",
  );
  for (const argument of ["cluster", "node", "type", "props-json"])
    expect(help).toMatch(new RegExp(`\n  ${argument} `));
});
