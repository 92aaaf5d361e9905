// The compiled binary under test: a scheduler as a process, and the command line against it.
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { PlanView } from "../../src/databases/api.ts";

export const BINARY = resolve(import.meta.dir, "../../dist/ringmaster");

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 15_000;

export type SchedulerOptions = {
  /** Masters' URL. */
  readonly mesos: string;
  /** Directory for log and state. */
  readonly directory: string;
  /** Default: a SQLite file in `directory`. */
  readonly store?: string;
  readonly flags?: readonly string[];
};

export type Scheduler = AsyncDisposable & {
  readonly url: () => string;
  readonly pid: () => number;
  readonly log: () => Promise<string>;
  /** Runs the command line against this scheduler. */
  readonly cli: (...args: readonly string[]) => Promise<Ran>;
  /** The same with --json, its output read; throws when it fails. */
  readonly json: <T>(...args: readonly string[]) => Promise<T>;
  /** kill -9. */
  readonly kill: () => Promise<void>;
  /** Starts again after `kill` on the same state, on another port. */
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

/** Runs the binary to its end. */
export async function run(...args: readonly string[]): Promise<Ran> {
  const process_ = Bun.spawn([BINARY, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(process_.stdout).text(),
    new Response(process_.stderr).text(),
    process_.exited,
  ]);
  return { code, out, err };
}

/** Starts a scheduler and waits until its API answers. */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  const logFile = join(options.directory, "scheduler.log");
  let running = await launch(options, logFile);
  const kill = async (): Promise<void> => {
    running.process.kill("SIGKILL");
    await running.process.exited;
  };
  const stop = async (): Promise<void> => {
    running.process.kill("SIGTERM");
    const late = setTimeout(() => running.process.kill("SIGKILL"), STOP_DEADLINE_MS);
    await running.process.exited;
    clearTimeout(late);
  };
  const cli = (...args: readonly string[]): Promise<Ran> => run(...args, "--url", running.url);
  return {
    url: () => running.url,
    pid: () => running.process.pid,
    log: () => readFile(logFile, "utf8"),
    cli,
    json: async <T>(...args: readonly string[]): Promise<T> => {
      const { code, out, err } = await cli(...args, "--json");
      if (code !== 0) throw new Error(`ringmaster ${args.join(" ")} ended with ${code}: ${err}`);
      return JSON.parse(out) as T;
    },
    kill,
    restart: async () => {
      running = await launch(options, logFile);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

type Running = { readonly process: Bun.Subprocess; readonly url: string };

async function launch(options: SchedulerOptions, logFile: string): Promise<Running> {
  const store = options.store ?? `sqlite:${join(options.directory, "ringmaster.sqlite")}`;
  const flags = [
    "--mesos",
    options.mesos,
    "--store",
    store,
    "--http",
    "127.0.0.1:0",
    "--artifact-uri",
    `file://${BINARY}`,
    "--log-json",
  ];
  const records = process.env["RINGMASTER_RECORD_DIR"] ?? "";
  if (records !== "") flags.push("--record", join(records, `${basename(options.directory)}.jsonl`));
  const before = await readFile(logFile, "utf8").catch(() => "");
  const log = openSync(logFile, "a");
  const process_ = Bun.spawn([BINARY, "scheduler", ...flags, ...(options.flags ?? [])], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  while (performance.now() < deadlineMs && process_.exitCode === null) {
    const written = (await readFile(logFile, "utf8")).slice(before.length);
    const url = /"api":"([^"]+)"/.exec(written)?.[1];
    if (url !== undefined) return { process: process_, url };
    await Bun.sleep(20);
  }
  process_.kill("SIGKILL");
  await process_.exited;
  throw new Error(`The scheduler did not start: ${(await readFile(logFile, "utf8")).slice(-3000)}`);
}

/** Waits until `check` gives something; fails with what it saw last. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadlineMs) {
    try {
      const found = await check();
      if (found !== undefined && found !== false) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    await Bun.sleep(100);
  }
  throw new Error(`Waited ${timeoutMs} ms in vain until ${what}; last seen: ${String(last)}`);
}

/** The plan once it is done; while it is not, what its first open step waits for. */
export async function planDone(scheduler: Scheduler, id: string, timeoutMs: number): Promise<PlanView> {
  return await until(`plan ${id} is done`, timeoutMs, async () => {
    const plan = await scheduler.json<PlanView>("plan", "show", id);
    if (plan.status === "done") return plan;
    const open = plan.steps.find(({ status }) => status !== "done");
    throw new Error(`${open?.name} ${open?.status}: ${JSON.stringify(open?.waitsFor)}`);
  });
}
