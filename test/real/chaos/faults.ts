// What goes wrong in a chaos run. A fault of a database or of what carries it is one replica's: the next comes when the cluster is
// whole again. Faults of what steers come at any time, one at a time of each part.
import type { Chance } from "../../simulation/chance.ts";
import { until, type Scheduler } from "../ringmaster.ts";
import { send, type World } from "./world.ts";

/** A fault that has struck. `undo` is called after `lastsMs`. */
export type Struck = { readonly text: string; readonly lastsMs: number; readonly undo: () => Promise<void> };

export type Fault = {
  readonly name: string;
  /** What it strikes: "database", or a part that steers. Never two faults of one part at once. */
  readonly part: "database" | "scheduler" | "zookeeper" | "mesos";
  readonly weight: number;
  /** Undefined: there is nothing to strike now. */
  readonly strike: (world: World, chance: Chance) => Promise<Struck | undefined>;
};

/** Other faults may hold an operator's plan up. */
const RESTART_MS = 240_000;

const nothing = async (): Promise<void> => undefined;

export const FAULTS: readonly Fault[] = [
  { name: "kill a Cassandra", part: "database", weight: 3, strike: (...given) => killOne("cassandra", ...given) },
  { name: "kill an executor", part: "database", weight: 3, strike: (...given) => killOne("executor", ...given) },
  { name: "freeze a Cassandra", part: "database", weight: 2, strike: (...given) => freezeOne("cassandra", ...given) },
  { name: "freeze an executor", part: "database", weight: 2, strike: (...given) => freezeOne("executor", ...given) },
  { name: "restart a node", part: "database", weight: 1, strike: restartOne },
  { name: "kill the leader", part: "scheduler", weight: 3, strike: killLeader },
  { name: "freeze the leader", part: "scheduler", weight: 2, strike: freezeLeader },
  { name: "kill the standby", part: "scheduler", weight: 1, strike: killStandby },
  { name: "kill ZooKeeper", part: "zookeeper", weight: 2, strike: killZookeeper },
  { name: "freeze ZooKeeper", part: "zookeeper", weight: 1, strike: freezeZookeeper },
  { name: "kill Mesos", part: "mesos", weight: 2, strike: killMesos },
  { name: "freeze Mesos", part: "mesos", weight: 1, strike: freezeMesos },
];

type Kind = "cassandra" | "executor";

async function pickOne(
  kind: Kind,
  world: World,
  chance: Chance,
): Promise<{ readonly node: string; readonly pids: readonly number[] } | undefined> {
  const all = [...(await world.processes())].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const found = chance.pick(all);
  if (found === undefined || found[1][kind].length === 0) return undefined;
  return { node: found[0], pids: found[1][kind] };
}

async function killOne(kind: Kind, world: World, chance: Chance): Promise<Struck | undefined> {
  const picked = await pickOne(kind, world, chance);
  if (picked === undefined) return undefined;
  for (const pid of picked.pids) send(pid, "SIGKILL");
  return { text: `kill -9 of the ${kind} of ${picked.node}`, lastsMs: 0, undo: nothing };
}

async function freezeOne(kind: Kind, world: World, chance: Chance): Promise<Struck | undefined> {
  const picked = await pickOne(kind, world, chance);
  if (picked === undefined) return undefined;
  const lastsMs = chance.between(2_000, 20_000);
  for (const pid of picked.pids) send(pid, "SIGSTOP");
  const undo = async (): Promise<void> => {
    for (const pid of picked.pids) send(pid, "SIGCONT");
    await nothing();
  };
  return { text: `the ${kind} of ${picked.node} stands still for ${lastsMs} ms`, lastsMs, undo };
}

async function restartOne(world: World, chance: Chance): Promise<Struck | undefined> {
  const node = chance.pick(await world.nodes().catch(() => []));
  if (node === undefined) return undefined;
  // Refused or lost on the way: then nothing has changed, or the plan is at work.
  const told = await world.restartNode(node.id).then(
    () => "taken",
    (error: unknown) => `not answered: ${String(error).slice(0, 200)}`,
  );
  const undo = async (): Promise<void> => {
    await until("the restart is over", RESTART_MS, async () => (await world.clusterView()).activePlans.length === 0);
  };
  return { text: `an operator restarts ${node.id}: ${told}`, lastsMs: 0, undo };
}

async function killScheduler(name: string, scheduler: Scheduler, chance: Chance): Promise<Struck> {
  const lastsMs = chance.between(0, 8_000);
  await scheduler.kill();
  return { text: `kill -9 of ${name}, started again after ${lastsMs} ms`, lastsMs, undo: scheduler.restart };
}

async function killLeader(world: World, chance: Chance): Promise<Struck | undefined> {
  const leader = await world.leader();
  return leader === undefined ? undefined : killScheduler("the leading scheduler", leader, chance);
}

async function killStandby(world: World, chance: Chance): Promise<Struck | undefined> {
  const leader = await world.leader();
  const standby = world.schedulers.find((scheduler) => scheduler !== leader);
  return leader === undefined || standby === undefined ? undefined : killScheduler("the standby", standby, chance);
}

function freeze(text: string, pid: number, chance: Chance): Struck {
  const lastsMs = chance.between(1_000, 12_000);
  send(pid, "SIGSTOP");
  const undo = async (): Promise<void> => {
    send(pid, "SIGCONT");
    await nothing();
  };
  return { text: `${text} stands still for ${lastsMs} ms`, lastsMs, undo };
}

async function freezeLeader(world: World, chance: Chance): Promise<Struck | undefined> {
  const leader = await world.leader();
  return leader === undefined ? undefined : freeze("the leading scheduler", leader.pid(), chance);
}

async function killZookeeper({ zookeeper }: World, chance: Chance): Promise<Struck> {
  const lastsMs = chance.between(0, 8_000);
  await zookeeper.kill();
  return { text: `kill -9 of ZooKeeper, started again after ${lastsMs} ms`, lastsMs, undo: () => zookeeper.start() };
}

async function freezeZookeeper({ zookeeper }: World, chance: Chance): Promise<Struck> {
  const lastsMs = chance.between(1_000, 8_000);
  await zookeeper.freeze();
  const undo = async (): Promise<void> => {
    zookeeper.thaw();
    await nothing();
  };
  return { text: `ZooKeeper stands still for ${lastsMs} ms`, lastsMs, undo };
}

async function killMesos({ mesos }: World, chance: Chance): Promise<Struck> {
  const lastsMs = chance.between(0, 8_000);
  await mesos.kill();
  return {
    text: `kill -9 of Mesos, master and agents, started again after ${lastsMs} ms`,
    lastsMs,
    undo: mesos.restart,
  };
}

async function freezeMesos({ mesos }: World, chance: Chance): Promise<Struck> {
  await nothing();
  return freeze("Mesos, master and agents,", mesos.pid(), chance);
}
