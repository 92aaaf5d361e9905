// The Jolokia agent inside a Cassandra process: JMX as JSON over HTTP.
import type { Json } from "../../std/json.ts";
import type { Place, Question, RenderedFile } from "../database.ts";
import type { NodeTask } from "../node.ts";

/** The agent's jar, as the binary carries it. */
export const JOLOKIA_JAR = "jolokia-agent-jvm.jar";
/** Its configuration, in the sandbox. */
export const JOLOKIA_FILE = "conf/jolokia.properties";

const USER = "ringmaster";
/** The MBean that knows the ring. */
export const STORAGE = "org.apache.cassandra.db:type=StorageService";

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

/** One request of a bulk question. */
export function readOf(mbean: string, attribute: readonly string[]): Json {
  return { type: "read", mbean, attribute };
}

/** A bulk question: several requests in one. */
export function askJolokia(task: NodeTask, place: Place, requests: readonly Json[], timeoutMs: number): Question {
  return {
    type: "http",
    method: "POST",
    // Without the last slash the agent answers 404.
    url: `http://${hostOf(place)}:${task.ports["jolokia"]}/jolokia/`,
    headers: { authorization: `Basic ${btoa(`${USER}:${task.token}`)}`, "content-type": "application/json" },
    body: JSON.stringify(requests),
    timeoutMs,
  };
}

/** The values of a bulk answer, by request; undefined for a request that failed, or when the text is no such answer. */
export function values(text: string): readonly (Readonly<Record<string, Json>> | undefined)[] {
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

export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

export function isRecord(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
