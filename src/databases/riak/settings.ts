// The settings of a Riak cluster: {"riak.conf": {"ring_size": 64, …} or text, "advanced.config": "[{riak_core, …}]."}, and all
// that is wrong with what an operator gave.
import type { Fault } from "../../std/reason.ts";
import type { ClusterSpec } from "../cluster.ts";
import { ownedEnvironment, ownedKey, ownedSetting, placeOf } from "./owned.ts";
import { readTerms, type Term } from "./terms.ts";

export type RiakSettings = {
  /** Keys and values of riak.conf, in the operator's order. */
  readonly conf: readonly (readonly [key: string, value: string])[];
  /** The text of advanced.config; "[]." for none. */
  readonly advanced: string;
};

const CONF = "riak.conf";
const ADVANCED = "advanced.config";
const CONF_PATH = `settings."${CONF}"`;
const ADVANCED_PATH = `settings."${ADVANCED}"`;
const TEXT_MAX = 256 * 1024;

/** A node with a small ring was measured at 92 to 175 MB; the executor and cEPMD have their own. */
const MEM_MIN_MB = 192;

/** Which commands a version has, and what Erlang it runs on. Undefined: a version that cannot be run. */
export function lineOf(version: string): "2" | "3" | undefined {
  if (/^2\.(?:[0-2]|9)\.\d/.test(version)) return "2";
  return /^3\.[0-2]\.\d/.test(version) ? "3" : undefined;
}

/** The settings of a node, as `checkRiak` let them through. */
export function settingsOf(settings: Readonly<Record<string, unknown>>): RiakSettings {
  const advanced = settings[ADVANCED];
  return { conf: readConf(settings[CONF]).pairs, advanced: typeof advanced === "string" ? advanced : "[]." };
}

/** Every fault of a cluster's version, resources, environment and settings. */
export function checkRiak(spec: ClusterSpec): readonly Fault[] {
  const faults: Fault[] = [];
  if (lineOf(spec.version) === undefined)
    faults.push({
      path: "version",
      found: `"${spec.version}"`,
      wanted: 'a version 2.0.x to 2.2.x, 2.9.x or 3.0.x to 3.2.x, such as "3.2.3"',
    });
  const { memMb } = spec.resources;
  if (memMb < MEM_MIN_MB)
    faults.push({ path: "resources.memMb", found: `${memMb}`, wanted: `at least ${MEM_MIN_MB} for Riak` });
  for (const name of Object.keys(spec.env)) {
    const from = ownedEnvironment(name);
    if (from !== undefined)
      faults.push({ path: `env.${name}`, found: "a value", wanted: `none: it comes from ${from}` });
  }
  for (const key of Object.keys(spec.settings)) {
    if (key !== CONF && key !== ADVANCED)
      faults.push({ path: `settings.${key}`, found: "an unknown key", wanted: `"${CONF}" or "${ADVANCED}"` });
  }
  return [...faults, ...readConf(spec.settings[CONF]).faults, ...advancedFaults(spec.settings[ADVANCED])];
}

type Conf = { readonly pairs: RiakSettings["conf"]; readonly faults: readonly Fault[] };

/** riak.conf as a map, or as the text of such a file. */
function readConf(conf: unknown): Conf {
  if (conf === undefined) return { pairs: [], faults: [] };
  const lines = typeof conf === "string" ? confLines(conf) : isMap(conf) ? confEntries(conf) : undefined;
  if (lines === undefined)
    return refused(CONF_PATH, shown(conf), 'a map such as {"ring_size": 64}, or the file\'s text');
  const pairs: (readonly [string, string])[] = [];
  const faults: Fault[] = [];
  const seen = new Set<string>();
  for (const { path, key, value } of lines) {
    const flaw = seen.has(key) ? { found: "a second value", wanted: "one" } : confFlaw(key, value);
    if (flaw !== undefined) faults.push({ path, ...flaw });
    else pairs.push([key, String(value)]);
    seen.add(key);
  }
  return { pairs, faults };
}

function refused(path: string, found: string, wanted: string): Conf {
  return { pairs: [], faults: [{ path, found, wanted }] };
}

type Line = { readonly path: string; readonly key: string; readonly value: unknown };

function confEntries(conf: Readonly<Record<string, unknown>>): readonly Line[] {
  return Object.entries(conf).map(([key, value]) => ({ path: `${CONF_PATH}."${key}"`, key, value }));
}

