// A real cluster's whole life on a real Mesos: a deployment that is interrupted again and again, failures, the end.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, types } from "cassandra-driver";
import type { Accepted, EndpointsView, NodeView, PlanView } from "../../src/databases/api.ts";
import { throughNode } from "./cassandra/client.ts";
import { cassandraPackage } from "./cassandra/package.ts";
import { SMALL_PROFILE } from "./cassandra/small-profile.ts";
import { startMesos, type Agent, type Mesos } from "./mesos/mesos.ts";
import { planDone, startScheduler, until, type Scheduler } from "./ringmaster.ts";

const MINUTE = 60_000;
/** Agents from the beginning. */
const HOSTS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
/** The agent whose zone has another agent in the end. */
const FOURTH = "127.0.0.4";

let directory: string;
let mesos: Mesos;
let scheduler: Scheduler;
let offeredBefore: readonly Partial<Agent>[];

beforeAll(async () => {
  const { archive: tarball } = await cassandraPackage();
  directory = await mkdtemp(join(tmpdir(), "ringmaster-test-"));
  // The first agent comes with the restart of Mesos, in the zone of the fourth and with the same ports. The master takes an agent
  // for unreachable after nine seconds, the scheduler its nodes for lost after six more.
  const env = { MESOS_AGENT_PING_TIMEOUT: "3secs", MESOS_MAX_AGENT_PING_TIMEOUTS: "3" };
  mesos = await startMesos({ agents: 0, apart: 3, later: 1, samePorts: true, env });
  scheduler = await startScheduler({ mesos: mesos.url, directory, flags: ["--permanent-after", "6"] });
  offeredBefore = await resources();
  await Bun.write(
    join(directory, "cluster.json"),
    JSON.stringify({
      version: "5.0.4",
      package: `file://${tarball}`,
      nodes: 4,
      resources: { cpus: 0.5, memMb: 768, diskMb: 2048 },
      constraints: "hostname:UNIQUE",
      rackAttribute: "zone",
      // A replacement sleeps for this time, by default for a minute, to be sure that the old node is dead.
      settings: {
        ...SMALL_PROFILE,
        seeds: 3,
        "jvm.options": [...SMALL_PROFILE["jvm.options"], "-Dcassandra.broadcast_interval_ms=15000"],
      },
    }),
  );
}, 15 * MINUTE);

afterAll(async () => {
  await scheduler?.stop();
  await mesos?.stop();
  await rm(directory, { recursive: true, force: true });
}, MINUTE);

/** What every agent has and has reserved, without what is offered at the moment. */
async function resources(): Promise<readonly Partial<Agent>[]> {
  return (await mesos.agents()).map(({ hostname, reserved_resources, unreserved_resources }) => ({
    hostname,
    reserved_resources,
    unreserved_resources,
  }));
}

async function nodes(): Promise<readonly NodeView[]> {
  const { nodes: found } = await scheduler.json<{ nodes: readonly NodeView[] }>("node", "list", "demo");
  return found.toSorted((a, b) => a.id.localeCompare(b.id));
}

async function phases(): Promise<readonly string[]> {
  return (await nodes()).map(({ phase }) => phase);
}

async function frameworkId(): Promise<string> {
  const { frameworkId: id } = (await (await fetch(`${scheduler.url()}/health`)).json()) as { frameworkId: string };
  return id;
}

/** Pids of the Cassandra processes below this Mesos, by node id. */
async function cassandras(): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    const node = /executors\/(ringmaster-demo-\d+)\.\d+\//.exec(command)?.[1];
    if (node !== undefined && command.includes(mesos.work) && command.includes("CassandraDaemon"))
      found.set(node, Number(entry));
  }
  return found;
}

type MesosTask = { readonly id: string; readonly name: string; readonly state: string };

