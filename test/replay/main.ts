// `bun run replay FILE [--life N]`: decides a recording again and says every step that did more than wait. Exit codes: 0 all was
// decided as then, 1 not so, or a law was broken.
import { parseArgs } from "node:util";
import { readRecording, replay, type Replayed } from "./replay.ts";

const TEXT_MAX = 400;

function words({ step, actions, difference }: Replayed, index: number): readonly string[] {
  const said = JSON.stringify(step.event, (_key, value: unknown) => (value instanceof Uint8Array ? "…" : value));
  const wants = actions.map((action) => (action as { readonly type: string }).type).join(", ");
  const line = `${index} ${said.slice(0, TEXT_MAX)} → ${wants === "" ? "nothing" : wants}`;
  if (difference === undefined) return step.event.type === "tick" && actions.length === 0 ? [] : [line];
  return [line, `  then: ${difference.wanted}`, `  now:  ${difference.found}`];
}

const { values, positionals } = parseArgs({ options: { life: { type: "string" } }, allowPositionals: true });
const [file] = positionals;
if (file === undefined) {
  console.error("replay: found no file, wanted bun run replay FILE [--life N]");
  process.exit(1);
}
try {
  for (const [number, life] of readRecording(await Bun.file(file).bytes()).entries()) {
    if (values.life !== undefined && Number(values.life) !== number) continue;
    console.log(`life ${number} of a ${life.mode}: ${life.steps.length} steps`);
    const replayed = replay(life);
    for (const [index, step] of replayed.entries()) for (const line of words(step, index)) console.log(line);
    if (replayed.at(-1)?.difference !== undefined) process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
