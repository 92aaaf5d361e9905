// HTTP by requests on real sockets: who gets which request, bodies both ways, what is refused, what happens when nodes go.
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import type { Settings, Target } from "../state.ts";
import { Http, type HttpTimes } from "./http.ts";
import type { Proxy } from "./proxy.ts";
import { listenFor, targetAt, until } from "./trial.ts";

const TIMES: HttpTimes = { headMs: 60_000, idleMs: 60_000 };

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function listen(targets: readonly Target[], settings: Partial<Settings> = {}, times: Partial<HttpTimes> = {}): Proxy {
  const proxy = listenFor("http", (desk) => new Http(desk, { ...TIMES, ...times }), targets, settings);
  stops.push(() => proxy.stop(AbortSignal.abort()));
  return proxy;
}

type Node = { readonly target: Target; readonly sockets: Set<Socket>; readonly got: string[] };

/** A node of raw bytes: `answer` gets what came so far since the last answer; undefined: it waits for more. */
async function node(answer: (text: string, socket: Socket) => string | undefined): Promise<Node> {
  const sockets = new Set<Socket>();
  const got: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = "";
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.startsWith("GET /ping")) {
        socket.end(ok("OK"));
        return;
      }
      const said = answer(text, socket);
      if (said === undefined) return;
      got.push(text);
      text = "";
      socket.write(said, "latin1");
    });
  });
  const ready = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  stops.push(async () => {
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  });
  return { target: targetAt((server.address() as { readonly port: number }).port), sockets, got };
}

function ok(body: string, ...fields: readonly string[]): string {
  return ["HTTP/1.1 200 OK", ...fields, `Content-Length: ${body.length}`, "", body].join("\r\n");
}

/** Answers each request without a body by its name. */
const named = (name: string) => (text: string) => (text.endsWith("\r\n\r\n") ? ok(name) : undefined);

/** A client's connection, and what came over it so far. */
async function client(
  proxy: Proxy,
): Promise<{ readonly socket: Socket; readonly text: () => string; readonly over: Promise<void> }> {
  const socket = connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
  let text = "";
  const over = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  for (const event of ["end", "close"]) socket.on(event, over.resolve);
  stops.push(async () => void socket.destroy());
  const ready = Promise.withResolvers<void>();
  socket.on("connect", ready.resolve);
  await ready.promise;
  return { socket, text: () => text, over: over.promise };
}

/** All that comes back for the bytes, until the director closes. */
async function ask(proxy: Proxy, bytes: string): Promise<string> {
  const { socket, text, over } = await client(proxy);
  socket.write(bytes, "latin1");
  await over;
  return text();
}

const GET = "GET /k HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST_GET = "GET /k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

