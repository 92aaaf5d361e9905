// What of the store's records and of Mesos does not fit together: the framework, tasks, places, reservations.
import type { AgentSight, ReservationSight, Sight } from "../mesos/sight.ts";
import { nodesOf, repairing, SETTLED_MS, type Evidence, type Finding } from "./findings.ts";
import { FRAMEWORK_LABEL, RESERVATION_LABEL } from "./launch.ts";
import { frameworkIds, nodeOfTask, SCHEMA, type LeftoverRecord, type NodeRecord, type State } from "./state.ts";

/** Whether the framework is there, and alone of its name. */
export function checkFramework(evidence: Evidence): readonly Finding[] {
  const { state, mesos } = evidence;
  const { framework } = state;
  if (framework.removed !== undefined) {
    return [
      {
        id: "framework:removed",
        severity: "error",
        what: `Mesos has removed framework "${framework.frameworkId}"`,
        why: "Mesos has ended all its tasks, and starts none; volumes and reservations are kept",
        advice: "start it again with: ringmaster framework register",
      },
    ];
  }
  if ("error" in mesos) {
    return [
      {
        id: "mesos:unseen",
        severity: "warning",
        what: `The Mesos master could not be looked at: ${mesos.error}`,
        why: "tasks, reservations and volumes were compared with nothing",
        advice: "see that the master's operator API answers GET_AGENTS, GET_TASKS and GET_FRAMEWORKS of our principal",
      },
    ];
  }
  const twins = mesos.frameworks.filter(({ id, name }) => name === framework.name && id !== framework.frameworkId);
  return twins.map(({ id }) => ({
    id: `framework:${id}`,
    severity: "warning",
    ...(framework.formerIds?.includes(id) === true ? FORMER : OTHER),
    what: `Mesos knows another framework "${framework.name}": "${id}"`,
  }));
}

/** A master that comes to lead after a removal knows nothing of it: agents that were away bring the framework back. */
const FORMER = {
  why: "it is a former id of ours, that Mesos removed and knows again: its tasks keep their volumes, on which nodes of ours wait to start",
  advice: "tear it down in Mesos once more: POST frameworkId=… to /master/teardown; volumes stay",
};
const OTHER = {
  why: "it may be an earlier one of ours on another store, whose nodes nobody looks after",
  advice: "find its scheduler by its web UI's address; tear it down in Mesos only when nothing of its nodes is needed",
};

/** Tasks that no record knows, and nodes whose tasks Mesos does not know. */
export function checkTasks(evidence: Evidence): readonly Finding[] {
  const { state, nowMs } = evidence;
  const sight = sightOf(evidence);
  if (sight === undefined) return [];
  const steps = [...state.plans.values()].flatMap((plan) => plan.steps);
  const known = new Set([...nodesOf(state), ...steps].flatMap(({ task }) => task?.taskId ?? []));
  const there = new Set(sight.tasks.map(({ id }) => id));
  const orphans = sight.tasks.filter(
    ({ id, frameworkId }) => frameworkId === state.framework.frameworkId && !known.has(id),
  );
  const missing = nodesOf(state).filter(
    ({ task, sinceMs }) => task !== undefined && !there.has(task.taskId) && nowMs >= sinceMs + SETTLED_MS,
  );
  return [
    ...orphans
      .filter(({ id }) => !state.kills.has(id))
      .map(({ id, agentId, state: taskState }): Finding => ({
        id: `task:${id}`,
        severity: "warning",
        what: `Task "${id}" (${taskState}) runs on agent "${agentId}" for us, and no record knows it`,
        why: "the store may be older than the task, which then serves data that nobody looks after",
        advice: `restore the store that knows node "${nodeOfTask(id) ?? id}"; kill the task in Mesos only when its data is not needed`,
      })),
    ...missing.map((node): Finding => ({
      id: `stale-task:${node.id}`,
      severity: "warning",
      what: `Node "${node.id}" is ${node.phase} with task "${node.task?.taskId}", which Mesos does not know`,
      why: "the node counts as alive and is not started again",
      advice: "ask Mesos for the task; it then says that it is lost, and the node is brought back",
      repair: { does: "ask Mesos for the state of every task", command: repairing({ type: "reconcile" }) },
    })),
  ];
}

