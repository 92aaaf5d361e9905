// Unmodified CQL drivers that know only the director, before a real three-node Cassandra whose nodes are killed meanwhile.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Client } from "cassandra-driver";
import { Authority } from "../../src/director/io/authority.ts";
import { type CassandraNodes, startCassandra } from "./cassandra/nodes.ts";
import { pythonPackage, runPython } from "./python.ts";

const TEST_DEADLINE_MS = 240_000;
const PYTHON_DRIVER = ["cassandra-driver", "3.30.1"] as const;

type Director = { readonly port: number; readonly admin: string; readonly stop: () => Promise<void> };

let cassandra: CassandraNodes;
let director: Director;

/** `ringmaster director` as a process, on free ports. */
async function startDirector(...flags: readonly string[]): Promise<Director> {
  const listen = ["--cql-listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-json"];
  const child = Bun.spawn([process.execPath, "src/main.ts", "director", ...listen, ...flags], {
    cwd: join(import.meta.dir, "../.."),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  let log = "";
  const ready = Promise.withResolvers<void>();
  const read = async (): Promise<void> => {
    const stderr: ReadableStream<Uint8Array> = child.stderr;
    for await (const chunk of stderr) {
      log += new TextDecoder().decode(chunk);
      if (log.includes('"admin"')) ready.resolve();
    }
    ready.reject(new Error(`The director ended:\n${log}`));
  };
  const reading = read();
  await ready.promise;
  return {
    port: Number(/"address":"127\.0\.0\.1:(\d+)"/.exec(log)?.[1]),
    admin: /"admin":"([^"]+)"/.exec(log)?.[1] ?? "",
    stop: async () => {
      child.kill("SIGKILL");
      await child.exited;
      await reading.catch(() => undefined);
    },
  };
}

/** States of the backends, as the admin API tells them. */
async function states(): Promise<readonly string[]> {
  const answer = (await (await fetch(`${director.admin}/status`)).json()) as {
    readonly status: { readonly proxy: readonly { readonly nodes: readonly { readonly status: string }[] }[] };
  };
  return answer.status.proxy.flatMap(({ nodes }) => nodes.map(({ status }) => status));
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 30_000;
  while (!(await check())) {
    if (Date.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(50);
  }
}

beforeAll(async () => {
  cassandra = await startCassandra(3);
  director = await startDirector(
    ...cassandra.nodes.flatMap(({ address, port }) => ["--backend", `${address}:${port}`]),
  );
}, 600_000);

afterAll(async () => {
  await director?.stop();
  await cassandra?.[Symbol.asyncDispose]();
}, 60_000);

const SCRIPT = `
import sys, logging
from cassandra.cluster import Cluster
from cassandra.concurrent import execute_concurrent_with_args
port, version = int(sys.argv[1]), int(sys.argv[2])
cluster = Cluster(["127.0.0.1"], port=port, protocol_version=version)
session = cluster.connect()
table = "python.rows%d" % version
session.execute("CREATE KEYSPACE IF NOT EXISTS python WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}")
session.execute("CREATE TABLE %s (id int PRIMARY KEY, value text)" % table)
insert = session.prepare("INSERT INTO %s (id, value) VALUES (?, ?)" % table)
values = {i: "x" * (200000 if i == 7 else i * 50) for i in range(300)}
execute_concurrent_with_args(session, insert, list(values.items()), concurrency=8)
rows = {row.id: row.value for row in session.execute("SELECT * FROM %s" % table)}
assert rows == values, "values differ"
hosts = ["%s:%d" % (host.address, host.endpoint.port) for host in cluster.metadata.all_hosts()]
print(cluster.protocol_version, " ".join(hosts), len(rows))
cluster.shutdown()
`;

describe("the Python driver", () => {
  for (const version of [4, 5])
    test(
      `stays with the director in protocol version ${version}`,
      async () => {
        const folder = await pythonPackage(...PYTHON_DRIVER);
        const said = await runPython(folder, SCRIPT, [String(director.port), String(version)]);
        expect(said).toBe(`${version} 127.0.0.1:${director.port} 300\n`);
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
      ...cassandra.nodes.flatMap(({ address, port }) => ["--backend", `${address}:${port}`]),
      ...["--tls-cert", first.cert, "--tls-key", first.key, "--tls-client-ca", authority.ca],
    );
    const connect = async (): Promise<Client> => {
      const client = new Client({
        contactPoints: [`127.0.0.1:${secure.port}`],
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
      await until("the new certificate is in use", async () => {
        const socket = connectTls({ port: secure.port, host: "127.0.0.1", rejectUnauthorized: false });
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
  const connect = async (): Promise<Client> => {
    const client = new Client({
      contactPoints: [`127.0.0.1:${director.port}`],
      localDataCenter: "dc1",
      pooling: { coreConnectionsPerHost: { "0": 6 } },
    });
    await client.connect();
    return client;
  };

  test(
    "stays with the director, whose connections are on all nodes",
    async () => {
      const client = await connect();
      await client.execute("CREATE KEYSPACE node WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}");
      await client.execute("CREATE TABLE node.rows (id int PRIMARY KEY, value text)");
      const insert = "INSERT INTO node.rows (id, value) VALUES (?, ?)";
      for (let id = 0; id < 60; id += 1) await client.execute(insert, [id, `v${id}`], { prepare: true });
      const { rows } = await client.execute("SELECT id FROM node.rows");
      expect(rows.map((row) => Number(row["id"])).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 60 }, (_, i) => i),
      );
      expect(client.hosts.keys()).toEqual([`127.0.0.1:${director.port}`]);
      const metrics = await (await fetch(`${director.admin}/metrics`)).text();
      const open = [...metrics.matchAll(/^ringmaster_director_backend_connections\{.*\} (\d+)$/gm)].map(([, n]) =>
        Number(n),
      );
      expect(open.length).toBe(3);
      for (const connections of open) expect(connections).toBeGreaterThanOrEqual(2);
      await client.shutdown();
    },
    TEST_DEADLINE_MS,
  );

  test(
    "under load loses only what is under way on a node that is killed, and gets it back when it is back",
    async () => {
      const client = await connect();
      const failures: number[] = [];
      let done = 0;
      const over = new AbortController();
      const work = async (id: number): Promise<void> => {
        while (!over.signal.aborted)
          await client.execute("SELECT * FROM node.rows WHERE id = ?", [id], { prepare: true }).then(
            () => (done += 1),
            () => failures.push(performance.now()),
          );
      };
      const workers = Array.from({ length: 16 }, (_, id) => work(id));
      await until("it works", async () => await Promise.resolve(done > 1000));
      const [, , victim] = cassandra.nodes;
      const killedMs = performance.now();
      await victim?.kill();
      await until("the node is missed", async () => (await states()).includes("down"));
      const [before, failed] = [done, failures.length];
      await until("it works without the node", async () => await Promise.resolve(done > before + 1000));
      await victim?.start();
      await until("all nodes are back", async () => (await states()).every((state) => state === "up"));
      over.abort();
      await Promise.all(workers);
      // At most what 16 workers had under way, and all of that within a second of the kill.
      expect(failed).toBeLessThanOrEqual(16);
      expect(failures.length).toBe(failed);
      for (const failedMs of failures) expect(failedMs - killedMs).toBeLessThan(1000);
      await client.shutdown();
    },
    TEST_DEADLINE_MS,
  );
});
