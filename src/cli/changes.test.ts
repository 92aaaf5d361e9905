// What changes clusters, nodes and plans, from words to exit code, against the stand-in for the scheduler.
import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlanView } from "../databases/api.ts";
import {
  ACCEPTED,
  accepted,
  clusterView,
  nodeRead,
  nodesView,
  nodeView,
  PLAN,
  planView,
  problem,
  run,
  standIn,
  stopStandIns,
} from "./io/stand-in.ts";

afterEach(stopStandIns);

const CLUSTER = "/api/v1/clusters/demo";
const ID = "ringmaster-demo-1";
const NODE = `${CLUSTER}/nodes/${ID}`;

/** What is printed of a command that was accepted. */
const begun = (what: string) => ({
  code: 0,
  out: `${what} by plan demo-deploy-1\nFollow it: ringmaster plan show demo-deploy-1 --follow\n`,
  err: "",
});

const ended = (status: PlanView["status"]): Response => planView(status, [], "2026-01-02T03:04:57.000Z");

/** Runs `act` with a folder that is gone afterwards. */
async function inFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ringmaster-cli-"));
  try {
    await act(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("cluster update puts a change into what is there, and sends only that", async () => {
  const spec = { env: { TZ: "UTC" }, settings: { "cassandra.yaml": { num_tokens: 16 }, "jvm.options": ["-Xmx2G"] } };
  const scheduler = standIn({ [`GET ${CLUSTER}`]: clusterView({ spec }), [`PATCH ${CLUSTER}`]: accepted() });
  const words = ["--version", "5.0.5", "--set", "cassandra.yaml.concurrent_reads=64", "--env", "A=1"];
  expect(await run(scheduler, ["cluster", "update", "demo", ...words])).toEqual(
    begun('Cluster "demo" is being changed'),
  );
  const body = {
    version: "5.0.5",
    env: { TZ: "UTC", A: "1" },
    settings: { "cassandra.yaml": { num_tokens: 16, concurrent_reads: 64 } },
  };
  expect(scheduler.calls).toEqual([
    { route: `GET ${CLUSTER}`, body: undefined },
    { route: `PATCH ${CLUSTER}`, body },
  ]);
});

test("cluster update shows every fault, and sends nothing when a file cannot be read", async () => {
  const faults = [{ path: "nodes", found: "a change", wanted: "no change" }];
  const scheduler = standIn({
    [`GET ${CLUSTER}`]: clusterView(),
    [`PATCH ${CLUSTER}`]: problem(400, 'Cannot change cluster "demo"', faults),
  });
  expect(await run(scheduler, ["cluster", "update", "demo", "--version", "x"])).toEqual({
    code: 1,
    out: "",
    err: 'ringmaster: Cannot change cluster "demo"\n  nodes: found a change, wanted no change\n',
  });
  scheduler.calls.length = 0;
  const missing = await run(scheduler, ["cluster", "update", "demo", "--riak-conf", "/no/riak.conf"]);
  expect(missing).toMatchObject({ code: 2, out: "" });
  expect(missing.err).toStartWith('ringmaster: Cannot read "/no/riak.conf": ENOENT');
  expect(scheduler.calls).toEqual([]);
});

test("cluster create takes riak.conf and advanced.config as they are", async () => {
  await inFolder(async (folder) => {
    const [conf, advanced] = [join(folder, "riak.conf"), join(folder, "advanced.config")];
    await Bun.write(conf, "## mine\nring_size = 16\n");
    await Bun.write(advanced, "[{riak_core, []}].\n");
    const scheduler = standIn({ "POST /api/v1/clusters": accepted() });
    const words = [
      "cluster",
      "create",
      "kv",
      "--database",
      "riak",
      "--version",
      "3.2.3",
      "--package",
      "file:///r.tar.gz",
    ];
    const { code } = await run(scheduler, [...words, "--riak-conf", conf, "--advanced-config", advanced]);
    expect(code).toBe(0);
    expect(scheduler.calls).toEqual([
      {
        route: "POST /api/v1/clusters",
        body: {
          name: "kv",
          database: "riak",
          version: "3.2.3",
          package: "file:///r.tar.gz",
          settings: { "riak.conf": "## mine\nring_size = 16\n", "advanced.config": "[{riak_core, []}].\n" },
        },
      },
    ]);
  });
});

test("cluster config prints the text as it is, and with --json as a JSON text", async () => {
  const text = "# a\tb\nring_size = 16\n";
  const scheduler = standIn({ [`GET ${CLUSTER}/config`]: new Response(text) });
  expect(await run(scheduler, ["cluster", "config", "demo"])).toEqual({ code: 0, out: text, err: "" });
  const json = await run(scheduler, ["cluster", "config", "demo", "--json"]);
  expect(json).toEqual({ code: 0, out: `${JSON.stringify(text)}\n`, err: "" });
});

test("cluster config tells a setting that is not set from a cluster that is not there", async () => {
  const scheduler = standIn({
    [`GET ${CLUSTER}/config`]: problem(404, 'Cluster "demo" has no riak.conf of its own'),
    [`GET ${CLUSTER}/advancedConfig`]: problem(404, 'Cluster "demo" has no advanced.config of its own'),
    [`GET ${CLUSTER}`]: clusterView(),
  });
  const refused = (err: string) => ({ code: 1, out: "", err: `ringmaster: ${err}\n` });
  expect(await run(scheduler, ["cluster", "config", "demo"])).toEqual(refused('No riak.conf set for cluster "demo"'));
  expect(await run(scheduler, ["cluster", "config-advanced", "demo"])).toEqual(
    refused('No advanced.config set for cluster "demo"'),
  );
  expect(await run(scheduler, ["cluster", "config", "no"])).toEqual(refused('Cannot find "/api/v1/clusters/no"'));
  const { code, out } = await run(scheduler, ["cluster", "config", "demo", "--json"]);
  expect({ code, status: (JSON.parse(out) as { status: number }).status }).toEqual({ code: 1, status: 404 });
});

test("cluster config puts a file's text, or takes the setting away", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "riak.conf");
    const path = `${CLUSTER}/config`;
    await Bun.write(file, "ring_size = 16\n");
    const scheduler = standIn({ [`PUT ${path}`]: accepted(), [`DELETE ${path}`]: accepted(), [PLAN]: ended("done") });
    expect(await run(scheduler, ["cluster", "config", "demo", "--file", file])).toEqual(
      begun('riak.conf of cluster "demo" is being changed'),
    );
    expect(await run(scheduler, ["cluster", "config", "demo", "--delete", "--wait"])).toEqual({
      code: 0,
      out: 'Plan demo-deploy-1 (deploy of cluster "demo") is done after 52.0 s\n',
      err: 'riak.conf of cluster "demo" is being taken away by plan demo-deploy-1; Ctrl-C ends the waiting, not the plan\nplan   demo-deploy-1: deploy of cluster demo, 0 of 0 steps done\n',
    });
    expect(scheduler.calls.splice(0)).toEqual([
      { route: `PUT ${path}`, body: "ring_size = 16\n" },
      { route: `DELETE ${path}`, body: undefined },
      { route: PLAN, body: undefined },
    ]);
    await Bun.write(file, "\n");
    expect(await run(scheduler, ["cluster", "config", "demo", "--file", file])).toEqual({
      code: 2,
      out: "",
      err: `ringmaster: Cannot read "${file}": found nothing in it, wanted the setting's text\n`,
    });
    expect(scheduler.calls).toEqual([]);
  });
});

