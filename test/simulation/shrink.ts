// Makes a failure small: fewer kinds of faults, then fewer events, as long as it still fails the same way.
import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import { type Result, simulate } from "./simulation.ts";
import type { Options } from "./world.ts";

export type Shrunk = { readonly result: Result; readonly events: number; readonly without: readonly FaultKind[] };

export async function shrink(failed: Result, options: Omit<Options, "seed">, limitMs: number): Promise<Shrunk> {
  const untilMs = performance.now() + limitMs;
  const run = (events: number, without: ReadonlySet<FaultKind>): Promise<Result> =>
    simulate({ ...options, seed: failed.seed, events, without, onLine: () => undefined });
  const isSame = ({ outcome, kind }: Result): boolean => outcome === failed.outcome && kind === failed.kind;
  let without: ReadonlySet<FaultKind> = options.without ?? new Set();
  let best = failed;
  for (const kind of FAULT_KINDS) {
    if (performance.now() > untilMs) break;
    const fewer = new Set([...without, kind]);
    const result = await run(options.events, fewer);
    if (!isSame(result)) continue;
    without = fewer;
    best = result;
  }
  let most = Math.min(options.events, best.events);
  let least = 0;
  while (least < most && performance.now() < untilMs) {
    const middle = Math.floor((least + most) / 2);
    const result = await run(middle, without);
    if (isSame(result)) {
      most = middle;
      best = result;
    } else least = middle + 1;
  }
  return { result: best, events: most, without: [...without] };
}
