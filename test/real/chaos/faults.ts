// What goes wrong in a chaos run. A fault of a database or of what carries it is one replica's: the next comes when the cluster is
// whole again. Faults of what steers come at any time, one at a time of each part.
import type { Chance } from "../../simulation/chance.ts";
import { sendTo } from "../mesos/mesos.ts";
import { until, type Scheduler } from "../ringmaster.ts";
import { freezeAgent, freezeMachine, killAgent, loseForGood, loseMachine, strandNode } from "./agents.ts";
import { nothing, type Fault, type Struck } from "./fault.ts";
import { HOSTS, type World } from "./world.ts";

/** Other faults may hold an operator's plan up. */
const RESTART_MS = 240_000;

export const FAULTS: readonly Fault[] = [
  {
    name: "kill a Cassandra",
    parts: ["database"],
    weight: 3,
    strike: (world, chance) => killOne("cassandra", world, chance),
  },
  {
    name: "kill an executor",
    parts: ["database"],
    weight: 3,
    strike: (world, chance) => killOne("executor", world, chance),
  },
  {
    name: "freeze a Cassandra",
    parts: ["database"],
    weight: 2,
    strike: (world, chance) => freezeOne("cassandra", world, chance),
  },
  {
    name: "freeze an executor",
    parts: ["database"],
    weight: 2,
    strike: (world, chance) => freezeOne("executor", world, chance),
  },
  { name: "restart a node", parts: ["database"], weight: 2, strike: restartOne },
  {
    name: "an agent away for long",
    parts: ["database", "agent"],
    needs: ["mesos"],
    weight: 3,
    isLong: true,
    strike: strandNode,
  },
  {
    name: "lose a machine",
    parts: ["database", "agent"],
    needs: ["mesos"],
    weight: 4,
    isLong: true,
    strike: loseMachine,
  },
  {
    name: "freeze a machine",
    parts: ["database", "agent"],
    needs: ["mesos"],
    weight: 4,
    isLong: true,
    strike: freezeMachine,
  },
  {
    name: "lose an agent for good",
    parts: ["database", "agent"],
    needs: ["mesos"],
    weight: 4,
    isLong: true,
    strike: loseForGood,
  },
  { name: "kill an agent", parts: ["agent"], weight: 2, strike: killAgent },
  { name: "freeze an agent", parts: ["agent"], weight: 1, strike: freezeAgent },
  { name: "kill the leader", parts: ["scheduler"], weight: 3, strike: killLeader },
  { name: "freeze the leader", parts: ["scheduler"], weight: 2, strike: freezeLeader },
  { name: "kill the standby", parts: ["scheduler"], weight: 1, strike: killStandby },
  { name: "kill ZooKeeper", parts: ["zookeeper"], weight: 2, strike: killZookeeper },
  { name: "freeze ZooKeeper", parts: ["zookeeper"], weight: 1, strike: freezeZookeeper },
  { name: "kill Mesos", parts: ["mesos"], weight: 1, strike: killMesos },
  { name: "freeze Mesos", parts: ["mesos"], weight: 1, strike: freezeMesos },
  { name: "kill Mesos everywhere", parts: ["mesos", "agent"], weight: 1, strike: killEverywhere },
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
  for (const pid of picked.pids) sendTo(pid, "SIGKILL");
  return { text: `kill -9 of the ${kind} of ${picked.node}`, lastsMs: 0, undo: nothing };
}

async function freezeOne(kind: Kind, world: World, chance: Chance): Promise<Struck | undefined> {
  const picked = await pickOne(kind, world, chance);
  if (picked === undefined) return undefined;
  const lastsMs = chance.between(2_000, 20_000);
  for (const pid of picked.pids) sendTo(pid, "SIGSTOP");
  const undo = async (): Promise<void> => {
    for (const pid of picked.pids) sendTo(pid, "SIGCONT");
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

async function killScheduler(name: string, scheduler: Scheduler, world: World, chance: Chance): Promise<Struck> {
  const lastsMs = chance.between(0, 8_000);
  world.down.add(scheduler);
  await scheduler.kill();
  const undo = (): Promise<void> => world.restart(scheduler);
  return { text: `kill -9 of ${name}, started again after ${lastsMs} ms`, lastsMs, undo };
}

async function killLeader(world: World, chance: Chance): Promise<Struck | undefined> {
  const leader = await world.leader();
  return leader === undefined ? undefined : killScheduler("the leading scheduler", leader, world, chance);
}

async function killStandby(world: World, chance: Chance): Promise<Struck | undefined> {
  const leader = await world.leader();
  const standby = world.schedulers.find((scheduler) => scheduler !== leader);
  return leader === undefined || standby === undefined
    ? undefined
    : killScheduler("the standby", standby, world, chance);
}

function freeze(text: string, pid: number, chance: Chance): Struck {
  const lastsMs = chance.between(1_000, 12_000);
  sendTo(pid, "SIGSTOP");
  const undo = async (): Promise<void> => {
    sendTo(pid, "SIGCONT");
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

async function killMesos({ mesos }: World, chance: Chance): Promise<Struck | undefined> {
  const lastsMs = chance.between(0, 8_000);
  await mesos.kill();
  return { text: `kill -9 of Mesos' master, started again after ${lastsMs} ms`, lastsMs, undo: mesos.restart };
}

async function killEverywhere({ mesos }: World, chance: Chance): Promise<Struck | undefined> {
  const lastsMs = chance.between(0, 8_000);
  await mesos.kill();
  for (const host of HOSTS) await mesos.killAgent(host);
  const undo = async (): Promise<void> => {
    await mesos.restart();
    for (const host of HOSTS) await mesos.returnAgent(host);
  };
  return { text: `kill -9 of Mesos, master and agents, started again after ${lastsMs} ms`, lastsMs, undo };
}

async function freezeMesos({ mesos }: World, chance: Chance): Promise<Struck> {
  await nothing();
  return freeze("Mesos' master", mesos.pid(), chance);
}
