// TLS on real sockets, with certificates that openssl makes and clients of Node's own TLS.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectPlain, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  connect,
  createServer as createTlsServer,
  type ConnectionOptions,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import type { Settings, Target } from "../state.ts";
import { Authority, type Issued } from "./authority.ts";
import { type CertificateFiles, Certificates } from "./certificates.ts";
import { Connections } from "./connections.ts";
import { Http } from "./http.ts";
import type { Desk, Proxy, Traffic } from "./proxy.ts";
import { Requests } from "./requests.ts";
import type { BackendTls, ClientTls } from "./sockets.ts";
import { listenFor, readAll, targetAt, until } from "./trial.ts";

const connections = (desk: Desk): Traffic => new Connections(desk);
const requests = (desk: Desk): Traffic => new Requests(desk);
const http = (desk: Desk): Traffic => new Http(desk, { headMs: 60_000, idleMs: 60_000 });

const folder = mkdtempSync(join(tmpdir(), "director-tls-"));
let ours: Authority;
let theirs: Authority;
let director: Issued;
let renewed: Issued;
let application: Issued;
let stranger: Issued;
const closing: (() => Promise<void> | void)[] = [];
const said: string[] = [];

beforeAll(() => {
  ours = new Authority(join(folder, "ours"));
  theirs = new Authority(join(folder, "theirs"));
  director = ours.issue("director");
  renewed = ours.issue("renewed");
  application = ours.issue("application");
  stranger = theirs.issue("stranger");
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  said.length = 0;
});

afterAll(() => rmSync(folder, { recursive: true }));

function certificates(files: CertificateFiles): Certificates {
  const made = new Certificates(files, (_level, text) => said.push(text));
  closing.push(() => made.close());
  return made;
}

function clientTls(clients: ClientTls["clients"], files: CertificateFiles = { ...director, ca: ours.ca }): ClientTls {
  return { certificates: certificates(files), clients, handshakesMax: 100 };
}

function backendTls(more: Partial<BackendTls> = {}, files: CertificateFiles = { ca: ours.ca }): BackendTls {
  return { certificates: certificates(files), check: "host", timeoutMs: 1000, ...more };
}

function listen(
  targets: readonly Target[],
  tls: { readonly clientTls?: ClientTls; readonly backendTls?: BackendTls },
  settings: Partial<Settings> = {},
  traffic: (desk: Desk) => Traffic = connections,
): Proxy {
  const proxy = listenFor("pb", traffic, targets, settings, tls);
  closing.push(() => proxy.stop(AbortSignal.abort()));
  return proxy;
}

/** A server that does `serve` with each connection, with TLS where it is given options for that. */
async function backend(serve: (socket: Socket) => void, tls?: TlsOptions): Promise<Target> {
  const sockets = new Set<Socket>();
  const take = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket);
  };
  const server: Server =
    tls === undefined
      ? createServer({ allowHalfOpen: true }, take)
      : createTlsServer({ ...tls, allowHalfOpen: true }, take);
  server.on("tlsClientError", () => undefined);
  const ready = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  closing.push(async () => {
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  });
  const { port } = server.address() as { readonly port: number };
  return targetAt(port);
}

const echo = (socket: Socket): void => void socket.pipe(socket);
const pem = ({ cert, key }: Issued): { readonly cert: Buffer; readonly key: Buffer } => ({
  cert: readFileSync(cert),
  key: readFileSync(key),
});

function client(proxy: Proxy, options: ConnectionOptions = {}): TLSSocket {
  const place: ConnectionOptions = { host: "127.0.0.1", port: proxy.port, ca: readFileSync(ours.ca), ...options };
  const socket = connect({ ...place, ...{ allowHalfOpen: true } } as ConnectionOptions);
  socket.on("error", () => undefined);
  return socket;
}

async function ask(proxy: Proxy, bytes: string | Uint8Array, options: ConnectionOptions = {}): Promise<string> {
  const socket = client(proxy, options);
  const answer = readAll(socket);
  socket.end(bytes);
  return (await answer).toString("latin1");
}

