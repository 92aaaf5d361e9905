// How a node gets onto an agent: its reservation, its volume, its executor and task, as operations of one ACCEPT.
import type { ClusterSpec } from "../databases/cluster.ts";
import type { Database } from "../databases/database.ts";
import type { NodeTask } from "../databases/node.ts";
import { createVolume, destroyVolumes, launch, reserve, unreserve, type Operation } from "../mesos/operations.ts";
import {
  isReserved,
  lowestPorts,
  subtractRanges,
  take,
  withoutVolume,
  type Labels,
  type Range,
  type Resource,
} from "../mesos/resources.ts";
import type { ExecutorInfo, TaskInfo, Uri } from "../mesos/task.ts";
import { assert } from "../std/assert.ts";
import type { AgentOffer, Need } from "./feasible.ts";
import { databaseOf, memberOf, membersOf } from "./members.ts";
import { rackOn } from "./rank.ts";
import { releaseId } from "./release.ts";
import {
  frameworkIds,
  type ClusterState,
  type Footprint,
  type FrameworkRecord,
  type LeftoverRecord,
  type NodeRecord,
  type Place,
  type State,
} from "./state.ts";

/** What our executor takes besides the database. */
const EXECUTOR = { cpus: 0.1, memMb: 128 };

/** What admin tasks (repair, cleanup, …) may take later, reserved with the node so that they never wait for room. */
export const ADMIN = { cpus: 0.1, memMb: 32 };

/** Where the volume is mounted in the sandbox. */
const VOLUME_PATH = "data";

/** How long a database may take to drain and stop. */
const GRACE_MS = 120_000;

/** How the id of a node's own task ends; before that it is the executor's. */
const SERVER = ".server";

/** The id of the node's own task on an executor. */
export function serverTaskOf(executorId: string): string {
  return `${executorId}${SERVER}`;
}

/** The executor of a node's own task; undefined: it is an admin task, which shares its node's. */
export function executorOfServer(taskId: string): string | undefined {
  return taskId.endsWith(SERVER) ? taskId.slice(0, -SERVER.length) : undefined;
}

export const FRAMEWORK_LABEL = "ringmaster.framework";
export const RESERVATION_LABEL = "ringmaster.reservation";

/** Labels that tell a reservation from all others, those of other frameworks of our role included. */
function ownerLabels(frameworkId: string, reservation: string): Labels {
  return { [FRAMEWORK_LABEL]: frameworkId, [RESERVATION_LABEL]: reservation };
}

/** The id of the reservation of ours that a resource is in; undefined: it is not ours. */
export function reservationOf(resource: Resource, framework: FrameworkRecord): string | undefined {
  const labels = resource.reservations.at(-1)?.labels;
  const owner = labels?.[FRAMEWORK_LABEL];
  return owner !== undefined && frameworkIds(framework).includes(owner) ? labels?.[RESERVATION_LABEL] : undefined;
}

/** What a new node of a cluster needs of an agent. `replaces`: the node whose place it takes. */
export function needOf(spec: ClusterSpec, database: Database, replaces: NodeRecord["replaces"]): Need {
  const names = [...database.ports, "api"];
  const [clusterPort = ""] = names;
  const kept = database.keepsPort ? /:(\d+)$/.exec(replaces?.at ?? "")?.[1] : undefined;
  const fixedPorts = kept === undefined ? spec.ports : { ...spec.ports, [clusterPort]: Number(kept) };
  return {
    cpus: thousandth(spec.resources.cpus + EXECUTOR.cpus + ADMIN.cpus),
    memMb: spec.resources.memMb + EXECUTOR.memMb + ADMIN.memMb,
    diskMb: spec.resources.diskMb,
    fixedPorts,
    morePorts: names.filter((name) => fixedPorts[name] === undefined).length,
  };
}

