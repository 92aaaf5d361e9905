// What operators read of a Cassandra node through the executor: the ring's status, the node's own figures.
import type { Json } from "../../std/json.ts";
import type { Place, Read } from "../database.ts";
import type { Member, NodeTask } from "../node.ts";
import { askJolokia, listOf, mapOf, readOf, STORAGE, textOf, values } from "./jolokia.ts";

const FAILURES = "org.apache.cassandra.net:type=FailureDetector";
const READ_TIMEOUT_MS = 10_000;

const RING = `OperationMode LiveNodesWithPort UnreachableNodesWithPort JoiningNodesWithPort LeavingNodesWithPort
  MovingNodesWithPort EndpointWithPortToHostId LoadMapWithPort OwnershipWithPort TokenToEndpointWithPortMap`.split(
  /\s+/,
);

const NODE = `ClusterName OperationMode LocalHostId ReleaseVersion SchemaVersion LoadString GossipRunning
  NativeTransportRunning Keyspaces`.split(/\s+/);

const NOT_YET: Json = { error: "Cassandra has not registered its MBeans yet" };

export function cassandraReads(task: NodeTask, place: Place): Readonly<Record<string, Read>> {
  const ring = [readOf(STORAGE, RING), readOf(FAILURES, ["AllEndpointStatesWithPort"])];
  const node = [
    readOf(STORAGE, NODE),
    readOf("java.lang:type=Runtime", ["Uptime"]),
    readOf("java.lang:type=Memory", ["HeapMemoryUsage"]),
  ];
  return {
    status: { question: askJolokia(task, place, ring, READ_TIMEOUT_MS), shape: ringStatus },
    info: { question: askJolokia(task, place, node, READ_TIMEOUT_MS), shape: nodeInfo },
  };
}

/** What `nodetool status` prints, as one object for each node: `state` is U or D, then N, L, J or M. */
function ringStatus(text: string): Json {
  const [storage, failures] = values(text);
  if (storage === undefined) return NOT_YET;
  const list = (name: string): readonly string[] => listOf(storage[name]);
  const [live, joining, leaving, moving] = [
    list("LiveNodesWithPort"),
    list("JoiningNodesWithPort"),
    list("LeavingNodesWithPort"),
    list("MovingNodesWithPort"),
  ];
  const hosts = mapOf(storage["EndpointWithPortToHostId"]);
  const loads = mapOf(storage["LoadMapWithPort"]);
  const tokens = Object.values(mapOf(storage["TokenToEndpointWithPortMap"]));
  const owns = new Map<string, Json>();
  // The addresses in this map alone have a slash, and a host name if there is one, before them.
  for (const [name, part] of Object.entries(mapOf(storage["OwnershipWithPort"])))
    owns.set(name.replace(/^.*\//, ""), part);
  const places = endpointPlaces(textOf(failures?.["AllEndpointStatesWithPort"]));
  const addresses = new Set([...Object.keys(hosts), ...live, ...list("UnreachableNodesWithPort"), ...joining]);
  const going = (address: string): string =>
    leaving.includes(address) ? "L" : joining.includes(address) ? "J" : moving.includes(address) ? "M" : "N";
  const nodes = [...addresses].sort().map((address) => ({
    address,
    state: `${live.includes(address) ? "U" : "D"}${going(address)}`,
    load: loads[address] ?? null,
    tokens: tokens.filter((endpoint) => endpoint === address).length,
    owns: owns.get(address) ?? null,
    hostId: hosts[address] ?? null,
    datacenter: places.get(address)?.datacenter ?? null,
    rack: places.get(address)?.rack ?? null,
  }));
  return { mode: storage["OperationMode"] ?? null, nodes };
}

/** Datacenter and rack by address, out of the failure detector's text: a line for each endpoint, its states indented below. */
function endpointPlaces(text: string): ReadonlyMap<string, { readonly datacenter?: string; readonly rack?: string }> {
  const places = new Map<string, { datacenter?: string; rack?: string }>();
  let place: { datacenter?: string; rack?: string } = {};
  for (const line of text.split("\n")) {
    const address = /^\S*\/(\S+)$/.exec(line)?.[1];
    if (address !== undefined) {
      place = {};
      places.set(address, place);
    }
    const [, name, value] = /^\s+(DC|RACK):\d+:(.*)$/.exec(line) ?? [];
    if (name === "DC" && value !== undefined) place.datacenter = value;
    if (name === "RACK" && value !== undefined) place.rack = value;
  }
  return places;
}

/** What `nodetool info` prints of a node. */
function nodeInfo(text: string): Json {
  const [storage, runtime, memory] = values(text);
  if (storage === undefined) return NOT_YET;
  const heap = mapOf(memory?.["HeapMemoryUsage"]);
  return {
    cluster: storage["ClusterName"] ?? null,
    mode: storage["OperationMode"] ?? null,
    hostId: storage["LocalHostId"] ?? null,
    version: storage["ReleaseVersion"] ?? null,
    schema: storage["SchemaVersion"] ?? null,
    load: storage["LoadString"] ?? null,
    keyspaces: storage["Keyspaces"] ?? null,
    gossip: storage["GossipRunning"] ?? null,
    nativeTransport: storage["NativeTransportRunning"] ?? null,
    uptimeMs: runtime?.["Uptime"] ?? null,
    heapUsedBytes: heap["used"] ?? null,
    heapMaxBytes: heap["max"] ?? null,
  };
}

/** Addresses with storage ports out of a ring's status. */
export function ringNames(status: Json): readonly string[] | undefined {
  const { nodes } = (status ?? {}) as { readonly nodes?: unknown };
  if (!Array.isArray(nodes)) return undefined;
  return nodes.flatMap((node: { readonly address?: unknown }) =>
    typeof node.address === "string" ? [node.address] : [],
  );
}

/** The ring knows addresses, we know host names: where they cannot be compared the storage port has to do. */
export function isNamed(name: string, { hostname, ports }: Member): boolean {
  const at = name.lastIndexOf(":");
  const isAddress = /^\d+\.\d+\.\d+\.\d+$/.test(hostname);
  return Number(name.slice(at + 1)) === ports["storage"] && (!isAddress || name.slice(0, at) === hostname);
}
