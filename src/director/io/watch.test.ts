// Sources of backends: a store's records and a scheduler's API, each going away and coming back; and the admin API over them.
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint } from "../../databases/endpoint.ts";
import { createLog } from "../../std/io/log.ts";
import { openStore } from "../../store/io/open.ts";
import type { Store } from "../../store/store.ts";
import { DEFAULTS } from "../decide.ts";
import { serveAdmin } from "./admin.ts";
import { Director, type From } from "./run.ts";
import { until } from "./trial.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function endpoint(node: string, change: Partial<Endpoint> = {}): Endpoint {
  return {
    ...({ schema: 1, cluster: "demo", database: "riak", node, hostname: "127.0.0.1", rack: "rack1" } as const),
    ...{ ports: { http: 8098, pb: node.charCodeAt(0) }, state: "serving", ...change },
  };
}

type Running = { readonly director: Director; readonly admin: string };

function start(from: From, cluster = "demo"): Running {
  const director = new Director({
    from,
    followed: { framework: "ringmaster", cluster },
    listen: { pb: { host: "127.0.0.1", port: 0 } },
    httpTimes: { headMs: 10_000, idleMs: 60_000 },
    ...({ isPart: false, httpMode: "raw", pbMode: "raw", cqlMode: "stay" } as const),
    settings: { ...DEFAULTS, probeIntervalMs: 3_600_000 },
    ...{ clientsMax: 100, connectTimeoutMs: 500, probeTimeoutMs: 500 },
    log: createLog("director", "silent", false),
  });
  const admin = serveAdmin(director, "127.0.0.1", 0);
  closing.push(admin.stop, () => director.stop(AbortSignal.abort()));
  return { director, admin: admin.url };
}

/** The backends as "node" or "node draining". */
function backends({ director }: Running): readonly string[] {
  const known = director.proxies.get("pb")?.state.backends ?? [];
  return known.map(({ target, drainingSinceMs }) => target.node + (drainingSinceMs === undefined ? "" : " draining"));
}

async function awaitBackends(running: Running, ...wanted: readonly string[]): Promise<void> {
  await until(`the backends are ${wanted.join(", ")}`, () => Bun.deepEquals(backends(running), wanted));
}

async function get(url: string, method = "GET"): Promise<readonly [number, unknown]> {
  const answer = await fetch(url, { method });
  return [answer.status, await answer.json()];
}

/** A scheduler's API as far as a director asks it, whose lists the test sends. */
class Scheduler {
  #server: Bun.Server<undefined> | undefined;
  #streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  readonly port: number;
  list: readonly Endpoint[] = [];
  /** Answer 404 to who wants a stream, as an older scheduler does. */
  streamless = false;
  /** How often somebody began to follow. */
  followed = 0;

