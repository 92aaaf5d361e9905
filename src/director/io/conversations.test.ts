// CQL drivers that are listened to, on real sockets, before nodes that speak as Cassandra does: they stay on their connection
// while it goes from node to node.
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { nextRandom } from "../../std/random.ts";
import { BodyReader, intBytes, shortBytes, stringBytes, stringListBytes } from "../cql/body.ts";
import { Direction } from "../cql/direction.ts";
import { envelope, HEAD_BYTES, type Head, joined, NOTHING, OPCODES } from "../cql/envelopes.ts";
import { DEFAULTS } from "../decide.ts";
import type { Settings, Target } from "../state.ts";
import { Conversations } from "./conversations.ts";
import { Proxy, type ProxyOptions } from "./proxy.ts";

const AUTHENTICATOR = "org.apache.cassandra.auth.PasswordAuthenticator";
const PASSWORD = "\0cassandra\0secret";
const UNPREPARED = 0x2500;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const shortly = (bytes: Uint8Array): Uint8Array => joined([shortBytes(bytes.length), bytes]);
const longly = (bytes: Uint8Array): Uint8Array => joined([intBytes(bytes.length), bytes]);

async function until(what: string, check: () => boolean): Promise<void> {
  const untilMs = performance.now() + 5000;
  while (!check()) {
    if (performance.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(2);
  }
}

/** One end of a CQL connection: reads whole envelopes, and writes some. */
class End {
  readonly #socket: Socket;
  readonly #direction: Direction;
  readonly version: number;
  closed = false;

  constructor(socket: Socket, version: number, hear: (head: Head, body: Uint8Array) => void) {
    this.#socket = socket;
    this.version = version;
    this.#direction = new Direction({
      begins: () => true,
      rewrite: (head, whole) => {
        hear(head, whole.slice(HEAD_BYTES));
        return NOTHING;
      },
    });
    socket.on("data", (chunk: Buffer) => this.#direction.take(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Segments from now on, where the version has them. */
  frame(): void {
    this.#direction.framed = this.version >= 5;
  }

  say(stream: number, opcode: number, body: Uint8Array, answer: boolean): void {
    this.#socket.write(
      this.#direction.wrapped(envelope({ version: this.version, flags: 0, stream, opcode }, body, answer)),
    );
  }
}

type Node = {
  readonly target: Target;
  /** What it was told and asked, one text each. */
  readonly heard: string[];
  readonly sockets: Set<Socket>;
  readonly prepared: Set<string>;
  /** Answers what it was slow with. */
  readonly release: () => void;
  readonly stop: () => Promise<void>;
};
type NodeOptions = { readonly password?: boolean; readonly challenges?: boolean; readonly hangs?: boolean };

