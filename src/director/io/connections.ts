// Traffic by connections: each client's connection is joined to one of a backend's, and the pump does the rest.
import type { Socket, TCPSocketListener } from "bun";
import type { Attempt, Refusal, Target } from "../state.ts";
import { refusalBytes } from "../words.ts";
import { type BackendFigures, countConnectError, countFailure, countRefusal, type Unheard } from "./figures.ts";
import type { Desk, Traffic } from "./proxy.ts";
import { finish, join, type Owner, PUMP, put, Side } from "./pump.ts";
import { dial, holdEarly, listen, release } from "./sockets.ts";

/** So many clients beyond the limit may read why; all others are cut off at once, since each takes a file. */
export const FAREWELLS_MAX = 64;
/** After so long without a byte the kernel asks whether the other end is still there. */
const KEEPALIVE_MS = 60_000;

/** Sets a socket up as proxied ones are: small messages go at once, and a dead peer is found out. */
export function tune(socket: Socket<Side>): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_MS);
}

/** A client's connection, from its arrival until both of its sockets are closed. */
class Connection implements Owner {
  readonly id: number;
  readonly #traffic: Connections;
  readonly client: Side;
  clientSocket: Socket<Side> | undefined;
  backend: Side | undefined;
  backendSocket: Socket<Side> | undefined;
  address = "";
  /** While its backend is being connected. */
  attempt: Attempt | undefined;
  /** When it arrived, then when the present attempt began. */
  startedMs = performance.now();

  constructor(id: number, traffic: Connections, socket: Socket<Side>) {
    this.id = id;
    this.#traffic = traffic;
    this.client = new Side(this, { bytes: 0 });
    this.clientSocket = socket;
  }

  closed(side: Side, error: Error | undefined): void {
    this.#traffic.closed(this, side, error);
  }
}

