// What does not fit together: the store's records, what Mesos has, and what the databases say of their rings. Looks only.
import type { AgentSight, ReservationSight, Sight } from "../mesos/sight.ts";
import { databaseOf, memberOf, nodesInOrder } from "./members.ts";
import {
  activePlans,
  frameworkIds,
  nodeOfTask,
  SCHEMA,
  type ClusterState,
  type LeftoverRecord,
  type NodeRecord,
  type State,
} from "./state.ts";
import type { Command, Repair } from "./events.ts";
import { isSilent } from "./silence.ts";
import { FRAMEWORK_LABEL, RESERVATION_LABEL } from "./launch.ts";

/** What was found to compare. */
export type Evidence = {
  readonly nowMs: number;
  readonly state: State;
  /** What the master said, or why it said nothing. */
  readonly mesos: Sight | { readonly error: string };
  /** Names of the ring's members as the cluster's nodes see it, or why none of them said, by cluster. */
  readonly rings: ReadonlyMap<string, { readonly names: readonly string[] } | { readonly error: string }>;
  /** Ids of nodes that the store has an endpoint for. */
  readonly endpoints: readonly string[];
};

export type Finding = {
  /** `<check>:<subject>`: the same thing found again has the same id. */
  readonly id: string;
  readonly severity: "error" | "warning" | "info";
  /** What it is, why it matters, what to do about it. */
  readonly what: string;
  readonly why: string;
  readonly advice: string;
  /** What may be done without any danger to data: in words, and as a command. */
  readonly repair?: { readonly does: string; readonly command: Command };
};

type Check = (evidence: Evidence) => readonly Finding[];

/** Findings that are told; more are worth no reading. */
const FINDINGS_MAX = 500;
/** Launches and releases under way are not there yet, or not gone yet. */
const SETTLED_MS = 60_000;

const CHECKS: readonly Check[] = [
  checkFramework,
  checkTasks,
  checkPlaces,
  checkReservations,
  checkLeftovers,
  checkIdleNodes,
  checkSilentNodes,
  checkConfigurations,
  checkRings,
  checkEndpoints,
];

/** Everything that does not fit, the worst first. */
export function diagnose(evidence: Evidence): readonly Finding[] {
  const rank = { error: 0, warning: 1, info: 2 };
  const found = CHECKS.flatMap((check) => check(evidence));
  return found.sort((a, b) => rank[a.severity] - rank[b.severity] || (a.id < b.id ? -1 : 1)).slice(0, FINDINGS_MAX);
}

function sightOf({ mesos }: Evidence): Sight | undefined {
  return "error" in mesos ? undefined : mesos;
}

function nodesOf(state: State): readonly NodeRecord[] {
  return [...state.clusters.values()].flatMap(nodesInOrder);
}

