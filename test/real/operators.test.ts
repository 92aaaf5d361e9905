// What operators of Mesos do to a framework, on a real Mesos: maintenance, a drained agent, a torn down framework, and the end
// of all. The nodes are stand-ins for Riak on real Erlang.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import type { Accepted, DiagnosisSchema, EndpointsView, FrameworkView, NodeView } from "../../src/databases/api.ts";
import { startMesos, type Mesos } from "./mesos/mesos.ts";
import { riakPackage } from "./riak-package.ts";
import { startScheduler, until, type Scheduler } from "./ringmaster.ts";
import { SMALL_RING } from "./small-ring.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

const MINUTE = 60_000;

let directory: string;
let mesos: Mesos;
let zookeeper: Zookeeper;
let scheduler: Scheduler;

beforeAll(async () => {
  const { archive } = await riakPackage();
  directory = await mkdtemp(join(tmpdir(), "ringmaster-operators-"));
  [mesos, zookeeper] = await Promise.all([startMesos({ agents: 2 }), startZookeeper()]);
  scheduler = await startScheduler({ mesos: mesos.url, directory, store: zookeeper.url(), flags: ["--drain", "1"] });
  const body = {
    database: "riak",
    version: "3.2.3",
    package: `file://${archive}`,
    nodes: 2,
    resources: { cpus: 0.3, memMb: 512, diskMb: 512 },
    constraints: "hostname:UNIQUE",
    settings: SMALL_RING,
  };
  await Bun.write(join(directory, "cluster.json"), JSON.stringify(body));
  await until("the framework is known to Mesos", 20_000, async () => (await framework()).mesos === "connected");
  const file = join(directory, "cluster.json");
  const { plan } = await scheduler.json<Accepted>("cluster", "create", "demo", "--file", file);
  expect((await scheduler.cli("plan", "show", plan, "--timeout", "180")).code).toBe(0);
}, 10 * MINUTE);

afterAll(async () => {
  await scheduler?.stop();
  await mesos?.stop();
  await zookeeper?.stop();
  await rm(directory, { recursive: true, force: true });
}, MINUTE);

async function framework(): Promise<FrameworkView> {
  return await scheduler.json<FrameworkView>("framework", "info");
}

async function node(number: number): Promise<NodeView> {
  return await scheduler.json<NodeView>("node", "info", `ringmaster-demo-${number}`);
}

async function runs(number: number): Promise<NodeView> {
  return await until(`node ${number} serves`, MINUTE, async () => {
    const view = await node(number);
    if (view.phase !== "running" || !view.healthy) throw new Error(JSON.stringify(view));
    return view;
  });
}

async function is(number: number, phase: string): Promise<NodeView> {
  return await until(`node ${number} is ${phase}`, 30_000, async () => {
    const view = await node(number);
    if (view.phase !== phase) throw new Error(JSON.stringify(view));
    return view;
  });
}

/** A call of the master's operator API. */
async function operator(type: string, body: object = {}): Promise<unknown> {
  const response = await fetch(`${mesos.url}/master/api/v1`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ type, [type.toLowerCase()]: body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${type} answered ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** Plans maintenance of these agents, soon and for an hour; of none to call all off. */
async function planMaintenance(...hostnames: readonly string[]): Promise<void> {
  const start = { nanoseconds: (Date.now() + 30_000) * 1e6 };
  const window = {
    machine_ids: hostnames.map((hostname) => ({ hostname, ip: "127.0.0.1" })),
    unavailability: { start, duration: { nanoseconds: 3600 * 1e9 } },
  };
  await operator("UPDATE_MAINTENANCE_SCHEDULE", { schedule: { windows: hostnames.length === 0 ? [] : [window] } });
}

/** What Mesos was answered: ACCEPT or DECLINE by host name. */
async function answers(): Promise<Readonly<Record<string, string>>> {
  const { get_maintenance_status: found } = (await operator("GET_MAINTENANCE_STATUS")) as {
    get_maintenance_status: {
      status: { draining_machines?: readonly { id: { hostname: string }; statuses?: readonly { status: string }[] }[] };
    };
  };
  const machines = found.status.draining_machines ?? [];
  return Object.fromEntries(machines.map(({ id, statuses }) => [id.hostname, statuses?.at(-1)?.status ?? "none"]));
}

async function key(number: number, init?: RequestInit): Promise<Response> {
  const { nodes } = await scheduler.json<EndpointsView>("cluster", "endpoints", "demo");
  const found = nodes.find((each) => each.node === `ringmaster-demo-${number}`);
  return await fetch(`http://${found?.hostname}:${found?.ports["http"]}/buckets/test/keys/kept`, init);
}

/** What an operator may reserve by hand: a little of the first agent, with labels as ours. */
async function reserved(
  owner: string,
  reservation: string,
): Promise<{ readonly agent_id: { readonly value: string } }> {
  const [agent] = await mesos.agents();
  const labels = [
    { key: "ringmaster.framework", value: owner },
    { key: "ringmaster.reservation", value: reservation },
  ];
  const reservations = [{ type: "DYNAMIC", role: "ringmaster", labels: { labels } }];
  const resources = [{ name: "cpus", type: "SCALAR", scalar: { value: 0.1 }, reservations }];
  return { agent_id: { value: agent?.id ?? "" }, ...{ resources } };
}

/** The doctor's exit code and the ids of what it found. */
async function examined(...flags: readonly string[]): Promise<readonly unknown[]> {
  const { code, out } = await scheduler.cli("doctor", "--json", ...flags);
  const { findings } = JSON.parse(out) as z.infer<typeof DiagnosisSchema>;
  return [code, findings.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b))];
}

