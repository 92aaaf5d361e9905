// The pump: carries bytes between a client and its backend, with back-pressure and half-close both ways. Once a connection is
// up, this is the only code that runs for its bytes.
import type { Socket } from "bun";
import { type Hears, openShortcut, type Shortcut } from "./shortcut.ts";

/** A connection that has carried so many pieces one way is busy. */
const BUSY_PIECES = 16;

/** Counts the bytes that one side of a backend's connections has sent. */
export type Meter = { bytes: number };

/** Who is told when a socket is closed for good. `error`: it was broken off. */
export interface Owner {
  closed(side: Side, error: Error | undefined): void;
}

/** One of the two sockets of a connection, as the pump sees it. */
export class Side {
  readonly owner: Owner;
  /** Of all connections to this backend. */
  meter: Meter;
  /** Bytes that came in from this socket. */
  bytes = 0;
  /** The other socket, while it is connected. */
  peer: Socket<Side> | undefined;
  /** What this socket could not take yet; its peer is paused meanwhile, so that it stays little. */
  rest: Uint8Array[] | undefined;
  /** What came before it could be handed on, while that is kept. */
  early: { readonly bytes: Buffer[]; ended: boolean } | undefined;
  /** What is to be done with this socket once `rest` is written. */
  after: "nothing" | "shutdown" | "end" = "nothing";
  /** Whether its bytes may take the shortcut: there is no TLS on either socket. */
  isPlain = false;
  /** Pieces that came in from this socket since it last became busy. */
  pieces = 0;
  /** The socket's file descriptor while it is on the shortcut. */
  fd = -1;
  /** It is not read for the time being. */
  paused = false;

  constructor(owner: Owner, meter: Meter) {
    this.owner = owner;
    this.meter = meter;
  }
}

/** Hands bytes that came from `source` to its peer, and pauses the source while the peer cannot take them all. */
function pump(source: Socket<Side>, bytes: Uint8Array): void {
  const side = source.data;
  side.bytes += bytes.length;
  side.meter.bytes += bytes.length;
  const { peer } = side;
  if (peer === undefined) return;
  if (!put(peer, bytes)) pause(source);
  else if (side.isPlain && (side.pieces += 1) >= BUSY_PIECES) shorten(source, peer);
}

/** Undefined until it is needed, null where it cannot be had. */
let shortcut: Shortcut | undefined | null;

/** Puts a busy connection on the shortcut, if both sides have nothing else to do. */
function shorten(source: Socket<Side>, peer: Socket<Side>): void {
  const side = source.data;
  side.pieces = 0;
  if (shortcut === undefined) shortcut = openShortcut(source, lengthen) ?? null;
  if (shortcut === null || side.fd >= 0 || side.after !== "nothing" || side.rest !== undefined) return;
  if (peer.data.after === "nothing" && peer.data.rest === undefined) shortcut.take(source, peer);
}

/** Counts a piece that a socket alone got from Bun; a busy one's next pieces are read on the shortcut. No TLS may be on it. */
export function heard(socket: Socket<Side>, hears: Hears): void {
  const side = socket.data;
  side.pieces += 1;
  if (side.pieces < BUSY_PIECES) return;
  side.pieces = 0;
  if (shortcut === undefined) shortcut = openShortcut(socket, lengthen) ?? null;
  if (shortcut !== null && side.fd < 0 && side.after === "nothing" && !side.paused) shortcut.hear(socket, hears);
}

/** Does something soon, but not within what is under way. */
export function soon(task: () => void): void {
  shortcut?.yield();
  queueMicrotask(task);
}

/** Reads no more of a socket for the time being. */
export function pause(socket: Socket<Side>): void {
  const side = socket.data;
  if (side.fd >= 0) shortcut?.leave(side);
  side.paused = true;
  socket.pause();
}

/** Reads a socket again. */
export function resume(socket: Socket<Side>): void {
  const side = socket.data;
  side.paused = false;
  // On the shortcut it is read there.
  if (side.fd < 0) socket.resume();
}

