// What chaos is made in: a real Mesos of four agents with a process each, a real ZooKeeper, two schedulers and a Cassandra cluster of three nodes.
import { mkdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { ClusterView, EndpointsView, NodeView } from "../../../src/databases/api.ts";
import { cassandraPackage } from "../cassandra/package.ts";
import { SMALL_PROFILE } from "../cassandra/small-profile.ts";
import { sendTo, startMesos, type Mesos } from "../mesos/mesos.ts";
import { startScheduler, until, type Scheduler } from "../ringmaster.ts";
import { startZookeeper, type Zookeeper } from "../zookeeper.ts";

const CLUSTER = "chaos";
const NODES = 3;
/** Of the agents: one more than nodes. */
export const HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"] as const;
const DEPLOY_MS = 420_000;
const ANSWER_MS = 3_000;
const RESTART_MS = 120_000;

/** After this the master takes an agent that does not answer for unreachable. */
export const UNREACHABLE_MS = 6_000;
const MESOS_ENV = { MESOS_AGENT_PING_TIMEOUT: "2secs", MESOS_MAX_AGENT_PING_TIMEOUTS: "3" };
/** And after so much more the scheduler replaces its node. */
export const PERMANENT_AFTER_MS = 10_000;

/** Processes of one node that agents of ours started. */
export type NodeProcesses = { readonly cassandra: readonly number[]; readonly executor: readonly number[] };

export class World {
  readonly mesos: Mesos;
  readonly zookeeper: Zookeeper;
  readonly schedulers: readonly Scheduler[];
  /** Agents that are gone for good, of which Mesos does not know that: what was reserved there is remembered for ever. */
  silentlyGone = 0;
  /** Schedulers that were killed and not started again yet. */
  readonly down = new Set<Scheduler>();

  private constructor(mesos: Mesos, zookeeper: Zookeeper, schedulers: readonly Scheduler[]) {
    this.mesos = mesos;
    this.zookeeper = zookeeper;
    this.schedulers = schedulers;
  }

  /** Starts everything; logs, sandboxes and volumes lie in `directory`. */
  static async start(directory: string): Promise<World> {
    const begun: { stop: () => Promise<void> }[] = [];
    try {
      const work = join(directory, "mesos");
      const mesos = await startMesos({
        agents: 0,
        apart: HOSTS.length,
        hosts: HOSTS,
        samePorts: true,
        work,
        env: MESOS_ENV,
      });
      begun.push(mesos);
      const zookeeper = await startZookeeper();
      begun.push(zookeeper);
      const schedulers: Scheduler[] = [];
      for (const name of ["a", "b"]) {
        const own = join(directory, `scheduler-${name}`);
        await mkdir(own, { recursive: true });
        const flags = ["--drain", "1", "--permanent-after", String(PERMANENT_AFTER_MS / 1000)];
        const scheduler = await startScheduler({ mesos: mesos.url, directory: own, store: zookeeper.url(), flags });
        begun.push(scheduler);
        schedulers.push(scheduler);
      }
      return new World(mesos, zookeeper, schedulers);
    } catch (error) {
      for (const part of begun.toReversed()) await part.stop();
      throw error;
    }
  }

  /** Ends everything that was started. */
  async stop(): Promise<void> {
    for (const scheduler of this.schedulers) {
      sendTo(scheduler.pid(), "SIGCONT");
      await scheduler.kill();
    }
    await this.mesos.stop();
    await this.zookeeper.stop();
  }

  /** Brings the cluster up; gives where its nodes are. */
  async deploy(): Promise<EndpointsView["nodes"]> {
    const { archive } = await cassandraPackage();
    const body = {
      name: CLUSTER,
      database: "cassandra",
      version: "5.0.4",
      package: `file://${archive}`,
      nodes: NODES,
      resources: { cpus: 0.5, memMb: 768, diskMb: 2048 },
      // All in one rack: a node that takes the place of another has to be in its rack.
      constraints: "hostname:UNIQUE",
      // A replacement sleeps for this time, by default for a minute, to be sure that the old node is dead.
      settings: {
        ...SMALL_PROFILE,
        "jvm.options": [...SMALL_PROFILE["jvm.options"], "-Dcassandra.broadcast_interval_ms=15000"],
      },
    };
    await until("a scheduler takes the cluster", 60_000, async () => {
      const url = `${this.schedulers[0]?.url()}/api/v1/clusters`;
      const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
      if (!response.ok && response.status !== 409) throw new Error(await response.text());
      return true;
    });
    await until("the cluster runs", DEPLOY_MS, async () => (await this.clusterView()).status === "running");
    return this.endpoints();
  }

  async endpoints(): Promise<EndpointsView["nodes"]> {
    return (await this.#ask<EndpointsView>(`clusters/${CLUSTER}/endpoints`)).nodes;
  }

  clusterView(): Promise<ClusterView> {
    return this.#ask<ClusterView>(`clusters/${CLUSTER}`);
  }

  async nodes(): Promise<readonly NodeView[]> {
    return (await this.#ask<{ readonly nodes: readonly NodeView[] }>(`clusters/${CLUSTER}/nodes`)).nodes;
  }

  /** The scheduler that leads; undefined while none does. */
  async leader(): Promise<Scheduler | undefined> {
    const found = await Promise.all(
      this.schedulers.map(async (scheduler) => {
        const health = await get<{ readonly leader: boolean }>(`${scheduler.url()}/health`).catch(() => undefined);
        return health?.leader === true ? scheduler : undefined;
      }),
    );
    return found.find((scheduler) => scheduler !== undefined);
  }

  /** Starts a killed scheduler again, as Marathon would: until it stays, for it ends when it finds no store. */
  async restart(scheduler: Scheduler): Promise<void> {
    this.down.add(scheduler);
    await until("a scheduler starts", RESTART_MS, async () => {
      await scheduler.restart();
      return true;
    });
    this.down.delete(scheduler);
  }

  /** Schedulers that have ended by themselves. */
  ended(): readonly Scheduler[] {
    return this.schedulers.filter((scheduler) => !this.down.has(scheduler) && !isAlive(scheduler.pid()));
  }

  /** Begins an operator's restart of a node. */
  async restartNode(node: string): Promise<void> {
    const leader = await this.leader();
    const response = await fetch(`${leader?.url()}/api/v1/clusters/${CLUSTER}/nodes/${node}/restart`, {
      method: "POST",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  /** The database and executor processes below our own agents, by node id. */
  async processes(): Promise<ReadonlyMap<string, NodeProcesses>> {
    const found = new Map<string, { cassandra: number[]; executor: number[] }>();
    for (const pid of await this.mesos.processes()) {
      const [command, folder] = await Promise.all([
        readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
        readlink(`/proc/${pid}/cwd`).catch(() => ""),
      ]);
      const argv = command.split("\0");
      const id = /\/executors\/(.+?)\.\d+\//.exec(`${folder}/`)?.[1];
      const node = id === undefined ? undefined : (found.get(id) ?? { cassandra: [], executor: [] });
      if (id === undefined || node === undefined) continue;
      found.set(id, node);
      if (argv.some((word) => word.endsWith("CassandraDaemon")) && argv[0]?.endsWith("java") === true)
        node.cassandra.push(pid);
      else if (argv[0]?.endsWith("ringmaster") === true && argv[1] === "executor") node.executor.push(pid);
    }
    return found;
  }

  /** Everything that is not as it was asked for; empty: all is. */
  async wounds(): Promise<readonly string[]> {
    const leader = await this.leader();
    if (leader === undefined) return ["no scheduler leads"];
    const [cluster, nodes, metrics] = await Promise.all([
      get<ClusterView>(`${leader.url()}/api/v1/clusters/${CLUSTER}`),
      get<{ readonly nodes: readonly NodeView[] }>(`${leader.url()}/api/v1/clusters/${CLUSTER}/nodes`),
      fetch(`${leader.url()}/metrics`).then((response) => response.text()),
    ]);
    const wounds = nodes.nodes
      .filter(({ phase, healthy }) => phase !== "running" || !healthy)
      .map(({ id, phase }) => `${id} is ${phase}`);
    const known = new Set(nodes.nodes.map(({ id }) => id));
    if (known.size !== NODES) wounds.push(`there are ${known.size} nodes`);
    for (const [id, { cassandra, executor }] of await this.processes())
      for (const pid of [...cassandra, ...executor])
        if (!known.has(id)) wounds.push(`process ${pid} is of no node ${id}`);
    const leftovers = Number(/^ringmaster_leftover_reservations (\d+)$/m.exec(metrics)?.[1]);
    if (leftovers !== this.silentlyGone) wounds.push(`${leftovers} reservations are to be given back`);
    if (cluster.status !== "running") wounds.push(`the cluster is ${cluster.status}`);
    if (cluster.activePlans.length > 0) wounds.push(`plans ${cluster.activePlans.join(", ")} are at work`);
    if (!metrics.includes("ringmaster_mesos_connected 1")) wounds.push("the leader has no Mesos");
    if (!metrics.includes("ringmaster_unreconciled_tasks 0")) wounds.push("tasks are of unknown state");
    return wounds;
  }

  /** Asks whoever answers, leader or standby. */
  async #ask<T>(path: string): Promise<T> {
    const errors: unknown[] = [];
    for (const scheduler of this.schedulers) {
      try {
        return await get<T>(`${scheduler.url()}/api/v1/${path}`);
      } catch (error) {
        errors.push(error);
      }
    }
    throw new AggregateError(errors, `No scheduler answers ${path}: ${errors.map(String).join("; ")}`);
  }
}

async function get<T>(url: string): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