/** Whether every place is where Mesos has it. */
export function checkPlaces(evidence: Evidence): readonly Finding[] {
  const { state, nowMs } = evidence;
  const sight = sightOf(evidence);
  if (sight === undefined) return [];
  const agents = new Map(sight.agents.map((agent) => [agent.id, agent]));
  return nodesOf(state).flatMap((node): readonly Finding[] => {
    const { place } = node;
    if (place === undefined || node.phase === "releasing" || nowMs < node.sinceMs + SETTLED_MS) return [];
    const agent = agents.get(place.agentId);
    if (agent === undefined) return [agentGone(node, place.hostname)];
    const held = agent.reservations.find((reservation) => reservationId(state, reservation) === place.reservation);
    if (held?.volumes.includes(place.volume) === true) return drained(node, agent);
    if (node.unheard === true) return [];
    return [
      {
        id: `volume:${node.id}`,
        severity: "error",
        what: `Agent "${agent.hostname}" has no ${held === undefined ? "reservation" : "volume"} "${place.volume}" of node "${node.id}" any more`,
        why: "its data is gone, or out of our reach; it cannot start there again",
        advice: `put a new node in its place: ringmaster node replace ${node.id}`,
      },
    ];
  });
}

function agentGone(node: NodeRecord, hostname: string): Finding {
  return {
    id: `agent:${node.id}`,
    severity: node.phase === "lost" ? "error" : "warning",
    what: `Agent "${hostname}" of node "${node.id}" is not registered with Mesos`,
    why: "the node and its data are out of reach until the agent is back",
    advice: `bring the agent back, or put a new node in its place: ringmaster node replace ${node.id}`,
  };
}

function drained(node: NodeRecord, agent: AgentSight): readonly Finding[] {
  if (agent.active || node.phase === "running") return [];
  const how = agent.draining ?? "deactivated";
  return [
    {
      id: `drained:${node.id}`,
      severity: "info",
      what: `Agent "${agent.hostname}" of node "${node.id}" is ${how}`,
      why: "Mesos offers nothing of it, so that the node waits on its volume",
      advice: "reactivate the agent (REACTIVATE_AGENT) when its maintenance is over",
    },
  ];
}

/** The id of the reservation, if it is one of ours. */
function reservationId(state: State, { labels }: ReservationSight): string | undefined {
  const owner = labels[FRAMEWORK_LABEL];
  return owner !== undefined && frameworkIds(state.framework).includes(owner) ? labels[RESERVATION_LABEL] : undefined;
}

/** Reservations with our label that nobody keeps. */
export function checkReservations(evidence: Evidence): readonly Finding[] {
  const { state } = evidence;
  const sight = sightOf(evidence);
  if (sight === undefined) return [];
  const kept = new Set([...nodesOf(state).flatMap(({ place }) => place?.reservation ?? []), ...state.leftovers.keys()]);
  const living = new Set(sight.frameworks.map(({ id }) => id));
  return sight.agents.flatMap((agent) =>
    agent.reservations.flatMap((held): readonly Finding[] => {
      const owner = held.labels[FRAMEWORK_LABEL];
      const id = held.labels[RESERVATION_LABEL];
      if (owner === undefined || id === undefined) return [];
      if (reservationId(state, held) !== undefined)
        return kept.has(id) ? [] : [orphan(evidence.nowMs, agent, held, id)];
      return living.has(owner) ? [] : [foreign(agent, held, owner, id)];
    }),
  );
}

