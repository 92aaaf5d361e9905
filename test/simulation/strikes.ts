// What strikes now and then: machines, processes, masters and sessions that fail, and come back.
import type { Agent } from "./agent.ts";
import type { ExecutorProcess } from "./executor.ts";
import type { World } from "./world.ts";

/** Lets something fail. */
export function strike(world: World): void {
  const { faults, timeline, master } = world;
  const kind = faults.strike();
  if (kind === undefined) return;
  const chance = faults.stream(kind);
  const agent = chance.pick(world.agents);
  if (agent === undefined) return;
  const scheduler = world.schedulers.find(({ state }) => state !== undefined);
  switch (kind) {
    case "stream breaks":
      return scheduler?.breakStream();
    case "offers rescinded":
      return master.rescind();
    case "agent restarts":
      return agent.running ? agent.restart(chance.between(500, 60_000)) : undefined;
    case "host reboots":
      return agent.running ? agent.reboot(chance.between(20_000, 300_000)) : undefined;
    case "partition":
    case "long partition": {
      if (!agent.reachable) return;
      agent.cut();
      timeline.at(kind === "partition" ? chance.between(1000, 70_000) : chance.between(80_000, 1_200_000), () =>
        agent.heal(),
      );
      return;
    }
    case "agent gone":
      if (!mayLoseData(world, agent)) return;
      master.markGone(agent);
      agent.reimage(chance.between(10_000, 120_000));
      return;
    case "host re-imaged":
      if (agent.running && mayLoseData(world, agent)) agent.reimage(chance.between(10_000, 120_000));
      return;
    case "volume emptied":
      if (mayLoseData(world, agent)) emptyVolumes(world, agent);
      return;
    case "executor killed":
      return executors(world).length === 0 ? undefined : chance.pick(executors(world))?.end("by SIGKILL");
    case "database killed":
      return chance.pick(executors(world))?.database?.exit("by SIGKILL");
    case "database hangs": {
      const database = chance.pick(executors(world))?.database;
      if (database === undefined) return;
      timeline.say(`database ${database.task.node}: hangs`);
      database.hangs = true;
      return;
    }
    case "executor hangs": {
      const executor = chance.pick(executors(world));
      // While one hangs nobody knows how its node is; of a second one no scheduler could know that it must be spared.
      if (executor === undefined || executors(world).some(({ hangs }) => hangs)) return;
      timeline.say(`executor of ${executor.database?.task.node ?? "nothing yet"}: hangs`);
      executor.hang();
      return chance.hit(0.5) ? timeline.at(chance.between(1000, 1_800_000), () => executor.wake()) : undefined;
    }
    case "master fails over":
    case "master forgets": {
      if (!master.up) return;
      master.failOver(kind === "master forgets");
      for (const each of world.schedulers)
        if (each.stream !== undefined) timeline.at(chance.between(10, 3000), () => each.breakStream());
      return;
    }
    case "session expires":
      return world.store.expire();
    case "scheduler killed":
      return scheduler?.die("killed");
    case "orphan appears":
      return agent.reachable ? agent.plantOrphan() : undefined;
  }
}

function executors(world: World): readonly ExecutorProcess[] {
  return world.agents.flatMap(({ containers }) =>
    [...containers.values()].flatMap(({ process }) => (process?.alive === true ? [process] : [])),
  );
}

/** Data is only taken from a ring that is whole otherwise: no product keeps what all copies have lost. */
function mayLoseData(world: World, agent: Agent): boolean {
  const volumes = new Set(agent.volumes.values());
  return [...world.rings.values()].every((ring) => {
    const isHit = [...ring.members.values()].some((volume) => volumes.has(volume));
    return !isHit || [...ring.members.keys()].every((node) => ring.serving(node) !== undefined);
  });
}

/** The disk under the volumes is replaced while the host is down; the agent remembers its reservations. */
function emptyVolumes(world: World, agent: Agent): void {
  if (!agent.running) return;
  world.timeline.say(`${agent.hostname}: comes back with empty volumes`);
  agent.reboot(30_000);
  for (const volume of agent.volumes.values()) {
    world.rings.get(volume.cluster ?? "")?.harmed(volume);
    volume.marker = undefined;
    volume.hasFiles = false;
    volume.data = new Map();
  }
}
