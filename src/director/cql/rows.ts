// Changes the rows of a result, so that what they say of nodes is what the director wants to be seen as.
import { type BodyReader, intBytes, resultBody } from "./body.ts";
import { type Head, joined } from "./envelopes.ts";
import type { Kind } from "./queries.ts";

/** What a driver is to take for the cluster's only node. */
export type Identity = {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** 16 bytes; the same at all times, so that a driver knows the node again. */
  readonly hostId: Uint8Array;
};

const RESULT_ROWS = 2;
const RESULT_KEYSPACE = 3;
const RESULT_PREPARED = 4;
const RESULT_SCHEMA_CHANGE = 5;
const METADATA = { globalTable: 1, morePages: 2, none: 4, changed: 8 } as const;
const TYPES = {
  custom: 0x00,
  int: 0x09,
  uuid: 0x0c,
  inet: 0x10,
  list: 0x20,
  map: 0x21,
  set: 0x22,
  udt: 0x30,
  tuple: 0x31,
};

/** Columns of system.local, system.peers and system.peers_v2 that tell where a node is. */
const ADDRESSES = /^(?:peer|(?:rpc|native|broadcast|listen|native_transport)_address|preferred_ip)$/;
const PORTS = /^(?:(?:rpc|native|broadcast|listen|peer|preferred|native_transport)_port)$/;

type Column = { readonly name: string; readonly type: number };

/** The body of a RESULT that answers a query of this kind; the same one where there is nothing to change. */
export function rewriteRows(head: Head, body: Uint8Array, kind: Kind, identity: Identity): Uint8Array {
  const reader = resultBody(head, body);
  if (reader.int() !== RESULT_ROWS) return body;
  const columns = readColumns(reader);
  if (columns === undefined) return body;
  const before = body.subarray(0, reader.at);
  const count = reader.int();
  if (kind === "peers") return joined([before, intBytes(0)]);
  const parts: Uint8Array[] = [before, intBytes(count)];
  for (let row = 0; row < count; row += 1)
    for (const column of columns) {
      const length = reader.int();
      const value = length < 0 ? undefined : reader.bytes(length);
      parts.push(...valueBytes(value === undefined ? undefined : (identityValue(column, identity) ?? value)));
    }
  return joined(parts);
}

/** Whether the body of a RESULT says that the schema was changed. */
export function isSchemaChange(head: Head, body: Uint8Array): boolean {
  return resultBody(head, body).int() === RESULT_SCHEMA_CHANGE;
}

/** The keyspace that a RESULT says is in use from now on. */
export function keyspaceSet(head: Head, body: Uint8Array): string | undefined {
  const reader = resultBody(head, body);
  return reader.int() === RESULT_KEYSPACE ? reader.string() : undefined;
}

/** The id of the statement that a RESULT says is prepared. */
export function preparedId(head: Head, body: Uint8Array): Uint8Array | undefined {
  const reader = resultBody(head, body);
  return reader.int() === RESULT_PREPARED ? reader.bytes(reader.short()) : undefined;
}

/** The values of the only column of a RESULT's rows, in hex; nulls are left out. */
export function onlyColumn(head: Head, body: Uint8Array): readonly string[] {
  const reader = resultBody(head, body);
  if (reader.int() !== RESULT_ROWS || readColumns(reader)?.length !== 1) return [];
  const values: string[] = [];
  for (let left = reader.int(); left > 0; left -= 1) {
    const length = reader.int();
    if (length >= 0) values.push(Buffer.from(reader.bytes(length)).toString("hex"));
  }
  return values;
}

function valueBytes(value: Uint8Array | undefined): readonly Uint8Array[] {
  return value === undefined ? [intBytes(-1)] : [intBytes(value.length), value];
}

/** Undefined: the columns are not told, so that nothing in the rows can be found. */
function readColumns(reader: BodyReader): readonly Column[] | undefined {
  const flags = reader.int();
  const count = reader.int();
  if ((flags & METADATA.morePages) !== 0) reader.skip(Math.max(0, reader.int()));
  if ((flags & METADATA.changed) !== 0) reader.skip(reader.short());
  if ((flags & METADATA.none) !== 0) return undefined;
  const global = (flags & METADATA.globalTable) !== 0;
  if (global) skipStrings(reader, 2);
  const columns: Column[] = [];
  for (let index = 0; index < count; index += 1) {
    if (!global) skipStrings(reader, 2);
    columns.push({ name: reader.string(), type: readType(reader) });
  }
  return columns;
}

function skipStrings(reader: BodyReader, count: number): void {
  for (let index = 0; index < count; index += 1) reader.skip(reader.short());
}

/** The type's number; what belongs to it is skipped. */
function readType(reader: BodyReader): number {
  const type = reader.short();
  if (type === TYPES.custom) skipStrings(reader, 1);
  else if (type === TYPES.list || type === TYPES.set) readType(reader);
  else if (type === TYPES.map) {
    readType(reader);
    readType(reader);
  } else if (type === TYPES.udt) {
    skipStrings(reader, 2);
    for (let left = reader.short(); left > 0; left -= 1) {
      skipStrings(reader, 1);
      readType(reader);
    }
  } else if (type === TYPES.tuple) for (let left = reader.short(); left > 0; left -= 1) readType(reader);
  return type;
}

function identityValue({ name, type }: Column, { address, port, hostId }: Identity): Uint8Array | undefined {
  if (type === TYPES.inet && ADDRESSES.test(name)) return address;
  if (type === TYPES.int && PORTS.test(name)) return intBytes(port);
  return type === TYPES.uuid && name === "host_id" ? hostId : undefined;
}

/** An id that is always the same for the same text, marked as a random UUID. */
export function hostIdOf(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  for (let lane = 0; lane < 4; lane += 1) {
    let hash = 0x811c9dc5 ^ lane;
    for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    bytes.set(intBytes(Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)), 4 * lane);
  }
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes;
}

/** The four or sixteen bytes of an IP address. Throws when it is none. */
export function addressBytes(text: string): Uint8Array {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(text);
  if (v4 !== null) return Uint8Array.from(v4.slice(1), Number);
  const [head = "", tail] = text.replace(/%.*/, "").split("::");
  const groups = (part: string): readonly number[] =>
    part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const zeros = Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0);
  const all = [...first, ...zeros, ...last];
  if (all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff)))
    throw new Error(`Cannot use "${text}" as an address: wanted an IP address`);
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