function orphan(nowMs: number, agent: AgentSight, held: ReservationSight, id: string): Finding {
  const node = held.labels["ringmaster.node"] ?? id;
  const about = {
    id: `reservation:${id}`,
    severity: "warning" as const,
    what: `Reservation "${id}" on agent "${agent.hostname}" (${contents(held)}) is ours, and no record knows it`,
  };
  if (held.volumes.length > 0) {
    return {
      ...about,
      why: "its volume may have data of a node that the store has forgotten, as after a restored backup",
      advice: `restore the store that knows node "${node}"; else destroy the volume and unreserve by the master's operator API`,
    };
  }
  const ports = held.ports.flatMap(({ begin, end }) =>
    Array.from({ length: Math.min(end - begin + 1, 1000) }, (_, index) => begin + index),
  );
  const { cpus, memMb, diskMb } = held;
  const leftover: LeftoverRecord = {
    schema: SCHEMA,
    node,
    cluster: held.labels["ringmaster.cluster"] ?? "",
    sinceMs: nowMs,
    certain: true,
    bare: true,
    place: {
      agentId: agent.id,
      hostname: agent.hostname,
      reservation: id,
      volume: id,
      footprint: { cpus, memMb, diskMb, ports: Object.fromEntries(ports.map((port) => [String(port), port])) },
      fields: {},
    },
  };
  return {
    ...about,
    why: "nobody can use what it holds; it has no volume, so that no data is in it",
    advice: "give it back",
    repair: { does: "unreserve it as soon as its agent offers it", command: repairing({ type: "giveBack", leftover }) },
  };
}

function foreign(agent: AgentSight, held: ReservationSight, owner: string, id: string): Finding {
  return {
    id: `foreign:${id}@${agent.id}`,
    severity: "warning",
    what: `Reservation "${id}" on agent "${agent.hostname}" (${contents(held)}) has our label and framework "${owner}", which Mesos does not run`,
    why: "it is that of a Ringmaster whose store is not this one: its nodes' data may be in it",
    advice: "start the scheduler of that store and uninstall it there, or unreserve by the master's operator API",
  };
}

function contents({ cpus, memMb, diskMb, volumes }: ReservationSight): string {
  const volume = volumes.length === 0 ? "no volume" : `volume "${volumes.join('", "')}"`;
  return `${cpus} cpus, ${memMb} MB, ${diskMb} MB of disk, ${volume}`;
}

/** Leftovers that are not there any more. */
export function checkLeftovers(evidence: Evidence): readonly Finding[] {
  const { state, nowMs } = evidence;
  const sight = sightOf(evidence);
  if (sight === undefined) return [];
  const agents = new Map(sight.agents.map((agent) => [agent.id, agent]));
  return [...state.leftovers.values()].flatMap((leftover): readonly Finding[] => {
    const { place, node, sinceMs, operation } = leftover;
    const agent = agents.get(place.agentId);
    const isUnderWay = nowMs < Math.max(sinceMs, operation?.sentMs ?? 0) + SETTLED_MS;
    const isThere = agent?.reservations.some((held) => reservationId(state, held) === place.reservation);
    if (isUnderWay || isThere === true) return [];
    const forget = repairing({ type: "forgetLeftover", reservation: place.reservation });
    const about = { id: `leftover:${place.reservation}`, severity: "info" as const };
    return agent === undefined
      ? [
          {
            ...about,
            what: `Reservation "${place.reservation}" of former node "${node}" waits for agent "${place.hostname}", which Mesos does not know`,
            why: "it is given back when the agent comes back; until then it is looked for",
            advice: "forget it if the agent is gone for good; should it come back, its reservation is shown here",
            repair: { does: "forget the record; nothing on the agent is touched", command: forget },
          },
        ]
      : [
          {
            ...about,
            what: `Reservation "${place.reservation}" of former node "${node}" is to be given back, and agent "${place.hostname}" does not have it`,
            why: "it waits for something that is done, and offers are asked for in vain",
            advice: "forget the record",
            repair: { does: "forget the record; nothing on the agent is touched", command: forget },
          },
        ];
  });
}

function sightOf({ mesos }: Evidence): Sight | undefined {
  return "error" in mesos ? undefined : mesos;
}
