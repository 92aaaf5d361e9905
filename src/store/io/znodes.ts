// ZooKeeper's calls as promises, and one transaction type whose version checks hold.
import zookeeper from "node-zookeeper-client";
import type { Client } from "node-zookeeper-client";
import { ZookeeperError, type ZookeeperSession } from "./zookeeper-session.ts";

const { ACL, CreateMode, Id, Permission } = zookeeper;
const ANYONE = new Id("world", "anyone");
const CREATOR = new ACL(Permission.ALL, new Id("auth", ""));

/** What is said about a znode. `owner`: session id of an ephemeral one, undefined for a durable one. */
export type Stat = { readonly version: number; readonly children: number; readonly owner: string | undefined };

export type Znode = { readonly text: string; readonly stat: Stat };

/** A part of a transaction. `version` is the one that the znode must have. */
export type ZnodeWrite =
  | { readonly type: "check"; readonly path: string }
  | { readonly type: "create"; readonly path: string; readonly ephemeral: boolean }
  | { readonly type: "set"; readonly path: string; readonly data: Buffer; readonly version: number }
  | { readonly type: "remove"; readonly path: string; readonly version: number };

/** A transaction that ZooKeeper refused; nothing of it was done. `index` is the part's that did not hold. */
export class TransactionRefused extends ZookeeperError {
  readonly index: number;

  constructor(what: string, code: string, index: number) {
    super(what, code);
    this.index = index;
  }
}

/** Asks the client for a watch; what becomes of it is told by the session's `onWatch`. */
const watched = (): void => undefined;

type TransactionResult = { readonly err?: number };

export class Znodes {
  readonly #session: ZookeeperSession;
  readonly #private: boolean;

  /** `restricted`: new znodes belong to the session's credentials, otherwise to everybody. */
  constructor(session: ZookeeperSession, restricted: boolean) {
    this.#session = session;
    this.#private = restricted;
  }

  /** The znode's stat, undefined when there is none. `watch`: told when it comes, changes or goes. */
  exists(path: string, watch = false): Promise<Stat | undefined> {
    return this.#session.look(`look at "${path}"`, (client, done) => {
      const answer = (error: unknown, stat: zookeeper.Stat | null): void =>
        done(error, stat === null ? undefined : statOf(stat));
      if (watch) client.exists(path, watched, answer);
      else client.exists(path, answer);
    });
  }

  /** The znode's data and stat. Rejects with ZookeeperError NO_NODE when there is none; then no watch is left. */
  read(path: string, watch = false): Promise<Znode> {
    return this.#session.look(`read "${path}"`, (client, done) => {
      const answer = (error: unknown, data: Buffer | undefined, stat: zookeeper.Stat | undefined): void =>
        done(error, { text: data?.toString("utf8") ?? "", stat: statOf(stat) });
      if (watch) client.getData(path, watched, answer);
      else client.getData(path, answer);
    });
  }

  /** Names of the children. Rejects with ZookeeperError NO_NODE when the znode is absent; then no watch is left. */
  children(path: string, watch = false): Promise<readonly string[]> {
    return this.#session.look(`list "${path}"`, (client, done) => {
      if (watch) client.getChildren(path, watched, done);
      else client.getChildren(path, done);
    });
  }

  /** Makes a durable znode without data. `shared`: others may make znodes of their own below it. */
  createFolder(path: string, shared: boolean): Promise<string> {
    const acl = shared && this.#private ? [CREATOR, new ACL(Permission.READ | Permission.CREATE, ANYONE)] : this.#acl();
    return this.#session.change(`create "${path}"`, (client, done) => {
      client.create(path, acl, CreateMode.PERSISTENT, done);
    });
  }

  /** Makes an ephemeral znode whose name ends with the next number of its folder, and gives its path. */
  createSequential(path: string, text: string): Promise<string> {
    return this.#session.change(`create "${path}"`, (client, done) => {
      client.create(path, Buffer.from(text), this.#acl(), CreateMode.EPHEMERAL_SEQUENTIAL, done);
    });
  }

  /** Removes a znode of any version. */
  remove(path: string): Promise<void> {
    return this.#session.change(`remove "${path}"`, (client, done) =>
      client.remove(path, (error) => done(error, undefined)),
    );
  }

  /** Does all of `writes` or nothing; rejects with TransactionRefused when a part does not hold. */
  async commit(what: string, writes: readonly ZnodeWrite[]): Promise<void> {
    const results = await this.#session.change<readonly TransactionResult[]>(what, (client, done) => {
      this.#transaction(client, writes).commit((error, answers?: readonly TransactionResult[]) => {
        // The client reports a part's refusal as its own error; the parts' answers say more.
        done(answers === undefined ? error : null, answers ?? []);
      });
    });
    const refused = results.findIndex(({ err = 0 }) => err !== 0 && err !== zookeeper.Exception.RUNTIME_INCONSISTENCY);
    if (refused >= 0) throw new TransactionRefused(what, codeName(results[refused]?.err), refused);
  }

  #acl(): zookeeper.ACL[] {
    return [this.#private ? CREATOR : new ACL(Permission.ALL, ANYONE)];
  }

  #transaction(client: Client, writes: readonly ZnodeWrite[]): zookeeper.Transaction {
    const transaction = client.transaction();
    for (const write of writes) {
      switch (write.type) {
        case "check":
          transaction.check(write.path);
          break;
        case "create":
          transaction.create(
            write.path,
            Buffer.alloc(0),
            this.#acl(),
            write.ephemeral ? CreateMode.EPHEMERAL : CreateMode.PERSISTENT,
          );
          break;
        case "set":
          transaction.setData(write.path, write.data, write.version);
          break;
        case "remove":
          transaction.remove(write.path, write.version);
          break;
      }
    }
    // The client takes version 0 for "any version", which would let two creators of one record both succeed.
    const { ops } = transaction as unknown as { ops: { version?: number }[] };
    for (const [at, write] of writes.entries()) {
      const op = ops[at];
      if (op !== undefined && "version" in write) op.version = write.version;
    }
    return transaction;
  }
}

function statOf(stat: zookeeper.Stat | undefined): Stat {
  const owner = stat?.ephemeralOwner.toString("hex") ?? "";
  return {
    version: stat?.version ?? 0,
    children: stat?.numChildren ?? 0,
    owner: /^0*$/.test(owner) ? undefined : owner,
  };
}

/** ZooKeeper's name of an error code that came in a transaction's answer. */
function codeName(code: number | undefined): string {
  const names = Object.entries(zookeeper.Exception).find(([, value]) => value === code);
  return names?.[0] ?? `error ${code}`;
}
