// The demo's Cassandra: three nodes in three racks, a row written through one and read through another.
import { join } from "node:path";
import type { EndpointsView } from "../src/databases/api.ts";
import { throughNode } from "../test/real/cassandra/client.ts";
import { cassandraPackage } from "../test/real/cassandra/package.ts";
import { SMALL_PROFILE } from "../test/real/cassandra/small-profile.ts";
import { BINARY, type Scheduler, until } from "../test/real/ringmaster.ts";
import { command, type Demo, say } from "./demo-stage.ts";

const TEXT = "hello from ringmaster";

export const cassandraDemo: Demo = {
  packageText: "Cassandra 5.0.4 (the first time takes minutes: 100 jars from Maven Central)",
  wantsZookeeper: false,
  makePackage: async () => (await cassandraPackage()).archive,
  deploy,
};

async function deploy(scheduler: Scheduler, name: string, archive: string, directory: string): Promise<void> {
  const settings = join(directory, "settings.json");
  await Bun.write(settings, JSON.stringify(SMALL_PROFILE));
  const create =
    `cluster create ${name} --version 5.0.4 --package file://${archive} --nodes 3 --cpus 0.5 --mem 768 --disk 2048 ` +
    `--constraint hostname:UNIQUE --rack-attribute rack --setting-file ${settings} --wait --timeout 900`;
  say(`ringmaster ${create}`);
  await command([BINARY, ...create.split(" "), "--url", scheduler.url()]);

  const { endpoints, nodes } = await scheduler.json<EndpointsView>("cluster", "endpoints", name);
  const [first, , third] = nodes;
  if (first === undefined || third === undefined)
    throw new Error(`Cannot show the ring: cluster "${name}" has ${nodes.length} nodes`);
  // A node serves a moment before all others have heard of it.
  await until("the first node sees three members", 60_000, async () => {
    type Status = { answer: { nodes: readonly { state: string }[] } };
    const { answer } = await scheduler.json<Status>("node", "status", name, first.node);
    return answer.nodes.filter(({ state }) => state === "UN").length === 3;
  });
  say(`ringmaster node status ${name} ${first.node}`);
  await command([BINARY, "node", "status", name, first.node, "--url", scheduler.url()]);
  await throughNode(first, async (client) => {
    await client.execute(
      "CREATE KEYSPACE IF NOT EXISTS demo WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}",
    );
    await client.execute("CREATE TABLE IF NOT EXISTS demo.greetings (id int PRIMARY KEY, text text)");
    await client.execute(`INSERT INTO demo.greetings (id, text) VALUES (1, '${TEXT}')`);
  });
  say(`wrote "${TEXT}" through ${first.node}`);
  const read = await throughNode(third, async (client) => {
    const result = await client.execute("SELECT text FROM demo.greetings WHERE id = 1");
    return String(result.first()?.["text"]);
  });
  if (read !== TEXT) throw new Error(`Cannot trust the ring: wrote "${TEXT}", read "${read}"`);
  say(`read  "${read}" through ${third.node}`);
  say(`CQL: ${endpoints["native"]?.join(", ")}`);
}
