// `bun run chaos --minutes M [--seed S]`: a chaos run by hand. Exit codes: 0 nothing was lost and all became whole, 1 not so.
import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";

const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const minutes = Number(values.minutes ?? "3");
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error(
    `chaos: found minutes ${values.minutes}, seed ${values.seed}; wanted bun run chaos --minutes M [--seed S]`,
  );
  process.exit(2);
}
const stopped = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stopped.abort(new Error(name)));
try {
  const result = await runChaos({ minutes, seed, say: (line) => console.log(line), signal: stopped.signal });
  console.log(JSON.stringify(result, undefined, 2));
  // The driver's timers would keep the process for minutes.
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
