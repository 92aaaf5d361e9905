// One listener of a director: takes clients in, connects them to the backends that are decided for them, and lets the pump
// do the rest.
import type { Socket, TCPSocketListener } from "bun";
import { decide, initialState } from "../decide.ts";
import { usableCount } from "../pick.ts";
import type { Action, Attempt, Event, Refusal, Settings, State, Target } from "../state.ts";
import { refusalBytes } from "../words.ts";
import { type BackendFigures, type Figures, figuresOf, newFigures } from "./figures.ts";
import { connectFailure, probe } from "./probe.ts";
import { finish, join, type Owner, PUMP, put, Side } from "./pump.ts";

const TICK_MS = 100;
/** How long a client that was turned away may take to read why and to close. */
const FAREWELL_SECONDS = 2;
/** After so long without a byte the kernel asks whether the other end is still there. */
const KEEPALIVE_MS = 60_000;

/** An event as others tell it: the time is ours to add. */
type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

export type ProxyOptions = {
  readonly settings: Settings;
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** Clients at a time; one more is turned away. */
  readonly clientsMax: number;
  readonly connectTimeoutMs: number;
  readonly probeTimeoutMs: number;
  readonly say: (level: "info" | "warn", text: string) => void;
};

/** A client's connection, from its arrival until both of its sockets are closed. */
class Connection implements Owner {
  readonly id: number;
  readonly #proxy: Proxy;
  readonly client: Side;
  clientSocket: Socket<Side> | undefined;
  backend: Side | undefined;
  backendSocket: Socket<Side> | undefined;
  address = "";
  /** While its backend is being connected: what was tried, and until when. */
  attempt: Attempt | undefined;
  startedMs = 0;

  constructor(id: number, proxy: Proxy, socket: Socket<Side>) {
    this.id = id;
    this.#proxy = proxy;
    this.client = new Side(this, { bytes: 0 });
    this.clientSocket = socket;
  }

  closed(side: Side, error: Error | undefined): void {
    this.#proxy.closed(this, side, error);
  }
}