describe("requests", () => {
  test("of one connection go to the nodes in turn, and pipelined ones are answered in order", async () => {
    const proxy = listen([(await node(named("a"))).target, (await node(named("b"))).target]);
    const answer = await ask(proxy, `\r\n${GET}${GET}${GET}${LAST_GET}`);
    const bodies = answer.split(/HTTP.*?\r\n\r\n/s).join("");
    expect(["abab", "baba"]).toContain(bodies);
    expect([...proxy.figures.backends.values()].map(({ connections }) => connections)).toEqual([2, 2]);
  });

  test("and answers pass with bodies of every kind, in whatever pieces, as they came", async () => {
    const body = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
    const asked = `POST /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
    const answered = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
    const echo = await node((text) => (text.endsWith("t\r\n\r\n") ? answered : undefined));
    const { socket, text } = await client(listen([echo.target]));
    for (let round = 0; round < 2; round += 1)
      for (const byte of asked) {
        socket.write(byte);
        await Bun.sleep(0);
      }
    await until("both are answered", () => text().length >= 2 * answered.length);
    expect(text()).toBe(answered + answered);
    expect(echo.got).toEqual([asked, asked]);
  });

  test("with megabytes both ways arrive whole", async () => {
    const size = 8_000_000;
    const big = await node((text) => (text.length > size && text.endsWith("!") ? ok("y".repeat(size)) : undefined));
    const { socket, text } = await client(listen([big.target]));
    socket.write(`PUT /k HTTP/1.1\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(size - 1)}!`);
    await until("all is there", () => text().length >= size);
    expect(big.got[0]?.length).toBe(size + `PUT /k HTTP/1.1\r\nContent-Length: ${size}\r\n\r\n`.length);
    expect(text().endsWith("y".repeat(size))).toBe(true);
    socket.write(GET);
    await until("the connection goes on", () => big.got.length === 1 && big.sockets.size === 1);
  });

  test("whose answers have no body, or an interim one, are told apart", async () => {
    const server = await node((text, socket) => {
      if (text.endsWith("100-continue\r\n\r\n")) {
        socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        return undefined;
      }
      if (text.startsWith("HEAD")) return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
      if (text.startsWith("DELETE")) return "HTTP/1.1 204 No Content\r\n\r\n";
      return text.endsWith("hello") ? "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" : undefined;
    });
    const { socket, text } = await client(listen([server.target]));
    socket.write("HEAD / HTTP/1.1\r\n\r\nDELETE / HTTP/1.1\r\n\r\n");
    await until("two are answered", () => text().endsWith("204 No Content\r\n\r\n"));
    socket.write("PUT / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    await until("the body is asked for", () => text().endsWith("100 Continue\r\n\r\n"));
    socket.write("hello");
    await until("it is answered", () => text().endsWith("Content-Length: 9\r\n\r\n"));
    socket.write("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    await until("and the last", () => text().split("Content-Length: 5").length === 3);
  });

  test("whose answer ends with the connection are answered to the end", async () => {
    const server = await node((_, socket) => {
      setTimeout(() => socket.end("there"), 20);
      return "HTTP/1.1 200 OK\r\n\r\nhello ";
    });
    expect(await ask(listen([server.target]), GET)).toBe("HTTP/1.1 200 OK\r\n\r\nhello there");
  });

  test("to switch protocols open a way for any bytes", async () => {
    const server = await node((text) =>
      text.startsWith("GET") ? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhi" : text.toUpperCase(),
    );
    const { socket, text } = await client(listen([server.target]));
    socket.write("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    await until("it is switched", () => text().endsWith("\r\n\r\nhi"));
    socket.write("anything\0");
    await until("it comes back", () => text().endsWith("hiANYTHING\0"));
  });

  test.each([
    [400, "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"],
    [400, "what is this\r\n\r\n"],
    [400, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
    [431, `GET / HTTP/1.1\r\nX: ${"y".repeat(70_000)}`],
    [501, "CONNECT a:1 HTTP/1.1\r\n\r\n"],
    [505, "GET / HTTP/3.0\r\n\r\n"],
  ])("that cannot be read are answered %d and reach no node", async (status, bytes) => {
    const server = await node(named("a"));
    const proxy = listen([server.target]);
    expect(await ask(proxy, bytes)).toStartWith(`HTTP/1.1 ${status} `);
    expect(server.got).toEqual([]);
    expect(proxy.figures.refusals.get("bad_frame")).toBe(1);
    expect(await ask(proxy, LAST_GET)).toEndWith("\r\n\r\na");
  });
});

describe("a client that takes its time", () => {
  test("over half a head is told so, however often it sends another byte", async () => {
    const server = await node(named("a"));
    const proxy = listen([server.target], {}, { headMs: 300 });
    const { socket, text, over } = await client(proxy);
    const sending = setInterval(() => socket.write("x"), 20);
    socket.write("GET /");
    await over;
    clearInterval(sending);
    expect(text()).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(proxy.figures.refusals.get("head_timeout")).toBe(1);
    expect(server.got).toEqual([]);
  });

  test("before it asks for anything is left without a word", async () => {
    const proxy = listen([(await node(named("a"))).target], {}, { headMs: 200 });
    expect(await ask(proxy, "\r\n")).toBe("");
    expect(proxy.figures.refusals.get("head_timeout")).toBe(1);
  });

  test("between two requests has a longer limit, and none while one is under way", async () => {
    const server = await node((text, socket) => {
      if (text.includes("/slow")) setTimeout(() => socket.write(ok("late")), 700);
      return text.includes("/slow") ? "" : ok("quick");
    });
    const proxy = listen([server.target], {}, { headMs: 100, idleMs: 400 });
    const { socket, text, over } = await client(proxy);
    socket.write("GET /slow HTTP/1.1\r\n\r\n");
    await until("it is answered", () => text().endsWith("late"));
    await Bun.sleep(250);
    socket.write(GET);
    await over;
    expect(text()).toEndWith("quick");
    expect(proxy.figures.refusals.size).toBe(0);
  });
});

describe("on busy connections", () => {
  test("requests with bodies of every kind and size are answered in order, pipelined or not", async () => {
    const size = (text: string): number => Number(/Content-Length: (\d+)/.exec(text)?.[1] ?? 0);
    const echo = await node((text) => {
      const at = text.indexOf("\r\n\r\n") + 4;
      if (at < 4 || text.length < at + size(text)) return undefined;
      const body = text.slice(at, at + size(text));
      return /^PUT [^ ]*chunks/.test(text)
        ? `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
        : ok(body);
    });
    const proxy = listen([echo.target]);
    const { socket, text } = await client(proxy);
    let wanted = "";
    for (let round = 0; round < 90; round += 1) {
      // Up to more than the memory of a piece, and than what sockets take at once.
      const body = `${round}:`.padEnd(round % 30 === 29 ? 700_000 : (round * 37) % 5000, "x");
      const put = `PUT /${round % 3 === 0 && body.length < 60_000 ? "chunks" : "k"} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      wanted += put.startsWith("PUT /chunks")
        ? `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
        : ok(body);
      wanted += round % 5 === 4 ? ok("") : "";
      socket.write(round % 5 === 4 ? `${put}${GET}` : put);
      await until("it is answered", () => text().length >= wanted.length);
    }
    expect(text() === wanted).toBe(true);
    expect(echo.sockets.size).toBe(1);
  });

  test("a node that ends or breaks them off is passed over, and a client that goes ends its request", async () => {
    let asked = 0;
    const unsteady = await node((text, socket) => {
      if (!text.endsWith("\r\n\r\n")) return undefined;
      asked += 1;
      if (text.includes("/hang")) return "";
      if (asked % 20 === 19) socket.resetAndDestroy();
      else if (asked % 20 === 9) socket.destroy();
      return ok("a");
    });
    const proxy = listen([unsteady.target, (await node(named("b"))).target], { ejectFailures: 1000 });
    const { socket, text } = await client(proxy);
    for (let i = 1; i <= 100; i += 1) {
      socket.write(GET);
      await until("it is answered", () => text().split("\r\n\r\n").length === i + 1);
    }
    expect(asked).toBeGreaterThan(40);
    proxy.retarget([unsteady.target]);
    socket.write("GET /hang HTTP/1.1\r\n\r\n");
    await until("it is under way", () => proxy.state.backends.some(({ connections }) => connections === 1));
    socket.resetAndDestroy();
    await until("nothing is left", () => proxy.state.backends.every(({ connections }) => connections === 0));
  });
});

