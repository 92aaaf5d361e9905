// Both unmodified CQL drivers, alone and under a steady load, through a director that follows the scheduler of a real cluster on a real
// Mesos: its nodes are restarted by plan, one is killed, the scheduler is away.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Client } from "cassandra-driver";
import type { Accepted } from "../../src/databases/api.ts";
import { Authority } from "../../src/director/io/authority.ts";
import { cassandraPackage } from "./cassandra/package.ts";
import { SMALL_PROFILE } from "./cassandra/small-profile.ts";
import { type Director, failuresOf, goOn, type Load, startDirector, startLoad } from "./director.ts";
import { startMesos, type Mesos } from "./mesos/mesos.ts";
import { pythonPackage, runPython, startPythonLoad } from "./python.ts";
import { planDone, startScheduler, until, type Scheduler } from "./ringmaster.ts";

const MINUTE = 60_000;
const LOCAL_QUORUM = 6;
const TEST_DEADLINE_MS = 240_000;
const PYTHON_DRIVER = ["cassandra-driver", "3.30.1", "lz4==4.4.5", "python-snappy==0.7.3"] as const;
const WORKERS = 4;
/** Longer than Bun lets a socket live that it was not told to leave alone. */
const OLD_MS = 125_000;
/** How long the scheduler is away; by hand a minute was tried too. */
const AWAY_MS = Number(process.env["SCHEDULER_AWAY_MS"] ?? 5000);

let directory: string;
let mesos: Mesos;
let scheduler: Scheduler;
let director: Director;
/** Carries connections to the first one, and does not know what is in them. */
let raw: Director;
let client: Client;
let throughBoth: Client;
let loadedSinceMs = 0;
let loads: readonly Load[] = [];

/** The pid of a node's Cassandra. */
async function cassandra(node: string): Promise<number> {
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    if (command.includes(mesos.work) && command.includes(`/executors/${node}.`) && command.includes("CassandraDaemon"))
      return Number(entry);
  }
  throw new Error(`node ${node} has no Cassandra`);
}

const PYTHON = `
from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster
session = Cluster(["127.0.0.1"], port=int(sys.argv[1]), compression="lz4").connect("load")
insert = session.prepare("INSERT INTO rows (id, value) VALUES (?, ?)")
select = session.prepare("SELECT value FROM rows WHERE id = ?")
insert.consistency_level = select.consistency_level = ConsistencyLevel.LOCAL_QUORUM
def ask(worker, count):
    row = "python %d" % worker
    session.execute(insert, (row, count))
    found = session.execute(select, (row,)).one()
    assert found.value == count, "found %s, wanted %d" % (found, count)
run_load(${WORKERS}, ask)
session.cluster.shutdown()
`;

async function ask(client: Client, row: string, count: number): Promise<void> {
  const options = { prepare: true, consistency: LOCAL_QUORUM };
  await client.execute("INSERT INTO load.rows (id, value) VALUES (?, ?)", [row, count], options);
  const found = await client.execute("SELECT value FROM load.rows WHERE id = ?", [row], options);
  if (found.first()["value"] !== count) throw new Error(`found ${String(found.first()["value"])}, wanted ${count}`);
}

async function connected(director: Director): Promise<Client> {
  const client = new Client({ contactPoints: [`127.0.0.1:${director.ports.cql}`], localDataCenter: "dc1" });
  await client.connect();
  return client;
}

function expectNoFailures(): void {
  const failures = failuresOf(loads);
  if (failures.length > 0) console.log(director.log());
  expect(failures).toEqual([]);
}

