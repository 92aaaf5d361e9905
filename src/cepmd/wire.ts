// The EPMD protocol: requests taken apart, answers put together, byte for byte as Erlang's own epmd does (what that is, was
// recorded: test/real/epmd/). A request is a 16-bit length and that many bytes, the first of them its tag; all numbers are
// big-endian; a connection carries one request.

/** A node as it registers itself. */
export type EpmdNode = {
  readonly name: string;
  /** Where it listens for other nodes. */
  readonly port: number;
  /** 77: an ordinary node, 72: a hidden one. */
  readonly nodeType: number;
  /** 0: TCP over IPv4. */
  readonly protocol: number;
  /** Distribution versions that it speaks. From 6 on creations have 32 bits, before only 1 to 3 are in use. */
  readonly highest: number;
  readonly lowest: number;
  readonly extra: Uint8Array;
};

export type Request =
  /**
   * ALIVE2_REQ. `node` is missing when its name or extra bytes are not allowed. `creation`: the node has one and keeps it
   * (our own request, see ALIVE_AGAIN).
   */
  | { readonly type: "alive"; readonly highest: number; readonly node?: EpmdNode; readonly creation?: number }
  | { readonly type: "port"; readonly name: string }
  /** Our own request, see ADDRESS. */
  | { readonly type: "address"; readonly name: string }
  | { readonly type: "names" }
  /** Our own request, see NAMES_AT. */
  | { readonly type: "namesAt"; readonly host: string }
  | { readonly type: "dump" }
  | { readonly type: "kill" }
  | { readonly type: "stop"; readonly name: string };

const ALIVE = 120;
const ALIVE_ANSWER = 121;
const ALIVE_ANSWER_32 = 118;
const PORT = 122;
const PORT_ANSWER = 119;
const NAMES = 110;
const DUMP = 100;
const KILL = 107;
const STOP = 115;

// Three requests that only our own Erlang module makes (src/databases/riak/erlang/). epmd's tags are small letters, and what
// it does not know it closes the connection on.
/** ADDRESS: the tag and a name. Answered like PORT_PLEASE2_REQ, with the host at the end: a 16-bit length and its text. */
const ADDRESS = 65;
/** NAMES_AT: the tag and a host. Answered like NAMES_REQ, with the names at that host. */
const NAMES_AT = 72;
/** ALIVE_AGAIN: the tag, the node's creation in 32 bits, and what follows the tag in an ALIVE2_REQ. Answered like that. */
const ALIVE_AGAIN = 67;

/** epmd's limits: bytes of a request, bytes and characters of a name, bytes of the extra field. */
const REQUEST_MAX = 3057;
const TEXT_MAX_BYTES = 1020;
const NAME_MAX_CHARS = 255;
/** A name of 255 characters can be registered, but epmd does not look it up. */
const LOOKUP_MAX_CHARS = 254;
/** The version from which on a creation has 32 bits. */
const CREATION_32 = 6;

export type Frame =
  /** Keep `bytes` for the next chunk. */
  | { readonly type: "more"; readonly bytes: Buffer }
  /** A whole request: `bytes` from 2, after the length, to `end`. */
  | { readonly type: "request"; readonly bytes: Buffer; readonly end: number }
  | { readonly type: "garbage" };

const GARBAGE: Frame = { type: "garbage" };
/** Where a request's tag is. */
const TAG = 2;

/**
 * Puts a chunk after the bytes that came before it. Like epmd, refuses a chunk that holds more than the request when the
 * length was not known before; later surplus is left to the caller, who reads no second request.
 */
export function readFrame(before: Buffer | undefined, chunk: Buffer): Frame {
  const knew = before !== undefined && before.length >= TAG;
  const bytes = before === undefined ? chunk : joined(before, chunk);
  if (bytes.length < TAG) return { type: "more", bytes };
  const length = u16(bytes, 0);
  if (length < 1 || length > REQUEST_MAX) return GARBAGE;
  const end = TAG + length;
  if (bytes.length < end) return { type: "more", bytes };
  return bytes.length > end && !knew ? GARBAGE : { type: "request", bytes, end };
}

