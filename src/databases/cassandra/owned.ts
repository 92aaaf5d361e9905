// What of Cassandra's configuration Ringmaster sets itself, with where each value comes from: nobody else may set it.

const ADDRESS = "the agent's address";
const VOLUME = "the node's persistent volume";

/** Keys of cassandra.yaml, by name. */
export const OWNED_KEYS: Readonly<Record<string, string>> = {
  cluster_name: "the cluster's name",
  seed_provider: 'the cluster\'s own nodes (settings."seeds" says how many)',
  partitioner: "Murmur3Partitioner, which no ring can change",
  initial_token: "num_tokens: Cassandra picks the tokens",
  auto_bootstrap: "the order in which the nodes start",
  start_native_transport: "readiness: a node serves when it has joined",
  endpoint_snitch: "GossipingPropertyFileSnitch, with the cluster's datacenter and rackAttribute",
  listen_address: ADDRESS,
  listen_interface: ADDRESS,
  listen_interface_prefer_ipv6: ADDRESS,
  listen_on_broadcast_address: ADDRESS,
  broadcast_address: ADDRESS,
  rpc_address: ADDRESS,
  rpc_interface: ADDRESS,
  rpc_interface_prefer_ipv6: ADDRESS,
  broadcast_rpc_address: ADDRESS,
  storage_port: 'the node\'s port "storage"',
  ssl_storage_port: 'the node\'s port "storage"',
  native_transport_port: 'the node\'s port "native"',
  native_transport_port_ssl: 'the node\'s port "native"',
  data_file_directories: VOLUME,
  local_system_data_file_directory: VOLUME,
  commitlog_directory: VOLUME,
  hints_directory: VOLUME,
  saved_caches_directory: VOLUME,
  cdc_raw_directory: VOLUME,
};

/** Beginnings of java options. Longer ones of the same beginning are owned as well. */
const OWNED_OPTIONS: readonly (readonly [prefix: string, from: string])[] = [
  ["-Dcassandra.jmx.", 'the node\'s port "jmx"'],
  ["-Dcassandra.replace_", "a plan that replaces a node"],
  ["-Dcassandra.config", "the rendered cassandra.yaml"],
  ["-Dcassandra-foreground", "the executor, which watches the process"],
  ["-Dcassandra.storagedir", VOLUME],
  ["-Dcassandra.logdir", "the sandbox"],
  ["-Dcassandra.storage_port", 'the node\'s port "storage"'],
  ["-Dcassandra.ssl_storage_port", 'the node\'s port "storage"'],
  ["-Dcassandra.native_transport_port", 'the node\'s port "native"'],
  ["-Dcassandra.start_native_transport", "readiness: a node serves when it has joined"],
  ["-Dcassandra.initial_token", "num_tokens: Cassandra picks the tokens"],
  ["-Dcassandra.partitioner", "Murmur3Partitioner, which no ring can change"],
  ["-Dcassandra.join_ring", "the order in which the nodes start"],
  ["-Dcassandra.auto_bootstrap", "the order in which the nodes start"],
  ["-Dcassandra.override_decommission", "a plan that removes a node"],
  ["-Dcom.sun.management.jmxremote", 'the node\'s port "jmx"'],
  ["-Dlogback.configurationFile", "the rendered logback.xml"],
  ["-Djava.io.tmpdir", "the sandbox"],
  ["-Djna.tmpdir", "the sandbox"],
  ["-XX:ErrorFile", "the sandbox"],
  ["-cp", "the package's lib folder"],
  ["-classpath", "the package's lib folder"],
  ["--class-path", "the package's lib folder"],
  ["-jar", "the package's lib folder"],
  ["--module-path", "the package's lib folder"],
];

/** Where the value of a java option comes from, when it is not the operator's to set. */
export function ownedOption(option: string): string | undefined {
  if (/^-javaagent:.*(?:jolokia|jamm)/.test(option)) return "the executor, which brings this agent itself";
  return OWNED_OPTIONS.find(([prefix]) => option.startsWith(prefix))?.[1];
}

const OWNED_ENVIRONMENT: Readonly<Record<string, string>> = {
  JAVA_TOOL_OPTIONS: 'settings."jvm.options"',
  JDK_JAVA_OPTIONS: 'settings."jvm.options"',
  _JAVA_OPTIONS: 'settings."jvm.options"',
  JVM_OPTS: 'settings."jvm.options"',
  CLASSPATH: "the package's lib folder",
  CASSANDRA_HOME: "the package",
  CASSANDRA_CONF: "the rendered files",
};

/** Where the value of an environment variable comes from, when it is not the operator's to set. */
export function ownedEnvironment(name: string): string | undefined {
  return Object.hasOwn(OWNED_ENVIRONMENT, name) ? OWNED_ENVIRONMENT[name] : undefined;
}
