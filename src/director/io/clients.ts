// The clients of traffic by requests: their sockets, from their arrival until they are closed.
import type { Socket, TCPSocketListener } from "bun";
import type { Client, Errand } from "./client.ts";
import { FAREWELLS_MAX, tune } from "./connections.ts";
import { countRefusal } from "./figures.ts";
import { Link } from "./links.ts";
import type { Desk } from "./proxy.ts";
import { drained, dropped, FAREWELL_SECONDS, finish, heard, type Owner, PUMP, put, resume, type Side } from "./pump.ts";
import { listen } from "./sockets.ts";

export abstract class Clients<One extends Errand, Each extends Client<One>> implements Owner {
  protected readonly desk: Desk;
  protected stopping = false;
  /** As of the last tick. */
  protected nowMs = performance.now();
  readonly #listener: TCPSocketListener<Side>;
  readonly #clients = new Set<Side>();
  /** What is done when any socket is closed, a backend's too. */
  protected readonly closing = (socket: Socket<Side>, error?: Error): void => this.#closed(socket, error);

  constructor(desk: Desk) {
    this.desk = desk;
    const asked = (socket: Socket<Side>, bytes: Uint8Array): void => this.#asked(socket, bytes);
    const handlers = {
      ...{ close: this.closing, error: PUMP.error },
      open: (socket: Socket<Side>) => this.#opened(socket),
      data: desk.options.clientTls === undefined ? shortly(asked) : asked,
      drain: (socket: Socket<Side>) => {
        drained(socket);
        if (this.isClient(socket.data)) this.caughtUp(socket.data, socket);
      },
      end: (socket: Socket<Side>) => {
        if (this.isClient(socket.data)) this.ended(socket.data, socket);
      },
    };
    this.#listener = listen(desk.options, handlers, () => countRefusal(desk.figures, "tls"));
  }

  protected abstract newClient(): Each;
  /** What is said to a client that is one too many. */
  protected abstract tooMany(text: string): Uint8Array;
  /** Bytes of a client. */
  protected abstract hear(client: Each, socket: Socket<Side>, bytes: Uint8Array): void;
  /** It has read all that was written to it. */
  protected abstract caughtUp(client: Each, socket: Socket<Side>): void;
  /** It sends no more. */
  protected abstract ended(client: Each, socket: Socket<Side>): void;
  /** Its socket, or a link's, is closed. */
  abstract closed(side: Side): void;

  get port(): number {
    return this.#listener.port;
  }

  close(): void {
    this.stopping = true;
    this.#listener.stop();
  }

  end(): void {
    this.#listener.stop(true);
    // The listener knows nothing of clients under TLS.
    for (const { socket } of this.clients()) socket?.terminate();
  }

  tick(): void {
    this.nowMs = performance.now();
    const farewellMs = this.nowMs - FAREWELL_SECONDS * 1000;
    for (const client of this.clients()) {
      if (!client.dismissed) this.late(client);
      else if (client.sinceMs < farewellMs) client.socket?.end();
    }
  }

  /** Looks whether the client has had its time. */
  protected late(_client: Each): void {}

  protected clients(): Iterable<Each> {
    // Nothing else is ever put into it.
    return this.#clients as Iterable<Each>;
  }

  protected isClient(side: Side | undefined): side is Each {
    return side !== undefined && this.#clients.has(side);
  }

  protected leave(client: Each): void {
    this.#clients.delete(client);
  }

  #opened(socket: Socket<Side>): void {
    const { figures, options } = this.desk;
    const client = this.newClient();
    client.socket = socket;
    client.sinceMs = this.nowMs;
    socket.data = client;
    figures.clients += 1;
    this.#clients.add(client);
    tune(socket);
    const excess = this.#clients.size - options.clientsMax;
    if (excess <= 0) return;
    countRefusal(figures, "too_many_clients");
    if (excess > FAREWELLS_MAX) socket.terminate();
    else this.dismiss(client, this.tooMany(`No backend: there are ${options.clientsMax} clients, the limit`));
  }

  /** Says the last word to a client. */
  protected dismiss(client: Each, bytes: Uint8Array): void {
    const { socket } = client;
    client.dismissed = true;
    client.pending = undefined;
    client.sinceMs = this.nowMs;
    if (socket === undefined) return;
    put(socket, bytes);
    finish(socket, "end");
    resume(socket);
  }

  #asked(socket: Socket<Side>, bytes: Uint8Array): void {
    const client = socket.data;
    if (this.isClient(client) && !client.dismissed && client.after !== "end") this.hear(client, socket, bytes);
  }

  #closed(socket: Socket<Side>, error: Error | undefined): void {
    const side = socket.data;
    const client = side instanceof Link ? side.client : side;
    if (this.isClient(client) && client.hold === "raw") {
      PUMP.close(socket, error);
      return;
    }
    dropped(side);
    side.peer = undefined;
    side.rest = undefined;
    this.closed(side);
  }
}

/** A handler of sockets alone, which a busy one leaves. */
export function shortly(handler: (socket: Socket<Side>, bytes: Uint8Array) => void) {
  return (socket: Socket<Side>, bytes: Uint8Array): void => {
    handler(socket, bytes);
    heard(socket, handler);
  };
}
