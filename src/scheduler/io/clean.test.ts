// What is forgotten of a framework, and when nothing is.
import { expect, test } from "bun:test";
import { MemoryBackend } from "../../store/io/memory.ts";
import { clean } from "./clean.ts";

async function framework() {
  const backend = new MemoryBackend();
  const store = backend.open({ root: "/ringmaster/r" });
  const paths = [
    "framework",
    "clusters/c",
    "nodes/n-1",
    "nodes/n-2",
    "plans/p",
    "leftovers/l",
    "endpoints/n-1",
    "epmd/n-1",
  ];
  await store.write(paths.map((path) => ({ type: "put", path, value: 1 })));
  const other = backend.open({ root: "/ringmaster/other" });
  await other.write([{ type: "put", path: "framework", value: 1 }]);
  const said: string[] = [];
  const run = async (force: boolean) => await clean(store, "r", force, (text) => said.push(text), 50);
  const left = async () => [
    (await store.read("framework")) !== undefined,
    (await store.list("nodes")).size,
    (await store.list("epmd")).size,
    (await other.read("framework")) !== undefined,
  ];
  return { store, said, run, left };
}

const HAS = "1 in plans, 2 in nodes, 1 in clusters, 1 in leftovers, 1 in epmd, 1 in endpoints";

test("without force it only says what is there, and that is no success", async () => {
  const { said, run, left } = await framework();
  expect([await run(false), await left()]).toEqual([1, [true, 2, 1, true]]);
  expect(said).toEqual([
    `Framework "r" has ${HAS}. With --force this is forgotten: data on volumes that were not given back is lost to it.`,
  ]);
});

test("with force all of this framework is gone, and nothing of another", async () => {
  const { said, run, left } = await framework();
  expect([await run(true), await left()]).toEqual([0, [false, 0, 0, true]]);
  expect(await run(true)).toBe(0);
  expect(said).toEqual([`Framework "r" is forgotten: it had ${HAS}`, 'The store has nothing of framework "r"']);
});

test("while a scheduler leads nothing is forgotten", async () => {
  const { store, run, left } = await framework();
  const lock = await store.lock("leader", { url: "http://h:1", instance: "i" });
  const failure = await run(true).catch((error: unknown) => String(error));
  expect(failure).toBe('Error: Cannot forget framework "r": found a scheduler that leads, waited 0.05 s, wanted none');
  expect(await left()).toEqual([true, 2, 1, true]);
  await lock.release();
});