export class Connections implements Traffic {
  readonly #desk: Desk;
  readonly #listener: TCPSocketListener<Side>;
  readonly #connections = new Map<number, Connection>();
  readonly #connecting = new Set<Connection>();
  #ids = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
    const handlers = {
      ...PUMP,
      open: (socket: Socket<Side>) => this.#opened(socket),
    };
    this.#listener = listen(desk.options, handlers, () => countRefusal(desk.figures, "tls"));
  }

  get port(): number {
    return this.#listener.port;
  }

  close(): void {
    this.#listener.stop();
  }

  end(): void {
    this.#listener.stop(true);
    // The listener knows nothing of clients under TLS.
    for (const { clientSocket, backendSocket } of [...this.#connections.values()]) {
      clientSocket?.terminate();
      backendSocket?.terminate();
    }
  }

  /** Raw bytes do not show when a connection rests between two requests: it goes on until it ends or is cut. */
  drain(): void {}

  #opened(socket: Socket<Side>): void {
    this.#ids += 1;
    const connection = new Connection(this.#ids, this, socket);
    socket.data = connection.client;
    this.#connections.set(connection.id, connection);
    this.#desk.figures.clients += 1;
    if (this.#connections.size > this.#desk.options.clientsMax + FAREWELLS_MAX) {
      countRefusal(this.#desk.figures, "too_many_clients");
      socket.terminate();
      return;
    }
    if (this.#connections.size > this.#desk.options.clientsMax) {
      this.#turnAway(connection, "too_many_clients", `there are ${this.#desk.options.clientsMax} clients, the limit`);
      return;
    }
    socket.pause();
    if (this.#desk.options.clientTls !== undefined) holdEarly(socket);
    tune(socket);
    this.#desk.tell({ type: "arrived", client: connection.id });
  }

  refuse(client: number, why: Refusal, detail: string): void {
    const connection = this.#connections.get(client);
    if (connection === undefined) return;
    if (why !== "no_backend_left")
      this.#desk.figures.queueSeconds.observe((performance.now() - connection.startedMs) / 1000);
    this.#turnAway(connection, why, detail);
  }

  /** Says why, where the protocol has words for it, and gives the client a moment to read that. */
  #turnAway(connection: Connection, why: Refusal | Unheard, detail: string): void {
    countRefusal(this.#desk.figures, why);
    const socket = connection.clientSocket;
    if (socket === undefined) return;
    put(socket, refusalBytes(this.#desk.options.settings.protocol, detail));
    finish(socket, "end");
  }

  connect(attempt: Attempt, target: Target): void {
    const connection = this.#connections.get(attempt.client);
    if (connection?.clientSocket === undefined) {
      this.#connections.delete(attempt.client);
      this.#desk.tell({ type: "closed", address: target.address, outcome: "unasked" });
      return;
    }
    const now = performance.now();
    if (attempt.tried.length === 0) this.#desk.figures.queueSeconds.observe((now - connection.startedMs) / 1000);
    const figures = this.#desk.figuresAt(target.address);
    figures.connections += 1;
    connection.address = target.address;
    connection.attempt = attempt;
    connection.startedMs = now;
    connection.client.meter = figures.received;
    connection.backend = new Side(connection, figures.sent);
    this.#connecting.add(connection);
    this.#dial(connection, connection.backend, target, figures);
  }

  #dial(connection: Connection, side: Side, target: Target, figures: BackendFigures): void {
    dial(
      target,
      side,
      PUMP,
      this.#desk.options.backendTls,
      (socket) => this.#connected(connection, socket, figures),
      (detail) => this.#notConnected(connection, side, detail),
    );
  }

  #connected(connection: Connection, socket: Socket<Side>, figures: BackendFigures): void {
    const { clientSocket } = connection;
    if (connection.backend !== socket.data || connection.attempt === undefined) {
      // It was given up meanwhile.
      socket.terminate();
      return;
    }
    const now = performance.now();
    figures.connectSeconds.observe((now - connection.startedMs) / 1000);
    figures.lastUsedMs = Date.now();
    this.#connecting.delete(connection);
    connection.attempt = undefined;
    connection.backendSocket = socket;
    if (clientSocket === undefined) {
      socket.end();
      return;
    }
    tune(socket);
    const { clientTls, backendTls } = this.#desk.options;
    join(clientSocket, socket, clientTls === undefined && backendTls === undefined);
    release(clientSocket, PUMP);
  }

  #notConnected(connection: Connection, side: Side, detail: string): void {
    const { attempt, address } = connection;
    if (connection.backend !== side || attempt === undefined) return;
    countConnectError(this.#desk.figuresAt(address), detail);
    this.#connecting.delete(connection);
    connection.attempt = undefined;
    connection.backend = undefined;
    if (connection.clientSocket === undefined) {
      this.#connections.delete(connection.id);
      this.#desk.tell({ type: "closed", address, outcome: "unasked" });
    } else this.#desk.tell({ type: "refused", attempt, address, detail });
  }

  /** One of a connection's sockets is closed. */
  closed(connection: Connection, side: Side, error: Error | undefined): void {
    if (side === connection.client) {
      connection.clientSocket = undefined;
      if (connection.backend !== undefined) return;
      this.#connections.delete(connection.id);
      this.#desk.tell({ type: "left", client: connection.id });
      return;
    }
    if (side !== connection.backend || connection.attempt !== undefined) return;
    const { address } = connection;
    if (connection.clientSocket === undefined) this.#connections.delete(connection.id);
    connection.backend = undefined;
    connection.backendSocket = undefined;
    const asked = connection.client.bytes > 0 && side.bytes === 0 && connection.clientSocket !== undefined;
    if (asked) countFailure(this.#desk.figuresAt(address), error?.message ?? "closed without an answer");
    this.#desk.tell({ type: "closed", address, outcome: asked ? "failed" : side.bytes > 0 ? "answered" : "unasked" });
  }

  cut(address: string): void {
    for (const connection of this.#connections.values()) {
      if (connection.address !== address) continue;
      connection.backendSocket?.terminate();
      connection.clientSocket?.terminate();
    }
  }

  tick(): void {
    const overdueMs = performance.now() - this.#desk.options.connectTimeoutMs;
    for (const connection of this.#connecting) {
      if (connection.startedMs > overdueMs || connection.backend === undefined) continue;
      const detail = `no connection within ${this.#desk.options.connectTimeoutMs} ms`;
      this.#notConnected(connection, connection.backend, detail);
    }
  }
}