async function once(socket: Socket, event: string): Promise<unknown> {
  const happened = Promise.withResolvers<unknown>();
  socket.once(event, happened.resolve);
  return await happened.promise;
}

const refusedOver = (proxy: Proxy): number => proxy.figures.refusals.get("tls") ?? 0;

describe("TLS to clients", () => {
  test("carries megabytes unchanged both ways, half-close too", async () => {
    const proxy = listen([await backend(echo)], { clientTls: clientTls("unasked") });
    const sent = Buffer.alloc(6_000_000);
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
    const socket = client(proxy);
    const answer = readAll(socket);
    socket.end(sent);
    expect((await answer).equals(sent)).toBe(true);
    await until("the connection is gone", () => proxy.state.backends[0]?.connections === 0);
  });

  test("loses nothing of what comes right behind the handshake", async () => {
    const proxy = listen([await backend(echo)], { clientTls: clientTls("unasked") });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(proxy, `hello ${index}`)));
    expect(answers).toEqual(Array.from({ length: 50 }, (_, index) => `hello ${index}`));
  });

  test("holds a client that waits in the queue, with all it has sent and its end", async () => {
    const proxy = listen([await backend(echo)], { clientTls: clientTls("unasked") }, { connectionsMax: 1 });
    const first = client(proxy);
    first.write("x");
    await once(first, "data");
    const second = ask(proxy, "waiting");
    await until("the second waits", () => proxy.state.queue.length === 1);
    first.destroy();
    expect(await second).toBe("waiting");
  });

  test("goes with balancing by requests", async () => {
    const pong = Buffer.from([0, 0, 0, 1, 2]);
    const server = await backend((socket) => socket.on("data", () => socket.write(pong)));
    const proxy = listen([server], { clientTls: clientTls("unasked") }, {}, requests);
    const socket = client(proxy);
    for (let i = 0; i < 3; i += 1) {
      socket.write(Buffer.from([0, 0, 0, 1, 1]));
      expect(await once(socket, "data")).toEqual(pong);
    }
    socket.destroy();
  });

  test("goes with HTTP by requests, to TLS backends, for an unmodified client", async () => {
    const answer = (socket: Socket): void =>
      void socket.on("data", (bytes) =>
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${String(bytes).startsWith("PUT") ? "ok" : "no"}`),
      );
    const targets = [await backend(answer, pem(director)), await backend(answer, pem(renewed))];
    const both = { clientTls: clientTls("required"), backendTls: backendTls() };
    const proxy = listen(targets, both, { protocol: "http", balance: "roundRobin" }, http);
    const tls = { ca: readFileSync(ours.ca, "utf8"), ...pem(application) };
    for (let i = 0; i < 6; i += 1) {
      const url = `https://127.0.0.1:${proxy.port}/buckets/b/keys/${i}`;
      const answered = await fetch(url, { method: "PUT", body: "x".repeat(i * 10_000), tls, keepalive: i % 2 === 0 });
      expect(await answered.text()).toBe("ok");
    }
    for (const { address } of targets) expect(proxy.figures.backends.get(address)?.connections).toBeGreaterThan(0);
  });

  test("tells why there is no backend in the client's protocol", async () => {
    const proxy = listen([], { clientTls: clientTls("unasked") }, { protocol: "http", queueMax: 0 });
    expect(await ask(proxy, "GET / HTTP/1.1\r\n\r\n")).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
  });

  test("asks for certificates: a good one, none and a stranger's", async () => {
    const server = await backend(echo);
    const required = listen([server], { clientTls: clientTls("required") });
    const optional = listen([server], { clientTls: clientTls("optional") });
    const answers = async (proxy: Proxy): Promise<readonly string[]> => [
      await ask(proxy, "x", pem(application)),
      await ask(proxy, "x"),
      await ask(proxy, "x", pem(stranger)),
    ];
    expect(await answers(required)).toEqual(["x", "", ""]);
    expect(await answers(optional)).toEqual(["x", "x", ""]);
    await until("both are counted", () => refusedOver(required) === 2 && refusedOver(optional) === 1);
    expect(required.figures.backends.get(server.address)?.connections).toBe(1);
  });

  test("lets only so many clients be in their handshakes at a time", async () => {
    const proxy = listen([await backend(echo)], { clientTls: { ...clientTls("unasked"), handshakesMax: 2 } });
    const silent = [0, 1].map(() => connectPlain({ host: "127.0.0.1", port: proxy.port }));
    for (const socket of silent) await once(socket, "connect");
    expect(await ask(proxy, "one too many")).toBe("");
    expect(refusedOver(proxy)).toBe(1);
    for (const socket of silent) socket.destroy();
    await until("both are counted", () => refusedOver(proxy) === 3);
    expect(await ask(proxy, "x")).toBe("x");
  });

  test("refuses and counts what is not TLS, and leaves no client behind", async () => {
    const proxy = listen([await backend(echo)], { clientTls: clientTls("unasked") });
    const socket = connectPlain({ host: "127.0.0.1", port: proxy.port });
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await readAll(socket);
    const gone = connectPlain({ host: "127.0.0.1", port: proxy.port });
    await once(gone, "connect");
    gone.destroy();
    await until("both are counted", () => refusedOver(proxy) === 2);
    expect(proxy.figures.clients).toBe(0);
    expect(await ask(proxy, "still here")).toBe("still here");
  });
});

