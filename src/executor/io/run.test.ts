// A whole executor with a database of a few lines: real processes, no Mesos and no Cassandra.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cassandra } from "../../databases/cassandra/cassandra.ts";
import type { Ask, CommandLine, Database } from "../../databases/database.ts";
import type { NodeTask } from "../../databases/node.ts";
import type { ExecutorUpdate } from "../../mesos/executor-api.ts";
import { type Run, startRun } from "./run.ts";

const DEADLINE_MS = 20_000;

let sandbox: string;
let port: number;
let updates: ExecutorUpdate[];
let said: string[];
let run: Run;

function freePort(): number {
  const held = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  held.stop(true);
  return held.port;
}

function shell(script: string): CommandLine {
  return { argv: ["/bin/sh", "-c", script], env: {}, cwd: sandbox };
}

function asking(say: string, script: string, more: Partial<Ask> = {}): Ask {
  return {
    say,
    question: { type: "command", command: shell(script), timeoutMs: 5_000 },
    read: (answer) => {
      if ("error" in answer) return { type: "failed", detail: answer.error };
      const detail = answer.text.trim();
      return answer.status === 0 ? { type: "done", detail, result: detail } : { type: "again", afterMs: 100, detail };
    },
    patienceMs: 10_000,
    ...more,
  };
}

/** Its process lives until there is a file "stop"; its companion is an echo of what is sent to it. */
function small(): Database {
  const script = `
    process.on("SIGTERM", () => { console.log("bye"); process.exit(0); });
    Bun.listen({ hostname: "127.0.0.1", port: ${port}, socket: { data: (socket, chunk) => { socket.write(chunk); } } });`;
  const companion = { argv: [process.execPath, "-e", script], env: {}, cwd: sandbox };
  return {
    ...cassandra,
    packageMarkers: ["small"],
    packageFolders: [],
    carries: [],
    javaVersions: [],
    files: () => [],
    prepare: () => [asking("preparing", "echo prepared >prepared")],
    companions: () => [{ name: "echo", command: companion, host: "127.0.0.1", port }],
    command: () => shell("cat prepared; while [ ! -e stop ]; do sleep 0.05; done"),
    probes: () => [
      { type: "tcp", host: "127.0.0.1", port, sendHex: "0102", bytes: 2, timeoutMs: 2_000 },
      { type: "command", command: shell("cat prepared"), timeoutMs: 2_000 },
    ],
    health: (answers, serving) => ({ phase: "serving", detail: `${JSON.stringify(answers)} ${serving}` }),
    drain: () => undefined,
    admin: ({ operation, args }) => {
      if (operation === "leave") return [asking("leaving", "touch stop; false", { endsNode: true })];
      if (operation === "wait") return [asking("waiting", "sleep 1000")];
      const second = asking("repeating", "");
      return [
        asking("saying", `echo ${args["word"]}`),
        {
          ...second,
          question: (found) => ({
            type: "command",
            command: shell(`echo again ${JSON.stringify(found)}`),
            timeoutMs: 5_000,
          }),
        },
      ];
    },
  };
}

function launch(taskId: string, data: unknown): void {
  const bytes = new TextEncoder().encode(JSON.stringify(data));
  run.tell({ type: "launch", task: { name: taskId, taskId, agentId: "", data: bytes, killGraceMs: 0, raw: bytes } });
}

function launchAdmin(taskId: string, operation: string, args: Readonly<Record<string, string>> = {}): void {
  launch(taskId, { schema: 1, node: "f-c-1", operation, args, members: [] });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const untilMs = Date.now() + DEADLINE_MS;
  while (!holds()) {
    if (Date.now() > untilMs) throw new Error(`Waited in vain until ${what}; the executor said:\n${said.join("\n")}`);
    await Bun.sleep(10);
  }
}

/** States and messages of a task so far. */
function of(taskId: string): readonly string[] {
  return updates.filter((one) => one.taskId === taskId).map(({ state, message }) => `${state} ${message}`);
}

async function ended(taskId: string): Promise<readonly string[]> {
  await until(`${taskId} has ended`, () => of(taskId).some((one) => /^TASK_(?:FINISHED|FAILED|KILLED)/.test(one)));
  return of(taskId);
}

