// What Cassandra's settings are refused for.
import { describe, expect, test } from "bun:test";
import { faultText } from "../../std/reason.ts";
import type { ClusterSpec } from "../cluster.ts";
import { checkCassandra } from "./settings.ts";

const SPEC: ClusterSpec = {
  name: "demo",
  database: "cassandra",
  version: "5.0.4",
  nodes: 3,
  resources: { cpus: 1, memMb: 4096, diskMb: 20_480 },
  package: { uri: "file:///cassandra.tar.gz" },
  ports: {},
  constraints: [],
  datacenter: "dc1",
  env: {},
  settings: {},
};

function faults(change: Partial<ClusterSpec>): readonly string[] {
  return checkCassandra({ ...SPEC, ...change }).map(faultText);
}

function yamlFaults(yaml: Readonly<Record<string, unknown>>, version = "5.0.4"): readonly string[] {
  return faults({ version, settings: { "cassandra.yaml": yaml } });
}

function optionFaults(...options: readonly unknown[]): readonly string[] {
  return faults({ settings: { "jvm.options": options } });
}

describe("a cluster of Cassandra", () => {
  test("passes with no settings, and with good ones of every kind", () => {
    expect(faults({})).toEqual([]);
    expect(
      faults({
        settings: {
          seeds: 3,
          "cassandra.yaml": {
            num_tokens: 8,
            hinted_handoff_enabled: false,
            phi_convict_threshold: 12.5,
            commitlog_sync: "batch",
            read_request_timeout: "5s",
            write_request_timeout_in_ms: 2000,
            key_cache_save_period: 14400,
            row_cache_save_period: "4h",
            memtable_heap_space: "16MiB",
            compaction_throughput: "64MiB/s",
            authenticator: "PasswordAuthenticator",
            commitlog_compression: [{ class_name: "LZ4Compressor" }],
            client_encryption_options: { enabled: false },
            table_properties_warned: ["default_time_to_live"],
            column_index_size: null,
          },
          "jvm.options": [
            "-Xms1G",
            "-Xmx2048m",
            "-XX:+UseZGC",
            "-Dcassandra.ring_delay_ms=1000",
            "--add-opens=a/b=ALL-UNNAMED",
          ],
        },
      }),
    ).toEqual([]);
  });

  test("is refused with every fault at once", () => {
    expect(
      faults({
        nodes: 2,
        resources: { cpus: 1, memMb: 256, diskMb: 64 },
        env: { JAVA_TOOL_OPTIONS: "-Xmx1G", CLASSPATH: "/x", MY_OWN: "1" },
        settings: { seeds: 3, "cassandra.yml": {}, "cassandra.yaml": { num_token: 8 }, "jvm.options": ["Xmx1G"] },
      }),
    ).toEqual([
      "resources.memMb: found 256, wanted at least 576 for Cassandra",
      "resources.diskMb: found 64, wanted at least 256 for Cassandra",
      'env.JAVA_TOOL_OPTIONS: found a value, wanted none: it comes from settings."jvm.options"',
      "env.CLASSPATH: found a value, wanted none: it comes from the package's lib folder",
      'settings."cassandra.yml": found an unknown key, wanted a known one: did you mean "cassandra.yaml"?',
      "settings.seeds: found 3, wanted a whole number from 1 to 2, as there are 2 nodes",
      'settings."cassandra.yaml".num_token: found an unknown key, wanted a known one: did you mean num_tokens?',
      'settings."jvm.options"[0]: found "Xmx1G", wanted an option of java, beginning with -',
    ]);
  });

  test.each(["3.11.17", "4.0.1", "5.1.0", "5.0", "5", "v5.0.4", "4.1.9-rc1"])("is refused in version %s", (version) => {
    expect(faults({ version })).toEqual([
      `version: found "${version}", wanted a version 4.1.x or 5.0.x, such as "5.0.4"`,
    ]);
  });

  test.each([
    ["seeds", "two", 'settings.seeds: found "two", wanted a whole number from 1 to 3'],
    ["seeds", 0, "settings.seeds: found 0, wanted a whole number from 1 to 3"],
    ["cassandra.yaml", [], 'settings."cassandra.yaml": found [], wanted a map of keys and values'],
    ["jvm.options", "-Xmx1G", 'settings."jvm.options": found "-Xmx1G", wanted a list such as ["-Xmx4G"]'],
    ["toString", 1, 'settings.toString: found an unknown key, wanted one of "seeds", "cassandra.yaml", "jvm.options"'],
  ])("is refused with the setting %s = %p", (name, value, fault) => {
    expect(faults({ settings: { [name]: value } })).toEqual([fault]);
  });
});

