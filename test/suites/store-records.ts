// The contract of a store, first part: records, versions, transactions, names and sizes.
import { expect, test } from "bun:test";
import { StoreConflict, StoreUnavailable } from "../../src/store/store.ts";
import { failure, plain } from "./outcome.ts";
import type { Stores } from "./store.ts";

/** What is written is read, and what is refused leaves nothing. */
export function recordTests({ open, openFirst }: Stores): void {
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
}
