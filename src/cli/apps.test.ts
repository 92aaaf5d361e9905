// The commands that ask a director or Marathon, and what else the original had, against stand-ins for all of them.
import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepted, clusterView, nodeRead, problem, run, standIn, stopStandIns } from "./io/stand-in.ts";

afterEach(stopStandIns);

const APP = "/v2/apps/ringmaster-sessions-director";

/** The application as Marathon has it, `healthy` tasks of which are well. */
function appView(healthy: number): Response {
  const app = {
    id: "/ringmaster-sessions-director",
    cmd: "./ringmaster director",
    instances: 2,
    portDefinitions: [{ name: "http" }, { name: "pb" }, { name: "admin" }],
    version: "2026-01-02T03:04:05.000Z",
    tasksHealthy: healthy,
    tasks: [
      { host: "a1", ports: [31000, 31001, 31002], state: "TASK_RUNNING" },
      { host: "a2", ports: [31100, 31101, 31102], state: "TASK_RUNNING" },
    ],
  };
  return Response.json({ app });
}

test("a director's state is shown as text, with --json as it was told, and refusals end with 1", async () => {
  const nodes = `{"nodes":[{"name":"n1","http":{"host":"h","port":8098}}]}`;
  const director = standIn({
    "GET /nodes": new Response(nodes),
    "GET /clusters": Response.json({ clusters: ["carts", "sessions"] }),
    "GET /frameworks": Response.json({ frameworks: [] }),
    "GET /status": Response.json({ status: { proxy: [{ name: "pb", local_port: 8087, nodes: [] }], web: "w" } }),
    "PUT /frameworks/other/clusters/carts": Response.json({ error: "Cannot follow another cluster" }, { status: 409 }),
    "PUT /frameworks/ringmaster/clusters/carts": Response.json({ framework: "ringmaster", cluster: "carts" }),
  });
  const ask = async (...words: readonly string[]) =>
    await run(director, ["director", ...words, "--director", director.url]);
  expect(await ask("nodes", "--json")).toEqual({ code: 0, out: `${nodes}\n`, err: "" });
  expect(await ask("nodes")).toEqual({
    code: 0,
    out: "-\n  name: n1\n  http:\n    host: h\n    port: 8098\n",
    err: "",
  });
  expect((await ask("clusters")).out).toBe("- carts\n- sessions\n");
  expect((await ask("frameworks")).out).toBe("none\n");
  expect((await ask("status")).out).toStartWith("proxy:\n");
  expect(await ask("configure", "-c", "carts")).toEqual({
    code: 0,
    out: 'The director follows cluster "carts" of framework "ringmaster"\n',
    err: "",
  });
  expect(await ask("configure", "-f", "other", "-c", "carts")).toEqual({
    code: 1,
    out: "",
    err: "ringmaster: Cannot PUT /frameworks/other/clusters/carts: the director refused it with status 409: Cannot follow another cluster\n",
  });
  await director.stop();
  const gone = await ask("nodes");
  expect({ code: gone.code, err: gone.err }).toEqual({
    code: 3,
    err: `ringmaster: Cannot reach the director at "${director.url}": found the connection refused, wanted it there (--director or RINGMASTER_DIRECTOR_URL says where)\n`,
  });
});

