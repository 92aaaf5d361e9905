// A director with thousands of clients: 10,000 that rest, 1,000 that ask all the time, and some that behave badly.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Socket } from "bun";
import { type Director, startDirector } from "./director.ts";

const RSS_MAX_MB = 300;
const BUSY = 1000;
const BUSY_MS = 3000;
const TEST_DEADLINE_MS = 120_000;

const PING = Buffer.from([0, 0, 0, 1, 1]);
const PONG_BYTES = 5;
/** A get of key "k" in bucket "b": a megabyte, from this server. */
const GET = Buffer.from([0, 0, 0, 7, 9, 10, 1, 98, 18, 1, 107]);
const STARTUP = Buffer.from([4, 0, 0, 1, 1, 0, 0, 0, 2, 0, 0]);
const READY_BYTES = 9;
/** QUERY "INSERT", consistency ONE, no flags. */
const QUERY = Buffer.from([4, 0, 0, 1, 7, 0, 0, 0, 13, 0, 0, 0, 6, 73, 78, 83, 69, 82, 84, 0, 1, 0]);
const VOID_BYTES = 13;

type Peer = {
  readonly asks: Buffer;
  /** Bytes of an answer, and how many are still to come. */
  readonly wanted: number;
  left: number;
  busy: boolean;
  answered: () => void;
  closed: boolean;
  answers: number;
};

let server: Bun.Subprocess<"ignore", "pipe", "inherit">;
let backends: { readonly pb: number; readonly cql: number };

beforeAll(async () => {
  server = Bun.spawn([process.execPath, join(import.meta.dir, "soak-server.ts")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await server.stdout.getReader().read();
  backends = JSON.parse(new TextDecoder().decode(value)) as typeof backends;
}, TEST_DEADLINE_MS);

afterAll(async () => {
  server?.kill("SIGKILL");
  await server?.exited;
});

const HANDLERS = {
  data: (socket: Socket<Peer>, bytes: Buffer): void => {
    const peer = socket.data;
    peer.left -= bytes.length;
    if (peer.left > 0) return;
    peer.answers += 1;
    peer.answered();
    if (!peer.busy) return;
    peer.left += peer.wanted;
    socket.write(peer.asks);
  },
  close: (socket: Socket<Peer>): void => {
    socket.data.closed = true;
    socket.data.answered();
  },
  error: (socket: Socket<Peer>): void => {
    socket.terminate();
  },
};

/** Connects, asks once and waits for the answer; CQL starts first. */
async function client(port: number, protocol: "pb" | "cql"): Promise<Socket<Peer>> {
  const isPb = protocol === "pb";
  const [asks, wanted] = isPb ? [PING, PONG_BYTES] : [QUERY, VOID_BYTES];
  const first = Promise.withResolvers<void>();
  const data: Peer = {
    ...{ asks, wanted, left: isPb ? wanted : READY_BYTES, busy: false, closed: false, answers: 0 },
    answered: first.resolve,
  };
  const socket = await Bun.connect<Peer>({ hostname: "127.0.0.1", port, data, socket: HANDLERS });
  socket.write(isPb ? PING : STARTUP);
  await first.promise;
  data.answered = () => undefined;
  return socket;
}

/** So many clients, a hundred at a time. */
async function clients(count: number, port: number, protocol: "pb" | "cql"): Promise<readonly Socket<Peer>[]> {
  const all: Socket<Peer>[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(100, count - all.length) }, () => client(port, protocol));
    all.push(...(await Promise.all(some)));
  }
  return all;
}

function beBusy(sockets: readonly Socket<Peer>[]): void {
  for (const socket of sockets) {
    socket.data.busy = true;
    socket.data.left = socket.data.wanted;
    socket.write(socket.data.asks);
  }
}

/** Resident memory of a process: now, and the most it ever was. */
async function memoryMb(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const read = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { now: Math.round(read("VmRSS")), peak: Math.round(read("VmHWM")) };
}

function end(sockets: readonly Socket<Peer>[]): void {
  for (const socket of sockets) socket.terminate();
}

const expectWell = (sockets: readonly Socket<Peer>[], answers: number): void => {
  expect(sockets.filter(({ data }) => data.closed).length).toBe(0);
  expect(sockets.filter(({ data }) => data.answers < answers).length).toBe(0);
};

/** Connects, sends these bytes, and reads nothing from then on if it is deaf. */
async function stranger(port: number, bytes: Uint8Array, deaf = false): Promise<Socket<Peer>> {
  const data: Peer = {
    ...{ asks: PING, wanted: 0, left: Number.MAX_SAFE_INTEGER, busy: false, closed: false, answers: 0 },
    answered: () => undefined,
  };
  const socket = await Bun.connect<Peer>({ hostname: "127.0.0.1", port, data, allowHalfOpen: true, socket: HANDLERS });
  if (deaf) socket.pause();
  socket.write(bytes);
  return socket;
}

async function strangers(
  count: number,
  port: number,
  bytes: Uint8Array,
  deaf = false,
): Promise<readonly Socket<Peer>[]> {
  const all = await Promise.allSettled(Array.from({ length: count }, () => stranger(port, bytes, deaf)));
  // One that is too many may be cut off before it knows that it was connected.
  return all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}

