// The checker checked: for each law a planted violation is caught with its message, and a correct twin passes.
import { expect, test } from "bun:test";
import { checkFile, questions, violationText } from "./laws.ts";

/** What the checker says about `code` at `path`, behind the comment that every file has in line 1. */
function laws(path: string, code: string): readonly string[] {
  return checkFile(path, `// What this file is for.\n${code}\n`).map(violationText);
}

const CORE = "src/scheduler/decide.ts";
const TIME = "take `nowMs` from the event";
const CHANCE = "keep a seed in the state and use src/std/random.ts";
const ACTION = "return an action and let io/ carry it out";
const WAIT = "return an action and let io/ wait; what it brings back is an event";

test("the clock is read under io/ only", () => {
  const line = (does: string): readonly string[] => [`src/scheduler/decide.ts:2 reads the clock with ${does}: ${TIME}`];
  expect(laws(CORE, "export const a = Date.now();")).toEqual(line("Date.now"));
  expect(laws(CORE, "export const a = new Date();")).toEqual(line("Date()"));
  expect(laws(CORE, "export const a = Date();")).toEqual(line("Date()"));
  expect(laws(CORE, "export const a = performance.now();")).toEqual(line("performance"));
  expect(laws("src/scheduler/io/run.ts", "export const a = Date.now() + performance.now();")).toEqual([]);
  expect(laws(CORE, "export const a = (nowMs: number) => new Date(nowMs).toISOString();")).toEqual([]);
});

test("dice are rolled under io/ only", () => {
  const line = (what: string): readonly string[] => [`src/scheduler/decide.ts:2 rolls dice with ${what}: ${CHANCE}`];
  expect(laws(CORE, "export const a = Math.random();")).toEqual(line("Math.random"));
  expect(laws(CORE, "export const a = crypto.randomUUID();")).toEqual(line("crypto"));
  expect(laws(CORE, "export const a = crypto.getRandomValues(new Uint8Array(4));")).toEqual(line("crypto"));
  expect(laws("src/executor/io/run.ts", "export const a = [Math.random(), crypto.randomUUID()];")).toEqual([]);
  expect(laws(CORE, "export const a = Math.max(1, 2);")).toEqual([]);
});

test("a pure file never waits", () => {
  const line = (what: string): string => `src/scheduler/decide.ts:2 waits ${what}: ${WAIT}`;
  expect(laws(CORE, "setTimeout(() => {}, 5);")).toEqual([line("with setTimeout")]);
  expect(laws(CORE, "setInterval(() => {}, 5);")).toEqual([line("with setInterval")]);
  expect(laws(CORE, "queueMicrotask(() => {});")).toEqual([line("with queueMicrotask")]);
  expect(laws(CORE, "export const a = async () => {};")).toEqual([line("in an async function")]);
  expect(laws(CORE, "export const a = { async read() {} };")).toEqual([line("in an async function")]);
  expect(laws(CORE, "await a;")).toEqual([line("with await")]);
  expect(laws(CORE, "for await (const a of b) a();")).toEqual([line("with await")]);
  expect(laws(CORE, "export const a = Promise.resolve(1);")).toEqual([line("with Promise")]);
  expect(laws(CORE, "export function a(): Promise<void> {\n return b(); }")).toEqual([line("with Promise")]);
  expect(laws("src/cepmd/io/run.ts", "export const a = async () => { await new Promise(setTimeout); };")).toEqual([]);
});

test("an interface may name a promise that io/ keeps", () => {
  const methods = "read(path: string): Promise<string>; close: () => Promise<void>;";
  expect(laws("src/store/store.ts", `export interface Store { ${methods} }`)).toEqual([]);
  expect(laws("src/store/store.ts", `export type Store = { ${methods} };`)).toEqual([]);
});

