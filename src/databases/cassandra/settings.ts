// The settings of a Cassandra cluster: {"seeds": 2, "cassandra.yaml": {…}, "jvm.options": ["-X…"]}, and all that is wrong
// with what an operator gave.
import type { Fault } from "../../std/reason.ts";
import type { ClusterSpec } from "../cluster.ts";
import { type Key, type Line, knownKeys, lineOf } from "./keys.ts";
import { nearest } from "./nearest.ts";
import { OWNED_KEYS, ownedEnvironment, ownedOption } from "./owned.ts";

export type CassandraSettings = {
  /** How many nodes the others find the ring by, at most; a ring has no use for more than three a datacenter. */
  readonly seeds: number;
  readonly "cassandra.yaml": Readonly<Record<string, unknown>>;
  readonly "jvm.options": readonly string[];
};

const DEFAULTS: CassandraSettings = { seeds: 2, "cassandra.yaml": {}, "jvm.options": [] };
const SEEDS_MAX = 3;

/** A node with the smallest heap that starts, 192 MB, was measured at 505 to 550 MB. */
const MEM_MIN_MB = 576;
const DISK_MIN_MB = 256;

/** Bounds that Cassandra itself checks at its start; there a value outside them is a node that never comes up. */
const BOUNDS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  num_tokens: [1, 1536],
  allocate_tokens_for_local_replication_factor: [1, 100],
  concurrent_reads: [2, 100_000],
  concurrent_writes: [2, 100_000],
  concurrent_counter_writes: [2, 100_000],
  concurrent_compactors: [1, 100_000],
  memtable_flush_writers: [1, 100_000],
  native_transport_max_threads: [1, 100_000],
  phi_convict_threshold: [5, 16],
  default_keyspace_rf: [1, 100],
};

/** How values of a kind are written, for `wanted`, and which there are. */
const FORMS: Readonly<Record<Key["kind"], readonly [wanted: string, holds: (value: unknown) => boolean]>> = {
  bool: ["true or false", (value) => typeof value === "boolean"],
  int: ["a whole number", (value) => Number.isSafeInteger(value)],
  float: ["a number", (value) => typeof value === "number" && Number.isFinite(value)],
  string: ["text", (value) => value === null || typeof value === "string"],
  enum: ["one of its values", (value) => typeof value === "string"],
  duration: [
    'a duration such as "10s" or "200ms"',
    (value) => value === null || isSized(value, /^\d+(?:d|h|m|s|ms|us|µs|ns)$/),
  ],
  period: [
    'a duration such as "4h", or whole seconds',
    (value) => Number.isSafeInteger(value) || isSized(value, /^\d+(?:d|h|m|s)$/),
  ],
  storage: ['a size such as "64MiB"', (value) => value === null || isSized(value, /^\d+(?:B|KiB|MiB|GiB)$/)],
  rate: ['a rate such as "24MiB/s"', (value) => value === null || isSized(value, /^\d+(?:B|KiB|MiB)\/s$/)],
  class: [
    "a class name, or a map with class_name",
    (value) => typeof value === "string" || isMap(value) || isListOfMaps(value),
  ],
  object: ["a map", (value) => value === null || isMap(value)],
  list: ["a list", (value) => value === null || Array.isArray(value)],
  map: ["a map", (value) => value === null || isMap(value)],
};

