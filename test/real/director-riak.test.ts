// Riak clients that no one here wrote (PyPI's riak, npm's basho-riak-client) under a steady load, through directors that follow the
// scheduler of a ring on a real Mesos: its nodes are restarted by plan, and one is killed. The ring is the stand-in's.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Riak, { type Client } from "basho-riak-client";
import type { Accepted } from "../../src/databases/api.ts";
import { type Director, failuresOf, goOn, type Load, startDirector, startLoad } from "./director.ts";
import { startMesos, type Mesos } from "./mesos/mesos.ts";
import { pythonPackage, startPythonLoad } from "./python.ts";
import { riakPackage } from "./riak-package.ts";
import { planDone, startScheduler, until, type Scheduler } from "./ringmaster.ts";
import { SMALL_RING } from "./small-ring.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

const MINUTE = 60_000;
const WORKERS = 3;
const NAMES = join(import.meta.dir, "riak-client");

let directory: string;
let mesos: Mesos;
let zookeeper: Zookeeper;
let scheduler: Scheduler;
/** By --pb-mode. */
let directors: Readonly<Record<"frames" | "raw", Director>>;
let loads: readonly Load[] = [];
const clients: Client[] = [];

const PYTHON = `
import riak
protocol, port = sys.argv[1], int(sys.argv[2])
client = riak.RiakClient(protocol=protocol, host="127.0.0.1", **{"pb_port" if protocol == "pbc" else "http_port": port})
bucket = client.bucket("python")
def ask(worker, count):
    key, value = "%s-%d-%d" % (protocol, port, worker), ("value %d" % count).encode()
    bucket.new(key, encoded_data=value, content_type="text/plain").store(return_body=False)
    found = bucket.get(key).encoded_data
    assert found == value, "found %s, wanted %s" % (found, value)
run_load(${WORKERS}, ask)
`;

async function python(name: string, protocol: "pbc" | "http", port: number | undefined): Promise<Load> {
  const folder = await pythonPackage("riak", "2.7.0");
  return startPythonLoad(name, [NAMES, folder], PYTHON, [protocol, String(port)]);
}

async function nodeJs(name: string, port: number | undefined): Promise<Load> {
  const connected = Promise.withResolvers<void>();
  // The client's own word for an address with several nodes behind it.
  const node = new Riak.Node({ remoteAddress: "127.0.0.1", remotePort: port ?? 0, externalLoadBalancer: true });
  const client = new Riak.Client(new Riak.Cluster({ nodes: [node] }), (error) =>
    error === null ? connected.resolve() : connected.reject(error),
  );
  clients.push(client);
  await connected.promise;
  return startLoad(name, WORKERS, async (worker, count) => {
    const place = { bucket: "node.js", key: `${name}-${worker}` };
    const value = new Riak.Commands.KV.RiakObject();
    value.setContentType("text/plain");
    value.setValue(`value ${count}`);
    const stored = Promise.withResolvers<void>();
    client.storeValue({ ...place, value }, (error) => (error === null ? stored.resolve() : stored.reject(error)));
    await stored.promise;
    const fetched = Promise.withResolvers<string | undefined>();
    client.fetchValue({ ...place, convertToJs: false }, (error, answer) =>
      error === null ? fetched.resolve(answer?.values[0]?.value.toString()) : fetched.reject(error),
    );
    const found = await fetched.promise;
    if (found !== `value ${count}`) throw new Error(`found ${found}, wanted value ${count}`);
  });
}

/** The pid of a node's Erlang VM below this Mesos. */
async function erlang(node: string): Promise<number> {
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const argv = (await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "")).split("\0");
    const name = argv[argv.indexOf("-name") + 1] ?? "";
    if (argv[0]?.endsWith("beam.smp") === true && argv[0].includes(mesos.work) && name.startsWith(`${node}@`))
      return Number(entry);
  }
  throw new Error(`node ${node} has no Erlang VM`);
}

beforeAll(async () => {
  const { archive } = await riakPackage();
  directory = await mkdtemp(join(tmpdir(), "ringmaster-test-"));
  mesos = await startMesos({ agents: 3 });
  zookeeper = await startZookeeper();
  scheduler = await startScheduler({ mesos: mesos.url, directory, store: zookeeper.url(), flags: ["--drain", "3"] });
  const body = {
    ...{ database: "riak", version: "3.2.3", package: `file://${archive}`, nodes: 3, constraints: "hostname:UNIQUE" },
    ...{ resources: { cpus: 0.3, memMb: 512, diskMb: 512 }, settings: SMALL_RING },
  };
  await Bun.write(join(directory, "cluster.json"), JSON.stringify(body));
  const create = ["cluster", "create", "demo", "--file", join(directory, "cluster.json")];
  const { plan } = await scheduler.json<Accepted>(...create);
  const follow = ["--cluster", "demo", "--scheduler", scheduler.url()];
  directors = {
    frames: await startDirector(["pb"], ...follow, "--pb-mode", "frames"),
    raw: await startDirector(["pb", "http"], ...follow, "--drain-timeout", "1"),
  };
  await planDone(scheduler, plan, 6 * MINUTE);
  for (const director of Object.values(directors))
    await until("the director knows all nodes", MINUTE, async () =>
      /^(up,?){3,6}$/.test((await director.states()).join()),
    );
  loads = await Promise.all([
    python("python pb frames", "pbc", directors.frames.ports.pb),
    python("python pb raw", "pbc", directors.raw.ports.pb),
    python("python http", "http", directors.raw.ports.http),
    nodeJs("node.js pb frames", directors.frames.ports.pb),
    nodeJs("node.js pb raw", directors.raw.ports.pb),
  ]);
  await goOn(loads, 50);
}, 12 * MINUTE);

afterAll(async () => {
  for (const load of loads) await load.stop().catch(() => undefined);
  for (const client of clients) client.stop(() => undefined);
  for (const director of Object.values(directors ?? {})) await director.stop();
  await scheduler?.stop();
  await mesos?.stop();
  await zookeeper?.stop();
  await rm(directory, { recursive: true, force: true });
}, MINUTE);

describe("Riak clients that know only the director", () => {
  test(
    "lose no request while every node is restarted by plan, one after the other",
    async () => {
      const { plan } = await scheduler.json<Accepted>("cluster", "restart", "demo");
      await planDone(scheduler, plan, 6 * MINUTE);
      await goOn(loads, 50);
      expect(failuresOf(loads)).toEqual([]);
    },
    7 * MINUTE,
  );

  test(
    "lose only what a node had under way that is killed, and go on within a second",
    async () => {
      const killedMs = Date.now();
      process.kill(await erlang("ringmaster-demo-2"), "SIGKILL");
      await goOn(loads, 100);
      for (const load of loads) await load.stop();
      for (const load of loads) {
        for (const { askedMs, error } of load.failures())
          expect([load.name, error, askedMs - killedMs < 1000]).toEqual([load.name, error, true]);
      }
    },
    3 * MINUTE,
  );
});