describe("nodes", () => {
  test("that refuse or end before they answer are passed over for requests that only read", async () => {
    const dead = targetAt(1);
    const mute = await node((_, socket) => {
      socket.destroy();
      return "";
    });
    const proxy = listen([dead, mute.target, (await node(named("c"))).target]);
    const { socket, text } = await client(proxy);
    for (let i = 1; i <= 6; i += 1) {
      socket.write(GET);
      await until("it is answered", () => text().split("\r\n\r\nc").length === i + 1);
    }
    expect(mute.got.length).toBeGreaterThan(0);
  });

  test("that end before they answer a request that changes something are told of", async () => {
    const mute = await node((_, socket) => {
      socket.destroy();
      return "";
    });
    const answer = await ask(listen([mute.target]), "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    expect(answer).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(mute.got.length).toBe(1);
  });

  test("that close a connection between two requests get the next one over a new one", async () => {
    let count = 0;
    const server = await node((text, socket) => {
      count += 1;
      // The second request of a connection finds it closed.
      if (count === 2) {
        socket.destroy();
        return "";
      }
      return text.endsWith("x") || text.startsWith("GET") ? ok("fine") : undefined;
    });
    const put = "PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
    const other = await node(named("other"));
    const proxy = listen([server.target, other.target], { rack: "r" });
    proxy.retarget([{ ...server.target, rack: "r" }, other.target]);
    const { socket, text } = await client(proxy);
    socket.write(GET);
    await until("the first is answered", () => text().endsWith("fine"));
    socket.write(put);
    await until("it was seen", () => count === 2);
    await until("it went to the other", () => other.sockets.size === 1);
  });

  test("that break off in the middle of an answer are broken off for the client", async () => {
    const server = await node((_, socket) => {
      setTimeout(() => socket.resetAndDestroy(), 20);
      return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    });
    expect(await ask(listen([server.target]), GET)).toEndWith("half");
  });

  test("that answer with what is no HTTP are not believed", async () => {
    const server = await node(() => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx");
    expect(await ask(listen([server.target]), GET)).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
  });

  test("that are none at all are told of", async () => {
    const answer = await ask(listen([], { queueTimeoutMs: 200 }), GET);
    expect(answer).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
  });
});

test("a listener that stops says so in the last answers, and closes what rests", async () => {
  const slow = await node((text, socket) => {
    if (text.includes("/slow")) setTimeout(() => socket.write(ok("late", "Connection: keep-alive")), 100);
    return text.includes("/slow") ? undefined : ok("quick");
  });
  const proxy = listen([slow.target]);
  const [resting, waiting] = [await client(proxy), await client(proxy)];
  resting.socket.write(GET);
  await until("it is answered", () => resting.text().endsWith("quick"));
  waiting.socket.write("GET /slow HTTP/1.1\r\n\r\n");
  await until("it is under way", () => proxy.state.backends[0]?.connections === 1);
  const stopped = proxy.stop(new AbortController().signal);
  await Promise.all([resting.over, waiting.over]);
  expect(waiting.text()).toBe("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate");
  resting.socket.destroy();
  waiting.socket.destroy();
  await stopped;
});
