// Figures of cEPMD: lookups beside Debian's epmd, how fast a name is seen on another agent, and memory.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Socket } from "bun";
import { CEPMD_ENVIRONMENT } from "../src/databases/riak/release.ts";
import { openStore } from "../src/store/io/open.ts";
import { Lines } from "../test/real/lines.ts";
import { BINARY, until } from "../test/real/ringmaster.ts";
import { startZookeeper } from "../test/real/zookeeper.ts";
import { against, type Figure, median } from "./figure.ts";

/** Both sides hold as many names as a cluster of this size. */
const CLUSTER = 10;
const ROUNDS = 15;
const ROUND_SECONDS = 0.5;
const REGISTRATIONS = 60;
const MANY = 10_000;
const START_MS = 10_000;
const SETTLE_MS = 3000;
const FRAMEWORK = "bench";

export async function measureCepmd(): Promise<readonly Figure[]> {
  return [...(await measureLookups()), ...(await measureSharing()), ...(await measureMemory())];
}

type Started = AsyncDisposable & { readonly port: number; readonly pid: number };

/** One that shares its names is run as an executor runs it, one that does not as a person does. */
async function startCepmd(...flags: readonly string[]): Promise<Started> {
  const child = Bun.spawn([BINARY, "cepmd", "--port", "0", ...flags], {
    env: { ...process.env, ...(flags.includes("--store") ? CEPMD_ENVIRONMENT : {}) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = new Lines(child.stdout);
  const line = await lines.next((text) => text.includes("cEPMD listens on"), START_MS);
  if (flags.includes("--store")) await lines.next((text) => text.includes("The store is connected"), START_MS);
  return started(child, Number(/ port (\d+)/.exec(line ?? "")?.[1]));
}

async function startEpmd(): Promise<Started> {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = free;
  free.stop();
  const argv = ["epmd", "-port", String(port), "-address", "127.0.0.1"];
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  await until("epmd listens", START_MS, async () => (await ask(port, "n")) !== "");
  return started(child, port);
}

function started(child: Bun.Subprocess, port: number): Started {
  return {
    port,
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

function frame(body: string): Buffer {
  return Buffer.from(String.fromCharCode(body.length >>> 8, body.length & 0xff) + body, "latin1");
}

/** What an EPMD answers until it closes the connection. */
async function ask(port: number, body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_, bytes) => {
        text += bytes.toString("latin1");
      },
      close: () => resolve(text),
      error: (_, error) => reject(error),
    },
  });
  socket.write(frame(body));
  return await promise;
}

/** Registers a name; it lives as long as the socket. */
async function register(port: number, name: string): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const handlers = { data: () => resolve(), close: () => resolve(), error: () => resolve() };
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: handlers });
  socket.write(frame(`x\u0004\u00d2M\0\0\u0006\0\u0005${String.fromCharCode(0, name.length)}${name}\0\0`));
  await promise;
  return socket;
}

async function measureLookups(): Promise<readonly Figure[]> {
  const load = await compileLoad();
  await using epmd = await startEpmd();
  await using cepmd = await startCepmd("--address", "127.0.0.1");
  const names = Array.from({ length: CLUSTER }, (_, at) => `ringmaster-demo-${at}`);
  const nodes: Socket[] = [];
  for (const { port } of [epmd, cepmd]) for (const name of names) nodes.push(await register(port, name));
  const figures: Figure[] = [];
  for (const clients of [1, 50]) {
    const rates: { epmd: number[]; cepmd: number[] } = { epmd: [], cepmd: [] };
    const p99s: { epmd: number[]; cepmd: number[] } = { epmd: [], cepmd: [] };
    // Whoever comes first is once the one and once the other; the first round of each only warms up.
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const side of round % 2 === 0 ? (["epmd", "cepmd"] as const) : (["cepmd", "epmd"] as const)) {
        const { port } = side === "epmd" ? epmd : cepmd;
        const argv = [load, String(port), String(clients), String(ROUND_SECONDS), names[CLUSTER / 2] ?? ""];
        const { exitCode, stdout, stderr } = Bun.spawnSync(argv);
        if (exitCode !== 0) throw new Error(`Cannot measure ${side}: ${stderr.toString()}`);
        const [rate = 0, p99 = 0] = stdout.toString().trim().split(" ").map(Number);
        if (round === 0) continue;
        rates[side].push(rate);
        p99s[side].push(p99);
      }
    }
    const of = `cepmd: lookups, ${clients} at a time, ${CLUSTER} names`;
    figures.push(against(of, median(rates.cepmd), median(rates.epmd), "1/s", ">= 1.0"));
    figures.push(against(`${of}, p99`, median(p99s.cepmd), median(p99s.epmd), "us", "<= 1.2"));
  }
  for (const node of nodes) node.terminate();
  return figures;
}