test("a pure file never touches the outside", () => {
  const line = (what: string, instead: string): readonly string[] => [`src/scheduler/decide.ts:2 ${what}: ${instead}`];
  const argument = "take what it needs as an argument, or return an action and let io/ do it";
  expect(laws(CORE, "Bun.write('a', 'b');")).toEqual(line("touches the outside with Bun", ACTION));
  expect(laws(CORE, "export const a = process.env.HOME;")).toEqual(line("touches the outside with process", argument));
  expect(laws(CORE, "fetch('http://localhost');")).toEqual(line("touches the outside with fetch", ACTION));
  expect(laws(CORE, "export const a = import.meta.dir;")).toEqual(line("touches the outside with import.meta", ACTION));
  const print = "return a Reason or an action and let io/ print or log it";
  expect(laws(CORE, "console.log(1);")).toEqual(line("prints with console", print));
  for (const path of ["src/scheduler/io/run.ts", "src/scheduler/ui/page.ts", "src/main.ts", "src/cli/main.ts"])
    expect(laws(path, "console.log(process.argv, Bun.version, import.meta.dir);")).toEqual([]);
  expect(laws("src/scheduler/decide.test.ts", "console.log(Bun.version);")).toEqual([]);
});

test("modules and packages that touch the outside are for io/", () => {
  for (const module of [
    "node:fs",
    "node:fs/promises",
    "node:net",
    "node:http",
    "node:child_process",
    "node:timers/promises",
  ])
    expect(laws(CORE, `import { a } from "${module}";`)).toEqual([
      `src/scheduler/decide.ts:2 imports ${module}: ${ACTION}, or move the file into io/`,
    ]);
  for (const module of ["bun:sqlite", "pino", "node-zookeeper-client"]) {
    expect(laws(CORE, `import type { A } from "${module}";`)).toEqual([
      `src/scheduler/decide.ts:2 imports ${module}: ${ACTION}, or move the file into io/`,
    ]);
    expect(laws("src/store/io/sqlite.ts", `import { A } from "${module}";`)).toEqual([]);
  }
  expect(laws(CORE, 'import { inspect } from "node:util";\nimport { z } from "zod";')).toEqual([]);
});

test("words in comments, texts, properties and the file's own names are no effects", () => {
  expect(laws(CORE, "/* Date.now() */ export const a = 'await fetch(process)' + `Bun.${1}`;")).toEqual([]);
  expect(laws(CORE, "export const a = (s: { process: number }) => s.process;")).toEqual([]);
  expect(laws(CORE, "export const a = (process: { pid: number }) => process.pid;")).toEqual([]);
  expect(laws(CORE, "export const a = ({ fetch }: { fetch: number }) => ({ console: fetch });")).toEqual([]);
  expect(laws(CORE, "export const a = ({ b = process.pid }) => b;")).toHaveLength(1);
  expect(laws(CORE, "export const a = { process };")).toHaveLength(1);
});

test("rooms import along the arrows only", () => {
  expect(laws(CORE, 'import { a } from "../executor/decide.ts";')).toEqual([
    "src/scheduler/decide.ts:2 imports src/executor/decide.ts: scheduler may import std, store, databases, mesos; meet on the wire, or move what both need there",
  ]);
  expect(laws("src/std/json.ts", 'import type { A } from "../mesos/offer.ts";')).toEqual([
    "src/std/json.ts:2 imports src/mesos/offer.ts: std may import nothing but itself; meet on the wire, or move what both need there",
  ]);
  expect(laws("src/cepmd/wire.ts", 'export type { A } from "../mesos/offer.ts";')).toHaveLength(1);
  expect(laws("src/cli/print.ts", 'export * from "../store/store.ts";')).toHaveLength(1);
  expect(laws("src/store/store.ts", 'export type A = import("../mesos/offer.ts").Offer;')).toHaveLength(1);
  expect(laws("src/director/io/run.ts", 'void import("../../scheduler/decide.ts");')).toHaveLength(1);
  expect(laws(CORE, 'import { a } from "../mesos/offer.ts";\nimport { b } from "./rank.ts";')).toEqual([]);
  expect(laws("src/cli/print.ts", 'import { a } from "../databases/all.ts";')).toEqual([]);
  expect(laws("src/main.ts", 'void import("./scheduler/io/main.ts");\nvoid import("./cli/main.ts");')).toEqual([]);
  expect(laws("src/tools/a.ts", 'import { a } from "../std/json.ts";')).toEqual([
    "src/tools/a.ts:2 lies in src/tools/, which is no room: use one of std, store, mesos, databases, cli, cepmd, director, executor, scheduler",
  ]);
  expect(laws(CORE, 'import { a } from "../main.ts";')).toEqual([
    "src/scheduler/decide.ts:2 imports src/main.ts: nothing imports it; move what you need into a room",
  ]);
});

