// cEPMD's sockets: reads one request from each connection, writes its answer, and tells when a connection ends. Bun's own
// sockets, since node:net would be a third of the memory.
import type { Socket, TCPSocketListener } from "bun";
import { openKernel } from "./kernel.ts";
import { isLocalOnly, readFrame, readRequest, type Request } from "../wire.ts";

/** epmd gives a connection 60 s to say something. */
const IDLE_SECONDS = 60;
/** epmd stops at about a thousand, the most that select(2) can watch. */
const CONNECTIONS_MAX = 16_384;
/** Files that are open besides: Bun's own, the store's. */
const OTHER_FILES = 32;
/** What any socket takes at once. */
const SMALL_BYTES = 4096;
/** Ports to try when all addresses are to have the same free one. */
const PORT_TRIES = 20;

export type ListenOptions = {
  /** IP addresses; "::" takes IPv4 too. */
  readonly addresses: readonly string[];
  /** 0: any free one, the same on all addresses. */
  readonly port: number;
  readonly idleSeconds?: number;
  /** Default: this process' own. At the limit Bun would try to accept over and over, so connections end before it. */
  readonly openFilesMax?: number;
  readonly onRequest: (connection: number, local: boolean, request: Request) => void;
  /** A connection has ended that asked to register a name. */
  readonly onClosed: (connection: number, name: string) => void;
};

type Connection = {
  readonly id: number;
  /** Bytes of a request that is not complete. */
  before: Buffer | undefined;
  /** It has had its request. */
  asked: boolean;
  /** The name that may go with its end. */
  name: string | undefined;
  /** Part of an answer that the socket could not take yet; the connection is closed after it. */
  rest: Uint8Array | undefined;
};

/** Listens on all addresses. Throws an Error that names the address when one cannot be had. */
export function listen(options: ListenOptions): Listening {
  for (let tries = 1; ; tries += 1) {
    try {
      return new Listening(options);
    } catch (error) {
      if (options.port !== 0 || tries === PORT_TRIES || !isTaken(error)) throw error;
    }
  }
}

function isTaken(error: unknown): boolean {
  return (
    error instanceof Error && error.cause instanceof Error && "code" in error.cause && error.cause.code === "EADDRINUSE"
  );
}

export class Listening {
  readonly #options: ListenOptions;
  readonly #idleSeconds: number;
  readonly #connectionsMax: number;
  readonly #kernel = openKernel();
  readonly #sockets = new Map<number, Socket<Connection>>();
  readonly #listeners: TCPSocketListener<Connection>[] = [];
  #ids = 0;
  readonly port: number;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#idleSeconds = options.idleSeconds ?? IDLE_SECONDS;
    const filesMax = options.openFilesMax ?? this.#kernel?.openFilesMax ?? CONNECTIONS_MAX;
    this.#connectionsMax = Math.min(CONNECTIONS_MAX, filesMax - OTHER_FILES);
    let { port } = options;
    for (const address of options.addresses) {
      port = this.#listen(address, port);
    }
    this.port = port;
  }

  #listen(hostname: string, port: number): number {
    try {
      const listener = Bun.listen<Connection>({
        hostname,
        port,
        socket: {
          open: (socket) => this.#opened(socket),
          data: (socket, bytes) => this.#read(socket, bytes),
          drain: (socket) => this.#flush(socket),
          timeout: (socket) => void socket.end(),
          close: (socket) => this.#closed(socket),
          error: () => undefined,
        },
      });
      this.#listeners.push(listener);
      this.#kernel?.deferAccept(listener);
      return listener.port;
    } catch (error) {
      this.stop();
      const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
      throw new Error(
        `Cannot listen on ${hostname} port ${port}: found ${code}, wanted an own address and a free port`,
        {
          cause: error,
        },
      );
    }
  }

  #opened(socket: Socket<Connection>): void {
    this.#ids += 1;
    socket.data = { id: this.#ids, before: undefined, asked: false, name: undefined, rest: undefined };
    if (this.#sockets.size >= this.#connectionsMax) {
      socket.end();
      return;
    }
    this.#sockets.set(this.#ids, socket);
    socket.timeout(this.#idleSeconds);
  }

  #closed(socket: Socket<Connection>): void {
    const { id, name } = socket.data;
    if (this.#sockets.delete(id) && name !== undefined) this.#options.onClosed(id, name);
  }

  #read(socket: Socket<Connection>, bytes: Buffer): void {
    const connection = socket.data;
    // After the request nothing more may come.
    if (connection.asked) {
      if (connection.rest === undefined) socket.end();
      return;
    }
    const frame = readFrame(connection.before, bytes);
    if (frame.type === "more") {
      connection.before = frame.bytes;
      socket.timeout(this.#idleSeconds);
      return;
    }
    const request = frame.type === "request" ? readRequest(frame.bytes, frame.end) : undefined;
    if (request === undefined) {
      socket.end();
      return;
    }
    connection.before = undefined;
    connection.asked = true;
    if (request.type === "alive") connection.name = request.node?.name;
    this.#options.onRequest(connection.id, !isLocalOnly(request) || isLocal(socket), request);
  }

  /** Sends an answer. A kept connection ends when the client ends it, or says anything more. */
  answer(id: number, bytes: Uint8Array, after: "close" | "keep" | "idle"): void {
    const socket = this.#sockets.get(id);
    if (socket === undefined) return;
    if (after !== "close") {
      socket.write(bytes);
      socket.timeout(after === "keep" ? 0 : this.#idleSeconds);
    } else if (bytes.length <= SMALL_BYTES) {
      const sent = this.#kernel?.sendLast(socket, bytes) ?? 0;
      if (sent === bytes.length) socket.close();
      else socket.end(sent > 0 ? bytes.subarray(sent) : bytes);
    } else {
      socket.data.rest = bytes;
      this.#flush(socket);
    }
  }

  #flush(socket: Socket<Connection>): void {
    const { rest } = socket.data;
    if (rest === undefined) return;
    const sent = socket.write(rest);
    if (sent >= 0 && sent < rest.length) {
      socket.data.rest = rest.subarray(sent);
      socket.timeout(this.#idleSeconds);
    } else {
      socket.data.rest = undefined;
      socket.end();
    }
  }

  /** Ends a connection. */
  close(id: number): void {
    this.#sockets.get(id)?.end();
  }

  /** Ends everything. */
  stop(): void {
    for (const listener of this.#listeners) listener.stop();
    for (const socket of this.#sockets.values()) socket.end();
  }
}

/** Whether a client is on this machine: it comes from a loopback address, or from the very address that it calls. */
function isLocal(socket: Socket<Connection>): boolean {
  const remote = socket.remoteAddress.replace(/^::ffff:/i, "");
  return remote.startsWith("127.") || remote === "::1" || socket.remoteAddress === socket.localAddress;
}
