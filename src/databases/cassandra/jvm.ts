// The command line of a Cassandra process: java on the package's jars with our own conf folder, without the package's scripts.
import type { CommandLine, Place } from "../database.ts";
import type { NodeTask } from "../node.ts";
import { JOLOKIA_JAR, JOLOKIA_FILE } from "./jolokia.ts";
import { heapOption, settingsOf } from "./settings.ts";

/** Larger heaps lose compressed pointers' worth to longer pauses; the page cache has better use for the rest. */
const HEAP_MAX_MB = 16_384;
/** The smallest that was seen to start and serve. */
const HEAP_MIN_MB = 192;
/** Up to here G1's regions are too few to work with; one collecting thread does it with the least memory. */
const SERIAL_MAX_MB = 1024;

const EXPORTS = `
  java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch
  java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
  java.rmi/sun.rmi.transport.tcp java.sql/java.sql`;

/** What Cassandra reaches into by reflection from Java 11 on; java only warns of a package that its release lacks. */
const OPENS = `
  java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.net
  java.base/java.nio java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic
  java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref
  java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch java.management/com.sun.jmx.mbeanserver
  java.rmi/sun.rmi.transport.tcp jdk.management/com.sun.management.internal`;

function forAllModules(option: string, packages: string): readonly string[] {
  return packages
    .trim()
    .split(/\s+/)
    .map((name) => `${option}=${name}=ALL-UNNAMED`);
}

/** What a process takes beside its heap: 360 MB were measured, whatever the heap. */
const BESIDE_HEAP_MB = 400;

/**
 * Half of the node's memory, at most 16 GB: the other half is for memtables off the heap, buffers and the page cache. In a
 * small node it is less than half, or the process would not fit.
 */
function heapMbOf(task: NodeTask): number {
  const asked = heapOption(settingsOf(task.settings)["jvm.options"], "-Xmx");
  return asked ?? Math.min(HEAP_MAX_MB, Math.floor(task.memMb / 2), Math.max(HEAP_MIN_MB, task.memMb - BESIDE_HEAP_MB));
}

export function commandLine(task: NodeTask, place: Place): CommandLine {
  const options = settingsOf(task.settings)["jvm.options"];
  const argv = [
    place.java,
    ...memoryOptions(task, options),
    ...collectorOptions(task, options, place),
    "-ea",
    // A JVM sees all of the agent's processors, whatever share the task has.
    `-XX:ActiveProcessorCount=${Math.max(2, Math.ceil(task.cpus))}`,
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+PerfDisableSharedMem",
    `-XX:ErrorFile=${place.sandbox}/logs/hs_err_%p.log`,
    "-Djdk.attach.allowAttachSelf=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    ...forAllModules("--add-exports", EXPORTS),
    ...forAllModules("--add-opens", OPENS),
    ...agents(place),
    `-Djava.io.tmpdir=${place.sandbox}/tmp`,
    `-Djna.tmpdir=${place.sandbox}/tmp`,
    `-Dlogback.configurationFile=${place.sandbox}/conf/logback.xml`,
    `-Dcassandra.config=file://${place.sandbox}/conf/cassandra.yaml`,
    `-Dcassandra.logdir=${place.sandbox}/logs`,
    `-Dcassandra.storagedir=${place.volume}`,
    `-Dcassandra.jmx.local.port=${task.ports["jmx"]}`,
    "-Dcassandra-foreground=yes",
    // A join that failed begins anew: what it has streamed lacks the writes since, and Cassandra refuses to go on with it.
    "-Dcassandra.reset_bootstrap_progress=true",
    ...replacement(task),
    ...options,
    "-cp",
    `${place.sandbox}/conf:${place.packageRoot}/lib/*`,
    "org.apache.cassandra.service.CassandraDaemon",
  ];
  return { argv, env: {}, cwd: place.sandbox };
}

/**
 * The node takes the tokens of a dead one over and streams its data. Cassandra ignores the option once the node has been a
 * member, so that it does no harm where a scheduler has not heard of that. The founder of a ring has nobody to stream from.
 */
function replacement({ replaces, seeds, hostname, ports }: NodeTask): readonly string[] {
  if (replaces === undefined || seeds.includes(`${hostname}:${ports["storage"]}`)) return [];
  return [`-Dcassandra.replace_address_first_boot=${replaces}`];
}

function memoryOptions(task: NodeTask, options: readonly string[]): readonly string[] {
  const heapMb = heapMbOf(task);
  const own = [
    ["-Xms", `-Xms${heapMb}M`],
    ["-Xmx", `-Xmx${heapMb}M`],
    ["-Xss", "-Xss256k"],
  ] as const;
  return own.filter(([prefix]) => !options.some((option) => option.startsWith(prefix))).map(([, option]) => option);
}

/** The collector, unless the operator names one: two collectors on one command line are an error. */
function collectorOptions(task: NodeTask, options: readonly string[], place: Place): readonly string[] {
  const log = options.some((option) => option.startsWith("-Xlog:gc"))
    ? []
    : [`-Xlog:gc=info,safepoint=info:file=${place.sandbox}/logs/gc.log:time,uptime:filecount=4,filesize=10M`];
  if (options.some((option) => /^-XX:\+Use\w+GC$/.test(option))) return log;
  if (heapMbOf(task) <= SERIAL_MAX_MB) return ["-XX:+UseSerialGC", ...log];
  return [
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=300",
    "-XX:InitiatingHeapOccupancyPercent=70",
    "-XX:G1RSetUpdatingPauseTimePercent=5",
    "-XX:+ParallelRefProcEnabled",
    "-XX:+AlwaysPreTouch",
    ...log,
  ];
}

function agents(place: Place): readonly string[] {
  const jamm = (place.packageFiles["lib"] ?? []).filter((name) => /^jamm-[\d.]+\.jar$/.test(name));
  return [
    ...jamm.map((name) => `-javaagent:${place.packageRoot}/lib/${name}`),
    `-javaagent:${place.carried}/${JOLOKIA_JAR}=config=${place.sandbox}/${JOLOKIA_FILE}`,
  ];
}
