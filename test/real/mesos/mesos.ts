// A real Mesos 1.11.0 for tests, demo and bench: a master and its agents in one process on loopback. README.md beside this
// file says how it differs from a cluster.
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Block, lockPorts } from "./ports.ts";

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 10_000;
/** Where executors record what they hear (test/replay/record.ts). */
const RECORD_DIR = process.env["RINGMASTER_RECORD_DIR"];
/** The end of Mesos' log that an error shows. */
const LOG_CHARACTERS = 3_000;

export type MesosOptions = {
  /** Agents in the master's process. */
  readonly agents: number;
  /** Agents besides, each in a process of its own, so that one can be lost. */
  readonly apart?: number;
  /** More agents, which only a `restart` brings. */
  readonly later?: number;
  /** Of each agent, without ports: those are shared out, since agents on one machine share its loopback. */
  readonly resources?: string;
  /** Every agent offers all ports: a node can then have one that another had elsewhere. */
  readonly samePorts?: true;
  /** Host names of the agents. Default: 127.0.0.1, 127.0.0.2, ... */
  readonly hosts?: readonly string[];
  /** Mesos' own flags as MESOS_<FLAG>, for master and agents. */
  readonly env?: Readonly<Record<string, string>>;
  /** Keeps its state here and leaves it at the end. Default: a new directory that goes away with it. */
  readonly work?: string;
};

/** An agent as the master's /slaves shows it. */
export type Agent = {
  readonly id: string;
  readonly hostname: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly active: boolean;
  /** By role; empty when nothing is reserved. */
  readonly reserved_resources: Readonly<Record<string, unknown>>;
  readonly unreserved_resources: Readonly<Record<string, unknown>>;
  readonly offered_resources: Readonly<Record<string, unknown>>;
  readonly used_resources: Readonly<Record<string, unknown>>;
};

export type Mesos = AsyncDisposable & {
  /** What a framework is given as its masters. */
  readonly url: string;
  readonly port: number;
  /** Directory with the agents' state and their sandboxes. */
  readonly work: string;
  readonly pid: () => number;
  /** Agents in order of their host names. */
  readonly agents: () => Promise<readonly Agent[]>;
  /** Tells the master that the agent's host is gone for good. */
  readonly markGone: (agentId: string) => Promise<void>;
  /** The process of an agent apart, by its host name; undefined while it is killed. */
  readonly agentPid: (host: string) => number | undefined;
  /** kill -9 of an agent apart: what it started lives on. */
  readonly killAgent: (host: string) => Promise<void>;
  /** kill -9 of an agent apart and of all that it started: its machine has lost power. */
  readonly loseAgent: (host: string) => Promise<void>;
  /** The machine of an agent apart stands still until `thawAgent`: its agent and all that it started, whatever listens goes on listening. */
  readonly freezeAgent: (host: string) => Promise<void>;
  readonly thawAgent: (host: string) => Promise<void>;
  /** The agent starts again with all that is on its machine's disk. */
  readonly returnAgent: (host: string) => Promise<void>;
  /** Another machine, with an empty disk and a new agent, in the place of one that is lost for good. */
  readonly renewAgent: (host: string) => Promise<void>;
  /** The processes that agents started and that live. */
  readonly processes: () => Promise<ReadonlySet<number>>;
  /** What master, agents and executors printed. */
  readonly log: () => Promise<string>;
  /** kill -9: the master and the agents in its process are gone at once; executors and agents apart stay. */
  readonly kill: () => Promise<void>;
  /** Starts again after `kill`, on the same port and state. */
  readonly restart: () => Promise<void>;
  /** Ends Mesos and every process that its agents started. */
  readonly stop: () => Promise<void>;
};

