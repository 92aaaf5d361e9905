// Riak Mesos' own routes of versions and bucket types, against an executor that answers what Riak's types are.
import { afterEach, expect, test } from "bun:test";
import type { Command } from "../events.ts";
import type { State } from "../state.ts";
import { createApi } from "./api.ts";

const servers: { stop: (force: boolean) => Promise<void> }[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

/** An API whose cluster "kv" has one node, the types of which are these; `asked` is what it was told to do. */
function api(types: unknown) {
  const executor = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(types) });
  servers.push(executor);
  const asked: Command[] = [];
  const place = { hostname: "127.0.0.1", footprint: { ports: { api: executor.port } } };
  const node = { id: "r-kv-1", place, task: {}, phase: "running" };
  const spec = { name: "kv", database: "riak", version: "3.2.3", package: { uri: "https://host/riak.tar.gz" } };
  const other = { ...spec, name: "c", database: "cassandra", version: "5.0.4" };
  const state = {
    framework: { token: "secret" },
    clusters: new Map([
      ["kv", { record: { spec }, nodes: new Map([["r-kv-1", node]]) }],
      ["c", { record: { spec: other }, nodes: new Map() }],
    ]),
  } as unknown as State;
  const app = createApi({
    instance: "i",
    state: () => state,
    standby: () => undefined,
    submit: async (command) => {
      asked.push(command);
      const name = command.type === "createCluster" ? (command.body as { readonly name: string }).name : "kv";
      return await Promise.resolve(
        name === "c"
          ? { type: "refused", why: "exists", message: 'Cluster "c" exists', faults: [] }
          : { type: "accepted", cluster: name, plan: "kv-1" },
      );
    },
    changes: () => () => undefined,
    examine: () => Promise.resolve([]),
    metrics: () => Promise.resolve(""),
    nowMs: () => 0,
    version: "1",
  });
  const ask = async (method: string, path: string, body?: unknown) => {
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await app.request(`/api/v1/${path}`, init);
    return { status: answer.status, body: await answer.json() };
  };
  return { ask, asked };
}

const TYPES = {
  bucket_types: [
    { id: "default", active: true },
    { id: "half", active: false },
  ],
};
const PROPS = { props: { n_val: 3 } };

test("a bucket type is created and activated in one go, and changed once it is active", async () => {
  const { ask, asked } = api(TYPES);
  for (const type of ["new", "half", "default"])
    expect((await ask("POST", `clusters/kv/nodes/r-kv-1/types/${type}`, PROPS)).status).toBe(202);
  expect(asked).toEqual(
    ["new", "half", "default"].map((type) => ({
      ...{ type: "operate", cluster: "kv", node: "r-kv-1" },
      operation: type === "default" ? "bucket-type-update" : "bucket-type-make",
      args: { type, props: JSON.stringify(PROPS) },
    })),
  );
  expect(await ask("GET", "clusters/kv/nodes/r-kv-1/types/half")).toEqual({
    status: 200,
    body: { half: { id: "half", active: false } },
  });
  expect((await ask("GET", "clusters/kv/nodes/r-kv-1/types/none")).status).toBe(404);
  expect((await ask("POST", "clusters/kv/nodes/r-kv-1/types/new", { n_val: 3 })).status).toBe(400);
  const away = api({ error: "Node is not running" });
  expect((await away.ask("POST", "clusters/kv/nodes/r-kv-1/types/new", PROPS)).status).toBe(502);
  expect(away.asked).toEqual([]);
});

test("the versions of Riak that clusters run are told by the original's names", async () => {
  expect(await api(TYPES).ask("GET", "riak/versions")).toEqual({
    status: 200,
    body: { riak_versions: { "riak-kv-3-2-3": "https://host/riak.tar.gz" } },
  });
});

test("clusters are made again of what was told of them, and each says how it fared", async () => {
  const { ask, asked } = api(TYPES);
  const clusters = [{ name: "new", status: "running", spec: { name: "new", nodes: 3 } }, { name: "c" }];
  expect(await ask("PUT", "clusters", { clusters })).toEqual({
    status: 200,
    body: [
      { name: "new", success: true },
      { name: "c", success: false, reason: 'Cluster "c" exists' },
    ],
  });
  expect(asked).toEqual([
    { type: "createCluster", body: { name: "new", nodes: 3 } },
    { type: "createCluster", body: { name: "c" } },
  ]);
  expect((await ask("PUT", "clusters", { name: "new" })).status).toBe(400);
  expect(await ask("PUT", "clusters/one", { name: "one", spec: { name: "one", nodes: 1 } })).toEqual({
    status: 202,
    body: { cluster: "one", plan: "kv-1" },
  });
  expect(asked.at(-1)).toEqual({ type: "createCluster", body: { name: "one", nodes: 1 } });
  expect((await ask("PUT", "clusters/c", {})).status).toBe(409);
});
