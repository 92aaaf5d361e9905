// The Jolokia agent inside a Cassandra process: JMX as JSON over HTTP.
import type { Json } from "../../std/json.ts";
import type { Answer, Place, Question, RenderedFile } from "../database.ts";
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

/** One request of a bulk question. `operation` with the types of its arguments where it has several forms. */
export function execOf(mbean: string, operation: string, args: readonly Json[]): Json {
  return { type: "exec", mbean, operation, arguments: args };
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

/** What became of one request of a bulk question. `of`: the first argument of an operation. */
export type Outcome = { readonly of: string } & ({ readonly value: Json } | { readonly error: string });

/** What became of each request of a bulk question, or why nothing did. */
export function outcomes(answer: Answer): readonly Outcome[] | { readonly error: string } {
  if ("error" in answer) return answer;
  if (answer.status !== 200) return { error: `Jolokia answered with HTTP status ${answer.status}` };
  let read: unknown;
  try {
    read = JSON.parse(answer.text);
  } catch {
    read = undefined;
  }
  if (!Array.isArray(read)) return { error: `Jolokia answered ${JSON.stringify(answer.text.slice(0, 100))}` };
  return read.map((one: unknown): Outcome => {
    const { request, status, value, error } = mapOf(one);
    const of = textOf(listOf(mapOf(request)["arguments"])[0]);
    if (status === 200) return { of, value: value ?? null };
    return { of, error: textOf(error) || `Jolokia status ${JSON.stringify(status ?? null)}` };
  });
}

/** The values of a bulk answer, by request; undefined for a request that failed, or when the text is no such answer. */
export function values(text: string): readonly (Readonly<Record<string, Json>> | undefined)[] {
  const read = outcomes({ status: 200, text });
  return "error" in read ? [] : read.map((one) => ("value" in one && isRecord(one.value) ? one.value : undefined));
}

export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function isRecord(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function listOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

export function mapOf(value: unknown): Readonly<Record<string, Json>> {
  return isRecord(value) ? value : {};
}
