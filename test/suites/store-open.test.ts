// Opening a store by its URL, and what an operator is told when that fails.
import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failure } from "./outcome.ts";
import { StoreUnavailable } from "../../src/store/store.ts";
import { openStore } from "../../src/store/io/open.ts";

const directory = mkdtempSync(join(tmpdir(), "ringmaster-open-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const options = { root: "/ringmaster/demo", operationTimeoutMs: 300 };

test("a SQLite store is found again by its URL, and only its owner may read the file", async () => {
  const file = join(directory, "again.db");
  const first = await openStore(`sqlite:${file}`, options);
  await first.write([{ type: "put", path: "framework", value: { schema: 1 } }]);
  await first.close();
  const again = await openStore(`sqlite:${file}`, options);
  expect(await again.read("framework")).toEqual({ value: { schema: 1 }, version: 1 });
  await again.close();
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a store in memory is another one each time", async () => {
  const [one, two] = [await openStore("memory:", options), await openStore("memory:", options)];
  await one.write([{ type: "put", path: "a", value: 1 }]);
  expect(await two.read("a")).toBeUndefined();
});

test("a root that is none is refused", async () => {
  const wrong = {
    "ringmaster/demo": 'wanted a path that starts with "/"',
    "/": 'found ""',
    "/a//b": 'found ""',
    "/a b": '"a b"',
  };
  for (const [root, message] of Object.entries(wrong)) {
    expect((await failure(openStore("memory:", { root }))).message).toContain(message);
  }
});

test("a malformed URL is refused before anything is opened", async () => {
  expect((await failure(openStore("etcd://a", options))).message).toContain(
    'Cannot use store "etcd://a": found another scheme',
  );
});

test("a file that cannot be opened is named with the reason", async () => {
  mkdirSync(join(directory, "folder.db"));
  writeFileSync(join(directory, "garbage.db"), "no database ".repeat(1000));
  const foreign = new Database(join(directory, "foreign.db"));
  foreign.run("CREATE TABLE t (x)");
  foreign.close();
  await (await openStore(`sqlite:${join(directory, "newer.db")}`, options)).close();
  const newer = new Database(join(directory, "newer.db"));
  newer.run("PRAGMA user_version = 7");
  newer.close();
  const reasons = {
    "absent/x.db": "ENOENT: no such file or directory",
    "folder.db": "EISDIR: illegal operation on a directory",
    "garbage.db": "file is not a database (SQLITE_NOTADB)",
    "foreign.db": "found the database of another application, wanted a store or no file",
    "newer.db": "found format 7, wanted 1: another release wrote it",
  };
  for (const [name, reason] of Object.entries(reasons)) {
    const file = join(directory, name);
    const { message } = await failure(openStore(`sqlite:${file}`, options));
    expect(message).toStartWith(`Cannot open store "sqlite:${file}": `);
    expect(message).toContain(reason);
  }
  const untouched = new Database(join(directory, "foreign.db"), { readonly: true });
  expect(untouched.query("SELECT name FROM sqlite_master").all()).toEqual([{ name: "t" }]);
  untouched.close();
});

test("a file that another process keeps busy makes writes fail in time, and reads go on", async () => {
  const file = join(directory, "busy.db");
  const store = await openStore(`sqlite:${file}`, options);
  await store.write([{ type: "put", path: "a", value: 1 }]);
  const other = new Database(file);
  other.run("BEGIN IMMEDIATE");
  const error = await failure(store.write([{ type: "put", path: "a", value: 2 }]));
  expect(error).toBeInstanceOf(StoreUnavailable);
  expect(error.message).toBe("Cannot write: database is locked (SQLITE_BUSY)");
  expect(await store.read("a")).toEqual({ value: 1, version: 1 });
  const waiting = store.write([{ type: "put", path: "a", value: 3 }]);
  other.run("ROLLBACK");
  other.close();
  await waiting;
  expect(await store.read("a")).toEqual({ value: 3, version: 2 });
  await store.close();
});
