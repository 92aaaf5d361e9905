// A ZooKeeper session that looks after itself. node-zookeeper-client speaks the protocol and reconnects; what it leaves
// undone is done here: it never notices a silent server, ends for good when its session expires, forgets to answer
// operations, and keeps half an answer and unsent calls of a broken connection for the next one.
import zookeeper from "node-zookeeper-client";
import type { Client } from "node-zookeeper-client";
import type { StoreOptions } from "../options.ts";
import { StoreUnavailable } from "../store.ts";
import { tooMany } from "./queue.ts";
import type { Session } from "./session.ts";
import { Watches } from "./zookeeper-watches.ts";

/** More operations at once make the client's memory grow with the square of their number. */
const FLYING_MAX = 256;
/** How long a closing session waits for the server's word. */
const CLOSE_MS = 1000;
const RETRY_MS = 500;

export type SessionHooks = {
  /** Connected. `fresh`: in a new session, which has no ephemeral znodes and no watches yet. Done again when it fails. */
  readonly onConnected: (fresh: boolean) => Promise<void>;
  /** About to be told as lost. */
  readonly onLost: () => void;
  /** A watch has fired: the znode came, changed or went, or its children came or went. */
  readonly onWatch: (path: string) => void;
};

type SessionOptions = Required<StoreOptions> & {
  readonly servers: readonly string[];
  readonly credentials: string | undefined;
};

/** Parts of the client that it does not publish. */
type Connection = {
  socket?: { destroy(): void };
  pendingBuffer: Buffer | null;
  watcherManager: Watches;
  readonly packetQueue: { readonly queue: unknown[] };
  connect: () => void;
  onSocketConnected: () => void;
  onSocketData: (bytes: Buffer) => void;
  onSocketClosed: (hadError: boolean) => void;
  onSocketError: (error: Error) => void;
};

type Start<T> = (client: Client, done: (error: unknown, result: T) => void) => void;
type Operation = {
  readonly start: (client: Client) => void;
  readonly fail: (why: string) => void;
  /** A call that changes nothing, and so is made again when its connection broke. */
  readonly reads: boolean;
};

/** What ZooKeeper answers instead of a result. `code` as ZooKeeper names it, e.g. "NO_NODE". */
export class ZookeeperError extends Error {
  readonly code: string;

  constructor(what: string, code: string) {
    super(`Cannot ${what}: ZooKeeper answers ${code}`);
    this.code = code;
  }
}

/** For `catch`: undefined when the znode is absent. */
export function absent(error: unknown): undefined {
  if (error instanceof ZookeeperError && error.code === "NO_NODE") return undefined;
  throw error;
}

export class ZookeeperSession {
  readonly #options: SessionOptions;
  readonly #session: Session;
  readonly #hooks: SessionHooks;
  readonly #waiting = new Set<Operation>();
  readonly #flying = new Set<Operation>();
  readonly #first = Promise.withResolvers<void>();
  readonly #watchdog: Timer;
  #client: Client | undefined;
  #linked = false;
  /** Counts connections, so that work for an earlier one can tell that it is late. */
  #links = 0;
  #timeoutMs: number;
  #heardAtMs = performance.now();
  #aliveAtMs = performance.now();
  #lookedAtMs = performance.now();
  #readyId = "";
  #lastError = "no answer";
  #closed = false;

  constructor(options: SessionOptions, session: Session, hooks: SessionHooks) {
    this.#options = options;
    this.#session = session;
    this.#hooks = hooks;
    this.#timeoutMs = options.sessionTimeoutMs;
    this.#watchdog = setInterval(() => this.#look(), Math.max(20, Math.min(1000, options.sessionTimeoutMs / 10)));
    this.#open();
  }

  /** The session's id in hexadecimal digits, as `ephemeralOwner` of a znode has it. */
  get id(): string {
    return this.#client?.getSessionId().toString("hex") ?? "";
  }