describe("cassandra.yaml", () => {
  test.each<readonly [string, unknown, string]>([
    ["cluster_name", "x", "found a value, wanted none: Ringmaster sets it from the cluster's name"],
    ["listen_address", "10.0.0.1", "found a value, wanted none: Ringmaster sets it from the agent's address"],
    ["native_transport_port", 9042, 'found a value, wanted none: Ringmaster sets it from the node\'s port "native"'],
    [
      "data_file_directories",
      ["/d"],
      "found a value, wanted none: Ringmaster sets it from the node's persistent volume",
    ],
    [
      "endpoint_snitch",
      "SimpleSnitch",
      "found a value, wanted none: Ringmaster sets it from GossipingPropertyFileSnitch, with the cluster's datacenter and rackAttribute",
    ],
    ["num_tokens", "16", 'found "16", wanted a whole number'],
    ["num_tokens", 0, "found 0, wanted 1 to 1536"],
    ["concurrent_reads", 1, "found 1, wanted 2 to 100000"],
    ["hinted_handoff_enabled", "yes", 'found "yes", wanted true or false'],
    [
      "disk_failure_policy",
      "explode",
      'found "explode", wanted one of "best_effort", "stop", "ignore", "stop_paranoid", "die"',
    ],
    ["read_request_timeout", 5000, 'found 5000, wanted a duration such as "10s" or "200ms"'],
    ["commitlog_segment_size", "32MB", 'found "32MB", wanted a size such as "64MiB"'],
    ["compaction_throughput", "64MiB", 'found "64MiB", wanted a rate such as "24MiB/s"'],
    ["client_encryption_options", true, "found true, wanted a map"],
    ["read_request_timeout_in_ms", "5s", 'found "5s", wanted a whole number'],
    [
      "server_encryption_options",
      { enable_legacy_ssl_storage_port: true },
      'found "enable_legacy_ssl_storage_port": true, wanted false: a node has no second storage port',
    ],
    ["constructor", 1, "found an unknown key, wanted a key of Cassandra 5.0"],
  ])("is refused with %s = %p", (key, value, fault) => {
    expect(yamlFaults({ [key]: value })).toEqual([`settings."cassandra.yaml".${key}: ${fault}`]);
  });

  test("knows which keys a version has", () => {
    expect(yamlFaults({ sai_options: {} })).toEqual([]);
    expect(yamlFaults({ sai_options: {} }, "4.1.9")).toEqual([
      'settings."cassandra.yaml".sai_options: found an unknown key, wanted a key of Cassandra 4.1',
    ]);
  });

  test("takes a key's old name or its new one, not both", () => {
    expect(yamlFaults({ read_request_timeout_in_ms: 5000 })).toEqual([]);
    expect(yamlFaults({ read_request_timeout_in_ms: 5000, read_request_timeout: "5s" })).toEqual([
      'settings."cassandra.yaml".read_request_timeout_in_ms: found the old name of "read_request_timeout", which is set too, wanted one of the two',
    ]);
  });
});

describe("jvm.options", () => {
  const path = 'settings."jvm.options"';
  test.each<readonly [unknown, string]>([
    [7, "found 7, wanted text"],
    ["-Xmx4T0", 'found "-Xmx4T0", wanted a size such as -Xmx4G'],
    ["--add-opens a/b=ALL-UNNAMED", 'found "--add-opens a/b=ALL-UNNAMED", wanted no blank: write --name=value'],
    [
      "-Dcassandra.jmx.remote.port=7199",
      'found "-Dcassandra.jmx.remote.port=7199", wanted no such option: Ringmaster sets it from the node\'s port "jmx"',
    ],
    [
      "-Dcassandra.replace_address=10.0.0.1",
      'found "-Dcassandra.replace_address=10.0.0.1", wanted no such option: Ringmaster sets it from a plan that replaces a node',
    ],
    [
      "-javaagent:/opt/jolokia.jar",
      'found "-javaagent:/opt/jolokia.jar", wanted no such option: Ringmaster sets it from the executor, which brings this agent itself',
    ],
    ["-cp", 'found "-cp", wanted no such option: Ringmaster sets it from the package\'s lib folder'],
    ["-XX:MaxHeapSize=1G", 'found "-XX:MaxHeapSize=1G", wanted -Xmx and -Xms for the heap'],
  ])("refuse %p", (option, fault) => {
    expect(optionFaults(option)).toEqual([`${path}[0]: ${fault}`]);
  });

  test("refuse a heap that the node's memory cannot hold", () => {
    expect(optionFaults("-Xmx4G")).toEqual([
      `${path} -Xmx: found 4096 MB, wanted less than resources.memMb, which is 4096`,
    ]);
    expect(optionFaults("-Xms2G", "-Xmx1G")).toEqual([`${path} -Xms: found 2048 MB, wanted at most 1024 MB`]);
  });
});
