// What an operator does wrong, and is told: every refusal names what was found and wanted, loses nothing, shows no stack.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Problem } from "../../src/databases/api.ts";
import { startMesos, type Mesos } from "./mesos/mesos.ts";
import { run, startScheduler, type Ran } from "./ringmaster.ts";

const MINUTE = 60_000;

let directory: string;
let mesos: Mesos;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ringmaster-test-"));
  const credentials = join(directory, "credentials.json");
  await Bun.write(credentials, JSON.stringify({ credentials: [{ principal: "ringmaster", secret: "right" }] }));
  mesos = await startMesos({
    agents: 1,
    env: {
      MESOS_AUTHENTICATE_HTTP_FRAMEWORKS: "true",
      MESOS_HTTP_FRAMEWORK_AUTHENTICATORS: "basic",
      MESOS_CREDENTIALS: credentials,
      MESOS_AUTHENTICATE_AGENTS: "false",
    },
  });
}, 5 * MINUTE);

afterAll(async () => {
  await mesos?.stop();
  await rm(directory, { recursive: true, force: true });
}, MINUTE);

/** Runs a scheduler that is to refuse to go on. */
function scheduler(flags: Readonly<Record<string, string>>): Promise<Ran> {
  const all = { store: `sqlite:${join(directory, "refused.sqlite")}`, http: "127.0.0.1:0", mesos: mesos.url, ...flags };
  return run("scheduler", "--log-json", ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]));
}

/** The last line of what was printed as an error; nothing of it may be a stack. */
function complaint({ err }: Ran): string {
  expect(err).not.toMatch(/^\s+at .*[:(]\d+/m);
  return err.trim().split("\n").at(-1) ?? "";
}

async function secretFile(secret: string): Promise<string> {
  const file = join(directory, `secret-${secret}`);
  await Bun.write(file, `${secret}\n`);
  return file;
}

describe("a scheduler refuses to start", () => {
  test("with a wrong secret, and names the principal", async () => {
    const ran = await scheduler({ "mesos-principal": "ringmaster", "mesos-secret-file": await secretFile("wrong") });
    expect(ran.code).toBe(1);
    expect(complaint(ran)).toContain('refused principal "ringmaster"');
    expect(complaint(ran)).toContain("401");
  });

  test("with a secret file that is not there", async () => {
    const ran = await scheduler({ "mesos-principal": "ringmaster", "mesos-secret-file": join(directory, "nowhere") });
    expect(ran.code).toBe(1);
    expect(complaint(ran)).toStartWith(`ringmaster: Cannot read --mesos-secret-file "${join(directory, "nowhere")}"`);
  });

  test("with a Mesos that does not answer within the time it is given", async () => {
    const ran = await scheduler({ mesos: "http://127.0.0.1:1/master", "mesos-timeout": "1" });
    expect(ran.code).toBe(1);
    expect(complaint(ran)).toContain('Cannot reach a Mesos master at "http://127.0.0.1:1/master"');
  });

  test("with a Mesos that is too old (a stand-in that only tells its version)", async () => {
    await using old = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ version: "1.4.3" }) });
    const ran = await scheduler({ mesos: `http://127.0.0.1:${old.port}` });
    expect(ran.code).toBe(1);
    expect(complaint(ran)).toContain("found Mesos 1.4.3");
    expect(complaint(ran)).toContain("wanted 1.5.0 or later");
  });

  test("with a store that cannot be read, and leaves the file as it is", async () => {
    const file = join(directory, "not-a-database");
    await Bun.write(file, "this is not SQLite ".repeat(100));
    const ran = await scheduler({ store: `sqlite:${file}` });
    expect(ran.code).toBe(1);
    expect(complaint(ran)).toContain(file);
    expect(await Bun.file(file).text()).toBe("this is not SQLite ".repeat(100));
  });

  test.each([
    ["store", "etcd://127.0.0.1/", 1, "etcd://127.0.0.1/"],
    ["mesos", "ftp://127.0.0.1/", 1, "ftp://127.0.0.1/"],
    ["name", "Ring Master", 2, "Ring Master"],
    ["role", "*", 2, 'found "*"'],
    ["http", "8080", 2, "wanted HOST:PORT"],
    ["failover-timeout", "soon", 2, 'found "soon"'],
    ["framework", "x", 2, "--framework"],
  ])("with --%s %s, and quotes it", async (flag, value, code, told) => {
    const ran = await scheduler({ [flag]: value });
    expect(ran.code).toBe(code);
    expect(ran.err).toContain(told);
    expect(ran.err).not.toMatch(/^\s+at .*[:(]\d+/m);
  });
});

describe("a running scheduler refuses", () => {
  test(
    "bad clusters with every fault at once, unknown names, unreadable bodies; and keeps nothing of them",
    async () => {
      const flags = ["--mesos-principal", "ringmaster", "--mesos-secret-file", await secretFile("right")];
      await using good = await startScheduler({ mesos: mesos.url, directory, flags });
      const post = async (body: string): Promise<Problem> => {
        const response = await fetch(`${good.url()}/api/v1/clusters`, { method: "POST", body });
        expect([400, response.headers.get("content-type")]).toEqual([response.status, "application/problem+json"]);
        return (await response.json()) as Problem;
      };
      const body = {
        name: "demo",
        database: "cassandra",
        version: "5.0.4",
        package: "https://artifacts.example/apache-cassandra-5.0.4-bin.tar.gz",
      };
      const paths = async (change: object): Promise<readonly string[]> =>
        (await post(JSON.stringify({ ...body, ...change }))).faults
          .map(({ path }) => path)
          .toSorted((a, b) => a.localeCompare(b));

      expect(await paths({ name: "No Good", nodes: 0, colour: "red", constraints: "hostname:UNIQ" })).toEqual([
        "colour",
        "constraints",
        "name",
        "nodes",
      ]);
      expect(await paths({ resources: { cpus: 0, memMb: 4096, diskMb: 1 } })).toEqual([
        "resources.cpus",
        "resources.diskMb",
      ]);
      expect(await paths({ resources: { memMb: 64 } })).toEqual(["resources.memMb"]);
      expect(await paths({ database: "postgres" })).toEqual(["database"]);
      expect(await paths({ version: "2.1.4" })).toEqual(["version"]);
      const settings = {
        "cassandra.yaml": { num_token: 8, listen_address: "1.2.3.4", num_tokens: "many" },
        "jvm.option": [],
      };
      const { faults } = await post(JSON.stringify({ ...body, settings }));
      expect(faults).toHaveLength(4);
      expect(faults.map((fault) => JSON.stringify(fault)).join("\n")).toContain("num_tokens");
      expect((await post("{ not json")).detail).toContain("Cannot read the body as JSON");

      expect((await fetch(`${good.url()}/api/v1/clusters/nope`)).status).toBe(404);
      expect((await fetch(`${good.url()}/api/v1/nothing`)).status).toBe(404);
      const ran = await good.cli(
        "cluster",
        "create",
        "demo",
        "--version",
        "9.9",
        "--package",
        "nowhere",
        "--constraint",
        "hostname:NO",
      );
      expect(ran.code).toBe(1);
      for (const told of ["9.9", "nowhere", "hostname:NO"]) expect(ran.err).toContain(told);
      expect((await good.cli("cluster", "info", "nope")).code).toBe(1);
      expect((await good.cli("cluster", "fetch")).code).toBe(2);
      expect(await good.json<object>("cluster", "list")).toEqual({ clusters: [] });
      expect((await good.json<{ plans: readonly unknown[] }>("plan", "list")).plans).toEqual([]);
    },
    MINUTE,
  );
});