/** Tasks of ours that Mesos knows: those that may live, and those that have ended. */
async function tasks(): Promise<{ readonly live: readonly MesosTask[]; readonly ended: readonly MesosTask[] }> {
  const state = (await (await fetch(`${mesos.url}/master/state`)).json()) as {
    frameworks: readonly {
      tasks: readonly MesosTask[];
      completed_tasks: readonly MesosTask[];
      unreachable_tasks: readonly MesosTask[];
    }[];
  };
  return {
    live: state.frameworks.flatMap(({ tasks: live, unreachable_tasks: away }) => [...live, ...away]),
    ended: state.frameworks.flatMap(({ completed_tasks: ended }) => ended),
  };
}

/** Runs `use` with a CQL client that talks to this node only. */
async function through<T>(number: number, use: (client: Client) => Promise<T>): Promise<T> {
  const view = await scheduler.json<EndpointsView>("cluster", "endpoints", "demo");
  const node = view.nodes.find((candidate) => candidate.node === `ringmaster-demo-${number}`);
  if (node === undefined) throw new Error(`node ${number} has no endpoint`);
  return throughNode(node, use);
}

function numberOf(node: NodeView | undefined): number {
  return Number(node?.id.split("-").at(-1));
}

/** The newest replacement, if it is another than `before`. */
async function replacement(before?: PlanView): Promise<PlanView | undefined> {
  const { plans } = await scheduler.json<{ plans: readonly PlanView[] }>("plan", "list", "demo");
  const number = ({ id }: PlanView): number => Number(id.split("-").at(-1));
  const found = plans.filter(({ kind }) => kind === "replace").toSorted((a, b) => number(b) - number(a))[0];
  return found?.id === before?.id ? undefined : found;
}

async function rows(client: Client): Promise<readonly number[]> {
  const result = await client.execute("SELECT id FROM test.rows");
  return result.rows.map((row) => Number(row["id"])).toSorted((a, b) => a - b);
}

/** All rows, read and repaired from two of three replicas. */
async function rowsAtQuorum(client: Client): Promise<readonly number[]> {
  const result = await client.execute("SELECT id FROM test.rows", [], { consistency: types.consistencies.quorum });
  return result.rows.map((row) => Number(row["id"])).toSorted((a, b) => a - b);
}

/** The ring as a node sees it; it may hear a second late of what has happened. */
async function expectThreeMembers(node: string): Promise<void> {
  await until(`three members are up as ${node} sees it`, MINUTE, async () => {
    const { out } = await scheduler.cli("node", "status", "demo", node);
    const members = out.split("\n").filter((line) => /\s[UD][NLJM]\s/.test(line));
    if (members.length !== 3 || members.some((line) => !/\sUN\s/.test(line))) throw new Error(out);
    return true;
  });
}

/** Watches the nodes while `work` goes on; gives every state that breaks the order of starts. */
async function watched(work: Promise<unknown>): Promise<readonly string[]> {
  const broken: string[] = [];
  const over = new AbortController();
  const finished = work.finally(() => over.abort());
  while (!over.signal.aborted) {
    const now = await nodes().catch(() => []);
    const joining = now.filter(({ joined, taskId }) => !joined && taskId !== undefined);
    if (joining.length > 1) broken.push(`nodes ${joining.map(({ id }) => id).join(", ")} join at once`);
    const { live } = await tasks();
    const twice = live.filter(({ name }, index) => live.findIndex((other) => other.name === name) !== index);
    if (twice.length > 0) broken.push(`two live tasks of ${twice.map(({ name }) => name).join(", ")}`);
    const hosts = now.flatMap(({ hostname }) => hostname ?? []);
    if (new Set(hosts).size < hosts.length) broken.push(`two nodes on one of ${hosts.join(", ")}`);
    const late = now.findIndex(({ taskId }) => taskId === undefined);
    if (late !== -1 && now.slice(late).some(({ taskId }) => taskId !== undefined))
      broken.push(`a later node started before ${now[late]?.id}`);
    await Bun.sleep(200);
  }
  await finished;
  return broken;
}

