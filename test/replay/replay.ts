// Recordings of real streams (src/std/recording.ts) once more through the decision cores of scheduler and executor: they have to
// want what they wanted then, and to break no law.
import { findDatabase } from "../../src/databases/all.ts";
import { decide as decideExecutor, initialState as executorStart } from "../../src/executor/decide.ts";
import type { Event as ExecutorEvent, Timings } from "../../src/executor/state.ts";
import { decide } from "../../src/scheduler/decide.ts";
import type { Action, Event } from "../../src/scheduler/events.ts";
import { brokenInvariants } from "../../src/scheduler/invariants.ts";
import { initialState, type Settings, type State } from "../../src/scheduler/state.ts";
import { readRecordingLine, RECORDING_FORMAT, type RecordingMode } from "../../src/std/recording.ts";
import { disorder } from "../simulation/checks.ts";

export type Step = { readonly event: { readonly type: string }; readonly actions: readonly unknown[] };

/** One life of a core: from its start to the next, or to the process' end. */
export type Life = { readonly mode: RecordingMode; readonly start: unknown; readonly steps: readonly Step[] };

export type Difference = { readonly wanted: string; readonly found: string };

/** A step as it was decided now; `difference`: from what was decided then. */
export type Replayed = { readonly step: Step; readonly actions: readonly unknown[]; readonly difference?: Difference };

/**
 * Reads a recording, compressed by gzip or not. Half a line at the end of a process, which was killed then, is passed over.
 * Throws an Error for another format and for what is no recording.
 */
export function readRecording(bytes: Uint8Array<ArrayBuffer>): readonly Life[] {
  const text = new TextDecoder().decode(bytes[0] === 0x1f && bytes[1] === 0x8b ? Bun.gunzipSync(bytes) : bytes);
  const lives: { mode: RecordingMode; start: unknown; steps: Step[] }[] = [];
  let mode: RecordingMode | undefined;
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    if (line === "") continue;
    const found = readLine(line, index + 1, (lines[index + 1] ?? "") === "");
    if (found === undefined || "end" in found) continue;
    if ("recording" in found) {
      if (found.format !== RECORDING_FORMAT)
        throw new Error(`Cannot read the recording: found format ${found.format}, wanted ${RECORDING_FORMAT}`);
      mode = found.recording;
    } else if (mode === undefined) {
      throw new Error(`Cannot read the recording: found no header before line ${index + 1}, wanted one`);
    } else if ("start" in found) {
      lives.push({ mode, start: found.start, steps: [] });
    } else {
      lives.at(-1)?.steps.push({ event: found.event as Step["event"], actions: found.actions });
    }
  }
  if (mode === undefined) throw new Error("Cannot read the recording: found no header, wanted one");
  return lives;
}

function readLine(line: string, number: number, isLast: boolean): ReturnType<typeof readRecordingLine> | undefined {
  try {
    return readRecordingLine(line);
  } catch (error) {
    if (isLast) return undefined;
    throw new Error(`Cannot read the recording: line ${number} is not JSON: "${line.slice(0, 80)}"`, { cause: error });
  }
}

/** Decides every step again, up to the first that is decided differently. Throws an Error at the first broken law. */
export function replay(life: Life, decideAs = decide): readonly Replayed[] {
  return life.mode === "scheduler" ? replayScheduler(life, decideAs) : replayExecutor(life);
}

/** What recordings lack that were made before it was stored. */
const EARLIER = { maintenance: new Map() };

function replayScheduler({ start, steps }: Life, decideAs: typeof decide): readonly Replayed[] {
  const { settings, seed, ...records } = start as Parameters<typeof initialState>[2] & {
    readonly settings: Settings;
    readonly seed: number;
  };
  let state: State = initialState(settings, seed, { ...EARLIER, ...records });
  const launched = new Set<string>();
  return untilDifferent(steps, (step, index) => {
    const event = step.event as Event;
    const decision = decideAs(state, event);
    const disordered = disorder(decision.actions, event.type === "offers" ? event.offers : []);
    const broken = [
      ...brokenInvariants(state, decision),
      ...(disordered === undefined ? [] : [disordered.message]),
      ...launchedTwice(decision.actions, launched),
    ];
    if (broken.length > 0)
      throw new Error(`Step ${index} of the recording, "${event.type}", breaks a law: ${broken.join("; ")}`);
    state = decision.state;
    return decision.actions.filter(({ type }) => type !== "save" && type !== "forget" && type !== "note");
  });
}

function launchedTwice(actions: readonly Action[], launched: Set<string>): readonly string[] {
  const operations = actions.flatMap((action) => (action.type === "accept" ? action.operations : []));
  const tasks = operations.flatMap((operation) => (operation.type === "launch" ? operation.tasks : []));
  return tasks.flatMap(({ taskId }) => {
    if (launched.has(taskId)) return [`task id "${taskId}" is used twice`];
    launched.add(taskId);
    return [];
  });
}

function replayExecutor({ start, steps }: Life): readonly Replayed[] {
  const { seed, timings, nowMs } = start as {
    readonly seed: number;
    readonly timings: Timings;
    readonly nowMs: number;
  };
  let state = executorStart(seed, timings, nowMs);
  return untilDifferent(steps, ({ event }) => {
    const decision = decideExecutor(state, withDatabase(event));
    state = decision.state;
    return decision.actions;
  });
}

/** A recording has the database's name alone. */
function withDatabase(event: Step["event"]): ExecutorEvent {
  if (event.type !== "prepared" || !("database" in event)) return event as ExecutorEvent;
  return { ...event, database: findDatabase(String(event.database)) } as unknown as ExecutorEvent;
}

function untilDifferent(
  steps: readonly Step[],
  decided: (step: Step, index: number) => readonly unknown[],
): readonly Replayed[] {
  const all: Replayed[] = [];
  for (const [index, step] of steps.entries()) {
    const actions = decided(step, index);
    const [wanted, found] = [sketch(step.actions), sketch(actions)];
    all.push({ step, actions, ...(wanted === found ? {} : { difference: { wanted, found } }) });
    if (wanted !== found) break;
  }
  return all;
}

/** What may be worded or measured out differently without being another decision. */
const BESIDE_THE_POINT: ReadonlySet<string> = new Set([
  "message",
  "text",
  "data",
  "raw",
  "command",
  "labels",
  "headers",
]);

/** Actions as one text to compare and to read. */
function sketch(actions: readonly unknown[]): string {
  return JSON.stringify(actions, (key, value: unknown) => {
    if (BESIDE_THE_POINT.has(key)) return undefined;
    return value instanceof Uint8Array ? value.toHex() : value;
  });
}
