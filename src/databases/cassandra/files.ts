// The files of a Cassandra node: the operator's cassandra.yaml with what Ringmaster owns on top, rack, log, Jolokia.
import type { Json } from "../../std/json.ts";
import type { Place, RenderedFile } from "../database.ts";
import type { NodeTask } from "../node.ts";
import { jolokiaFile } from "./jolokia.ts";
import { settingsOf } from "./settings.ts";

export function renderedFiles(task: NodeTask, place: Place): readonly RenderedFile[] {
  return [
    { path: "conf/cassandra.yaml", content: cassandraYaml(task, place) },
    { path: "conf/cassandra-rackdc.properties", content: rackProperties(task) },
    { path: "conf/logback.xml", content: logback(place) },
    jolokiaFile(task, place),
  ];
}

/** Java reads property files as Latin-1, with backslash escapes. */
function rackProperties(task: NodeTask): string {
  const value = (text: string): string =>
    text.replace(/[^\w.-]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `dc=${value(task.datacenter)}\nrack=${value(task.rack)}\n`;
}

/** One key a line, each value as JSON: every JSON value is YAML too, and no text in quotes is mistaken for something else. */
function cassandraYaml(task: NodeTask, place: Place): string {
  const asked = settingsOf(task.settings)["cassandra.yaml"];
  const keys = { ...defaults(task, asked), ...asked, ...owned(task, place) };
  const lines = Object.entries(keys).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return `# Rendered by Ringmaster at every start of node ${JSON.stringify(task.node)}: what is changed here is lost.\n${lines.join("\n")}\n`;
}

/**
 * What the official package's cassandra.yaml sets and the code alone does not. Allocated tokens spread load better than
 * random ones, but fail where there are several racks and fewer of them than replicas; so they are for one rack only.
 */
function defaults(task: NodeTask, asked: Readonly<Record<string, unknown>>): Readonly<Record<string, Json>> {
  const sync = asked["commitlog_sync"] ?? "periodic";
  const hasPeriod = Object.keys(asked).some((key) => key.startsWith("commitlog_sync_period"));
  const allocated = task.oneRack === true && asked["num_tokens"] !== 1 && !("allocate_tokens_for_keyspace" in asked);
  return {
    num_tokens: 16,
    ...(allocated ? { allocate_tokens_for_local_replication_factor: 3 } : {}),
    commitlog_sync: "periodic",
    ...(sync === "periodic" && !hasPeriod ? { commitlog_sync_period: "10000ms" } : {}),
    disk_failure_policy: "stop",
    commit_failure_policy: "stop",
    internode_compression: "dc",
  };
}

function owned(task: NodeTask, place: Place): Readonly<Record<string, Json>> {
  return {
    cluster_name: task.cluster,
    seed_provider: [
      { class_name: "org.apache.cassandra.locator.SimpleSeedProvider", parameters: [{ seeds: task.seeds.join(",") }] },
    ],
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    endpoint_snitch: "GossipingPropertyFileSnitch",
    listen_address: place.address,
    rpc_address: place.address,
    storage_port: task.ports["storage"] ?? null,
    native_transport_port: task.ports["native"] ?? null,
    data_file_directories: [`${place.volume}/data`],
    commitlog_directory: `${place.volume}/commitlog`,
    hints_directory: `${place.volume}/hints`,
    saved_caches_directory: `${place.volume}/saved_caches`,
    cdc_raw_directory: `${place.volume}/cdc_raw`,
  };
}

/** All in a file of at most 5 × 20 MB; warnings and errors on the console too, where the executor sees a failed start. */
function logback(place: Place): string {
  return `<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>${xml(place.sandbox)}/logs/system.log</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>${xml(place.sandbox)}/logs/system.log.%i</fileNamePattern>
      <minIndex>1</minIndex>
      <maxIndex>4</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>20MB</maxFileSize>
    </triggeringPolicy>
    <encoder>
      <pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern>
    </encoder>
  </appender>
  <appender name="CONSOLE" class="ch.qos.logback.core.ConsoleAppender">
    <filter class="ch.qos.logback.classic.filter.ThresholdFilter">
      <level>WARN</level>
    </filter>
    <encoder>
      <pattern>%-5level %date{ISO8601} %msg%n</pattern>
    </encoder>
  </appender>
  <root level="INFO">
    <appender-ref ref="FILE"/>
    <appender-ref ref="CONSOLE"/>
  </root>
</configuration>
`;
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