beforeAll(async () => {
  const { archive } = await cassandraPackage();
  directory = await mkdtemp(join(tmpdir(), "ringmaster-test-"));
  mesos = await startMesos({ agents: 3 });
  scheduler = await startScheduler({ mesos: mesos.url, directory, flags: ["--drain", "2"] });
  const body = {
    ...{ version: "5.0.4", package: `file://${archive}`, nodes: 3, constraints: "hostname:UNIQUE" },
    resources: { cpus: 0.5, memMb: 768, diskMb: 2048 },
    settings: SMALL_PROFILE,
  };
  await Bun.write(join(directory, "cluster.json"), JSON.stringify(body));
  const create = ["cluster", "create", "demo", "--file", join(directory, "cluster.json")];
  const { plan } = await scheduler.json<Accepted>(...create);
  director = await startDirector(["cql"], "--cluster", "demo", "--scheduler", scheduler.url());
  await pythonPackage(...PYTHON_DRIVER);
  await planDone(scheduler, plan, 8 * MINUTE);
  await until("the director knows all nodes", MINUTE, async () => (await director.states()).join() === "up,up,up");
  raw = await startDirector(["cql"], "--cql-mode", "raw", "--backend", `127.0.0.1:${director.ports.cql}`);
  client = await connected(director);
  throughBoth = await connected(raw);
  await client.execute("CREATE KEYSPACE load WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}");
  await client.execute("CREATE TABLE load.rows (id text PRIMARY KEY, value int)");
}, 15 * MINUTE);

afterAll(async () => {
  for (const load of loads) await load.stop().catch(() => undefined);
  await client?.shutdown();
  await throughBoth?.shutdown();
  await raw?.stop();
  await director?.stop();
  await scheduler?.stop();
  await mesos?.stop();
  await rm(directory, { recursive: true, force: true });
}, MINUTE);

const SCRIPT = `
import sys, logging
from cassandra.cluster import Cluster
from cassandra.concurrent import execute_concurrent_with_args
port, version, compression = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
cluster = Cluster(["127.0.0.1"], port=port, protocol_version=version, compression=compression or False)
session = cluster.connect()
table = "python.rows%d%s" % (version, compression)
session.execute("CREATE KEYSPACE IF NOT EXISTS python WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}")
session.execute("CREATE TABLE %s (id int PRIMARY KEY, value text)" % table)
insert = session.prepare("INSERT INTO %s (id, value) VALUES (?, ?)" % table)
values = {i: "x" * (200000 if i == 7 else i * 50) for i in range(300)}
execute_concurrent_with_args(session, insert, list(values.items()), concurrency=8)
rows = {row.id: row.value for row in session.execute("SELECT * FROM %s" % table)}
assert rows == values, "values differ"
hosts = ["%s:%d" % (host.address, host.endpoint.port) for host in cluster.metadata.all_hosts()]
used = {c._compression_type for holder in cluster.get_connection_holders() for c in holder.get_connections()}
print(cluster.protocol_version, used, " ".join(hosts), len(rows))
cluster.shutdown()
`;

describe("the Python driver", () => {
  test.each([
    [4, ""],
    [5, ""],
    [4, "lz4"],
    [4, "snappy"],
    [5, "lz4"],
  ])(
    "stays with the director in protocol version %d, with compression %p",
    async (version, compression) => {
      const folder = await pythonPackage(...PYTHON_DRIVER);
      const said = await runPython(folder, SCRIPT, [String(director.ports.cql), String(version), compression]);
      const used = compression === "" ? "{None}" : `{'${compression}'}`;
      expect(said).toBe(`${version} ${used} 127.0.0.1:${director.ports.cql} 300\n`);
    },
    TEST_DEADLINE_MS,
  );
});

test(
  "The Node.js driver speaks TLS with the director, with a certificate of its own, and goes on when the director's changes",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "director-cassandra-tls-"));
    const authority = new Authority(folder);
    const [first, second, own] = ["first", "second", "own"].map((name) => authority.issue(name));
    if (first === undefined || second === undefined || own === undefined) throw new Error("Cannot make certificates");
    const secure = await startDirector(
      ["cql"],
      ...["--cluster", "demo", "--scheduler", scheduler.url()],
      ...["--tls-cert", first.cert, "--tls-key", first.key, "--tls-client-ca", authority.ca],
    );
    const connect = async (): Promise<Client> => {
      const client = new Client({
        contactPoints: [`127.0.0.1:${secure.ports.cql}`],
        localDataCenter: "dc1",
        sslOptions: {
          ...{ ca: [readFileSync(authority.ca)], cert: readFileSync(own.cert), key: readFileSync(own.key) },
          ...{ host: "127.0.0.1", rejectUnauthorized: true },
        },
      });
      await client.connect();
      return client;
    };
    try {
      const client = await connect();
      const ask = async (): Promise<string> =>
        String((await client.execute("SELECT cluster_name FROM system.local")).rows[0]?.["cluster_name"]);
      const name = await ask();
      copyFileSync(second.cert, first.cert);
      copyFileSync(second.key, first.key);
      await until("the new certificate is in use", MINUTE, async () => {
        const socket = connectTls({ port: secure.ports.cql, host: "127.0.0.1", rejectUnauthorized: false });
        socket.on("error", () => undefined);
        await once(socket, "secureConnect");
        const { subject } = socket.getPeerCertificate();
        socket.destroy();
        return subject.CN === "second";
      });
      for (let i = 0; i < 20; i += 1) expect(await ask()).toBe(name);
      await (await connect()).shutdown();
      await client.shutdown();
    } finally {
      await secure.stop();
      rmSync(folder, { recursive: true });
    }
  },
  TEST_DEADLINE_MS,
);