async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 30_000;
  while (!(await check())) {
    if (Date.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(50);
  }
}

/** Clients that were turned away, by reason. */
async function refused(director: Director, reason: string): Promise<number> {
  const metrics = await (await fetch(`${director.admin}/metrics`)).text();
  return Number(
    new RegExp(`^ringmaster_director_clients_refused_total\\{.*"${reason}"\\} (\\d+)$`, "m").exec(metrics)?.[1] ?? 0,
  );
}

const FOUR_GIGABYTES = {
  pb: Buffer.from([0xff, 0xff, 0xff, 0xff, 9, 1, 2, 3]),
  cql: Buffer.from([4, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff, 1]),
};
const HALF = { pb: PING.subarray(0, 3), cql: QUERY.subarray(0, 12) };
const BIG_QUERY = Buffer.from(QUERY);
BIG_QUERY.write("B", 13);
/** Fifty megabytes of answers. */
const MUCH = {
  pb: Buffer.concat(Array.from({ length: 50 }, () => GET)),
  cql: Buffer.concat([STARTUP, ...Array.from({ length: 50 }, () => BIG_QUERY)]),
};
const CROWD = 20;

describe("a director with clients that behave badly", () => {
  for (const [name, protocol, flags] of [
    ["PB by requests", "pb", ["--pb-mode", "frames"]],
    ["PB raw", "pb", []],
    ["CQL", "cql", []],
  ] as const)
    test(
      `${name}: stays small, counts them, and serves the others`,
      async () => {
        const more = ["--max-clients", "1000", ...flags];
        const director = await startDirector([protocol], "--backend", `127.0.0.1:${backends[protocol]}`, ...more);
        const port = director.ports[protocol] ?? 0;
        const good = await clients(100, port, protocol);
        beBusy(good);
        const answers = (): number => good.reduce((sum, { data }) => sum + data.answers, 0);
        const noise = new Uint8Array(10_000).map((_, index) => 255 - ((index * 40_503) >>> 4));
        const bad = [
          // Slow readers, half-open peers, garbage, four gigabytes, those that say half a word and end.
          ...(await strangers(CROWD, port, MUCH[protocol], true)),
          ...(await strangers(CROWD, port, HALF[protocol])),
          ...(await strangers(CROWD, port, noise)),
          ...(await strangers(CROWD, port, FOUR_GIGABYTES[protocol])),
        ];
        const half = await strangers(CROWD, port, HALF[protocol]);
        for (const socket of half) socket.shutdown();
        const before = answers();
        await until("the good ones go on", () => answers() > before + 5000);
        // A flood: more than may come, twice, and all gone at once.
        for (let wave = 0; wave < 2; wave += 1) end(await strangers(1500, port, new Uint8Array()));
        const during = answers();
        await until("the good ones go on", () => answers() > during + 1000);
        expect(await refused(director, "too_many_clients")).toBeGreaterThan(0);
        // Raw bytes are not looked at.
        if (name !== "PB raw") expect(await refused(director, "bad_frame")).toBeGreaterThanOrEqual(2 * CROWD);
        end([...bad, ...half]);
        await until(
          "the bad ones are gone",
          async () => Math.max(...(await director.metric("backend_connections"))) <= 100,
        );
        const { peak } = await memoryMb(director.pid);
        process.stderr.write(`${name}: bad clients, peak ${peak} MB\n`);
        expectWell(good, 2);
        end(good);
        await director.stop();
        expect(peak).toBeLessThanOrEqual(RSS_MAX_MB);
      },
      TEST_DEADLINE_MS,
    );
});

describe("a director with clients that rest and others that ask all the time", () => {
  // Where each client has a connection to a backend of its own, the descriptors of a process here end at 20,000.
  for (const [name, protocol, idle, flags] of [
    ["PB by requests", "pb", 10_000, ["--pb-mode", "frames", "--max-clients", "11500"]],
    ["PB raw", "pb", 8000, ["--max-connections", "10000"]],
    ["CQL", "cql", 8000, ["--max-connections", "10000"]],
  ] as const)
    test(
      `${name}: ${idle} and ${BUSY} take at most ${RSS_MAX_MB} MB, and none has an error`,
      async () => {
        const director = await startDirector([protocol], "--backend", `127.0.0.1:${backends[protocol]}`, ...flags);
        const port = director.ports[protocol] ?? 0;
        const resting = await clients(idle, port, protocol);
        const busy = await clients(BUSY, port, protocol);
        beBusy(busy);
        await Bun.sleep(BUSY_MS);
        const { now, peak } = await memoryMb(director.pid);
        const answers = busy.reduce((sum, { data }) => sum + data.answers, 0);
        process.stderr.write(`${name}: ${idle} + ${BUSY} clients, ${now} MB (peak ${peak} MB), ${answers} answers\n`);
        expectWell(resting, 1);
        expectWell(busy, 2);
        end([...resting, ...busy]);
        await director.stop();
        expect(peak).toBeLessThanOrEqual(RSS_MAX_MB);
      },
      TEST_DEADLINE_MS,
    );
});
