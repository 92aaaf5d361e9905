// The simulator's own proof: it sees every planted defect within 200 seeds.
import { expect, test } from "bun:test";
import { PLANTED } from "./planted.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 200;
const EVENTS = 1200;

for (const [name, { plant, shownAs }] of Object.entries(PLANTED)) {
  test(`sees when ${name}`, async () => {
    let seen = "";
    for (let seed = 1; seed <= SEEDS && seen === ""; seed++) {
      const { outcome, kind } = await simulate({ seed, events: EVENTS, plant });
      const isShown = shownAs.some((shown) => kind.startsWith(shown) || outcome === shown);
      // What fails without the defect proves nothing.
      if (isShown && (await simulate({ seed, events: EVENTS })).outcome === "good")
        seen = `seed ${seed}: ${outcome}: ${kind}`;
    }
    expect(seen).not.toBe("");
  }, 120_000);
}
