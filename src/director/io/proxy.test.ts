// A listener on real sockets: bytes, back-pressure, half-close, backends that refuse, hang or go, and what is left afterwards.
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import type { Settings, Target } from "../state.ts";
import { Connections } from "./connections.ts";
import type { Proxy, ProxyOptions } from "./proxy.ts";
import { listenFor, readAll, targetAt, until } from "./trial.ts";

const proxies: Proxy[] = [];
const servers: { readonly stop: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.stop(AbortSignal.abort());
  for (const server of servers.splice(0)) await server.stop();
});

function listen(
  targets: readonly Target[],
  settings: Partial<Settings> = {},
  options: Partial<ProxyOptions> = {},
): Proxy {
  const proxy = listenFor("pb", (desk) => new Connections(desk), targets, settings, options);
  proxies.push(proxy);
  return proxy;
}

type Backend = { readonly target: Target; readonly sockets: Set<Socket>; readonly stop: () => Promise<void> };

/** A server that answers the first bytes of a ping as Riak does, and does `serve` with all other connections. */
async function backend(serve: (socket: Socket) => void, port = 0): Promise<Backend> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  const ready = Promise.withResolvers<void>();
  server.listen(port, "127.0.0.1", ready.resolve);
  await ready.promise;
  const at = (server.address() as { readonly port: number }).port;
  const stop = async (): Promise<void> => {
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  };
  const made = { target: targetAt(at), sockets, stop };
  servers.push(made);
  return made;
}

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = await backend(() => undefined);
  await server.stop();
  return server.target.port;
}

const echo = (socket: Socket): void => void socket.pipe(socket);
const named = (name: string) => (socket: Socket) => {
  socket.on("data", () => socket.write(name));
  socket.on("end", () => socket.end());
};

function client(proxy: Proxy): Socket {
  const socket = connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
  socket.on("error", () => undefined);
  return socket;
}

/** Sends the bytes and the end of sending; returns all that comes back. */
async function ask(proxy: Proxy, bytes: string | Uint8Array): Promise<string> {
  const socket = client(proxy);
  const answer = readAll(socket);
  socket.end(bytes);
  return (await answer).toString("latin1");
}

async function once(socket: Socket, event: string): Promise<unknown> {
  const happened = Promise.withResolvers<unknown>();
  socket.once(event, happened.resolve);
  return await happened.promise;
}

/** How many file descriptors this process' epolls wait for, one by one. */
function watched(): number {
  let count = 0;
  for (const name of readdirSync("/proc/self/fdinfo"))
    try {
      count += readFileSync(`/proc/self/fdinfo/${name}`, "utf8").match(/^tfd:/gm)?.length ?? 0;
    } catch {
      // It was the listing's own.
    }
  return count;
}

/** Connections to backends, as the listener counts them. */
function open(proxy: Proxy): number {
  return proxy.state.backends.reduce((sum, { connections }) => sum + connections, 0);
}