/** 0.1 + 0.2 as Mesos adds it. */
function thousandth(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export type Launch = { readonly node: NodeRecord; readonly operations: readonly Operation[] };

/**
 * RESERVE, CREATE and LAUNCH of a node that has no place yet. The agent must be feasible for it. `usedPorts`: what other nodes
 * of ours have.
 */
export function placeNode(
  state: State,
  cluster: ClusterState,
  node: NodeRecord,
  agent: AgentOffer,
  usedPorts: ReadonlySet<number>,
  nowMs: number,
): Launch {
  const frameworkId = knownFrameworkId(state);
  const { spec } = cluster.record;
  const need = needOf(spec, databaseOf(cluster), node.replaces);
  const reservation = `${node.id}.${state.nextLaunch}`;
  const footprint: Footprint = {
    cpus: need.cpus,
    memMb: need.memMb,
    diskMb: need.diskMb,
    ports: choosePorts(cluster, need.fixedPorts, agent.free.ports, usedPorts),
  };
  const place: Place = {
    agentId: agent.agentId,
    hostname: agent.hostname,
    reservation,
    volume: reservation,
    footprint,
    fields: agent.fields,
  };
  const resources = agent.offers.flatMap((offer) => offer.resources);
  const cut = take(resources, "unreserved", { ...footprint, ports: Object.values(footprint.ports) });
  assert(cut !== undefined, () => `agent "${agent.hostname}" was feasible for node "${node.id}" and cannot be cut`);
  const reserving = reserve(cut.taken, {
    role: state.settings.role,
    ...(state.settings.principal === undefined ? {} : { principal: state.settings.principal }),
    labels: { ...ownerLabels(frameworkId, reservation), "ringmaster.cluster": spec.name, "ringmaster.node": node.id },
  });
  const disk = reserving.resources.find((resource) => resource.name === "disk");
  assert(disk !== undefined, () => `the reservation of node "${node.id}" has no disk`);
  const creating = createVolume(disk, {
    id: place.volume,
    containerPath: VOLUME_PATH,
    ...(state.settings.principal === undefined ? {} : { principal: state.settings.principal }),
  });
  const held = reserving.resources.map((resource) => (resource === disk ? creating.volume : resource));
  const placed: NodeRecord = { ...node, place, rack: node.rack ?? rackOn(spec, agent.fields) };
  const started = startOn(state, cluster, placed, place, held, nowMs);
  return { node: started.node, operations: [reserving.operation, creating.operation, ...started.operations] };
}

/**
 * LAUNCH of a node on the reservation and volume it has. Undefined when the offer does not hold all of them (yet): Mesos gives
 * the parts of an ended executor back one by one.
 */
export function relaunchNode(
  state: State,
  cluster: ClusterState,
  node: NodeRecord,
  agent: AgentOffer,
  nowMs: number,
): Launch | undefined {
  const { place } = node;
  if (place === undefined || place.agentId !== agent.agentId) return undefined;
  const { held, owner } = ownResources(state, place, agent);
  return isWhole(place, held, owner) ? startOn(state, cluster, node, place, held, nowMs) : undefined;
}

/** DESTROY and UNRESERVE of what no node keeps. Undefined when the offer has not all of it. */
export function releaseLeftover(
  state: State,
  leftover: LeftoverRecord,
  agent: AgentOffer,
  nowMs: number,
): readonly Operation[] | undefined {
  const { held, owner } = ownResources(state, leftover.place, agent);
  if (!isWhole(leftover.place, held, owner)) return undefined;
  const volumes = held.filter((resource) => resource.volume !== undefined);
  if (leftover.bare === true && volumes.length > 0) return undefined;
  const id = state.operationFeedback ? releaseId(leftover, nowMs) : undefined;
  return [
    ...(volumes.length === 0 ? [] : [destroyVolumes(volumes, owner)]),
    unreserve(held.map(withoutVolume), owner, id),
  ];
}

/** What an offer has of a place's reservation, and the labels that tell it. */
export function ownResources(
  state: State,
  place: Place,
  agent: AgentOffer,
): { readonly held: readonly Resource[]; readonly owner: Labels } {
  const ours = agent.offers
    .flatMap((offer) => offer.resources)
    .filter((resource) => reservationOf(resource, state.framework) === place.reservation);
  const owner = ownerOf(state, place, ours);
  return { held: ours.filter((resource) => isReserved(resource, owner)), owner };
}

/** The labels that what is held of a reservation carries: with the framework's id at the time when it was made. */
function ownerOf(state: State, place: Place, held: readonly Resource[]): Labels {
  const maker = held[0]?.reservations.at(-1)?.labels[FRAMEWORK_LABEL];
  return ownerLabels(maker ?? knownFrameworkId(state), place.reservation);
}

/** Whether everything of the reservation is there; its disk as the volume or, before its CREATE or after its DESTROY, as plain disk. */
function isWhole(place: Place, held: readonly Resource[], owner: Labels): boolean {
  const { cpus, memMb, diskMb, ports } = place.footprint;
  const amount = { cpus, memMb, diskMb, ports: Object.values(ports) };
  return take(held.map(withoutVolume), owner, amount) !== undefined;
}

function knownFrameworkId(state: State): string {
  const { frameworkId } = state.framework;
  assert(frameworkId !== undefined, () => "an offer came before the framework had an id");
  return frameworkId;
}

/**
 * Ports of a new node by name: those fixed by the cluster, the others from the offer. Ports that no other node of ours has are
 * preferred even across agents, since databases also bind ports on the loopback address, which agents on one machine share.
 */
function choosePorts(
  cluster: ClusterState,
  fixedPorts: Need["fixedPorts"],
  offered: readonly Range[],
  used: ReadonlySet<number>,
): Readonly<Record<string, number>> {
  const names = [...databaseOf(cluster).ports, "api"];
  const open = names.filter((name) => fixedPorts[name] === undefined);
  const fixed = Object.values(fixedPorts).map((port): Range => ({ begin: port, end: port }));
  const left = subtractRanges(offered, fixed);
  const unused = lowestPorts(left, open.length, used);
  const chosen = unused.length === open.length ? unused : lowestPorts(left, open.length);
  const entries = names.map((name) => [name, fixedPorts[name] ?? chosen[open.indexOf(name)]] as const);
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, number] => entry[1] !== undefined));
}

