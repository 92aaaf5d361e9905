// Flags and files of `cluster create` and `cluster update` become the bodies that the API takes.
import { expect, test } from "bun:test";
import { readClusterSpec } from "../databases/spec.ts";
import { clusterBody, clusterChange, type InputFile, type SettingTexts } from "./cluster-body.ts";
import { Failure } from "./failure.ts";
import type { ChangeFlags, ClusterFlags } from "./request.ts";

const NONE: ClusterFlags = { constraints: [], ports: {}, env: {}, sets: [] };
const NO_FILES: SettingTexts = { trees: [], texts: {} };

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
  expect(clusterBody(flags, undefined, NO_FILES)).toEqual({
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
  expect(clusterBody(flags, undefined, NO_FILES)).toEqual({
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
  expect(clusterBody(flags, DEMO, { ...NO_FILES, trees: [settings] })).toEqual({
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
  const read = readClusterSpec(clusterBody(flags, DEMO, NO_FILES));
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
  expect(clusterBody(NONE, { name: "a", text: "database: riak" }, NO_FILES)).toEqual({ database: "riak" });
});

test("a constraint in broken JSON reaches the scheduler as it was written", () => {
  expect(clusterBody({ ...NONE, constraints: ['[["hostname"'] }, undefined, NO_FILES).constraints).toBe('[["hostname"');
});

test("--set finds the settings file in its path and reads the value as YAML", () => {
  const settings = (...sets: readonly string[]) => clusterBody({ ...NONE, sets }, undefined, NO_FILES).settings;
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
  const { settings } = clusterBody({ ...NONE, sets: ["__proto__.polluted=1"] }, undefined, NO_FILES);
  expect(JSON.stringify(settings)).toBe('{"__proto__":{"polluted":1}}');
  expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
});

test("a --set without a path or a value is refused", () => {
  for (const set of ["num_tokens", "=1", "a..b=1", ".a=1", "a.=1", 'a"b=1'])
    expect(failureOf(() => clusterBody({ ...NONE, sets: [set] }, undefined, NO_FILES))).toEqual({
      kind: "usage",
      message: `Cannot read --set: found "${set}", wanted PATH=VALUE, e.g. cassandra.yaml.num_tokens=16`,
    });
});

test("a file that is no object is refused by its name", () => {
  const message = (text: string) => failureOf(() => clusterBody(NONE, { name: "x.yaml", text }, NO_FILES));
  const wanted = "wanted a YAML or JSON object";
  expect(message("[1]")).toEqual({ kind: "usage", message: `Cannot read "x.yaml": found a list, ${wanted}` });
  expect(message("")).toEqual({ kind: "usage", message: `Cannot read "x.yaml": found nothing, ${wanted}` });
  expect(message("hello")).toEqual({ kind: "usage", message: `Cannot read "x.yaml": found a string, ${wanted}` });
});

test("a mistake in a file is told with its line and column", () => {
  const { kind, message } = failureOf(() =>
    clusterBody(NONE, { name: "x.yaml", text: "name: a\nnodes: 3\nname: b\n" }, NO_FILES),
  );
  expect(kind).toBe("usage");
  expect(message).toStartWith('Cannot read "x.yaml": Map keys must be unique at line 3, column 1:');
  expect(message).toContain("name: b");
});

test("texts become settings as they stand, over what files say of them", () => {
  const files: SettingTexts = {
    trees: [{ name: "a.yaml", text: "{riak.conf: {ring_size: 64}}" }],
    texts: { "riak.conf": "ring_size = 8\n", "advanced.config": "[]." },
  };
  const flags: ClusterFlags = { ...NONE, name: "kv", database: "riak" };
  const settings = { "riak.conf": "ring_size = 8\n", "advanced.config": "[]." };
  expect(clusterBody(flags, undefined, files)).toEqual({ name: "kv", database: "riak", settings });
  expect(clusterBody({ ...NONE, database: "riak" }, undefined, { ...files, texts: {} }).settings).toEqual({
    "riak.conf": { ring_size: 64 },
  });
});

test("the keys of riak.conf have dots, and are one key each", () => {
  const sets = [
    "riak.conf.ring_size=64",
    "riak.conf.anti_entropy.tree.expiry=1d",
    "riak.conf={storage_backend: leveled}",
  ];
  expect(clusterBody({ ...NONE, sets }, undefined, NO_FILES).settings).toEqual({
    "riak.conf": { ring_size: 64, "anti_entropy.tree.expiry": "1d", storage_backend: "leveled" },
  });
});

test("a --set within a setting that is one text is refused, wherever the text comes from", () => {
  const flags: ClusterFlags = { ...NONE, sets: ["riak.conf.ring_size=64"] };
  const refusal = {
    kind: "usage",
    message:
      'Cannot read --set riak.conf.ring_size: found "riak.conf" to be one text, wanted all of it in a --setting-file or --riak-conf',
  };
  const file: InputFile = { name: "kv.yaml", text: "settings: { riak.conf: ring_size = 8 }" };
  const texts = { "riak.conf": "ring_size = 8" };
  expect(failureOf(() => clusterBody(flags, undefined, { ...NO_FILES, texts }))).toEqual(refusal);
  expect(failureOf(() => clusterBody(flags, file, NO_FILES))).toEqual(refusal);
  const change: ChangeFlags = { ...NO_CHANGE, sets: flags.sets };
  expect(failureOf(() => clusterChange(change, NO_FILES, { settings: texts }))).toEqual(refusal);
});

const NO_CHANGE: ChangeFlags = { constraints: [], env: {}, unsetEnv: [], sets: [] };

const SPEC = {
  name: "demo",
  env: { TZ: "UTC", LANG: "C" },
  settings: { "cassandra.yaml": { num_tokens: 16, a: { b: 1, c: 2 } }, "jvm.options": ["-Xmx2G"] },
};

test("a change has only what was given, in the shape of the API", () => {
  expect(clusterChange(NO_CHANGE, NO_FILES, SPEC)).toEqual({});
  const flags: ChangeFlags = {
    ...NO_CHANGE,
    version: "5.0.5",
    package: PACKAGE,
    jre: "file:///opt/jre.tar.gz",
    constraints: ["hostname:UNIQUE", '[["rack","LIKE","r:1"]]'],
  };
  expect(clusterChange(flags, NO_FILES, SPEC)).toEqual({
    version: "5.0.5",
    package: PACKAGE,
    jre: "file:///opt/jre.tar.gz",
    constraints: "hostname:UNIQUE,rack:LIKE:r\\:1",
  });
  expect(clusterChange({ ...NO_CHANGE, constraints: [""] }, NO_FILES, SPEC)).toEqual({ constraints: "" });
});

test("a variable is put among those that are there, or taken away", () => {
  const change = (env: ChangeFlags["env"], ...unsetEnv: readonly string[]) =>
    clusterChange({ ...NO_CHANGE, env, unsetEnv }, NO_FILES, SPEC);
  expect(change({ TZ: "CET", A: "" })).toEqual({ env: { TZ: "CET", LANG: "C", A: "" } });
  expect(change({}, "TZ", "NOT_THERE")).toEqual({ env: { LANG: "C" } });
  expect(change({}, "TZ", "LANG")).toEqual({ env: {} });
});

test("a --set changes one key of what is there, a file replaces the settings that it names", () => {
  const change = (trees: readonly string[], ...sets: readonly string[]) =>
    clusterChange(
      { ...NO_CHANGE, sets },
      { ...NO_FILES, trees: trees.map((text, index) => ({ name: `${index}.yaml`, text })) },
      SPEC,
    ).settings;
  expect(change([], "cassandra.yaml.a.b=5", "jvm.options=[-Xmx4G]")).toEqual({
    "cassandra.yaml": { num_tokens: 16, a: { b: 5, c: 2 } },
    "jvm.options": ["-Xmx4G"],
  });
  expect(change(["cassandra.yaml: { num_tokens: 8 }"])).toEqual({ "cassandra.yaml": { num_tokens: 8 } });
  expect(change(["cassandra.yaml: { num_tokens: 8 }"], "cassandra.yaml.x=1")).toEqual({
    "cassandra.yaml": { num_tokens: 8, x: 1 },
  });
  expect(change([], "cassandra.yaml.a={d: 1}")).toEqual({ "cassandra.yaml": { num_tokens: 16, a: { d: 1 } } });
});

test("a --set to null takes a setting or a key of it away", () => {
  const settings = (...sets: readonly string[]) => clusterChange({ ...NO_CHANGE, sets }, NO_FILES, SPEC).settings;
  expect(settings("jvm.options=null")).toEqual({ "jvm.options": null });
  expect(settings("cassandra.yaml.a.b=null")).toEqual({ "cassandra.yaml": { num_tokens: 16, a: { c: 2 } } });
});
