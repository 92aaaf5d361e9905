// Figures of the director's data path beside Debian's HAProxy: the same backend under the same load, taking turns.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lines } from "../test/real/lines.ts";
import { BINARY } from "../test/real/ringmaster.ts";
import type { Order, Outcome, Ports } from "./director-load.ts";
import { against, type Figure, median } from "./figure.ts";

const ROUNDS = 5;
const ROUND_SECONDS = 0.4;
/** wrk knows whole seconds only. */
const HTTP_ROUNDS = 3;
const START_MS = 10_000;
const SIZES = [
  ["200 B", 200],
  ["4 KB", 4096],
  ["64 KB", 65_536],
] as const;
const CLIENTS = [16, 64];
const TICKS_PER_SECOND = 100;

type Proxy = AsyncDisposable & { readonly pid: number; readonly ports: Ports };
type Sides = readonly [director: Proxy, peer: Proxy];
/** Of all rounds of one side. */
type Sum = { rates: number[]; p99s: number[]; count: number; cpuSeconds: number };

export async function measureDirector(): Promise<readonly Figure[]> {
  await using backend = await startBackend();
  await using load = startClients();
  await using haproxy = await startHaproxy(backend.ports);
  await using director = await startDirector(backend.ports, "raw", "raw");
  await using framed = await startDirector(backend.ports, "frames", "requests");
  const sides: Sides = [director, haproxy];
  return [
    ...(await measureMessages(load.run, sides)),
    ...(await measureConnections(load.run, sides)),
    ...(await measureFrames(load.run, [framed, director])),
    ...(await measureHttp(sides, "HTTP raw")),
    ...(await measureHttp([framed, haproxy], "HTTP by requests")),
  ];
}

async function measureMessages(run: Run, sides: Sides): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const protocol of ["pb", "cql"] as const)
    for (const connections of CLIENTS)
      for (const [name, size] of SIZES) {
        const order = {
          connections,
          message: messageOf(protocol, size),
          seconds: ROUND_SECONDS,
          each: "message" as const,
        };
        const [ours, theirs] = await takeTurns(sides, ({ ports }) => run({ ...order, port: ports[protocol] }));
        const of = `director: ${protocol} raw, ${connections} x ${name}`;
        figures.push(...compared(of, ours, theirs, ">= 1.05", "<= 1.0"));
        figures.push(cpuFigure(of, ours, theirs, size));
      }
  const ratios = figures.filter(({ unit }) => unit === "1/s").map(({ ratio }) => ratio ?? Number.NaN);
  return [
    ...figures,
    { name: "director: median of all throughput ratios", value: median(ratios), unit: "x", goal: ">= 1.2" },
  ];
}

async function measureConnections(run: Run, sides: Sides): Promise<readonly Figure[]> {
  const order = { connections: 16, message: messageOf("pb", 200), seconds: ROUND_SECONDS, each: "connection" as const };
  const [ours, theirs] = await takeTurns(sides, ({ ports }) => run({ ...order, port: ports.pb }));
  const of = "director: new connections, 16 at a time";
  return [...compared(of, ours, theirs, ">= 0.9", "<= 1.2"), cpuFigure(of, ours, theirs)];
}

async function measureFrames(run: Run, sides: Sides): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const [name, size] of SIZES) {
    const order = { connections: 16, message: messageOf("pb", size), seconds: ROUND_SECONDS, each: "message" as const };
    const [ours, theirs] = await takeTurns(sides, ({ ports }) => run({ ...order, port: ports.pb }));
    figures.push(...compared(`director: pb frames beside raw, 16 x ${name}`, ours, theirs, ">= 0.6", "<= 2"));
  }
  return figures;
}

async function measureHttp(sides: Sides, name: string): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const connections of CLIENTS)
    for (const [size, path] of [
      ["200 B", "/short"],
      ["4 KB", "/long"],
    ] as const) {
      const [ours, theirs] = await takeTurns(sides, ({ ports }) => wrk(ports.http, path, connections), HTTP_ROUNDS);
      const of = `director: ${name}, ${connections} x ${size}`;
      figures.push(...compared(of, ours, theirs, ">= 1.05", "<= 1.0"), cpuFigure(of, ours, theirs));
    }
  return figures;
}

/** Whoever comes first is once the one and once the other; the first round only warms up. */
async function takeTurns(
  [director, peer]: Sides,
  run: (side: Proxy) => Promise<Outcome>,
  rounds = ROUNDS,
): Promise<readonly [ours: Sum, theirs: Sum]> {
  const newSum = (): Sum => ({ rates: [], p99s: [], count: 0, cpuSeconds: 0 });
  const sums = [newSum(), newSum()] as const;
  for (let round = 0; round <= rounds; round += 1) {
    const turns = [
      [director, sums[0]],
      [peer, sums[1]],
    ] as const;
    for (const [side, sum] of round % 2 === 0 ? turns : turns.toReversed()) {
      const before = await cpuSeconds(side.pid);
      const { count, seconds, p99Us } = await run(side);
      const after = await cpuSeconds(side.pid);
      if (round === 0) continue;
      sum.rates.push(count / seconds);
      sum.p99s.push(p99Us);
      sum.count += count;
      sum.cpuSeconds += after - before;
    }
  }
  return sums;
}

function compared(of: string, ours: Sum, theirs: Sum, rateGoal: string, p99Goal: string): readonly Figure[] {
  return [
    against(of, median(ours.rates), median(theirs.rates), "1/s", rateGoal),
    against(`${of}, p99`, median(ours.p99s), median(theirs.p99s), "us", p99Goal),
  ];
}