test("director config prints the application that director install gives to Marathon", async () => {
  const scheduler = standIn({ "GET /api/v1/clusters/sessions": clusterView({ name: "sessions", database: "riak" }) });
  const marathon = standIn({
    "POST /v2/apps": [
      Response.json({}, { status: 201 }),
      Response.json({ message: "exists already" }, { status: 409 }),
    ],
  });
  const flags = ["sessions", "--arg", "rack=r 1", "--constraint", "hostname:UNIQUE", "--instances", "2", "--public"];
  const printed = await run(scheduler, ["director", "config", ...flags]);
  const app: unknown = JSON.parse(printed.out);
  expect(app).toEqual({
    id: "/ringmaster-sessions-director",
    cmd: `./ringmaster director --framework ringmaster --cluster sessions --scheduler ${scheduler.url} --http-listen 0.0.0.0:$PORT0 --pb-listen 0.0.0.0:$PORT1 --admin 0.0.0.0:$PORT2 --rack 'r 1'`,
    ...{ cpus: 0.5, mem: 512, instances: 2 },
    fetch: [{ uri: `${scheduler.url}/static/ringmaster`, executable: true, extract: false }],
    portDefinitions: ["http", "pb", "admin"].map((name) => ({ port: 0, protocol: "tcp", name })),
    requirePorts: false,
    constraints: [["hostname", "UNIQUE"]],
    acceptedResourceRoles: ["slave_public"],
    healthChecks: [
      {
        ...{ protocol: "HTTP", path: "/health", portIndex: 2, ignoreHttp1xx: false },
        ...{ gracePeriodSeconds: 3, intervalSeconds: 10, timeoutSeconds: 10, maxConsecutiveFailures: 3 },
      },
    ],
  });
  const install = ["director", "install", ...flags, "--marathon", marathon.url];
  expect(await run(scheduler, install)).toEqual({
    code: 0,
    out: 'Marathon runs application "/ringmaster-sessions-director"\n',
    err: "",
  });
  expect(marathon.calls).toEqual([{ route: "POST /v2/apps", body: app }]);
  expect(await run(scheduler, install)).toEqual({
    code: 1,
    out: "",
    err: "ringmaster: Cannot POST /v2/apps: Marathon refused it with status 409: exists already\n",
  });
  expect((await run(scheduler, ["director", "config", "none"])).code).toBe(1);
  expect(await run(scheduler, ["director", "install", "sessions"])).toEqual({
    code: 2,
    out: "",
    err: "ringmaster: Cannot ask Marathon: found no URL of it, wanted --marathon or RINGMASTER_MARATHON\n",
  });
});

test("an application at Marathon is awaited, found, shown and taken away", async () => {
  const marathon = standIn({
    [`GET ${APP}`]: [appView(0), appView(2)],
    [`DELETE ${APP}`]: Response.json({ deploymentId: "d" }),
    "GET /v2/apps/ringmaster": appView(1),
  });
  const ask = async (...words: readonly string[]) => await run(marathon, [...words, "--marathon", marathon.url]);
  expect(await ask("director", "wait-for-service", "sessions", "--timeout", "20")).toEqual({
    code: 0,
    out: 'Application "ringmaster-sessions-director" is ready: 2 healthy\n',
    err: "",
  });
  expect(JSON.parse((await ask("director", "endpoints", "sessions", "--json")).out)).toEqual({
    framework: "ringmaster",
    cluster: "sessions",
    riak_http: "a1:31000,a2:31100",
    riak_pb: "a1:31001,a2:31101",
    director_http: "a1:31002,a2:31102",
  });
  expect((await ask("director", "uninstall", "sessions")).code).toBe(0);
  expect((await ask("framework", "status")).out).toContain("tasksHealthy: 1\n");
  expect(Object.keys(JSON.parse((await ask("config", "marathon")).out) as object)).toEqual([
    ...["id", "cmd", "instances", "portDefinitions"],
  ]);
  expect(await ask("director", "wait-for-service", "none", "--timeout", "0.1")).toEqual({
    code: 4,
    out: "",
    err: 'ringmaster: Waited 0.1 s. Application "ringmaster-none-director" has no healthy task\n',
  });
});

test("the scheduler is found at its URL or among Marathon's tasks, or it is said that nobody answers", async () => {
  const scheduler = standIn({ "GET /healthcheck": Response.json({ success: true }) });
  const { hostname: host, port } = new URL(scheduler.url);
  const app = {
    tasks: [
      { host: "127.0.0.1", ports: [1] },
      { host, ports: [Number(port)] },
    ],
  };
  const marathon = standIn({ "GET /v2/apps/ringmaster": Response.json({ app }) });
  const elsewhere = { url: "http://127.0.0.1:1" };
  const at = ["--marathon", marathon.url];
  expect(await run(scheduler, ["framework", "endpoints"])).toEqual({
    code: 0,
    out: `Framework HTTP API: ${scheduler.url}\n`,
    err: "",
  });
  expect((await run(elsewhere, ["framework", "endpoints", ...at])).out).toBe(`Framework HTTP API: ${scheduler.url}\n`);
  expect((await run(elsewhere, ["framework", "wait-for-service", ...at])).code).toBe(0);
  expect((await run(elsewhere, ["framework", "endpoints"])).code).toBe(3);
  expect(await run(elsewhere, ["framework", "wait-for-service", "--timeout", "0.1"])).toEqual({
    code: 4,
    out: "",
    err: "ringmaster: Waited 0.1 s. No scheduler answers at http://127.0.0.1:1\n",
  });
});

