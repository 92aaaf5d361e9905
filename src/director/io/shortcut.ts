// The shortcut: carries the bytes of busy connections by recv(2) and send(2) on one buffer of our own, without an object for
// each piece, which is what a piece costs most otherwise. It has an epoll of its own, in which Bun's is one member among others:
// while there are busy connections this loop waits, and lets Bun's turn whenever something is ready there. A connection whose
// two sockets belong together is carried here altogether; of a socket alone the bytes are handed to whoever reads it.
//
// It knows only how to go straight on. A connection where anything else happens (an end, an error, a peer that cannot take
// all) goes back to Bun's sockets, which deal with it as with any other. Where this cannot be had (another system, another C
// library), all stay there.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Socket } from "bun";
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import type { Side } from "./pump.ts";

// Linux' numbers.
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
const EAGAIN = 11;
const EPOLL_CLOEXEC = 0x80000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const BUFFER_BYTES = 256 * 1024;
/** Longer pieces are made anew each time. */
const PIECE_KEPT_BYTES = 8192;
const EVENTS_MAX = 256;
/** The struct epoll_event, in words of four bytes: only x86-64 packs it. */
const EVENT = process.arch === "x64" ? { words: 3, data: 1 } : { words: 4, data: 2 };
/** Bun's timers are late by so much at most: while nothing happens, and while much does. */
const REST_MS = 20;
const STAY_MS = 5;
/** After so many rests in a row all connections go back, and nobody waits here. */
const RESTS_MAX = 100;

