// The ZooKeeper store on a real server: the contract, and what only a server that dies, freezes or refuses can show.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import zookeeper from "node-zookeeper-client";
import { openStore } from "../../src/store/io/open.ts";
import type { StoreOptions } from "../../src/store/options.ts";
import { nextRandom } from "../../src/std/random.ts";
import type { SessionState, Store } from "../../src/store/store.ts";
import { StoreConflict, StoreUnavailable } from "../../src/store/store.ts";
import { failure, plain, waitUntil } from "../suites/outcome.ts";
import { expectRecovery } from "../suites/store-sessions.ts";
import { storeSuite } from "../suites/store.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

setDefaultTimeout(60_000);
let server: Zookeeper;
const opened: Store[] = [];
let roots = 0;

beforeAll(async () => {
  server = await startZookeeper();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});
afterAll(() => server.stop());

storeSuite("zookeeper", () => ({ open: (options) => openStore(server.url("/prefix"), options) }));

function newRoot(): string {
  roots += 1;
  return `/ringmaster/real-${roots}`;
}

async function open(root: string, options: Partial<StoreOptions> = {}, url = server.url()): Promise<Store> {
  const store = await openStore(url, { root, sessionTimeoutMs: 2000, ...options });
  opened.push(store);
  return store;
}

/** What is told about the session from now on. */
function statesOf(store: Store): readonly SessionState[] {
  const states: SessionState[] = [];
  store.onSession((state) => states.push(state));
  return states;
}

