// `bun run sim -- SEED`: runs seeds of the simulator. Exit codes: 0 all good, 2 a crash, 3 a broken law, 4 no end in the calm.
import { appendFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { shrink } from "./shrink.ts";
import { type Result, simulate } from "./simulation.ts";

const HELP = `Usage: bun run sim -- [SEED] [--seeds N] [--events N] [--agents N] [--clusters N] [--minutes M] [--trace] [--keep]

Runs the real decisions of scheduler and executor in a simulated world, all of it from a seed.

  SEED           the first seed (default: by chance)
  --seeds N      how many, counted up from the first (default 1)
  --minutes M    go on with further seeds for so long
  --events N     events with faults before the calm (default 2000)
  --agents N     how many agents (default: by the seed)
  --clusters N   how many clusters (default 2)
  --trace        print everything that happens
  --keep         write failed seeds into test/simulation/failed-seeds.txt
`;

/** How long a failure may take to be made small. */
const SHRINK_MS = 60_000;
const EXIT_CODES = { good: 0, crash: 2, safety: 3, liveness: 4 } as const;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: "string" },
      minutes: { type: "string" },
      events: { type: "string" },
      agents: { type: "string" },
      clusters: { type: "string" },
      trace: { type: "boolean" },
      keep: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  const first =
    positionals[0] === undefined ? (crypto.getRandomValues(new Uint32Array(1))[0] ?? 1) : whole("SEED", positionals[0]);
  const seeds = whole("--seeds", values.seeds ?? "1");
  const untilMs = performance.now() + Number(values.minutes ?? 0) * 60_000;
  const options = {
    events: whole("--events", values.events ?? "2000"),
    ...(values.agents === undefined ? {} : { agents: whole("--agents", values.agents) }),
    ...(values.clusters === undefined ? {} : { clusters: whole("--clusters", values.clusters) }),
    ...(values.trace === true ? { onLine: (line: string) => console.log(line) } : {}),
  };
  const startedMs = performance.now();
  const bad: Result[] = [];
  let run = 0;
  let events = 0;
  for (; run < seeds || performance.now() < untilMs; run++) {
    const result = await simulate({ seed: first + run, ...options });
    events += result.events;
    if (result.outcome === "good") continue;
    bad.push(result);
    console.log(`seed ${result.seed}: ${result.outcome}: ${result.message.split("\n")[0]}`);
    if (values.keep === true)
      await appendFile(new URL("failed-seeds.txt", import.meta.url), `${result.seed} ${options.events}\n`);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    `${run} seeds from ${first}, ${events} events, ${seconds.toFixed(1)} s: ${run - bad.length} good, ${bad.length} bad`,
  );
  const [worst] = bad;
  if (worst === undefined) return 0;
  const small = await shrink(worst, options, SHRINK_MS);
  console.log(`\nseed ${worst.seed}: ${worst.outcome}\n${small.result.message}\n`);
  console.log(
    `Shown by the first ${small.events} events${small.without.length === 0 ? "" : ` without these faults: ${small.without.join(", ")}`}. The last of them:`,
  );
  console.log(small.result.lines.slice(-60).join("\n"));
  return EXIT_CODES[worst.outcome];
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`Cannot run: found ${name} "${text}", wanted a whole number`);
  return value;
}

process.exitCode = await main();
