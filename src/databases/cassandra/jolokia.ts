// Questions to a running Cassandra over the Jolokia agent (JMX as JSON over HTTP), and what the answers mean.
import type { Json } from "../../std/json.ts";
import type { Answer, Place, Question, Read, RenderedFile } from "../database.ts";
import type { Health, NodeTask } from "../node.ts";

/** The agent's jar, as the binary carries it. */
export const JOLOKIA_JAR = "jolokia-agent-jvm.jar";
/** Its configuration, in the sandbox. */
export const JOLOKIA_FILE = "conf/jolokia.properties";

const USER = "ringmaster";
const STORAGE = "org.apache.cassandra.db:type=StorageService";
const FAILURES = "org.apache.cassandra.net:type=FailureDetector";

const PROBE_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 10_000;
/** A drain flushes all memtables; it took 4 to 7 s where it was measured. */
const DRAIN_TIMEOUT_MS = 60_000;

/**
 * Where the agent listens. JMX can do anything to a node, so it is for this machine alone: the loopback address, or the
 * node's own when that is one (several "agents" of one machine, told apart by it).
 */
function hostOf(place: Place): string {
  return place.address.startsWith("127.") ? place.address : "127.0.0.1";
}

/** The file has the password, so that no list of processes shows it. */
export function jolokiaFile(task: NodeTask, place: Place): RenderedFile {
  const lines = [
    `host=${hostOf(place)}`,
    `port=${task.ports["jolokia"]}`,
    `user=${USER}`,
    `password=${task.token}`,
    "discoveryEnabled=false",
    "executor=fixed",
    "threadNr=3",
  ];
  return { path: JOLOKIA_FILE, content: `${lines.join("\n")}\n`, mode: 0o600 };
}