const SYMBOLS = {
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "usize", "i32"], returns: "i32" },
  send: { args: ["i32", "ptr", "usize", "i32"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

type Calls = ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];

/**
 * Gives a connection back to Bun, or the socket alone. `rest`: bytes that came from this side, and that its peer could not take;
 * "broken": one of the two was broken off, which nobody will hear of any more.
 */
type GoesBack = (side: Side, rest: Uint8Array | "broken" | undefined, alone: Socket<Side> | undefined) => void;

/** Reads what came of a socket. The bytes are overwritten by the next. */
export type Hears = (socket: Socket<Side>, bytes: Uint8Array) => void;

export class Shortcut {
  readonly #call: Calls;
  readonly #epoll: number;
  readonly #bunEpoll: number;
  readonly #onBack: GoesBack;
  // Memory that the kernel writes to must be an ArrayBuffer's: a small array without one may move.
  readonly #buffer = new Uint8Array(new ArrayBuffer(BUFFER_BYTES));
  readonly #events = new Int32Array(new ArrayBuffer(EVENTS_MAX * EVENT.words * 4));
  readonly #event = new Int32Array(new ArrayBuffer(EVENT.words * 4));
  /** The beginning of the buffer by its length, as it is handed out over and over. */
  readonly #pieces: (Uint8Array | undefined)[] = [];
  readonly #bufferAt = ptr(this.#buffer);
  readonly #eventsAt = ptr(this.#events);
  readonly #eventAt = ptr(this.#event);
  readonly #errnoAt: Pointer | null;
  /** By file descriptor: the socket's side, and its peer's descriptor. Asking Bun's sockets each time would cost more. */
  readonly #sides: (Side | undefined)[] = [];
  readonly #peers: number[] = [];
  /** Sockets alone, and who reads them. */
  readonly #alone: ({ readonly socket: Socket<Side>; readonly hears: Hears } | undefined)[] = [];
  /** Of connections, and of sockets alone. */
  #count = 0;
  #turning = false;
  #isToYield = false;
  #rests = 0;

  constructor(call: Calls, bunEpoll: number, onBack: GoesBack) {
    this.#call = call;
    this.#bunEpoll = bunEpoll;
    this.#onBack = onBack;
    const errnoAt = call.__errno_location();
    this.#errnoAt = typeof errnoAt === "number" ? errnoAt : null;
    this.#epoll = call.epoll_create1(EPOLL_CLOEXEC);
    if (this.#epoll < 0 || !this.#watch(bunEpoll))
      throw new Error("Cannot make an epoll: found an error of the kernel");
  }

  /** Carries both directions of a connection from now on. Neither socket's handler may be under way but the caller's own. */
  take(one: Socket<Side>, other: Socket<Side>): void {
    const [oneFd, otherFd] = [fdOf(one), fdOf(other)];
    if (oneFd < 0 || otherFd < 0 || !this.#watch(oneFd)) return;
    if (!this.#watch(otherFd)) {
      this.#unwatch(oneFd);
      return;
    }
    one.pause();
    other.pause();
    this.#put(oneFd, one.data, otherFd);
    this.#put(otherFd, other.data, oneFd);
    this.#begin();
  }

  /** Reads a socket alone from now on. Its handler may be under way. */
  hear(socket: Socket<Side>, hears: Hears): void {
    const fd = fdOf(socket);
    if (fd < 0 || !this.#watch(fd)) return;
    socket.pause();
    this.#put(fd, socket.data, -1);
    this.#alone[fd] = { socket, hears };
    this.#begin();
  }

  /** Writes to a socket that is here; returns how many of the bytes it took, below 0 for none. */
  send(side: Side, bytes: Uint8Array): number {
    return this.#call.send(side.fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /** Something waits for this loop to let Bun's turn. */
  yield(): void {
    this.#isToYield = true;
  }

  /** Gives the socket back to Bun, and its peer if it has one here. */
  leave(side: Side): void {
    if (side.fd >= 0) this.#back(side, undefined);
  }

  #begin(): void {
    this.#count += 1;
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#turn);
  }

  /** Forgets a connection; the given side's socket may be closed already. Returns whether it was here. */
  drop(side: Side): boolean {
    const { fd } = side;
    if (fd < 0) return false;
    const peer = this.#peers[fd] ?? -1;
    for (const each of [fd, peer]) {
      const known = this.#sides[each];
      if (known === undefined) continue;
      known.fd = -1;
      this.#sides[each] = undefined;
      this.#alone[each] = undefined;
      this.#unwatch(each);
    }
    this.#count -= 1;
    return true;
  }

  #put(fd: number, side: Side, peer: number): void {
    side.fd = fd;
    this.#sides[fd] = side;
    this.#peers[fd] = peer;
  }

  #unwatch(fd: number): void {
    this.#call.epoll_ctl(this.#epoll, EPOLL_CTL_DEL, fd, this.#eventAt);
  }

  #watch(fd: number): boolean {
    this.#event[0] = EPOLLIN;
    this.#event[EVENT.data] = fd;
    return this.#call.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#eventAt) === 0;
  }

  readonly #turn = (): void => {
    const untilMs = performance.now() + STAY_MS;
    while (this.#count > 0) {
      const ready = this.#call.epoll_wait(this.#epoll, this.#eventsAt, EVENTS_MAX, REST_MS);
      let isBunReady = ready <= 0;
      this.#rests = ready <= 0 ? this.#rests + 1 : 0;
      for (let at = 0; at < ready; at += 1) {
        const fd = this.#events[at * EVENT.words + EVENT.data] ?? -1;
        if (fd === this.#bunEpoll) isBunReady = true;
        else this.#carry(fd, this.#events[at * EVENT.words] ?? 0);
      }
      if (isBunReady || this.#isToYield || performance.now() > untilMs) break;
    }
    this.#isToYield = false;
    if (this.#rests >= RESTS_MAX) this.#leaveAll();
    this.#turning = this.#count > 0;
    if (this.#turning) setImmediate(this.#turn);
  };

  #leaveAll(): void {
    this.#rests = 0;
    for (const side of this.#sides) if (side !== undefined) this.#back(side, undefined);
  }

  #carry(fd: number, happened: number): void {
    const side = this.#sides[fd];
    if (side === undefined) return;
    const received = happened === EPOLLIN ? this.#call.recv(fd, this.#bufferAt, BUFFER_BYTES, MSG_DONTWAIT) : 0;
    if (received <= 0) {
      // An end, or an error that has not been read yet: Bun finds the same.
      if (received === 0) this.#back(side, undefined);
      else if (!this.#mustWait()) this.#back(side, "broken");
      return;
    }
    const alone = this.#alone[fd];
    if (alone !== undefined) {
      this.#hand(side, alone.socket, alone.hears, received);
      return;
    }
    side.bytes += received;
    side.meter.bytes += received;
    const sent = this.#call.send(this.#peers[fd] ?? -1, this.#bufferAt, received, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent === received) return;
    if (sent < 0 && !this.#mustWait()) this.#back(side, "broken");
    else this.#back(side, this.#buffer.slice(Math.max(sent, 0), received));
  }

  #hand(side: Side, socket: Socket<Side>, hears: Hears, length: number): void {
    try {
      hears(socket, this.#pieceOf(length));
    } catch {
      // As with an error in a handler of Bun's.
      this.drop(side);
      this.#onBack(side, "broken", socket);
    }
  }

  #pieceOf(length: number): Uint8Array {
    if (length > PIECE_KEPT_BYTES) return this.#buffer.subarray(0, length);
    return (this.#pieces[length] ??= this.#buffer.subarray(0, length));
  }

  /** Whether the last call failed only because it would have had to wait. */
  #mustWait(): boolean {
    return this.#errnoAt !== null && read.i32(this.#errnoAt) === EAGAIN;
  }

  #back(side: Side, rest: Uint8Array | "broken" | undefined): void {
    const alone = this.#alone[side.fd]?.socket;
    this.drop(side);
    this.#onBack(side, rest, alone);
  }
}

/** `socket`: one that Bun waits for. Undefined where there is no such kernel or library. */
export function openShortcut(socket: Socket<Side>, onBack: GoesBack): Shortcut | undefined {
  try {
    const bunEpoll = epollOf(fdOf(socket));
    return bunEpoll < 0 ? undefined : new Shortcut(dlopen("libc.so.6", SYMBOLS).symbols, bunEpoll, onBack);
  } catch {
    return undefined;
  }
}

/** The epoll of this process that waits for the file descriptor; -1: there is none to be seen. */
function epollOf(fd: number): number {
  for (const name of readdirSync("/proc/self/fd")) {
    if (readlinkOf(name) !== "anon_inode:[eventpoll]") continue;
    if (new RegExp(`^tfd:\\s+${fd}\\s`, "m").test(readFileSync(`/proc/self/fdinfo/${name}`, "utf8")))
      return Number(name);
  }
  return -1;
}

function readlinkOf(name: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    // That of the listing itself.
    return "";
  }
}

/** Bun's sockets know their file descriptor, though their types do not say so. */
function fdOf(socket: object): number {
  return "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
}
