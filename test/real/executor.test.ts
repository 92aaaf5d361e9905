// One node of a real Cassandra, run by hand: `ringmaster executor --task FILE`.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "cassandra-driver";
import type { NodeTask } from "../../src/databases/node.ts";
import { CASSANDRA_VERSION, cassandraPackage, type CassandraPackage } from "./cassandra/package.ts";
import { SMALL_PROFILE } from "./cassandra/small-profile.ts";

const START_DEADLINE_MS = 120_000;
const TEST_DEADLINE_MS = 300_000;

/** A loopback address of this run's own, so that nothing else listens there. */
const ADDRESS = `127.77.${1 + Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`;

let made: CassandraPackage;
let folder: string;
let task: NodeTask;
const running: Executor[] = [];

type Executor = {
  readonly child: Bun.Subprocess;
  readonly output: () => string;
  /** Waits until the output has the text; fails when the executor ends before. */
  readonly said: (text: string) => Promise<void>;
  /** The exit code. */
  readonly ended: () => Promise<number>;
};

/** Ports that were free a moment ago. JMX listens at 127.0.0.1, whatever the node's address. */
function freePorts(names: readonly string[]): Record<string, number> {
  const open = names.map((name) =>
    Bun.listen({ hostname: name === "jmx" ? "127.0.0.1" : ADDRESS, port: 0, socket: { data: () => {} } }),
  );
  const ports = Object.fromEntries(names.map((name, index) => [name, open[index]!.port]));
  for (const one of open) one.stop(true);
  return ports;
}

async function start(change: Partial<NodeTask> = {}, sandbox = "sandbox"): Promise<Executor> {
  const file = join(folder, "task.json");
  await Bun.write(file, JSON.stringify({ ...task, ...change }));
  const argv = [
    "src/main.ts",
    "executor",
    "--task",
    file,
    "--sandbox",
    join(folder, sandbox),
    "--package",
    made.folder,
  ];
  const child = Bun.spawn([process.execPath, ...argv], {
    cwd: join(import.meta.dir, "../.."),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) output += new TextDecoder().decode(chunk);
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const executor: Executor = {
    child,
    output: () => output,
    said: async (text) => {
      const untilMs = Date.now() + START_DEADLINE_MS;
      while (!output.includes(text)) {
        if (child.exitCode !== null || Date.now() > untilMs) {
          const log = await readFile(join(folder, sandbox, "logs/system.log"), "utf8").catch(() => "none");
          throw new Error(`Waited in vain for "${text}" of the executor:\n${output}\nlog: ${log.slice(-3000)}`);
        }
        await Bun.sleep(50);
      }
    },
    ended: async () => {
      const code = await child.exited;
      await collected;
      return code;
    },
  };
  running.push(executor);
  return executor;
}

/** The pid of the database that this sandbox' executor started, as it said. */
function databasePid(executor: Executor): number {
  return Number(/Process (\d+) of cassandra/.exec(executor.output())?.[1]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function cql<T>(use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ contactPoints: [`${ADDRESS}:${task.ports["native"]}`], localDataCenter: "dc1" });
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.shutdown();
  }
}

async function rows(): Promise<readonly number[]> {
  const result = await cql((client) => client.execute("SELECT id FROM test.rows"));
  return result.rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
}

async function api(path: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${task.token}` };
  return (await fetch(`http://${ADDRESS}:${task.ports["api"]}${path}`, { headers })).json();
}

beforeAll(async () => {
  made = await cassandraPackage();
  folder = await mkdtemp(join(tmpdir(), "ringmaster-executor-"));
  const ports = freePorts(["storage", "native", "jmx", "jolokia", "api"]);
  task = {
    schema: 1,
    framework: "ringmaster",
    cluster: "demo",
    node: "ringmaster-demo-1",
    database: "cassandra",
    version: CASSANDRA_VERSION,
    generation: 1,
    expectData: false,
    hostname: ADDRESS,
    datacenter: "dc1",
    rack: "rack1",
    oneRack: true,
    cpus: 1,
    memMb: 768,
    ports,
    seeds: [`${ADDRESS}:${ports["storage"]}`],
    volume: "data",
    env: {},
    // By default a killed Cassandra may lose its last ten seconds; here every write is on the disk before it is answered.
    settings: {
      ...SMALL_PROFILE,
      "cassandra.yaml": { ...SMALL_PROFILE["cassandra.yaml"], commitlog_sync: "batch" },
    },
    graceMs: 60_000,
    token: crypto.randomUUID(),
  };
}, 600_000);