/** Does `work` with a bare client of the library, as an operator's tool would. */
async function bare<T>(work: (client: zookeeper.Client) => Promise<T>): Promise<T> {
  const client = zookeeper.createClient(`127.0.0.1:${server.port}`, { sessionTimeout: 2000 });
  const connected = new Promise<void>((resolve) => client.once("connected", resolve));
  client.connect();
  await connected;
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

describe("on a real ZooKeeper", () => {
  test("a record is a znode of JSON below path and root, with ZooKeeper's own version", async () => {
    const root = newRoot();
    const store = await open(root, {}, server.url("/some/where"));
    await store.write([{ type: "put", path: "nodes/a", value: { schema: 1 } }]);
    await store.write([{ type: "put", path: "nodes/a", value: { schema: 2 } }]);
    const znode = await bare((client) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      client.getData(`/some/where${root}/nodes/a`, (error, data, stat) =>
        resolve(error ?? { text: data.toString(), version: stat.version }),
      );
      return promise;
    });
    expect(znode).toEqual({ text: '{"schema":2}', version: 2 });
    expect(await store.read("nodes/a")).toEqual({ value: { schema: 2 }, version: 2 });
  });

  test("an emptied folder may become a record, and of two that make it one wins", async () => {
    const root = newRoot();
    const [one, two] = [await open(root), await open(root)];
    for (let round = 0; round < 10; round += 1) {
      await one.write([{ type: "put", path: `f${round}/a`, value: 1 }]);
      await one.write([{ type: "delete", path: `f${round}/a` }]);
      const puts = [one, two].map((store, n) =>
        store.write([{ type: "put", path: `f${round}`, value: n, expect: "absent", ephemeral: round % 2 === 0 }]),
      );
      const outcomes = await Promise.allSettled(puts);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(await two.read(`f${round}`)).toMatchObject({ version: 1 });
    }
  });

  test("records belong to the credentials in the URL, and others are told so", async () => {
    const root = newRoot();
    const store = await open(root, {}, server.url().replace("zk://", "zk://anna:s%2Fcret@"));
    await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
    await (await store.lock("leader", 1)).release();
    expect(await store.read("nodes/a")).toEqual({ value: 1, version: 1 });
    for (const credentials of ["", "anna:wrong@", "otto:s%2Fcret@"]) {
      const error = await failure(open(root, {}, server.url().replace("zk://", `zk://${credentials}`)));
      expect(error.message).toContain(`Cannot open store "zk://${credentials.replace(/:.*@/, ":***@")}127.0.0.1`);
      expect(error.message).toContain("ZooKeeper answers NO_AUTH");
    }
    // The folder above the roots is shared.
    const other = await open(newRoot(), {}, server.url().replace("zk://", "zk://otto:else@"));
    await other.write([{ type: "put", path: "nodes/a", value: 1 }]);
  });

  test("an unreachable and a mute server are told within the connect timeout", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const mute = await failure(openStore(`zk://127.0.0.1:${listener.port}`, { root: "/r", connectTimeoutMs: 500 }));
    listener.stop(true);
    const gone = await failure(openStore(`zk://127.0.0.1:${listener.port}/p`, { root: "/r", connectTimeoutMs: 500 }));
    expect(mute.message).toContain(`found no ZooKeeper at 127.0.0.1:${listener.port} within 500 ms (last: no answer)`);
    expect(gone.message).toStartWith(`Cannot open store "zk://127.0.0.1:${listener.port}/p": found no ZooKeeper`);
    expect(gone.message).toContain("ECONNREFUSED");
  });

  test("of very many reads at once some are refused, and the store goes on", async () => {
    const store = await open(newRoot());
    await store.write([{ type: "put", path: "nodes/a", value: "x".repeat(1000) }]);
    const outcomes = await Promise.allSettled(Array.from({ length: 6000 }, () => store.read("nodes/a")));
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused.length).toBe(6000 - 256 - 4096);
    expect(refused[0]).toHaveProperty("reason.message", expect.stringContaining("found 4096 operations waiting"));
    expect(refused[0]).toHaveProperty("reason.name", "StoreUnavailable");
    expect(await store.read("nodes/a")).toMatchObject({ version: 1 });
  });

  test("a lock whose znode somebody removes is told as lost, and its writes are fenced off", async () => {
    const root = newRoot();
    const store = await open(root);
    const lock = await store.lock("leader", 1);
    await bare((client) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const folder = `${root}/locks~/leader`;
      client.getChildren(folder, (_, names) => client.remove(`${folder}/${names[0]}`, () => resolve()));
      return promise;
    });
    await waitUntil("the loss is told", () => lock.lost.aborted);
    expect(String(lock.lost.reason)).toBe('Error: Lost lock "leader": somebody removed it');
    expect(await failure(store.write([], { lock }))).toBeInstanceOf(StoreConflict);
    expect((await store.lock("leader", 2)).lost.aborted).toBe(false);
  });

  test("an answer that breaks off in the middle is not mixed with the next connection's", async () => {
    const root = newRoot();
    const wire = await Wire.open(server.port);
    const store = await open(root, {}, `zk://127.0.0.1:${wire.port}`);
    const states = statesOf(store);
    const value = "x".repeat(300_000);
    await store.write([{ type: "put", path: "big", value }]);
    for (const cutAfter of [2, 5, 1000, 200_000]) {
      wire.cutAfter(cutAfter);
      // A read is made again by itself.
      expect(await store.read("big")).toEqual({ value, version: 1 });
    }
    await waitUntil("it is connected again", () => states.at(-1) === "connected");
    // The look at the absent record is answered with 20 bytes; what follows is the answer to the write itself.
    wire.cutAfter(25);
    const error = await failure(store.write([{ type: "put", path: "unknown", value: 1 }]));
    expect([error.name, error.message]).toEqual([
      "StoreUnavailable",
      "Cannot write: ZooKeeper answers CONNECTION_LOSS",
    ]);
    expect(await store.read("unknown")).toEqual({ value: 1, version: 1 });
    expect(states).not.toContain("lost");
    wire.close();
  });

  test("no update is lost and no lock stays behind when connections are cut at random", async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    let chance = { value: 0, seed };
    const root = newRoot();
    const wires = await Promise.all([1, 2, 3].map(() => Wire.open(server.port)));
    const stores = await Promise.all(wires.map((wire) => open(root, {}, `zk://127.0.0.1:${wire.port}`)));
    let [written, unknown] = [0, 0];
    const deadline = performance.now() + 3000;

    async function countUnderLock(store: Store): Promise<void> {
      const lock = await store.lock("leader", null);
      try {
        const count = Number((await store.read("count"))?.value ?? 0);
        await store.write([{ type: "put", path: "count", value: count + 1 }], { lock });
        written += 1;
      } catch (error) {
        // Whether it was written is not known.
        if (!(error instanceof StoreUnavailable)) throw error;
        unknown += 1;
      } finally {
        await lock.release();
      }
    }

    const counting = stores.map(async (store) => {
      while (performance.now() < deadline) await countUnderLock(store);
    });
    while (performance.now() < deadline) {
      chance = nextRandom(chance.seed);
      wires[Math.floor(chance.value * wires.length)]?.cut();
      await Bun.sleep(chance.value * 100);
    }
    await Promise.all(counting);
    const count = Number((await stores[0]?.read("count"))?.value);
    const seen = `seed ${seed}: counted ${count}, ${written} acknowledged, ${unknown} unknown`;
    if (count < written || count > written + unknown) throw new Error(`Lost an update: ${seen}`);
    expect(written).toBeGreaterThan(0);
    for (const store of stores) await (await store.lock("leader", null)).release();
    for (const wire of wires) wire.close();
  });

  test("a server that takes a connection and says nothing is left for another try", async () => {
    const wire = await Wire.open(server.port);
    wire.mute(1);
    const startedMs = performance.now();
    const store = await open(newRoot(), { sessionTimeoutMs: 1500 }, `zk://127.0.0.1:${wire.port}`);
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    expect(await store.read("a")).toBeUndefined();
    wire.close();
  });

  test("a server that is killed and started again finds the same session: nothing is lost, waiting writes go on", async () => {
    const root = newRoot();
    const [store, other] = [await open(root), await open(root)];
    const states = statesOf(store);
    const lock = await store.lock("leader", 1);
    for (const value of [1, 2]) await store.write([{ type: "put", path: "epmd/a", value, ephemeral: true }]);
    let last: unknown;
    store.watch("epmd", (records) => (last = plain(records)));
    await server.kill();
    await waitUntil("the loss of the connection is told", () => states.length > 0);
    const waiting = store.write([{ type: "put", path: "nodes/a", value: "written while away" }]);
    await server.start();
    await waiting;
    await waitUntil("the session goes on", () => states.at(-1) === "connected");
    // A record that a new session had put would begin at version 1.
    expect(await other.read("epmd/a")).toEqual({ value: 2, version: 2 });
    expect(await other.read("nodes/a")).toEqual({ value: "written while away", version: 1 });
    await other.write([{ type: "put", path: "epmd/b", value: 1 }]);
    await waitUntil("the watch still tells", () =>
      Bun.deepEquals(last, { a: { value: 2, version: 2 }, b: { value: 1, version: 1 } }),
    );
    if (!states.includes("lost")) await store.write([{ type: "put", path: "nodes/a", value: 2 }], { lock });
    await lock.release();
    await (await other.lock("leader", 2)).release();
  });

  test("a server that is frozen for less than the session: operations wait or fail in time, nothing is lost", async () => {
    const store = await open(newRoot(), { sessionTimeoutMs: 4000, operationTimeoutMs: 500 });
    const states = statesOf(store);
    await store.write([{ type: "put", path: "epmd/a", value: 1, ephemeral: true }]);
    await server.freeze();
    const startedMs = performance.now();
    const error = await failure(store.read("epmd/a")).finally(() => server.thaw());
    expect(error.message).toEndWith("found no answer within 500 ms");
    expect(performance.now() - startedMs).toBeLessThan(1500);
    expect(await store.read("epmd/a")).toEqual({ value: 1, version: 1 });
    expect(states).toEqual([]);
  });

  test("a server that cannot be reached ends the session: others see it, take over, and a new one is made", async () => {
    const root = newRoot();
    const wire = await Wire.open(server.port);
    const store = await open(root, {}, `zk://127.0.0.1:${wire.port}`);
    const other = await open(root);
    const states = statesOf(store);
    await store.write([{ type: "put", path: "epmd/mine", value: 1, ephemeral: true }]);
    await store.write([{ type: "put", path: "epmd/mine", value: 2, ephemeral: true }]);
    await store.write([{ type: "put", path: "epmd/taken", value: 1, ephemeral: true }]);
    const lock = await store.lock("scheduler", "store");
    await expectRecovery(store, other, async () => {
      wire.block();
      const next = await other.lock("scheduler", "other");
      expect(plain(await other.list("epmd"))).toEqual({});
      await other.write([{ type: "put", path: "epmd/taken", value: 2, ephemeral: true }], { lock: next });
      await waitUntil("the loss is told", () => states.includes("lost"));
      expect(lock.lost.aborted).toBe(true);
      wire.unblock();
    });
    expect(states).toEqual(["suspended", "lost", "connected"]);
    expect(plain(await other.list("epmd"))).toEqual({
      mine: { value: 2, version: 1 },
      taken: { value: 2, version: 1 },
    });
    wire.close();
  });

  // ZooKeeper may wake up and hear from the client before it looks at its clock: then it keeps the session, which makes no
  // difference to be seen.
  test("a server that is frozen for longer than the session: what is ours comes back, and locks are lost", async () => {
    const root = newRoot();
    const store = await open(root, { operationTimeoutMs: 1000 });
    // Its own session is long enough to outlive the freeze.
    const other = await open(root, { sessionTimeoutMs: 10_000 });
    const states = statesOf(store);
    await expectRecovery(store, other, async () => {
      await server.freeze();
      try {
        await waitUntil("the loss is told", () => states.includes("lost"));
        const startedMs = performance.now();
        expect((await failure(store.read("endpoints/a"))).name).toBe("StoreUnavailable");
        expect(performance.now() - startedMs).toBeLessThan(2000);
      } finally {
        server.thaw();
      }
    });
    expect(states).toEqual(["suspended", "lost", "connected"]);
  });
});

