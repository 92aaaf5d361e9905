// What goes wrong with agents and their machines: away for a while, with or without what they started, and gone for good.
import type { Chance } from "../../simulation/chance.ts";
import { sendTo, type Mesos } from "../mesos/mesos.ts";
import { until } from "../ringmaster.ts";
import type { Struck } from "./fault.ts";
import { HOSTS, PERMANENT_AFTER_MS, UNREACHABLE_MS, type World } from "./world.ts";
import type { Writer } from "./writer.ts";

/** Other faults may hold a replacement up. */
const REPLACED_MS = 360_000;
const MISSED_MS = 30_000;
/** For so short a time that nobody's place is taken. */
const SHORTLY_MS = 8_000;

type Victim = { readonly node: string; readonly host: string; readonly agentId: string };

/** How something on a machine goes away, and comes back. */
type Leave = {
  readonly leave: (host: string) => Promise<void>;
  readonly comeBack: (host: string) => Promise<void>;
};

/** The agent's process, and what it started lives on. */
function agentOf(mesos: Mesos, isFrozen: boolean): Leave {
  if (!isFrozen) return { leave: mesos.killAgent, comeBack: mesos.returnAgent };
  const signal = async (host: string, name: "SIGSTOP" | "SIGCONT"): Promise<void> => {
    const pid = mesos.agentPid(host);
    if (pid === undefined) throw new Error(`Cannot send ${name} to the agent of ${host}: it has no process`);
    sendTo(pid, name);
    await Promise.resolve();
  };
  return { leave: (host) => signal(host, "SIGSTOP"), comeBack: (host) => signal(host, "SIGCONT") };
}

async function pickVictim(world: World, chance: Chance): Promise<Victim | undefined> {
  const node = chance.pick(await world.nodes().catch(() => []));
  if (node?.agentId === undefined || node.hostname === undefined || node.phase !== "running") return undefined;
  // One that a new master has not seen yet it misses only after ten minutes.
  const agents = await world.mesos.agents().catch(() => []);
  if (!agents.some(({ id, active }) => id === node.agentId && active)) return undefined;
  return { node: node.id, host: node.hostname, agentId: node.agentId };
}

/** Until the master takes the agent for unreachable: before that it must not be killed. */
async function missed({ mesos }: World, host: string): Promise<void> {
  await until(`Mesos misses the agent of ${host}`, MISSED_MS, async () =>
    (await mesos.agents()).every(({ hostname }) => hostname !== host),
  );
}

/** Until a node that was out of sight is there again, or another has its place and nothing of it is left. */
async function settled({ node, host }: Victim, world: World, writer: Writer): Promise<void> {
  await until(`${node} of ${host} is back, or another has taken its place`, REPLACED_MS, async () => {
    const wounds = await world.wounds();
    if (wounds.length > 0) throw new Error(wounds.join(", "));
    return true;
  });
  await writer.use(await world.endpoints());
}

/**
 * Takes away something of a node's machine, once all that is on its volume is on every other replica too: for what is lost of it, and
 * for what a replacement does not stream because the replica that it streams from missed it.
 */
async function takeAway(
  { leave, comeBack }: Leave,
  what: string,
  lastsMs: number,
  { world, chance, writer }: { readonly world: World; readonly chance: Chance; readonly writer: Writer },
): Promise<Struck | undefined> {
  const victim = await pickVictim(world, chance);
  if (victim === undefined) return undefined;
  const isTaken = await writer.withEveryReplica(async () => {
    await leave(victim.host);
    return true;
  });
  if (isTaken !== true) return undefined;
  if (lastsMs > UNREACHABLE_MS) await missed(world, victim.host);
  const undo = async (): Promise<void> => {
    await comeBack(victim.host);
    await settled(victim, world, writer);
  };
  return { text: `${what.replace("NODE", victim.node)} for ${lastsMs} ms`, lastsMs, undo };
}

/** Too short for a replacement, or until one is due, at work or done. */
function awayMs(chance: Chance): number {
  return chance.hit(0.3) ? chance.between(1_000, UNREACHABLE_MS) : chance.between(PERMANENT_AFTER_MS - 3_000, 50_000);
}

/** The agent is away for longer than a node is waited for, and the node lives: its ring does not give its place away. */
export async function strandNode(world: World, chance: Chance, writer: Writer): Promise<Struck | undefined> {
  const isFrozen = chance.hit(0.5);
  const lastsMs = chance.between(PERMANENT_AFTER_MS, 30_000);
  const how = isFrozen ? "stands still" : "is killed";
  const what = `the agent of NODE ${how}, the node lives on,`;
  return takeAway(agentOf(world.mesos, isFrozen), what, lastsMs, { world, chance, writer });
}

/** A machine without power, which comes back with its disk. */
export async function loseMachine(world: World, chance: Chance, writer: Writer): Promise<Struck | undefined> {
  const leave = { leave: world.mesos.loseAgent, comeBack: world.mesos.returnAgent };
  return takeAway(leave, "the machine of NODE loses power", awayMs(chance), { world, chance, writer });
}

/** As a virtual machine that is paused: the node's processes wake up later and know nothing of it. */
export async function freezeMachine(world: World, chance: Chance, writer: Writer): Promise<Struck | undefined> {
  const leave = { leave: world.mesos.freezeAgent, comeBack: world.mesos.thawAgent };
  return takeAway(leave, "the machine of NODE stands still", awayMs(chance), { world, chance, writer });
}

/**
 * A machine is gone for good, with the volume on it; Mesos' operators say so, or nobody does. Once another node has taken the place of
 * its node, a new machine comes in its place.
 */
export async function loseForGood(world: World, chance: Chance, writer: Writer): Promise<Struck | undefined> {
  const { mesos } = world;
  const victim = await pickVictim(world, chance);
  const isSaid = chance.hit(0.6);
  if (victim === undefined) return undefined;
  const isTaken = await writer.withEveryReplica(async () => {
    if (isSaid) await mesos.markGone(victim.agentId);
    else world.silentlyGone += 1;
    await mesos.loseAgent(victim.host);
    return true;
  });
  if (isTaken !== true) return undefined;
  if (!isSaid) await missed(world, victim.host);
  const undo = async (): Promise<void> => {
    await until(`another node takes the place of ${victim.node}`, REPLACED_MS, async () =>
      (await world.nodes()).every(({ id }) => id !== victim.node),
    );
    await mesos.renewAgent(victim.host);
    await settled(victim, world, writer);
  };
  const said = isSaid ? "and Mesos is told so" : "and nobody says so";
  return { text: `the machine of ${victim.node} is gone for good, ${said}`, lastsMs: 0, undo };
}

export async function killAgent(world: World, chance: Chance): Promise<Struck> {
  return shortly(world, chance, false);
}

export async function freezeAgent(world: World, chance: Chance): Promise<Struck> {
  return shortly(world, chance, true);
}

async function shortly({ mesos }: World, chance: Chance, isFrozen: boolean): Promise<Struck> {
  const host = chance.pick(HOSTS) ?? HOSTS[0];
  const lastsMs = chance.between(0, SHORTLY_MS);
  const { leave, comeBack } = agentOf(mesos, isFrozen);
  await leave(host);
  const how = isFrozen ? "stands still" : "is killed, its executors not,";
  return { text: `the agent of ${host} ${how} for ${lastsMs} ms`, lastsMs, undo: () => comeBack(host) };
}
