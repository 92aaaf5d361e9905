// The demo: builds the binary, starts a real Mesos with three agents and a scheduler, deploys a three-node Cassandra (or, with
// `riak`, a Riak), shows each step, and writes through one node to read through another. Ends at Ctrl-C, or with --exit by itself.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startMesos } from "../test/real/mesos/mesos.ts";
import { BINARY, startScheduler } from "../test/real/ringmaster.ts";
import { startZookeeper } from "../test/real/zookeeper.ts";
import { cassandraDemo } from "./demo-cassandra.ts";
import { riakDemo } from "./demo-riak.ts";
import { command, type Demo, say } from "./demo-stage.ts";

const HELP = `Usage: scripts/demo [cassandra|riak] [--exit] [--http HOST:PORT] [--name NAME]

  --exit            stop after the deployment instead of at Ctrl-C
  --http HOST:PORT  where the scheduler's API listens (default: a free port on 127.0.0.1)
  --name NAME       name of the cluster (default: demo)

Everything runs on this machine, on free ports and in a directory of its own: demos run side by side.`;

const DEMOS: Readonly<Record<string, Demo>> = { cassandra: cassandraDemo, riak: riakDemo };

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      exit: { type: "boolean" },
      http: { type: "string" },
      name: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  const [database = "cassandra", ...more] = positionals;
  const demo = DEMOS[database];
  if (demo === undefined || more.length > 0) {
    throw new Error(`Cannot show "${positionals.join(" ")}": wanted one of ${Object.keys(DEMOS).join(", ")}`);
  }
  const interrupted = Promise.withResolvers<undefined>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.resolve(undefined));

  say("building dist/ringmaster");
  await command(["bun", "scripts/build.ts"]);
  say(`making a package: ${demo.packageText}`);
  const archive = await demo.makePackage();
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-demo-"));
  const stops: (() => Promise<void>)[] = [];
  try {
    say("starting a Mesos with three agents");
    const mesos = await startMesos({ agents: 3 });
    stops.unshift(mesos.stop);
    say(`Mesos 1.11.0 runs at ${mesos.url}`);
    const flags = values.http === undefined ? [] : ["--http", values.http];
    let store: string | undefined;
    if (demo.wantsZookeeper) {
      say("starting a ZooKeeper for the names of nodes");
      const zookeeper = await startZookeeper();
      stops.unshift(() => zookeeper.stop());
      store = zookeeper.url();
    }
    const scheduler = await startScheduler({
      mesos: mesos.url,
      directory,
      flags,
      ...(store === undefined ? {} : { store }),
    });
    stops.unshift(scheduler.stop);
    say(`the scheduler's API is at ${scheduler.url()}`);
    const deployed = demo.deploy(scheduler, values.name ?? "demo", archive, directory).then(() => "deployed" as const);
    const outcome = await Promise.race([deployed, interrupted.promise]);
    if (outcome === undefined) {
      say("interrupted: stopping everything");
      deployed.catch(() => undefined);
      return 130;
    }
    say(`API: ${scheduler.url()}  (export RINGMASTER_URL=${scheduler.url()}; ${BINARY} --help)`);
    if (values.exit !== true) {
      say("all is up; Ctrl-C stops everything");
      await interrupted.promise;
    }
    say("stopping everything");
    return 0;
  } finally {
    for (const stop of stops) await stop();
    await rm(directory, { recursive: true, force: true });
  }
}

try {
  process.exit(await main());
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
