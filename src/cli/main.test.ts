// The commands from words to exit code, against a stand-in for the scheduler that answers in the shapes of its API.
import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Accepted, type PlanView, PlanViewSchema, ProblemSchema } from "../databases/api.ts";
import { ACCEPTED, accepted, clusterView, PLAN, planView, problem, run, standIn, stopStandIns } from "./io/stand-in.ts";

afterEach(stopStandIns);

const JOINING = { check: "joining", found: '"ringmaster-demo-1" starting', wanted: "nobody joining" };
const CREATE = ["cluster", "create", "demo", "--version", "5.0.4", "--package", "file:///c.tar.gz"];

/** A deployment of two nodes as three looks see it. */
function deployment(end: PlanView["status"]): readonly Response[] {
  return [
    planView("running", [{ status: "running", seconds: 0.4 }, { waitsFor: [JOINING] }]),
    planView("running", [
      { status: "done", seconds: 31.5 },
      { status: "running", seconds: 0.1 },
    ]),
    planView(
      end,
      [
        { status: "done", seconds: 31.5 },
        { status: "done", seconds: 20 },
      ],
      "2026-01-02T03:04:57.000Z",
    ),
  ];
}

test("cluster list prints a table, and with --json exactly what the API said", async () => {
  const text = `{ "clusters": [${await clusterView().text()}] }\n`;
  const scheduler = standIn({ "GET /api/v1/clusters": new Response(text) });
  expect(await run(scheduler, ["cluster", "list"])).toEqual({
    code: 0,
    out: "CLUSTER  DATABASE   VERSION  NODES  STATUS   CREATED               ACTIVE PLANS\ndemo     cassandra  5.0.4    3/3    running  2026-01-02T03:04:05Z  -\n",
    err: "",
  });
  expect(await run(scheduler, ["cluster", "list", "--json"])).toEqual({ code: 0, out: text, err: "" });
});

test("the scheduler may be behind a path", async () => {
  const scheduler = standIn({ "GET /service/ringmaster/api/v1/clusters/demo": clusterView() });
  const { code, out } = await run({ url: `${scheduler.url}/service/ringmaster/` }, ["cluster", "info", "demo"]);
  expect({ code, first: out.split("\n")[0] }).toEqual({ code: 0, first: "cluster demo" });
});

test("a scheduler that stands by sends a change on to the leader, its body too", async () => {
  const leader = standIn({ "POST /api/v1/clusters": accepted() });
  const location = `${leader.url}/api/v1/clusters`;
  const standby = standIn({ "POST /api/v1/clusters": new Response(null, { status: 307, headers: { location } }) });
  expect((await run(standby, CREATE)).code).toBe(0);
  expect(leader.calls.map(({ route, body }) => [route, body])).toEqual(
    standby.calls.map(({ route, body }) => [route, body]),
  );
  const lost = standIn({
    "GET /api/v1/clusters": new Response(null, {
      status: 307,
      headers: { location: "http://127.0.0.1:9/api/v1/clusters" },
    }),
  });
  const { code, err } = await run(lost, ["cluster", "list"]);
  expect([code, err.split(":").slice(0, 4).join(":")]).toEqual([
    3,
    'ringmaster: Cannot reach the scheduler at "http://127.0.0.1:9"',
  ]);
});

test("what is unknown ends with 1 and the API's words, as JSON too if that was asked for", async () => {
  const scheduler = standIn({});
  const err = 'ringmaster: Cannot find "/api/v1/plans/no"\n';
  expect(await run(scheduler, ["plan", "show", "no"])).toEqual({ code: 1, out: "", err });
  const { code, out, ...told } = await run(scheduler, ["plan", "show", "no", "--json"]);
  expect({ code, ...told }).toEqual({ code: 1, err });
  expect(ProblemSchema.parse(JSON.parse(out)).status).toBe(404);
});