describe("a cluster of four nodes with hostname UNIQUE on three agents", () => {
  test(
    "is deployed one joining node at a time, seeds first, one an agent, though the scheduler is killed three times",
    async () => {
      const accepted = await scheduler.json<Accepted>(
        "cluster",
        "create",
        "demo",
        "--file",
        join(directory, "cluster.json"),
      );
      expect(accepted).toEqual({ cluster: "demo", plan: "demo-deploy-1" });
      await scheduler.kill();
      await scheduler.restart();
      const framework = await until("Mesos knows the framework", MINUTE, frameworkId);

      const deployment = (async () => {
        await until("the first node has a task", MINUTE, async () => (await nodes())[0]?.taskId !== undefined);
        await scheduler.kill();
        await scheduler.restart();
        await until("the second node starts", 3 * MINUTE, async () => (await nodes())[1]?.taskId !== undefined);
        await scheduler.kill();
        await scheduler.restart();
        await until(
          "three nodes run",
          6 * MINUTE,
          async () => (await phases()).join() === "running,running,running,waiting",
        );
      })();
      expect(await watched(deployment)).toEqual([]);

      expect(await frameworkId()).toBe(framework);
      const { live, ended } = await tasks();
      expect(live.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b))).toEqual([
        "ringmaster-demo-1",
        "ringmaster-demo-2",
        "ringmaster-demo-3",
      ]);
      // A busy machine may make a start fail; then it is tried again. What must not be is a launch that was none's or killed.
      expect(ended.filter(({ state }) => state !== "TASK_FAILED")).toEqual([]);
      expect((await cassandras()).size).toBe(3);
      expect((await nodes()).map(({ rack, hostname }) => `${rack} ${hostname}`).toSorted()).toEqual([
        "undefined undefined",
        "zone-1 127.0.0.4",
        "zone-2 127.0.0.2",
        "zone-3 127.0.0.3",
      ]);
    },
    12 * MINUTE,
  );

  test(
    "its fourth node waits, and plan show says why of every agent",
    async () => {
      const step = await until("every agent has said why", MINUTE, async () => {
        const plan = await scheduler.json<PlanView>("plan", "show", "demo-deploy-1");
        const last = plan.steps[3];
        if (last?.agents.length !== 3) throw new Error(JSON.stringify(last));
        return last;
      });
      expect(step.status).toBe("pending");
      expect(
        step.agents
          .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
          .map(({ hostname, reasons }) => [hostname, reasons.find(({ check }) => check === "hostname:UNIQUE")]),
      ).toEqual(
        HOSTS.map((host) => [
          host,
          {
            check: "hostname:UNIQUE",
            found: `"${host}", which has a node already`,
            wanted: "a hostname without a node of this cluster",
          },
        ]),
      );
      const { out } = await scheduler.cli("plan", "show", "demo-deploy-1");
      for (const host of HOSTS) expect(out).toContain(`"${host}", which has a node already`);
    },
    2 * MINUTE,
  );

  test(
    "serves one ring: what is written through one node is read through another",
    async () => {
      await through(1, async (client) => {
        await client.execute("CREATE KEYSPACE test WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}");
        await client.execute("CREATE TABLE test.rows (id int PRIMARY KEY)");
        for (let id = 0; id < 20; id++)
          await client.execute("INSERT INTO test.rows (id) VALUES (?)", [id], { prepare: true });
        const { rows: peers } = await client.execute("SELECT rack FROM system.peers_v2");
        expect(peers.map((row) => String(row["rack"])).toSorted()).toHaveLength(2);
      });
      expect(await through(3, rows)).toEqual(Array.from({ length: 20 }, (_, id) => id));
      const { out } = await scheduler.cli("node", "status", "demo", "ringmaster-demo-1");
      expect(out.split("\n").filter((line) => /\sUN\s/.test(line))).toHaveLength(3);
    },
    2 * MINUTE,
  );

  test(
    "brings a killed Cassandra back on its own volume, with its rows",
    async () => {
      const before = (await nodes())[1];
      const pid = (await cassandras()).get("ringmaster-demo-2");
      if (pid === undefined) throw new Error("node 2 has no process");
      process.kill(pid, "SIGKILL");
      const plan = await until("a recover plan is done", 4 * MINUTE, async () => {
        const { plans } = await scheduler.json<{ plans: readonly PlanView[] }>("plan", "list", "demo");
        return plans.find(({ kind, status }) => kind === "recover" && status === "done");
      });
      expect(plan.steps.map(({ name }) => name)).toEqual(["start ringmaster-demo-2"]);
      const after = (await nodes())[1];
      expect({ agentId: after?.agentId, ports: after?.ports, phase: after?.phase }).toEqual({
        agentId: before?.agentId,
        ports: before?.ports,
        phase: "running",
      } as never);
      expect(after?.taskId).not.toBe(before?.taskId);
      expect(await through(2, rows)).toEqual(Array.from({ length: 20 }, (_, id) => id));
    },
    6 * MINUTE,
  );

  test(
    "forgets a node that never joined when it is removed by force",
    async () => {
      const { plan } = await scheduler.json<Accepted>(
        "node",
        "remove",
        "demo",
        "ringmaster-demo-4",
        "--force",
        "--yes",
      );
      await until("the removal is done", MINUTE, async () => {
        const { status } = await scheduler.json<PlanView>("plan", "show", plan);
        return status === "done";
      });
      expect(await phases()).toEqual(["running", "running", "running"]);
    },
    2 * MINUTE,
  );

  test(
    "keeps running while Mesos is killed and started again, and is known again",
    async () => {
      const pids = await cassandras();
      const before = (await nodes()).map(({ taskId }) => taskId);
      await mesos.kill();
      for (const host of HOSTS) await mesos.killAgent(host);
      await until(
        "the scheduler notices",
        MINUTE,
        async () =>
          ((await (await fetch(`${scheduler.url()}/health`)).json()) as { mesos: string }).mesos === "disconnected",
      );
      await mesos.restart();
      for (const host of HOSTS) await mesos.returnAgent(host);
      await until("Mesos and the scheduler agree again", 2 * MINUTE, async () => {
        const metrics = await (await fetch(`${scheduler.url()}/metrics`)).text();
        return metrics.includes("ringmaster_mesos_connected 1") && metrics.includes("ringmaster_unreconciled_tasks 0");
      });
      await until("Mesos lists the three tasks", MINUTE, async () => {
        const known = (await tasks()).live.map(({ id }) => id);
        return before.every((taskId) => taskId === undefined || known.includes(taskId));
      });
      expect((await nodes()).map(({ taskId }) => taskId)).toEqual(before);
      expect(await phases()).toEqual(["running", "running", "running"]);
      expect(await cassandras()).toEqual(pids);
    },
    5 * MINUTE,
  );

  test(
    "leaves a seed that serves in its place, however long its agent is out of sight, and says why",
    async () => {
      const before = await nodes();
      const pids = await cassandras();
      const stranded = before.find(({ hostname }) => hostname === FOURTH);
      await mesos.killAgent(FOURTH);
      const plan = await until("the replacement waits for the ring", MINUTE, async () => {
        const found = await replacement();
        const told = JSON.stringify(found?.steps.flatMap(({ waitsFor }) => waitsFor) ?? []);
        return told.includes("is alive in the ring") ? found : undefined;
      });
      expect(await through(numberOf(stranded), rowsAtQuorum)).toEqual(Array.from({ length: 20 }, (_, id) => id));
      await mesos.returnAgent(FOURTH);
      await until("the replacement is called off", MINUTE, async () => {
        const { status } = await scheduler.json<PlanView>("plan", "show", plan.id);
        return status === "aborted";
      });
      expect((await nodes()).map(({ id, phase, taskId }) => [id, phase, taskId])).toEqual(
        before.map(({ id, taskId }) => [id, "running", taskId]),
      );
      expect(await cassandras()).toEqual(pids);
    },
    3 * MINUTE,
  );

  test(
    "replaces a seed by itself when its machine stands still, and ends the old one when it wakes",
    async () => {
      const lost = (await nodes()).find(({ hostname }) => hostname === FOURTH);
      const others = (await nodes()).filter(({ id }) => id !== lost?.id);
      const called = await replacement();
      await mesos.freezeAgent(FOURTH);
      const plan = await until("the replacement is planned", MINUTE, () => replacement(called));
      await planDone(scheduler, plan.id, 4 * MINUTE);
      const after = await nodes();
      expect(after.slice(0, 2).map(({ id, taskId }) => [id, taskId])).toEqual(
        others.map(({ id, taskId }) => [id, taskId]),
      );
      expect(after[2]).toMatchObject({ phase: "running", hostname: "127.0.0.1", rack: lost?.rack ?? "" });

      await mesos.thawAgent(FOURTH);
      await until("the old node is ended and what was reserved for it given back", 2 * MINUTE, async () => {
        const agent = (await mesos.agents()).find(({ hostname }) => hostname === FOURTH);
        const isFree = agent?.active === true && Object.keys(agent.reserved_resources).length === 0;
        return isFree && !(await cassandras()).has(lost?.id ?? "");
      });
      expect(await nodes()).toEqual(after);
      const all = Array.from({ length: 20 }, (_, id) => id);
      for (const node of after) expect(await through(numberOf(node), rowsAtQuorum)).toEqual(all);
      await expectThreeMembers(others[0]?.id ?? "");
    },
    6 * MINUTE,
  );

  test(
    "replaces a node by itself when its agent is marked as gone: all rows are there at QUORUM, with every node",
    async () => {
      const lost = (await nodes()).find(({ hostname }) => hostname === "127.0.0.1");
      const others = (await nodes()).filter(({ id }) => id !== lost?.id).map(({ id }) => id);
      const before = await replacement();
      await mesos.markGone(lost?.agentId ?? "");
      const witness = Number(others[0]?.split("-").at(-1));
      await until("rows can be written without it", MINUTE, () =>
        through(witness, async (client) => {
          for (let id = 20; id < 40; id++)
            await client.execute("INSERT INTO test.rows (id) VALUES (?)", [id], {
              prepare: true,
              consistency: types.consistencies.quorum,
            });
          return true;
        }),
      );
      const plan = await until("the replacement is done", 4 * MINUTE, async () => {
        const found = await replacement(before);
        if (found?.status !== "done") throw new Error(JSON.stringify(found?.steps.map(({ waitsFor }) => waitsFor)));
        return found;
      });
      expect(plan.steps.map(({ type, operation, node }) => `${operation ?? type} ${node?.split("-").at(-1)}`)).toEqual([
        `replace ${lost?.id.split("-").at(-1)}`,
        `check-replace ${witness}`,
        "start 7",
        `release ${lost?.id.split("-").at(-1)}`,
      ]);
      const after = await nodes();
      expect(after.map(({ id }) => id)).toEqual([...others, "ringmaster-demo-7"]);
      expect(after.map(({ phase, healthy }) => `${phase} ${healthy}`)).toEqual(after.map(() => "running true"));
      expect(after[2]).toMatchObject({ hostname: FOURTH, rack: lost?.rack ?? "" });
      const all = Array.from({ length: 40 }, (_, id) => id);
      for (const { id } of after) expect(await through(Number(id.split("-").at(-1)), rowsAtQuorum)).toEqual(all);
      // It has streamed what the dead node had.
      expect(await through(7, rows)).toEqual(all);
      await expectThreeMembers(after[0]?.id ?? "");
      expect(plan.next).toEndWith("ringmaster node run ringmaster-demo-7 repair");
      const repair = await scheduler.json<Accepted>("node", "run", "ringmaster-demo-7", "repair");
      await planDone(scheduler, repair.plan, 2 * MINUTE);
    },
    6 * MINUTE,
  );

  test(
    "is destroyed without a trace: the agents offer what they offered before",
    async () => {
      const { code, err } = await scheduler.cli("cluster", "destroy", "demo", "--yes", "--wait", "--timeout", "240");
      expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
      const offered = await resources();
      expect(offered).toEqual(offeredBefore);
      expect((await cassandras()).size).toBe(0);
      expect((await scheduler.json<{ clusters: readonly unknown[] }>("cluster", "list")).clusters).toEqual([]);
    },
    5 * MINUTE,
  );
});
