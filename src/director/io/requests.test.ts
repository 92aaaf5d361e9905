// Traffic by requests on real sockets, against servers that answer with frames as a real Riak's.
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { errorFrame } from "../riak/codes.ts";
import type { Settings, Target } from "../state.ts";
import type { Proxy } from "./proxy.ts";
import { Requests } from "./requests.ts";
import { listenFor, targetAt, until } from "./trial.ts";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function listen(targets: readonly Target[], settings: Partial<Settings> = {}): Proxy {
  const proxy = listenFor("pb", (desk) => new Requests(desk), targets, settings);
  closing.push(() => proxy.stop(AbortSignal.abort()));
  return proxy;
}

function frame(code: number, body: Uint8Array | string = ""): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length + 1);
  head[4] = code;
  return Buffer.concat([head, bytes]);
}

const PING = frame(1);
const GET = frame(9, "\n\x01b\x12\x01k");
const PUT = frame(11, "\n\x01b\x12\x01k");
const SET_CLIENT_ID = frame(5, "\n\x01c");

/** How a server answers each request, by its code; undefined: not at all. It may end the connection. */
type Answers = (code: number, body: Buffer, socket: Socket) => Buffer | undefined;

type Server = { readonly target: Target; readonly sockets: Set<Socket>; readonly asked: number[] };

async function server(answers: Answers): Promise<Server> {
  const sockets = new Set<Socket>();
  const asked: number[] = [];
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    let bytes = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) {
        const end = 4 + bytes.readUInt32BE();
        const code = bytes[4] ?? 0;
        asked.push(code);
        const answer = answers(code, bytes.subarray(5, end), socket);
        if (answer !== undefined) socket.write(answer);
        bytes = bytes.subarray(end);
      }
    });
  });
  const ready = Promise.withResolvers<void>();
  listener.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  closing.push(async () => {
    const closed = Promise.withResolvers<void>();
    listener.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  });
  const { port } = listener.address() as { readonly port: number };
  return { target: targetAt(port), sockets, asked };
}

/** A server that answers every known request with the next code and its name. */
const named =
  (name: string): Answers =>
  (code) =>
    code === 1 ? frame(2) : frame(code + 1, name);

/** A client that reads whole frames. */
class Client {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #closed = false;