/** No more of the chunk than can belong to a request. */
function joined(before: Buffer, chunk: Buffer): Buffer {
  return Buffer.concat([before, chunk.subarray(0, TAG + REQUEST_MAX + 1 - before.length)]);
}

/**
 * Takes the request in `bytes`, from 2 to `end`, apart; undefined when epmd would close the connection without an answer.
 * Lookups are most of all requests: they are read in place, since even a view of the bytes costs as much as the rest.
 */
export function readRequest(bytes: Buffer, end: number): Request | undefined {
  switch (bytes[TAG]) {
    case PORT:
      return readLookup("port", bytes, end);
    case ADDRESS:
      return readLookup("address", bytes, end);
    case ALIVE:
      return readAlive(bytes.subarray(TAG, end), undefined);
    case ALIVE_AGAIN:
      // The byte before the fields stands for the tag.
      return end < TAG + 5 ? undefined : readAlive(bytes.subarray(TAG + 4, end), u32(bytes, TAG + 1));
    case NAMES:
      return { type: "names" };
    case NAMES_AT:
      return readHost(bytes, end);
    case DUMP:
      return { type: "dump" };
    case KILL:
      return { type: "kill" };
    case STOP:
      return readStop(bytes.subarray(TAG, end));
    default:
      return undefined;
  }
}

/** Whether epmd takes such a request only from its own machine. */
export function isLocalOnly(request: Request): boolean {
  return (
    request.type !== "port" && request.type !== "address" && request.type !== "names" && request.type !== "namesAt"
  );
}

function readLookup(type: "port" | "address", bytes: Buffer, end: number): Request | undefined {
  const last = bytes[end - 1] === 0 ? end - 1 : end;
  if (last <= TAG + 1) return undefined;
  const name = readText(bytes, TAG + 1, last, LOOKUP_MAX_CHARS);
  return name === undefined || name.includes("\0") ? undefined : { type, name };
}

function readHost(bytes: Buffer, end: number): Request | undefined {
  const host = readText(bytes, TAG + 1, end, NAME_MAX_CHARS);
  return host === undefined || host === "" ? undefined : { type: "namesAt", host };
}

/** epmd compares up to the first zero byte. */
function readStop(body: Buffer): Request | undefined {
  if (body.length <= 1) return undefined;
  const zero = body.indexOf(0);
  const name = readText(body, 1, zero === -1 ? body.length : zero, NAME_MAX_CHARS);
  return { type: "stop", name: name ?? "\0" };
}

function readAlive(body: Buffer, creation: number | undefined): Request | undefined {
  if (body.length <= 13) return undefined;
  const nameLength = u16(body, 9);
  if (nameLength + 13 > body.length) return undefined;
  const extraLength = u16(body, 11 + nameLength);
  if (nameLength + extraLength + 13 > body.length) return undefined;
  const nameEnd = 11 + nameLength;
  if (body.subarray(11, nameEnd).includes(0)) return undefined;
  const highest = u16(body, 5);
  const again = creation === undefined ? {} : { creation };
  const name = nameLength > TEXT_MAX_BYTES ? undefined : readText(body, 11, nameEnd, NAME_MAX_CHARS);
  if (name === undefined || extraLength > TEXT_MAX_BYTES) return { type: "alive", highest, ...again };
  const node: EpmdNode = {
    name,
    port: u16(body, 1),
    nodeType: body[3] ?? 0,
    protocol: body[4] ?? 0,
    highest,
    lowest: u16(body, 7),
    extra: extraLength === 0 ? NO_BYTES : Uint8Array.from(body.subarray(nameEnd + 2, nameEnd + 2 + extraLength)),
  };
  return { type: "alive", highest, node, ...again };
}

/** UTF-8 of at most so many characters; undefined when it is none. */
function readText(bytes: Buffer, from: number, to: number, charsMax: number): string | undefined {
  const text = isAscii(bytes, from, to) ? bytes.toString("latin1", from, to) : decoded(bytes.subarray(from, to));
  if (text === undefined || text.length <= charsMax) return text;
  let chars = 0;
  for (const _ of text) chars += 1;
  return chars <= charsMax ? text : undefined;
}

