// The body of `POST /api/v1/clusters` from the flags and files of `cluster create`. What is in it, the scheduler judges.
import { parse } from "yaml";
import { constraintText, readConstraints } from "../databases/constraints.ts";
import { Failure } from "./failure.ts";
import type { ClusterFlags } from "./request.ts";

type Tree = Readonly<Record<string, unknown>>;

/** A file's name, as the operator wrote it, and its content. */
export type InputFile = { readonly name: string; readonly text: string };

const DEFAULT_DATABASE = "cassandra";

/** Words after the first dot that belong to a settings file's name: `cassandra.yaml.num_tokens` is in "cassandra.yaml". */
const FILE_ENDINGS = new Set(["conf", "config", "options", "properties", "xml", "yaml", "yml"]);

/**
 * The body: `file` first, then `settingFiles` in their order, then the flags. Maps are merged key by key, everything else
 * is replaced. Throws a usage Failure for a file or a flag that cannot be read.
 */
export function clusterBody(
  flags: ClusterFlags,
  file: InputFile | undefined,
  settingFiles: readonly InputFile[],
): Tree {
  const base = file === undefined ? {} : readTree(file);
  let settings: Tree = {};
  for (const settingFile of settingFiles) settings = merge(settings, readTree(settingFile));
  for (const set of flags.sets) settings = merge(settings, readSet(set));
  const resources = given({ cpus: flags.cpus, memMb: flags.memMb, diskMb: flags.diskMb });
  const top = given({
    name: flags.name,
    database: flags.database ?? (base.database === undefined ? DEFAULT_DATABASE : undefined),
    version: flags.version,
    nodes: flags.nodes,
    package: flags.package,
    jre: flags.jre,
    constraints: flags.constraints.length === 0 ? undefined : flags.constraints.map(asText).join(","),
    datacenter: flags.datacenter,
    rackAttribute: flags.rackAttribute,
  });
  const maps = Object.entries({ resources, ports: flags.ports, env: flags.env, settings });
  return merge({ ...base, ...top }, Object.fromEntries(maps.filter(([, map]) => Object.keys(map).length > 0)));
}

/** The entries that have a value. */
function given(entries: Tree): Tree {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

/** One constraint flag in the text spelling, so that several can stand in a row. What is no JSON of ours stays as it is. */
function asText(flag: string): string {
  if (!flag.trimStart().startsWith("[")) return flag;
  const { constraints, faults } = readConstraints(flag, "constraints");
  return faults.length > 0 ? flag : constraints.map(constraintText).join(",");
}

function readTree(file: InputFile): Tree {
  const value = readYaml(file.text, `Cannot read "${file.name}"`);
  if (isTree(value)) return value;
  throw new Failure("usage", `Cannot read "${file.name}": found ${kindOf(value)}, wanted a YAML or JSON object`);
}

function readYaml(text: string, action: string): unknown {
  try {
    const value: unknown = parse(text, { merge: true, prettyErrors: true, logLevel: "error" });
    return value;
  } catch (error) {
    throw new Failure("usage", `${action}: ${error instanceof Error ? error.message.trimEnd() : String(error)}`);
  }
}

/** `cassandra.yaml.num_tokens=16` as settings with only that in them. The value is YAML: a number, true, a list, a text. */
function readSet(text: string): Tree {
  const at = equalsAt(text);
  const path = at === -1 ? [] : splitPath(text.slice(0, at));
  if (path.length === 0)
    throw new Failure(
      "usage",
      `Cannot read --set: found "${text}", wanted PATH=VALUE, e.g. cassandra.yaml.num_tokens=16`,
    );
  const value = text.slice(at + 1);
  const leaf = value.trim() === "" ? "" : readYaml(value, `Cannot read --set ${text.slice(0, at)}`);
  let tree = leaf;
  for (const key of path.toReversed()) tree = { [key]: tree };
  return isTree(tree) ? tree : {};
}

/** The first `=` outside of quotes. */
function equalsAt(text: string): number {
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') quoted = !quoted;
    if (text[at] === "=" && !quoted) return at;
  }
  return -1;
}

/** `cassandra.yaml.a.b` or `"cassandra.yaml".a.b` to its keys; none if it is neither. */
function splitPath(path: string): readonly string[] {
  if (!/^(?:"[^"]+"|[^."]+)(?:\.(?:"[^"]+"|[^."]+))*$/.test(path)) return [];
  const keys = Array.from(path.matchAll(/"([^"]+)"|[^."]+/g), (match) => match[1] ?? match[0]);
  const [first, second, ...rest] = keys;
  const isFile = second !== undefined && FILE_ENDINGS.has(second) && !path.startsWith('"');
  return isFile ? [`${first}.${second}`, ...rest] : keys;
}

function merge(under: Tree, over: Tree): Tree {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key);
    merged.set(key, isTree(below) && isTree(value) ? merge(below, value) : value);
  }
  return Object.fromEntries(merged);
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
