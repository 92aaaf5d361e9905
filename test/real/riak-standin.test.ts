// Riak's operations, as the Database puts them, against stand-in nodes that are started by hand with one cEPMD for all.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { Ask, Place } from "../../src/databases/database.ts";
import type { Member, NodeTask } from "../../src/databases/node.ts";
import { nodeName } from "../../src/databases/riak/release.ts";
import { riak } from "../../src/databases/riak/riak.ts";
import { ask } from "../../src/executor/io/ask.ts";
import type { Json } from "../../src/std/json.ts";
import { RIAK_VERSION, riakPackage } from "./riak-package.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MODULES = `${ROOT}src/databases/riak/erlang`;
/** Timers of a ring that nobody works with; Riak's own make every change take minutes. */
const QUICK = "[{riak_core, [{vnode_management_timer, 500}, {gossip_interval, 500}, {handoff_concurrency, 8}]}].";
const SECONDS = 1_000;

let folder: string;
let packageRoot: string;
let cepmd: Subprocess;
let epmdPort: number;
const nodes: Node[] = [];

class Node {
  readonly task: NodeTask;
  readonly place: Place;
  process: Subprocess | undefined;

  constructor(number: number, address: string, ports: readonly number[], version: string = RIAK_VERSION) {
    const id = `test-ring-${number}`;
    const sandbox = join(folder, id);
    const names = riak.ports.filter((name) => name !== "epmd");
    this.task = {
      schema: 1,
      framework: "test",
      cluster: "ring",
      node: id,
      database: "riak",
      version,
      generation: 1,
      expectData: false,
      hostname: address,
      datacenter: "dc1",
      rack: "rack1",
      cpus: 1,
      memMb: 512,
      ports: { ...Object.fromEntries(names.map((name, index) => [name, ports[index] ?? 0])), epmd: epmdPort },
      seeds: [],
      volume: "data",
      env: {},
      settings: { "riak.conf": { ring_size: 16 }, "advanced.config": QUICK },
      graceMs: 30 * SECONDS,
      token: "a-token-of-a-test-framework-0000",
    };
    this.place = {
      sandbox,
      packageRoot,
      packageFiles: {},
      volume: join(sandbox, "data"),
      carried: MODULES,
      address,
      java: "",
      self: process.execPath,
    };
  }

  get member(): Member {
    const { node, hostname, rack, ports } = this.task;
    return { node, hostname, rack, ports, joined: true, state: this.process === undefined ? "absent" : "serving" };
  }

  /** Everything up to the start. */
  async prepare(): Promise<void> {
    await mkdir(this.place.volume, { recursive: true });
    await mkdir(join(this.place.sandbox, "logs"), { recursive: true });
    for (const file of riak.files(this.task, this.place))
      await Bun.write(join(this.place.sandbox, file.path), file.content);
    await carryOut(riak.prepare(this.task, this.place));
  }

  async start(): Promise<void> {
    await this.prepare();
    const { argv, env, cwd } = riak.command(this.task, this.place);
    const log = Bun.file(join(this.place.sandbox, "logs", "console.log"));
    this.process = Bun.spawn([...argv], { cwd, env: { ...env }, stdin: "ignore", stdout: log, stderr: log });
    await until(`${this.task.node} serves`, 20 * SECONDS, async () => (await this.health(false)) === "serving");
  }

  async health(serving: boolean): Promise<string> {
    const answers = [];
    for (const question of riak.probes(this.task, this.place, serving)) {
      const answer = await ask(question);
      answers.push(answer);
      if ("error" in answer) break;
    }
    return riak.health(answers, serving).phase;
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const ending = this.process;
    ending?.kill(signal);
    await ending?.exited;
    this.process = undefined;
    return ending?.exitCode ?? null;
  }

