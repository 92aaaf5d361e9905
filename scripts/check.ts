// `bun run check`: everything that can be said about the code without running it, a line for each check.
import { readdir } from "node:fs/promises";
import { checkFile, questions, violationText, type Violation } from "./laws.ts";
import { generateProto } from "./proto.ts";
import { ROOT, run, script } from "./run.ts";

/** `output` is shown when the check fails, `notes` always. */
type Result = { readonly ok: boolean; readonly output: string; readonly notes?: readonly string[] };
type Check = { readonly name: string; readonly check: () => Promise<Result> };

const NOT_OURS = new Set([".git", "node_modules", "build", "dist", "src/mesos/gen"]);

function program(name: string, argv: readonly string[]): Check {
  return {
    name,
    check: async () => {
      const { code, output } = await run(argv);
      return { ok: code === 0, output };
    },
  };
}

const bun = (...args: readonly string[]): readonly string[] => [process.execPath, ...args];
const tool = (name: string, ...args: readonly string[]): readonly string[] =>
  bun("--bun", `node_modules/.bin/${name}`, ...args);

/** Paths of all files of the repository, those that are not committed yet too. */
async function repositoryFiles(folder = ""): Promise<readonly string[]> {
  const entries = await readdir(`${ROOT}/${folder}`, { withFileTypes: true });
  const below = entries.map(async (entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (NOT_OURS.has(path)) return [];
    if (entry.isDirectory()) return await repositoryFiles(path);
    return entry.isFile() ? [path] : [];
  });
  return (await Promise.all(below)).flat().sort();
}

/** The house's laws (scripts/laws.ts) over every text file. */
async function laws(): Promise<Result> {
  const violations: Violation[] = [];
  const notes: Violation[] = [];
  for (const path of await repositoryFiles()) {
    const source = await Bun.file(`${ROOT}/${path}`).text();
    if (source.includes("\0")) continue;
    violations.push(...checkFile(path, source));
    notes.push(...questions(path, source));
  }
  const output = violations.map(violationText).join("\n");
  return { ok: violations.length === 0, output, notes: notes.map(violationText) };
}

/** Bun's own checker, and tsc as the cross-check of it; what both say is shown once. */
async function types(): Promise<Result> {
  const errors = ({ output }: { readonly output: string }): readonly string[] =>
    output.split("\n").filter((line) => line.includes("error TS"));
  const builtIn = await run(bun("check", "--no-script", "--no-pretty"));
  const tsc = await run(tool("tsc", "--pretty", "false"));
  const ok = builtIn.code === 0 && tsc.code === 0;
  const lines = new Set([...errors(builtIn), ...errors(tsc)]);
  return { ok, output: lines.size > 0 ? [...lines].join("\n") : builtIn.output + tsc.output };
}

const CHECKS: readonly Check[] = [
  program("format", bun("fmt", "--no-script", "--check")),
  { name: "laws", check: laws },
  { name: "types", check: types },
  program("lint", tool("oxlint", "--deny-warnings", "--format", "unix")),
  program("dead code", tool("knip", "--no-progress", "--no-config-hints")),
];

/** Runs a check and prints what came of it; returns what was printed if it failed. */
async function report({ name, check }: Check): Promise<string | undefined> {
  const startedMs = performance.now();
  const { ok, output, notes = [] } = await check();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const rows = [...(ok ? [] : output.trim().split("\n")), ...notes.map((note) => `note: ${note}`)];
  const text = [`${ok ? "pass" : "FAIL"} ${name} (${seconds} s)`, ...rows.map((row) => `  ${row}`)].join("\n");
  console.log(text);
  return ok ? undefined : text;
}

/** Runs all checks, two at a time, and returns how many passed, and what was printed of each that failed. */
export async function checkAll(): Promise<{ readonly passed: number; readonly failures: readonly string[] }> {
  await generateProto();
  const waiting = [...CHECKS];
  const failures: string[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const failure = await report(next);
      if (failure !== undefined) failures.push(failure);
    }
  };
  await Promise.all([worker(), worker()]);
  return { passed: CHECKS.length - failures.length, failures };
}

if (import.meta.main)
  await script(async () => {
    const { passed, failures } = await checkAll();
    console.log(`check: ${passed} passed, ${failures.length} failed`);
    if (failures.length > 0) process.exitCode = 1;
  });
