// The contract of a store, second part: watches.
import { expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { plain, waitUntil } from "./outcome.ts";
import type { Stores } from "./store.ts";

/** Everything a watch tells about a folder. */
function follow(store: Store, folder: string): { readonly told: unknown[]; last(): unknown; close(): void } {
  const told: unknown[] = [];
  const watch = store.watch(folder, (records) => told.push(plain(records)));
  return { told, last: () => told.at(-1), close: () => watch.close() };
}

/** What a watch tells and when. */
export function watchTests({ open, openFirst }: Stores): void {
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
    await waitUntil("the end is told", () => Bun.deepEquals(nodes.last(), { a: { value: "end of 39", version: 1 } }));
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
}
