// What Bun has no word for: a limit of the process, and two calls on sockets, each of which spares a request a packet or a
// wake-up, together a tenth of its time. Where this cannot be had (another system, another C library) all works the same, a
// little slower.
import { dlopen } from "bun:ffi";

// Linux' numbers.
const IPPROTO_TCP = 6;
const TCP_DEFER_ACCEPT = 9;
const RLIMIT_NOFILE = 7;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;

const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const SYMBOLS = {
  setsockopt: { args: ["i32", "i32", "i32", "buffer", "u32"], returns: "i32" },
  getrlimit: { args: ["i32", "buffer"], returns: "i32" },
  send: { args: ["i32", "buffer", "usize", "i32"], returns: "i32" },
} as const;

export type Kernel = {
  /** How many files and sockets this process may have open. */
  readonly openFilesMax: number;
  /** A listening socket tells of a connection only when its request is there, or has not come for some seconds. */
  readonly deferAccept: (listener: object) => void;
  /** Sends what is followed by the end of the connection, so that both go in one packet. Returns the bytes taken, or -1. */
  readonly sendLast: (socket: object, bytes: Uint8Array) => number;
};

/** Undefined where there is no such kernel or library. */
export function openKernel(): Kernel | undefined {
  if (process.platform !== "linux") return undefined;
  for (const name of LIBRARIES) {
    try {
      const { setsockopt, getrlimit, send } = dlopen(name, SYMBOLS).symbols;
      const limits = new BigUint64Array(2);
      getrlimit(RLIMIT_NOFILE, limits);
      return {
        openFilesMax: Number(limits[0]),
        deferAccept: (listener) => void setsockopt(fdOf(listener), IPPROTO_TCP, TCP_DEFER_ACCEPT, Int32Array.of(1), 4),
        sendLast: (socket, bytes) => send(fdOf(socket), bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE),
      };
    } catch {
      // Another one, or none.
    }
  }
  return undefined;
}

/** Bun's sockets know their file descriptor, though their types do not say so; -1 makes a call fail. */
function fdOf(socket: object): number {
  return "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
}