/** A wire to the server that can be cut in the middle of an answer. */
class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #left = Number.POSITIVE_INFINITY;
  #blocked = false;
  #muted = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(port: number): Promise<Wire> {
    const listener = createServer();
    const wire = new Wire(listener);
    listener.on("connection", (client) => {
      wire.#muted -= 1;
      if (wire.#muted >= 0) wire.#sockets.add(client);
      else if (wire.#blocked) client.destroy();
      else wire.#join(client, connect(port, "127.0.0.1"));
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return wire;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every connection, and each new one, until it is unblocked. */
  block(): void {
    this.#blocked = true;
    this.cut();
  }

  /** The next `connections` are taken, and nothing is ever said on them. */
  mute(connections: number): void {
    this.#muted = connections;
  }

  unblock(): void {
    this.#blocked = false;
  }

  /** Cuts the wire when so many more bytes of answers have passed. */
  cutAfter(bytes: number): void {
    this.#left = bytes;
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #join(client: Socket, server: Socket): void {
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => peer.destroySoon());
    }
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes: Buffer) => {
      const passed = bytes.subarray(0, this.#left);
      this.#left -= passed.length;
      client.write(passed);
      if (this.#left > 0) return;
      this.#left = Number.POSITIVE_INFINITY;
      client.destroySoon();
    });
  }
}