  constructor() {
    this.start(0);
    this.port = this.#server?.port ?? 0;
    closing.push(() => this.stop());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  start(port = this.port): void {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port,
      idleTimeout: 0,
      fetch: (request) => this.#respond(request),
    });
  }

  async stop(): Promise<void> {
    this.#streams = [];
    await this.#server?.stop(true);
  }

  tell(...list: readonly Endpoint[]): void {
    this.list = list;
    for (const stream of this.#streams) stream.enqueue(event(list));
  }

  /** Bytes as they are. */
  send(text: string): void {
    for (const stream of this.#streams) stream.enqueue(new TextEncoder().encode(text));
  }

  #respond(request: Request): Response {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/v1/clusters/demo/endpoints/events" && !this.streamless) {
      let own: ReadableStreamDefaultController<Uint8Array> | undefined;
      const body = new ReadableStream<Uint8Array>({
        start: (stream) => {
          own = stream;
          this.#streams.push(stream);
          this.followed += 1;
          stream.enqueue(event(this.list));
        },
        cancel: () => {
          this.#streams = this.#streams.filter((stream) => stream !== own);
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    }
    if (pathname === "/api/v1/clusters/demo/endpoints") {
      const nodes = this.list.map(({ node, hostname, ports, state }) => {
        return { node, hostname, ports, serving: state === "serving" };
      });
      return Response.json({ cluster: "demo", database: "riak", endpoints: {}, nodes });
    }
    return new Response("none", { status: 404 });
  }
}

function event(list: readonly Endpoint[]): Uint8Array {
  return new TextEncoder().encode(`data: ${JSON.stringify(list)}\n\n`);
}

describe("a scheduler", () => {
  test("is followed from its first list on, and again after it was away", async () => {
    const scheduler = new Scheduler();
    scheduler.list = [endpoint("a")];
    const running = start({ type: "scheduler", url: scheduler.url });
    await awaitBackends(running, "a");
    scheduler.tell(endpoint("a", { state: "draining" }), endpoint("b"), endpoint("x", { cluster: "other" }));
    await awaitBackends(running, "a draining", "b");
    await scheduler.stop();
    await until("it is missed", () => !running.director.connected);
    expect(backends(running)).toEqual(["a draining", "b"]);
    scheduler.list = [endpoint("b"), endpoint("c")];
    scheduler.start();
    await awaitBackends(running, "a draining", "b", "c");
    expect(running.director.connected).toBe(true);
  });

  test("that says nonsense is left and asked again, and the last list stays", async () => {
    const scheduler = new Scheduler();
    scheduler.list = [endpoint("a")];
    const running = start({ type: "scheduler", url: scheduler.url });
    await awaitBackends(running, "a");
    scheduler.send(": keep alive\r\n\r\ndata: {broken\n\n");
    await until("it is asked again", () => scheduler.followed > 1);
    scheduler.tell(endpoint("a"), { ...endpoint("b"), schema: 2 as 1 }, endpoint("c"));
    await awaitBackends(running, "a", "c");
  });

  test("without a stream is asked again and again", async () => {
    const scheduler = new Scheduler();
    scheduler.streamless = true;
    const running = start({ type: "scheduler", url: scheduler.url });
    scheduler.tell(endpoint("a"), endpoint("b", { state: "draining" }));
    await awaitBackends(running, "a");
    scheduler.tell(endpoint("a"), endpoint("b"));
    await awaitBackends(running, "a", "b");
  });
});

describe("a store", () => {
  const open = async (framework = "ringmaster"): Promise<{ readonly url: string; readonly store: Store }> => {
    const directory = mkdtempSync(join(tmpdir(), "ringmaster-director-"));
    const url = `sqlite:${join(directory, "store")}`;
    const store = await openStore(url, { root: `/ringmaster/${framework}` });
    closing.push(async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    });
    return { url, store };
  };
  const put = (store: Store, ...list: readonly Endpoint[]): Promise<void> =>
    store.write(list.map((value) => ({ type: "put", path: `endpoints/${value.node}`, value })));

  test("is followed, its other clusters and what cannot be read left out", async () => {
    const { url, store } = await open();
    await store.write([{ type: "put", path: "endpoints/newer", value: { schema: 2 } }]);
    await put(store, endpoint("a"), endpoint("x", { cluster: "other" }));
    const running = start({ type: "store", url });
    await awaitBackends(running, "a");
    await put(store, endpoint("a", { state: "draining" }), endpoint("b"));
    await awaitBackends(running, "a draining", "b");
  });

  test("tells the clusters, and another one can be followed without a restart", async () => {
    const { url, store } = await open();
    await put(store, endpoint("a"), endpoint("x", { cluster: "other" }));
    for (const name of ["demo", "other"])
      await store.write([{ type: "put", path: `clusters/${name}`, value: { schema: 1 } }]);
    const running = start({ type: "store", url });
    await awaitBackends(running, "a");
    const { admin } = running;
    expect(await get(`${admin}/clusters`)).toEqual([200, { clusters: ["demo", "other"] }]);
    expect(await get(`${admin}/frameworks`)).toEqual([200, { frameworks: ["ringmaster"] }]);
    const answer = { framework: "ringmaster", cluster: "other" };
    expect(await get(`${admin}/frameworks/ringmaster/clusters/other`, "PUT")).toEqual([200, answer]);
    await awaitBackends(running, "x");
    expect(await get(`${admin}/nodes`)).toEqual([
      200,
      { nodes: [{ name: "x", protobuf: { host: "127.0.0.1", port: 120 } }] },
    ]);
  });
});

describe("the admin API", () => {
  test("says that it is alive, and ready only with a backend that serves", async () => {
    const { admin } = start({ type: "static", backends: [] });
    expect(await get(`${admin}/health`)).toEqual([200, { status: "OK" }]);
    const reason = "pb: found no backends, wanted one that serves";
    expect(await get(`${admin}/ready`)).toEqual([503, { status: "not ready", reason }]);
    const other = start({ type: "static", backends: [{ host: "127.0.0.1", port: 1 }] });
    expect(await get(`${other.admin}/ready`)).toEqual([200, { status: "OK" }]);
  });

  test("tells every listener and its backends as the original did", async () => {
    const { director, admin } = start({ type: "static", backends: [{ host: "127.0.0.1", port: 1 }] });
    const port = director.proxies.get("pb")?.port;
    const node = {
      ...{ id: "127.0.0.1:1", name: "127.0.0.1", port: 1, status: "unknown", maxconn: 4096, pendconn: 0, actconn: 0 },
      ...{ lasterr: "", lasterrtime: 0, act_count: 0, act_time: 0 },
    };
    const listener = { name: "pb", local_ip: "127.0.0.1", local_port: port, conn_timeout: 500, act_timeout: 0 };
    expect(await get(`${admin}/status`)).toEqual([
      200,
      {
        status: {
          proxy: [{ ...listener, waiting: 0, bound: 0, nodes: [node] }],
          web: admin,
          zookeeper: { hosts: [], nodes_location: "" },
          source: { type: "static", connected: true, framework: "ringmaster", cluster: "demo" },
        },
      },
    ]);
  });

  test("counts what clients and backends do", async () => {
    const { director, admin } = start({ type: "static", backends: [{ host: "127.0.0.1", port: 1 }] });
    const closed = Promise.withResolvers<void>();
    const port = director.proxies.get("pb")?.port ?? 0;
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: () => undefined, close: () => closed.resolve() },
    });
    await closed.promise;
    const text = await (await fetch(`${admin}/metrics`)).text();
    const value = (name: string): string | undefined =>
      text
        .split("\n")
        .find((line) => line.startsWith(`ringmaster_director_${name} `))
        ?.replace(/.* /, "");
    const labels = `{listener="pb",backend="127.0.0.1:1",node="127.0.0.1:1"}`;
    expect(value(`clients_total{listener="pb"}`)).toBe("1");
    expect(value(`clients_refused_total{listener="pb",reason="no_backend_left"}`)).toBe("1");
    expect(value(`backend_connect_errors_total${labels}`)).toBe("1");
    expect(value(`backend_connections${labels}`)).toBe("0");
    expect(value(`queue_seconds_count{listener="pb"}`)).toBe("1");
    expect(text).toEndWith("\n");
  });

  test("refuses what it does not know", async () => {
    const { admin } = start({ type: "static", backends: [] });
    const routes = "/status, /frameworks, /clusters, /nodes, /health, /ready or /metrics";
    expect(await get(`${admin}/nowhere`)).toEqual([404, { error: `found no /nowhere, wanted ${routes}` }]);
    expect(await get(`${admin}/status`, "POST")).toEqual([405, { error: "found POST /status, wanted GET" }]);
    expect(await get(`${admin}/frameworks/a/clusters/b`, "PUT")).toEqual([
      409,
      { error: "Cannot follow another cluster: the backends were named by hand with --backend" },
    ]);
  });
});
