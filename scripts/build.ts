// `bun run build`: makes dist/ringmaster, the one compiled binary, from any clean checkout.
import { mkdir, rename, rm } from "node:fs/promises";
import { fetchJolokia } from "./jolokia.ts";
import { generateProto } from "./proto.ts";
import { must, ROOT, script } from "./run.ts";

// The two --no-compile-autoload flags are for safety: without them the binary runs `preload` of any bunfig.toml, and reads
// any .env, that it finds in its working directory, which in a Mesos sandbox holds whatever was fetched.
const FLAGS =
  "--compile --minify --bytecode --format=esm --splitting --production --sourcemap --no-compile-autoload-dotenv --no-compile-autoload-bunfig";

/** Seconds that `body` took, for the line that tells of it. */
async function timed(what: string, body: () => Promise<unknown>): Promise<void> {
  const startedMs = performance.now();
  await body();
  console.log(`build: ${what} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
}

await script(async () => {
  await timed("code from proto/", generateProto);
  await timed("the Jolokia agent", fetchJolokia);
  await timed("dist/ringmaster", async () => {
    // The file's name goes into the binary, so it is built under its own name elsewhere and then moved: a binary that
    // runs is never written over, and two builds at once do not mix.
    const fresh = `${ROOT}/dist/fresh-${process.pid}`;
    await mkdir(fresh, { recursive: true });
    try {
      const argv = [process.execPath, "build", ...FLAGS.split(" "), "src/main.ts", "--outfile", `${fresh}/ringmaster`];
      await must("compile src/main.ts", argv);
      await rename(`${fresh}/ringmaster`, `${ROOT}/dist/ringmaster`);
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  });
});
