// The demo's Riak: three nodes that find each other through cEPMD, a key written through one and read through another.
import { join } from "node:path";
import type { EndpointsView } from "../src/databases/api.ts";
import { BINARY, type Scheduler } from "../test/real/ringmaster.ts";
import { riakPackage } from "../test/real/riak-package.ts";
import { SMALL_RING } from "../test/real/small-ring.ts";
import { command, type Demo, say } from "./demo-stage.ts";

const TEXT = "hello from ringmaster";
const KEY = "/buckets/demo/keys/greeting";

export const riakDemo: Demo = {
  packageText: "a stand-in for Riak 3.2.3 on Debian's Erlang (no registry has the real one)",
  wantsZookeeper: true,
  makePackage: async () => (await riakPackage()).archive,
  deploy,
};

async function deploy(scheduler: Scheduler, name: string, archive: string, directory: string): Promise<void> {
  const settings = join(directory, "settings.json");
  await Bun.write(settings, JSON.stringify(SMALL_RING));
  const create =
    `cluster create ${name} --database riak --version 3.2.3 --package file://${archive} --nodes 3 --cpus 0.5 --mem 768 ` +
    `--disk 2048 --constraint hostname:UNIQUE --setting-file ${settings} --wait --timeout 900`;
  say(`ringmaster ${create}`);
  await command([BINARY, ...create.split(" "), "--url", scheduler.url()]);

  const { endpoints, nodes } = await scheduler.json<EndpointsView>("cluster", "endpoints", name);
  const [first, , third] = nodes;
  if (first === undefined || third === undefined)
    throw new Error(`Cannot show the ring: cluster "${name}" has ${nodes.length} nodes`);
  say(`ringmaster node member-status ${name} ${first.node}`);
  await command([BINARY, "node", "member-status", name, first.node, "--url", scheduler.url()]);
  const url = (node: EndpointsView["nodes"][number]): string => `http://${node.hostname}:${node.ports["http"]}${KEY}`;
  const put = await fetch(url(first), { method: "PUT", body: TEXT, headers: { "content-type": "text/plain" } });
  if (!put.ok) throw new Error(`Cannot write through ${first.node}: ${put.status} ${await put.text()}`);
  say(`wrote "${TEXT}" through ${first.node}`);
  const read = await (await fetch(url(third))).text();
  if (read !== TEXT) throw new Error(`Cannot trust the ring: wrote "${TEXT}", read "${read}"`);
  say(`read  "${read}" through ${third.node}`);
  say(`HTTP: ${endpoints["http"]?.join(", ")}`);
  say(`PB:   ${endpoints["pb"]?.join(", ")}`);
}