/** Lines `key = value`; a # begins a comment, inside a line too. A line without "=" comes back without a value. */
function confLines(text: string): readonly Line[] {
  return text.split("\n").flatMap((line, index): readonly Line[] => {
    const bare = line.replace(/#.*$/, "").trim();
    if (bare === "") return [];
    const at = bare.indexOf("=");
    const key = (at === -1 ? bare : bare.slice(0, at)).trim();
    return [{ path: `${CONF_PATH} line ${index + 1}`, key, value: at === -1 ? undefined : bare.slice(at + 1).trim() }];
  });
}

type Flaw = { readonly found: string; readonly wanted: string };

function confFlaw(key: string, value: unknown): Flaw | undefined {
  if (!/^(?:\\\.|[A-Za-z0-9_-])+(?:\.(?:\\\.|[A-Za-z0-9_-])+)*$/.test(key))
    return { found: `"${key}"`, wanted: "key = value, the key of letters, digits, _ and -, with dots between" };
  const from = ownedKey(key);
  if (from !== undefined) return { found: `"${key}"`, wanted: `no such key: Ringmaster sets it from ${from}` };
  if (typeof value === "boolean") return { found: String(value), wanted: 'text, such as "on" or "off", or a number' };
  if (typeof value !== "string" && !(typeof value === "number" && Number.isFinite(value)))
    return { found: value === undefined ? "no value" : shown(value), wanted: "text or a number" };
  const text = String(value);
  if (text === "" || text !== text.trim() || /[\n\r#]/.test(text) || text.length > 4096)
    return { found: shown(value), wanted: "one line of text without # and without blanks around it" };
  return valueFlaw(key, text);
}

/** What Riak only finds wrong at its start, or never. */
function valueFlaw(key: string, text: string): Flaw | undefined {
  const place = placeOf(key);
  if (place !== undefined && (!text.startsWith(place) || text.includes("..")))
    return { found: `"${text}"`, wanted: `a path that begins with ${place}` };
  if (key === "ring_size" && !/^(?:8|16|32|64|128|256|512|1024)$/.test(text))
    return { found: text, wanted: "a power of two from 8 to 1024" };
  if (key === "search" && text !== "off")
    return { found: `"${text}"`, wanted: '"off": Riak Search needs fixed ports of its own, which no node has' };
  return undefined;
}

function advancedFaults(advanced: unknown): readonly Fault[] {
  const path = ADVANCED_PATH;
  if (advanced === undefined) return [];
  if (typeof advanced !== "string" || advanced.length > TEXT_MAX)
    return [{ path, found: shown(advanced), wanted: 'text, an Erlang list such as "[{riak_core, []}]."' }];
  const read = readTerms(advanced);
  if ("flaw" in read) {
    const { line, found, wanted } = read.flaw;
    return [{ path: `${path} line ${line}`, found, wanted }];
  }
  if (read.term.type !== "list")
    return [{ path, found: "no list", wanted: "a list of applications: [{name, […]}, …]." }];
  return read.term.parts.flatMap((part) => sectionFaults(part, advanced, read.term));
}

/** `{application, [{setting, value}, …]}`. */
function sectionFaults(section: Term, text: string, whole: Term): readonly Fault[] {
  const [name, list] = section.type === "tuple" && section.parts.length === 2 ? section.parts : [];
  if (name?.type !== "atom" || list?.type !== "list") {
    const found = shown(text.slice(section.start, section.end));
    return [{ path: ADVANCED_PATH, found, wanted: "{application, [{setting, value}, …]}" }];
  }
  const path = `${ADVANCED_PATH}.${name.text}`;
  const twins = sectionsOf(whole).filter((other) => other.name === name.text);
  // Riak's own merge takes only the last of two sections for one application.
  if (twins.length > 1 && twins[0]?.list !== list)
    return [{ path, found: "a second section", wanted: "one for each application" }];
  return list.parts.flatMap((setting): readonly Fault[] => {
    const key = setting.type === "tuple" ? setting.parts[0] : undefined;
    const word = key?.type === "atom" ? key.text : undefined;
    const from = word === undefined ? undefined : ownedSetting(name.text, word);
    if (from === undefined) return [];
    return [{ path: `${path}.${word}`, found: "a value", wanted: `none: Ringmaster sets it from ${from}` }];
  });
}

/** The applications of an advanced.config and their lists. */
function sectionsOf(whole: Term): readonly { readonly name: string; readonly list: Term }[] {
  if (whole.type !== "list") return [];
  return whole.parts.flatMap((part) => {
    const [name, list] = part.type === "tuple" ? part.parts : [];
    return name?.type === "atom" && list?.type === "list" ? [{ name: name.text, list }] : [];
  });
}

/** `advanced` with one more setting of an application, before those that are there. `advanced` is one that was checked. */
export function withSetting(advanced: string, application: string, setting: string): string {
  const read = readTerms(advanced);
  if ("flaw" in read)
    throw new Error(`Cannot add to advanced.config: found ${read.flaw.found}, wanted ${read.flaw.wanted}`);
  const { term } = read;
  const list = sectionsOf(term).find(({ name }) => name === application)?.list;
  const place = list ?? term;
  const added = list === undefined ? `{${application}, [${setting}]}` : setting;
  const rest = advanced.slice(place.start + 1);
  const isEmpty = place.type === "list" && place.parts.length === 0;
  return `${advanced.slice(0, place.start + 1)}${added}${isEmpty ? "" : ","}${rest.startsWith("\n") ? "" : "\n "}${rest}`;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as an operator wrote it, cut where it gets long. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