test("core never imports io/, not even a type", () => {
  expect(laws(CORE, 'import type { A } from "./io/run.ts";')).toEqual([
    "src/scheduler/decide.ts:2 imports src/scheduler/io/run.ts: core never imports io/ or ui/, not even a type; move the type here, or this file into io/",
  ]);
  expect(laws(CORE, 'import { type A } from "../std/io/log.ts";')).toHaveLength(1);
  expect(
    laws("src/scheduler/io/api.ts", 'import type { A } from "./run.ts";\nimport { b } from "../decide.ts";'),
  ).toEqual([]);
  expect(laws("src/scheduler/decide.test.ts", 'import { a } from "./io/run.ts";')).toEqual([]);
});

test("nothing under src/ imports the tests, and only io/ carries files", () => {
  expect(laws("src/store/io/sqlite.test.ts", 'import { suite } from "../../../test/suites/store.ts";')).toEqual([
    "src/store/io/sqlite.test.ts:2 imports test/suites/store.ts: nothing under src/ imports it; move what both need into src/, or the test into test/",
  ]);
  expect(
    laws(
      "test/store.test.ts",
      'import { suite } from "./suites/store.ts";\nimport { a } from "../src/store/store.ts";',
    ),
  ).toEqual([]);
  const jar = 'import jar from "../../../build/jolokia/agent.jar" with { type: "file" };';
  expect(laws("src/executor/io/carried.ts", jar)).toEqual([]);
  expect(laws("src/executor/deep/carried.ts", jar)).toEqual([
    "src/executor/deep/carried.ts:2 imports build/jolokia/agent.jar: only io/, ui/ and main.ts carry files; take its content as an argument",
  ]);
});

test("names say what is meant", () => {
  expect(laws("src/std/string-utils.ts", "")).toEqual([
    'src/std/string-utils.ts:1 is called "utils": name the file after what it knows or decides',
  ]);
  expect(laws(CORE, "const a = 1;\nexport { a as OfferManager };\nexport type StoreImpl = 1;")).toEqual([
    'src/scheduler/decide.ts:3 exports "OfferManager": "Manager" says nothing, name what it knows or decides',
    'src/scheduler/decide.ts:4 exports "StoreImpl": "Impl" says nothing, name what it knows or decides',
  ]);
  expect(laws("src/std/utilisation.ts", "export const simpleUtilisation = 1;\nexport const implied = 2;")).toEqual([]);
});

test("a type is never given up, and every test runs", () => {
  expect(laws(CORE, "export const a = (b: any) => b;")).toEqual([
    "src/scheduler/decide.ts:2 gives a type up with any: use unknown and narrow it",
  ]);
  expect(laws(CORE, `// @ts-ignore\nexport const a = 1;`)).toEqual([
    `src/scheduler/decide.ts:2 silences the compiler with @ts-ignore: mend the type`,
  ]);
  expect(laws(CORE, "// oxlint-disable-next-line no-var\nexport const a = 1;")).toEqual([
    'src/scheduler/decide.ts:2 silences the linter without a reason: mend the code, or add " -- why" to the comment',
  ]);
  expect(laws(CORE, "// oxlint-disable-next-line no-var -- the generated code wants it\nexport const a = 1;")).toEqual(
    [],
  );
  for (const word of ["only", "skip", "todo"])
    expect(laws("test/a.test.ts", `test.${word}("a", () => {});`)).toEqual([
      `test/a.test.ts:2 uses test.${word}: every test runs, every time`,
    ]);
  expect(laws("test/a.test.ts", 'test("any test.only", () => { offers.skip(1); });')).toEqual([]);
});