function ask(task: NodeTask, place: Place, body: Json, timeoutMs: number): Question {
  return {
    type: "http",
    method: "POST",
    // Without the last slash the agent answers a redirect that drops the body.
    url: `http://${hostOf(place)}:${task.ports["jolokia"]}/jolokia/`,
    headers: { authorization: `Basic ${btoa(`${USER}:${task.token}`)}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    timeoutMs,
  };
}

export function probeQuestion(task: NodeTask, place: Place): Question {
  const attribute = ["OperationMode", "NativeTransportRunning", "GossipRunning"];
  return ask(task, place, [{ type: "read", mbean: STORAGE, attribute }], PROBE_TIMEOUT_MS);
}

export function drainQuestion(task: NodeTask, place: Place): Question {
  return ask(task, place, [{ type: "exec", mbean: STORAGE, operation: "drain", arguments: [] }], DRAIN_TIMEOUT_MS);
}

/** Modes in which a node serves as soon as its native transport is up; a failed decommission leaves a full member. */
const MEMBER_MODES: readonly string[] = ["NORMAL", "MOVING", "DECOMMISSION_FAILED"];
const FAILED_MODES: readonly string[] = ["DRAINING", "DRAINED", "JOINING_FAILED"];

/** Serving is: a full member of the ring, and clients can connect. */
export function healthOf(answer: Answer): Health {
  if ("error" in answer) return { phase: "starting", detail: answer.error };
  if (answer.status !== 200) return { phase: "starting", detail: `Jolokia answered with HTTP status ${answer.status}` };
  const storage = values(answer.text)[0];
  // The agent answers before Cassandra has registered its MBeans.
  if (storage === undefined) return { phase: "starting", detail: "Cassandra has not registered its MBeans yet" };
  const mode = String(storage["OperationMode"]);
  const native = storage["NativeTransportRunning"] === true;
  const gossip = storage["GossipRunning"] === true;
  const detail = `OperationMode ${mode}, native transport ${native ? "on" : "off"}${gossip ? "" : ", gossip off"}`;
  if (MEMBER_MODES.includes(mode)) return { phase: native && gossip ? "serving" : "starting", detail };
  if (FAILED_MODES.includes(mode)) return { phase: "failing", detail };
  if (mode === "LEAVING") return { phase: "leaving", detail };
  if (mode === "DECOMMISSIONED") return { phase: "left", detail };
  return { phase: "starting", detail };
}

/** The values of a bulk answer, by request; undefined for a request that failed, or when the text is no such answer. */
function values(text: string): readonly (Readonly<Record<string, Json>> | undefined)[] {
  let answers: unknown;
  try {
    answers = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(answers)) return [];
  return answers.map((one: unknown) => {
    if (typeof one !== "object" || one === null || !("value" in one) || !("status" in one) || one.status !== 200)
      return undefined;
    return isRecord(one.value) ? one.value : undefined;
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function cassandraReads(task: NodeTask, place: Place): Readonly<Record<string, Read>> {
  const read = (mbean: string, attribute: readonly string[]): Json => ({ type: "read", mbean, attribute });
  return {
    status: {
      question: ask(
        task,
        place,
        [
          read(STORAGE, [
            "OperationMode",
            "LiveNodesWithPort",
            "UnreachableNodesWithPort",
            "JoiningNodesWithPort",
            "LeavingNodesWithPort",
            "MovingNodesWithPort",
            "EndpointWithPortToHostId",
            "LoadMapWithPort",
            "OwnershipWithPort",
            "TokenToEndpointWithPortMap",
          ]),
          read(FAILURES, ["AllEndpointStatesWithPort"]),
        ],
        READ_TIMEOUT_MS,
      ),
      shape: ringStatus,
    },
    info: {
      question: ask(
        task,
        place,
        [
          read(STORAGE, [
            "ClusterName",
            "OperationMode",
            "LocalHostId",
            "ReleaseVersion",
            "SchemaVersion",
            "LoadString",
            "GossipRunning",
            "NativeTransportRunning",
            "Keyspaces",
          ]),
          read("java.lang:type=Runtime", ["Uptime"]),
          read("java.lang:type=Memory", ["HeapMemoryUsage"]),
        ],
        READ_TIMEOUT_MS,
      ),
      shape: nodeInfo,
    },
  };
}

/** What `nodetool status` prints, as one object for each node: `state` is U or D, then N, L, J or M. */
export function ringStatus(text: string): Json {
  const [storage, failures] = values(text);
  if (storage === undefined) return { error: "Cassandra has not registered its MBeans yet" };
  const places = endpointPlaces(String(failures?.["AllEndpointStatesWithPort"] ?? ""));
  const listed = (name: string): readonly string[] =>
    Array.isArray(storage[name]) ? (storage[name] as readonly Json[]).map(String) : [];
  const mapped = (name: string): Readonly<Record<string, Json>> => (isRecord(storage[name]) ? storage[name] : {});
  const [live, joining, leaving, moving] = ["Live", "Joining", "Leaving", "Moving"].map((one) =>
    listed(`${one}NodesWithPort`),
  );
  const tokens = Map.groupBy(Object.values(mapped("TokenToEndpointWithPortMap")), String);
  const owned = new Map(
    Object.entries(mapped("OwnershipWithPort")).map(([name, part]) => [name.replace(/^.*\//, ""), part]),
  );
  const hosts = mapped("EndpointWithPortToHostId");
  const addresses = new Set([
    ...Object.keys(hosts),
    ...(live ?? []),
    ...listed("UnreachableNodesWithPort"),
    ...(joining ?? []),
  ]);
  return {
    mode: storage["OperationMode"] ?? null,
    nodes: [...addresses].sort().map((address) => ({
      address,
      state: `${live?.includes(address) ? "U" : "D"}${
        leaving?.includes(address) ? "L" : joining?.includes(address) ? "J" : moving?.includes(address) ? "M" : "N"
      }`,
      load: mapped("LoadMapWithPort")[address] ?? null,
      tokens: tokens.get(address)?.length ?? 0,
      owns: owned.get(address) ?? null,
      hostId: hosts[address] ?? null,
      datacenter: places.get(address)?.datacenter ?? null,
      rack: places.get(address)?.rack ?? null,
    })),
  };
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
export function nodeInfo(text: string): Json {
  const [storage, runtime, memory] = values(text);
  if (storage === undefined) return { error: "Cassandra has not registered its MBeans yet" };
  const heap = isRecord(memory?.["HeapMemoryUsage"]) ? memory["HeapMemoryUsage"] : {};
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