  constructor(proxy: Proxy) {
    this.socket = connect({ host: "127.0.0.1", port: proxy.port });
    this.socket.setNoDelay(true);
    this.socket.on("data", (chunk: Buffer) => (this.#bytes = Buffer.concat([this.#bytes, chunk])));
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => (this.#closed = true));
    closing.push(async () => {
      this.socket.destroy();
      await Bun.sleep(0);
    });
  }

  /** The next frame as "code body", or "closed". */
  async next(): Promise<string> {
    await until("a frame comes", () => this.#closed || this.#complete());
    if (!this.#complete()) return "closed";
    const end = 4 + this.#bytes.readUInt32BE();
    const text = `${this.#bytes[4]} ${this.#bytes.toString("latin1", 5, end)}`.trimEnd();
    this.#bytes = this.#bytes.subarray(end);
    return text;
  }

  async ask(bytes: Uint8Array): Promise<string> {
    this.socket.write(bytes);
    return await this.next();
  }

  #complete(): boolean {
    return this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readUInt32BE();
  }
}

function open(proxy: Proxy): number {
  return proxy.state.backends.reduce((sum, { connections }) => sum + connections, 0);
}

/** Text of an error frame as `Client.next` gives it. */
function error(text: string): string {
  return `0 ${Buffer.from(errorFrame(text)).toString("latin1", 5)}`.trimEnd();
}

describe("requests", () => {
  test("of one client go to all backends in turn, over connections that clients share", async () => {
    const [a, b] = [await server(named("a")), await server(named("b"))];
    const proxy = listen([a.target, b.target]);
    const [one, two] = [new Client(proxy), new Client(proxy)];
    const answers: string[] = [];
    for (let i = 0; i < 10; i += 1) answers.push(await one.ask(GET), await two.ask(GET));
    const sorted = answers.toSorted();
    expect(sorted).toEqual([...Array<string>(10).fill("10 a"), ...Array<string>(10).fill("10 b")]);
    expect([a.sockets.size, b.sockets.size]).toEqual([1, 1]);
    expect(open(proxy)).toBe(0);
  });

  test("come through in every chunking, pipelined ones in their order", async () => {
    const proxy = listen([(await server((code, body) => frame(code + 1, body))).target]);
    const client = new Client(proxy);
    const all = Buffer.concat([PING, GET, PUT, PING]);
    for (const size of [1, 3, 7, all.length]) {
      for (let at = 0; at < all.length; at += size) {
        client.socket.write(all.subarray(at, at + size));
        await Bun.sleep(0);
      }
      const codes = [await client.next(), await client.next(), await client.next(), await client.next()];
      expect(codes.map((text) => text.split(" ")[0])).toEqual(["2", "10", "12", "2"]);
    }
  });

  test("of megabytes pass unchanged, answers too", async () => {
    const proxy = listen([(await server((code, body) => frame(code + 1, body))).target]);
    const client = new Client(proxy);
    const body = Buffer.alloc(3_000_000, "0123456789");
    expect(await client.ask(frame(11, body))).toBe(`12 ${body.toString()}`);
    expect(await client.ask(PING)).toBe("2");
  });

  test("of busy connections are answered in their order, whatever their size, pipelined or not", async () => {
    const echo = await server((code, body) => frame(code + 1, body));
    const client = new Client(listen([echo.target]));
    for (let i = 0; i < 100; i += 1) {
      // Up to more than sockets take at once.
      const body = `${i}:`.padEnd(i % 40 === 39 ? 700_000 : (i * 37) % 5000, "x");
      const next = i % 5 === 4 ? [frame(9, "next")] : [];
      client.socket.write(Buffer.concat([frame(9, body), ...next]));
      expect((await client.next()) === `10 ${body}`).toBe(true);
      for (const _ of next) expect(await client.next()).toBe("10 next");
    }
    expect(echo.sockets.size).toBe(1);
  });

  test("with a stream of answers keep their connection until the last", async () => {
    const stream = Buffer.concat([frame(18, "\x12\x01a"), frame(18, "\x12\x01b"), frame(18, "\x10\x01")]);
    const keys: Answers = (code, body, socket) => {
      if (code === 17) {
        for (const byte of stream) socket.write(Uint8Array.of(byte));
        return undefined;
      }
      return named("a")(code, body, socket);
    };
    const proxy = listen([(await server(keys)).target]);
    const client = new Client(proxy);
    client.socket.write(Buffer.concat([frame(17, "\n\x01b"), GET]));
    const got = [await client.next(), await client.next(), await client.next(), await client.next()];
    expect(got).toEqual(["18 \x12\x01a", "18 \x12\x01b", "18 \x10\x01", "10 a"]);
    expect(await client.ask(frame(15, "\x10\0"))).toBe("16 a");
    expect(open(proxy)).toBe(0);
  });

  test("after one that changes the connection all go to the same backend", async () => {
    const [a, b] = [await server(named("a")), await server(named("b"))];
    const proxy = listen([a.target, b.target]);
    const client = new Client(proxy);
    const [, name] = (await client.ask(SET_CLIENT_ID)).split(" ");
    for (let i = 0; i < 6; i += 1) expect(await client.ask(GET)).toBe(`10 ${name}`);
    expect(open(proxy)).toBe(1);
    client.socket.destroy();
    await until("its connection is gone", () => open(proxy) === 0 && a.sockets.size + b.sockets.size === 0);
  });

  test.each([
    ["", []],
    [", of a connection with its own state too", [SET_CLIENT_ID]],
  ])("after StartTLS are no frames any more%s", async (_, before) => {
    const raw = await server((code, _body, socket) => {
      if (code !== 255) return frame(code + 1);
      socket.removeAllListeners("data");
      socket.on("data", (chunk: Buffer) => socket.write(chunk));
      return frame(255);
    });
    const proxy = listen([raw.target]);
    const client = new Client(proxy);
    for (const bytes of before) expect(await client.ask(bytes)).toBe("6");
    expect(await client.ask(frame(255))).toBe("255");
    // Four bytes that would be a bad length.
    const echoed = Promise.withResolvers<string>();
    client.socket.removeAllListeners("data");
    client.socket.once("data", (chunk: Buffer) => echoed.resolve(chunk.toString("hex")));
    client.socket.write(Buffer.from("ffffffff16030100", "hex"));
    expect(await echoed.promise).toBe("ffffffff16030100");
    client.socket.end();
    await until("its connection is gone", () => open(proxy) === 0 && raw.sockets.size === 0);
  });
});

describe("a backend that ends a connection before it answers", () => {
  test("loses no request that may be sent again", async () => {
    let times = 0;
    const bad = await server((code, _body, socket) => {
      // The first probe, which comes after 100 ms, is no request.
      if (code === 1) return frame(2);
      times += 1;
      socket.destroy();
      return undefined;
    });
    const proxy = listen([bad.target, (await server(named("good"))).target]);
    const client = new Client(proxy);
    for (let i = 0; i < 6; i += 1) expect(await client.ask(GET)).toBe("10 good");
    expect(times).toBeGreaterThan(0);
    expect(proxy.figures.backends.get(bad.target.address)?.failures).toBe(times);
    expect(open(proxy)).toBe(0);
  });

  test("is told of to who asked for a change, and the client goes on", async () => {
    const bad = await server((_code, _body, socket) => {
      socket.destroy();
      return undefined;
    });
    const proxy = listen([bad.target], { ejectFailures: 100 });
    const client = new Client(proxy);
    const lost = "The node ended the connection before it answered; whether it did what was asked is not known";
    expect(await client.ask(PUT)).toBe(error(lost));
    expect(await client.ask(PUT)).toBe(error(lost));
    expect(await client.ask(GET)).toBe(error("No backend: none of 1 backends took the connection"));
  });

  test("in the middle of an answer ends the client's connection", async () => {
    const half = await server((_code, _body, socket) => {
      socket.end(frame(10, "0123456789").subarray(0, 9));
      return undefined;
    });
    const proxy = listen([half.target]);
    expect(await new Client(proxy).ask(GET)).toBe("closed");
    await until("nothing is left", () => open(proxy) === 0);
  });
});

test("a backend that has taken its services away is passed over, for changes too", async () => {
  const gone = await server((code) =>
    code === 1 ? frame(2) : Buffer.from(errorFrame(`Unknown message code: ${code}`)),
  );
  const proxy = listen([gone.target, (await server(named("good"))).target]);
  const client = new Client(proxy);
  for (let i = 0; i < 6; i += 1) expect(await client.ask(PUT)).toBe("12 good");
  expect(gone.asked.length).toBeGreaterThan(0);
  // An unknown code is unknown everywhere.
  const alone = new Client(listen([gone.target]));
  expect(await alone.ask(frame(240))).toBe(error("Unknown message code: 240"));
});

test("a backend that drains finishes what it does, and clients notice nothing", async () => {
  let answer: (() => void) | undefined;
  const slow = await server((_code, _body, socket) => {
    answer = () => socket.write(frame(10, "slow"));
    return undefined;
  });
  const other = await server(named("other"));
  const proxy = listen([slow.target]);
  const client = new Client(proxy);
  client.socket.write(GET);
  await until("it is asked", () => answer !== undefined);
  proxy.retarget([{ ...slow.target, draining: true }, other.target]);
  expect(await new Client(proxy).ask(GET)).toBe("10 other");
  answer?.();
  expect(await client.next()).toBe("10 slow");
  await until("its connection is closed", () => slow.sockets.size === 0);
  expect(await client.ask(GET)).toBe("10 other");
});

describe("a client", () => {
  test("with a length that nobody sends is told and sent away", async () => {
    const proxy = listen([(await server(named("a"))).target]);
    const huge = new Client(proxy);
    const told = "Cannot read a frame of 4294967295 bytes: wanted 1 to 268435456";
    expect(await huge.ask(Buffer.from("ffffffff09", "hex"))).toBe(error(told));
    expect(await huge.next()).toBe("closed");
    expect(await new Client(proxy).ask(Buffer.alloc(5))).toStartWith("0 ");
    expect(proxy.figures.refusals).toEqual(new Map([["bad_frame", 2]]));
  });

  test("that leaves in the middle of a request takes its connection with it", async () => {
    const silent = await server(() => undefined);
    const proxy = listen([silent.target]);
    const [mute, half] = [new Client(proxy), new Client(proxy)];
    mute.socket.write(GET);
    half.socket.write(PUT.subarray(0, 8));
    await until("both are there", () => open(proxy) === 2 && silent.sockets.size === 2);
    mute.socket.resetAndDestroy();
    half.socket.end();
    await until("nothing is left", () => open(proxy) === 0 && silent.sockets.size === 0);
  });

  test("that sends and does not read holds little of the answers", async () => {
    const big = await server((code) => frame(code + 1, Buffer.alloc(100_000)));
    const proxy = listen([big.target]);
    const client = new Client(proxy);
    client.socket.pause();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 2000; i += 1) client.socket.write(GET);
    const sent = (): number => proxy.figures.backends.get(big.target.address)?.sent.bytes ?? 0;
    await until("answers come", () => sent() > 1_000_000);
    let last = -1;
    while (sent() !== last) {
      last = sent();
      await Bun.sleep(100);
    }
    expect(last).toBeLessThan(20_000_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(80_000_000);
    expect(await new Client(proxy).ask(PING)).toStartWith("2 ");
    client.socket.destroy();
    await until("nothing is left", () => open(proxy) === 0);
  });
});
