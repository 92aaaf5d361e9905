// The simulator: the same seed is the same run, seeds that failed once are good now, and so are fresh ones.
import { describe, expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { PLANTED } from "./planted.ts";
import { runAll, type Seed } from "./pool.ts";
import { commandFor, failedSeeds } from "./seeds.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulation.ts";

const FRESH_SEEDS = 200;
/** Where the seeds begin. The test's name says where, and SIM_SEED repeats them. */
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? commitSeed() ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const EVENTS = 2000;

/** Fresh ones for every commit, the same wherever that is tested; undefined where there is no commit. */
function commitSeed(): number | undefined {
  const git = Bun.which("git");
  const { stdout, success } =
    git === null ? { stdout: "", success: false } : Bun.spawnSync([git, "rev-parse", "HEAD"], { cwd: import.meta.dir });
  return success ? Number.parseInt(stdout.toString().slice(0, 8), 16) : undefined;
}

/** Runs seeds on all cores; returns those that are not good, as the commands that show it. */
async function badOnes(seeds: readonly Seed[]): Promise<readonly string[]> {
  const bad: string[] = [];
  const left = [...seeds];
  await runAll(
    Math.min(availableParallelism(), seeds.length),
    () => left.shift(),
    ({ seed, outcome, message }) => {
      const ran = seeds.find((one) => one.seed === seed) ?? { seed, events: EVENTS };
      if (outcome !== "good") bad.push(`${commandFor(ran)}: ${outcome}: ${message.split("\n")[0]}`);
    },
  );
  return bad.sort();
}

test("the same seed gives the same run, line by line", async () => {
  const run = async (seed: number): Promise<readonly string[]> => {
    const lines: string[] = [];
    await simulate({ seed, events: 800, onLine: (line) => lines.push(line) });
    return lines;
  };
  const [first, second, other] = [await run(7), await run(7), await run(8)];
  expect(first.length).toBeGreaterThan(100);
  expect(second).toEqual(first);
  expect(other).not.toEqual(first);
});

test("a failure is made small: fewer events and fewer kinds of faults show it as well", async () => {
  const plant = PLANTED["task ids are used again"]?.plant;
  if (plant === undefined) throw new Error("there is no such defect");
  const failed = await simulate({ seed: 1, events: EVENTS, plant });
  const small = await shrink(failed, { events: EVENTS, plant }, 60_000);
  expect([small.result.outcome, small.result.kind]).toEqual(["safety", "ids"]);
  expect(small.events).toBeLessThan(EVENTS);
  expect(small.without.length).toBeGreaterThan(10);
}, 90_000);

test.each([
  ["task ids are used again", 3],
  ["an accepted command is not saved", 2],
  ["kills are forgotten", 4],
  [undefined, 0],
])(
  "its exit code tells %p apart: %i",
  async (plant, code) => {
    const main = new URL("main.ts", import.meta.url).pathname;
    const planted = plant === undefined ? [] : ["--plant", plant];
    const child = Bun.spawn([process.execPath, main, "1", "--seeds", "12", "--events", "1200", ...planted], {
      stdout: "ignore",
      stderr: "inherit",
    });
    expect(await child.exited).toBe(code);
  },
  120_000,
);

describe("seeds", () => {
  test("that failed once are good", async () => {
    expect(await badOnes(await failedSeeds())).toEqual([]);
  }, 120_000);

  test(`are good, ${FRESH_SEEDS} fresh ones from ${FIRST_SEED} on (SIM_SEED=${FIRST_SEED} repeats them)`, async () => {
    const seeds = Array.from({ length: FRESH_SEEDS }, (_, index) => ({ seed: FIRST_SEED + index, events: EVENTS }));
    expect(await badOnes(seeds)).toEqual([]);
  }, 300_000);
});