afterEach(async () => {
  for (const { child } of running.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("a node run by hand", () => {
  test(
    "serves, is drained and stopped by SIGTERM, and comes back with its rows",
    async () => {
      const first = await start();
      await first.said("TASK_RUNNING, healthy ringmaster.address=");
      await first.said(": OperationMode NORMAL, native transport on");
      const pid = databasePid(first);
      await cql(async (client) => {
        await client.execute("CREATE KEYSPACE test WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1}");
        await client.execute("CREATE TABLE test.rows (id int PRIMARY KEY)");
        for (const id of [1, 2, 3])
          await client.execute("INSERT INTO test.rows (id) VALUES (?)", [id], { prepare: true });
      });
      expect(await rows()).toEqual([1, 2, 3]);
      const address = `${ADDRESS}:${task.ports["storage"]}`;
      expect(await api("/v1/read/status")).toEqual({
        mode: "NORMAL",
        nodes: [
          {
            address,
            state: "UN",
            load: expect.stringMatching(/KiB$/),
            tokens: 8,
            owns: expect.closeTo(1, 3),
            hostId: expect.stringMatching(/^[0-9a-f-]{36}$/),
            datacenter: "dc1",
            rack: "rack1",
          },
        ],
      });
      first.child.kill("SIGTERM");
      expect(await first.ended()).toBe(0);
      expect(first.output()).toMatch(
        /Draining\n.*Sending SIGTERM\n.*TASK_KILLED: Interrupted; the process ended with code 143\n$/,
      );
      expect(first.output()).not.toContain("drain failed");
      expect(isAlive(pid)).toBe(false);

      const second = await start({ expectData: true });
      await second.said("TASK_RUNNING, healthy");
      expect(await rows()).toEqual([1, 2, 3]);
      await cql((client) => client.execute("INSERT INTO test.rows (id) VALUES (4)"));
      process.kill(databasePid(second), "SIGKILL");
      expect(await second.ended()).toBe(1);
      expect(second.output()).toMatch(/TASK_FAILED: cassandra ended by itself by SIGKILL after \d+ s/);

      const third = await start({ expectData: true });
      await third.said("TASK_RUNNING, healthy");
      expect(await rows()).toEqual([1, 2, 3, 4]);
      const orphan = databasePid(third);
      third.child.kill("SIGKILL");
      await third.ended();
      const untilMs = Date.now() + 10_000;
      while (isAlive(orphan) && Date.now() < untilMs) await Bun.sleep(20);
      expect(isAlive(orphan)).toBe(false);
    },
    TEST_DEADLINE_MS,
  );

  test("does not start on an emptied volume, or on another node's, and touches neither", async () => {
    const emptied = await start({ expectData: true }, "emptied");
    expect(await emptied.ended()).toBe(1);
    expect(emptied.output()).toEndWith(
      'TASK_FAILED ringmaster.failure=empty-volume: Cannot use volume "data" of node "ringmaster-demo-1": found nothing, wanted the node\'s data\n',
    );
    expect(await readdir(join(folder, "emptied/data"))).toEqual([]);

    const marker = JSON.stringify({
      schema: 1,
      framework: "ringmaster",
      cluster: "demo",
      node: "ringmaster-demo-2",
      generation: 1,
    });
    await Bun.write(join(folder, "foreign/data/ringmaster.json"), marker);
    const foreign = await start({}, "foreign");
    expect(await foreign.ended()).toBe(1);
    expect(foreign.output()).toContain(
      'TASK_FAILED ringmaster.failure=foreign-volume: Cannot use volume "data" of node "ringmaster-demo-1": its marker has node "ringmaster-demo-2", wanted "ringmaster-demo-1"',
    );
    expect(await readdir(join(folder, "foreign/data"))).toEqual(["ringmaster.json"]);
    expect(await readFile(join(folder, "foreign/data/ringmaster.json"), "utf8")).toBe(marker);
  });

  test(
    "that Cassandra refuses to start fails with Cassandra's own words",
    async () => {
      const settings = {
        ...SMALL_PROFILE,
        "cassandra.yaml": { ...SMALL_PROFILE["cassandra.yaml"], authenticator: "NoSuchAuthenticator" },
      };
      const executor = await start({ settings }, "refused");
      expect(await executor.ended()).toBe(1);
      expect(executor.output()).toMatch(
        /TASK_FAILED: cassandra ended by itself with code \d+ after \d+ s; its last lines: [^]*NoSuchAuthenticator/,
      );
    },
    TEST_DEADLINE_MS,
  );
});

describe("bad input", () => {
  const run = async (...args: readonly string[]): Promise<readonly [number, string]> => {
    const child = Bun.spawn([process.execPath, "src/main.ts", "executor", ...args], {
      cwd: join(import.meta.dir, "../.."),
      env: { PATH: process.env["PATH"] },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return [await child.exited, output.join("")];
  };

  test("is answered by a clear error and exit code 1, without a stack", async () => {
    expect(await run()).toEqual([
      1,
      "Cannot start the executor: found neither --task FILE nor the environment of a Mesos agent; see ringmaster executor --help\n",
    ]);
    expect((await run("--tusk", "x"))[1]).toStartWith("Cannot read the arguments: Unknown option '--tusk'");
    expect((await run("--task", "/nowhere.json"))[1]).toStartWith('Cannot read the task file "/nowhere.json": ENOENT');
    const file = join(folder, "bad.json");
    await Bun.write(file, JSON.stringify({ ...task, memMb: -1, hostname: "" }));
    expect(await run("--task", file)).toEqual([
      1,
      `Cannot read the task file "${file}":\n  hostname: found "", wanted a host name or address\n  memMb: found -1, wanted a whole number of megabytes\n`,
    ]);
    expect((await run("--help"))[0]).toBe(0);
  });

  test("of the task's package or ports fails the task with the reason", async () => {
    await Bun.write(join(folder, "task.json"), JSON.stringify(task));
    const sandbox = join(folder, "nothing");
    expect(await run("--task", join(folder, "task.json"), "--sandbox", sandbox, "--package", "/nowhere")).toEqual([
      1,
      'Cannot use the package "/nowhere": found nothing there, wanted a folder or a tar archive\n',
    ]);
    const [code, output] = await run("--task", join(folder, "task.json"), "--sandbox", sandbox);
    expect(code).toBe(1);
    expect(output).toContain(`TASK_FAILED: Cannot find the cassandra package in "${sandbox}": found none`);

    const taken = Bun.listen({ hostname: ADDRESS, port: task.ports["api"] ?? 0, socket: { data: () => {} } });
    const blocked = await start({}, "blocked");
    expect(await blocked.ended()).toBe(1);
    taken.stop(true);
    expect(blocked.output()).toContain(
      `TASK_FAILED: Cannot serve the executor's API at "${ADDRESS}:${task.ports["api"]}"`,
    );
  });
});
