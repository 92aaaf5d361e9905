// The SQLite store runs the contract, and shows what only a file shared by processes can: crashes, freezes, bad files.
import type { Subprocess } from "bun";
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { plain, waitUntil } from "./outcome.ts";
import { type Backend, storeSuite } from "./store.ts";
import type { SessionState } from "../../src/store/store.ts";
import { openSqlite } from "../../src/store/io/sqlite.ts";

const directory = mkdtempSync(join(tmpdir(), "ringmaster-sqlite-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const shared = join(directory, "shared.db");
const backend: Backend = {
  open: (options) => openSqlite(shared, options),
  expire: () => Promise.resolve(endSessions(shared)),
};

/** What another process does that finds all leases over. */
function endSessions(file: string): void {
  const raw = new Database(file);
  raw.run("PRAGMA foreign_keys = ON");
  raw.run("DELETE FROM sessions");
  raw.close();
}

storeSuite("sqlite", () => backend);

const processes: Subprocess[] = [];
afterEach(async () => {
  for (const child of processes.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

/** Another process that has `store` open on `file` and runs `body`; what it prints comes line by line. */
function spawnStore(file: string, body: string, sessionTimeoutMs = 10_000): Child {
  const options = JSON.stringify({ root: "/crash", sessionTimeoutMs });
  const program = `
    import type { SessionState } from "../../src/store/store.ts";
import { openSqlite } from ${JSON.stringify(join(import.meta.dir, "../../src/store/io/sqlite.ts"))};
    const store = await openSqlite(${JSON.stringify(file)}, ${options});
    ${body}`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  processes.push(child);
  const lines: string[] = [];
  const reading = (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
    }
  })();
  return { child, lines, reading };
}

type Child = {
  readonly child: Subprocess<"pipe", "pipe", "inherit">;
  readonly lines: readonly string[];
  readonly reading: Promise<void>;
};

describe("a sqlite store", () => {
  const options = { root: "/crash", sessionTimeoutMs: 10_000 };

  test("has every acknowledged write of a process that was killed while it wrote, and its locks and ephemerals go", async () => {
    const file = join(directory, "crash.db");
    for (const acknowledged of [1, 40, 300]) {
      const { child, lines, reading } = spawnStore(
        file,
        `const lock = await store.lock("leader", process.pid);
         await store.write([{ type: "put", path: "endpoints/writer", value: 1, ephemeral: true }]);
         for (let n = 0; ; n += 1) {
           const writes = ["a", "b", "c"].map((name) => ({ type: "put", path: "rows/" + name, value: n }));
           await store.write([...writes, { type: "put", path: "log/" + n, value: "x".repeat(1000) }], { lock });
           console.log(n);
         }`,
      );
      await waitUntil("writes are acknowledged", () => lines.length >= acknowledged);
      child.kill("SIGKILL");
      await child.exited;
      await reading;
      const store = await openSqlite(file, options);
      const startedMs = performance.now();
      const lock = await store.lock("leader", "next");
      // The lease would have lasted ten seconds: the death of the process is what frees the lock.
      expect(performance.now() - startedMs).toBeLessThan(5000);
      const last = Number(lines.at(-1));
      const rows = [...(await store.list("rows")).values()].map((record) => Number(record.value));
      expect(new Set(rows).size).toBe(1);
      expect(rows[0]).toBeGreaterThanOrEqual(last);
      const log = await store.list("log");
      for (let n = 0; n <= last; n += 1) expect(log.has(String(n))).toBe(true);
      expect(plain(await store.list("endpoints"))).toEqual({});
      await lock.release();
      await store.write([...log.keys()].map((name) => ({ type: "delete", path: `log/${name}` })));
      await store.close();
    }
  });

  test("takes over from a process that is frozen longer than its lease, whose late write is fenced off", async () => {
    const file = join(directory, "frozen.db");
    const { child, lines } = spawnStore(
      file,
      `const states = [];
       store.onSession((state) => states.push(state));
       const lock = await store.lock("leader", "frozen");
       await store.write([{ type: "put", path: "endpoints/frozen", value: 1, ephemeral: true }]);
       console.log("ready");
       for await (const line of console) {
         const outcome = await store.write([{ type: "put", path: "row", value: "late" }], { lock }).then(() => "written", (error) => error.name);
         console.log(outcome);
         while (states.at(-1) !== "connected") await Bun.sleep(10);
         console.log(states.join(), lock.lost.aborted);
       }`,
      1500,
    );
    await waitUntil("the first holder is ready", () => lines.includes("ready"));
    const store = await openSqlite(file, options);
    child.kill("SIGSTOP");
    const lock = await store.lock("leader", "next");
    await store.write([{ type: "put", path: "row", value: "next" }], { lock });
    await waitUntil("its record is gone", async () => (await store.list("endpoints")).size === 0);
    await child.stdin.write("write\n");
    await child.stdin.flush();
    child.kill("SIGCONT");
    await waitUntil("the frozen one has woken up", () => lines.length === 3);
    expect(lines).toEqual(["ready", "StoreConflict", "lost,connected true"]);
    await waitUntil("its record is back", async () => (await store.list("endpoints")).size === 1);
    expect(await store.read("row")).toEqual({ value: "next", version: 1 });
    await store.close();
  });

  test("makes its session again at once when a write finds that it has expired", async () => {
    const file = join(directory, "expired.db");
    const store = await openSqlite(file, { ...options, sessionTimeoutMs: 60_000 });
    const states: SessionState[] = [];
    store.onSession((state) => states.push(state));
    await store.write([{ type: "put", path: "epmd/a", value: 1, ephemeral: true }]);
    const old = await store.lock("old", 1);
    endSessions(file);
    await store.write([{ type: "put", path: "epmd/b", value: 1, ephemeral: true }]);
    expect([states, old.lost.aborted]).toEqual([["lost", "connected"], true]);
    endSessions(file);
    const lock = await store.lock("new", 1);
    await store.write([{ type: "put", path: "row", value: 1 }], { lock });
    expect(plain(await store.list("epmd"))).toEqual({ a: { value: 1, version: 1 }, b: { value: 1, version: 1 } });
    await store.close();
  });

  test("loses its locks when another process keeps the file busy for longer than the lease", async () => {
    const file = join(directory, "busy.db");
    const store = await openSqlite(file, { ...options, sessionTimeoutMs: 600, operationTimeoutMs: 200 });
    const states: SessionState[] = [];
    store.onSession((state) => states.push(state));
    const lock = await store.lock("leader", 1);
    await store.write([{ type: "put", path: "epmd/a", value: 1, ephemeral: true }]);
    const other = new Database(file);
    other.run("BEGIN IMMEDIATE");
    await waitUntil("the loss is told", () => states.at(-1) === "lost");
    expect(lock.lost.aborted).toBe(true);
    other.run("ROLLBACK");
    other.close();
    await waitUntil("the session is made again", () => states.at(-1) === "connected");
    expect(states).toEqual(["suspended", "lost", "connected"]);
    expect(plain(await store.list("epmd"))).toEqual({ a: { value: 1, version: 1 } });
    expect(await store.holder("leader")).toBeUndefined();
    await store.close();
  });
});