describe("a connection", () => {
  test("carries megabytes unchanged both ways and ends when both sides did", async () => {
    const proxy = listen([(await backend(echo)).target]);
    const sent = Buffer.alloc(12_000_000);
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
    const socket = client(proxy);
    const answer = readAll(socket);
    socket.end(sent);
    expect((await answer).equals(sent)).toBe(true);
    await until("the connection is gone", () => open(proxy) === 0);
    const figures = [...proxy.figures.backends.values()][0];
    expect([figures?.received.bytes, figures?.sent.bytes]).toEqual([sent.length, sent.length]);
  });

  test("that is busy stays whole through back-pressure, half-close and a break", async () => {
    const proxy = listen([(await backend(echo)).target]);
    const sent = Buffer.alloc(3_000_000);
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
    const busy = Array.from({ length: 20 }, () => client(proxy));
    const answers = busy.map(async (socket) => {
      const got: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => got.push(chunk));
      // Small messages back and forth make it busy, then all comes at once to a client that is slow to read.
      for (let i = 0; i < 100; i += 1) {
        socket.write(sent.subarray(i * 100, i * 100 + 100));
        await once(socket, "data");
      }
      socket.pause();
      socket.end(sent.subarray(10_000));
      setTimeout(() => socket.resume(), 100);
      await once(socket, "end");
      return Buffer.concat(got).equals(sent);
    });
    expect(await Promise.all(answers)).toEqual(busy.map(() => true));
    await until("all are gone", () => open(proxy) === 0);
    const figures = [...proxy.figures.backends.values()][0];
    expect([figures?.received.bytes, figures?.sent.bytes]).toEqual([20 * sent.length, 20 * sent.length]);
  });

  test("that was busy and rests is waited for by Bun alone again, and goes on", async () => {
    const proxy = listen([(await backend(echo)).target]);
    const socket = client(proxy);
    const say = async (): Promise<void> => {
      for (let i = 0; i < 100; i += 1) {
        socket.write("x");
        await once(socket, "data");
      }
    };
    await say();
    const busy = watched();
    await until("it is given back", () => watched() === busy - 2);
    await say();
    expect([open(proxy), watched()]).toEqual([1, busy]);
  });

  test("that is busy is broken off for the one when the other breaks it off, and when it is cut", async () => {
    const server = await backend(echo);
    const proxy = listen([server.target], { drainTimeoutMs: 200 });
    const busy = Array.from({ length: 3 }, () => client(proxy));
    for (let i = 0; i < 100; i += 1)
      for (const socket of busy) {
        socket.write("x");
        await once(socket, "data");
      }
    const over = busy.map(readAll);
    busy[0]?.resetAndDestroy();
    await until("its backend's is gone", () => server.sockets.size === 2);
    [...server.sockets][0]?.resetAndDestroy();
    await Promise.race([over[1], over[2]]);
    await until("one is left", () => open(proxy) === 1);
    proxy.retarget([]);
    await Promise.all(over);
    await until("all are gone", () => open(proxy) === 0);
  });

  test("that the backend ends first lets the client finish sending", async () => {
    const got = Promise.withResolvers<string>();
    const server = await backend((socket) => {
      socket.end("bye");
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
      socket.on("end", () => got.resolve(text));
    });
    const proxy = listen([server.target]);
    const socket = client(proxy);
    expect((await readAll(socket)).toString()).toBe("bye");
    socket.write("still ");
    socket.end("here");
    expect(await got.promise).toBe("still here");
    await until("the connection is gone", () => open(proxy) === 0);
  });

  test("that the backend breaks off is broken off for the client", async () => {
    const server = await backend((socket) => socket.on("data", () => socket.resetAndDestroy()));
    const proxy = listen([server.target]);
    const socket = client(proxy);
    socket.write("x");
    await once(socket, "close");
    await until("the connection is gone", () => open(proxy) === 0);
    expect(proxy.state.backends[0]?.failures).toBe(1);
  });

  test("to a client that does not read holds little of an endless answer, and others go on", async () => {
    const chunk = Buffer.alloc(65_536, "x");
    const server = await backend((socket) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(chunk)) continue;
      };
      socket.on("drain", more);
      socket.once("data", more);
    });
    const proxy = listen([server.target]);
    const before = process.memoryUsage().rss;
    const stalled = Array.from({ length: 20 }, () => client(proxy));
    for (const socket of stalled) {
      socket.pause();
      socket.write("go");
    }
    await until("all stall", () => {
      const sent = [...proxy.figures.backends.values()][0]?.sent.bytes ?? 0;
      return open(proxy) === 20 && sent > 0 && [...server.sockets].every((socket) => socket.writableNeedDrain);
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(120_000_000);
    const reader = client(proxy);
    reader.write("go");
    expect(String(await once(reader, "data"))).toStartWith("xxx");
    for (const socket of [...stalled, reader]) socket.destroy();
    await until("all are gone", () => open(proxy) === 0);
  });
});

