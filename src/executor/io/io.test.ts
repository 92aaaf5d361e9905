// The executor's hands, one by one, on this machine's own files and processes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cassandra } from "../../databases/cassandra/cassandra.ts";
import type { CommandLine } from "../../databases/database.ts";
import { riak } from "../../databases/riak/riak.ts";
import type { NodeTask } from "../../databases/node.ts";
import { markerOf } from "../volume.ts";
import { serveApi } from "./api.ts";
import { writeCarried } from "./carried.ts";
import { startCompanion } from "./companion.ts";
import { Console } from "./console.ts";
import { findAddress, findJava, findPackage } from "./find.ts";
import { startProcess } from "./process.ts";
import { ownProgram } from "./self.ts";
import { claimVolume, endLeftover, forgetProcess, recordProcess } from "./volume.ts";

let folder: string;
const started: Bun.Subprocess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ringmaster-executor-"));
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await rm(folder, { recursive: true, force: true });
});

function spawn(argv: readonly string[]): Bun.Subprocess {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  started.push(child);
  return child;
}

async function file(path: string, content = "", mode = 0o644): Promise<void> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await writeFile(join(folder, path), content, { mode });
}

/** What a promise is rejected with. */
async function caught(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await caught(promise);
  return error instanceof Error ? error.message : "";
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(10);
  }
}

async function lives(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return state !== undefined && state.slice(state.lastIndexOf(")") + 2, state.lastIndexOf(")") + 3) !== "Z";
}

describe("the package", () => {
  const find = (): Promise<string> => findPackage(cassandra, folder, join(folder, "data"));

  test("is the one folder that has the database's jar, by either name, never in the volume", async () => {
    await file("data/x/lib/apache-cassandra-1.jar");
    await file("a/b/apache-cassandra-5.0.4/lib/apache-cassandra-5.0.4.jar");
    expect(await find()).toBe(join(folder, "a/b/apache-cassandra-5.0.4"));
    await rm(join(folder, "a"), { recursive: true });
    await file("maven/lib/cassandra-all-5.0.4.jar");
    expect(await find()).toBe(join(folder, "maven"));
  });

  test("is missing, is there twice, or holds the volume: an error that says so", async () => {
    const wanted = 'wanted one folder with "lib/apache-cassandra-*.jar" or "lib/cassandra-all-*.jar"';
    expect(await refusal(find())).toContain(`Cannot find the cassandra package in "${folder}": found none, ${wanted}`);
    await file("a/b/c/d/lib/apache-cassandra-5.jar");
    expect(await refusal(find())).toContain("found none");
    await file("lib/cassandra-all-5.jar");
    expect(await refusal(find())).toContain(
      `Cannot use the cassandra package "${folder}": the volume "${folder}/data" is inside it`,
    );
    await file("two/lib/cassandra-all-5.jar");
    expect(await refusal(find())).toContain(
      `Cannot choose the cassandra package: found "${folder}", "${folder}/two", ${wanted}`,
    );
  });

  test("is not looked for behind links", async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), "ringmaster-elsewhere-"));
    await mkdir(join(elsewhere, "lib"));
    await writeFile(join(elsewhere, "lib/cassandra-all-5.jar"), "");
    await symlink(elsewhere, join(folder, "link"));
    expect(await refusal(find())).toContain("found none");
    await rm(elsewhere, { recursive: true });
  });
});

describe("java", () => {
  const java = (version: string): string => `#!/bin/sh\necho 'openjdk version "${version}" 2025-01-01' >&2\n`;
  const find = (home?: string): Promise<string> => findJava(cassandra, folder, join(folder, "data"), [undefined, home]);

  test("is the runtime in the sandbox before JAVA_HOME, and one of the database's releases", async () => {
    await file("home/bin/java", java("11.0.2"), 0o755);
    const home = join(folder, "home");
    await mkdir(join(folder, "data"));
    expect(await findJava(cassandra, join(folder, "data"), folder, [home])).toBe(`${home}/bin/java`);
    await file("bad/jdk-8/bin/java", java("1.8.0_392"), 0o755);
    expect(await refusal(findJava(cassandra, join(folder, "bad"), folder, [home]))).toContain(
      `Cannot run cassandra with "${folder}/bad/jdk-8/bin/java": found Java 8, wanted Java 11 or 17`,
    );
  });

  test("that JAVA_HOME promises must be there", async () => {
    expect(await refusal(find("/nowhere"))).toContain(
      'Cannot run Java: found no program "/nowhere/bin/java" (JAVA_HOME), wanted Java 11 or 17',
    );
  });
});