async function compileLoad(): Promise<string> {
  const out = join(import.meta.dir, "../build/bench/epmd-load");
  await mkdir(join(out, ".."), { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync(["gcc", "-O2", "-o", out, join(import.meta.dir, "epmd-load.c")]);
  if (exitCode !== 0) throw new Error(`Cannot compile epmd-load.c: ${stderr.toString()}`);
  return out;
}

/** From the node's request to the first answer of another agent's cEPMD that knows the name. */
async function measureSharing(): Promise<readonly Figure[]> {
  const zookeeper = await startZookeeper();
  try {
    const flags = ["--store", zookeeper.url("/bench"), "--framework", FRAMEWORK, "--host", "127.0.0.1"];
    await using one = await startCepmd(...flags);
    await using other = await startCepmd(...flags);
    const idle = await settledMb(other.pid);
    const times: number[] = [];
    for (let at = 0; at < REGISTRATIONS; at += 1) {
      const name = `ringmaster-demo-${at}`;
      const beganMs = performance.now();
      const registered = register(one.port, name);
      while (!(await ask(other.port, `z${name}`)).startsWith("w\0")) await Bun.sleep(0);
      times.push(performance.now() - beganMs);
      (await registered).terminate();
      await until("the name is gone", START_MS, async () => (await ask(other.port, `z${name}`)) === "w\u0001");
    }
    const store = await openStore(zookeeper.url("/bench"), { root: `/ringmaster/${FRAMEWORK}` });
    await fill(store);
    await using late = await startCepmd(...flags);
    await until("all names are known", 60_000, async () =>
      (await ask(late.port, `zmany-${MANY - 1}`)).startsWith("w\0"),
    );
    const holding = await settledMb(late.pid);
    await store.close();
    return [
      { name: "cepmd: a name is seen on another agent", value: median(times), unit: "ms", goal: "<= 50" },
      { name: "cepmd: idle, sharing through ZooKeeper", value: idle, unit: "MB", goal: "<= 35" },
      { name: `cepmd: ${MANY} names of other agents`, value: holding, unit: "MB", goal: "<= 60" },
    ];
  } finally {
    await zookeeper.stop();
  }
}

async function fill(store: Awaited<ReturnType<typeof openStore>>): Promise<void> {
  const portion = 500;
  const record = (at: number) => ({
    schema: 1,
    name: `many-${at}`,
    host: `agent-${at}.example`,
    port: 1024 + at,
    nodeType: 77,
    protocol: 0,
    highest: 6,
    lowest: 5,
    extra: "",
    creation: 1_000_000_000 + at,
    owner: `agent-${at}.example:4369/0badcafe`,
  });
  for (let from = 0; from < MANY; from += portion) {
    const numbers = Array.from({ length: portion }, (_, at) => from + at);
    await store.write(
      numbers.map((at) => ({ type: "put" as const, path: `epmd/many-${at}`, value: record(at), ephemeral: true })),
    );
  }
}

async function measureMemory(): Promise<readonly Figure[]> {
  await using idle = await startCepmd("--address", "127.0.0.1");
  const idleMb = await settledMb(idle.pid);
  await using full = await startCepmd("--address", "127.0.0.1");
  const nodes: Socket[] = [];
  for (let at = 0; at < MANY; at += 1) nodes.push(await register(full.port, `ringmaster-demo-${at}`));
  const fullMb = await settledMb(full.pid);
  for (const node of nodes) node.terminate();
  return [
    { name: "cepmd: idle", value: idleMb, unit: "MB", goal: "<= 35" },
    { name: `cepmd: ${MANY} nodes registered`, value: fullMb, unit: "MB", goal: "<= 60" },
  ];
}

/** Resident memory when nothing has happened for a while. */
async function settledMb(pid: number): Promise<number> {
  await Bun.sleep(SETTLE_MS);
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