test("A listener that is ended ends its clients under TLS, those that rest too", async () => {
  const pong = Buffer.from([0, 0, 0, 1, 2]);
  const server = await backend((socket) => socket.on("data", () => socket.write(pong)));
  for (const traffic of [connections, requests]) {
    const proxy = listen([server], { clientTls: clientTls("unasked") }, {}, traffic);
    const socket = client(proxy);
    socket.write(Buffer.from([0, 0, 0, 1, 1]));
    expect(await once(socket, "data")).toEqual(pong);
    await Promise.all([once(socket, "close"), proxy.stop(AbortSignal.abort())]);
  }
});

describe("changed files", () => {
  test("serve new clients while old connections go on, and bad ones change nothing", async () => {
    const files = { cert: join(folder, "live.pem"), key: join(folder, "live.key") };
    const install = ({ cert, key }: Issued): void => {
      copyFileSync(cert, files.cert);
      copyFileSync(key, files.key);
    };
    install(director);
    const proxy = listen([await backend(echo)], { clientTls: clientTls("unasked", files) });
    const old = client(proxy);
    const shown = async (): Promise<string> => {
      const socket = client(proxy);
      await once(socket, "secureConnect");
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return String(subject.CN);
    };
    old.write("before");
    expect(String(await once(old, "data"))).toBe("before");
    expect(await shown()).toBe("director");

    writeFileSync(files.cert, "nonsense");
    await until("it is noticed", () => said.some((text) => text.includes("the old one stays in use")));
    expect(await shown()).toBe("director");
    copyFileSync(renewed.cert, files.cert);
    const mismatch = `Cannot use certificate "${files.cert}" with key "${files.key}": found the key of another one`;
    await until("the wrong key is noticed", () => said.some((text) => text.startsWith(mismatch)));
    expect(await shown()).toBe("director");

    install(renewed);
    await until("it is in use", () => said.some((text) => text.startsWith("New connections use the changed files")));
    expect(await shown()).toBe("renewed");
    old.write("after");
    expect(String(await once(old, "data"))).toBe("after");
    old.destroy();
  }, 20_000);

  test("lose no connection while clients keep coming", async () => {
    const files = { cert: join(folder, "busy.pem"), key: join(folder, "busy.key") };
    copyFileSync(director.cert, files.cert);
    copyFileSync(director.key, files.key);
    const tls = clientTls("unasked", files);
    const proxy = listen([await backend(echo)], { clientTls: tls });
    const over = new AbortController();
    let answered = 0;
    const come = async (): Promise<void> => {
      while (!over.signal.aborted) {
        expect(await ask(proxy, "x")).toBe("x");
        answered += 1;
      }
    };
    const coming = Promise.all(Array.from({ length: 4 }, come));
    for (const next of [renewed, director, renewed]) {
      const before = answered;
      copyFileSync(next.cert, files.cert);
      copyFileSync(next.key, files.key);
      tls.certificates.reload();
      await until("clients came meanwhile", () => answered > before + 20);
    }
    over.abort();
    await coming;
    expect(refusedOver(proxy)).toBe(0);
  }, 20_000);
});