test("cluster restart and cluster add-node begin their plans", async () => {
  const scheduler = standIn({ [`POST ${CLUSTER}/restart`]: accepted(), [`POST ${CLUSTER}/nodes`]: accepted() });
  expect(await run(scheduler, ["cluster", "restart", "demo"])).toEqual(begun('Cluster "demo" is being restarted'));
  expect(await run(scheduler, ["cluster", "add-node", "demo", "--nodes", "2"])).toEqual(
    begun('Cluster "demo" is being given 2 nodes more'),
  );
  expect(scheduler.calls).toEqual([
    { route: `POST ${CLUSTER}/restart`, body: undefined },
    { route: `POST ${CLUSTER}/nodes`, body: { count: 2 } },
  ]);
});

test("a node's cluster is found for what changes the node too, and --wait follows the plan to its end", async () => {
  const scheduler = standIn({
    "GET /api/v1/clusters": Response.json({ clusters: [await clusterView().json()] }),
    [`GET ${CLUSTER}/nodes`]: nodesView(ID),
    [`POST ${NODE}/restart`]: accepted(),
    [`POST ${NODE}/operations/flush`]: accepted(),
    [PLAN]: ended("aborted"),
  });
  const restarted = await run(scheduler, ["node", "restart", ID, "--wait"]);
  expect(restarted.code).toBe(1);
  expect(restarted.err).toStartWith(`Node "${ID}" is being restarted by plan demo-deploy-1; Ctrl-C`);
  expect(restarted.err).toEndWith(
    'ringmaster: Plan demo-deploy-1 (deploy of cluster "demo") is aborted after 52.0 s\n',
  );
  scheduler.calls.length = 0;
  const { code, out } = await run(scheduler, ["node", "run", ID, "flush", "--arg", "keyspace=ks", "--json"]);
  expect({ code, out }).toEqual({ code: 0, out: `${JSON.stringify(ACCEPTED)}\n` });
  const body = { keyspace: "ks" };
  expect(scheduler.calls.at(-1)).toEqual({ route: `POST ${NODE}/operations/flush`, body });
});