/** A node that answers a query with the query itself; "SLOW" ones when it is told to, "BIG n" with so many bytes. */
async function node(version: number, options: NodeOptions = {}): Promise<Node> {
  const sockets = new Set<Socket>();
  const heard: string[] = [];
  const prepared = new Set<string>();
  const slow: (() => void)[] = [];
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const end: End = new End(socket, version, (head, body) => answer(end, head, body));
  });
  const answer = (end: End, { stream, opcode }: Head, bytes: Uint8Array): void => {
    const say = (code: number, body: Uint8Array = NOTHING): void => end.say(stream, code, body, true);
    const body = new BodyReader(bytes);
    switch (opcode) {
      case OPCODES.startup:
        heard.push("STARTUP");
        if (options.password === true) say(OPCODES.authenticate, stringBytes(AUTHENTICATOR));
        else say(OPCODES.ready);
        end.frame();
        return;
      case OPCODES.options:
        if (options.hangs === true) return;
        say(OPCODES.supported, shortBytes(0));
        return;
      case OPCODES.authResponse:
        heard.push(`LOGIN ${textOf(bytes.subarray(4))}`);
        if (options.challenges === true && heard.at(-2) === "STARTUP") say(OPCODES.authChallenge, longly(bytesOf("?")));
        else say(OPCODES.authSuccess, longly(NOTHING));
        return;
      case OPCODES.register:
        heard.push(`REGISTER ${body.stringList().join(" ")}`);
        say(OPCODES.ready);
        return;
      case OPCODES.prepare: {
        const query = body.longString(1000);
        heard.push(`PREPARE ${query}`);
        prepared.add(query);
        say(OPCODES.result, joined([intBytes(4), shortly(bytesOf(query))]));
        return;
      }
      case OPCODES.execute: {
        const id = body.string();
        heard.push(`EXECUTE ${id}`);
        const unknown = joined([intBytes(UNPREPARED), stringBytes("unprepared"), shortly(bytesOf(id))]);
        if (!prepared.has(id)) say(OPCODES.error, unknown);
        else if (id.includes("SLOW")) slow.push(() => say(OPCODES.result, joined([intBytes(1), bytesOf(id)])));
        else say(OPCODES.result, joined([intBytes(1), bytesOf(id)]));
        return;
      }
      default: {
        const query = body.longString(100_000_000);
        heard.push(query.slice(0, 100).trimEnd());
        const big = Number(/BIG (\d+)/.exec(query)?.[1] ?? 0);
        if (query.startsWith("USE"))
          say(OPCODES.result, joined([intBytes(3), stringBytes(query.replace(/^USE "?|"$/g, ""))]));
        else if (query.includes("SLOW") || options.hangs === true)
          slow.push(() => say(OPCODES.result, joined([intBytes(1), bytesOf(query)])));
        else say(OPCODES.result, joined([intBytes(1), bytesOf(query.trimEnd()), new Uint8Array(big)]));
      }
    }
  };
  const ready = Promise.withResolvers<void>();
  listener.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  const release = (): void => {
    for (const late of slow.splice(0)) late();
  };
  const stop = async (): Promise<void> => {
    const closed = Promise.withResolvers<void>();
    listener.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  };
  closing.push(stop);
  const { port } = listener.address() as { readonly port: number };
  const target = { address: `127.0.0.1:${port}`, host: "127.0.0.1", port, node: `n${port}`, draining: false };
  return { target, heard, sockets, prepared, stop, release };
}

type Said = { readonly opcode: number; readonly text: string };

/** A driver's connection. */
class Driver {
  readonly #end: End;
  readonly #waiting = new Map<number, (said: Said) => void>();
  #streams = 0;

  constructor(proxy: Proxy, version: number) {
    const socket = connect({ host: "127.0.0.1", port: proxy.port });
    closing.push(async () => {
      await Promise.resolve(socket.destroy());
    });
    this.#end = new End(socket, version, ({ stream, opcode }, body) => {
      const answer = this.#waiting.get(stream);
      this.#waiting.delete(stream);
      answer?.({ opcode, text: textOf(body.subarray(opcode === OPCODES.result || opcode === OPCODES.error ? 4 : 0)) });
    });
  }

  get closed(): boolean {
    return this.#end.closed;
  }

  async ask(opcode: number, body: Uint8Array): Promise<Said> {
    this.#streams = (this.#streams % 1000) + 1;
    const answer = Promise.withResolvers<Said>();
    this.#waiting.set(this.#streams, answer.resolve);
    this.#end.say(this.#streams, opcode, body, false);
    return await answer.promise;
  }

  async start(...logins: readonly string[]): Promise<void> {
    const options = joined([shortBytes(1), stringBytes("CQL_VERSION"), stringBytes("3.0.0")]);
    const answer = this.ask(OPCODES.startup, options);
    await answer;
    this.#end.frame();
    for (const login of logins) await this.ask(OPCODES.authResponse, longly(bytesOf(login)));
  }

  async query(cql: string): Promise<string> {
    const flags = this.#end.version >= 5 ? intBytes(0) : Uint8Array.of(0);
    const { opcode, text } = await this.ask(OPCODES.query, joined([longly(bytesOf(cql)), shortBytes(1), flags]));
    return opcode === OPCODES.error ? `error: ${text.slice(2)}` : text;
  }

  async prepare(cql: string): Promise<void> {
    const flags = this.#end.version >= 5 ? intBytes(0) : NOTHING;
    await this.ask(OPCODES.prepare, joined([longly(bytesOf(cql)), flags]));
  }

  async execute(id: string): Promise<string> {
    const { opcode, text } = await this.ask(
      OPCODES.execute,
      joined([shortly(bytesOf(id)), shortBytes(1), Uint8Array.of(0)]),
    );
    return opcode === OPCODES.error ? `error: ${text.slice(2)}` : text;
  }
}