describe("TLS to backends", () => {
  test("carries both ways, with TLS to clients as well", async () => {
    const proxy = listen([await backend(echo, pem(director))], {
      clientTls: clientTls("unasked"),
      backendTls: backendTls(),
    });
    const sent = Buffer.alloc(3_000_000, "abc");
    expect((await ask(proxy, sent)).length).toBe(sent.length);
  });

  test("shows its certificate to those that ask", async () => {
    const asking = { ...pem(director), ca: readFileSync(ours.ca), requestCert: true, rejectUnauthorized: true };
    const target = await backend(echo, asking);
    const both = { ...application, ca: ours.ca };
    const proxy = listen([target], { clientTls: clientTls("unasked"), backendTls: backendTls({}, both) });
    expect(await ask(proxy, "x")).toBe("x");
  });

  test("passes over backends whose certificate is a stranger's or another host's, and those without TLS", async () => {
    const elsewhere = ours.issue("elsewhere", "DNS:elsewhere.example");
    const strange = await backend(echo, pem(stranger));
    const misnamed = await backend(echo, pem(elsewhere));
    const plain = await backend((socket) => socket.on("data", () => socket.end("what?")));
    const good = await backend(echo, pem(director));
    const proxy = listen([strange, misnamed, plain, good], {
      clientTls: clientTls("unasked"),
      backendTls: backendTls(),
    });
    for (let i = 0; i < 6; i += 1) expect(await ask(proxy, "x")).toBe("x");
    const errorOf = ({ address }: Target): string => proxy.figures.backends.get(address)?.lastError ?? "";
    expect([strange, misnamed].map(errorOf)).toEqual([
      "TLS: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "TLS: ERR_TLS_CERT_ALTNAME_INVALID",
    ]);
    expect(errorOf(plain)).toContain("WRONG_VERSION_NUMBER");
  });

  test("checks another name than the host's, or only the CA, where that is asked for", async () => {
    const cluster = ours.issue("cluster", "DNS:cassandra.example");
    const target = await backend(echo, pem(cluster));
    const tls = { clientTls: clientTls("unasked") };
    const byName = listen([target], { ...tls, backendTls: backendTls({ name: "cassandra.example" }) });
    const byCa = listen([target, await backend(echo, pem(stranger))], {
      ...tls,
      backendTls: backendTls({ check: "ca" }),
    });
    expect(await ask(byName, "x")).toBe("x");
    for (let i = 0; i < 4; i += 1) expect(await ask(byCa, "x")).toBe("x");
  });

  test("gives a backend up that does not answer the handshake, and lets go of its socket", async () => {
    let open = 0;
    const silent = await backend((socket) => {
      open += 1;
      socket.on("close", () => (open -= 1));
      socket.resume();
    });
    const proxy = listen([silent, await backend(echo, pem(director))], {
      clientTls: clientTls("unasked"),
      backendTls: backendTls({ timeoutMs: 200 }),
    });
    expect(await Promise.all([ask(proxy, "1"), ask(proxy, "2")])).toEqual(["1", "2"]);
    await until("its sockets are closed", () => open === 0);
  });

  test("is probed, too", async () => {
    const pong = Buffer.from([0, 0, 0, 1, 2]);
    const answer = (socket: Socket): void => void socket.on("data", () => socket.write(pong));
    const good = await backend(answer, pem(director));
    const strange = await backend(answer, pem(stranger));
    const proxy = listen([good, strange], { backendTls: backendTls() }, { probeIntervalMs: 50 });
    const health = ({ address }: Target): string | undefined =>
      proxy.state.backends.find(({ target }) => target.address === address)?.health;
    await until("one is up and one down", () => health(good) === "up" && health(strange) === "down");
  });
});
