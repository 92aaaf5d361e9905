// `bun run sim -- SEED`: runs seeds of the simulator. Exit codes: 0 all good, 2 a crash, 3 a broken law, 4 no end in the calm.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { plantOf, runAll, runSeed, type Seed } from "./pool.ts";
import { commandFor, keepSeed } from "./seeds.ts";
import { shrink } from "./shrink.ts";
import type { Result } from "./simulation.ts";

const HELP = `Usage: bun run sim -- [SEED] [--seeds N] [--events N] [--agents N] [--clusters N] [--minutes M]
                          [--mesos 0] [--framework 0]
                          [--jobs N] [--trace] [--keep]

Runs the real decisions of scheduler and executor in a simulated world, all of it from a seed.

  SEED           the first seed (default: by chance)
  --seeds N      how many, counted up from the first (default 1)
  --minutes M    go on with further seeds for so long
  --events N     events with faults before the calm (default 2000)
  --agents N     how many agents (default: by the seed)
  --clusters N   how many clusters (default 2)
  --mesos 0      operators of Mesos plan no maintenance and drain no agents
  --framework 0  nobody removes the framework, registers it again or uninstalls it
  --jobs N       on how many cores (default: all, at most one for each seed)
  --trace        print everything that happens, on one core
  --plant NAME   plant one of the defects that the simulator is proved with
  --keep         write failed seeds into test/simulation/failed-seeds.txt
`;

/** How long a failure may take to be made small. */
const SHRINK_MS = 60_000;
/** The worst first: it is told, made small, and gives the exit code. */
const SEVERITY: readonly Result["outcome"][] = ["safety", "crash", "liveness"];
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
      mesos: { type: "string" },
      framework: { type: "string" },
      jobs: { type: "string" },
      plant: { type: "string" },
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
    ...(values.mesos === undefined ? {} : { mesos: whole("--mesos", values.mesos) }),
    ...(values.framework === undefined ? {} : { framework: whole("--framework", values.framework) }),
  };
  const planted = values.plant === undefined ? {} : { plant: values.plant };
  const defect = plantOf(values.plant);
  const isTraced = values.trace === true;
  const startedMs = performance.now();
  const bad: Result[] = [];
  let run = 0;
  let events = 0;
  const next = (): Seed | undefined =>
    run < seeds || performance.now() < untilMs ? { seed: first + run++, ...options, ...planted } : undefined;
  const note = (result: Result): void => {
    events += result.events;
    if (result.outcome === "good") return;
    bad.push(result);
    console.log(`seed ${result.seed}: ${result.outcome}: ${result.message.split("\n")[0]}`);
  };
  const jobs = values.jobs === undefined ? availableParallelism() : whole("--jobs", values.jobs);
  if (isTraced)
    for (let seed = next(); seed !== undefined; seed = next())
      note(await runSeed(seed, (line: string) => console.log(line)));
  else await runAll(Math.max(1, values.minutes === undefined ? Math.min(jobs, seeds) : jobs), next, note);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    `${run} seeds from ${first}, ${events} events, ${seconds.toFixed(1)} s: ${run - bad.length} good, ${bad.length} bad`,
  );
  bad.sort((a, b) => SEVERITY.indexOf(a.outcome) - SEVERITY.indexOf(b.outcome) || a.seed - b.seed);
  if (values.keep === true)
    for (const { seed, kind, outcome } of bad) await keepSeed({ seed, ...options }, `${outcome}: ${kind}`);
  const [worst] = bad;
  if (worst === undefined) return 0;
  const small = await shrink(worst, { ...options, ...defect }, SHRINK_MS);
  console.log(`\nseed ${worst.seed}: ${worst.outcome}\n${small.result.message}\n`);
  console.log(`Again: ${commandFor({ seed: worst.seed, ...options, ...planted })}`);
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
