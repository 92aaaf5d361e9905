// How a Cassandra process is doing, and how it is told to hand over before it stops.
import type { Answer, Place, Question } from "../database.ts";
import type { Health, NodeTask } from "../node.ts";
import { askJolokia, execOf, readOf, STORAGE, textOf, values } from "./jolokia.ts";

const PROBE_TIMEOUT_MS = 5_000;
/** A drain flushes all memtables; it took 4 to 7 s where it was measured. */
const DRAIN_TIMEOUT_MS = 60_000;

/** One question tells all: the agent inside the process answers as long as the process lives. */
export function probeQuestions(task: NodeTask, place: Place): readonly Question[] {
  const attribute = ["OperationMode", "NativeTransportRunning", "GossipRunning"];
  return [askJolokia(task, place, [readOf(STORAGE, attribute)], PROBE_TIMEOUT_MS)];
}

export function drainQuestion(task: NodeTask, place: Place): Question {
  return askJolokia(task, place, [execOf(STORAGE, "drain", [])], DRAIN_TIMEOUT_MS);
}

/** Modes in which a node serves as soon as its native transport is up; a failed decommission leaves a full member. */
const MEMBER_MODES: readonly string[] = ["NORMAL", "MOVING", "DECOMMISSION_FAILED"];
const FAILED_MODES: readonly string[] = ["DRAINING", "DRAINED", "JOINING_FAILED"];

/** Serving is: a full member of the ring, and clients can connect. */
export function healthOf([answer = { error: "nothing was asked" }]: readonly Answer[]): Health {
  if ("error" in answer) return { phase: "starting", detail: answer.error };
  if (answer.status !== 200) return { phase: "starting", detail: `Jolokia answered with HTTP status ${answer.status}` };
  const storage = values(answer.text)[0];
  // The agent answers before Cassandra has registered its MBeans.
  if (storage === undefined) return { phase: "starting", detail: "Cassandra has not registered its MBeans yet" };
  const mode = textOf(storage["OperationMode"]);
  const native = storage["NativeTransportRunning"] === true;
  const gossip = storage["GossipRunning"] === true;
  const detail = `OperationMode ${mode}, native transport ${native ? "on" : "off"}${gossip ? "" : ", gossip off"}`;
  if (MEMBER_MODES.includes(mode)) return { phase: native && gossip ? "serving" : "starting", detail };
  if (FAILED_MODES.includes(mode)) return { phase: "failing", detail };
  if (mode === "LEAVING") return { phase: "leaving", detail };
  if (mode === "DECOMMISSIONED") return { phase: "left", detail };
  return { phase: "starting", detail };
}