function isAscii(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if ((bytes[at] ?? 0) > 127) return false;
  return true;
}

function decoded(bytes: Buffer): string | undefined {
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined;
  }
}

/** One for all: most nodes have no extra bytes. */
export const NO_BYTES = new Uint8Array(0);
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/** ALIVE2_X_RESP or ALIVE2_RESP, whichever the node's highest version asks for; refused without a creation. */
export function aliveAnswer(highest: number, creation: number | undefined): Uint8Array {
  const value = creation ?? 99;
  const result = creation === undefined ? 1 : 0;
  if (highest < CREATION_32) return Uint8Array.of(ALIVE_ANSWER, result, value >>> 8, value);
  return Uint8Array.of(ALIVE_ANSWER_32, result, value >>> 24, value >>> 16, value >>> 8, value);
}

/** Whether a node's creation has 32 bits. */
export function hasWideCreation(node: { readonly highest: number }): boolean {
  return node.highest >= CREATION_32;
}

/** PORT2_RESP; with `host` what ADDRESS is answered. */
export function portAnswer(node: EpmdNode | undefined, host?: string): Uint8Array {
  if (node === undefined) return Uint8Array.of(PORT_ANSWER, 1);
  const { name, port, highest, lowest, extra } = node;
  const nameBytes = ENCODER.encode(name);
  const hostBytes = host === undefined ? undefined : ENCODER.encode(host);
  const answer = new Uint8Array(
    14 + nameBytes.length + extra.length + (hostBytes === undefined ? 0 : 2 + hostBytes.length),
  );
  answer[0] = PORT_ANSWER;
  setU16(answer, 2, port);
  answer[4] = node.nodeType;
  answer[5] = node.protocol;
  setU16(answer, 6, highest);
  setU16(answer, 8, lowest);
  setU16(answer, 10, nameBytes.length);
  answer.set(nameBytes, 12);
  const at = 12 + nameBytes.length;
  setU16(answer, at, extra.length);
  answer.set(extra, at + 2);
  if (hostBytes !== undefined) {
    setU16(answer, at + 2 + extra.length, hostBytes.length);
    answer.set(hostBytes, at + 4 + extra.length);
  }
  return answer;
}

/** NAMES_RESP: our own port and a line for each node. */
export function namesAnswer(ownPort: number, nodes: Iterable<Pick<EpmdNode, "name" | "port">>): Uint8Array {
  let text = "";
  for (const { name, port } of nodes) text += `name ${name} at port ${port}\n`;
  return withPort(ownPort, text);
}

/** A name in DUMP_RESP; `connection` is shown as the file descriptor. */
export type Dumped = { readonly name: string; readonly port: number; readonly connection: number };

/** DUMP_RESP: our own port and a line, with a zero byte after it, for each node and each name that was in use before. */
export function dumpAnswer(ownPort: number, nodes: Iterable<Dumped>, former: Iterable<Dumped>): Uint8Array {
  let text = "";
  for (const { name, port, connection } of nodes)
    text += `active name     <${name}> at port ${port}, fd = ${connection}\n\0`;
  for (const { name, port, connection } of former)
    text += `old/unused name <${name}>, port = ${port}, fd = ${connection} \n\0`;
  return withPort(ownPort, text);
}

function withPort(ownPort: number, text: string): Uint8Array {
  const bytes = ENCODER.encode(text);
  const answer = new Uint8Array(4 + bytes.length);
  setU16(answer, 2, ownPort);
  answer.set(bytes, 4);
  return answer;
}

/** The plain words that KILL_REQ and STOP_REQ are answered with. */
export function wordAnswer(word: "OK" | "NO" | "STOPPED" | "NOEXISTSTOPPED"): Uint8Array {
  return ENCODER.encode(word);
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65_536 + u16(bytes, at + 2);
}

function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