test("a bucket type is changed after a look at those that there are", async () => {
  const types = [
    { id: "default", active: true },
    { id: "carts", active: false },
  ];
  const scheduler = standIn({
    [`GET ${NODE}/reads/bucket-types`]: nodeRead("bucket-types", { bucket_types: types }),
    [`POST ${NODE}/operations/bucket-type-activate`]: accepted(),
  });
  const words = ["node", "bucket-type", "activate", "demo", ID];
  expect(await run(scheduler, [...words, "carts"])).toEqual(begun('Bucket type "carts" is being activated'));
  expect(scheduler.calls.splice(0)).toEqual([
    { route: `GET ${NODE}/reads/bucket-types`, body: undefined },
    { route: `POST ${NODE}/operations/bucket-type-activate`, body: { type: "carts" } },
  ]);
  expect(await run(scheduler, [...words, "cart"])).toEqual({
    code: 1,
    out: "",
    err: 'ringmaster: Cannot activate bucket type "cart": found no such type, wanted one of "default", "carts" (bucket-type create makes one)\n',
  });
  expect(scheduler.calls.map(({ route }) => route)).toEqual([`GET ${NODE}/reads/bucket-types`]);
});

test("node remove hands data over unasked, and by force wants the node's id from a person", async () => {
  const scheduler = standIn({
    "GET /api/v1/clusters": Response.json({ clusters: [await clusterView().json()] }),
    [`GET ${CLUSTER}/nodes`]: nodesView(ID),
    [`GET ${NODE}`]: nodeView({ phase: "lost" }),
    [`DELETE ${NODE}`]: accepted(),
    [`DELETE ${NODE}?force=true`]: accepted(),
  });
  const removed = begun(`Node "${ID}" is being removed`);
  const deleted = () => scheduler.calls.splice(0).flatMap(({ route }) => (route.startsWith("DELETE") ? [route] : []));
  expect(await run(scheduler, ["node", "remove", "demo", ID])).toEqual(removed);
  expect(deleted()).toEqual([`DELETE ${NODE}`]);
  const question = `Node "${ID}" of cluster "demo" is lost. By force its data is destroyed, and not handed over first.\nType the node's id to go on: \n`;
  const words = ["node", "remove", ID, "--force"];
  expect(await run(scheduler, words, { answer: "yes" })).toEqual({
    code: 1,
    out: "",
    err: `${question}ringmaster: Cannot remove node "${ID}" by force: found the answer "yes", wanted "${ID}"\n`,
  });
  expect(deleted()).toEqual([]);
  expect(await run(scheduler, words, { answer: ID })).toEqual({ ...removed, err: question });
  expect(await run(scheduler, [...words, "--yes"])).toEqual(removed);
  expect(deleted()).toEqual([`DELETE ${NODE}?force=true`, `DELETE ${NODE}?force=true`]);
  expect(await run(scheduler, words)).toEqual({
    code: 2,
    out: "",
    err: `ringmaster: Cannot remove node "${ID}" by force unasked: found no terminal to ask at, wanted --yes\n`,
  });
  expect(scheduler.calls).toEqual([]);
});

test("plan abort says so, or why not", async () => {
  const path = "POST /api/v1/plans/demo-deploy-1/abort";
  const scheduler = standIn({ [path]: [accepted(), problem(409, 'Cannot abort plan "demo-deploy-1": it is done')] });
  const words = ["plan", "abort", "demo-deploy-1"];
  expect(await run(scheduler, words)).toEqual({ code: 0, out: "Plan demo-deploy-1 is aborted\n", err: "" });
  expect(await run(scheduler, words)).toEqual({
    code: 1,
    out: "",
    err: 'ringmaster: Cannot abort plan "demo-deploy-1": it is done\n',
  });
});