test("what a scheduler by Marathon cannot do without is refused before anything is sent", async () => {
  const scheduler = standIn({});
  const config = async (...words: readonly string[]) =>
    await run(scheduler, ["framework", "config", "--mesos", "zk://m/mesos", ...words]);
  expect((await config("--store", "sqlite:x", "--artifact-uri", "http://h/r")).err).toContain(
    "a file is lost with its task",
  );
  expect((await config("--store", "zk://z/")).err).toContain("found no --artifact-uri");
  expect((await config()).code).toBe(2);
  expect(scheduler.calls).toEqual([]);
});

test("config tells which servers are asked and which versions of Riak there are", async () => {
  const versions = { riak_versions: { "riak-kv-3-2-3": "https://host/riak.tar.gz" } };
  const scheduler = standIn({ "GET /api/v1/riak/versions": Response.json(versions) });
  expect(await run(scheduler, ["config", "local"])).toEqual({
    code: 0,
    out: `scheduler: ${scheduler.url}\ndirector: http://127.0.0.1:9000\nmarathon: \n`,
    err: "",
  });
  expect((await run(scheduler, ["config", "riak-versions"])).out).toBe(
    "riak_versions:\n  riak-kv-3-2-3: https://host/riak.tar.gz\n",
  );
  expect(
    (await run(standIn({ "GET /api/v1/riak/versions": problem(503, "no") }), ["config", "riak-versions"])).code,
  ).toBe(1);
});

test("clusters are written to a file and made again of it; one that is refused ends with 1", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ringmaster-backup-"));
  const file = join(folder, "clusters.json");
  const clusters = { clusters: [await clusterView().json()] };
  const scheduler = standIn({
    "GET /api/v1/clusters": Response.json(clusters),
    "PUT /api/v1/clusters": [
      Response.json([{ name: "demo", success: true }]),
      Response.json([{ name: "demo", success: false, reason: 'Cluster "demo" exists' }]),
    ],
  });
  expect((await run(scheduler, ["cluster", "list", "--output-file", file])).out).toBe(
    `1 cluster is written to "${file}"\n`,
  );
  expect(await Bun.file(file).json()).toEqual(clusters);
  expect(await run(scheduler, ["cluster", "set", file])).toEqual({
    code: 0,
    out: 'Cluster "demo" is being created\n',
    err: "",
  });
  expect(await run(scheduler, ["cluster", "set", file])).toEqual({
    code: 1,
    out: 'Cluster "demo": Cluster "demo" exists\n',
    err: `ringmaster: Cannot make 1 of 1 clusters of "${file}"\n`,
  });
  expect(scheduler.calls.at(-1)?.body).toEqual(clusters);
  await rm(folder, { recursive: true });
});

test("cluster wait-for-service waits for as many nodes as it is told", async () => {
  const degraded = { status: "degraded", nodesRunning: 2 } as const;
  const scheduler = standIn({ "GET /api/v1/clusters/demo": clusterView(degraded) });
  const wait = ["cluster", "wait-for-service", "demo", "--timeout", "0.1"];
  expect((await run(scheduler, [...wait, "--nodes", "2"])).out).toBe('Cluster "demo" is ready: 2 of 3 nodes run\n');
  expect((await run(scheduler, [...wait, "--nodes", "3"])).code).toBe(4);
  expect((await run(scheduler, wait)).code).toBe(4);
});

test("a bucket type is created and activated by one command", async () => {
  const scheduler = standIn({
    "GET /api/v1/clusters/demo/nodes/n1/reads/bucket-types": nodeRead("bucket-types", { bucket_types: [] }),
    "POST /api/v1/clusters/demo/nodes/n1/operations/bucket-type-make": accepted(),
  });
  const create = ["node", "bucket-type", "create", "demo", "n1", "carts", '{"n_val":3}', "--activate"];
  expect((await run(scheduler, create)).code).toBe(0);
  expect(scheduler.calls.at(-1)?.body).toEqual({ type: "carts", props: '{"n_val":3}' });
});