/** Starts a Mesos (and builds it first, once) and waits until all agents are there. */
export async function startMesos(options: MesosOptions): Promise<Mesos> {
  const home = await buildMesos();
  const ports = lockPorts();
  const work = resolve(options.work ?? (await mkdtemp(join(tmpdir(), "mesos-"))));
  const log = join(work, "log");
  const url = `http://127.0.0.1:${ports.first}`;
  const lines = agentLines(ports, options);
  let mesos = await start(home, work, ports, options, lines, options.agents);
  const apart = new Map<string, Bun.Subprocess>();

  const kill = async (): Promise<void> => {
    mesos.kill("SIGKILL");
    await mesos.exited;
  };
  const killAgent = async (host: string): Promise<void> => {
    apart.get(host)?.kill("SIGKILL");
    await apart.get(host)?.exited;
    apart.delete(host);
  };
  const loseAgent = async (host: string): Promise<void> => {
    await killAgent(host);
    await killThoseIn(join(work, host));
  };
  const machine = async (host: string, signal: "SIGSTOP" | "SIGCONT"): Promise<void> => {
    apart.get(host)?.kill(signal);
    for (const pid of await processesIn(join(work, host))) sendTo(pid, signal);
  };
  const returnAgent = async (host: string): Promise<void> => {
    const index = lines.findIndex((line) => line.startsWith(`${host}|`));
    const line = lines[index];
    if (line === undefined || apart.has(host)) throw new Error(`Cannot start an agent apart on "${host}"`);
    const env = {
      LIBPROCESS_PORT: String(ports.first + 1 + index),
      LOCAL_AGENTS: line,
      LOCAL_MASTER: `master@127.0.0.1:${ports.first}`,
      MESOS_NUM_SLAVES: "1",
    };
    apart.set(host, await launch(home, join(work, host), log, { ...env, ...options.env }));
  };
  const renewAgent = async (host: string): Promise<void> => {
    await loseAgent(host);
    await rm(join(work, host), { recursive: true, force: true });
    await returnAgent(host);
  };
  const stop = async (): Promise<void> => {
    await kill();
    for (const host of [...apart.keys()]) await loseAgent(host);
    await killThoseIn(work);
    ports.release();
    if (options.work === undefined) await rm(work, { recursive: true, force: true });
  };
  const restart = async (): Promise<void> => {
    mesos = await start(home, work, ports, options, lines, options.agents + (options.later ?? 0));
  };
  for (const line of lines.slice(lines.length - (options.apart ?? 0))) await returnAgent(line.split("|", 1)[0] ?? "");
  try {
    await allThere(mesos, ports.first, options.agents + (options.apart ?? 0));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    port: ports.first,
    work,
    pid: () => mesos.pid,
    agents: () => readAgents(url),
    markGone: (agentId) => markGone(url, agentId),
    agentPid: (host) => apart.get(host)?.pid,
    killAgent,
    loseAgent,
    freezeAgent: (host) => machine(host, "SIGSTOP"),
    thawAgent: (host) => machine(host, "SIGCONT"),
    returnAgent,
    renewAgent,
    processes: () => processesIn(work),
    log: () => readFile(log, "utf8"),
    kill,
    restart,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The directory with the built Mesos. The script builds once, also when several ask at the same time. */
export async function buildMesos(): Promise<string> {
  const home = resolve(import.meta.dir, "../../../build/mesos");
  const setup = Bun.spawn([join(import.meta.dir, "setup"), home], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [status, errors] = await Promise.all([setup.exited, new Response(setup.stderr).text()]);
  if (status !== 0) throw new Error(`Cannot build Mesos into "${home}": ${errors.trim()}`);
  return home;
}

/** An agent each, as LOCAL_AGENTS has them: those in the master's process come first, those apart last. */
function agentLines(ports: Block, options: MesosOptions): readonly string[] {
  const most = options.agents + (options.later ?? 0) + (options.apart ?? 0);
  const hosts = options.hosts ?? Array.from({ length: most }, (_, i) => `127.0.0.${i + 1}`);
  const resources = options.resources ?? "cpus:2;mem:4096;disk:8192";
  const shares = ports.shares(options.samePorts === true ? 1 : most);
  return hosts.map(
    (host, i) =>
      `${host}|${resources};ports:[${shares[i % shares.length]}]|rack:rack-${i + 1};zone:zone-${(i % 3) + 1}`,
  );
}

/** Runs mesos-local with its state in `directory`. */
async function launch(
  home: string,
  directory: string,
  logFile: string,
  env: Readonly<Record<string, string>>,
): Promise<Bun.Subprocess> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:MESOS|LIBPROCESS|LOCAL)_/u.test(name));
  await mkdir(directory, { recursive: true });
  const log = openSync(logFile, "a");
  const launched = Bun.spawn([join(home, "mesos-local")], {
    cwd: directory,
    env: {
      ...Object.fromEntries(inherited),
      LIBPROCESS_IP: "127.0.0.1",
      LOCAL_PARENT: String(process.pid),
      MESOS_WORK_DIR: join(directory, "state"),
      MESOS_RUNTIME_DIR: join(directory, "run"),
      MESOS_LAUNCHER_DIR: join(home, "libexec"),
      MESOS_LAUNCHER: "posix",
      MESOS_ISOLATION: "posix/cpu,posix/mem,filesystem/posix",
      // The agent hands nothing of its own environment on.
      ...(RECORD_DIR === undefined
        ? {}
        : { MESOS_EXECUTOR_ENVIRONMENT_VARIABLES: JSON.stringify({ RINGMASTER_RECORD_DIR: RECORD_DIR }) }),
      ...env,
    },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  return launched;
}

async function start(
  home: string,
  work: string,
  ports: Block,
  options: MesosOptions,
  agents: readonly string[],
  count: number,
): Promise<Bun.Subprocess> {
  const mesos = await launch(home, work, join(work, "log"), {
    LIBPROCESS_PORT: String(ports.first),
    LOCAL_AGENTS: agents.join("\n"),
    MESOS_NUM_SLAVES: String(count),
    ...options.env,
  });
  try {
    await allThere(mesos, ports.first, count);
    return mesos;
  } catch (error) {
    mesos.kill("SIGKILL");
    await mesos.exited;
    throw new Error(
      `Cannot start a Mesos: ${String(error)}\n${(await readFile(join(work, "log"), "utf8")).slice(-LOG_CHARACTERS)}`,
      { cause: error },
    );
  }
}

async function allThere(mesos: Bun.Subprocess, port: number, wanted: number): Promise<void> {
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  // Fewer than none: the master does not answer yet.
  for (let found = -1; found < wanted;) {
    if (mesos.exitCode !== null || mesos.signalCode !== null) throw new Error("its process ended");
    if (performance.now() > deadlineMs)
      throw new Error(`found ${Math.max(0, found)} agents after ${START_DEADLINE_MS} ms, wanted ${wanted}`);
    await Bun.sleep(50);
    found = await readAgents(`http://127.0.0.1:${port}`).then(
      (agents) => agents.filter((agent) => agent.active).length,
      () => -1,
    );
  }
}

async function readAgents(url: string): Promise<readonly Agent[]> {
  const response = await fetch(`${url}/master/slaves`);
  if (!response.ok) throw new Error(`Cannot read the agents of "${url}": ${response.status} ${await response.text()}`);
  const { slaves } = (await response.json()) as { readonly slaves: readonly Agent[] };
  return slaves.toSorted((a, b) => a.hostname.localeCompare(b.hostname));
}

async function markGone(url: string, agentId: string): Promise<void> {
  const response = await fetch(`${url}/master/api/v1`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "MARK_AGENT_GONE", mark_agent_gone: { agent_id: { value: agentId } } }),
  });
  if (!response.ok) throw new Error(`Cannot mark agent "${agentId}" gone: ${response.status} ${await response.text()}`);
}