describe("the address", () => {
  test("is what the host name resolves to, the agent's own where that is of no use to others", async () => {
    const said: string[] = [];
    const find = (host: string, endpoint?: string): Promise<string> =>
      findAddress(host, endpoint, (text) => said.push(text));
    expect(await find("127.0.0.7")).toBe("127.0.0.7");
    expect(await find("127.0.0.7", "127.0.0.1:5051")).toBe("127.0.0.7");
    expect(await find("10.1.2.3", "10.9.9.9:5051")).toBe("10.1.2.3");
    expect(said).toEqual([]);
    expect(await find("127.0.1.1", "10.9.9.9:5051")).toBe("10.9.9.9");
    expect(said).toEqual(['Host name "127.0.1.1" resolves to "127.0.1.1": using the agent\'s address "10.9.9.9"']);
    expect(await find("no.such.host.invalid", "10.9.9.9:5051")).toBe("10.9.9.9");
    expect(await refusal(find("no.such.host.invalid"))).toContain(
      'Cannot resolve the host name "no.such.host.invalid"',
    );
  });
});

describe("the volume", () => {
  const node = {
    framework: "f",
    cluster: "c",
    node: "f-c-1",
    generation: 1,
    expectData: false,
    volume: "data",
  } as NodeTask;

  test("gets its marker when it is new, and is known again", async () => {
    await claimVolume(node, folder);
    expect(JSON.parse(await readFile(join(folder, "ringmaster.json"), "utf8"))).toEqual(markerOf(node));
    expect(await readdir(folder)).toEqual(["ringmaster.json"]);
    await file("commitlog/1");
    await claimVolume({ ...node, expectData: true }, folder);
    const before = await readdir(folder);
    expect(await caught(claimVolume({ ...node, node: "f-c-2" }, folder))).toMatchObject({
      name: "VolumeRefused",
      failure: "foreign-volume",
    });
    expect(await readdir(folder)).toEqual(before);
  });

  test("is not touched when it is empty and should not be", async () => {
    expect(await caught(claimVolume({ ...node, expectData: true }, folder))).toMatchObject({ failure: "empty-volume" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("is freed of a process that lost its executor", async () => {
    const orphan = spawn(["sleep", "1000"]);
    // The record of an executor that is gone: this process' own, with another beginning.
    await recordProcess(folder, orphan.pid);
    const path = join(folder, "ringmaster-process.json");
    const record = JSON.parse(await readFile(path, "utf8")) as { executor: { pid: number; startTicks: string } };
    record.executor.startTicks = "1";
    await writeFile(path, JSON.stringify(record));
    const said: string[] = [];
    await endLeftover(folder, (text) => said.push(text));
    expect(said).toEqual([`Stopping process ${orphan.pid}, which uses the volume and has lost its executor`]);
    expect(await lives(orphan.pid)).toBe(false);
  });

  test("of another living executor is left to it; of a process that is gone, or another with its number, it is free", async () => {
    const database = spawn(["sleep", "1000"]);
    const executor = spawn(["sleep", "1000"]);
    await recordProcess(folder, database.pid);
    const path = join(folder, "ringmaster-process.json");
    const record = JSON.parse(await readFile(path, "utf8")) as Record<
      "executor" | "database",
      { pid: number; startTicks: string }
    >;
    const ticks = (await readFile(`/proc/${executor.pid}/stat`, "utf8")).split(" ")[21]!;
    await writeFile(path, JSON.stringify({ ...record, executor: { pid: executor.pid, startTicks: ticks } }));
    const say = (): void => {};
    expect(await refusal(endLeftover(folder, say))).toContain(
      `process ${database.pid} of executor ${executor.pid} uses it`,
    );
    await writeFile(path, JSON.stringify({ ...record, database: { pid: database.pid, startTicks: "1" } }));
    await endLeftover(folder, say);
    expect(await lives(database.pid)).toBe(true);
    await forgetProcess(folder);
    await endLeftover(folder, say);
  });
});

describe("the process", () => {
  const command = (script: string): CommandLine => ({
    argv: ["/bin/sh", "-c", script],
    env: { OURS: "2" },
    cwd: folder,
  });

  test("gets a clean environment, and its end and last lines are told", async () => {
    process.env["MESOS_SANDBOX_TEST"] = "leak";
    const script = 'echo "$MINE $OURS ${MESOS_SANDBOX_TEST-clean} ${LD_LIBRARY_PATH-clean}"; echo oops >&2; exit 3';
    const child = startProcess(command(script), { MINE: "1" }, join(folder, "console.log"));
    const { how, lastLines } = await child.exited;
    delete process.env["MESOS_SANDBOX_TEST"];
    expect(how).toBe("with code 3");
    expect(lastLines.split("\n").sort()).toEqual(["1 2 clean clean", "oops"]);
    expect((await readFile(join(folder, "console.log"), "utf8")).split("\n").sort()).toEqual([
      "",
      "1 2 clean clean",
      "oops",
    ]);
  });

  test("is told apart by the signal that ended it, and does not hear of Ctrl-C", async () => {
    const child = startProcess(command("exec sleep 1000"), {}, join(folder, "console.log"));
    await until("it sleeps", async () => (await readFile(`/proc/${child.pid}/cmdline`, "utf8")).startsWith("sleep"));
    process.kill(child.pid, "SIGINT");
    child.signal("SIGTERM");
    expect((await child.exited).how).toBe("by SIGTERM");
  });

  test("does not outlive its executor, even one that is killed", async () => {
    const script = `
      import { startProcess } from ${JSON.stringify(join(import.meta.dir, "process.ts"))};
      const child = startProcess({ argv: ["sleep", "1000"], env: {}, cwd: ${JSON.stringify(folder)} }, {}, ${JSON.stringify(join(folder, "console.log"))});
      console.log(child.pid);
      await child.exited;`;
    const executor = Bun.spawn([process.execPath, "-e", script], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    started.push(executor);
    const { value } = await executor.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    expect(await lives(pid)).toBe(true);
    executor.kill("SIGKILL");
    await until("the process is gone", async () => !(await lives(pid)));
  });
});

describe("a companion", () => {
  const listening = (port: number): string =>
    `await Bun.sleep(150); Bun.listen({ hostname: "127.0.0.1", port: ${port}, socket: { data() {} } }); console.log("here");`;
  const start = (script: string, port: number, onUp: () => void): ReturnType<typeof startCompanion> => {
    const command = { argv: [process.execPath, "-e", script], env: {}, cwd: folder };
    return startCompanion({ name: "c", command, host: "127.0.0.1", port }, join(folder, "c.log"), onUp);
  };
  const freePort = (): number => {
    const held = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    held.stop(true);
    return held.port;
  };

  test("is there once its port takes connections, and is stopped", async () => {
    const port = freePort();
    let ups = 0;
    const companion = start(listening(port), port, () => (ups += 1));
    await until("it is up", () => ups > 0);
    await companion.stop();
    await companion.stop();
    expect(await companion.exited).toEqual({ how: "by SIGTERM", lastLines: "here" });
    expect(await lives(companion.pid)).toBe(false);
    expect([ups, await readFile(join(folder, "c.log"), "utf8")]).toEqual([1, "here\n"]);
  });

  test("that ends by itself says how, and was never there", async () => {
    let ups = 0;
    const companion = start('console.error("no store"); process.exit(3);', freePort(), () => (ups += 1));
    expect(await companion.exited).toEqual({ how: "with code 3", lastLines: "no store" });
    expect(ups).toBe(0);
  });
});

test("this program can be run again by one path", async () => {
  const program = await ownProgram(folder);
  expect(await readFile(program, "utf8")).toBe(`#!/bin/sh\nexec '${process.execPath}' '${Bun.main}' "$@"\n`);
  expect((await stat(program)).mode & 0o777).toBe(0o755);
});

test("the console's file is bounded, and its last lines are short", async () => {
  const path = join(folder, "console.log");
  const console = new Console(path);
  const chunk = new TextEncoder().encode(`${"x".repeat(999)}\n`.repeat(1000));
  for (let count = 0; count < 17; count++) console.write(chunk);
  console.write(new TextEncoder().encode("one\ntwo\n"));
  expect(console.lastLines().endsWith("one\ntwo")).toBe(true);
  expect(console.lastLines().length).toBeLessThanOrEqual(1500);
  console.close();
  expect((await readdir(folder)).sort()).toEqual(["console.log", "console.log.1"]);
  const sizes = await Promise.all([path, `${path}.1`].map(async (one) => (await stat(one)).size));
  expect(sizes).toEqual([2_000_008, 5_000_000]);
});

describe("the executor's API", () => {
  test("answers who has the token, with status, reads and logs", async () => {
    await file("logs/system.log", "one\ntwo\nthree\n");
    await file("stderr", "e\n");
    await file("secret", "no");
    let healthy = true;
    // Port 0 is no port of a node; here it lets the kernel pick one.
    const api = serveApi({
      node: { token: "secret-of-16-letters", ports: { api: 0 } } as unknown as NodeTask,
      sandbox: folder,
      address: "127.0.0.1",
      status: () => ({ phase: "serving", healthy }),
      reads: {
        status: { question: { type: "http", method: "GET", url: "", timeoutMs: 1 }, shape: (text) => ({ said: text }) },
      },
      ask: async () => (healthy ? { status: 200, text: "hello" } : { error: "connection refused" }),
    });
    const get = async (path: string, token = "secret-of-16-letters"): Promise<readonly [number, string]> => {
      const response = await fetch(`${api.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
      return [response.status, await response.text()];
    };
    expect(await get("health", "wrong")).toEqual([
      401,
      '{"type":"about:blank","status":401,"title":"Authorization: Bearer with the framework\'s token is wanted"}',
    ]);
    expect(await get("health")).toEqual([200, '{"phase":"serving","healthy":true}']);
    expect(await get("v1/read/status")).toEqual([200, '{"said":"hello"}']);
    expect((await get("v1/read/toString"))[0]).toBe(404);
    expect(await get("v1/logs")).toEqual([
      200,
      '{"logs":[{"name":"stderr","bytes":2},{"name":"system.log","bytes":14}]}',
    ]);
    expect(await get("v1/logs/system.log?lines=2")).toEqual([200, "two\nthree\n"]);
    expect((await get("v1/logs/..%2Fsecret"))[0]).toBe(404);
    expect((await get("v1/logs/system.log?lines=0"))[0]).toBe(400);
    expect((await get("v1/other"))[0]).toBe(404);
    healthy = false;
    expect((await get("health"))[0]).toBe(503);
    expect((await get("v1/status"))[0]).toBe(200);
    expect((await get("v1/read/status"))[0]).toBe(503);
    await api.stop();
  });
});

test("what the binary carries is written out whole, and nothing that it does not carry", async () => {
  for (const { carries } of [cassandra, riak]) await writeCarried(carries, join(folder, "carried"));
  expect((await readFile(join(folder, "carried/jolokia-agent-jvm.jar"))).subarray(0, 2).toString()).toBe("PK");
  for (const name of riak.carries) {
    const source = await readFile(join(import.meta.dir, "../../databases/riak/erlang", name), "utf8");
    expect(source).not.toBe("");
    expect(await readFile(join(folder, "carried", name), "utf8")).toBe(source);
  }
  expect(await refusal(writeCarried(["other.jar"], folder))).toContain(
    'Cannot write "other.jar": this binary carries jolokia-agent-jvm.jar, erl_epmd.erl, ringmaster_epmd.erl',
  );
});
