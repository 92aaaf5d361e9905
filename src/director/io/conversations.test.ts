// CQL drivers that are listened to, on real sockets, before nodes that speak as Cassandra does: they stay on their connection
// while it goes from node to node.
import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { nextRandom } from "../../std/random.ts";
import { intBytes, stringBytes, stringListBytes } from "../cql/body.ts";
import type { Compression } from "../cql/compression.ts";
import { joined, OPCODES } from "../cql/envelopes.ts";
import { connections, draining, Driver, endAll, listen, LOST, node, type Node, PASSWORD } from "./cql-ends.ts";
import type { Proxy } from "./proxy.ts";
import { until } from "./trial.ts";

afterEach(endAll);

describe.each<[number, Compression | undefined]>([
  [4, undefined],
  [5, undefined],
  [5, "lz4"],
])("a driver of version %d with compression %p", (version, compression) => {
  const newDriver = (proxy: Proxy): Driver => new Driver(proxy, version, compression);

  test("notices nothing of a node that drains: what it asked before is answered, the rest goes elsewhere", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start();
    await driver.query("USE shop");
    await driver.ask(OPCODES.register, stringListBytes(["STATUS_CHANGE", "SCHEMA_CHANGE"]));
    const slow = driver.query("SLOW INSERT 1");
    await until("it was asked", () => a.heard.includes("SLOW INSERT 1"));
    proxy.retarget([draining(a.target), b.target]);
    await until("b knows", () => b.heard.length === 3);
    expect(await driver.query("INSERT 2")).toBe("INSERT 2");
    expect(a.sockets.size).toBe(1);
    a.release();
    expect(await slow).toBe("SLOW INSERT 1");
    await until("a is left", () => a.sockets.size === 0);
    expect(await driver.query("INSERT 3")).toBe("INSERT 3");
    expect(b.heard).toEqual(["STARTUP", 'USE "shop"', "REGISTER SCHEMA_CHANGE", "INSERT 2", "INSERT 3"]);
    expect(connections(proxy)).toEqual([0, 1]);
  });

  test("takes its keyspace with it, however that was set", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start();
    const move = async (from: Node, to: Node): Promise<void> => {
      proxy.retarget([draining(from.target), to.target]);
      await until("it has moved", () => from.sockets.size === 0 && to.sockets.size === 1);
    };
    await driver.query("-- why\n /* oh */ USE one");
    await move(a, b);
    expect(b.heard.splice(0)).toEqual(["STARTUP", 'USE "one"']);
    await driver.prepare("USE two");
    await driver.execute("USE two");
    await move(b, a);
    expect(a.heard.splice(0)).toEqual(["STARTUP", "-- why\n /* oh */ USE one", "STARTUP", 'USE "two"']);
    // What a request's own option says is for that request alone.
    if (version === 5) await driver.query("INSERT 1", joined([intBytes(0x80), stringBytes("other")]));
    await driver.ask(OPCODES.batch, stringBytes("other"));
    await move(a, b);
    expect(b.heard.slice(-2)).toEqual(["STARTUP", 'USE "two"']);
  });

  test("waits for a keyspace that is being set before it moves", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start();
    await driver.prepare("USE SLOW one");
    const set = driver.execute("USE SLOW one");
    await until("it was asked", () => a.heard.length === 3);
    proxy.retarget([draining(a.target), b.target]);
    expect(await driver.query("INSERT 1")).toBe("INSERT 1");
    expect(a.heard.at(-1)).toBe("INSERT 1");
    a.release();
    await set;
    await until("it has moved", () => a.sockets.size === 0);
    expect(b.heard).toEqual(["STARTUP", 'USE "one"']);
  });

  test("that sets a keyspace unseen while it moves is answered when the other node knows it, too", async () => {
    const [a, b] = [await node(version), await node(version)];
    a.prepared.add("USE SLOW one");
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start();
    const set = driver.execute("USE SLOW one");
    await until("it was asked", () => a.heard.length === 2);
    proxy.retarget([draining(a.target), b.target]);
    await until("b knows", () => b.heard.length === 1);
    expect(await driver.query("INSERT 1")).toBe("INSERT 1");
    a.release();
    await set;
    expect(b.heard).toEqual(["STARTUP", "INSERT 1", 'USE "one"']);
    await until("a is left", () => a.sockets.size === 0);
  });

  test("with a password of one step moves", async () => {
    const [a, b] = [await node(version, { password: true }), await node(version, { password: true })];
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start(PASSWORD);
    expect(proxy.bound).toBe(0);
    proxy.retarget([draining(a.target), b.target]);
    expect(await driver.query("INSERT 1")).toBe("INSERT 1");
    await until("a is left", () => a.sockets.size === 0);
    expect(b.heard.slice(0, 2)).toEqual(["STARTUP", `LOGIN ${PASSWORD}`]);
    expect(driver.closed).toBe(false);
  });

  test("with a login of more steps stays with its node until it rests, or is cut", async () => {
    for (const rests of [true, false]) {
      const [a, b] = [await node(version, { password: true, challenges: true }), await node(version)];
      const proxy = listen([a.target], { drainTimeoutMs: 600 });
      const driver = newDriver(proxy);
      await driver.start(PASSWORD, "answer");
      expect(proxy.bound).toBe(1);
      const slow = driver.query("SLOW INSERT 1");
      await until("it was asked", () => a.heard.includes("SLOW INSERT 1"));
      proxy.retarget([draining(a.target), b.target]);
      expect(await driver.query("INSERT 2")).toBe("INSERT 2");
      expect(driver.closed).toBe(false);
      if (rests) {
        a.release();
        expect(await slow).toBe("SLOW INSERT 1");
      }
      await until("it is ended", () => driver.closed && proxy.bound === 0);
      expect(b.heard).toEqual([]);
      expect(proxy.figures.backends.get(a.target.address)?.failures).toBe(rests ? 0 : 1);
    }
  });

  test("goes to a node that is back, as far as it rests, where others have too many", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target], { probeIntervalMs: 20 });
    const drivers = Array.from({ length: 6 }, () => newDriver(proxy));
    await Promise.all(drivers.map((driver) => driver.start()));
    const slow = drivers.slice(0, 4).map((driver) => driver.query("SLOW INSERT 1"));
    await until("all were asked", () => a.heard.filter((asked) => asked === "SLOW INSERT 1").length === 4);
    proxy.retarget([a.target, b.target]);
    await until("b is up", () => proxy.state.backends.every(({ health }) => health === "up"));
    // The seconds in between pass in the decisions only.
    const spread = async (counts: string): Promise<void> => {
      await until("they are spread", () => {
        proxy.state = { ...proxy.state, spreadAtMs: 0 };
        return connections(proxy).join() === counts;
      });
    };
    await spread("2,4");
    a.release();
    expect(await Promise.all(slow)).toEqual(slow.map(() => "SLOW INSERT 1"));
    await spread("3,3");
    expect(await Promise.all(drivers.map((driver) => driver.query("INSERT 2")))).toEqual(drivers.map(() => "INSERT 2"));
    expect(drivers.some(({ closed }) => closed)).toBe(false);
  });

  test("loses only changes that a node had under way when it died, and stays", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start();
    await driver.prepare("SELECT SLOW x");
    const [change, read] = [driver.query("SLOW INSERT 1"), driver.query("SELECT SLOW 2")];
    const executed = driver.execute("SELECT SLOW x");
    await until("it was asked", () => a.heard.length === 5);
    b.prepared.add("SELECT SLOW x");
    proxy.retarget([a.target, b.target]);
    await a.stop();
    expect(await change).toBe(LOST);
    await until("b was asked", () => b.heard.length === 3);
    b.release();
    expect(await Promise.all([read, executed])).toEqual(["SELECT SLOW 2", "SELECT SLOW x"]);
    expect(await driver.query("INSERT 3")).toBe("INSERT 3");
    expect(driver.closed).toBe(false);
    expect(connections(proxy)).toEqual([0, 1]);
  });

  test("leaves a node that hangs once that is known", async () => {
    const [a, b] = [await node(version, { hangs: true }), await node(version)];
    const proxy = listen([a.target], { probeIntervalMs: 50, probeFall: 2 }, 100);
    const driver = newDriver(proxy);
    await driver.start();
    const hung = driver.query("INSERT 1");
    proxy.retarget([a.target, b.target]);
    await until("b knows", () => b.heard.includes("STARTUP"));
    expect(await driver.query("INSERT 2")).toBe("INSERT 2");
    a.release();
    expect(await hung).toBe("INSERT 1");
  });

  test("beyond the limit is sent away, even if it goes on talking and never closes", async () => {
    const a = await node(version);
    const proxy = listen([a.target], {}, 1000, 1);
    const driver = newDriver(proxy);
    await driver.start();
    const deaf = connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
    const closed = Promise.withResolvers<void>();
    deaf.on("error", () => undefined);
    deaf.on("close", () => closed.resolve());
    const talking = setInterval(() => deaf.write("more"), 10);
    await closed.promise;
    clearInterval(talking);
    expect(await driver.query("INSERT 1")).toBe("INSERT 1");
    expect([...proxy.figures.refusals]).toEqual([["too_many_clients", 1]]);
  });

  test("is sent away when its node dies and no other one takes it", async () => {
    const a = await node(version);
    const proxy = listen([a.target], { queueTimeoutMs: 100 });
    const driver = newDriver(proxy);
    await driver.start();
    await a.stop();
    await until("it is closed", () => driver.closed);
    expect(connections(proxy)).toEqual([0]);
  });

  test("goes on with a node that comes a moment after its own has died", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = newDriver(proxy);
    await driver.start();
    await a.stop();
    await until("nobody takes it", () => connections(proxy)[0] === 0);
    proxy.retarget([a.target, b.target]);
    await driver.prepare("INSERT x");
    expect(await driver.execute("INSERT x")).toBe("INSERT x");
    expect(driver.closed).toBe(false);
  });

  test("that knows nothing of UNPREPARED never hears of it", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const one = newDriver(proxy);
    await one.start();
    await one.prepare("INSERT x");
    proxy.retarget([b.target, draining(a.target)]);
    const other = newDriver(proxy);
    await other.start();
    expect(await other.execute("INSERT x")).toBe("INSERT x");
    expect(await other.execute("INSERT y")).toStartWith("error: unprepared");
    const wanted = ["STARTUP", "EXECUTE INSERT x", "PREPARE INSERT x", "EXECUTE INSERT x", "EXECUTE INSERT y"];
    await until("one has moved", () => b.heard.length === 6);
    expect(b.heard.toSpliced(b.heard.lastIndexOf("STARTUP"), 1).toSorted()).toEqual(wanted.toSorted());
  });

  test("under load gets every answer while its nodes drain one after the other, and get their share again", async () => {
    const nodes = await Promise.all([1, 2, 3].map(() => node(version)));
    const targets = nodes.map(({ target }) => target);
    const proxy = listen(targets, { probeIntervalMs: 20, probeFall: 1_000_000 });
    let seed = 20_261_122;
    const dice = (sides: number): number => {
      const next = nextRandom(seed);
      seed = next.seed;
      return Math.floor(next.value * sides);
    };
    const over = new AbortController();
    let asked = 0;
    const wrong: string[] = [];
    const worker = async (driver: Driver, name: string): Promise<void> => {
      for (let count = 0; !over.signal.aborted; count += 1) {
        const size = dice(20) === 0 ? dice(400_000) : dice(200);
        const query = `INSERT ${name} ${count} BIG ${size}${" ".repeat(dice(20) === 0 ? dice(300_000) : 0)}`;
        const answer = await driver.query(query);
        asked += 1;
        const [text, length] = [query.trimEnd(), query.trimEnd().length + size];
        if (!answer.startsWith(text) || answer.length !== length)
          wrong.push(`${query} ${answer.length}: ${answer.slice(0, 100)}`);
      }
    };
    const drivers = Array.from({ length: 8 }, () => newDriver(proxy));
    await Promise.all(drivers.map((driver) => driver.start()));
    const workers = drivers.flatMap((driver, d) => [1, 2, 3, 4].map((w) => worker(driver, `${d}-${w}`)));
    for (let round = 0; round < 9; round += 1) {
      const leaver = nodes[round % 3];
      if (leaver === undefined) throw new Error("No node");
      proxy.retarget(targets.map((target) => (target === leaver.target ? draining(target) : target)));
      const before = asked;
      // On a machine that is busy otherwise all this may get a twentieth of its time.
      await until(`node ${round % 3} is left`, () => leaver.sockets.size === 0, 30_000);
      await until("work goes on", () => asked > before + 50, 30_000);
      proxy.retarget(targets);
      await until("all are up", () => proxy.state.backends.every(({ health }) => health === "up"), 30_000);
      proxy.state = { ...proxy.state, spreadAtMs: 0 };
      await until("connections were spread", () => proxy.state.spreadAtMs > 0);
    }
    over.abort();
    await Promise.all(workers);
    expect(wrong).toEqual([]);
    expect(drivers.some(({ closed }) => closed)).toBe(false);
  }, 60_000);
});
