// `ringmaster executor`: runs one database node, for a Mesos agent or, with --task, by hand.
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findDatabase } from "../../databases/all.ts";
import type { NodeTask } from "../../databases/node.ts";
import { faultText } from "../../std/reason.ts";
import { readNodeTask } from "../task.ts";
import { startRun } from "./run.ts";
import { say } from "./say.ts";

const HELP = `Usage: ringmaster executor [--task FILE [--sandbox DIR] [--package DIR|TARBALL]]

Runs one database node. A Mesos agent starts it without arguments. With --task it runs by hand, without
Mesos: it prints the states of the node as they change, and Ctrl-C stops the node (a second one kills it).

Options:
  --task FILE             the node as JSON, see below
  --sandbox DIR           where the node works and keeps its volume (default: a folder named after the node)
  --package DIR|TARBALL   the database, as a folder or a tar archive (default: looked for in the sandbox)
  --help                  print this text

Examples:
  ringmaster executor --task node.json --package apache-cassandra-5.0.4-bin.tar.gz
  ringmaster executor --task node.json --sandbox /srv/demo-1 --package /opt/apache-cassandra-5.0.4

A task file ("volume" is relative to the sandbox; a seed of "hostname:storage port" that names the node
itself founds a new ring):
  {
    "schema": 1, "framework": "ringmaster", "cluster": "demo", "node": "ringmaster-demo-1",
    "database": "cassandra", "version": "5.0.4", "generation": 1, "expectData": false,
    "hostname": "127.0.0.1", "datacenter": "dc1", "rack": "rack1", "cpus": 1, "memMb": 2048,
    "ports": { "storage": 7000, "native": 9042, "jmx": 7199, "jolokia": 8778, "api": 8080 },
    "seeds": ["127.0.0.1:7000"], "volume": "data", "env": {}, "settings": {},
    "graceMs": 90000, "token": "a-secret-of-16-letters-or-more"
  }
`;

type Options = {
  readonly task?: string;
  readonly sandbox?: string;
  readonly package?: string;
  readonly help?: boolean;
};

/** Returns the exit code: 0 when the node was asked to stop and did. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const options = readOptions(args);
    if (options.help === true) {
      console.log(HELP);
      return 0;
    }
    if (options.task !== undefined) return await runByHand(options.task, options);
    if (process.env["MESOS_EXECUTOR_ID"] !== undefined) {
      const { runUnderMesos } = await import("./mesos.ts");
      return await runUnderMesos();
    }
    throw new Error(
      "Cannot start the executor: found neither --task FILE nor the environment of a Mesos agent; see ringmaster executor --help",
    );
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

function readOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  try {
    const options = { task: text, sandbox: text, package: text, help: { type: "boolean", short: "h" } } as const;
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read the arguments: ${why}; see ringmaster executor --help`, { cause: error });
  }
}

async function runByHand(file: string, options: Options): Promise<number> {
  const json = await Bun.file(file)
    .text()
    .catch((error: unknown) => {
      throw new Error(`Cannot read the task file "${file}": ${error instanceof Error ? error.message : String(error)}`);
    });
  const read = readNodeTask(json);
  if ("faults" in read)
    throw new Error(
      `Cannot read the task file "${file}":\n${read.faults.map((one) => `  ${faultText(one)}`).join("\n")}`,
    );
  const sandbox = resolve(options.sandbox ?? read.task.node);
  await mkdir(join(sandbox, read.task.volume), { recursive: true });
  const packages = options.package === undefined ? sandbox : await unpacked(options.package, sandbox);

  const run = startRun({
    workplace: { sandbox, packages, say },
    find: findDatabase,
    timings: {},
    // Nobody else wants to know: every update is acknowledged at once.
    send: (update) => run.tell({ type: "acknowledged", taskId: update.taskId, uuid: update.uuid }),
  });
  const interrupt = (): void => run.tell({ type: "interrupted" });
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  run.tell({ type: "subscribed", agentId: "", hostname: read.task.hostname, frameworkName: read.task.framework });
  run.tell({ type: "launch", task: handmade(read.task) });
  try {
    return await run.done;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

function handmade(node: NodeTask): {
  name: string;
  taskId: string;
  agentId: string;
  data: Uint8Array;
  killGraceMs: number;
  raw: Uint8Array;
} {
  const data = new TextEncoder().encode(JSON.stringify(node));
  return { name: node.node, taskId: node.node, agentId: "", data, killGraceMs: node.graceMs, raw: data };
}

/** A folder as it is; an archive unpacked in the sandbox, once. */
async function unpacked(path: string, sandbox: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined)
    throw new Error(`Cannot use the package "${path}": found nothing there, wanted a folder or a tar archive`);
  if (found.isDirectory()) return path;
  const folder = join(sandbox, "packages", basename(path).replace(/\.(?:tar\.\w+|tgz|tar)$/, ""));
  if ((await stat(folder).catch(() => undefined)) !== undefined) return folder;
  const fresh = `${folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  say(`Unpacking ${path}`);
  const tar = Bun.spawn(["tar", "-xf", resolve(path), "-C", fresh], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaint = await new Response(tar.stderr).text();
  if ((await tar.exited) !== 0) throw new Error(`Cannot unpack the package "${path}": ${complaint.trim()}`);
  await rename(fresh, folder);
  return folder;
}
