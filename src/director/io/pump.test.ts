// How the pump's sockets end: whoever still sends gets all that was written to it before.
import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Socket as Peer } from "node:net";
import { Connections } from "./connections.ts";
import { finish, PUMP, put, Side } from "./pump.ts";
import { listen } from "./sockets.ts";
import { listenFor, targetAt, until } from "./trial.ts";

const ANSWER_BYTES = 3_000_000;
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0).toReversed()) close();
});

type Manner = "talks" | "is mute" | "never closes";

/** A client that sends all the time, unless it is mute, and does not read before it is told to. */
class Talker {
  readonly #socket: Peer;
  readonly #talking: Timer | undefined;
  read = 0;
  /** How its connection ended: "end" as it should, or with an error. */
  over: string | undefined;

  constructor(port: number, manner: Manner = "talks") {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    this.#socket = socket;
    if (manner !== "is mute") this.#talking = setInterval(() => socket.write(new Uint8Array(1000)), 1);
    closing.push(() => this.#stop());
    socket.pause();
    socket.on("data", (bytes) => (this.read += bytes.length));
    for (const event of manner === "never closes" ? ["close"] : ["end", "close"])
      socket.on(event, () => {
        this.over ??= event;
        this.#stop();
      });
    socket.on("error", ({ message }) => (this.over ??= message));
  }

  #stop(): void {
    clearInterval(this.#talking);
    this.#socket.destroy();
  }

  resume(): void {
    this.#socket.resume();
  }
}

test("a client that still sends reads all of its last answer", async () => {
  let closed = 0;
  const open = (socket: Bun.Socket<Side>): void => {
    socket.data = new Side({ closed: () => (closed += 1) }, { bytes: 0 });
    socket.pause();
    // By then something waits to be read, to which a socket that is closed answers with a reset.
    setTimeout(() => {
      put(socket, new Uint8Array(ANSWER_BYTES));
      finish(socket, "end");
    }, 50);
  };
  const listener = listen({ hostname: "127.0.0.1", port: 0 }, { ...PUMP, open }, () => undefined);
  closing.push(() => listener.stop(true));
  const talker = new Talker(listener.port);
  await Bun.sleep(200);
  talker.resume();
  await until("it is over", () => talker.over !== undefined);
  expect([talker.over, talker.read]).toEqual(["end", ANSWER_BYTES]);
  await until("its socket is closed", () => closed === 1);
  const deaf = new Talker(listener.port, "never closes");
  deaf.resume();
  await until("one that never ends is cut off", () => deaf.over !== undefined && closed === 2);
  expect(deaf.read).toBe(ANSWER_BYTES);
}, 10_000);

test("a client that reads late reads all of its last answer, though nobody waits for it any more", async () => {
  const closed = Promise.withResolvers<void>();
  const open = (socket: Bun.Socket<Side>): void => {
    socket.data = new Side({ closed: () => closed.resolve() }, { bytes: 0 });
    put(socket, new Uint8Array(ANSWER_BYTES));
    finish(socket, "end");
  };
  const listener = listen({ hostname: "127.0.0.1", port: 0 }, { ...PUMP, open }, () => undefined);
  closing.push(() => listener.stop(true));
  const late = new Talker(listener.port, "is mute");
  await closed.promise;
  late.resume();
  await until("it is over", () => late.over !== undefined);
  expect([late.over, late.read]).toEqual(["end", ANSWER_BYTES]);
}, 10_000);

test("a client reads all of an answer whose node has ended it and then broken the connection", async () => {
  const gone = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.resume();
    socket.end(new Uint8Array(ANSWER_BYTES));
    socket.on("close", () => gone.resolve());
    socket.on("finish", () => setTimeout(() => socket.resetAndDestroy(), 300));
  });
  const ready = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  closing.push(() => server.close());
  const { port } = server.address() as { readonly port: number };
  const proxy = listenFor("pb", (desk) => new Connections(desk), [targetAt(port)]);
  closing.push(() => void proxy.stop(AbortSignal.abort()));
  const talker = new Talker(proxy.port);
  await gone.promise;
  await until("the director knows", () => proxy.state.backends[0]?.connections === 0);
  talker.resume();
  await until("it is over", () => talker.over !== undefined);
  expect([talker.over, talker.read]).toEqual(["end", ANSWER_BYTES]);
});