/** The LAUNCH of a node on resources that it holds, and the node as it is once that is sent. */
function startOn(
  state: State,
  cluster: ClusterState,
  node: NodeRecord,
  place: Place,
  held: readonly Resource[],
  nowMs: number,
): Launch {
  const { spec } = cluster.record;
  const frameworkId = knownFrameworkId(state);
  const owner = ownerOf(state, place, held);
  const executorId = `${node.id}.${state.nextLaunch}`;
  const taskId = serverTaskOf(executorId);
  const forTask = take(held, owner, { ...spec.resources, diskMb: 0, ports: [] });
  const forExecutor = take(forTask?.rest ?? [], owner, {
    ...EXECUTOR,
    diskMb: 0,
    ports: Object.values(place.footprint.ports),
  });
  const volumes = held.filter((resource) => resource.volume?.id === place.volume);
  assert(
    forTask !== undefined && forExecutor !== undefined,
    () => `the reservation of node "${node.id}" is smaller than its task`,
  );
  assert(
    volumes.length === 1,
    () => `node "${node.id}" needs its volume "${place.volume}", the offer has ${volumes.length} of that id`,
  );
  // The volume belongs to the executor: Mesos then offers it again only when the whole container is gone, never while a
  // database process could still write to it.
  const executor = executorInfo(state, cluster, node, executorId, frameworkId, [...forExecutor.taken, ...volumes]);
  const task: TaskInfo = {
    name: node.id,
    taskId,
    agentId: place.agentId,
    resources: forTask.taken,
    executor,
    data: new TextEncoder().encode(JSON.stringify(nodeTask(state, cluster, node, place))),
    labels: { "ringmaster.cluster": spec.name, "ringmaster.node": node.id },
    killGraceMs: GRACE_MS,
    discovery: { name: node.id, ports: place.footprint.ports },
  };
  const { drainUntilMs: _before, ...fresh } = node;
  const launched: NodeRecord = {
    ...fresh,
    phase: "launching",
    unheard: true,
    sinceMs: nowMs,
    healthy: false,
    task: { taskId, executor, repeats: true },
    config: cluster.record.config,
  };
  return { node: launched, operations: [launch([task])] };
}

function executorInfo(
  state: State,
  cluster: ClusterState,
  node: NodeRecord,
  executorId: string,
  frameworkId: string,
  resources: readonly Resource[],
): ExecutorInfo {
  const { spec } = cluster.record;
  const { artifactUri } = state.settings;
  const isArchive = /\.(?:tar|tgz|tar\.gz|tar\.xz|tar\.bz2|zip)$/.test(artifactUri);
  const artifact: Uri = isArchive
    ? { value: artifactUri, extract: true, cache: true }
    : { value: artifactUri, executable: true, extract: false, cache: true, outputFile: "ringmaster" };
  const packages = [spec.package, ...(spec.jre === undefined ? [] : [spec.jre])];
  return {
    executorId,
    frameworkId,
    name: `ringmaster executor of ${node.id}`,
    source: state.framework.name,
    resources,
    command: {
      uris: [artifact, ...packages.map(({ uri }): Uri => ({ value: uri, extract: true, cache: true }))],
      environment: {},
      value: "exec ./ringmaster executor",
    },
    labels: { "ringmaster.cluster": spec.name, "ringmaster.node": node.id },
    shutdownGraceMs: GRACE_MS,
  };
}

function nodeTask(state: State, cluster: ClusterState, node: NodeRecord, place: Place): NodeTask {
  const { spec } = cluster.record;
  const self = memberOf({ ...node, place });
  const members = membersOf(cluster).map((other) => (other.node === node.id ? self : other));
  return {
    schema: 1,
    framework: state.framework.name,
    cluster: spec.name,
    node: node.id,
    database: spec.database,
    version: spec.version,
    generation: node.generation,
    expectData: node.joined,
    ...(node.begun === true ? { expectMarker: true } : {}),
    hostname: place.hostname,
    datacenter: spec.datacenter,
    rack: self.rack,
    oneRack: spec.rackAttribute === undefined,
    cpus: spec.resources.cpus,
    memMb: spec.resources.memMb,
    ports: place.footprint.ports,
    ...(node.joined || node.replaces?.at === undefined ? {} : { replaces: node.replaces.at }),
    seeds: databaseOf(cluster).seeds(spec, members, self),
    volume: VOLUME_PATH,
    env: spec.env,
    settings: spec.settings,
    graceMs: GRACE_MS,
    token: state.framework.token,
    ...(state.settings.sharedStore === undefined ? {} : { store: state.settings.sharedStore }),
  };
}
