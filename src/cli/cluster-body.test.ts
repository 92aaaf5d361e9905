// Flags and files of `cluster create` become the body that the API takes.
import { expect, test } from "bun:test";
import { readClusterSpec } from "../databases/spec.ts";
import { clusterBody, type InputFile } from "./cluster-body.ts";
import { Failure } from "./failure.ts";
import type { ClusterFlags } from "./request.ts";

const NONE: ClusterFlags = { constraints: [], ports: {}, env: {}, sets: [] };

const PACKAGE = "https://example.org/apache-cassandra-5.0.4-bin.tar.gz";

const DEMO: InputFile = {
  name: "demo.yaml",
  text: `
name: demo
database: cassandra
version: 5.0.4
nodes: 3
package: { uri: "${PACKAGE}" }
resources: { cpus: 2, memMb: 8192 }
constraints: [[hostname, UNIQUE]]
env: { TZ: UTC }
settings:
  cassandra.yaml: { num_tokens: 16, concurrent_reads: 32 }
  jvm.options: [-Xmx2G]
`,
};

function failureOf(act: () => unknown): { readonly kind: string; readonly message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return { kind: error.kind, message: error.message };
    throw error;
  }
  throw new Error("Nothing was thrown, wanted a Failure");
}

test("only what was given is sent, and cassandra where no database is named", () => {
  const flags: ClusterFlags = { ...NONE, name: "demo", version: "5.0.4", package: PACKAGE };
  expect(clusterBody(flags, undefined, [])).toEqual({
    name: "demo",
    database: "cassandra",
    version: "5.0.4",
    package: PACKAGE,
  });
});

test("every flag has its place in the body", () => {
  const flags: ClusterFlags = {
    name: "demo",
    database: "cassandra",
    version: "5.0.4",
    nodes: 5,
    cpus: 0.5,
    memMb: 2048,
    diskMb: 4096,
    package: PACKAGE,
    jre: "file:///opt/jre.tar.gz",
    constraints: ["hostname:UNIQUE", '[["rack","LIKE","r:1"],["zone","MAX_PER","2"]]'],
    datacenter: "west",
    rackAttribute: "@zone",
    ports: { native: 9042 },
    env: { TZ: "UTC" },
    sets: ["seeds=2"],
  };
  expect(clusterBody(flags, undefined, [])).toEqual({
    name: "demo",
    database: "cassandra",
    version: "5.0.4",
    nodes: 5,
    resources: { cpus: 0.5, memMb: 2048, diskMb: 4096 },
    package: PACKAGE,
    jre: "file:///opt/jre.tar.gz",
    constraints: "hostname:UNIQUE,rack:LIKE:r\\:1,zone:MAX_PER:2",
    datacenter: "west",
    rackAttribute: "@zone",
    ports: { native: 9042 },
    env: { TZ: "UTC" },
    settings: { seeds: 2 },
  });
});

test("flags win over the file, and setting files over its settings, key by key", () => {
  const flags: ClusterFlags = {
    ...NONE,
    name: "other",
    nodes: 5,
    memMb: 4096,
    constraints: ["rack:GROUP_BY:3"],
    env: { LANG: "C" },
    sets: ["cassandra.yaml.num_tokens=4"],
  };
  const settings: InputFile = {
    name: "more.json",
    text: '{"cassandra.yaml": {"num_tokens": 8, "concurrent_writes": 64}, "jvm.options": ["-Xmx4G"]}',
  };
  expect(clusterBody(flags, DEMO, [settings])).toEqual({
    name: "other",
    database: "cassandra",
    version: "5.0.4",
    nodes: 5,
    package: { uri: PACKAGE },
    resources: { cpus: 2, memMb: 4096 },
    constraints: "rack:GROUP_BY:3",
    env: { TZ: "UTC", LANG: "C" },
    settings: {
      "cassandra.yaml": { num_tokens: 4, concurrent_reads: 32, concurrent_writes: 64 },
      "jvm.options": ["-Xmx4G"],
    },
  });
});

