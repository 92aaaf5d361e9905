// Runs every check and test for scripts/test, and ends with one line: `N passed, N failed`. An argument keeps only the test
// files whose path contains it, and leaves the checks out.
import { readdir } from "node:fs/promises";
import { checkAll } from "./check.ts";
import { closingCounts, countsText, failuresIn, sumCounts, type Counts } from "./counts.ts";
import { ROOT, run } from "./run.ts";

/** Longer than any test run takes: one that hangs ends all the same. */
const TIMEOUT_MS = 900_000;
const ENDING_MS = 3000;
/** In the environment of every test process and of all that it starts: how we know our own. */
const MARK = { RINGMASTER_TEST_RUN: crypto.randomUUID() };

/** So many failures are said again at the end: who sees only the end of a long log must learn what failed. */
const REPEATED_MOST = 8;

const stop = new AbortController();
const failures: string[] = [];

function headline(text: string): void {
  console.log(`\n== ${text}`);
}

/** Processes that tests left running, as `pid command`. */
async function leftBehind(): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    // A process may end while we look, and another user's cannot be read: neither is ours to stop.
    const read = async (name: string): Promise<string> =>
      await Bun.file(`/proc/${pid}/${name}`)
        .text()
        .catch(() => "");
    if ((await read("environ")).split("\0").includes(`RINGMASTER_TEST_RUN=${MARK.RINGMASTER_TEST_RUN}`))
      found.set(pid, (await read("cmdline")).replaceAll("\0", " ").trim());
  }
  return found;
}

/** Stops what tests left running, and returns how many there were. What is ending just now gets a moment to do so. */
async function sweep(): Promise<number> {
  const untilMs = performance.now() + ENDING_MS;
  let left = await leftBehind();
  while (left.size > 0 && performance.now() < untilMs) {
    await Bun.sleep(100);
    left = await leftBehind();
  }
  for (const [pid, command] of left) {
    const said = `left behind, stopped now: ${pid} ${command}`;
    console.log(said);
    failures.push(said.slice(0, 1000));
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself meanwhile.
    }
  }
  return left.size;
}

/** One `bun test` over `files`. A process that it leaves behind is a failure of its own. */
async function runTests(flags: readonly string[], files: readonly string[]): Promise<Counts> {
  const options = { env: MARK, timeoutMs: TIMEOUT_MS, signal: stop.signal };
  const argv = [process.execPath, "test", ...flags, ...files.map((file) => `./${file}`)];
  const { code, output } = await run(argv, { ...options, onText: (text) => process.stdout.write(text) });
  const counts = closingCounts(output, code);
  const said = failuresIn(output);
  failures.push(...said);
  if (counts.failed > said.length) failures.push(`${files.join(" ").slice(0, 500)}\n${output.trim().slice(-1000)}`);
  const left = await sweep();
  return left > 0 ? { ...counts, failed: counts.failed + left } : counts;
}

/** A step that is not a test: it passes or fails as one. */
async function step(argv: readonly string[]): Promise<Counts> {
  const { code, output } = await run(argv, { signal: stop.signal, onText: (text) => process.stdout.write(text) });
  if (code !== 0) failures.push(output.trim().slice(-1500));
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

async function testFiles(filter: string): Promise<readonly string[]> {
  const glob = new Bun.Glob("{src,scripts,test,bench}/**/*.test.ts");
  return (await Array.fromAsync(glob.scan({ cwd: ROOT }))).filter((file) => file.includes(filter)).sort();
}

async function runAll(filter: string): Promise<Counts> {
  const files = await testFiles(filter);
  const real = files.filter((file) => file.startsWith("test/real/"));
  const others = files.filter((file) => !file.startsWith("test/real/"));
  if (files.length === 0) {
    console.log(`Cannot test "${filter}": no test file's path contains it`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const all: Counts[] = [];
  if (filter === "") {
    headline("checks");
    const checks = await checkAll();
    failures.push(...checks.failures.map((text) => text.slice(0, 1500)));
    all.push({ passed: checks.passed, failed: checks.failures.length, skipped: 0 });
  }
  headline("build");
  all.push(await step([process.execPath, "scripts/build.ts"]));
  if (others.length > 0 && !stop.signal.aborted) {
    headline(`${others.length} test files, two at a time`);
    all.push(await runTests(["--parallel=2"], others));
  }
  for (const file of real) {
    if (stop.signal.aborted) break;
    headline(file);
    all.push(await runTests([], [file]));
  }
  if (stop.signal.aborted) all.push({ passed: 0, failed: 1, skipped: 0 });
  return sumCounts(all);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
const startedMs = performance.now();
const counts = await runAll(process.argv[2] ?? "");
if (failures.length > 0) {
  headline(`What failed${failures.length > REPEATED_MOST ? `: the first ${REPEATED_MOST} of ${failures.length}` : ""}`);
  for (const failure of failures.slice(0, REPEATED_MOST)) console.log(`\n${failure}`);
}
console.log(`\n${((performance.now() - startedMs) / 1000).toFixed(0)} seconds in all`);
console.log(countsText(counts));
process.exit(counts.failed > 0 ? 1 : 0);
