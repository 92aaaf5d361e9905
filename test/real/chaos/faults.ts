// What goes wrong in a chaos run. A fault of a database or of what carries it is one replica's: the next comes when the cluster is
// whole again. Faults of what steers come at any time, one at a time of each part.
import type { Chance } from "../../simulation/chance.ts";
import { until, type Scheduler } from "../ringmaster.ts";
import { send, type World } from "./world.ts";
import type { Writer } from "./writer.ts";

/** A fault that has struck. `undo` is called after `lastsMs`. */
export type Struck = { readonly text: string; readonly lastsMs: number; readonly undo: () => Promise<void> };

/** A part of what runs here; never two faults of one part at once. */
export type Part = "database" | "scheduler" | "zookeeper" | "mesos";

export type Fault = {
  readonly name: string;
  readonly parts: readonly Part[];
  readonly weight: number;
  /** At most once, in the second half of a run that is long enough for it. */
  readonly isLate?: true;
  /** Undefined: there is nothing to strike now. */
  readonly strike: (world: World, chance: Chance, writer: Writer) => Promise<Struck | undefined>;
};

/** Other faults may hold an operator's plan up. */
const RESTART_MS = 240_000;
const REPLACED_MS = 360_000;

export const nothing = async (): Promise<void> => undefined;

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
  { name: "lose an agent", parts: ["database", "mesos"], weight: 20, isLate: true, strike: loseAgent },
  { name: "kill the leader", parts: ["scheduler"], weight: 3, strike: killLeader },
  { name: "freeze the leader", parts: ["scheduler"], weight: 2, strike: freezeLeader },
  { name: "kill the standby", parts: ["scheduler"], weight: 1, strike: killStandby },
  { name: "kill ZooKeeper", parts: ["zookeeper"], weight: 2, strike: killZookeeper },
  { name: "freeze ZooKeeper", parts: ["zookeeper"], weight: 1, strike: freezeZookeeper },
  { name: "kill Mesos", parts: ["mesos"], weight: 1, strike: killMesos },
  { name: "freeze Mesos", parts: ["mesos"], weight: 1, strike: freezeMesos },
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

/**
 * An agent is gone for good, with the volume on it. The agents here share a process that does not come back without it, so Mesos
 * is not killed any more after that.
 */
async function loseAgent(world: World, chance: Chance, writer: Writer): Promise<Struck | undefined> {
  const node = chance.pick(await world.nodes().catch(() => []));
  const agentId = node?.agentId;
  if (node === undefined || agentId === undefined || node.phase !== "running") return undefined;
  const struck = await writer.withEveryReplica(async () => {
    await world.mesos.markGone(agentId);
    world.isAgentLost = true;
    return true;
  });
  if (struck === undefined) return undefined;
  const undo = async (): Promise<void> => {
    await until(`another node takes the place of ${node.id}`, REPLACED_MS, async () => {
      const nodes = await world.nodes();
      return (
        nodes.length === 3 && nodes.every(({ id, phase, healthy }) => id !== node.id && phase === "running" && healthy)
      );
    });
    await writer.use(await world.endpoints());
  };
  return { text: `the agent of ${node.id} is gone for good`, lastsMs: 0, undo };
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

async function killMesos({ mesos, isAgentLost }: World, chance: Chance): Promise<Struck | undefined> {
  if (isAgentLost) return undefined;
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