test("a body of all flags is one that the scheduler takes", () => {
  const flags: ClusterFlags = {
    ...NONE,
    constraints: ["hostname:UNIQUE", '[["rack","LIKE","r:1"]]'],
    jre: "file:///opt/jre.tar.gz",
    datacenter: "west",
    rackAttribute: "@zone",
    ports: { native: 9042 },
    sets: ["cassandra.yaml.num_tokens=4"],
  };
  const read = readClusterSpec(clusterBody(flags, DEMO, []));
  if ("faults" in read) throw new Error(JSON.stringify(read.faults));
  expect(read.spec).toMatchObject({
    name: "demo",
    resources: { cpus: 2, memMb: 8192, diskMb: 20_480 },
    constraints: [
      { field: "hostname", operator: "UNIQUE" },
      { field: "rack", operator: "LIKE", parameter: "r:1" },
    ],
    ports: { native: 9042 },
    settings: { "cassandra.yaml": { num_tokens: 4, concurrent_reads: 32 } },
  });
});

test("a database that the file names stays", () => {
  expect(clusterBody(NONE, { name: "a", text: "database: riak" }, [])).toEqual({ database: "riak" });
});

test("a constraint in broken JSON reaches the scheduler as it was written", () => {
  expect(clusterBody({ ...NONE, constraints: ['[["hostname"'] }, undefined, []).constraints).toBe('[["hostname"');
});

test("--set finds the settings file in its path and reads the value as YAML", () => {
  const settings = (...sets: readonly string[]) => clusterBody({ ...NONE, sets }, undefined, []).settings;
  expect(settings("cassandra.yaml.num_tokens=16")).toEqual({ "cassandra.yaml": { num_tokens: 16 } });
  expect(settings("cassandra.yaml.a.b=10s", "cassandra.yaml.a.c=true")).toEqual({
    "cassandra.yaml": { a: { b: "10s", c: true } },
  });
  expect(settings('"cassandra.yaml".a="16"')).toEqual({ "cassandra.yaml": { a: "16" } });
  expect(settings('"a.b=c".d=1=2')).toEqual({ "a.b=c": { d: "1=2" } });
  expect(settings("jvm.options=[-Xmx1G, -Xms1G]")).toEqual({ "jvm.options": ["-Xmx1G", "-Xms1G"] });
  expect(settings("a.b=")).toEqual({ a: { b: "" } });
  expect(settings("a=no")).toEqual({ a: "no" });
});

test("--set of a key that objects inherit sets that key and nothing else", () => {
  const { settings } = clusterBody({ ...NONE, sets: ["__proto__.polluted=1"] }, undefined, []);
  expect(JSON.stringify(settings)).toBe('{"__proto__":{"polluted":1}}');
  expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
});

test("a --set without a path or a value is refused", () => {
  for (const set of ["num_tokens", "=1", "a..b=1", ".a=1", "a.=1", 'a"b=1'])
    expect(failureOf(() => clusterBody({ ...NONE, sets: [set] }, undefined, []))).toEqual({
      kind: "usage",
      message: `Cannot read --set: found "${set}", wanted PATH=VALUE, e.g. cassandra.yaml.num_tokens=16`,
    });
});

test("a file that is no object is refused by its name", () => {
  const message = (text: string) => failureOf(() => clusterBody(NONE, { name: "x.yaml", text }, []));
  const wanted = "wanted a YAML or JSON object";
  expect(message("[1]")).toEqual({ kind: "usage", message: `Cannot read "x.yaml": found a list, ${wanted}` });
  expect(message("")).toEqual({ kind: "usage", message: `Cannot read "x.yaml": found nothing, ${wanted}` });
  expect(message("hello")).toEqual({ kind: "usage", message: `Cannot read "x.yaml": found a string, ${wanted}` });
});

test("a mistake in a file is told with its line and column", () => {
  const { kind, message } = failureOf(() =>
    clusterBody(NONE, { name: "x.yaml", text: "name: a\nnodes: 3\nname: b\n" }, []),
  );
  expect(kind).toBe("usage");
  expect(message).toStartWith('Cannot read "x.yaml": Map keys must be unique at line 3, column 1:');
  expect(message).toContain("name: b");
});