function task(): NodeTask {
  const ports = { storage: 1, native: 2, jmx: 3, jolokia: 4, api: freePort() };
  return {
    schema: 1,
    framework: "f",
    cluster: "c",
    node: "f-c-1",
    database: "cassandra",
    version: "5.0.4",
    generation: 1,
    expectData: false,
    hostname: "127.0.0.1",
    datacenter: "dc1",
    rack: "r",
    cpus: 1,
    memMb: 512,
    ports,
    seeds: [],
    volume: "data",
    env: {},
    settings: {},
    graceMs: 5_000,
    token: "secret-of-16-letters",
  };
}

beforeEach(async () => {
  sandbox = await mkdtemp(join(tmpdir(), "ringmaster-run-"));
  port = freePort();
  updates = [];
  said = [];
  await mkdir(join(sandbox, "data"));
  await mkdir(join(sandbox, "package"));
  await writeFile(join(sandbox, "package/small"), "");
  run = startRun({
    workplace: { sandbox, packages: sandbox, say: (text) => said.push(text) },
    find: () => small(),
    timings: { probeStartingMs: 100, probeServingMs: 200 },
    send: (update) => {
      updates.push(update);
      queueMicrotask(() => run.tell({ type: "acknowledged", taskId: update.taskId, uuid: update.uuid }));
    },
  });
  run.tell({ type: "subscribed", agentId: "", hostname: "127.0.0.1", frameworkName: "f" });
  launch("f-c-1.1.server", task());
  await until("the node serves", () => of("f-c-1.1.server").some((one) => one.startsWith("TASK_RUNNING")));
}, 2 * DEADLINE_MS);

afterEach(async () => {
  run.tell({ type: "interrupted" });
  run.tell({ type: "interrupted" });
  await run.done;
  await rm(sandbox, { recursive: true, force: true });
}, DEADLINE_MS);

test("a node is prepared, gets its companion, serves, and is stopped with it", async () => {
  expect(of("f-c-1.1.server")).toEqual([
    "TASK_STARTING Preparing volume and files",
    "TASK_STARTING preparing",
    "TASK_STARTING The process starts",
    'TASK_RUNNING [{"status":0,"text":"0102"},{"status":0,"text":"prepared\\n"}] false',
  ]);
  run.tell({ type: "kill", taskId: "f-c-1.1.server" });
  expect(await run.done).toBe(0);
  expect(of("f-c-1.1.server").at(-1)).toStartWith("TASK_KILLED Killed; the process ended");
  expect((await readdir(join(sandbox, "logs"))).sort()).toEqual(["console.log", "echo.log"]);
  expect(await readFile(join(sandbox, "logs/console.log"), "utf8")).toBe("prepared\n");
  expect(await readFile(join(sandbox, "logs/echo.log"), "utf8")).toBe("bye\n");
});

test("a companion that is killed comes back, and the database lives on", async () => {
  const pid = Number(/^Process (\d+) of companion "echo" started$/m.exec(said.join("\n"))?.[1]);
  process.kill(pid, "SIGKILL");
  const up = (): number =>
    said.filter((one) => one === `Companion "echo" takes connections at 127.0.0.1:${port}`).length;
  await until("it takes connections again", () => up() === 2);
  expect(said).toContain('Companion "echo" ended by SIGKILL');
  expect(run.state().phase.type).toBe("serving");
});

test("admin tasks are done one after the other, each question with what was found before; a killed one ends its command", async () => {
  launchAdmin("a1", "wait");
  launchAdmin("a2", "say", { word: "hello" });
  await until("the first asks", () => of("a1").length === 2);
  run.tell({ type: "kill", taskId: "a1" });
  expect(await ended("a1")).toEqual([
    "TASK_STARTING Accepted",
    "TASK_RUNNING waiting",
    "TASK_KILLED Killed while waiting; what the database has begun may go on",
  ]);
  expect(await ended("a2")).toEqual([
    'TASK_STARTING Waits for "wait" to end',
    "TASK_RUNNING saying",
    'TASK_FINISHED again hello\n"again hello"',
  ]);
});

test("a node that leaves its ring ends well when its process ends", async () => {
  launchAdmin("a1", "leave");
  expect(await run.done).toBe(0);
  expect(updates.slice(-2).map(({ taskId, state }) => `${taskId} ${state}`)).toEqual([
    "a1 TASK_FINISHED",
    "f-c-1.1.server TASK_FINISHED",
  ]);
});
