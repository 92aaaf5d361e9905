// The files and the command line of a node, as they are written.
import { describe, expect, test } from "bun:test";
import type { Place } from "../database.ts";
import type { NodeTask } from "../node.ts";
import { renderedFiles } from "./files.ts";
import { commandLine } from "./jvm.ts";

const TASK: NodeTask = {
  schema: 1,
  framework: "ringmaster",
  cluster: "demo",
  node: "ringmaster-demo-2",
  database: "cassandra",
  version: "5.0.4",
  generation: 1,
  expectData: false,
  hostname: "agent-2",
  datacenter: "dc1",
  rack: "rack-2",
  cpus: 0.5,
  memMb: 2048,
  ports: { storage: 31000, native: 31001, jmx: 31002, jolokia: 31003, api: 31004 },
  seeds: ["agent-1:31000", "agent-3:31000"],
  volume: "data",
  env: {},
  settings: {},
  graceMs: 60_000,
  token: "secret-of-16-letters",
};

const PLACE: Place = {
  sandbox: "/sandbox",
  packageRoot: "/sandbox/apache-cassandra-5.0.4",
  packageFiles: { lib: ["guava.jar", "jamm-0.4.0.jar"] },
  volume: "/sandbox/data",
  carried: "/sandbox/carried",
  address: "10.0.0.2",
  java: "/usr/bin/java",
  self: "/sandbox/ringmaster",
};

function file(path: string, change: Partial<NodeTask> = {}): string | undefined {
  return renderedFiles({ ...TASK, ...change }, PLACE).find((one) => one.path === path)?.content;
}

function yaml(settings: Readonly<Record<string, unknown>>, change: Partial<NodeTask> = {}): readonly string[] {
  return (
    file("conf/cassandra.yaml", { ...change, settings: { "cassandra.yaml": settings } })
      ?.trim()
      .split("\n") ?? []
  );
}

describe("cassandra.yaml", () => {
  test("has the operator's keys on the defaults, and ours on both", () => {
    const settings = { num_tokens: 4, hints_flush_period: "1s", table_properties_warned: ["a"], authenticator: "no" };
    expect(yaml(settings)).toEqual([
      '# Rendered by Ringmaster at every start of node "ringmaster-demo-2": what is changed here is lost.',
      "num_tokens: 4",
      'commitlog_sync: "periodic"',
      'commitlog_sync_period: "10000ms"',
      'disk_failure_policy: "stop"',
      'commit_failure_policy: "stop"',
      'internode_compression: "dc"',
      'hints_flush_period: "1s"',
      'table_properties_warned: ["a"]',
      'authenticator: "no"',
      'cluster_name: "demo"',
      'seed_provider: [{"class_name":"org.apache.cassandra.locator.SimpleSeedProvider","parameters":[{"seeds":"agent-1:31000,agent-3:31000"}]}]',
      'partitioner: "org.apache.cassandra.dht.Murmur3Partitioner"',
      'endpoint_snitch: "GossipingPropertyFileSnitch"',
      'listen_address: "10.0.0.2"',
      'rpc_address: "10.0.0.2"',
      "storage_port: 31000",
      "native_transport_port: 31001",
      'data_file_directories: ["/sandbox/data/data"]',
      'commitlog_directory: "/sandbox/data/commitlog"',
      'hints_directory: "/sandbox/data/hints"',
      'saved_caches_directory: "/sandbox/data/saved_caches"',
      'cdc_raw_directory: "/sandbox/data/cdc_raw"',
    ]);
  });

  test("names no period where the operator picks another way to sync, or an old name for it", () => {
    const about = (settings: Readonly<Record<string, unknown>>): readonly string[] =>
      yaml(settings).filter((line) => line.startsWith("commitlog_sync"));
    expect(about({ commitlog_sync: "batch" })).toEqual(['commitlog_sync: "batch"']);
    expect(about({ commitlog_sync_period_in_ms: 500 })).toEqual([
      'commitlog_sync: "periodic"',
      "commitlog_sync_period_in_ms: 500",
    ]);
  });

  test("lets Cassandra allocate tokens in a single rack only: it fails where racks are fewer than replicas", () => {
    const allocated = (settings: Readonly<Record<string, unknown>>, oneRack: boolean): readonly string[] =>
      yaml(settings, { oneRack }).filter((line) => line.startsWith("allocate_tokens"));
    expect(allocated({}, true)).toEqual(["allocate_tokens_for_local_replication_factor: 3"]);
    expect(allocated({}, false)).toEqual([]);
    expect(allocated({ allocate_tokens_for_keyspace: "app" }, true)).toEqual(['allocate_tokens_for_keyspace: "app"']);
  });
});

