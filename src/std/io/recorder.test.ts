// A recorder against real files: what is written, and what a file that takes nothing does.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Recorder } from "./recorder.ts";

test("a recording has a header for every process, and no secret", () => {
  const folder = mkdtempSync(join(tmpdir(), "recorder-"));
  const file = join(folder, "recording.jsonl");
  for (const event of [{ type: "tick", word: "hidden" }, { type: "heartbeat" }]) {
    const recorder = new Recorder("executor", file, () => undefined);
    recorder.hide("hidden");
    recorder.start({ seed: 1 });
    recorder.step(event, [{ type: "exit" }]);
  }
  const lines = readFileSync(file, "utf8").split("\n");
  const [header, other] = [lines[1] ?? "", lines[5] ?? ""].map((line) => JSON.parse(line) as Record<string, unknown>);
  expect([header?.["recording"], header?.["format"], other?.["recording"]]).toEqual(["executor", 1, "executor"]);
  expect(lines.filter((line) => line !== "" && !line.includes(`"recording"`))).toEqual([
    '{"start":{"seed":1}}',
    '{"event":{"type":"tick","word":"hidden-in-this-recording"},"actions":[{"type":"exit"}]}',
    '{"start":{"seed":1}}',
    '{"event":{"type":"heartbeat"},"actions":[{"type":"exit"}]}',
  ]);
  rmSync(folder, { recursive: true });
});

test("a file that cannot be opened is said at once, what cannot be written ends the recording and nothing else", () => {
  expect(() => new Recorder("scheduler", "/nowhere/at/all", () => undefined)).toThrow(
    'Cannot record to "/nowhere/at/all"',
  );
  const troubles: string[] = [];
  const recorder = new Recorder("scheduler", "/dev/full", (text) => troubles.push(text));
  recorder.step({ type: "tick" }, []);
  expect(troubles.length).toBe(1);
  expect(troubles[0]).toStartWith('The recording in "/dev/full" ends here: ');
});
