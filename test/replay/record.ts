// `bun run record NAME...`: runs real tests with recorders on and keeps what their schedulers and executors heard as cases for
// test/cases/replay.test.ts, in place of what was kept of these tests before. Wants a built binary.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const KEPT = join(ROOT, "test/cases/recordings");

/** Executors are named after their nodes, schedulers after random folders. */
function nameOf(test: string, file: string, index: number): string {
  const node = /^(.+)\.\d+\.jsonl$/.exec(file)?.[1];
  return `${test}-${index}-${node === undefined ? "scheduler" : "executor"}.jsonl.gz`;
}

for (const test of process.argv.slice(2)) {
  const folder = await mkdtemp(join(tmpdir(), "ringmaster-recordings-"));
  const child = Bun.spawn([process.execPath, "test", `./test/real/${test}.test.ts`], {
    env: { ...process.env, RINGMASTER_RECORD_DIR: folder },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if ((await child.exited) !== 0) {
    console.error(`record: the test "${test}" failed; its recordings are in ${folder}`);
    process.exit(1);
  }
  for (const old of await readdir(KEPT).catch(() => []))
    if (new RegExp(`^${test}-\\d+-`).test(old)) await rm(join(KEPT, old));
  for (const [index, file] of (await readdir(folder)).toSorted().entries()) {
    const text = (await Bun.file(join(folder, file)).text()).replaceAll(ROOT, "/opt/ringmaster");
    const bytes = Bun.gzipSync(text, { level: 9 });
    const kept = nameOf(test, file, index);
    await Bun.write(join(KEPT, kept), bytes);
    console.log(`${kept}: ${bytes.length} bytes`);
  }
  await rm(folder, { recursive: true });
}