/** CPU time of the proxy's process; for each gigabyte where messages are large, for each message else. */
function cpuFigure(of: string, ours: Sum, theirs: Sum, size = 0): Figure {
  const large = size >= 65_536;
  const [per, unit] = large ? [1e9 / (2 * size), "s/GB"] : [1e6, "us"];
  const cost = ({ cpuSeconds: seconds, count }: Sum): number => (seconds / count) * per;
  return against(`${of}, CPU ${large ? "per gigabyte" : "each"}`, cost(ours), cost(theirs), unit, "<= 1.0");
}

/** User and system time of a process, all its threads. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await Bun.file(`/proc/${pid}/stat`).text();
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** A request that its protocol takes for one: Riak's get, CQL's QUERY in version 4. */
function messageOf(protocol: "pb" | "cql", size: number): Uint8Array {
  const bytes = Buffer.alloc(size, "x");
  if (protocol === "pb") {
    bytes.writeUInt32BE(size - 4, 0);
    bytes[4] = 9;
  } else {
    bytes.set([4, 0, 0, 1, 7]);
    bytes.writeUInt32BE(size - 9, 5);
  }
  return bytes;
}

type Run = (order: Order) => Promise<Outcome>;

function loadProcess(role: string, onMessage: (message: unknown) => void): Bun.Subprocess {
  return Bun.spawn([process.execPath, join(import.meta.dir, "director-load.ts"), role], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: onMessage,
    serialization: "advanced",
  });
}

async function startBackend(): Promise<AsyncDisposable & { readonly ports: Ports }> {
  const told = Promise.withResolvers<Ports>();
  const child = loadProcess("backend", (message) => told.resolve(message as Ports));
  return { ports: await told.promise, ...ending(child) };
}

function startClients(): AsyncDisposable & { readonly run: Run } {
  let told = Promise.withResolvers<Outcome>();
  const child = loadProcess("clients", (message) => {
    const outcome = message as Outcome | { readonly error: string };
    if ("error" in outcome) told.reject(new Error(`Cannot measure: ${outcome.error}`));
    else told.resolve(outcome);
  });
  const run: Run = async (order) => {
    told = Promise.withResolvers<Outcome>();
    child.send(order);
    return await told.promise;
  };
  return { run, ...ending(child) };
}

async function startDirector(backends: Ports, pbMode: string, httpMode: string): Promise<Proxy> {
  const protocols = ["http", "pb", "cql"] as const;
  const flags = protocols.flatMap((protocol) => [
    ...[`--${protocol}-listen`, "127.0.0.1:0"],
    ...["--backend", `${protocol}=127.0.0.1:${backends[protocol]}`],
  ]);
  const modes = ["--pb-mode", pbMode, "--http-mode", httpMode, "--cql-mode", "raw", "--admin", "127.0.0.1:0"];
  const child = Bun.spawn([BINARY, "director", ...flags, ...modes], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines = new Lines(child.stderr);
  const portOf = async (protocol: string): Promise<number> => {
    const line = await lines.next((text) => text.includes(`Listening for ${protocol}`), START_MS);
    if (line === undefined) throw new Error(`Cannot start the director: ${lines.all.join("\n")}`);
    return Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
  };
  const ports = { http: await portOf("http"), pb: await portOf("pb"), cql: await portOf("cql") };
  await lines.next((text) => text.includes("The director serves"), START_MS);
  return { pid: child.pid, ports, ...ending(child) };
}

async function startHaproxy(backends: Ports): Promise<Proxy> {
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-bench-"));
  const ports = { http: freePort(), pb: freePort(), cql: freePort() };
  const section = (name: keyof Ports, mode: string, balance: string): string => `
listen ${name}
  mode ${mode}
  bind 127.0.0.1:${ports[name]}
  balance ${balance}
  server one 127.0.0.1:${backends[name]}
`;
  const config = `
global
  nbthread 1
  maxconn 4000
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${section("pb", "tcp", "leastconn")}${section("cql", "tcp", "leastconn")}${section("http", "http", "roundrobin")}`;
  const file = join(directory, "haproxy.cfg");
  await Bun.write(file, config);
  const child = Bun.spawn(["haproxy", "-db", "-q", "-f", file], { stdio: ["ignore", "ignore", "inherit"] });
  for (const port of Object.values(ports)) await listens(port, child);
  await rm(directory, { recursive: true });
  return { pid: child.pid, ports, ...ending(child) };
}

async function listens(port: number, child: Bun.Subprocess): Promise<void> {
  for (const lateMs = performance.now() + START_MS; performance.now() < lateMs; await Bun.sleep(10)) {
    if (child.exitCode !== null) break;
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => undefined } });
      socket.terminate();
      return;
    } catch {
      // Not yet.
    }
  }
  throw new Error(`Cannot start haproxy: nobody listens on port ${port}`);
}

function freePort(): number {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  free.stop();
  return free.port;
}

/** Requests over connections that stay. */
async function wrk(port: number, path: string, connections: number): Promise<Outcome> {
  const argv = ["wrk", "-t1", `-c${connections}`, "-d1", "--latency", `http://127.0.0.1:${port}${path}`];
  const child = Bun.spawn(argv, { stdio: ["ignore", "pipe", "inherit"] });
  const text = await new Response(child.stdout).text();
  const [, p99 = "", unit = ""] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  const [, count = "", seconds = ""] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  if (Number(count) === 0 || /Socket errors|Non-2xx/.test(text)) throw new Error(`Cannot measure HTTP: ${text}`);
  return {
    count: Number(count),
    seconds: Number(seconds),
    p99Us: Number(p99) * (unit === "us" ? 1 : unit === "ms" ? 1e3 : 1e6),
  };
}

function ending(child: Bun.Subprocess): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
