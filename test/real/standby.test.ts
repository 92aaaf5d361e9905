// Several schedulers of one name on a real ZooKeeper, as it is delivered, and a real Mesos: one leads, the others stand by.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import type { HealthViewSchema } from "../../src/databases/api.ts";
import { type Mesos, startMesos } from "./mesos/mesos.ts";
import { type Scheduler, startScheduler, until } from "./ringmaster.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

type Health = z.infer<typeof HealthViewSchema>;

/** ZooKeeper's own default: no session shorter than two of these, and each ends with a tick. */
const DEFAULT_TICK_MS = 2000;
/** More than any agent here has, so that the cluster stays a wish. */
const WISH = ["--version", "5.0.4", "--package", "file:///nowhere.tar.gz", "--cpus", "64", "--nodes", "1"];

let directory: string;
let mesos: Mesos;
let zookeeper: Zookeeper;
const schedulers: Scheduler[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ringmaster-standby-"));
  [mesos, zookeeper] = await Promise.all([startMesos({ agents: 1 }), startZookeeper({ tickMs: DEFAULT_TICK_MS })]);
}, 120_000);

afterAll(async () => {
  for (const scheduler of schedulers) await scheduler.stop();
  await zookeeper?.stop();
  await mesos?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

async function start(): Promise<Scheduler> {
  const own = join(directory, String(schedulers.length));
  await mkdir(own);
  const scheduler = await startScheduler({ mesos: mesos.url, directory: own, store: zookeeper.url() });
  schedulers.push(scheduler);
  return scheduler;
}

async function health(scheduler: Scheduler): Promise<Health> {
  return (await (await fetch(`${scheduler.url()}/health`)).json()) as Health;
}

async function leads(scheduler: Scheduler): Promise<boolean> {
  const { leader, mesos: connection } = await health(scheduler);
  return leader && connection === "connected";
}

/** What Mesos says of frameworks: which scheduler each belongs to, and whether it is there. */
async function subscribed(): Promise<readonly unknown[]> {
  const { frameworks } = (await (await fetch(`${mesos.url}/master/frameworks`)).json()) as {
    frameworks: readonly { readonly webui_url: string; readonly connected: boolean }[];
  };
  return frameworks.map(({ webui_url: url, connected }) => ({ url, connected }));
}

/** Milliseconds until the scheduler leads and is subscribed with Mesos. */
async function takeOver(scheduler: Scheduler): Promise<number> {
  const startedMs = performance.now();
  await until("the standby leads", 20_000, () => leads(scheduler));
  return Math.round(performance.now() - startedMs);
}

test("a standby answers reads from the store, redirects writes, and leads within 5 s of a kill -9 of the leader", async () => {
  const leader = await start();
  await until("the first one leads", 20_000, () => leads(leader));
  const standby = await start();
  await until("the standby knows the leader", 10_000, async () => (await health(standby)).leaderUrl === leader.url());

  const created = await standby.cli("cluster", "create", "wish", ...WISH);
  expect([created.code, created.err]).toEqual([0, ""]);
  const told = await standby.json<{ clusters: readonly { readonly name: string }[] }>("cluster", "list");
  expect(told.clusters.map(({ name }) => name)).toEqual(["wish"]);
  const [node] = (await standby.json<{ nodes: readonly { readonly phase: string }[] }>("node", "list", "wish")).nodes;
  expect(node?.phase).toBe("waiting");
  expect((await standby.cli("plan", "show", "wish-deploy-1")).out).toContain(
    `the word of the one that leads: ${leader.url()}`,
  );

  const body = JSON.stringify({ name: "other" });
  const raw = await fetch(`${standby.url()}/api/v1/clusters?a=b`, { method: "POST", body, redirect: "manual" });
  expect([raw.status, raw.headers.get("location")]).toEqual([307, `${leader.url()}/api/v1/clusters?a=b`]);
  const events = await fetch(`${standby.url()}/api/v1/clusters/wish/endpoints/events`, { redirect: "manual" });
  expect([events.status, events.headers.get("location")]).toEqual([
    307,
    `${leader.url()}/api/v1/clusters/wish/endpoints/events`,
  ]);
  const figures = await Promise.all([leader, standby].map(async (one) => (await fetch(`${one.url()}/metrics`)).text()));
  expect(figures.map((text) => /^ringmaster_leader (\d)$/m.exec(text)?.[1])).toEqual(["1", "0"]);

  await leader.kill();
  const tookMs = await takeOver(standby);
  console.log(`kill -9: the standby led after ${tookMs} ms`);
  expect(tookMs).toBeLessThan(5000);
  expect(await subscribed()).toEqual([{ url: standby.url(), connected: true }]);
  expect((await standby.cli("cluster", "destroy", "wish", "--yes", "--wait")).code).toBe(0);
}, 90_000);

test("a leader that slept for longer than its session leaves the cluster to the one that leads meanwhile", async () => {
  const asleep = schedulers[1];
  if (asleep === undefined) throw new Error("The test before has started no second scheduler");
  const standby = await start();
  await until("the standby knows the leader", 10_000, async () => (await health(standby)).leaderUrl === asleep.url());
  process.kill(asleep.pid(), "SIGSTOP");
  const tookMs = await takeOver(standby);
  console.log(`SIGSTOP: the standby led after ${tookMs} ms`);
  expect((await standby.cli("cluster", "create", "wish", ...WISH)).code).toBe(0);
  process.kill(asleep.pid(), "SIGCONT");

  await until("the former leader stands by", 15_000, async () => (await health(asleep)).leaderUrl === standby.url());
  const told = await asleep.json<{ clusters: readonly { readonly name: string }[] }>("cluster", "list");
  expect(told.clusters.map(({ name }) => name)).toEqual(["wish"]);
  expect(await asleep.log()).toContain("This scheduler leads no longer");
  // Whoever subscribes ends the other's subscription.
  expect(await standby.log()).not.toContain("There is no subscription with Mesos");
  expect(await subscribed()).toEqual([{ url: standby.url(), connected: true }]);

  await standby.stop();
  await until("it may lead again", 10_000, () => leads(asleep));
}, 90_000);
