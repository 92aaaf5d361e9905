// The demo: builds the binary, starts a real Mesos with three agents and a scheduler, deploys a three-node Cassandra, shows
// each step, and writes a row through one node to read it through another. Ends at Ctrl-C, or by itself with --exit.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client } from "cassandra-driver";
import type { EndpointsView } from "../src/databases/api.ts";
import { cassandraPackage } from "../test/real/cassandra/package.ts";
import { SMALL_PROFILE } from "../test/real/cassandra/small-profile.ts";
import { startMesos } from "../test/real/mesos/mesos.ts";
import { BINARY, startScheduler, until, type Scheduler } from "../test/real/ringmaster.ts";

const HELP = `Usage: scripts/demo [--exit] [--http HOST:PORT] [--name NAME]

  --exit            stop after the deployment instead of at Ctrl-C
  --http HOST:PORT  where the scheduler's API listens (default: a free port on 127.0.0.1)
  --name NAME       name of the cluster (default: demo)

Everything runs on this machine, on free ports and in a directory of its own: demos run side by side.`;

const CLUSTER_MEM_MB = 768;

const begun = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${text}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      exit: { type: "boolean" },
      http: { type: "string" },
      name: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  const interrupted = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.resolve());

  say("building dist/ringmaster");
  await command(["bun", "scripts/build.ts"]);
  say("making a Cassandra 5.0.4 package (the first time takes minutes: 100 jars from Maven Central)");
  const { archive: tarball } = await cassandraPackage();
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-demo-"));
  try {
    say("starting a Mesos with three agents");
    await using mesos = await startMesos({ agents: 3 });
    say(`Mesos 1.11.0 runs at ${mesos.url}`);
    const flags = values.http === undefined ? [] : ["--http", values.http];
    await using scheduler = await startScheduler({ mesos: mesos.url, directory, flags });
    say(`the scheduler's API is at ${scheduler.url()}`);
    const deployed = deploy(scheduler, values.name ?? "demo", tarball, directory);
    const outcome = await Promise.race([deployed, interrupted.promise]);
    if (outcome === undefined) {
      say("interrupted: stopping everything");
      await Promise.allSettled([scheduler.stop(), mesos.stop(), deployed]);
      return 130;
    }
    if (values.exit !== true) {
      say("all is up; Ctrl-C stops everything");
      await interrupted.promise;
    }
    say("stopping everything");
    return 0;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Creates the cluster through the command line, as an operator would, and shows that it serves. */
async function deploy(scheduler: Scheduler, name: string, tarball: string, directory: string): Promise<"done"> {
  const settings = join(directory, "settings.json");
  await Bun.write(settings, JSON.stringify(SMALL_PROFILE));
  const create = [
    "cluster",
    "create",
    name,
    "--version",
    "5.0.4",
    "--package",
    `file://${tarball}`,
    "--nodes",
    "3",
    "--cpus",
    "0.5",
    "--mem",
    String(CLUSTER_MEM_MB),
    "--disk",
    "2048",
    "--constraint",
    "hostname:UNIQUE",
    "--rack-attribute",
    "rack",
    "--setting-file",
    settings,
    "--wait",
    "--timeout",
    "900",
  ];
  say(`ringmaster ${create.join(" ")}`);
  await command([BINARY, ...create, "--url", scheduler.url()]);

  const { endpoints, nodes } = await scheduler.json<EndpointsView>("cluster", "endpoints", name);
  const [first, , third] = nodes;
  if (first === undefined || third === undefined)
    throw new Error(`Cannot show the ring: cluster "${name}" has ${nodes.length} nodes`);
  // A node serves a moment before all others have heard of it.
  await until("the first node sees three members", 60_000, async () => {
    const { answer } = await scheduler.json<{ answer: { nodes: readonly { state: string }[] } }>(
      "node",
      "status",
      name,
      first.node,
    );
    return answer.nodes.filter(({ state }) => state === "UN").length === 3;
  });
  say(`ringmaster node status ${name} ${first.node}`);
  await command([BINARY, "node", "status", name, first.node, "--url", scheduler.url()]);
  const written = await throughNode(first, async (client) => {
    await client.execute(
      "CREATE KEYSPACE IF NOT EXISTS demo WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}",
    );
    await client.execute("CREATE TABLE IF NOT EXISTS demo.greetings (id int PRIMARY KEY, text text)");
    await client.execute("INSERT INTO demo.greetings (id, text) VALUES (1, 'hello from ringmaster')");
    return "hello from ringmaster";
  });
  say(`wrote "${written}" through ${first.node}`);
  const read = await throughNode(third, async (client) => {
    const result = await client.execute("SELECT text FROM demo.greetings WHERE id = 1");
    return String(result.first()?.["text"]);
  });
  if (read !== written) throw new Error(`Cannot trust the ring: wrote "${written}", read "${read}"`);
  say(`read  "${read}" through ${third.node}`);
  say(`CQL: ${endpoints["native"]?.join(", ")}`);
  say(`API: ${scheduler.url()}  (export RINGMASTER_URL=${scheduler.url()})`);
  return "done";
}

/** Runs `use` with a CQL client that talks to this one node, at quorum. */
async function throughNode<T>(node: EndpointsView["nodes"][number], use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    contactPoints: [`${node.hostname}:${node.ports["native"]}`],
    localDataCenter: "dc1",
    queryOptions: { consistency: 4 },
  });
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.shutdown();
  }
}

/** Runs a command that prints for itself; throws when it fails. */
async function command(argv: readonly string[]): Promise<void> {
  const code = await Bun.spawn([...argv], { stdin: "ignore", stdout: "inherit", stderr: "inherit" }).exited;
  if (code !== 0) throw new Error(`"${argv.slice(0, 3).join(" ")}" ended with ${code}`);
}

try {
  process.exit(await main());
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