describe("backends", () => {
  test("that refuse are passed over before a byte is lost", async () => {
    const dead = targetAt(await deadPort());
    const proxy = listen([dead, (await backend(named("b"))).target]);
    for (let i = 0; i < 6; i += 1) expect(await ask(proxy, "hello")).toBe("b");
    expect(proxy.figures.backends.get(dead.address)?.connectErrors).toBeGreaterThan(0);
    expect(proxy.figures.refusals.size).toBe(0);
  });

  test("that all refuse end in an answer in the client's protocol", async () => {
    const dead = targetAt(await deadPort());
    const message = "No backend: none of 1 backends took the connection";
    const frame = `\0\0\0${String.fromCharCode(message.length + 5)}\0\n${String.fromCharCode(message.length)}${message}\x10\0`;
    expect(await ask(listen([dead]), "\0\0\0\x01\x01")).toBe(frame);
    const http = await ask(listen([dead], { protocol: "http" }), "GET / HTTP/1.1\r\n\r\n");
    expect(http).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    expect(http).toEndWith(`\r\n\r\n${message}\n`);
    expect(await ask(listen([dead], { protocol: "cql" }), "\x04\0\0\0\x05\0\0\0\0")).toBe("");
  });

  test("that do not answer a connection in time are passed over", async () => {
    // A full backlog answers nothing: the listener takes one more than it says.
    const hung = await blackhole();
    const server = await backend(named("b"));
    const proxy = listen([hung.target, server.target], {}, { connectTimeoutMs: 300 });
    const answers = await Promise.all([ask(proxy, "1"), ask(proxy, "2")]);
    expect(answers).toEqual(["b", "b"]);
    expect(proxy.figures.backends.get(hung.target.address)?.lastError).toBe("no connection within 300 ms");
    await hung.stop();
  });

  test("at their limit make clients wait for their turn", async () => {
    const proxy = listen([(await backend(named("a"))).target], { connectionsMax: 1 });
    const first = client(proxy);
    await once(first, "connect");
    await until("it has its backend", () => open(proxy) === 1);
    const second = ask(proxy, "x");
    await until("the second waits", () => proxy.state.queue.length === 1);
    first.destroy();
    expect(await second).toBe("a");
  });

  test("that drain keep their connections until the limit, while new ones go elsewhere", async () => {
    const a = await backend(named("a"));
    const b = await backend(named("b"));
    const proxy = listen([a.target], { drainTimeoutMs: 600 });
    const old = client(proxy);
    old.write("1");
    expect(String(await once(old, "data"))).toBe("a");
    proxy.retarget([{ ...a.target, draining: true }, b.target]);
    expect(await ask(proxy, "2")).toBe("b");
    old.write("3");
    expect(String(await once(old, "data"))).toBe("a");
    await readAll(old);
    await until("it is gone", () => open(proxy) === 0);
  });

  test("are probed, taken out and brought back", async () => {
    const server = await backend((socket) => socket.on("data", () => socket.write(Buffer.from([0, 0, 0, 1, 2]))));
    const proxy = listen([server.target], { probeIntervalMs: 50 });
    await until("it is up", () => proxy.state.backends[0]?.health === "up");
    await server.stop();
    await until("it is down", () => proxy.state.backends[0]?.health === "down");
    expect(proxy.usable()).toBe(0);
    await backend((socket) => socket.on("data", () => socket.write(Buffer.from([0, 0, 0, 1, 2]))), server.target.port);
    await until("it is up again", () => proxy.state.backends[0]?.health === "up");
  });
});

describe("a listener", () => {
  test("turns clients away beyond its limit and takes others when those are gone", async () => {
    const proxy = listen([(await backend(echo)).target], {}, { clientsMax: 2 });
    const held = [client(proxy), client(proxy)];
    await until("they are in", () => open(proxy) === 2);
    expect(await ask(proxy, "x")).toContain("No backend: there are 2 clients, the limit");
    for (const socket of held) socket.destroy();
    await until("they are gone", () => open(proxy) === 0);
    expect(await ask(proxy, "x")).toBe("x");
  });

  test("that stops takes no new clients, lets the others finish, and ends them when told to", async () => {
    const proxy = listen([(await backend(echo)).target]);
    const [finishing, staying] = [client(proxy), client(proxy)];
    await until("they are in", () => open(proxy) === 2);
    const abort = new AbortController();
    let stopped = false;
    const stopping = proxy.stop(abort.signal).then(() => (stopped = true));
    const late = client(proxy);
    await readAll(late);
    finishing.end("last words");
    expect((await readAll(finishing)).toString()).toBe("last words");
    await until("one is left", () => open(proxy) === 1);
    expect(stopped).toBe(false);
    abort.abort();
    await stopping;
    await readAll(staying);
  });

  test("survives clients that come and go without a word, and leaves no descriptor behind", async () => {
    const server = await backend(echo);
    const proxy = listen([server.target]);
    await ask(proxy, "warm");
    const files = (): number => [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false })].length;
    const before = files();
    for (let round = 0; round < 10; round += 1) {
      const sockets = Array.from({ length: 50 }, () => client(proxy));
      for (const [index, socket] of sockets.entries()) {
        if (index % 3 === 0) socket.end();
        else if (index % 3 === 1) socket.write("x", () => socket.resetAndDestroy());
        else socket.once("connect", () => socket.destroy());
        socket.resume();
      }
      await Promise.all(sockets.map((socket) => once(socket, "close")));
    }
    await until("all are gone", () => open(proxy) === 0 && server.sockets.size === 0);
    await until("all descriptors are closed", () => files() <= before + 2);
    expect(await ask(proxy, "still here")).toBe("still here");
  });
});

/** A listener whose backlog is full: the kernel drops what would connect. */
async function blackhole(): Promise<{ readonly target: Target; readonly stop: () => Promise<void> }> {
  const code =
    "import socket,sys,time\ns=socket.socket();s.bind(('127.0.0.1',0));s.listen(0)\np=s.getsockname()[1]\nc=[]\nfor _ in range(4):\n k=socket.socket();k.setblocking(False);k.connect_ex(('127.0.0.1',p));c.append(k)\ntime.sleep(.2);print(p,flush=True);sys.stdin.read()";
  const child = Bun.spawn(["python3", "-c", code], { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
  };
  return { target: targetAt(Number(new TextDecoder().decode(value))), stop };
}
