// One term of leadership against a store in memory: how it ends, and who may go on.
import { expect, test } from "bun:test";
import { parseMasters } from "../../mesos/leader.ts";
import type { FrameworkInfo } from "../../mesos/scheduler-api.ts";
import { createLog } from "../../std/io/log.ts";
import { MemoryBackend } from "../../store/io/memory.ts";
import type { Lock, Store } from "../../store/store.ts";
import { createMetrics } from "./metrics.ts";
import type { Loop } from "./run.ts";
import { serveTerm } from "./term.ts";

const INFO: FrameworkInfo = { name: "ringmaster", user: "root", roles: ["r"], failoverTimeoutMs: 0, capabilities: [] };

type Term = { readonly end: Promise<"stopped" | "lost">; readonly loop: Promise<Loop>; readonly stop: AbortController };

/** A term without a Mesos. */
function term(store: Store, lock: Lock, role = "r"): Term {
  const stop = new AbortController();
  const { promise: loop, resolve } = Promise.withResolvers<Loop>();
  const end = serveTerm({
    store,
    lock,
    name: "ringmaster",
    settings: { role, artifactUri: "http://artifact", drainMs: 0, permanentAfterMs: 3_600_000 },
    masters: parseMasters("127.0.0.1:1"),
    credential: undefined,
    framework: () => INFO,
    firstSubscriptionMs: 60_000,
    log: createLog("test", "fatal", false),
    metrics: createMetrics(() => undefined),
    recorder: undefined,
    onLoop: resolve,
    stopped: stop.signal,
  });
  return { end, loop, stop };
}

test("a term that is told to stop gives the lock to the next, with all that it saved", async () => {
  const backend = new MemoryBackend();
  const [store, other] = [backend.open({ root: "/r" }), backend.open({ root: "/r" })];
  const first = term(store, await store.lock("leader", "first"));
  await first.loop;
  const next = other.lock("leader", "second");
  first.stop.abort();
  expect(await first.end).toBe("stopped");
  const second = term(other, await next);
  const { framework } = (await second.loop).state;
  expect([framework.name, (await store.read("framework"))?.value]).toEqual(["ringmaster", framework]);
  second.stop.abort();
  await second.end;
});

test("a term whose lock is taken away is lost: its commands are refused, nothing of it is saved any more", async () => {
  const backend = new MemoryBackend();
  const [store, other] = [backend.open({ root: "/r" }), backend.open({ root: "/r" })];
  const { end, loop } = term(store, await store.lock("leader", "first"));
  const running = await loop;
  const before = await other.read("framework");
  await other.evict("leader", "first");
  expect(await end).toBe("lost");
  const late = running.submit({ type: "uninstallFramework", force: false });
  expect(await late.catch(String)).toContain("the leader lock is lost");
  expect(await other.read("framework")).toEqual(before);
});

test("a framework that Mesos has removed is served until it is registered again", async () => {
  const store = new MemoryBackend().open({ root: "/r" });
  const lock = await store.lock("leader", "first");
  const removed = { atMs: 1, message: "Framework has been removed" };
  const record = { schema: 1, name: "ringmaster", launches: 1, token: "t", role: "r", frameworkId: "f-1", removed };
  await store.write([{ type: "put", path: "framework", value: record }], { lock });
  const { end, loop, stop } = term(store, lock);
  const running = await loop;
  expect(running.state.framework.removed).toEqual(removed);
  expect(await running.submit({ type: "registerFramework" })).toEqual({ type: "done" });
  const { removed: _gone, frameworkId: _former, ...rest } = record;
  expect((await store.read("framework"))?.value).toEqual({ ...rest, formerIds: ["f-1"] });
  stop.abort();
  expect(await end).toBe("stopped");
});

test("another role than that of its volumes ends the process with both names", async () => {
  const store = new MemoryBackend().open({ root: "/r" });
  const lock = await store.lock("leader", "first");
  const framework = { schema: 1, name: "ringmaster", launches: 1, token: "t", role: "old" };
  const place = { agentId: "a", hostname: "h", reservation: "r1", volume: "r1", footprint: {}, fields: {} };
  const leftover = { schema: 1, node: "n", cluster: "c", place, sinceMs: 1, certain: true };
  await store.write(
    [
      { type: "put", path: "framework", value: framework },
      { type: "put", path: "leftovers/r1", value: leftover },
    ],
    { lock },
  );
  const message = await term(store, lock, "new").end.catch(String);
  expect(message).toContain("Cannot start: found --role new, wanted --role old");
  expect(lock.lost.aborted).toBe(true);
});
