// Chance in streams: each kind of decision has a stream of its own, so that leaving one kind out disturbs no other.
import { nextRandom, type Seed } from "../../src/std/random.ts";

/** A stream of chance, told apart by a name. */
export class Chance {
  #seed: Seed;

  constructor(seed: number, name: string) {
    this.#seed = (hashOf(name) ^ Math.imul(seed, 0x9e3779b1)) >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    const { value, seed } = nextRandom(this.#seed);
    this.#seed = seed;
    return value;
  }

  hit(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.next() * list.length)];
  }

  /** One of the entries, by weight. */
  weighted<T>(entries: readonly (readonly [value: T, weight: number])[]): T | undefined {
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [value, weight] of entries) {
      left -= weight;
      if (left < 0) return value;
    }
    return undefined;
  }
}

/** FNV-1a, 32 bits; `before` goes on with an earlier hash. */
export function hashOf(text: string, before = 0x811c9dc5): number {
  let hash = before;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
