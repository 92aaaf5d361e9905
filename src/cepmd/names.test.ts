// The map by name: that it holds what a Map holds, and that older ones stay as they were.
import { expect, test } from "bun:test";
import { nextRandom } from "../std/random.ts";
import { get, noNames, type Names, values, withName, withoutName } from "./names.ts";

const ascending = (a: number, b: number): number => a - b;

test("holds what a map holds after any changes, and leaves every older one as it was", () => {
  let seed = 1;
  const roll = (sides: number): number => {
    const next = nextRandom(seed);
    seed = next.seed;
    return Math.floor(next.value * sides);
  };
  const model = new Map<string, number>();
  let names: Names<number> = noNames();
  const kept: { readonly names: Names<number>; readonly held: readonly number[] }[] = [];
  for (let step = 0; step < 5000; step += 1) {
    const name = `node-${roll(700)}`;
    if (roll(3) === 0) {
      model.delete(name);
      names = withoutName(names, name);
    } else {
      model.set(name, step);
      names = withName(names, name, step);
    }
    expect(get(names, name)).toBe(model.get(name));
    if (step % 500 === 0) kept.push({ names, held: [...model.values()].sort(ascending) });
  }
  kept.push({ names, held: [...model.values()].sort(ascending) });
  for (const { names: older, held } of kept) {
    expect([...values(older)].sort(ascending)).toEqual([...held]);
    expect(older.size).toBe(held.length);
  }
});

test("a name that is not there is no change", () => {
  const names = withName(noNames<number>(), "a", 1);
  expect(withoutName(names, "b")).toBe(names);
  expect(get(names, "constructor")).toBeUndefined();
});
