// A short chaos run: bun run chaos makes a long one.
import { expect, test } from "bun:test";
import { runChaos } from "./chaos/run.ts";

const FAULTS_MINUTES = 3;

test("no acknowledged row is lost and the cluster becomes whole, whatever was killed or stood still", async () => {
  const seed = Number(process.env["CHAOS_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const result = await runChaos({ minutes: FAULTS_MINUTES, seed, say: (line) => console.log(line) });
  expect(Object.values(result.faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
  expect(result.acknowledged).toBeGreaterThan(100);
}, 900_000);