/** Kills the processes that work below the directory, and their descendants wherever they work. */
async function killThoseIn(directory: string): Promise<void> {
  const deadlineMs = performance.now() + STOP_DEADLINE_MS;
  for (let left = await processesIn(directory); left.size > 0; left = await processesIn(directory)) {
    if (performance.now() > deadlineMs)
      throw new Error(`Cannot end processes ${[...left].join(", ")} of the Mesos in "${directory}"`);
    for (const pid of left) sendTo(pid, "SIGKILL");
    await Bun.sleep(20);
  }
}

/** A signal to a process that may have ended by itself meanwhile. */
export function sendTo(pid: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ESRCH") throw error;
  }
}

async function processesIn(directory: string): Promise<ReadonlySet<number>> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const found = new Set<number>();
  const children = new Map<number, number[]>();
  for (const pid of pids) {
    try {
      const [cwd, stat] = await Promise.all([readlink(`/proc/${pid}/cwd`), readFile(`/proc/${pid}/stat`, "utf8")]);
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), pid]);
      if (cwd.startsWith(`${directory}/`)) found.add(pid);
    } catch {
      // It ended while we looked, or it is a zombie.
    }
  }
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child);
  return found;
}

if (import.meta.main) {
  await using mesos = await startMesos({ agents: 3 });
  console.log(
    `A Mesos with three agents is at ${mesos.url}, its state and sandboxes in ${mesos.work}. Ctrl-C ends it.`,
  );
  const stop = Promise.withResolvers<void>();
  process.once("SIGINT", stop.resolve).once("SIGTERM", stop.resolve);
  await stop.promise;
}
