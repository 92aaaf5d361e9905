// A standby takes the lock of a leader whose process is gone, and of no other.
import { afterEach, expect, test } from "bun:test";
import { createLog } from "../../std/io/log.ts";
import { MemoryBackend } from "../../store/io/memory.ts";
import type { Lock, Store } from "../../store/store.ts";
import { Standby } from "./standby.ts";

const SETTINGS = { role: "ringmaster", artifactUri: "http://artifact", drainMs: 0 };

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(ending.splice(0).map((end) => end()));
});

/** A leader as others see it: its lock, and its address with somebody's answer. */
async function leader(
  store: Store,
  answers: string,
): Promise<{ lock: Lock; url: string; asked: () => number; end: () => Promise<void> }> {
  let asked = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked++;
      return Response.json({ instance: answers });
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  const end = (): Promise<void> => server.stop(true);
  ending.push(end);
  return { lock: await store.lock("leader", { url, instance: "first" }), url, asked: () => asked, end };
}

function standBy(store: Store): { standby: Standby; stop: AbortController; lead: Promise<Lock> } {
  const log = createLog("test", "fatal", false);
  const self = { url: "http://127.0.0.1:1", instance: "second" };
  const standby = new Standby({ store, name: "ringmaster", settings: SETTINGS, self, log });
  const stop = new AbortController();
  const lead = standby.lead(stop.signal);
  lead.catch(() => undefined);
  ending.push(async () => stop.abort(new Error("the test is over")));
  return { standby, stop, lead };
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await Bun.sleep(10);
}

test("a leader that has answered and whose address then refuses is gone", async () => {
  const backend = new MemoryBackend();
  const first = await leader(backend.open({ root: "/r" }), "first");
  const { standby, lead } = standBy(backend.open({ root: "/r" }));
  await until(() => first.asked() > 0);
  expect([standby.leader, first.lock.lost.aborted]).toEqual([{ url: first.url, instance: "first" }, false]);
  await first.end();
  const lock = await lead;
  expect([lock.lost.aborted, first.lock.lost.aborted, standby.leader]).toEqual([false, true, undefined]);
});

test("an address where somebody else answered says nothing about the leader", async () => {
  const backend = new MemoryBackend();
  const first = await leader(backend.open({ root: "/r" }), "a stranger");
  const { stop, lead } = standBy(backend.open({ root: "/r" }));
  await until(() => first.asked() > 0);
  await first.end();
  await Bun.sleep(1500);
  stop.abort(new Error("enough"));
  expect(await lead.catch(String)).toBe("Error: enough");
  expect(first.lock.lost.aborted).toBe(false);
});

test("a leader whose process ran on this machine and is gone need not have answered", async () => {
  const backend = new MemoryBackend();
  const store = backend.open({ root: "/r" });
  const short = Bun.spawn(["true"]);
  const { thisProcess } = await import("../../store/io/process.ts");
  const identity = thisProcess()?.split("/").with(2, String(short.pid)).join("/");
  await short.exited;
  if (identity === undefined) return;
  const first = await store.lock("leader", { url: "http://127.0.0.1:9", instance: "first", process: identity });
  await standBy(backend.open({ root: "/r" })).lead;
  expect(first.lost.aborted).toBe(true);
});