  /** What ZooKeeper granted: it ends a session that it has not heard of for so long. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** Waits for the first connection, at most the connect timeout. Rejects with an Error that says what was in the way. */
  async ready(): Promise<void> {
    const { connectTimeoutMs, servers } = this.#options;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const found = `found no ZooKeeper at ${servers.join(", ")} within ${connectTimeoutMs} ms`;
      late.reject(new Error(`${found} (last: ${this.#lastError}), wanted one that answers`));
    }, connectTimeoutMs);
    try {
      await Promise.race([this.#first.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Starts one of the client's calls that changes something, when the client is connected and fewer than 256 are under way.
   * Rejects with StoreUnavailable when that or the answer takes too long, when the connection breaks under way, or when too
   * many operations wait; with ZookeeperError when ZooKeeper refuses.
   */
  change<T>(what: string, start: Start<T>): Promise<T> {
    return this.#run(what, start, false);
  }

  /** As `change`, for a call that only reads: it outlives a broken connection. */
  look<T>(what: string, start: Start<T>): Promise<T> {
    return this.#run(what, start, true);
  }

  #run<T>(what: string, start: Start<T>, reads: boolean): Promise<T> {
    if (this.#closed) return Promise.reject(new StoreUnavailable(`Cannot ${what}: the store is closed`));
    if (this.#waiting.size >= this.#options.pendingMax) return Promise.reject(tooMany(what, this.#options.pendingMax));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const done = (error: unknown, result: T): void => {
      // A call whose connection broke has failed already.
      if (!this.#flying.delete(operation)) return;
      if (error === null || error === undefined) resolve(result);
      else if (reads && codeOf(error) === "CONNECTION_LOSS") this.#waiting.add(operation);
      else reject(answerError(what, error));
      this.#pump();
    };
    const operation: Operation = {
      reads,
      start: (client) => start(client, done),
      fail: (why) => reject(new StoreUnavailable(`Cannot ${what}: ${why}`)),
    };
    const timer = setTimeout(() => {
      // One that flies keeps its place until the client lets go of it.
      this.#waiting.delete(operation);
      operation.fail(`found no answer within ${this.#options.operationTimeoutMs} ms`);
    }, this.#options.operationTimeoutMs);
    this.#waiting.add(operation);
    this.#pump();
    return promise.finally(() => clearTimeout(timer));
  }

  /** Ends the session, at once for ZooKeeper too when it can be reached. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.#fail(this.#waiting, "the store is closed");
    this.#fail(this.#flying, "the store is closed");
    const client = this.#client;
    if (client === undefined) return;
    if (this.#linked) {
      const connection = connectionOf(client);
      const ended = Promise.withResolvers<void>();
      const timer = setTimeout(ended.resolve, CLOSE_MS);
      client.on("disconnected", ended.resolve);
      // The client sends what it has and then the farewell; ZooKeeper answers by closing the connection.
      client.close();
      connection.connect = () => undefined;
      await ended.promise;
      clearTimeout(timer);
    }
    this.#discard(client);
  }

  #open(): void {
    if (this.#closed) return;
    const { servers, sessionTimeoutMs, credentials } = this.#options;
    const client = zookeeper.createClient(servers.join(","), {
      sessionTimeout: sessionTimeoutMs,
      spinDelay: Math.min(1000, sessionTimeoutMs / 10),
      retries: 0,
    });
    this.#client = client;
    this.#heardAtMs = performance.now();
    if (credentials !== undefined) client.addAuthInfo("digest", Buffer.from(credentials));
    this.#guard(client);
    const mine = (act: () => void) => () => {
      if (client === this.#client && !this.#closed) act();
    };
    client.on(
      "connected",
      mine(() => this.#connected(client)),
    );
    client.on(
      "disconnected",
      mine(() => this.#disconnected()),
    );
    client.on(
      "expired",
      mine(() => this.#replace(client, "the session expired")),
    );
    client.on(
      "authenticationFailed",
      mine(() => this.#replace(client, "ZooKeeper refused the credentials")),
    );
    client.connect();
  }

  /** Puts this class between the socket and the client. */
  #guard(client: Client): void {
    const connection = connectionOf(client);
    connection.watcherManager = new Watches((path) => this.#hooks.onWatch(path));
    const { onSocketConnected, onSocketData, onSocketClosed, onSocketError } = connection;
    connection.onSocketConnected = () => {
      this.#heardAtMs = performance.now();
      if (this.#closed || client !== this.#client) connection.socket?.destroy();
      else onSocketConnected.call(connection);
    };
    connection.onSocketData = (bytes) => {
      this.#heardAtMs = performance.now();
      try {
        onSocketData.call(connection, bytes);
      } catch (error) {
        // An error code or a record that the client does not know: without this it would end the process.
        this.#trouble(error);
        connection.socket?.destroy();
      }
    };
    connection.onSocketClosed = (hadError) => {
      // The client answers the broken calls first and tells the loss only then: nothing may be started in between.
      if (client === this.#client) this.#linked = false;
      connection.pendingBuffer = null;
      connection.packetQueue.queue.length = 0;
      onSocketClosed.call(connection, hadError);
    };
    connection.onSocketError = (error) => {
      this.#lastError = error.message;
      onSocketError.call(connection, error);
    };
  }

  #connected(client: Client): void {
    this.#linked = true;
    this.#links += 1;
    this.#timeoutMs = client.getSessionTimeout();
    this.#aliveAtMs = performance.now();
    void this.#makeReady(this.#links);
    this.#pump();
  }

  /** Brings back what belongs to the session, and tells "connected" when that is done. */
  async #makeReady(link: number): Promise<void> {
    const { id } = this;
    while (link === this.#links && this.#linked && !this.#closed) {
      try {
        await this.#hooks.onConnected(id !== this.#readyId);
        if (link !== this.#links || !this.#linked) return;
        this.#readyId = id;
        this.#session.become("connected", "");
        this.#first.resolve();
        return;
      } catch (error) {
        if (this.#closed) return;
        this.#trouble(error);
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  #disconnected(): void {
    this.#break("the connection to ZooKeeper broke");
    if (this.#session.state === "connected") this.#session.become("suspended", "");
  }

  /** The client is of no use any more: goes on with a new one, in a new session. */
  #replace(client: Client, why: string): void {
    this.#lastError = why;
    this.#client = undefined;
    this.#discard(client);
    this.#break(why);
    this.#lose(why);
    setTimeout(() => this.#open(), RETRY_MS * Math.random());
  }

  /** Ends what is under way on a connection that is no more. */
  #break(why: string): void {
    this.#linked = false;
    for (const operation of this.#flying) {
      if (!operation.reads) continue;
      this.#flying.delete(operation);
      this.#waiting.add(operation);
    }
    this.#fail(this.#flying, why);
  }

  #lose(why: string): void {
    if (this.#session.state === "lost") return;
    this.#hooks.onLost();
    this.#session.become("lost", why);
  }

  /** Breaks a silent connection, and tells the session as lost when ZooKeeper may have ended it without our knowing. */
  #look(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    if (this.#linked) this.#aliveAtMs = this.#heardAtMs;
    // After a pause of this process itself the answers may lie in the socket, unread: look again first.
    if (lateMs > this.#timeoutMs / 3) return;
    if (nowMs - this.#heardAtMs > (this.#timeoutMs * 2) / 3) {
      this.#lastError = "no answer";
      this.#heardAtMs = nowMs;
      if (this.#client !== undefined) connectionOf(this.#client).socket?.destroy();
    }
    if (!this.#linked && nowMs - this.#aliveAtMs > this.#timeoutMs)
      this.#lose("ZooKeeper was silent for the session's timeout");
  }

  #pump(): void {
    if (!this.#linked || this.#client === undefined) return;
    for (const operation of this.#waiting) {
      if (this.#flying.size >= FLYING_MAX) return;
      this.#waiting.delete(operation);
      this.#flying.add(operation);
      try {
        operation.start(this.#client);
      } catch (error) {
        this.#flying.delete(operation);
        operation.fail(String(error));
      }
    }
  }

  #fail(operations: Set<Operation>, why: string): void {
    const all = [...operations];
    operations.clear();
    for (const operation of all) operation.fail(why);
  }

  /** Keeps an abandoned client from ever connecting again. */
  #discard(client: Client): void {
    const connection = connectionOf(client);
    connection.connect = () => undefined;
    connection.socket?.destroy();
  }

  #trouble(error: unknown): void {
    this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
  }
}

function connectionOf(client: Client): Connection {
  return (client as unknown as { connectionManager: Connection }).connectionManager;
}

function codeOf(error: unknown): string {
  return error instanceof zookeeper.Exception ? error.getName() : String(error);
}

function answerError(what: string, error: unknown): Error {
  const code = codeOf(error);
  const away = ["CONNECTION_LOSS", "SESSION_EXPIRED", "OPERATION_TIMEOUT"].includes(code);
  return away ? new StoreUnavailable(`Cannot ${what}: ZooKeeper answers ${code}`) : new ZookeeperError(what, code);
}