describe("the Node.js driver", () => {
  test("stays with the director, whose connections are on all nodes", async () => {
    const many = new Client({
      contactPoints: [`127.0.0.1:${director.ports.cql}`],
      localDataCenter: "dc1",
      pooling: { coreConnectionsPerHost: { "0": 6 } },
    });
    await many.connect();
    expect(many.hosts.keys()).toEqual([`127.0.0.1:${director.ports.cql}`]);
    const open = await director.metric("backend_connections");
    expect(open.length).toBe(3);
    for (const connections of open) expect(connections).toBeGreaterThanOrEqual(2);
    await many.shutdown();
  });
});

describe("drivers that know only the director", () => {
  test(
    "lose no request while every node is restarted by plan, one after the other",
    async () => {
      loadedSinceMs = Date.now();
      loads = [
        startLoad("node.js", WORKERS, (worker, count) => ask(client, `node.js ${worker}`, count)),
        startLoad("two directors", 1, (worker, count) => ask(throughBoth, `two directors ${worker}`, count)),
        startPythonLoad("python", [await pythonPackage(...PYTHON_DRIVER)], PYTHON, [String(director.ports.cql)]),
      ];
      await goOn(loads, 50);
      const { plan } = await scheduler.json<Accepted>("cluster", "restart", "demo");
      await planDone(scheduler, plan, 8 * MINUTE);
      // The last one that was restarted had none, and gets its share while the loads go on.
      await until("all nodes have connections again", MINUTE, async () =>
        (await director.metric("backend_connections")).every((count) => count > 0),
      );
      await goOn(loads, 50);
      expectNoFailures();
      const failures = await director.metric("backend_failures_total");
      if (failures.some((count) => count > 0)) throw new Error(`Found failures ${failures.join()}:\n${director.log()}`);
    },
    9 * MINUTE,
  );

  test(
    "lose nothing while the scheduler is away",
    async () => {
      await scheduler.kill();
      const untilMs = Date.now() + AWAY_MS;
      while (Date.now() < untilMs) await goOn(loads, 50);
      expect(await director.states()).toEqual(["up", "up", "up"]);
      expectNoFailures();
      await scheduler.restart();
    },
    3 * MINUTE,
  );

  test(
    "keep their connections however long they last",
    async () => {
      await until("the connections are old", 3 * MINUTE, async () => Date.now() - loadedSinceMs > OLD_MS);
      await goOn(loads, 50);
      expectNoFailures();
      expect(throughBoth.hosts.keys()).toEqual([`127.0.0.1:${raw.ports.cql}`]);
    },
    4 * MINUTE,
  );

  test(
    "lose only what a node had under way that is killed, and go on within a second",
    async () => {
      const killedMs = Date.now();
      process.kill(await cassandra("ringmaster-demo-2"), "SIGKILL");
      await goOn(loads, 100);
      const killed = loads.flatMap((load) => load.failures());
      // Each worker has one request under way at a time.
      expect(killed.length).toBeLessThanOrEqual(2 * WORKERS + 1);
      for (const { askedMs, error } of killed) expect([askedMs - killedMs < 1000, error]).toEqual([true, error]);
      for (const load of loads) await load.stop();
      expect(loads.flatMap((load) => load.failures())).toEqual(killed);
    },
    3 * MINUTE,
  );
});
