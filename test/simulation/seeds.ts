// Seeds that failed once: read from and written to failed-seeds.txt, one in a line with its options and why it is there.
import { appendFile } from "node:fs/promises";
import type { Seed } from "./pool.ts";

const FILE = new URL("failed-seeds.txt", import.meta.url);

/** All of them, in the order of the file. A line is `SEED events=N [agents=N] [clusters=N] [mesos=0] [framework=0] # why`. */
export async function failedSeeds(): Promise<readonly Seed[]> {
  const rows = (await Bun.file(FILE).text()).split("\n").filter((line) => /^\d/.test(line));
  return rows.map((row) => {
    const [seed = "", ...options] = (row.split("#")[0] ?? "").trim().split(/ +/);
    const named = new Map(options.map((option) => option.split("=")).map(([name = "", value = ""]) => [name, value]));
    const number = (name: string): number | undefined => (named.has(name) ? Number(named.get(name)) : undefined);
    const [agents, clusters, mesos, framework] = [
      number("agents"),
      number("clusters"),
      number("mesos"),
      number("framework"),
    ];
    return {
      seed: Number(seed),
      events: number("events") ?? 2000,
      ...(agents === undefined ? {} : { agents }),
      ...(clusters === undefined ? {} : { clusters }),
      ...(mesos === undefined ? {} : { mesos }),
      ...(framework === undefined ? {} : { framework }),
    };
  });
}

export async function keepSeed({ seed, ...options }: Seed, why: string): Promise<void> {
  await appendFile(FILE, `${seed} ${optionText(options)} # ${why}\n`);
}

/** As the file has them: "events=2000 agents=5". */
function optionText(options: Omit<Seed, "seed">): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

/** The command that runs a seed again. */
export function commandFor({ seed, ...options }: Seed): string {
  const flags = Object.entries(options).map(
    ([name, value]) => ` --${name} ${typeof value === "string" ? JSON.stringify(value) : value}`,
  );
  return `bun run sim -- ${seed}${flags.join("")}`;
}
