// A director that follows a real ZooKeeper: the store goes away and comes back, and clients notice nothing.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Endpoint } from "../../src/databases/endpoint.ts";
import { openStore } from "../../src/store/io/open.ts";
import type { Store } from "../../src/store/store.ts";
import { startDirector } from "./director.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

const TEST_DEADLINE_MS = 120_000;
const PING = Buffer.from([0, 0, 0, 1, 1]);
const PONG = Buffer.from([0, 0, 0, 1, 2]);

type Backend = { readonly port: number; readonly count: () => number; readonly stop: () => void };

let zookeeper: Zookeeper;
const stopping: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  zookeeper = await startZookeeper();
}, TEST_DEADLINE_MS);

afterAll(async () => {
  for (const stop of stopping.toReversed()) await stop();
  await zookeeper?.stop();
}, TEST_DEADLINE_MS);

/** A server that answers pings, and counts them. */
function backend(): Backend {
  let count = 0;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, bytes) => {
        count += 1;
        if (bytes.equals(PING)) socket.write(PONG);
      },
    },
  });
  stopping.push(() => listener.stop(true));
  return { port: listener.port, count: () => count, stop: () => listener.stop(true) };
}

function endpoint(node: string, port: number, state: Endpoint["state"] = "serving"): Endpoint {
  return {
    ...({ schema: 1, cluster: "demo", database: "riak", node, hostname: "127.0.0.1", rack: "rack1" } as const),
    ...{ ports: { pb: port }, state },
  };
}

async function put(store: Store, ...list: readonly Endpoint[]): Promise<void> {
  await store.write(list.map((value) => ({ type: "put", path: `endpoints/${value.node}`, value, ephemeral: true })));
}

/** One ping through the director; what is wrong, or undefined. */
async function ping(port: number): Promise<string | undefined> {
  const answered = Promise.withResolvers<string | undefined>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, bytes) => answered.resolve(bytes.equals(PONG) ? undefined : bytes.toString("latin1")),
      close: () => answered.resolve("closed"),
    },
  });
  socket.write(PING);
  const wrong = await answered.promise;
  socket.end();
  return wrong;
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 30_000;
  while (!(await check())) {
    if (Date.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(20);
  }
}

test(
  "a store that is away, or that lost the scheduler's records, changes nothing for clients",
  async () => {
    const url = zookeeper.url();
    const open = async (): Promise<Store> =>
      await openStore(url, { root: "/ringmaster/ringmaster", sessionTimeoutMs: 3000 });
    const [a, b] = [backend(), backend()];
    let scheduler = await open();
    const director = await startDirector(["pb"], "--cluster", "demo", "--store", url);
    stopping.push(director.stop);
    const port = director.ports.pb ?? 0;
    const get = async (path: string): Promise<Response> => await fetch(`${director.admin}${path}`);
    expect((await get("/ready")).status).toBe(503);
    expect((await get("/health")).status).toBe(200);
    await put(scheduler, endpoint("a", a.port), endpoint("b", b.port));
    await until("it is ready", async () => (await get("/ready")).ok);

    const wrong: string[] = [];
    const over = new AbortController();
    let done = 0;
    const work = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const found = await ping(port);
        if (found !== undefined) wrong.push(found);
        done += 1;
        await Bun.sleep(5);
      }
    };
    const working = work();
    await zookeeper.kill();
    await scheduler.close();
    const connected = async (): Promise<boolean> =>
      (await (await get("/metrics")).text()).includes("\nringmaster_director_source_connected 1\n");
    await until("the store is missed", async () => !(await connected()));
    const before = done;
    await until("clients go on", async () => await Promise.resolve(done > before + 100));
    // Its session is over meanwhile, so that its records are gone when ZooKeeper is back.
    await zookeeper.start();
    scheduler = await open();
    await until("the store is back", connected);
    await until("the old records are gone", async () => (await scheduler.list("endpoints")).size === 0);
    const later = done;
    await until("clients go on", async () => await Promise.resolve(done > later + 100));

    await put(scheduler, endpoint("a", a.port, "draining"), endpoint("b", b.port));
    await until("a drains", async () => (await (await get("/status")).text()).includes('"draining"'));
    const [onA, onB] = [a.count(), b.count()];
    await until("b has it all", async () => await Promise.resolve(b.count() > onB + 50));
    expect(a.count()).toBe(onA);
    over.abort();
    await working;
    expect(wrong).toEqual([]);
    await scheduler.close();
  },
  TEST_DEADLINE_MS,
);
