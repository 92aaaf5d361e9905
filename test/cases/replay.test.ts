// What real masters and agents said in the real tests, through the same cores once more. After a change that is meant to decide
// otherwise: `bun run record <test>`, see docs/ARCHITECTURE.md.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { decide } from "../../src/scheduler/decide.ts";
import { RECORDING_FORMAT, type RecordingLine, recordingText } from "../../src/std/recording.ts";
import { readRecording, replay } from "../replay/replay.ts";

const RECORDINGS = join(import.meta.dir, "recordings");
const HEADER = { recording: "scheduler", format: RECORDING_FORMAT, ringmaster: "0", startedAt: "2026-01-01" } as const;

const read = async (name: string): Promise<ReturnType<typeof readRecording>> =>
  readRecording(await Bun.file(join(RECORDINGS, name)).bytes());

function recorded(...lines: readonly RecordingLine[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(lines.map((line) => `${recordingText(line, [])}\n`).join(""));
}

describe("a recording of a real stream is decided as it was", () => {
  for (const name of readdirSync(RECORDINGS))
    test(name, async () => {
      for (const life of await read(name)) {
        const replayed = replay(life);
        expect(replayed.at(-1)?.difference).toBeUndefined();
        expect(replayed.length).toBe(life.steps.length);
      }
    });
});

test("recordings are of schedulers and executors that started, were killed, and ended", async () => {
  const lives = (await Promise.all(readdirSync(RECORDINGS).map(read))).flat();
  const heard = new Set(lives.flatMap(({ mode, steps }) => steps.map(({ event }) => `${mode} ${event.type}`)));
  const wanted = [
    ...["subscribed", "disconnected", "offers", "status", "operation", "inverseOffers", "error", "command", "tick"].map(
      (type) => `scheduler ${type}`,
    ),
    ...["subscribed", "launch", "acknowledged", "kill", "prepared", "probed", "exited"].map(
      (type) => `executor ${type}`,
    ),
  ];
  expect(wanted.filter((one) => !heard.has(one))).toEqual([]);
});

test("a core that decides otherwise is found at the first step where it does", async () => {
  const [name] = readdirSync(RECORDINGS).filter((one) => one.includes("scheduler"));
  const acknowledges = (actions: readonly unknown[]): boolean =>
    actions.some((action) => (action as { readonly type: string }).type === "acknowledge");
  const life = (await read(name ?? "")).find(({ steps }) => steps.some(({ actions }) => acknowledges(actions)));
  if (life === undefined) throw new Error("there is no recording of a scheduler");
  const forgetful: typeof decide = (state, event) => {
    const { state: next, actions } = decide(state, event);
    return { state: next, actions: actions.filter(({ type }) => type !== "acknowledge") };
  };
  const replayed = replay(life, forgetful);
  const first = life.steps.findIndex(({ actions }) => acknowledges(actions));
  expect(replayed.length).toBe(first + 1);
  expect(replayed.at(-1)?.difference?.wanted).toContain("acknowledge");
});

test("another format, a missing header and a broken line are refused; half a line at the end is not", () => {
  const step: RecordingLine = { event: { type: "tick" }, actions: [] };
  expect(() => readRecording(recorded({ ...HEADER, format: 99 }))).toThrow(
    `Cannot read the recording: found format 99, wanted ${RECORDING_FORMAT}`,
  );
  expect(() => readRecording(recorded(step))).toThrow("found no header before line 1, wanted one");
  const whole = new TextDecoder().decode(recorded(HEADER, { start: 1 }, step));
  const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
  expect(() => readRecording(bytes(`${whole}{"ev\n${whole}`))).toThrow("line 4 is not JSON");
  expect(readRecording(bytes(`${whole}{"event":`))).toEqual([
    { mode: "scheduler", start: 1, steps: [{ event: { type: "tick" }, actions: [] }] },
  ]);
});