  /** Carries out an operation on this node; returns what was said on the way. */
  operate(operation: string, args: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
    const members = nodes.map(({ member }) => member);
    const asks = riak.admin({ schema: 1, node: this.task.node, operation, args, members }, this.task, this.place);
    if (asks === undefined) throw new Error(`Cannot carry out "${operation}": it is unknown`);
    return carryOut(asks);
  }

  async read(name: string): Promise<unknown> {
    const read = riak.reads(this.task, this.place)[name];
    if (read === undefined) throw new Error(`Cannot read "${name}": it is unknown`);
    const answer = await ask(read.question);
    return "error" in answer ? answer : read.shape(answer.text);
  }

  url(path: string): string {
    return `http://${this.place.address}:${this.task.ports["http"]}${path}`;
  }
}

/** As the executor does it: each ask until it is done. */
async function carryOut(asks: readonly Ask[]): Promise<readonly string[]> {
  const lines: string[] = [];
  let found: Json = null;
  for (const { say, question, read, patienceMs } of asks) {
    const sinceMs = Date.now();
    for (;;) {
      const verdict = read(await ask(typeof question === "function" ? question(found) : question));
      if (verdict.type === "done") {
        found = verdict.result ?? found;
        lines.push(`${say}: ${verdict.detail}`);
        break;
      }
      if (verdict.type === "failed" || Date.now() - sinceMs > Math.min(patienceMs, 40 * SECONDS))
        throw new Error(`${say}: ${verdict.detail}`);
      await Bun.sleep(Math.min(verdict.afterMs, 500));
    }
  }
  return lines;
}

async function until(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadlineMs) throw new Error(`Waited ${limitMs} ms until ${what}`);
    await Bun.sleep(100);
  }
}