test("cluster create sends the body and says how to follow the plan", async () => {
  const scheduler = standIn({ "POST /api/v1/clusters": accepted() });
  expect(await run(scheduler, [...CREATE, "--nodes", "5"])).toEqual({
    code: 0,
    out: 'Cluster "demo" is being created by plan demo-deploy-1\nFollow it: ringmaster plan show demo-deploy-1 --follow\n',
    err: "",
  });
  const body = { name: "demo", database: "cassandra", version: "5.0.4", nodes: 5, package: "file:///c.tar.gz" };
  expect(scheduler.calls).toEqual([{ route: "POST /api/v1/clusters", body }]);
  const there = await run({ url: "http://127.0.0.1:1" }, [...CREATE, "--url", scheduler.url]);
  expect(there.out).toContain(`Follow it: ringmaster --url ${scheduler.url} plan show demo-deploy-1 --follow`);
  expect(await run(scheduler, [...CREATE, "--json"])).toEqual({
    code: 0,
    out: `${JSON.stringify(ACCEPTED)}\n`,
    err: "",
  });
});

test("cluster create reads its files, and sends nothing when one cannot be read", async () => {
  const scheduler = standIn({ "POST /api/v1/clusters": accepted() });
  const folder = await mkdtemp(join(tmpdir(), "ringmaster-cli-"));
  try {
    const [file, settings] = [join(folder, "demo.yaml"), join(folder, "settings.yaml")];
    await Bun.write(file, "name: demo\nversion: 5.0.4\nnodes: 3\npackage: file:///c.tar.gz\n");
    await Bun.write(settings, "cassandra.yaml: { num_tokens: 8 }\n");
    const words = ["cluster", "create", "--file", file, "--setting-file", settings, "--nodes", "4"];
    expect((await run(scheduler, words)).code).toBe(0);
    expect(scheduler.calls.splice(0)).toEqual([
      {
        route: "POST /api/v1/clusters",
        body: {
          name: "demo",
          database: "cassandra",
          version: "5.0.4",
          nodes: 4,
          package: "file:///c.tar.gz",
          settings: { "cassandra.yaml": { num_tokens: 8 } },
        },
      },
    ]);
    await Bun.write(settings, "cassandra.yaml: {\n");
    const broken = await run(scheduler, words);
    expect(broken).toMatchObject({ code: 2, out: "" });
    expect(broken.err).toStartWith(`ringmaster: Cannot read "${settings}": `);
    expect(broken.err).toContain("line 2, column 1");
    const missing = await run(scheduler, ["cluster", "create", "--file", join(folder, "no.yaml")]);
    expect(missing).toMatchObject({ code: 2, out: "" });
    expect(missing.err).toStartWith(`ringmaster: Cannot read "${join(folder, "no.yaml")}": ENOENT`);
    expect(scheduler.calls).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("every fault of a refused cluster has a line", async () => {
  const faults = [
    { path: "nodes", found: "0", wanted: "at least 1" },
    { path: 'settings."cassandra.yaml".listen_address', found: '"x"', wanted: "nothing: it is ours" },
  ];
  const scheduler = standIn({
    "POST /api/v1/clusters": problem(400, 'Cannot create cluster "demo": 2 faults', faults),
  });
  expect(await run(scheduler, CREATE)).toEqual({
    code: 1,
    out: "",
    err: 'ringmaster: Cannot create cluster "demo": 2 faults\n  nodes: found 0, wanted at least 1\n  settings."cassandra.yaml".listen_address: found "x", wanted nothing: it is ours\n',
  });
});

test("--wait tells each step on stderr until the plan is done", async () => {
  const scheduler = standIn({ "POST /api/v1/clusters": accepted(), [PLAN]: deployment("done") });
  expect(await run(scheduler, [...CREATE, "--wait"])).toEqual({
    code: 0,
    out: 'Plan demo-deploy-1 (deploy of cluster "demo") is done after 52.0 s\n',
    err: `Cluster "demo" is being created by plan demo-deploy-1; Ctrl-C ends the waiting, not the plan
plan   demo-deploy-1: deploy of cluster demo, 0 of 2 steps done
begun  start ringmaster-demo-1
waits  start ringmaster-demo-2: joining: found "ringmaster-demo-1" starting, wanted nobody joining
done   start ringmaster-demo-1 in 31.5 s
begun  start ringmaster-demo-2
done   start ringmaster-demo-2 in 20.0 s
`,
  });
});

test("with --json a followed plan is one document on stdout: the plan as it ended", async () => {
  const scheduler = standIn({ [PLAN]: deployment("done") });
  const { code, out, err } = await run(scheduler, ["plan", "show", "demo-deploy-1", "--follow", "--json"]);
  expect({ code, status: PlanViewSchema.parse(JSON.parse(out)).status }).toEqual({ code: 0, status: "done" });
  expect(err).toContain("begun  start ringmaster-demo-1\n");
});

test("a plan that is given up ends with 1", async () => {
  const scheduler = standIn({ [PLAN]: deployment("aborted") });
  const { code, out, err } = await run(scheduler, ["plan", "show", "demo-deploy-1", "--follow"]);
  expect({ code, head: out.split("\n")[1] }).toEqual({
    code: 1,
    head: "aborted, 2 of 2 steps done, created 2026-01-02T03:04:05Z, ended 2026-01-02T03:04:57Z",
  });
  expect(err).toEndWith('ringmaster: Plan demo-deploy-1 (deploy of cluster "demo") is aborted after 52.0 s\n');
});

test("a plan that takes longer than --timeout ends with 4 and what it waits for", async () => {
  const waiting = planView("running", [{ waitsFor: [JOINING] }]);
  const scheduler = standIn({ "POST /api/v1/clusters": accepted(), [PLAN]: waiting });
  const { code, out, err } = await run(scheduler, [...CREATE, "--timeout", "0.2"]);
  expect({ code, out: out.split("\n")[0] }).toEqual({ code: 4, out: "plan demo-deploy-1: deploy of cluster demo" });
  expect(err).toEndWith(
    'ringmaster: Waited 0.2 s. Plan demo-deploy-1 (deploy of cluster "demo") goes on: 0 of 1 steps done, "start ringmaster-demo-1" waits for joining: found "ringmaster-demo-1" starting, wanted nobody joining. Go on with: ringmaster plan show demo-deploy-1 --follow\n',
  );
});

test("a scheduler that goes away while it is followed is waited for", async () => {
  const [first, ...rest] = deployment("done");
  if (first === undefined) throw new Error("The deployment has no looks");
  const scheduler = standIn({ [PLAN]: [first, new Response("gateway", { status: 502 }), ...rest] });
  const away = Promise.withResolvers<void>();
  let restarted: Promise<void> | undefined;
  const ended = await run(scheduler, ["plan", "show", "demo-deploy-1", "--follow"], {
    onErr: (line) => {
      if (line.startsWith("begun  start ringmaster-demo-1")) restarted = scheduler.restart(() => away.promise);
      if (line.startsWith("the scheduler is away")) away.resolve();
    },
  });
  await restarted;
  expect(ended.code).toBe(0);
  expect(ended.err.match(/^the scheduler is .{4}/gm)).toEqual(["the scheduler is away", "the scheduler is back"]);
  expect(ended.err).toContain("done   start ringmaster-demo-2 in 20.0 s\n");
});

test("cluster destroy wants the cluster's name from a person", async () => {
  const cluster = "/api/v1/clusters/demo";
  const gone: Accepted = { cluster: "demo", plan: "demo-remove-2" };
  const scheduler = standIn({
    [`GET ${cluster}`]: clusterView(),
    [`DELETE ${cluster}`]: Response.json(gone, { status: 202 }),
  });
  const question = `This destroys 3 nodes of cassandra cluster "demo" and all their data.\nType the cluster's name to go on: \n`;
  const out =
    'Cluster "demo" is being destroyed by plan demo-remove-2\nFollow it: ringmaster plan show demo-remove-2 --follow\n';
  const words = ["cluster", "destroy", "demo"];
  expect(await run(scheduler, words, { answer: "yes" })).toEqual({
    code: 1,
    out: "",
    err: `${question}ringmaster: Cannot destroy cluster "demo" and its data: found the answer "yes", wanted "demo"\n`,
  });
  expect(await run(scheduler, words, { answer: "demo" })).toEqual({ code: 0, out, err: question });
  expect(await run(scheduler, [...words, "--yes"])).toEqual({ code: 0, out, err: "" });
  const routes = [`GET ${cluster}`, `GET ${cluster}`, `DELETE ${cluster}`, `DELETE ${cluster}`];
  expect(scheduler.calls.map(({ route }) => route)).toEqual(routes);
});

test("cluster destroy without a terminal and without --yes sends nothing", async () => {
  const scheduler = standIn({});
  expect(await run(scheduler, ["cluster", "destroy", "demo"])).toEqual({
    code: 2,
    out: "",
    err: 'ringmaster: Cannot destroy cluster "demo" and its data unasked: found no terminal to ask at, wanted --yes\n',
  });
  expect(scheduler.calls).toEqual([]);
});

test("cluster wait-for-service ends when all nodes run, or with 4", async () => {
  const deploying = (nodesRunning: number): Response =>
    clusterView({ status: "deploying", nodesRunning, activePlans: ["demo-deploy-1"] });
  const path = "GET /api/v1/clusters/demo";
  const words = ["cluster", "wait-for-service", "demo"];
  const ready = standIn({ [path]: [deploying(1), deploying(1), clusterView()] });
  expect(await run(ready, words)).toEqual({
    code: 0,
    out: 'Cluster "demo" is ready: 3 of 3 nodes run\n',
    err: "cluster demo is deploying: 1 of 3 nodes run\ncluster demo is running: 3 of 3 nodes run\n",
  });
  expect(await run(standIn({ [path]: deploying(1) }), [...words, "--timeout", "0.1"])).toEqual({
    code: 4,
    out: "",
    err: 'cluster demo is deploying: 1 of 3 nodes run\nringmaster: Waited 0.1 s. Cluster "demo" is deploying: 1 of 3 nodes run. What it waits for: ringmaster plan show demo-deploy-1\n',
  });
  const removing = await run(standIn({ [path]: clusterView({ status: "removing" }) }), words);
  expect(removing).toMatchObject({ code: 1, out: "" });
  expect(removing.err).toEndWith(
    'ringmaster: Cannot wait for cluster "demo": found it removing, wanted it to be kept\n',
  );
});

test("a scheduler that nobody runs ends with 3, at once also when it was to be waited for", async () => {
  const scheduler = standIn({});
  await scheduler.stop();
  const err = `ringmaster: Cannot reach the scheduler at "${scheduler.url}": found the connection refused, wanted a "ringmaster scheduler" there (--url or RINGMASTER_URL says where)\n`;
  expect(await run(scheduler, ["cluster", "list", "--json"])).toEqual({ code: 3, out: "", err });
  expect(await run(scheduler, ["cluster", "wait-for-service", "demo"])).toEqual({ code: 3, out: "", err });
});

test("an answer that is not a scheduler's is told as it is", async () => {
  const path = "GET /api/v1/clusters";
  const list = async (answer: Response, ...more: readonly string[]) =>
    await run(standIn({ [path]: answer }), ["cluster", "list", ...more]);
  const told = (found: string) => ({
    code: 1,
    out: "",
    err: `ringmaster: Cannot understand the answer to GET /api/v1/clusters: found ${found}\n`,
  });
  expect(await list(new Response("<html>"), "--json")).toEqual(told('"<html>", wanted JSON'));
  expect(await list(new Response("<html>", { status: 404 }))).toEqual(
    told('status 404 and "<html>", wanted an answer of a Ringmaster scheduler'),
  );
  expect(await list(Response.json({ clusters: [{}] }))).toEqual(
    told(`Invalid input: expected string, received undefined, wanted the shape of /openapi.json at "clusters.0.name"`),
  );
});

test("a file that is too large to be meant is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ringmaster-cli-"));
  try {
    const file = join(folder, "large.yaml");
    await Bun.write(file, "#".repeat(4 * 1024 * 1024 + 1));
    const ended = await run(standIn({}), ["cluster", "create", "--file", file]);
    const err = `ringmaster: Cannot read "${file}": found 4194305 bytes, wanted at most 4194304\n`;
    expect(ended).toEqual({ code: 2, out: "", err });
  } finally {
    await rm(folder, { recursive: true });
  }
});
