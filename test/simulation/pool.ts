// Runs many seeds on several cores.
import { PLANTED } from "./planted.ts";
import { type Result, simulate } from "./simulation.ts";
import type { Options } from "./world.ts";

/** What a worker can be told; a defect by its name. */
export type Seed = Omit<Options, "plant" | "onLine" | "without"> & { readonly plant?: string };

export function runSeed({ plant, ...options }: Seed, onLine?: (line: string) => void): Promise<Result> {
  return simulate({ ...options, ...plantOf(plant), ...(onLine === undefined ? {} : { onLine }) });
}

/** The defect of that name, for `Options`. Throws when there is none. */
export function plantOf(name: string | undefined): Pick<Options, "plant"> {
  if (name === undefined) return {};
  const plant = PLANTED[name]?.plant;
  if (plant === undefined)
    throw new Error(
      `Cannot plant "${name}", wanted one of ${Object.keys(PLANTED)
        .map((known) => `"${known}"`)
        .join(", ")}`,
    );
  return { plant };
}

/** Runs what `next` gives, until it gives nothing more, on so many workers; results come in no order. */
export async function runAll(
  workers: number,
  next: () => Seed | undefined,
  onResult: (result: Result) => void,
): Promise<void> {
  await Promise.all(Array.from({ length: workers }, () => work(next, onResult)));
}

async function work(next: () => Seed | undefined, onResult: (result: Result) => void): Promise<void> {
  const worker = new Worker(new URL("worker.ts", import.meta.url).href);
  try {
    for (let seed = next(); seed !== undefined; seed = next()) onResult(await ask(worker, seed));
  } finally {
    worker.terminate();
  }
}

function ask(worker: Worker, seed: Seed): Promise<Result> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Result>): void => resolve(data);
    worker.onerror = ({ message }): void => reject(new Error(`Seed ${seed.seed} ended its worker: ${message}`));
    worker.postMessage(seed);
  });
}