export class Proxy {
  readonly #options: ProxyOptions;
  readonly #listener: TCPSocketListener<Side>;
  readonly #ticks: Timer;
  readonly #connections = new Map<number, Connection>();
  readonly #connecting = new Set<Connection>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly figures: Figures = newFigures();
  readonly port: number;
  state: State;
  #ids = 0;
  #events: Event[] = [];
  #deciding = false;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.state = initialState(options.settings);
    this.#listener = this.#listen();
    this.port = this.#listener.port;
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
  }

  get hostname(): string {
    return this.#options.hostname;
  }

  /** The whole list of backends, as their source has it now. */
  retarget(targets: readonly Target[]): void {
    this.#tell({ type: "targets", targets });
  }

  /** How many backends take new connections. */
  usable(): number {
    return usableCount(this.state, Date.now());
  }

  /** Takes no more clients; resolves when the last connection is over, or was ended by `abort`. */
  async stop(abort: AbortSignal): Promise<void> {
    this.#listener.stop();
    this.#tell({ type: "stop" });
    abort.addEventListener("abort", () => this.#stopped.resolve());
    if (abort.aborted) this.#stopped.resolve();
    await this.#stopped.promise;
    clearInterval(this.#ticks);
    this.#listener.stop(true);
    for (const { backendSocket } of this.#connections.values()) backendSocket?.terminate();
  }

  #listen(): TCPSocketListener<Side> {
    const { hostname, port } = this.#options;
    try {
      return Bun.listen<Side>({
        hostname,
        port,
        allowHalfOpen: true,
        socket: {
          ...PUMP,
          open: (socket) => this.#opened(socket),
          timeout: (socket) => {
            socket.terminate();
          },
        },
      });
    } catch (error) {
      const code = error instanceof Error ? connectFailure(error) : String(error);
      throw new Error(`Cannot listen on ${hostname}:${port}: found ${code}, wanted an own address and a free port`, {
        cause: error,
      });
    }
  }

  #tell(event: Told): void {
    this.#events.push({ ...event, nowMs: Date.now() });
    if (this.#deciding) return;
    this.#deciding = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const decision = decide(this.state, next);
      this.state = decision.state;
      for (const action of decision.actions) this.#carryOut(action);
    }
    this.#deciding = false;
  }

  #carryOut(action: Action): void {
    switch (action.type) {
      case "connect":
        this.#connect(action.attempt, action.target);
        return;
      case "refuse":
        this.#refuse(action.client, action.why, action.detail);
        return;
      case "probe":
        void this.#probe(action.target);
        return;
      case "cut":
        for (const { address, clientSocket, backendSocket } of this.#connections.values()) {
          if (address !== action.address) continue;
          backendSocket?.terminate();
          clientSocket?.terminate();
        }
        return;
      case "ejected":
        this.#figures(action.address).ejections += 1;
        return;
      case "say":
        this.#options.say(action.level, action.text);
        return;
      case "stopped":
        this.#stopped.resolve();
        return;
      case "drain":
      // Raw bytes do not show when a connection rests between two requests: it goes on until it ends or is cut.
    }
  }

  #figures(address: string): BackendFigures {
    const node = this.state.backends.find(({ target }) => target.address === address)?.target.node ?? address;
    return figuresOf(this.figures, address, node);
  }

  #opened(socket: Socket<Side>): void {
    this.#ids += 1;
    const connection = new Connection(this.#ids, this, socket);
    socket.data = connection.client;
    this.#connections.set(connection.id, connection);
    this.figures.clients += 1;
    connection.startedMs = performance.now();
    if (this.#connections.size > this.#options.clientsMax) {
      this.#turnAway(connection, "too_many_clients", `there are ${this.#options.clientsMax} clients, the limit`);
      return;
    }
    socket.pause();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    this.#tell({ type: "arrived", client: connection.id });
  }

  #refuse(client: number, why: Refusal, detail: string): void {
    const connection = this.#connections.get(client);
    if (connection === undefined) return;
    if (why !== "no_backend_left") this.figures.queueSeconds.observe((performance.now() - connection.startedMs) / 1000);
    this.#turnAway(connection, why, detail);
  }

  /** Says why, where the protocol has words for it, and gives the client a moment to read that. */
  #turnAway(connection: Connection, why: Refusal | "too_many_clients", detail: string): void {
    this.figures.refusals.set(why, (this.figures.refusals.get(why) ?? 0) + 1);
    const socket = connection.clientSocket;
    if (socket === undefined) return;
    put(socket, refusalBytes(this.#options.settings.protocol, detail));
    finish(socket, "shutdown");
    socket.timeout(FAREWELL_SECONDS);
    socket.resume();
  }

  #connect(attempt: Attempt, target: Target): void {
    const connection = this.#connections.get(attempt.client);
    if (connection?.clientSocket === undefined) {
      this.#connections.delete(attempt.client);
      this.#tell({ type: "closed", address: target.address, outcome: "unasked" });
      return;
    }
    const now = performance.now();
    if (attempt.tried.length === 0) this.figures.queueSeconds.observe((now - connection.startedMs) / 1000);
    const figures = this.#figures(target.address);
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
    const connecting = Bun.connect<Side>({
      hostname: target.host,
      port: target.port,
      allowHalfOpen: true,
      data: side,
      socket: {
        ...PUMP,
        open: (socket) => this.#connected(connection, socket, figures),
        connectError: (socket, error) => this.#notConnected(connection, socket.data, connectFailure(error)),
      },
    });
    connecting.catch((error: unknown) =>
      this.#notConnected(connection, side, error instanceof Error ? connectFailure(error) : String(error)),
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
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    join(clientSocket, socket);
  }

  #notConnected(connection: Connection, side: Side, detail: string): void {
    const { attempt, address } = connection;
    if (connection.backend !== side || attempt === undefined) return;
    const figures = this.#figures(address);
    figures.connectErrors += 1;
    figures.lastError = detail;
    figures.lastErrorMs = Date.now();
    this.#connecting.delete(connection);
    connection.attempt = undefined;
    connection.backend = undefined;
    if (connection.clientSocket === undefined) {
      this.#connections.delete(connection.id);
      this.#tell({ type: "closed", address, outcome: "unasked" });
    } else this.#tell({ type: "refused", attempt, address, detail });
  }

  /** One of a connection's sockets is closed. */
  closed(connection: Connection, side: Side, error: Error | undefined): void {
    if (side === connection.client) {
      connection.clientSocket = undefined;
      if (connection.backend !== undefined) return;
      this.#connections.delete(connection.id);
      this.#tell({ type: "left", client: connection.id });
      return;
    }
    if (side !== connection.backend || connection.attempt !== undefined) return;
    const { address } = connection;
    if (connection.clientSocket === undefined) this.#connections.delete(connection.id);
    connection.backend = undefined;
    connection.backendSocket = undefined;
    const asked = connection.client.bytes > 0 && side.bytes === 0 && connection.clientSocket !== undefined;
    if (asked) {
      const figures = this.#figures(address);
      figures.failures += 1;
      figures.lastError = error?.message ?? "closed without an answer";
      figures.lastErrorMs = Date.now();
    }
    this.#tell({ type: "closed", address, outcome: asked ? "failed" : side.bytes > 0 ? "answered" : "unasked" });
  }

  async #probe(target: Target): Promise<void> {
    const error = await probe(this.#options.settings.protocol, target, this.#options.probeTimeoutMs);
    if (error !== undefined) this.#figures(target.address).probeFailures += 1;
    this.#tell({ type: "probed", address: target.address, ...(error === undefined ? {} : { error }) });
  }

  #tick(): void {
    const overdueMs = performance.now() - this.#options.connectTimeoutMs;
    for (const connection of this.#connecting) {
      if (connection.startedMs > overdueMs || connection.backend === undefined) continue;
      const detail = `no connection within ${this.#options.connectTimeoutMs} ms`;
      this.#notConnected(connection, connection.backend, detail);
    }
    this.#tell({ type: "tick" });
  }
}