function checkFramework(evidence: Evidence): readonly Finding[] {
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

function checkTasks(evidence: Evidence): readonly Finding[] {
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
function checkPlaces(evidence: Evidence): readonly Finding[] {
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
function checkReservations(evidence: Evidence): readonly Finding[] {
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
function checkLeftovers(evidence: Evidence): readonly Finding[] {
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

/** Nodes that do not run, and that no plan is at. */
function checkSilentNodes({ state, nowMs }: Evidence): readonly Finding[] {
  return nodesOf(state).flatMap((node): readonly Finding[] => {
    if (!isSilent(state, node, nowMs)) return [];
    return [
      {
        id: `silent:${node.id}`,
        severity: "error",
        what: `The executor of node "${node.id}" says nothing any more`,
        why: "it hangs: nobody watches the database or can operate it; a plan restarts the node while all others serve",
        advice: `where others do not serve either: abort the cluster's plans, ringmaster node stop ${node.id}, then node start`,
      },
    ];
  });
}

function checkIdleNodes({ state }: Evidence): readonly Finding[] {
  return [...state.clusters.values()].flatMap((cluster) => {
    if (cluster.record.goal !== "running" || activePlans(state, cluster.record.spec.name).length > 0) return [];
    return nodesInOrder(cluster).flatMap((node): readonly Finding[] => {
      const isRestful = node.phase === "stopped" && node.expelled !== true;
      if (node.phase === "running" || isRestful || node.phase === "unreachable") return [];
      const about = {
        id: `idle:${node.id}`,
        what: `Node "${node.id}" is ${node.phase}, and no plan brings it back`,
      };
      if (node.phase === "lost") {
        const why = node.lastFailure?.message ?? "its data is gone";
        return [{ ...about, severity: "error", why, advice: `ringmaster node replace ${node.id}` }];
      }
      if (node.expelled === true) {
        const why = "its ring was told to go on without it, so it never starts again";
        const advice = `ringmaster node replace ${node.id}, or ringmaster node remove ${node.id} --force`;
        return [{ ...about, severity: "error", why, advice }];
      }
      const start = { type: "startNode" as const, cluster: node.cluster, node: node.id };
      const why = "its cluster has one replica less";
      const repair = { does: "start it on its own volume", command: start };
      return [{ ...about, severity: "warning", why, advice: `ringmaster node start ${node.id}`, repair }];
    });
  });
}

/** Nodes that run with an older configuration than their cluster's. */
function checkConfigurations({ state }: Evidence): readonly Finding[] {
  return [...state.clusters.values()].flatMap((cluster) => {
    const { spec, config, goal } = cluster.record;
    if (goal !== "running" || activePlans(state, spec.name).length > 0) return [];
    const behind = nodesInOrder(cluster).filter((node) => node.task !== undefined && node.config < config);
    return behind.map((node): Finding => ({
      id: `config:${node.id}`,
      severity: "warning",
      what: `Node "${node.id}" runs with configuration ${node.config}, its cluster has ${config}`,
      why: "the plan that was to restart it was aborted; it takes the change over at its next start, whenever that is",
      advice: `ringmaster node restart ${node.id}`,
      repair: {
        does: "restart it, once all others serve",
        command: { type: "restartNode", cluster: spec.name, node: node.id },
      },
    }));
  });
}

/** Whether the databases' rings have our nodes, and nobody else. */
function checkRings({ state, rings }: Evidence): readonly Finding[] {
  return [...state.clusters.values()].flatMap((cluster): readonly Finding[] => {
    const { spec, goal } = cluster.record;
    const ring = rings.get(spec.name);
    if (ring === undefined || goal !== "running") return [];
    if ("error" in ring) {
      return [
        {
          id: `ring:${spec.name}`,
          severity: "warning",
          what: `No node of cluster "${spec.name}" says who is in its ring: ${ring.error}`,
          why: "whether the ring has all nodes is not known",
          advice: `ringmaster node list ${spec.name}`,
        },
      ];
    }
    // While a plan changes the ring, both differ for good reason.
    return activePlans(state, spec.name).length > 0 ? [] : ringFindings(cluster, ring.names);
  });
}

function ringFindings(cluster: ClusterState, names: readonly string[]): readonly Finding[] {
  const database = databaseOf(cluster);
  const nodes = nodesInOrder(cluster);
  const witness = nodes.find((node) => memberOf(node).state === "serving" && node.joined);
  const strangers = names.filter((name) => !nodes.some((node) => database.isNamed(name, memberOf(node))));
  const missing = nodes.filter(
    (node) => node.phase === "running" && node.joined && !names.some((name) => database.isNamed(name, memberOf(node))),
  );
  return [
    ...strangers.map((name): Finding => ({
      id: `stranger:${cluster.record.spec.name}:${name}`,
      severity: "error",
      what: `The ring of cluster "${cluster.record.spec.name}" has member "${name}", which is no node of it`,
      why: "it owns a part of the data; a dead one keeps every further change of the ring waiting",
      advice: `if it is gone for good: ringmaster node run ${witness?.id ?? "<a node that serves>"} remove-stranger --arg member=${name}`,
    })),
    ...missing.map((node): Finding => ({
      id: `outside:${node.id}`,
      severity: "error",
      what: `Node "${node.id}" runs, and is not in the ring of cluster "${node.cluster}"`,
      why: "it serves its own data beside that of the ring",
      advice: `take it out and add another: ringmaster node remove ${node.id} --force, then cluster add-node`,
    })),
  ];
}

/** Endpoint records of nodes that are none. */
function checkEndpoints({ state, endpoints }: Evidence): readonly Finding[] {
  const known = new Set(nodesOf(state).map(({ id }) => id));
  return endpoints
    .filter((id) => !known.has(id))
    .map((id) => ({
      id: `endpoint:${id}`,
      severity: "warning",
      what: `The store has an endpoint of "${id}", which is no node`,
      why: "directors send clients there",
      advice: "remove the record",
      repair: { does: "remove the record", command: repairing({ type: "forgetEndpoint", node: id }) },
    }));
}

function repairing(repair: Repair): Command {
  return { type: "repair", repair };
}