/** So many free ports of a loopback address. */
async function freePorts(address: string, count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, address, resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function makeNode(number: number): Promise<Node> {
  const address = `127.0.0.${10 + number}`;
  const node = new Node(number, address, await freePorts(address, riak.ports.length - 1));
  nodes.push(node);
  return node;
}

/** The nodes of the ring: all but the one that is looked at alone. */
function ring(): readonly Node[] {
  return nodes.filter(({ task }) => task.node !== "test-ring-8");
}

const KEYS = Array.from({ length: 40 }, (_, index) => `key-${index}`);

async function writeAll(node: Node, value: string): Promise<void> {
  const statuses = await Promise.all(
    KEYS.map(async (key) => {
      const headers = { "content-type": "text/plain" };
      return (await fetch(node.url(`/buckets/b/keys/${key}`), { method: "PUT", body: `${value} ${key}`, headers }))
        .status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([204]));
}

async function readAll(node: Node): Promise<ReadonlySet<string>> {
  const values = await Promise.all(
    KEYS.map(async (key) => {
      const response = await fetch(node.url(`/buckets/b/keys/${key}`));
      const text = await response.text();
      return text.endsWith(` ${key}`) ? text.slice(0, -key.length - 1) : `${response.status} ${text}`;
    }),
  );
  return new Set(values);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ringmaster-riak-"));
  packageRoot = `${(await riakPackage()).folder}/riak`;
  [epmdPort = 0] = await freePorts("127.0.0.1", 1);
  const argv = [process.execPath, "src/main.ts", "cepmd", "--port", `${epmdPort}`, "--address", "127.0.0.1"];
  cepmd = Bun.spawn(argv, { cwd: ROOT, stdout: "ignore", stderr: "inherit" });
  await until("cEPMD listens", 20 * SECONDS, async () => {
    const question = {
      type: "tcp",
      host: "127.0.0.1",
      port: epmdPort,
      sendHex: "",
      bytes: 0,
      timeoutMs: SECONDS,
    } as const;
    return "text" in (await ask(question));
  });
}, 60 * SECONDS);

afterAll(async () => {
  for (const node of nodes) await node.end("SIGKILL");
  cepmd.kill();
  await cepmd.exited;
  await rm(folder, { recursive: true, force: true });
}, 60 * SECONDS);

describe("one stand-in node", () => {
  test(
    "dies at once, like Riak, where modules are only loaded from the release",
    async () => {
      const node = new Node(9, "127.0.0.19", await freePorts("127.0.0.19", riak.ports.length - 1));
      await node.prepare();
      const { argv, env, cwd } = riak.command(node.task, node.place);
      const { CODE_LOADING_MODE: _interactive, ...embedded } = env;
      const child = Bun.spawn([...argv], { cwd, env: embedded, stdout: "pipe", stderr: "ignore" });
      const output = await new Response(child.stdout).text();
      expect(await child.exited).not.toBe(0);
      expect(output).toContain("undef");
    },
    30 * SECONDS,
  );

  test(
    "runs like Riak 2, whose Erlang takes no -epmd_module, with our module in the place of its own",
    async () => {
      const node = new Node(7, "127.0.0.17", await freePorts("127.0.0.17", riak.ports.length - 1), "2.2.3");
      await node.start();
      const names = Bun.spawnSync(["epmd", "-port", `${epmdPort}`, "-names"], { stdout: "pipe" }).stdout.toString();
      expect(names).toContain(`name test-ring-7 at port ${node.task.ports["dist"]}`);
      expect(await node.read("ringready")).toEqual({ ready: true, nodes: [nodeName(node.task, node.place)] });
      const drain = riak.drain(node.task, node.place);
      expect(drain && "text" in (await ask(drain))).toBe(true);
      expect(await node.process?.exited).toBe(0);
    },
    30 * SECONDS,
  );

  test(
    "answers protocol buffers as it was recorded of Riak",
    async () => {
      const node = await makeNode(8);
      await node.start();
      const talk = async (sendHex: string, bytes: number): Promise<unknown> => {
        const port = node.task.ports["pb"] ?? 0;
        const answer = await ask({
          type: "tcp",
          host: node.place.address,
          port,
          sendHex,
          bytes,
          timeoutMs: 5 * SECONDS,
        });
        return "error" in answer ? answer.error : answer.text;
      };
      expect(await talk("0000000101", 5)).toBe("0000000102");
      expect(await talk("00000007090a016212016b", 5)).toBe("000000010a");
      expect(await talk("0000001c0b0a016212016b22130a0576616c7565120a746578742f706c61696e", 5)).toBe("000000010c");
      const value = "0a0576616c7565120a746578742f706c61696e2a";
      expect(await talk("00000007090a016212016b", 60)).toMatch(new RegExp(`^000000[0-9a-f]{2}0a0a[0-9a-f]{2}${value}`));
      expect(await talk("00000004110a0162", 15)).toBe("00000004120a016b00000003121001");
      expect(await talk("000000010f", 8)).toBe("00000004100a0162");
      expect(await talk("000000070d0a016212016b", 5)).toBe("000000010e");
      const unknown = "0000001e000a19556e6b6e6f776e206d65737361676520636f64653a203234301000";
      expect(await talk("00000001f0", unknown.length / 2)).toBe(unknown);
      const tls =
        "00000030000a2b5365637572697479206e6f7420656e61626c65643b205354415254544c53206e6f7420616c6c6f7765642e1000";
      expect(await talk("00000001ff", tls.length / 2)).toBe(tls);
      expect(await talk("0000000409ffffff", 6)).toMatch(/^[0-9a-f]{8}000a$/);
      expect(await node.read("stats")).toMatchObject({
        nodename: nodeName(node.task, node.place),
        ring_num_partitions: 16,
      });
      expect(await node.read("aae-status")).toMatchObject({ exchanges: { length: 16 } });
      await node.end("SIGTERM");
    },
    30 * SECONDS,
  );
});

describe("a ring of stand-in nodes", () => {
  test(
    "grows by join and commit, and every key is readable through every node",
    async () => {
      const first = await makeNode(1);
      const second = await makeNode(2);
      await Promise.all([first.start(), second.start()]);
      await writeAll(first, "one");
      await second.operate("join", { to: first.task.node });
      await first.operate("commit", { nodes: second.task.node });
      await first.operate("settle");
      expect(await readAll(second)).toEqual(new Set(["one"]));
      expect([await first.health(true), await second.health(true)]).toEqual(["serving", "serving"]);
      expect(await second.read("status")).toEqual({
        nodes: [first, second].map(({ task, place }) => ({
          id: nodeName(task, place),
          status: "valid",
          ring_percentage: 50,
          pending_percentage: null,
        })),
        valid: 2,
        leaving: 0,
        exiting: 0,
        joining: 0,
        down: 0,
      });
      // What is done already does no harm when it is asked for again.
      expect((await second.operate("join", { to: first.task.node }))[0]).toBe(
        "staging the join to test-ring-1: the join is staged or done",
      );
      expect((await first.operate("commit", { nodes: second.task.node }))[1]).toBe(
        "committing: there was nothing to commit",
      );
    },
    60 * SECONDS,
  );

  test(
    "keeps what it has acknowledged when a node is killed",
    async () => {
      const [first, second] = ring() as [Node, Node];
      await writeAll(second, "two");
      await second.end("SIGKILL");
      expect(await readAll(first)).toEqual(new Set(["two"]));
      await writeAll(first, "three");
      expect(await first.read("ringready")).toEqual({
        ready: false,
        error: { nodes_down: [nodeName(second.task, second.place)] },
      });
      await second.start();
      await second.operate("settle");
      expect(await readAll(second)).toEqual(new Set(["three"]));
      expect(await second.end("SIGTERM")).toBe(0);
      await second.start();
    },
    60 * SECONDS,
  );

  test(
    "shrinks by leave: the keys are handed over and the node ends by itself",
    async () => {
      const [first, second] = ring() as [Node, Node];
      const lines = await second.operate("leave", { node: first.task.node });
      expect(lines.at(-1)).toBe(
        "waiting until test-ring-1 is out of the ring: valid 1, leaving 0, exiting 0, joining 0, down 0",
      );
      expect(await first.process?.exited).toBe(0);
      first.process = undefined;
      expect(await readAll(second)).toEqual(new Set(["three"]));
      expect((await second.operate("leave", { node: first.task.node }))[1]).toBe(
        "staging the leave of test-ring-1: test-ring-1 is not in the ring",
      );
    },
    60 * SECONDS,
  );

  test(
    "replaces a dead node, but none that lives",
    async () => {
      const second = ring()[1] as Node;
      const [third, fourth] = [await makeNode(3), await makeNode(4)];
      await Promise.all([third.start(), fourth.start()]);
      await third.operate("join", { to: second.task.node });
      await second.operate("commit", { nodes: third.task.node });
      await second.operate("settle");
      await writeAll(third, "four");
      await fourth.operate("join", { to: third.task.node });
      const args = { old: second.task.node, node: fourth.task.node };
      await expect(third.operate("force-replace", args)).rejects.toThrow(
        "marking test-ring-2 as down: Failed: test-ring-2@127.0.0.12 is up",
      );
      await second.end("SIGKILL");
      await third.operate("down", { node: second.task.node });
      await third.operate("force-replace", args);
      await third.operate("settle");
      expect(await readAll(fourth)).toEqual(new Set(["four"]));
      await fourth.end("SIGKILL");
      await third.operate("force-remove", { node: fourth.task.node });
      expect(await readAll(third)).toEqual(new Set(["four"]));
      await third.operate("bucket-type-create", { type: "t1", props: '{"allow_mult": false}' });
      await third.operate("bucket-type-activate", { type: "t1" });
      expect(await third.read("bucket-types")).toEqual({
        bucket_types: [
          { id: "default", active: true },
          { id: "t1", active: true },
        ],
      });
    },
    90 * SECONDS,
  );
});