test("datacenter and rack survive Java's reading of property files", () => {
  expect(file("conf/cassandra-rackdc.properties", { datacenter: "dc1", rack: "Zürich: row\\1" })).toBe(
    "dc=dc1\nrack=Z\\u00fcrich\\u003a\\u0020row\\u005c1\n",
  );
});

test("only this user may read the file with Jolokia's password", () => {
  expect(renderedFiles(TASK, PLACE).filter((one) => one.mode !== undefined)).toEqual([
    {
      path: "conf/jolokia.properties",
      content:
        "host=127.0.0.1\nport=31003\nuser=ringmaster\npassword=secret-of-16-letters\ndiscoveryEnabled=false\nexecutor=fixed\nthreadNr=3\n",
      mode: 0o600,
    },
  ]);
});

describe("the command line", () => {
  const argv = (change: Partial<NodeTask>): readonly string[] =>
    commandLine({ ...TASK, ...change }, PLACE).argv.filter((option) => !option.startsWith("--add-"));
  const withOptions = (...options: readonly string[]): Partial<NodeTask> => ({ settings: { "jvm.options": options } });
  const memory = (change: Partial<NodeTask>): readonly string[] =>
    argv(change).filter((option) => /^-X(?:m[sx]|ss|X:\+Use\w+GC|X:\+AlwaysPreTouch)/.test(option));

  test("runs java on the package's jars with our own conf", () => {
    expect(argv({})).toEqual([
      "/usr/bin/java",
      "-Xms1024M",
      "-Xmx1024M",
      "-Xss256k",
      "-XX:+UseSerialGC",
      "-Xlog:gc=info,safepoint=info:file=/sandbox/logs/gc.log:time,uptime:filecount=4,filesize=10M",
      "-ea",
      "-XX:ActiveProcessorCount=2",
      "-XX:+ExitOnOutOfMemoryError",
      "-XX:+PerfDisableSharedMem",
      "-XX:ErrorFile=/sandbox/logs/hs_err_%p.log",
      "-Djdk.attach.allowAttachSelf=true",
      "-Dio.netty.tryReflectionSetAccessible=true",
      "-javaagent:/sandbox/apache-cassandra-5.0.4/lib/jamm-0.4.0.jar",
      "-javaagent:/sandbox/carried/jolokia-agent-jvm.jar=config=/sandbox/conf/jolokia.properties",
      "-Djava.io.tmpdir=/sandbox/tmp",
      "-Djna.tmpdir=/sandbox/tmp",
      "-Dlogback.configurationFile=/sandbox/conf/logback.xml",
      "-Dcassandra.config=file:///sandbox/conf/cassandra.yaml",
      "-Dcassandra.logdir=/sandbox/logs",
      "-Dcassandra.storagedir=/sandbox/data",
      "-Dcassandra.jmx.local.port=31002",
      "-Dcassandra-foreground=yes",
      "-Dcassandra.reset_bootstrap_progress=true",
      "-cp",
      "/sandbox/conf:/sandbox/apache-cassandra-5.0.4/lib/*",
      "org.apache.cassandra.service.CassandraDaemon",
    ]);
  });

  test("tells Cassandra whose place the node takes, unless it founds a ring", () => {
    const options = (change: Partial<NodeTask>): readonly string[] =>
      commandLine({ ...TASK, ...change }, PLACE).argv.filter((option) => option.includes("replace_address"));
    expect(options({})).toEqual([]);
    expect(options({ replaces: "10.0.0.1:31000" })).toEqual(["-Dcassandra.replace_address_first_boot=10.0.0.1:31000"]);
    expect(options({ replaces: "10.0.0.1:31000", seeds: ["agent-2:31000"] })).toEqual([]);
  });

  test("gives the heap half of the memory, 16 GB at most, with a collector that fits, unless the operator says otherwise", () => {
    expect(memory({ memMb: 8192 })).toEqual([
      "-Xms4096M",
      "-Xmx4096M",
      "-Xss256k",
      "-XX:+UseG1GC",
      "-XX:+AlwaysPreTouch",
    ]);
    expect(memory({ memMb: 131_072 }).slice(0, 2)).toEqual(["-Xms16384M", "-Xmx16384M"]);
    expect(memory({ memMb: 768 })[1]).toBe("-Xmx368M");
    expect(memory({ memMb: 576 })[1]).toBe("-Xmx192M");
    expect(memory(withOptions("-Xmx300m"))).toEqual(["-Xms300M", "-Xss256k", "-XX:+UseSerialGC", "-Xmx300m"]);
    expect(memory(withOptions("-XX:+UseZGC", "-Xss512k"))).toEqual([
      "-Xms1024M",
      "-Xmx1024M",
      "-XX:+UseZGC",
      "-Xss512k",
    ]);
  });
});