/** Waits until the doctor finds just this. */
async function finds(code: number, ...ids: readonly string[]): Promise<void> {
  await until(`the doctor finds ${ids.length} things`, MINUTE, async () => {
    const found = await examined();
    if (!Bun.deepEquals(found, [code, ids])) throw new Error(JSON.stringify(found));
    return true;
  });
}

test("the doctor finds nothing in a cluster that is well, gives back what is ours and empty, and leaves the rest alone", async () => {
  await finds(0);
  const { frameworkId = "" } = await framework();
  const foreign = await reserved("f-gone", "ringmaster-old-2.7");
  await operator("RESERVE_RESOURCES", await reserved(frameworkId, "ringmaster-old-1.7"));
  await operator("RESERVE_RESOURCES", foreign);
  const stays = `foreign:ringmaster-old-2.7@${foreign.agent_id.value}`;
  expect(await examined()).toEqual([1, [stays, "reservation:ringmaster-old-1.7"]]);
  expect(await examined("--repair", "--yes")).toEqual([1, [stays]]);
  await until("it is given back", MINUTE, async () => (await framework()).leftovers.length === 0);
  await finds(1, stays);
  await operator("UNRESERVE_RESOURCES", foreign);
  await finds(0);
}, 120_000);

test(
  "maintenance is promised for one node's agent and refused for the other's; the node stops, and starts when it is over",
  async () => {
    const [one, two] = [await runs(1), await runs(2)];
    await planMaintenance(one.hostname ?? "", two.hostname ?? "");
    const told = await until("Mesos has both answers", 20_000, async () => {
      const all = Object.values(await answers());
      return all.length === 2 && !all.includes("none") && all;
    });
    expect(told.toSorted((a, b) => a.localeCompare(b))).toEqual(["ACCEPT", "DECLINE"]);
    const views = [await node(1), await node(2)];
    const gone = views.find(({ maintenance }) => maintenance?.accepted === true)?.id.endsWith("1") === true ? 1 : 2;
    const refused = views[2 - gone]?.maintenance;
    expect([refused?.accepted, refused?.reasons[0]?.found]).toEqual([
      false,
      `agent "${views[gone - 1]?.hostname}" promised for the same time`,
    ]);
    await is(gone, "stopped");
    expect((await node(3 - gone)).phase).toBe("running");
    await until("the plan says why it waits", 10_000, async () =>
      (await scheduler.cli("plan", "show", "demo-maintain-2")).out.includes("maintenance"),
    );
    await planMaintenance();
    await runs(gone);
  },
  2 * MINUTE,
);

test(
  "a node on a drained agent waits without a failure, and comes back with its agent",
  async () => {
    const { agentId = "", hostname, ports } = await runs(1);
    await operator("DRAIN_AGENT", { agent_id: { value: agentId } });
    const down = await is(1, "down");
    expect(down.failures).toBe(0);
    expect(down.lastFailure?.message).toContain("AGENT_DRAINING");
    await operator("REACTIVATE_AGENT", { agent_id: { value: agentId } });
    const back = await runs(1);
    expect([back.agentId, back.hostname, back.ports]).toEqual([agentId, hostname, ports]);
  },
  2 * MINUTE,
);

test(
  "a framework that an operator tears down stays readable, and starts on its volumes once it is registered again",
  async () => {
    await until("both nodes serve", MINUTE, async () => (await runs(1)).healthy && (await runs(2)).healthy);
    const put = { method: "PUT", body: "still here", headers: { "content-type": "text/plain" } };
    expect((await key(1, put)).status).toBeLessThan(300);
    const before = await framework();
    const torn = await fetch(`${mesos.url}/master/teardown`, {
      method: "POST",
      body: `frameworkId=${before.frameworkId}`,
    });
    expect(torn.status).toBe(200);
    await until("the removal is known", 10_000, async () => (await framework()).status === "removed");
    expect((await fetch(`${scheduler.url()}/health`)).status).toBe(200);
    expect(await scheduler.log()).toContain('\\"ringmaster framework register\\" starts it again');
    await scheduler.kill();
    await scheduler.restart();
    expect((await framework()).status).toBe("removed");
    expect((await is(1, "down")).failures).toBe(0);
    expect((await scheduler.cli("cluster", "create", "other", "--file", join(directory, "cluster.json"))).code).toBe(1);

    expect((await scheduler.cli("framework", "register")).code).toBe(0);
    await runs(1);
    await runs(2);
    const after = await framework();
    expect([after.status, after.formerIds, after.frameworkId === before.frameworkId]).toEqual([
      "active",
      [before.frameworkId ?? ""],
      false,
    ]);
    const text = await until("the key is read", 20_000, async () => {
      const response = await key(2);
      return response.status === 200 && (await response.text());
    });
    expect(text).toBe("still here");
  },
  3 * MINUTE,
);

test(
  "an uninstallation leaves nothing behind",
  async () => {
    const { code, out, err } = await scheduler.cli("framework", "uninstall", "--yes", "--timeout", "120");
    expect([code, out.trim(), err.includes("clusters demo")]).toEqual([
      0,
      'Framework "ringmaster" is uninstalled',
      true,
    ]);
    const { frameworks } = (await (await fetch(`${mesos.url}/master/frameworks`)).json()) as { frameworks: unknown[] };
    expect(frameworks).toEqual([]);
    expect((await mesos.agents()).map(({ reserved_resources: reserved }) => reserved)).toEqual([{}, {}]);
  },
  3 * MINUTE,
);
