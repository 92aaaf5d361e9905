// How a Riak process is doing, as its probes tell.
import type { Answer, Place, Question } from "../database.ts";
import type { Health, NodeTask } from "../node.ts";
import { adminCommand, nodeName, riakCommand } from "./release.ts";
import { lineOf } from "./settings.ts";

const PROBE_TIMEOUT_MS = 5_000;
/** The command never returns while the service is not up; where it is, it took 2 s. */
const WAIT_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 60_000;

/** Ping and its answer: a frame of one byte, code 1 and 2. */
const PB_PING = "0000000101";
const PB_PONG = "0000000102";

/**
 * `/ping` answers long before Riak KV does, so a node that has not served is asked for its service, and for a key that nobody
 * has: a "not found" comes from a quorum of the ring's partitions, so writes are accepted.
 */
export function probes(task: NodeTask, place: Place, serving: boolean): readonly Question[] {
  const get = (path: string): Question => ({
    type: "http",
    url: `http://${place.address}:${task.ports["http"]}${path}`,
    method: "GET",
    timeoutMs: PROBE_TIMEOUT_MS,
  });
  const ping = get("/ping");
  const pb: Question = {
    type: "tcp",
    host: place.address,
    port: task.ports["pb"] ?? 0,
    sendHex: PB_PING,
    bytes: PB_PONG.length / 2,
    timeoutMs: PROBE_TIMEOUT_MS,
  };
  if (serving) return [ping, pb];
  const wait = adminCommand(task, place, ["wait-for-service", "riak_kv", nodeName(task, place)]);
  const key = get("/buckets/ringmaster/keys/ready");
  return [ping, { type: "command", command: wait, timeoutMs: WAIT_TIMEOUT_MS }, key, pb];
}

type Check = { readonly name: string; readonly isGood: (status: number, text: string) => boolean };

const PING: Check = { name: "HTTP ping", isGood: (status) => status === 200 };
const SERVICE: Check = { name: "service riak_kv", isGood: (_status, text) => /^riak_kv is up$/m.test(text) };
const KEY: Check = {
  name: "a read of a key",
  // Before its resources are there, the web server says 404 to everything, with a page of HTML.
  isGood: (status, text) => status === 200 || status === 300 || (status === 404 && text.trim() === "not found"),
};
const PB: Check = { name: "protocol buffers ping", isGood: (_status, text) => text === PB_PONG };

/** Serving is: Riak KV is up and answers clients on both ports. */
export function healthOf(answers: readonly Answer[], serving: boolean): Health {
  const checks = serving ? [PING, PB] : [PING, SERVICE, KEY, PB];
  const waiting = serving ? "failing" : "starting";
  for (const [index, { name, isGood }] of checks.entries()) {
    const answer = answers[index];
    if (answer === undefined) return { phase: waiting, detail: `${name}: not asked yet` };
    if ("error" in answer) return { phase: waiting, detail: `${name}: ${answer.error}` };
    if (!isGood(answer.status, answer.text)) {
      const found = answer.text.trim().split("\n").at(-1)?.slice(0, 120) ?? "";
      return { phase: waiting, detail: `${name}: found ${answer.status === 0 ? "" : `${answer.status} `}"${found}"` };
    }
  }
  return { phase: "serving", detail: "riak_kv is up, HTTP and protocol buffers answer" };
}

/** Erlang stops its applications by itself upon SIGTERM, but that of Riak 2 just dies. */
export function drainQuestion(task: NodeTask, place: Place): Question | undefined {
  if (lineOf(task.version) !== "2") return undefined;
  return { type: "command", command: riakCommand(task, place, ["stop"]), timeoutMs: STOP_TIMEOUT_MS };
}