/** Back from the shortcut. */
function lengthen(side: Side, rest: Uint8Array | "broken" | undefined, alone: Socket<Side> | undefined): void {
  if (alone !== undefined) {
    if (rest === "broken") alone.terminate();
    else alone.resume();
    return;
  }
  const { peer } = side;
  const source = peer?.data.peer;
  if (rest === "broken") {
    peer?.terminate();
    source?.terminate();
    return;
  }
  peer?.resume();
  if (peer === undefined || rest === undefined || put(peer, rest)) source?.resume();
}

/** Writes, or keeps what the socket does not take. Returns whether all was taken. */
export function put(socket: Socket<Side>, bytes: Uint8Array): boolean {
  const side = socket.data;
  if (side.rest !== undefined) {
    side.rest.push(bytes.slice());
    return false;
  }
  let left = bytes;
  if (side.fd >= 0 && shortcut) {
    const sent = shortcut.send(side, bytes);
    if (sent === bytes.length) return true;
    shortcut.leave(side);
    if (sent > 0) left = bytes.subarray(sent);
  }
  const written = socket.write(left);
  // Below 0 it is closed, and its close handler is about to end this connection.
  if (written === left.length || written < 0) return true;
  side.rest = [left.slice(written)];
  return false;
}

/** The socket takes bytes again: writes what waits, and lets the peer go on. */
export function drained(socket: Socket<Side>): void {
  const side = socket.data;
  const { rest } = side;
  if (rest !== undefined) {
    for (let first = rest[0]; first !== undefined; first = rest[0]) {
      const written = socket.write(first);
      if (written < 0) return;
      if (written < first.length) {
        rest[0] = first.subarray(written);
        return;
      }
      rest.shift();
    }
    side.rest = undefined;
  }
  if (side.peer !== undefined) resume(side.peer);
  finish(socket, side.after);
}

/** How long a peer may take to read its last bytes and to close. */
export const FAREWELL_SECONDS = 2;

/**
 * Ends a socket's sending, or the socket, after everything that is still to be written. A socket that is to end goes on for as long
 * as the peer takes to end its own sending, or for FAREWELL_SECONDS: closed at once it would answer what the peer still sends with
 * a reset, and the kernel would throw away what the peer has not read. What comes meanwhile is nobody's. What a slow reader has not
 * read after that is the kernel's to deliver: the socket is closed, never broken off.
 */
export function finish(socket: Socket<Side>, how: Side["after"]): void {
  const side = socket.data;
  side.after = how;
  if (how !== "nothing" && side.fd >= 0) shortcut?.leave(side);
  if (side.rest !== undefined) return;
  if (how === "shutdown") socket.shutdown();
  else if (how === "end") {
    socket.shutdown();
    // Bun's own time-outs come in steps of four seconds, the first at any time.
    if (socket.readyState !== 0) setTimeout(() => socket.end(), FAREWELL_SECONDS * 1000).unref();
    resume(socket);
  }
}

/** The other end sends no more, but may still read. */
function ended(socket: Socket<Side>): void {
  const { peer } = socket.data;
  if (peer !== undefined && peer.data.after === "nothing") finish(peer, "shutdown");
}

/** The side's socket is closed: the shortcut, too, forgets it. Returns whether it was there. */
export function dropped(side: Side): boolean {
  return shortcut?.drop(side) === true;
}

function closed(socket: Socket<Side>, error?: Error): void {
  const side = socket.data;
  const { peer } = side;
  side.peer = undefined;
  side.rest = undefined;
  const wasShort = dropped(side);
  side.owner.closed(side, error);
  if (peer === undefined) return;
  if (wasShort) resume(peer);
  peer.data.peer = undefined;
  // A break is handed on as one: what was half sent must not look complete. But what had come to its end before is.
  if (error === undefined || peer.data.after === "shutdown") finish(peer, "end");
  else peer.terminate();
}

/** The part of a socket's handlers that is the same for clients and backends. */
export const PUMP = {
  binaryType: "uint8array",
  data: pump,
  drain: drained,
  end: ended,
  close: closed,
  error: (socket: Socket<Side>): void => {
    socket.terminate();
  },
} as const;

/** Joins the two sockets of a connection: from now on what one sends the other gets. `plain`: both carry no TLS. */
export function join(client: Socket<Side>, backend: Socket<Side>, plain: boolean): void {
  client.data.isPlain = plain;
  backend.data.isPlain = plain;
  client.data.peer = backend;
  backend.data.peer = client;
  client.resume();
}