test("nothing is left open", () => {
  for (const word of ["TO" + "DO", "FIX" + "ME"]) {
    const line = [`src/scheduler/decide.ts:2 has a ${word}: do it, or leave it out`];
    expect(laws(CORE, `export const a = 1; // ${word}: more`)).toEqual(line);
    expect(checkFile("scripts/setup", `#!/bin/bash\n# Sets up.\necho # ${word}\n`).map(violationText)).toEqual([
      `scripts/setup:3 has a ${word}: do it, or leave it out`,
    ]);
  }
  expect(laws(CORE, "export const a = 'To do: nothing';")).toEqual([]);
});

test("no file names a registry's host or a path of one machine", () => {
  const host = ["registry", "npmjs", "org"].join(".");
  expect(checkFile("bun.lock", `{\n"a": "https://${host}/a.tgz" }`).map(violationText)).toEqual([
    `bun.lock:2 names the host "${host}": name the package, its client knows the registry`,
  ]);
  for (const other of [
    ["repo1", "maven", "org"],
    ["pypi", "org"],
    ["deb", "debian", "org"],
    ["crates", "io"],
  ])
    expect(checkFile("docs/A.md", other.join("."))).toHaveLength(1);
  expect(checkFile("docs/A.md", "http://repo.example.com/cassandra.tar.gz http://www.apache.org/licenses/")).toEqual(
    [],
  );
  const place = "/" + "work/main";
  expect(checkFile("docs/A.md", `see ${place}`).map(violationText)).toEqual([
    'docs/A.md:1 names the path "/' + 'work/" of one machine: make it relative to the file or take it as an argument',
  ]);
  expect(checkFile("docs/A.md", "--work_dir=/var/lib/mesos/work/ ./work/a ${dir}/work/a '/" + "work/'")).toEqual([]);
});

test("every file starts with a comment that says what it is for", () => {
  const message = "starts without a comment: say in one or two lines what the file is for";
  expect(checkFile(CORE, "export const a = 1;\n").map(violationText)).toEqual([`src/scheduler/decide.ts:1 ${message}`]);
  expect(checkFile("scripts/test", "#!/bin/bash\nset -e\n").map(violationText)).toEqual([`scripts/test:1 ${message}`]);
  expect(checkFile("scripts/test", "#!/bin/bash\n# Runs all tests.\nset -e\n")).toEqual([]);
  expect(checkFile("test/real/fetch", '#!/usr/bin/env python3\n"""Fetches."""\n')).toEqual([]);
  expect(checkFile("scripts/a.ts", "#!/usr/bin/env bun\n/** Says a. */\n")).toEqual([]);
  expect(checkFile("package.json", "{}\n")).toEqual([]);
});

test("a file that cannot be parsed is a violation, not a crash", () => {
  expect(laws(CORE, "export const = 1;")).toEqual([
    "src/scheduler/decide.ts:2 cannot be parsed (Unexpected token): mend the syntax first",
  ]);
});

test("several violations come in the order of their lines, each once", () => {
  expect(laws(CORE, "Date.now();\nMath.random(); Math.random();")).toEqual([
    `src/scheduler/decide.ts:2 reads the clock with Date.now: ${TIME}`,
    `src/scheduler/decide.ts:3 rolls dice with Math.random: ${CHANCE}`,
  ]);
});

test("long files and functions are questions, tests' functions are not", () => {
  const body = "// a\n".repeat(70);
  const long = `// For a test.\nexport function place() {\n${body}}\nexport const rank = () => {};\n`;
  expect(questions(CORE, long).map(violationText)).toEqual([
    "src/scheduler/decide.ts:2 place has 72 lines: which steps does it have?",
  ]);
  expect(questions("src/scheduler/decide.test.ts", long)).toEqual([]);
  expect(questions(CORE, "// a\n".repeat(401)).map(violationText)).toEqual([
    "src/scheduler/decide.ts:1 has 401 lines: which two things does it do?",
  ]);
  expect(questions(CORE, "// a\n".repeat(400))).toEqual([]);
});