function listen(
  targets: readonly Target[],
  settings: Partial<Settings> = {},
  probeTimeoutMs = 1000,
  clientsMax = 100,
): Proxy {
  const options: ProxyOptions = {
    settings: { ...DEFAULTS, protocol: "cql", balance: "leastConnections", probeIntervalMs: 3_600_000, ...settings },
    ...{ hostname: "127.0.0.1", port: 0, clientsMax, connectTimeoutMs: 2000, probeTimeoutMs },
    say: () => undefined,
  };
  const proxy = new Proxy(options, (desk) => new Conversations(desk));
  closing.push(() => proxy.stop(AbortSignal.abort()));
  proxy.retarget(targets);
  return proxy;
}

/** How many connections the backends have, fewest first. */
const connections = (proxy: Proxy): readonly number[] =>
  proxy.state.backends.map((backend) => backend.connections).toSorted((a, b) => a - b);
const draining = (target: Target): Target => ({ ...target, draining: true });
const LOST = "error: The node ended the connection before it answered; whether it did what was asked is not known";

describe.each([4, 5])("a driver of version %d", (version) => {
  test("notices nothing of a node that drains: what it asked before is answered, the rest goes elsewhere", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = new Driver(proxy, version);
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

  test("with a password of one step moves; with more steps it stays until it is cut", async () => {
    for (const challenges of [false, true]) {
      const [a, b] = [await node(version, { password: true, challenges }), await node(version, { password: true })];
      const proxy = listen([a.target], { drainTimeoutMs: 600 });
      const driver = new Driver(proxy, version);
      await driver.start(...(challenges ? [PASSWORD, "answer"] : [PASSWORD]));
      proxy.retarget([draining(a.target), b.target]);
      expect(await driver.query("INSERT 1")).toBe("INSERT 1");
      if (challenges) {
        await until("it is cut", () => driver.closed);
        expect(b.heard).toEqual([]);
      } else {
        await until("a is left", () => a.sockets.size === 0);
        expect(b.heard.slice(0, 2)).toEqual(["STARTUP", `LOGIN ${PASSWORD}`]);
        expect(driver.closed).toBe(false);
      }
    }
  });

  test("loses only changes that a node had under way when it died, and stays", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = new Driver(proxy, version);
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
    const driver = new Driver(proxy, version);
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
    const driver = new Driver(proxy, version);
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
    const driver = new Driver(proxy, version);
    await driver.start();
    await a.stop();
    await until("it is closed", () => driver.closed);
    expect(connections(proxy)).toEqual([0]);
  });

  test("goes on with a node that comes a moment after its own has died", async () => {
    const [a, b] = [await node(version), await node(version)];
    const proxy = listen([a.target]);
    const driver = new Driver(proxy, version);
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
    const one = new Driver(proxy, version);
    await one.start();
    await one.prepare("INSERT x");
    proxy.retarget([b.target, draining(a.target)]);
    const other = new Driver(proxy, version);
    await other.start();
    expect(await other.execute("INSERT x")).toBe("INSERT x");
    expect(await other.execute("INSERT y")).toStartWith("error: unprepared");
    const wanted = ["STARTUP", "EXECUTE INSERT x", "PREPARE INSERT x", "EXECUTE INSERT x", "EXECUTE INSERT y"];
    await until("one has moved", () => b.heard.length === 6);
    expect(b.heard.toSpliced(b.heard.lastIndexOf("STARTUP"), 1).toSorted()).toEqual(wanted.toSorted());
  });

  test("under load gets every answer while its nodes drain one after the other", async () => {
    const nodes = await Promise.all([1, 2, 3].map(() => node(version)));
    const targets = nodes.map(({ target }) => target);
    const proxy = listen(targets);
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
    const drivers = Array.from({ length: 8 }, () => new Driver(proxy, version));
    await Promise.all(drivers.map((driver) => driver.start()));
    const workers = drivers.flatMap((driver, d) => [1, 2, 3, 4].map((w) => worker(driver, `${d}-${w}`)));
    for (let round = 0; round < 9; round += 1) {
      const leaver = nodes[round % 3];
      if (leaver === undefined) throw new Error("No node");
      proxy.retarget(targets.map((target) => (target === leaver.target ? draining(target) : target)));
      const before = asked;
      await until(`node ${round % 3} is left`, () => leaver.sockets.size === 0);
      await until("work goes on", () => asked > before + 50);
      proxy.retarget(targets);
    }
    over.abort();
    await Promise.all(workers);
    expect(wrong).toEqual([]);
    expect(drivers.some(({ closed }) => closed)).toBe(false);
  });
});
