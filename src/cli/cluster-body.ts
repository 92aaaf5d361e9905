// The bodies of `POST /api/v1/clusters` and of the PATCH of one, from the flags and files of `cluster create` and `update`.
// What is in them, the scheduler judges.
import { parse } from "yaml";
import { constraintText, readConstraints } from "../databases/constraints.ts";
import { Failure } from "./failure.ts";
import type { ChangeFlags, ClusterFlags } from "./request.ts";

type Tree = Readonly<Record<string, unknown>>;

/** A file's name, as the operator wrote it, and its content. */
export type InputFile = { readonly name: string; readonly text: string };

/** The content of the files that `SettingFiles` names. */
export type SettingTexts = {
  readonly trees: readonly InputFile[];
  readonly texts: Readonly<Record<string, string>>;
};

const DEFAULT_DATABASE = "cassandra";

/** Words after the first dot that belong to a settings file's name: `cassandra.yaml.num_tokens` is in "cassandra.yaml". */
const FILE_ENDINGS = new Set(["conf", "config", "options", "properties", "xml", "yaml", "yml"]);

/**
 * The body that creates a cluster: `file` first, then `files`, then the flags. Maps are merged key by key, everything else is
 * replaced. Throws a usage Failure for a file or a flag that cannot be read.
 */
export function clusterBody(flags: ClusterFlags, file: InputFile | undefined, files: SettingTexts): Tree {
  const base = file === undefined ? {} : readTree(file);
  const settings = settingsOf(files, flags.sets.map(readSet), treeOf(base.settings), "over");
  const resources = given({ cpus: flags.cpus, memMb: flags.memMb, diskMb: flags.diskMb });
  const top = given({
    name: flags.name,
    database: flags.database ?? (base.database === undefined ? DEFAULT_DATABASE : undefined),
    version: flags.version,
    nodes: flags.nodes,
    package: flags.package,
    jre: flags.jre,
    constraints: constraintsOf(flags.constraints),
    datacenter: flags.datacenter,
    rackAttribute: flags.rackAttribute,
  });
  const maps = filled({ resources, ports: flags.ports, env: flags.env, settings });
  return merge({ ...base, ...top }, maps);
}

/**
 * The change of a cluster that stands as `spec` (what the API says was asked for). The API replaces the whole environment and
 * whole settings, by name; so a variable, and a key within a setting, is put into what is there. A `--set` to null takes its
 * key away. Throws a usage Failure for a file or a flag that cannot be read.
 */
export function clusterChange(flags: ChangeFlags, files: SettingTexts, spec: Tree): Tree {
  const settings = settingsOf(files, flags.sets.map(readSet), treeOf(spec.settings), "instead");
  const { env, unsetEnv } = flags;
  const vars = Object.entries({ ...treeOf(spec.env), ...env }).filter(([name]) => !unsetEnv.includes(name));
  return given({
    version: flags.version,
    package: flags.package,
    jre: flags.jre,
    constraints: constraintsOf(flags.constraints),
    env: Object.keys(env).length + unsetEnv.length === 0 ? undefined : Object.fromEntries(vars),
    ...filled({ settings }),
  });
}

/** A new cluster's settings are laid over each other, a null like any value; in a change each set replaces, and null takes away. */
type Placing = "over" | "instead";

/**
 * The settings that files and sets name, whole: a set of a key within one goes into what the files say of it, or into what was
 * there `before`.
 */
function settingsOf(files: SettingTexts, sets: readonly Setting[], before: Tree, placing: Placing): Tree {
  let settings: Tree = {};
  for (const tree of files.trees) settings = merge(settings, readTree(tree));
  const changed = new Map(Object.entries({ ...settings, ...files.texts }));
  const old = new Map(Object.entries(before));
  for (const { path, value, words } of sets) {
    const [name = "", ...keys] = path;
    const under = changed.has(name) ? changed.get(name) : old.get(name);
    if (keys.length > 0 && typeof under === "string")
      throw new Failure(
        "usage",
        `Cannot read --set ${words}: found "${name}" to be one text, wanted all of it in a --setting-file or --riak-conf`,
      );
    changed.set(name, placed(under, keys, value, placing));
  }
  return Object.fromEntries(changed);
}

/** `under` with `value` where the keys lead to. */
function placed(under: unknown, [key, ...rest]: readonly string[], value: unknown, placing: Placing): unknown {
  if (key === undefined) return placing === "over" && isTree(under) && isTree(value) ? merge(under, value) : value;
  const tree = new Map(Object.entries(treeOf(under)));
  if (placing === "instead" && value === null && rest.length === 0) tree.delete(key);
  else tree.set(key, placed(tree.get(key), rest, value, placing));
  return Object.fromEntries(tree);
}

/** The entries that have a value. */
function given(entries: Tree): Tree {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

/** The maps that have entries. */
function filled(maps: Readonly<Record<string, Tree>>): Tree {
  return Object.fromEntries(Object.entries(maps).filter(([, map]) => Object.keys(map).length > 0));
}

/** All constraint flags as one text; an empty flag alone stands for no constraint at all. */
function constraintsOf(flags: readonly string[]): string | undefined {
  return flags.length === 0 ? undefined : flags.map(asText).join(",");
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

/** What one `--set` says. `words`: its path as it was written. */
type Setting = { readonly path: readonly string[]; readonly value: unknown; readonly words: string };

/** Reads `cassandra.yaml.num_tokens=16`. The value is YAML: a number, true, a list, a text. */
function readSet(text: string): Setting {
  const at = equalsAt(text);
  const words = text.slice(0, Math.max(0, at));
  const path = splitPath(words);
  if (path.length === 0)
    throw new Failure(
      "usage",
      `Cannot read --set: found "${text}", wanted PATH=VALUE, e.g. cassandra.yaml.num_tokens=16`,
    );
  const value = text.slice(at + 1);
  return { path, value: value.trim() === "" ? "" : readYaml(value, `Cannot read --set ${words}`), words };
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

/** `cassandra.yaml.a.b`, `"cassandra.yaml".a.b` or `riak.conf.a.b` to its keys; none if it is none of them. */
function splitPath(path: string): readonly string[] {
  if (!/^(?:"[^"]+"|[^."]+)(?:\.(?:"[^"]+"|[^."]+))*$/.test(path)) return [];
  const keys = Array.from(path.matchAll(/"([^"]+)"|[^."]+/g), (match) => match[1] ?? match[0]);
  const [first, second, ...rest] = keys;
  const isFile = second !== undefined && FILE_ENDINGS.has(second) && !path.startsWith('"');
  if (!isFile) return keys;
  // The keys of riak.conf have dots themselves, and nothing within.
  return [`${first}.${second}`, ...(second === "conf" && rest.length > 0 ? [rest.join(".")] : rest)];
}

function merge(under: Tree, over: Tree): Tree {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key);
    merged.set(key, isTree(below) && isTree(value) ? merge(below, value) : value);
  }
  return Object.fromEntries(merged);
}

/** What is no map counts as an empty one. */
function treeOf(value: unknown): Tree {
  return isTree(value) ? value : {};
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
