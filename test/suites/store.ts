// The contract of a store: every backend runs this suite. A test file gives a backend and keeps its own tests for what only
// that backend can show.
import { afterEach, describe, expect, test } from "bun:test";
import type { StoreOptions } from "../../src/store/options.ts";
import type { Folder, SessionState, Store } from "../../src/store/store.ts";
import { StoreConflict, StoreUnavailable } from "../../src/store/store.ts";

export type Backend = {
  /** Another store on the same backend. */
  open(options: StoreOptions): Promise<Store>;
  /** Ends the session of every open store, as a long silence would. Left out where a test file shows it in its own way. */
  readonly expire?: () => Promise<void>;
};

const DEADLINE_MS = 15_000;
let roots = 0;

/** Waits until `condition` holds, and fails with `what` when it does not for long. */
export async function waitUntil(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited ${DEADLINE_MS} ms in vain until ${what}`);
    await Bun.sleep(5);
  }
}

/** What `call` rejects with; fails when it does not. */
export async function failure(call: Promise<unknown>): Promise<Error> {
  const outcome = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (outcome instanceof Error) return outcome;
  throw new Error(`Found ${String(outcome)}, wanted a rejection with an Error`);
}

/** A folder's records as plain data, for comparing. */
export function plain(folder: Folder | undefined): { [name: string]: unknown } | undefined {
  return folder === undefined ? undefined : Object.fromEntries(folder);
}

/** Runs the contract on what `backend` gives; every test has a root of its own. */
export function storeSuite(name: string, backend: () => Backend): void {
  describe(`${name} keeps the contract of a store:`, () => {
    const opened: Store[] = [];
    let root = "";

    async function open(options: Partial<StoreOptions> = {}): Promise<Store> {
      const store = await backend().open({ root, sessionTimeoutMs: 3000, ...options });
      opened.push(store);
      return store;
    }

    /** A store on a root that nobody has used. */
    async function openFirst(options: Partial<StoreOptions> = {}): Promise<Store> {
      roots += 1;
      root = `/suite/${name}-${roots}`;
      return open(options);
    }

    afterEach(async () => {
      await Promise.all(opened.splice(0).map((store) => store.close()));
    });

    test("a record that was never written is absent", async () => {
      const store = await openFirst();
      expect(await store.read("nodes/a")).toBeUndefined();
      expect(plain(await store.list("nodes"))).toEqual({});
      expect(plain(await store.list(""))).toEqual({});
    });

    test("a record is read as it was written, with a version that counts its writes from 1", async () => {
      const store = await openFirst();
      const value = { schema: 1, text: 'ü "\\ \u0000 ☃', list: [1, 2.5, null, true], empty: {} };
      await store.write([{ type: "put", path: "nodes/a", value }]);
      expect(await store.read("nodes/a")).toEqual({ value, version: 1 });
      await store.write([{ type: "put", path: "nodes/a", value: 2 }]);
      await store.write([{ type: "put", path: "nodes/a", value: null }]);
      expect(await store.read("nodes/a")).toEqual({ value: null, version: 3 });
    });

    test("a deleted record is absent, and a new one at its place begins at version 1", async () => {
      const store = await openFirst();
      await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
      await store.write([{ type: "put", path: "nodes/a", value: 2 }]);
      await store.write([{ type: "delete", path: "nodes/a" }]);
      expect(await store.read("nodes/a")).toBeUndefined();
      await store.write([{ type: "delete", path: "nodes/a" }]);
      await store.write([{ type: "put", path: "nodes/a", value: 3, expect: "absent" }]);
      expect(await store.read("nodes/a")).toEqual({ value: 3, version: 1 });
    });

    test("a put with the version that is there succeeds", async () => {
      const store = await openFirst();
      await store.write([{ type: "put", path: "nodes/a", value: 1, expect: "absent" }]);
      await store.write([{ type: "put", path: "nodes/a", value: 2, expect: 1 }]);
      await store.write([{ type: "put", path: "nodes/a", value: 3, expect: 2 }]);
      expect(await store.read("nodes/a")).toEqual({ value: 3, version: 3 });
      await store.write([{ type: "delete", path: "nodes/a", expect: 3 }]);
      expect(await store.read("nodes/a")).toBeUndefined();
    });

    test("a write that expects what is not there is a conflict that names path, found and wanted", async () => {
      const store = await openFirst();
      await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
      const refused = [
        [
          { type: "put", path: "nodes/a", value: 9, expect: "absent" },
          'put "nodes/a": found version 1, wanted no record',
        ],
        [{ type: "put", path: "nodes/a", value: 9, expect: 2 }, 'put "nodes/a": found version 1, wanted version 2'],
        [{ type: "put", path: "nodes/b", value: 9, expect: 1 }, 'put "nodes/b": found no record, wanted version 1'],
        [{ type: "delete", path: "nodes/a", expect: 2 }, 'delete "nodes/a": found version 1, wanted version 2'],
        [{ type: "delete", path: "nodes/b", expect: 1 }, 'delete "nodes/b": found no record, wanted version 1'],
      ] as const;
      for (const [write, message] of refused) {
        const error = await failure(store.write([write]));
        expect(error).toBeInstanceOf(StoreConflict);
        expect(error.message).toBe(`Cannot ${message}`);
      }
      expect(plain(await store.list("nodes"))).toEqual({ a: { value: 1, version: 1 } });
    });

    test("a transaction is written as a whole", async () => {
      const store = await openFirst();
      await store.write([
        { type: "put", path: "nodes/a", value: 1 },
        { type: "put", path: "plans/7", value: 1 },
      ]);
      await store.write([
        { type: "put", path: "nodes/a", value: 2, expect: 1 },
        { type: "put", path: "nodes/b", value: 1, expect: "absent" },
        { type: "delete", path: "plans/7", expect: 1 },
        { type: "delete", path: "plans/8" },
      ]);
      expect(plain(await store.list("nodes"))).toEqual({ a: { value: 2, version: 2 }, b: { value: 1, version: 1 } });
      expect(plain(await store.list("plans"))).toEqual({});
    });

    test("a transaction with one conflict leaves nothing written", async () => {
      const store = await openFirst();
      await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
      const conflict = store.write([
        { type: "put", path: "nodes/b", value: 1 },
        { type: "delete", path: "nodes/a" },
        { type: "put", path: "nodes/c", value: 1, ephemeral: true },
        { type: "put", path: "nodes/d", value: 1, expect: 4 },
      ]);
      expect(await failure(conflict)).toBeInstanceOf(StoreConflict);
      expect(plain(await store.list("nodes"))).toEqual({ a: { value: 1, version: 1 } });
    });

    test("of two writers that expect the same version one wins", async () => {
      const [one, two] = [await openFirst(), await open()];
      await one.write([{ type: "put", path: "nodes/a", value: 0 }]);
      const outcomes = await Promise.allSettled([
        one.write([{ type: "put", path: "nodes/a", value: "one", expect: 1 }]),
        two.write([{ type: "put", path: "nodes/a", value: "two", expect: 1 }]),
      ]);
      expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(await two.read("nodes/a")).toMatchObject({ version: 2 });
    });

    test("writers without expectation never refuse each other, and no write is lost", async () => {
      const [one, two] = [await openFirst(), await open()];
      const writes = Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? one : two).write([{ type: "put", path: "nodes/a", value: n }]),
      );
      await Promise.all(writes);
      expect(await one.read("nodes/a")).toMatchObject({ version: 20 });
    });

    test("writes of one store take effect in the order of the calls", async () => {
      const store = await openFirst();
      const writes = Array.from({ length: 30 }, (_, n) =>
        store.write([{ type: "put", path: `deep/er/${n % 3}`, value: n }]),
      );
      await Promise.all(writes);
      expect(plain(await store.list("deep/er"))).toEqual({
        0: { value: 27, version: 10 },
        1: { value: 28, version: 10 },
        2: { value: 29, version: 10 },
      });
    });

    test("a folder lists the records directly in it", async () => {
      const store = await openFirst();
      await store.write([
        { type: "put", path: "framework", value: 0 },
        { type: "put", path: "nodes/a", value: 1 },
        { type: "put", path: "nodes/b", value: 2 },
        { type: "put", path: "nodes/deep/c", value: 3 },
        { type: "put", path: "nodes2/d", value: 4 },
      ]);
      expect(plain(await store.list("nodes"))).toEqual({ a: { value: 1, version: 1 }, b: { value: 2, version: 1 } });
      expect(plain(await store.list("nodes/deep"))).toEqual({ c: { value: 3, version: 1 } });
      expect(plain(await store.list(""))).toEqual({ framework: { value: 0, version: 1 } });
      expect(plain(await store.list("framework"))).toEqual({});
    });

    test("a record is nobody's folder", async () => {
      const store = await openFirst();
      await store.write([{ type: "put", path: "a/b", value: 1 }]);
      expect((await failure(store.write([{ type: "put", path: "a", value: 1 }]))).message).toContain(
        'Cannot put "a": found a folder',
      );
      expect((await failure(store.write([{ type: "put", path: "a/b/c/d", value: 1 }]))).message).toContain(
        'found a record "a/b"',
      );
      await store.write([{ type: "put", path: "a/c", value: 1 }]);
      expect(await store.read("a")).toBeUndefined();
      expect(plain(await store.list("a/b/c"))).toEqual({});
    });

    test("every allowed character may stand in a path", async () => {
      const store = await openFirst();
      const paths = ["ABCXYZabcxyz0189", "._@-", "-", "...", "@", "riak@10.0.0.1", "x".repeat(200)];
      for (const name of paths) await store.write([{ type: "put", path: `names/${name}`, value: name }]);
      const wanted = Object.fromEntries(paths.map((name) => [name, { value: name, version: 1 }]));
      expect(plain(await store.list("names"))).toEqual(wanted);
    });

    test("other paths are refused by name", async () => {
      const store = await openFirst();
      const refused = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "a/..",
        "a b",
        "a\u0000b",
        "ü",
        "a:b",
        "%41",
        "a*",
        "x".repeat(1025),
      ];
      for (const path of refused) {
        expect((await failure(store.read(path))).message).toContain('Cannot use path "');
        expect((await failure(store.write([{ type: "put", path, value: 1 }]))).message).toContain('Cannot use path "');
        expect((await failure(store.write([{ type: "delete", path }]))).message).toContain('Cannot use path "');
        if (path !== "") expect((await failure(store.list(path))).message).toContain('Cannot use folder "');
      }
      for (const lock of ["", "a/b", "..", "a b"])
        expect((await failure(store.lock(lock, null))).message).toContain(`Cannot use lock "${lock}"`);
      expect(plain(await store.list(""))).toEqual({});
    });

    test("a value of 512 KiB is kept", async () => {
      const store = await openFirst();
      const value = "ü".repeat(256 * 1024);
      await store.write([
        { type: "put", path: "big/a", value },
        { type: "put", path: "big/b", value: 1 },
      ]);
      expect(plain(await store.list("big"))).toEqual({ a: { value, version: 1 }, b: { value: 1, version: 1 } });
    });

    test("a transaction that no backend could hold is refused with its size", async () => {
      const store = await openFirst();
      const big = store.write([{ type: "put", path: "big/a", value: "x".repeat(1024 * 1024) }]);
      expect((await failure(big)).message).toContain(
        'Cannot write "big/a": found 1048578 bytes of JSON, wanted at most 921600',
      );
      const many = Array.from({ length: 1001 }, (_, n) => ({ type: "put", path: `many/${n}`, value: n }) as const);
      expect((await failure(store.write(many))).message).toContain("found 1001 writes, wanted at most 1000");
      const twice = [{ type: "put", path: "a", value: 1 } as const, { type: "delete", path: "a" } as const];
      expect((await failure(store.write(twice))).message).toContain("found a path twice");
      await store.write(many.slice(1));
      expect((await store.list("many")).size).toBe(1000);
    });

    test("more operations than may wait are refused, and the others are carried out", async () => {
      const store = await openFirst({ pendingMax: 50 });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 400 }, (_, n) => store.write([{ type: "put", path: `many/${n}`, value: n }])),
      );
      const written = outcomes.flatMap((outcome, n) => (outcome.status === "fulfilled" ? [String(n)] : []));
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(StoreUnavailable);
      }
      expect(written.length).toBeGreaterThanOrEqual(50);
      expect([...(await store.list("many")).keys()].sort()).toEqual(written.sort());
    });

    describe("watch", () => {
      /** Everything a watch tells about a folder. */
      function follow(store: Store, folder: string): { readonly told: unknown[]; last(): unknown; close(): void } {
        const told: unknown[] = [];
        const watch = store.watch(folder, (records) => told.push(plain(records)));
        return { told, last: () => told.at(-1), close: () => watch.close() };
      }

      test("tells the content at once, also of an empty folder", async () => {
        const store = await openFirst();
        await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
        const [nodes, none] = [follow(store, "nodes"), follow(store, "no/such")];
        await waitUntil("both are told", () => nodes.told.length > 0 && none.told.length > 0);
        expect([nodes.told, none.told]).toEqual([[{ a: { value: 1, version: 1 } }], [{}]]);
      });

      test("tells what another store puts, changes and deletes", async () => {
        const [store, other] = [await openFirst(), await open()];
        const nodes = follow(store, "nodes");
        await waitUntil("the empty folder is told", () => nodes.told.length === 1);
        await other.write([{ type: "put", path: "nodes/a", value: 1 }]);
        await waitUntil("the put is told", () => Bun.deepEquals(nodes.last(), { a: { value: 1, version: 1 } }));
        await other.write([{ type: "put", path: "nodes/a", value: 2 }]);
        await waitUntil("the change is told", () => Bun.deepEquals(nodes.last(), { a: { value: 2, version: 2 } }));
        await other.write([
          { type: "delete", path: "nodes/a" },
          { type: "put", path: "nodes/b", value: 3 },
        ]);
        await waitUntil("the delete is told", () => Bun.deepEquals(nodes.last(), { b: { value: 3, version: 1 } }));
        await other.write([{ type: "delete", path: "nodes/b" }]);
        await waitUntil("the empty folder is told again", () => Bun.deepEquals(nodes.last(), {}));
      });

      test("tells what its own store writes, and a record of another life with the same version", async () => {
        const store = await openFirst();
        const nodes = follow(store, "nodes");
        await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
        await waitUntil("the put is told", () => Bun.deepEquals(nodes.last(), { a: { value: 1, version: 1 } }));
        await store.write([{ type: "delete", path: "nodes/a" }]);
        await store.write([{ type: "put", path: "nodes/a", value: 2 }]);
        await waitUntil("the new record is told", () => Bun.deepEquals(nodes.last(), { a: { value: 2, version: 1 } }));
      });

      test("ends with the last state of records that come and go all the time", async () => {
        const [store, other] = [await openFirst(), await open()];
        const nodes = follow(store, "nodes");
        for (let round = 0; round < 40; round += 1) {
          await other.write([{ type: "put", path: "nodes/a", value: round }]);
          await other.write([{ type: "delete", path: "nodes/a" }]);
          await other.write([{ type: "put", path: "nodes/a", value: `end of ${round}` }]);
          const wanted = { a: { value: `end of ${round}`, version: 1 } };
          if (round % 4 === 0) await waitUntil("the last state is told", () => Bun.deepEquals(nodes.last(), wanted));
          if (round % 2 === 0) await other.write([{ type: "delete", path: "nodes/a" }]);
        }
        await waitUntil("the end is told", () =>
          Bun.deepEquals(nodes.last(), { a: { value: "end of 39", version: 1 } }),
        );
      });

      test("ends with the last state after a burst of changes by two stores", async () => {
        const [store, other] = [await openFirst(), await open()];
        const nodes = follow(store, "nodes");
        const burst = Array.from({ length: 60 }, (_, n) =>
          (n % 2 === 0 ? store : other).write([{ type: "put", path: `nodes/${n % 6}`, value: n }]),
        );
        await Promise.all(burst);
        await waitUntil("the last state is told", async () =>
          Bun.deepEquals(nodes.last(), plain(await other.list("nodes"))),
        );
        expect(nodes.told.length).toBeLessThanOrEqual(61);
      });

      test("tells nothing of other folders, and nothing after its close", async () => {
        const store = await openFirst();
        const [nodes, plans] = [follow(store, "nodes"), follow(store, "plans")];
        await waitUntil("both are told", () => nodes.told.length > 0 && plans.told.length > 0);
        nodes.close();
        await store.write([
          { type: "put", path: "nodes/a", value: 1 },
          { type: "put", path: "nodes/deep/a", value: 1 },
          { type: "put", path: "plans/deep/a", value: 1 },
        ]);
        await store.write([{ type: "put", path: "plans/1", value: 1 }]);
        await waitUntil("the plan is told", () => plans.told.length > 1);
        expect([nodes.told, plans.told]).toEqual([[{}], [{}, { 1: { value: 1, version: 1 } }]]);
      });
    });

    describe("an ephemeral record", () => {
      test("is seen by others and gone when its store is closed", async () => {
        const [store, other] = [await openFirst(), await open()];
        await store.write([
          { type: "put", path: "endpoints/a", value: { port: 1 }, ephemeral: true },
          { type: "put", path: "endpoints/b", value: { port: 2 } },
        ]);
        const kept = { b: { value: { port: 2 }, version: 1 } };
        expect(plain(await other.list("endpoints"))).toEqual({ a: { value: { port: 1 }, version: 1 }, ...kept });
        let last: unknown;
        other.watch("endpoints", (records) => (last = plain(records)));
        await store.close();
        await waitUntil("the record is gone", () => Bun.deepEquals(last, kept));
        expect(plain(await other.list("endpoints"))).toEqual(kept);
      });

      test("outlives the close of other stores, and may be changed and deleted", async () => {
        const [store, other] = [await openFirst(), await open()];
        await store.write([{ type: "put", path: "epmd/a", value: 1, ephemeral: true }]);
        await store.write([{ type: "put", path: "epmd/a", value: 2, ephemeral: true, expect: 1 }]);
        await other.close();
        expect(await store.read("epmd/a")).toEqual({ value: 2, version: 2 });
        await store.write([{ type: "delete", path: "epmd/a", expect: 2 }]);
        expect(await store.read("epmd/a")).toBeUndefined();
      });

      test("is a new record when another session or durability takes it over", async () => {
        const [store, other] = [await openFirst(), await open()];
        await store.write([{ type: "put", path: "epmd/a", value: 1, ephemeral: true }]);
        await store.write([{ type: "put", path: "epmd/b", value: 1, ephemeral: true }]);
        await other.write([{ type: "put", path: "epmd/a", value: 2, ephemeral: true, expect: 1 }]);
        await other.write([{ type: "put", path: "epmd/b", value: 2 }]);
        expect(plain(await store.list("epmd"))).toEqual({ a: { value: 2, version: 1 }, b: { value: 2, version: 1 } });
        await store.close();
        expect(plain(await other.list("epmd"))).toEqual({ a: { value: 2, version: 1 }, b: { value: 2, version: 1 } });
        const third = await open();
        await other.close();
        expect(plain(await third.list("epmd"))).toEqual({ b: { value: 2, version: 1 } });
      });
    });

    describe("a lock", () => {
      test("has one holder, whom everybody may read", async () => {
        const [store, other] = [await openFirst(), await open()];
        expect(await other.holder("leader")).toBeUndefined();
        const lock = await store.lock("leader", { host: "a" });
        expect([lock.name, lock.lost.aborted]).toEqual(["leader", false]);
        expect(await other.holder("leader")).toEqual({ host: "a" });
        let second = false;
        const waiting = other.lock("leader", { host: "b" }).then((taken) => {
          second = true;
          return taken;
        });
        await (await other.lock("another", { host: "b" })).release();
        expect([second, await store.holder("leader")]).toEqual([false, { host: "a" }]);
        await lock.release();
        const next = await waiting;
        expect([lock.lost.aborted, next.lost.aborted, await store.holder("leader")]).toEqual([
          true,
          false,
          { host: "b" },
        ]);
        await next.release();
        await next.release();
        expect(await store.holder("leader")).toBeUndefined();
      });

      test("excludes also within one store", async () => {
        const store = await openFirst();
        let holders = 0;
        const turns = Array.from({ length: 5 }, async (_, n) => {
          const lock = await store.lock("leader", n);
          holders += 1;
          expect(holders).toBe(1);
          await store.write([{ type: "put", path: "turn", value: n }], { lock });
          holders -= 1;
          await lock.release();
        });
        await Promise.all(turns);
        expect(await store.read("turn")).toMatchObject({ version: 5 });
      });

      test("goes to the next when its holder's store is closed", async () => {
        const [store, other] = [await openFirst(), await open()];
        const lock = await store.lock("leader", "a");
        const waiting = other.lock("leader", "b");
        await store.close();
        const next = await waiting;
        expect([lock.lost.aborted, next.lost.aborted, await other.holder("leader")]).toEqual([true, false, "b"]);
      });

      test("is not waited for any longer once the signal aborts", async () => {
        const [store, other] = [await openFirst(), await open()];
        const lock = await store.lock("leader", "a");
        const stop = new AbortController();
        const waiting = failure(other.lock("leader", "b", stop.signal));
        stop.abort(new Error("enough"));
        expect(await waiting).toEqual(new Error("enough"));
        const never = other.lock("leader", "b", AbortSignal.abort(new Error("never began")));
        expect(await failure(never)).toEqual(new Error("never began"));
        await lock.release();
        const again = await store.lock("leader", "c");
        expect(again.lost.aborted).toBe(false);
      });

      test("is not waited for any longer once the store is closed", async () => {
        const [store, other] = [await openFirst(), await open()];
        await store.lock("leader", "a");
        const waiting = failure(other.lock("leader", "b"));
        await other.close();
        expect(await waiting).toBeInstanceOf(StoreUnavailable);
      });

      test("fences: writes succeed while it is held and conflict when it is lost", async () => {
        const [store, other] = [await openFirst(), await open()];
        const lock = await store.lock("leader", "a");
        await store.write([{ type: "put", path: "nodes/a", value: 1 }], { lock });
        await store.write([], { lock });
        await lock.release();
        const next = await other.lock("leader", "b");
        const late = store.write([{ type: "put", path: "nodes/a", value: "late" }], { lock });
        expect(await failure(late)).toBeInstanceOf(StoreConflict);
        expect(await failure(store.write([], { lock }))).toBeInstanceOf(StoreConflict);
        await other.write([{ type: "put", path: "nodes/a", value: 2, expect: 1 }], { lock: next });
        expect(await store.read("nodes/a")).toEqual({ value: 2, version: 2 });
      });
    });

    test("after its close a store refuses everything, and closes again without complaint", async () => {
      const store = await openFirst();
      await store.close();
      await store.close();
      const calls = [
        store.read("a"),
        store.list("a"),
        store.write([{ type: "put", path: "a", value: 1 }]),
        store.lock("leader", 1),
        store.holder("leader"),
      ];
      for (const error of await Promise.all(calls.map(failure))) expect(error).toBeInstanceOf(StoreUnavailable);
    });

    test("stores with other roots do not see each other", async () => {
      const store = await openFirst();
      await store.write([{ type: "put", path: "nodes/a", value: 1 }]);
      await store.lock("leader", 1);
      const other = await openFirst();
      expect(plain(await other.list("nodes"))).toEqual({});
      await other.lock("leader", 2);
    });

    test("an expired session is lost and made again: ephemeral records and watches come back, locks do not", async () => {
      const expire = backend().expire;
      if (expire === undefined) return;
      const [store, other] = [await openFirst(), await open()];
      await expectRecovery(store, other, () => expire());
    });
  });
}

/** Ends the session of `store` by `expire` and checks all that must be lost and all that must come back. */
export async function expectRecovery(store: Store, other: Store, expire: () => Promise<void>): Promise<void> {
  const states: SessionState[] = [];
  store.onSession((state) => states.push(state));
  const lock = await store.lock("leader", "store");
  await store.write([{ type: "put", path: "endpoints/a", value: 1, ephemeral: true }]);
  await store.write([{ type: "put", path: "endpoints/fenced", value: 1, ephemeral: true }], { lock });
  await store.write([{ type: "put", path: "endpoints/deleted", value: 1, ephemeral: true }]);
  await store.write([{ type: "delete", path: "endpoints/deleted" }]);
  await store.write([{ type: "put", path: "endpoints/durable", value: 1 }]);
  let last: unknown;
  const watch = store.watch("endpoints", (records) => (last = plain(records)));

  await expire();
  await waitUntil("the session is made again", () => states.includes("lost") && states.at(-1) === "connected");
  const kept = { a: { value: 1, version: 1 }, durable: { value: 1, version: 1 } };
  await waitUntil("the records are as they should be", async () =>
    Bun.deepEquals(plain(await other.list("endpoints")), kept),
  );
  await waitUntil("the watch tells them", () => Bun.deepEquals(last, kept));

  expect(lock.lost.aborted).toBe(true);
  const late = store.write([{ type: "put", path: "endpoints/durable", value: "late" }], { lock });
  expect(await failure(late)).toBeInstanceOf(StoreConflict);
  const next = await other.lock("leader", "other");
  await other.write([{ type: "put", path: "endpoints/b", value: 2 }], { lock: next });
  await waitUntil("the watch tells new records", () => Bun.deepEquals(last, { ...kept, b: { value: 2, version: 1 } }));
  watch.close();
}
