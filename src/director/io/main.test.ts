// Directors as processes: several on one port, and one that is flooded with connections beyond its files.
import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";

const MAIN = `${import.meta.dir}/../../main.ts`;
const children: Bun.Subprocess[] = [];
const sockets: Socket[] = [];
const closing: (() => void)[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const child of children.splice(0)) {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 5000);
    await child.exited;
    clearTimeout(late);
  }
  for (const close of closing.splice(0)) close();
});

/** A backend for protocol buffers that sends back what it gets. */
async function echo(): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => socket.write(bytes.length === 5 ? Buffer.of(0, 0, 0, 1, 2) : bytes));
  });
  const ready = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  closing.push(() => server.close());
  return portOf(server.address());
}

function portOf(address: unknown): number {
  return (address as { readonly port: number }).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const ready = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  const port = portOf(server.address());
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  return port;
}

/** Starts `ringmaster director` in front of the backend; `limit`: of open files. */
async function start(backend: number, flags: readonly string[], limit = 4096) {
  const [port, admin] = [await freePort(), await freePort()];
  const argv = [
    ...["sh", "-c", `ulimit -n ${limit}; exec "$0" "$@"`, process.execPath, MAIN, "director"],
    ...["--pb-listen", `127.0.0.1:${port}`, "--backend", `127.0.0.1:${backend}`, "--admin", `127.0.0.1:${admin}`],
    ...["--drain-timeout", "0.5", ...flags],
  ];
  const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] });
  children.push(child);
  const read = async (path: string): Promise<string> => {
    try {
      return await (await fetch(`http://127.0.0.1:${admin}${path}`)).text();
    } catch {
      return "";
    }
  };
  await until("it is ready", async () => (await read("/ready")).includes("OK"));
  return { port, pid: child.pid, child, read };
}

async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(20);
  }
}

/** A connection that has had its echo; undefined: it was ended before. */
async function talk(port: number): Promise<Socket | undefined> {
  const socket = connect({ host: "127.0.0.1", port });
  sockets.push(socket);
  const heard = Promise.withResolvers<Socket | undefined>();
  socket.on("error", () => undefined);
  socket.on("close", () => heard.resolve(undefined));
  socket.once("data", (bytes: Buffer) => heard.resolve(bytes.toString() === "hello!" ? socket : undefined));
  socket.write("hello!");
  return await heard.promise;
}

/** Pids of a process' children. */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await Bun.file(`/proc/${pid}/task/${pid}/children`).text();
  return text.trim().split(" ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("several processes share a port, are spoken for by one, replaced when they die, and end together", async () => {
  const { port, pid, child, read } = await start(await echo(), ["--processes", "2"]);
  const parts = await childrenOf(pid);
  expect(parts.length).toBe(2);
  for (let i = 0; i < 40; i += 1) expect(await talk(port)).toBeDefined();
  expect(await read("/metrics")).toContain('ringmaster_director_clients_total{listener="pb"} 40\n');
  const status = JSON.parse(await read("/status")) as { status: { proxy: { nodes: { act_count: number }[] }[] } };
  expect(status.status.proxy[0]?.nodes[0]?.act_count).toBe(40);
  const [first = 0, second = 0] = parts;
  process.kill(first, "SIGKILL");
  await until("another takes its place", async () => {
    const now = await childrenOf(pid);
    return now.length === 2 && !now.includes(first) && now.includes(second);
  });
  await until(
    "all serve",
    async () => (await read("/metrics")).includes("clients_total") && (await talk(port)) !== undefined,
  );
  const last = await childrenOf(pid);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  await until("all have ended", () => !last.some(isAlive));
}, 60_000);

test("processes whose starter is killed end by themselves", async () => {
  const { pid, child } = await start(await echo(), ["--processes", "2"]);
  const parts = await childrenOf(pid);
  child.kill("SIGKILL");
  await until("all have ended", () => !parts.some(isAlive));
}, 60_000);

test("a director that cannot have its port says so instead of trying for ever", async () => {
  const taken = await echo();
  const argv = [process.execPath, MAIN, "director", "--pb-listen", `127.0.0.1:${taken}`, "--backend", "127.0.0.1:1"];
  const child = Bun.spawn([...argv, "--processes", "2"], { stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  const text = await new Response(child.stderr).text();
  expect([await child.exited, text.includes(`Cannot listen on 127.0.0.1:${taken}: found EADDRINUSE`)]).toEqual([
    1,
    true,
  ]);
}, 60_000);

test("a flood of connections beyond the open files ends with refusals, no busy loop, and service afterwards", async () => {
  const { port, pid, read } = await start(await echo(), [], 320);
  const files = (): number => [...new Bun.Glob("*").scanSync({ cwd: `/proc/${pid}/fd`, onlyFiles: false })].length;
  const ticks = async (): Promise<number> => {
    const fields = (await Bun.file(`/proc/${pid}/stat`).text()).split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const flood: Socket[] = [];
  // The kernel's own queue is not to overflow: who is dropped there comes again only seconds later.
  for (let wave = 0; wave < 20; wave += 1) {
    const settled = Array.from({ length: 100 }, async () => {
      const socket = connect({ host: "127.0.0.1", port });
      const heard = Promise.withResolvers<void>();
      for (const event of ["connect", "close"]) socket.on(event, () => heard.resolve());
      socket.on("error", () => undefined);
      socket.resume();
      sockets.push(socket);
      flood.push(socket);
      await heard.promise;
    });
    await Promise.all(settled);
  }
  let most = 0;
  await until("those beyond the limit are ended", () => {
    most = Math.max(most, files());
    return flood.filter(({ destroyed }) => destroyed).length >= 1900;
  });
  expect(most).toBeLessThan(320);
  const before = await ticks();
  await Bun.sleep(1000);
  expect((await ticks()) - before).toBeLessThan(50);
  const refused = `reason="too_many_clients"} ${2000 - 32}\n`;
  await until("all of them are counted", async () => (await read("/metrics")).includes(refused));
  for (const socket of flood) socket.destroy();
  await until("it serves again", async () => (await talk(port)) !== undefined);
}, 60_000);
