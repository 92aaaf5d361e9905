// Nodes of a real Cassandra cluster, each run by hand with `ringmaster executor --task`, for tests that need no Mesos.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeTask } from "../../../src/databases/node.ts";
import { CASSANDRA_VERSION, cassandraPackage } from "./package.ts";
import { SMALL_PROFILE } from "./small-profile.ts";

const ROOT = join(import.meta.dir, "../../..");
const START_DEADLINE_MS = 180_000;
const PORTS = ["storage", "native", "jmx", "jolokia", "api"];

export type CassandraNode = {
  readonly address: string;
  readonly port: number;
  /** Ends Cassandra as a crash does, and its executor with it. */
  readonly kill: () => Promise<void>;
  /** Drains and stops it as an operator's stop does. */
  readonly stop: () => Promise<void>;
  /** Starts it again on its data, and waits until it serves. */
  readonly start: () => Promise<void>;
};

export type CassandraNodes = {
  readonly nodes: readonly CassandraNode[];
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

/** Starts a cluster of nodes on loopback addresses of its own, one after the other, and waits until all serve. */
export async function startCassandra(count: number): Promise<CassandraNodes> {
  const made = await cassandraPackage();
  const folder = await mkdtemp(join(tmpdir(), "ringmaster-cassandra-"));
  const net = `127.${78 + Math.floor(Math.random() * 100)}.${1 + Math.floor(Math.random() * 250)}`;
  const seed = { address: `${net}.1`, port: freePorts(`${net}.1`, ["storage"])["storage"] ?? 0 };
  const nodes: Node[] = [];
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (let index = 1; index <= count; index += 1) {
      const address = `${net}.${index}`;
      // All nodes of a cluster have the same storage port.
      const ports = { ...freePorts(address, PORTS), storage: seed.port };
      const node = new Node(join(folder, String(index)), made.folder, taskOf(index, address, ports, seed));
      nodes.push(node);
      await startPatiently(node);
    }
    return { nodes, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** A join that does not wait for gossip to settle may miss its seeds on a busy machine: Mesos would start such a node again. */
async function startPatiently(node: Node): Promise<void> {
  for (let triesLeft = 3; ; triesLeft -= 1) {
    try {
      return await node.start();
    } catch (error) {
      if (triesLeft === 0 || !String(error).includes("Unable to contact any seeds")) throw error;
    }
  }
}

/** Ports that were free a moment ago. JMX listens at 127.0.0.1, whatever the node's address. */
function freePorts(address: string, names: readonly string[]): Record<string, number> {
  const open = names.map((name) =>
    Bun.listen({ hostname: name === "jmx" ? "127.0.0.1" : address, port: 0, socket: { data: () => undefined } }),
  );
  const ports = Object.fromEntries(names.map((name, index) => [name, open[index]?.port ?? 0]));
  for (const one of open) one.stop(true);
  return ports;
}

function taskOf(
  index: number,
  hostname: string,
  ports: Readonly<Record<string, number>>,
  seed: { readonly address: string; readonly port: number },
): NodeTask {
  return {
    ...{ schema: 1, framework: "ringmaster", cluster: "demo", node: `ringmaster-demo-${index}`, database: "cassandra" },
    ...{ version: CASSANDRA_VERSION, generation: 1, expectData: false, datacenter: "dc1", rack: "rack1" },
    ...{ oneRack: true, cpus: 1, memMb: 768, volume: "data", env: {}, graceMs: 60_000, token: crypto.randomUUID() },
    hostname,
    ports,
    seeds: [`${seed.address}:${seed.port}`],
    settings: SMALL_PROFILE,
  };
}

class Node implements CassandraNode {
  readonly #folder: string;
  readonly #package: string;
  #task: NodeTask;
  #child: Bun.Subprocess | undefined;

  constructor(folder: string, packageFolder: string, task: NodeTask) {
    this.#folder = folder;
    this.#package = packageFolder;
    this.#task = task;
  }

  get address(): string {
    return this.#task.hostname;
  }

  get port(): number {
    return this.#task.ports["native"] ?? 0;
  }

  async start(): Promise<void> {
    const file = join(this.#folder, "task.json");
    await Bun.write(file, JSON.stringify(this.#task));
    const output = join(this.#folder, `output-${Date.now()}`);
    const sandbox = join(this.#folder, "sandbox");
    const argv = ["src/main.ts", "executor", "--task", file, "--sandbox", sandbox, "--package", this.#package];
    const child = Bun.spawn([process.execPath, ...argv], {
      cwd: ROOT,
      stdin: "ignore",
      stdout: Bun.file(output),
      stderr: Bun.file(`${output}.err`),
    });
    this.#child = child;
    const untilMs = Date.now() + START_DEADLINE_MS;
    const said = async (): Promise<string> => await readFile(output, "utf8").catch(() => "");
    while (!(await said()).includes("TASK_RUNNING, healthy")) {
      if (child.exitCode !== null || Date.now() > untilMs)
        throw new Error(`Waited in vain for node ${this.address}:\n${await said()}`);
      await Bun.sleep(100);
    }
    this.#task = { ...this.#task, expectData: true };
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill(signal);
    await child?.exited;
  }
}