function isSized(value: unknown, form: RegExp): boolean {
  return typeof value === "string" && form.test(value);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isListOfMaps(value: unknown): boolean {
  return Array.isArray(value) && value.every(isMap);
}

/** The settings of a node, as `checkCassandra` let them through, with defaults filled in. */
export function settingsOf(settings: Readonly<Record<string, unknown>>): CassandraSettings {
  const { seeds, "cassandra.yaml": yaml, "jvm.options": options } = settings;
  return {
    seeds: typeof seeds === "number" ? seeds : DEFAULTS.seeds,
    "cassandra.yaml": isMap(yaml) ? yaml : DEFAULTS["cassandra.yaml"],
    "jvm.options": Array.isArray(options) ? options.map(String) : DEFAULTS["jvm.options"],
  };
}

/** Every fault of a cluster's version, resources, environment and settings. */
export function checkCassandra(spec: ClusterSpec): readonly Fault[] {
  const line = lineOf(spec.version);
  const faults: Fault[] = [];
  if (line === undefined)
    faults.push({ path: "version", found: `"${spec.version}"`, wanted: 'a version 4.1.x or 5.0.x, such as "5.0.4"' });
  const { memMb, diskMb } = spec.resources;
  if (memMb < MEM_MIN_MB)
    faults.push({ path: "resources.memMb", found: `${memMb}`, wanted: `at least ${MEM_MIN_MB} for Cassandra` });
  if (diskMb < DISK_MIN_MB)
    faults.push({ path: "resources.diskMb", found: `${diskMb}`, wanted: `at least ${DISK_MIN_MB} for Cassandra` });
  for (const name of Object.keys(spec.env)) {
    const from = ownedEnvironment(name);
    if (from !== undefined)
      faults.push({ path: `env.${name}`, found: "a value", wanted: `none: it comes from ${from}` });
  }
  return [...faults, ...settingsFaults(spec), ...yamlFaults(spec, line), ...optionFaults(spec)];
}

function settingsFaults(spec: ClusterSpec): readonly Fault[] {
  const faults: Fault[] = [];
  for (const key of Object.keys(spec.settings)) {
    if (Object.hasOwn(DEFAULTS, key)) continue;
    const names = Object.keys(DEFAULTS);
    const wanted = knownHint(nearest(key, names)) ?? `one of ${names.map((name) => `"${name}"`).join(", ")}`;
    faults.push({ path: `settings.${quoted(key)}`, found: "an unknown key", wanted });
  }
  const { seeds } = spec.settings;
  const most = Math.min(SEEDS_MAX, spec.nodes);
  if (seeds !== undefined && !(Number.isInteger(seeds) && Number(seeds) >= 1 && Number(seeds) <= most)) {
    const bound = most < SEEDS_MAX ? `1 to ${most}, as there are ${most} nodes` : `1 to ${most}`;
    faults.push({ path: "settings.seeds", found: shown(seeds), wanted: `a whole number from ${bound}` });
  }
  return faults;
}

function yamlFaults(spec: ClusterSpec, line: Line | undefined): readonly Fault[] {
  const yaml = spec.settings["cassandra.yaml"];
  const path = 'settings."cassandra.yaml"';
  if (yaml === undefined) return [];
  if (!isMap(yaml)) return [{ path, found: shown(yaml), wanted: "a map of keys and values" }];
  if (line === undefined) return [];
  const known = knownKeys(line);
  return Object.entries(yaml).flatMap(([name, value]) => {
    const fault = keyFault(name, value, known.get(name), known, yaml, line);
    return fault === undefined ? [] : [{ path: `${path}.${name}`, ...fault }];
  });
}

type Flaw = { readonly found: string; readonly wanted: string };

function keyFault(
  name: string,
  value: unknown,
  key: Key | undefined,
  known: ReadonlyMap<string, Key>,
  yaml: Readonly<Record<string, unknown>>,
  line: Line,
): Flaw | undefined {
  if (key === undefined)
    return { found: "an unknown key", wanted: knownHint(nearest(name, known.keys())) ?? `a key of Cassandra ${line}` };
  const current = key.replacedBy ?? name;
  if (Object.hasOwn(OWNED_KEYS, current))
    return { found: "a value", wanted: `none: Ringmaster sets it from ${OWNED_KEYS[current]}` };
  if (current !== name && Object.hasOwn(yaml, current))
    return { found: `the old name of "${current}", which is set too`, wanted: "one of the two" };
  if (key.values !== undefined && !key.values.includes(String(value)))
    return { found: shown(value), wanted: `one of ${key.values.map((one) => `"${one}"`).join(", ")}` };
  const [wanted, holds] = FORMS[key.kind];
  if (!holds(value)) return { found: shown(value), wanted };
  const bounds = Object.hasOwn(BOUNDS, name) ? BOUNDS[name] : undefined;
  if (bounds !== undefined && typeof value === "number" && (value < bounds[0] || value > bounds[1]))
    return { found: shown(value), wanted: `${bounds[0]} to ${bounds[1]}` };
  if (name === "server_encryption_options" && isMap(value) && value["enable_legacy_ssl_storage_port"] === true)
    return { found: '"enable_legacy_ssl_storage_port": true', wanted: "false: a node has no second storage port" };
  return undefined;
}

function optionFaults(spec: ClusterSpec): readonly Fault[] {
  const options = spec.settings["jvm.options"];
  const path = 'settings."jvm.options"';
  if (options === undefined) return [];
  if (!Array.isArray(options)) return [{ path, found: shown(options), wanted: 'a list such as ["-Xmx4G"]' }];
  const faults = options.flatMap((option: unknown, index): readonly Fault[] => {
    const wanted = optionWanted(option);
    return wanted === undefined ? [] : [{ path: `${path}[${index}]`, found: shown(option), wanted }];
  });
  const max = heapOption(options, "-Xmx");
  const min = heapOption(options, "-Xms");
  const limitMb = spec.resources.memMb;
  if (max !== undefined && max >= limitMb)
    faults.push({ path: `${path} -Xmx`, found: `${max} MB`, wanted: `less than resources.memMb, which is ${limitMb}` });
  if (min !== undefined && min > (max ?? limitMb))
    faults.push({ path: `${path} -Xms`, found: `${min} MB`, wanted: `at most ${max ?? limitMb} MB` });
  return faults;
}

function optionWanted(option: unknown): string | undefined {
  if (typeof option !== "string") return "text";
  if (!/^-[^\s]/.test(option)) return "an option of java, beginning with -";
  // A name and its value that java takes as two arguments: written as one here, or java sees one unknown option.
  if (/^--?[a-z][a-z-]*\s/.test(option)) return "no blank: write --name=value";
  const from = ownedOption(option);
  if (from !== undefined) return `no such option: Ringmaster sets it from ${from}`;
  if (/^-XX:(?:MaxHeapSize|InitialHeapSize|MaxRAM)/.test(option)) return "-Xmx and -Xms for the heap";
  if (/^-Xm[sx]/.test(option) && heapMb(option.slice(4)) === undefined) return `a size such as ${option.slice(0, 4)}4G`;
  return undefined;
}

/** Megabytes of the last option with that beginning, as java reads it. */
export function heapOption(options: readonly unknown[], prefix: "-Xmx" | "-Xms"): number | undefined {
  const last = options.findLast((option) => typeof option === "string" && option.startsWith(prefix));
  return typeof last === "string" ? heapMb(last.slice(prefix.length)) : undefined;
}

function heapMb(size: string): number | undefined {
  const [, digits, unit] = /^(\d{1,15})([kKmMgGtT]?)$/.exec(size) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const perUnitMb = { "": 1 / 1048576, k: 1 / 1024, m: 1, g: 1024, t: 1048576 }[unit.toLowerCase()] ?? 1;
  return Math.ceil(Number(digits) * perUnitMb);
}

function knownHint(word: string | undefined): string | undefined {
  return word === undefined ? undefined : `a known one: did you mean ${quoted(word)}?`;
}

function quoted(key: string): string {
  return /^\w+$/.test(key) ? key : JSON.stringify(key);
}

/** A value as an operator wrote it, cut where it gets long. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
