// How the open files are shared among clients, their backends and handshakes.
import { expect, test } from "bun:test";
import { limitsOf } from "./limits.ts";

test("clients, their backends and handshakes never take more files than there are", () => {
  expect(limitsOf(20_256, 1, false, false)).toEqual({ clientsMax: 10_000, handshakesMax: 0 });
  expect(limitsOf(20_256, 2, true, false)).toEqual({ clientsMax: 6666, handshakesMax: 0 });
  expect(limitsOf(1_000_256, 1, false, true)).toEqual({ clientsMax: 497_952, handshakesMax: 4096 });
  expect(limitsOf(1056, 2, false, true)).toEqual({ clientsMax: 175, handshakesMax: 50 });
  expect(limitsOf(100, 3, true, true)).toEqual({ clientsMax: 1, handshakesMax: 1 });
  for (const files of [1024, 4096, 65_536, 1_048_576])
    for (const listeners of [1, 2, 3]) {
      const { clientsMax, handshakesMax } = limitsOf(files, listeners, false, true);
      expect((2 * clientsMax + handshakesMax) * listeners).toBeLessThanOrEqual(files - 256);
    }
});
