// The contract of a store, third part: what ends with a session, which is ephemeral records and locks.
import { describe, expect, test } from "bun:test";
import type { Lock, SessionState, Store } from "../../src/store/store.ts";
import { StoreConflict, StoreUnavailable } from "../../src/store/store.ts";
import { failure, plain, waitUntil } from "./outcome.ts";
import type { Stores } from "./store.ts";

/** Ephemeral records, and locks with their fence. */
export function sessionTests({ open, openFirst }: Stores): void {
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

    test("is surely held until it is taken away by somebody who names its holder", async () => {
      const [store, other] = [await openFirst(), await open()];
      const lock = await store.lock("leader", { host: "a" });
      await other.evict("leader", { host: "b" });
      await other.evict("another", { host: "a" });
      expect([lock.isSurelyHeld(), await other.holder("leader")]).toEqual([true, { host: "a" }]);
      const waiting = other.lock("leader", { host: "b" });
      await other.evict("leader", { host: "a" });
      const next = await waiting;
      expect(await failure(store.write([], { lock }))).toBeInstanceOf(StoreConflict);
      await waitUntil("its holder hears of it", () => lock.lost.aborted);
      expect([lock.isSurelyHeld(), next.isSurelyHeld()]).toEqual([false, true]);
      await next.release();
      expect(next.isSurelyHeld()).toBe(false);
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
}

/** Ends the session of `store` by `expire` and checks all that must be lost and all that must come back. */
export async function expectRecovery(store: Store, other: Store, expire: () => Promise<void>): Promise<void> {
  const states: SessionState[] = [];
  let again: Lock | undefined;
  store.onSession((state) => {
    states.push(state);
    // While there is no session; the answer of a call that was made for the old one may come in the new one.
    if (state === "lost") void store.lock("again", "store").then((taken) => (again = taken));
  });
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

  await waitUntil("the lock that was asked for meanwhile is held", () => again !== undefined);
  expect([again?.lost.aborted, await other.holder("again")]).toEqual([false, "store"]);

  expect(lock.lost.aborted).toBe(true);
  const late = store.write([{ type: "put", path: "endpoints/durable", value: "late" }], { lock });
  expect(await failure(late)).toBeInstanceOf(StoreConflict);
  const next = await other.lock("leader", "other");
  await other.write([{ type: "put", path: "endpoints/b", value: 2 }], { lock: next });
  await waitUntil("the watch tells new records", () => Bun.deepEquals(last, { ...kept, b: { value: 2, version: 1 } }));
  watch.close();
}
