// The commands as a process: what a shell sees on stdout, stderr and as the exit code, and the question at a real terminal.
import { expect, test } from "bun:test";
import type { Accepted, ClusterView } from "../databases/api.ts";

const BINARY = [process.execPath, `${import.meta.dir}/../main.ts`];

const CLUSTER: ClusterView = {
  name: "demo",
  database: "cassandra",
  version: "5.0.4",
  status: "running",
  created: "2026-01-02T03:04:05.000Z",
  nodesWanted: 1,
  nodesRunning: 1,
  activePlans: [],
  spec: {},
};
const ACCEPTED: Accepted = { cluster: "demo", plan: "demo-remove-2" };

/** A stand-in for the scheduler: `count` clusters, and every DELETE accepted and noted. */
function schedulerStandIn(count = 1) {
  const deleted: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    development: false,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (request.method === "DELETE") {
        deleted.push(pathname);
        return Response.json(ACCEPTED, { status: 202 });
      }
      const list = pathname === "/api/v1/clusters";
      return Response.json(list ? { clusters: Array.from({ length: count }, () => CLUSTER) } : CLUSTER);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    deleted,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

async function run(url: string, ...args: readonly string[]) {
  const env = { ...process.env, RINGMASTER_URL: url };
  const child = Bun.spawn([...BINARY, ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

test("stdout, stderr and the exit code are what a script wants", async () => {
  await using scheduler = schedulerStandIn();
  expect(await run(scheduler.url, "cluster", "list", "--json")).toEqual({
    code: 0,
    out: `${JSON.stringify({ clusters: [CLUSTER] })}\n`,
    err: "",
  });
  const usage = await run(scheduler.url, "cluster", "lst");
  expect(usage).toMatchObject({ code: 2, out: "" });
  expect(usage.err).toContain("(Did you mean list?)");
  const refused = await run(scheduler.url, "cluster", "destroy", "demo");
  expect(refused).toMatchObject({ code: 2, out: "" });
  expect(refused.err).toContain("wanted --yes");
  expect(scheduler.deleted).toEqual([]);
  expect(await run("http://127.0.0.1:1", "cluster", "list")).toMatchObject({ code: 3, out: "" });
});

test("a long answer reaches a reader that is slow, whole", async () => {
  await using scheduler = schedulerStandIn(20_000);
  const env = { ...process.env, RINGMASTER_URL: scheduler.url };
  const child = Bun.spawn([...BINARY, "cluster", "list", "--json"], { env, stdin: "ignore", stderr: "inherit" });
  const reader = child.stdout.getReader();
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    // The reader is slow, so that the pipe is full meanwhile.
    if (length === 0) await Bun.sleep(50);
    length += value.length;
  }
  expect(await child.exited).toBe(0);
  expect(length).toBe(JSON.stringify({ clusters: Array.from({ length: 20_000 }, () => CLUSTER) }).length + 1);
});

/** Destroys the cluster at a terminal where a person types `answer` once the question is there. */
async function destroyAtTerminal(url: string, answer: string) {
  let shown = "";
  let typed = false;
  const decoder = new TextDecoder();
  await using child = Bun.spawn([...BINARY, "cluster", "destroy", "demo"], {
    env: { ...process.env, RINGMASTER_URL: url },
    terminal: {
      cols: 200,
      rows: 50,
      data(terminal, data) {
        shown += decoder.decode(data, { stream: true });
        if (typed || !shown.includes("name to go on: ")) return;
        typed = true;
        terminal.write(answer);
      },
    },
  });
  const code = await child.exited;
  return { code, typed, shown: shown.replaceAll("\r", "") };
}

test("at a terminal cluster destroy asks for the cluster's name", async () => {
  await using scheduler = schedulerStandIn();
  const other = await destroyAtTerminal(scheduler.url, "other\n");
  expect({ ...other, shown: "" }).toEqual({ code: 1, typed: true, shown: "" });
  expect(other.shown).toContain('This destroys 1 node of cassandra cluster "demo" and all their data.\n');
  const nothing = await destroyAtTerminal(scheduler.url, "\u0004");
  expect({ ...nothing, shown: "" }).toEqual({ code: 1, typed: true, shown: "" });
  expect(scheduler.deleted).toEqual([]);
  const same = await destroyAtTerminal(scheduler.url, "demo\n");
  expect({ ...same, shown: "" }).toEqual({ code: 0, typed: true, shown: "" });
  expect(scheduler.deleted).toEqual(["/api/v1/clusters/demo"]);
});
