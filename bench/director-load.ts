// What `bench/director.ts` measures proxies with, as two processes of their own: a backend that sends back what it gets, and
// clients that each send a message when the last one has come back.
import type { Socket } from "bun";

/** What the clients are told to do. `messages` 0: a connection each time, with one message. */
export type Order = {
  readonly port: number;
  readonly connections: number;
  readonly message: Uint8Array;
  readonly seconds: number;
  readonly each: "message" | "connection";
};
/** Messages that came back, and the 99th percentile of their times. */
export type Outcome = { readonly count: number; readonly seconds: number; readonly p99Us: number };
export type Ports = { readonly pb: number; readonly cql: number; readonly http: number };

const PB_PING = 1;
const CQL_OPTIONS = 5;
const HTTP_BODY = "x".repeat(200);
const HTTP_LONG = "x".repeat(4096);
/** More times than any round has messages. */
const TIMES = new Float64Array(1 << 20);

/** Writes all of it, what the socket does not take now when it takes more. */
function write(socket: Socket<{ rest?: Uint8Array }>, bytes: Uint8Array): void {
  const { rest } = socket.data;
  if (rest !== undefined) {
    socket.data.rest = Buffer.concat([rest, bytes]);
    return;
  }
  const written = socket.write(bytes);
  if (written >= 0 && written < bytes.length) socket.data.rest = bytes.slice(written);
}

function drain(socket: Socket<{ rest?: Uint8Array }>): void {
  const { rest } = socket.data;
  if (rest === undefined) return;
  delete socket.data.rest;
  write(socket, rest);
}

function serve(answer: (bytes: Uint8Array) => Uint8Array): number {
  const listener = Bun.listen<{ rest?: Uint8Array }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      binaryType: "uint8array",
      open: (socket) => {
        socket.data = {};
        socket.setNoDelay(true);
      },
      data: (socket, bytes) => write(socket, answer(bytes)),
      drain,
      error: () => undefined,
    },
  });
  return listener.port;
}

function backend(): Ports {
  const long = httpAnswer(HTTP_LONG);
  const short = httpAnswer(HTTP_BODY);
  return {
    // Both sides' probes are answered, everything else comes back as it is.
    pb: serve((bytes) => (bytes.length === 5 && bytes[4] === PB_PING ? Uint8Array.of(0, 0, 0, 1, PB_PING + 1) : bytes)),
    cql: serve((bytes) =>
      bytes.length === 9 && bytes[4] === CQL_OPTIONS
        ? Uint8Array.of(0x84, 0, 0, 0, CQL_OPTIONS + 1, 0, 0, 0, 0)
        : bytes,
    ),
    http: serve((bytes) => (bytes[5] === "l".charCodeAt(0) ? long : short)),
  };
}

function httpAnswer(body: string): Uint8Array {
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}

type Talk = { rest?: Uint8Array; missing: number; sentMs: number };

async function load({ port, connections, message, seconds, each }: Order): Promise<Outcome> {
  const over = Promise.withResolvers<void>();
  let count = 0;
  let open = 0;
  let stopping = false;
  const send = (socket: Socket<Talk>): void => {
    socket.data.missing = message.length;
    socket.data.sentMs = performance.now();
    write(socket, message);
  };
  const dial = (): void => {
    open += 1;
    const beganMs = performance.now();
    const connecting = Bun.connect<Talk>({
      hostname: "127.0.0.1",
      port,
      data: { missing: 0, sentMs: beganMs },
      socket: {
        binaryType: "uint8array",
        open: (socket) => {
          socket.setNoDelay(true);
          send(socket);
          if (each === "connection") socket.data.sentMs = beganMs;
        },
        data: (socket, bytes) => {
          const talk = socket.data;
          talk.missing -= bytes.length;
          if (talk.missing > 0) return;
          TIMES[count] = performance.now() - talk.sentMs;
          count += 1;
          if (each === "connection" || stopping) socket.end();
          else send(socket);
        },
        drain,
        close: () => {
          open -= 1;
          if (each === "connection" && !stopping) dial();
          else if (open === 0) over.resolve();
        },
        error: (_, error) => over.reject(error),
        connectError: (_, error) => over.reject(error),
      },
    });
    connecting.catch(over.reject);
  };
  const beganMs = performance.now();
  for (let at = 0; at < connections; at += 1) dial();
  setTimeout(() => {
    stopping = true;
  }, seconds * 1000);
  await over.promise;
  const took = (performance.now() - beganMs) / 1000;
  const times = TIMES.subarray(0, count).sort();
  return { count, seconds: took, p99Us: (times[Math.floor(count * 0.99)] ?? Number.NaN) * 1000 };
}

if (process.argv[2] === "backend") process.send?.(backend());
else
  process.on("message", (order: Order) => {
    load(order).then(
      (outcome) => process.send?.(outcome),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
  });
