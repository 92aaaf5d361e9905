// A Riak cluster's life on a real Mesos with a real ZooKeeper: the nodes are stand-ins on real Erlang (see standin-riak/), what
// runs them is the binary itself, cEPMD included.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Accepted, EndpointsView, NodeView, PlanView } from "../../src/databases/api.ts";
import { startMesos, type Agent, type Mesos } from "./mesos/mesos.ts";
import { riakPackage } from "./riak-package.ts";
import { planDone, startScheduler, until, type Scheduler } from "./ringmaster.ts";
import { SMALL_RING } from "./small-ring.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

const MINUTE = 60_000;
const KEYS = Array.from({ length: 60 }, (_, index) => `key-${index}`);

let directory: string;
let mesos: Mesos;
let zookeeper: Zookeeper;
let scheduler: Scheduler;

beforeAll(async () => {
  const { archive } = await riakPackage();
  directory = await mkdtemp(join(tmpdir(), "ringmaster-test-"));
  // The master takes an agent for unreachable after six seconds, the scheduler its nodes for lost after three more.
  const env = { MESOS_AGENT_PING_TIMEOUT: "2secs", MESOS_MAX_AGENT_PING_TIMEOUTS: "3" };
  mesos = await startMesos({ agents: 0, apart: 4, env });
  zookeeper = await startZookeeper();
  const flags = ["--drain", "1", "--permanent-after", "3"];
  scheduler = await startScheduler({ mesos: mesos.url, directory, store: zookeeper.url(), flags });
  const body = {
    database: "riak",
    version: "3.2.3",
    package: `file://${archive}`,
    nodes: 3,
    resources: { cpus: 0.3, memMb: 512, diskMb: 512 },
    constraints: "hostname:UNIQUE",
    settings: SMALL_RING,
  };
  await Bun.write(join(directory, "cluster.json"), JSON.stringify(body));
}, 10 * MINUTE);

afterAll(async () => {
  await scheduler?.stop();
  await mesos?.stop();
  await zookeeper?.stop();
  await rm(directory, { recursive: true, force: true });
}, MINUTE);

async function nodes(): Promise<readonly NodeView[]> {
  const { nodes: found } = await scheduler.json<{ nodes: readonly NodeView[] }>("node", "list", "demo");
  return found.toSorted((a, b) => a.id.localeCompare(b.id));
}

async function serving(): Promise<EndpointsView["nodes"]> {
  const view = await scheduler.json<EndpointsView>("cluster", "endpoints", "demo");
  return view.nodes.filter((node) => node.serving);
}

function url(node: EndpointsView["nodes"][number], key: string): string {
  return `http://${node.hostname}:${node.ports["http"]}/buckets/test/keys/${key}`;
}

/** Every key is read through every serving node. */
async function expectAllKeys(): Promise<void> {
  for (const node of await serving()) {
    for (const key of KEYS) {
      const response = await until(`${key} can be read through ${node.node}`, 20_000, async () => {
        const answer = await fetch(url(node, key));
        if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
        return answer;
      });
      expect(await response.text()).toBe(`value of ${key}`);
    }
  }
}

async function phases(): Promise<readonly string[]> {
  return (await nodes()).map(({ id, phase }) => `${id} ${phase}`);
}

/** The cluster's replacement, once it is planned; those before it are over. */
async function replacement(before: readonly PlanView[]): Promise<PlanView> {
  return await until("the replacement is planned", MINUTE, async () => {
    const { plans } = await scheduler.json<{ plans: readonly PlanView[] }>("plan", "list", "demo");
    return plans.find(({ id, kind }) => kind === "replace" && before.every((other) => other.id !== id));
  });
}

/** The agent as the master knows it; undefined while it is out of sight. */
async function agentOn(host: string): Promise<Agent | undefined> {
  return (await mesos.agents()).find(({ hostname }) => hostname === host);
}

/** Ring members by node id, as a node's member-status has them. */
async function members(through: string): Promise<readonly string[]> {
  const read = await scheduler.json<{ answer: { nodes: readonly { id: string; status: string }[] } }>(
    "node",
    "member-status",
    "demo",
    through,
  );
  return read.answer.nodes.filter(({ status }) => status === "valid").map(({ id }) => id.split("@")[0] ?? "");
}

/** The pid of a node's Erlang VM below this Mesos. */
async function erlang(id: string): Promise<number> {
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const argv = (await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "")).split("\0");
    const name = argv[argv.indexOf("-name") + 1] ?? "";
    if (argv[0]?.endsWith("beam.smp") === true && name.startsWith(`${id}@`)) return Number(entry);
  }
  throw new Error(`node ${id} has no Erlang VM`);
}

