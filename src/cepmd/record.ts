// A name in the store, as all cEPMDs of a framework see it: the ephemeral record epmd/<name>.
import type { Json } from "../std/json.ts";
import type { Folder, Path } from "../store/store.ts";
import { type EpmdNode, NO_BYTES } from "./wire.ts";

/** The folder of all names. */
export const FOLDER: Path = "epmd";
const SCHEMA = 1;
/** What the store allows for a path. */
const PATH_MAX = 1024;

/**
 * Who holds a name: one cEPMD from its start to its end, as "host:port/start". Only one process can have that port there, so
 * of two owners of one place the older is no more.
 */
export type Owner = string;

export function ownerAt(host: string, port: number, start: string): Owner {
  return `${host}:${port}/${start}`;
}

export type SharedName = {
  readonly node: EpmdNode;
  /** The agent, as other agents reach it. */
  readonly host: string;
  readonly creation: number;
  readonly owner: Owner;
};

/**
 * A name as a path segment: what is no letter, digit, ".", "_" or "-" becomes "@" and two hexadecimal digits for each byte;
 * no name at all is "@". Undefined when the store has no room for it.
 */
export function keyOf(name: string): string | undefined {
  if (name === "") return "@";
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name)) return escaped(name);
  return FOLDER.length + 1 + name.length > PATH_MAX ? undefined : name;
}

function escaped(name: string): string | undefined {
  let key = "";
  for (const byte of new TextEncoder().encode(name)) {
    const char = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9_-]/.test(char) || (char === "." && key !== "");
    key += plain ? char : `@${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return FOLDER.length + 1 + key.length > PATH_MAX ? undefined : key;
}

export function toRecord({ node, host, creation, owner }: SharedName): Json {
  const { name, port, nodeType, protocol, highest, lowest, extra } = node;
  return {
    schema: SCHEMA,
    name,
    host,
    port,
    nodeType,
    protocol,
    highest,
    lowest,
    extra: extra.toBase64(),
    creation,
    owner,
  };
}

/** The name that `key` stands for in the folder; "unreadable" when it is there in a form that this version does not know. */
export function nameIn(folder: Folder, key: string): SharedName | "unreadable" | undefined {
  const stored = folder.get(key);
  return stored === undefined ? undefined : (fromRecord(stored.value) ?? "unreadable");
}

export function fromRecord(value: Json): SharedName | undefined {
  if (!isObject(value) || value.schema !== SCHEMA) return undefined;
  const { name, host, port, nodeType, protocol, highest, lowest, extra, creation, owner } = value;
  if (typeof name !== "string" || typeof host !== "string" || typeof extra !== "string") return undefined;
  if (typeof owner !== "string") return undefined;
  if (!isUnsigned(port, 16) || !isUnsigned(nodeType, 8) || !isUnsigned(protocol, 8)) return undefined;
  if (!isUnsigned(highest, 16) || !isUnsigned(lowest, 16) || !isUnsigned(creation, 32)) return undefined;
  const bytes = fromBase64(extra);
  if (bytes === undefined) return undefined;
  return { node: { name, port, nodeType, protocol, highest, lowest, extra: bytes }, host, creation, owner };
}

function fromBase64(text: string): Uint8Array | undefined {
  if (text === "") return NO_BYTES;
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isUnsigned(value: Json | undefined, bits: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}

/**
 * Whether `mine` may stand in the place of `found`. Its holder may be this cEPMD's own predecessor, whose session has not
 * expired yet; or the name is of the same node, which lost one cEPMD and found another: nobody else can listen on its port.
 */
export function mayReplace(found: SharedName | "unreadable", mine: SharedName): boolean {
  if (found === "unreadable") return false;
  if (placeOf(found.owner) === placeOf(mine.owner)) return true;
  return found.host === mine.host && found.node.port === mine.node.port;
}

/** Who has a name that somebody else wants, in a message. */
export function holderText(found: SharedName | "unreadable"): string {
  return found === "unreadable" ? "a record of another version" : `the cEPMD at ${placeOf(found.owner)}`;
}

function placeOf(owner: Owner): string {
  return owner.slice(0, owner.lastIndexOf("/"));
}
