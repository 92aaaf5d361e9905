// Chance as data: the same seed gives the same numbers on every machine, so that a run can be repeated.

/** State of the generator: an unsigned 32-bit integer. */
export type Seed = number;

/** The next number in [0, 1) and the seed after it (mulberry32). */
export function nextRandom(seed: Seed): { readonly value: number; readonly seed: Seed } {
  const next = (seed + 0x6d2b79f5) >>> 0;
  let t = next;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return { value: ((t ^ (t >>> 14)) >>> 0) / 4294967296, seed: next };
}