describe("a Riak cluster of three nodes", () => {
  const replacements: PlanView[] = [];

  test(
    "is deployed: the first alone, the others staged, planned and committed; every node serves every key",
    async () => {
      const accepted = await scheduler.json<Accepted>(
        "cluster",
        "create",
        "demo",
        "--file",
        join(directory, "cluster.json"),
      );
      await planDone(scheduler, accepted.plan, 6 * MINUTE);
      const all = await serving();
      expect(all.map(({ node }) => node)).toEqual(["ringmaster-demo-1", "ringmaster-demo-2", "ringmaster-demo-3"]);
      expect((await members("ringmaster-demo-1")).toSorted((a, b) => a.localeCompare(b))).toEqual(
        all.map(({ node }) => node),
      );
      for (const [index, key] of KEYS.entries()) {
        const node = all[index % all.length];
        if (node === undefined) throw new Error("no node serves");
        const put = await fetch(url(node, key), {
          method: "PUT",
          body: `value of ${key}`,
          headers: { "content-type": "text/plain" },
        });
        expect([key, put.ok]).toEqual([key, true]);
      }
      await expectAllKeys();
    },
    8 * MINUTE,
  );

  test(
    "brings a killed node back on its volume, with every key",
    async () => {
      const before = (await nodes())[1];
      process.kill(await erlang("ringmaster-demo-2"), "SIGKILL");
      await until("node 2 runs in another task", 4 * MINUTE, async () => {
        const now = (await nodes())[1];
        return now?.phase === "running" && now.healthy && now.taskId !== before?.taskId;
      });
      expect((await nodes())[1]?.ports).toEqual(before?.ports ?? {});
      await expectAllKeys();
    },
    6 * MINUTE,
  );

  test(
    "takes over another version and configuration, node after node, and keeps serving",
    async () => {
      const before = (await nodes()).map(({ taskId }) => taskId);
      const { archive } = await riakPackage("3.2.4");
      const change = [
        "--version",
        "3.2.4",
        "--package",
        `file://${archive}`,
        "--set",
        "riak.conf.anti_entropy=passive",
      ];
      const { plan } = await scheduler.json<Accepted>("cluster", "update", "demo", ...change);
      await planDone(scheduler, plan, 6 * MINUTE);
      const after = await nodes();
      for (const { taskId } of after) expect(before).not.toContain(taskId);
      for (const node of await serving()) {
        const stats = await fetch(`http://${node.hostname}:${node.ports["http"]}/stats`);
        expect(await stats.json()).toMatchObject({ riak_kv_version: "3.2.4" });
        const conf = await readFile(`/proc/${await erlang(node.node)}/cwd/etc/riak.conf`, "utf8");
        expect(conf).toContain("\nanti_entropy = passive\n");
      }
      await expectAllKeys();
    },
    8 * MINUTE,
  );

  test(
    "grows by a node, and lets one leave with all its keys handed over",
    async () => {
      const added = await scheduler.json<Accepted>("cluster", "add-node", "demo");
      await planDone(scheduler, added.plan, 5 * MINUTE);
      expect(await members("ringmaster-demo-1")).toHaveLength(4);
      const left = await scheduler.json<Accepted>("node", "remove", "demo", "ringmaster-demo-2", "--yes");
      await planDone(scheduler, left.plan, 5 * MINUTE);
      expect((await nodes()).map(({ id }) => id)).toEqual([
        "ringmaster-demo-1",
        "ringmaster-demo-3",
        "ringmaster-demo-4",
      ]);
      expect(await members("ringmaster-demo-1")).not.toContain("ringmaster-demo-2");
      await expectAllKeys();
    },
    12 * MINUTE,
  );

  test(
    "leaves a node in its place that lives while its agent alone is out of sight, and says why",
    async () => {
      const before = await nodes();
      const host = before[1]?.hostname ?? "";
      await mesos.killAgent(host);
      const plan = await replacement(replacements);
      replacements.push(plan);
      await until("the replacement says that the ring sees the node", MINUTE, async () => {
        const { steps } = await scheduler.json<PlanView>("plan", "show", plan.id);
        return JSON.stringify(steps).includes(`${before[1]?.id}@${host} is up`);
      });
      await expectAllKeys();
      await mesos.returnAgent(host);
      await until("the replacement is called off", MINUTE, async () => {
        const { status } = await scheduler.json<PlanView>("plan", "show", plan.id);
        return status === "aborted";
      });
      expect((await nodes()).map(({ id, phase, taskId }) => [id, phase, taskId])).toEqual(
        before.map(({ id, taskId }) => [id, "running", taskId]),
      );
    },
    3 * MINUTE,
  );

  test(
    "replaces a node by itself when its agent stays out of sight, and gives its volume back when the agent returns",
    async () => {
      const lost = (await nodes())[1];
      const host = lost?.hostname ?? "";
      expect((await agentOn(host))?.reserved_resources).not.toEqual({});
      await mesos.loseAgent(host);
      const plan = await replacement(replacements);
      replacements.push(plan);
      expect((await agentOn(host))?.active ?? false).toBe(false);
      await planDone(scheduler, plan.id, 6 * MINUTE);
      const left = ["ringmaster-demo-1 running", "ringmaster-demo-4 running", "ringmaster-demo-6 running"];
      expect(await phases()).toEqual(left);
      await expectAllKeys();

      await mesos.returnAgent(host);
      await until("what was reserved there is given back", 2 * MINUTE, async () => {
        const agent = await agentOn(host);
        return agent?.active === true && Object.keys(agent.reserved_resources).length === 0;
      });
      expect((await agentOn(host))?.id).toBe(lost?.agentId ?? "");
      expect(await phases()).toEqual(left);
      await expectAllKeys();
    },
    10 * MINUTE,
  );

  test(
    "replaces a node by itself when its agent is gone for good",
    async () => {
      const lost = (await nodes())[1];
      await mesos.markGone(lost?.agentId ?? "");
      const plan = await replacement(replacements);
      await planDone(scheduler, plan.id, 6 * MINUTE);
      expect(await phases()).toEqual([
        "ringmaster-demo-1 running",
        "ringmaster-demo-6 running",
        "ringmaster-demo-7 running",
      ]);
      await expectAllKeys();
    },
    8 * MINUTE,
  );

  test(
    "is destroyed without a trace",
    async () => {
      const { code, err } = await scheduler.cli("cluster", "destroy", "demo", "--yes", "--wait", "--timeout", "240");
      expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
      for (const agent of await mesos.agents()) if (agent.active) expect(agent.reserved_resources).toEqual({});
    },
    5 * MINUTE,
  );
});
