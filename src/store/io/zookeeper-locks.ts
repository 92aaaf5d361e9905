// Locks in ZooKeeper: an ephemeral sequential znode for each who wants one, held by the lowest number. The znode's path is the
// lock's token: a write is fenced by checking in its own transaction that the znode is still there.
import { randomUUID } from "node:crypto";
import type { Json } from "../../std/json.ts";
import { folderOf, nameOf } from "../paths.ts";
import { StoreUnavailable } from "../store.ts";
import { parseValue } from "../transaction.ts";
import { abortReason, Bell } from "./bell.ts";
import { HeldLock, type Session } from "./session.ts";
import { absent, ZookeeperError, type ZookeeperSession } from "./zookeeper-session.ts";
import { TransactionRefused, type Znodes } from "./znodes.ts";

/** Looks again so often at what ought to have rung; only a guard. */
const LOOK_MS = 2000;
const HOLDER_TRIES = 5;
const RETRY_MS = 1000;
/** A lock is confirmed so often, as a part of the session's time-out. */
const BEAT_PART = 0.2;

export type LocksOptions = {
  readonly session: Session;
  readonly zookeeper: ZookeeperSession;
  readonly znodes: Znodes;
  /** Folder of all locks. */
  readonly place: string;
  readonly makeFolder: (place: string) => Promise<void>;
  /** Aborted when the store is closed: then all is left to the end of the session. */
  readonly closing: AbortSignal;
  readonly onTrouble: (error: Error) => void;
};

/** A wish for a lock: `mark` is the beginning of its znode's name, so that a create whose answer was lost is found again. */
type Wish = { readonly folder: string; readonly holder: string; mark: string; sessionId: string };

export class ZookeeperLocks {
  readonly #options: LocksOptions;
  readonly #bell = new Bell();
  /** Beginnings of the paths of znodes of ours that nobody holds or waits for any more, not known to be removed yet. */
  readonly #abandoned = new Set<string>();

  constructor(options: LocksOptions) {
    this.#options = options;
  }

  /** Waits until the lock is ours. Rejects with the reason of `stop` when it aborts first. */
  async take(name: string, holder: Json, stop: AbortSignal): Promise<HeldLock> {
    const folder = `${this.#options.place}/${name}`;
    const wish: Wish = { folder, holder: JSON.stringify(holder), mark: "", sessionId: "" };
    try {
      for (;;) {
        if (stop.aborted) throw abortReason(stop);
        const askedMs = performance.now();
        const token = await this.#advance(wish).catch((error: unknown) => this.#retry(error));
        if (token === undefined) {
          await this.#bell.next(LOOK_MS, stop);
        } else if (token !== "again") {
          if (stop.aborted) throw abortReason(stop);
          const lock = new HeldLock(name, token, (released) => this.#release(released));
          lock.confirm(askedMs, this.#options.zookeeper.timeoutMs);
          this.#options.session.locks.add(lock);
          void this.#keep(lock);
          return lock;
        }
      }
    } catch (error) {
      await this.#withdraw(wish);
      throw error;
    }
  }

  /** What the present holder said about itself. */
  async holder(name: string): Promise<Json | undefined> {
    const folder = `${this.#options.place}/${name}`;
    for (let tries = 0; tries < HOLDER_TRIES; tries += 1) {
      const [first] = await this.#queue(folder);
      if (first === undefined) return undefined;
      const znode = await this.#options.znodes.read(`${folder}/${first}`).catch(absent);
      if (znode !== undefined) return parseValue(znode.text);
    }
    throw new StoreUnavailable(`Cannot read the holder of lock "${name}": it changed ${HOLDER_TRIES} times meanwhile`);
  }

  /** Removes the present holder's znode, if it is that of `holder`. */
  async evict(name: string, holder: Json): Promise<void> {
    const folder = `${this.#options.place}/${name}`;
    const [first] = await this.#queue(folder);
    if (first === undefined) return;
    const znode = await this.#options.znodes.read(`${folder}/${first}`).catch(absent);
    if (znode?.text === JSON.stringify(holder)) await this.#options.znodes.remove(`${folder}/${first}`).catch(absent);
  }

  /**
   * Has the lock confirmed for as long as it is held. By a transaction, which the servers' majority agrees to: a server that
   * lost the others would answer a read, and they would end the session meanwhile.
   */
  async #keep(lock: HeldLock): Promise<void> {
    const { zookeeper, znodes, closing } = this.#options;
    while (!lock.lost.aborted && !closing.aborted) {
      await Bun.sleep(zookeeper.timeoutMs * BEAT_PART);
      const askedMs = performance.now();
      try {
        if (lock.lost.aborted || closing.aborted) return;
        await znodes.commit(`keep lock "${lock.name}"`, [{ type: "check", path: lock.token }]);
        lock.confirm(askedMs, zookeeper.timeoutMs);
      } catch (error) {
        if (error instanceof TransactionRefused) await this.#inspect(lock);
        else this.#trouble(error);
      }
    }
  }

  /** A znode below the locks' folder has changed. */
  touched(path: string): void {
    this.#bell.ring();
    for (const lock of this.#options.session.locks) if (lock.token === path) void this.#inspect(lock);
  }

  /** The locks will be told as lost; should the session live on, their znodes must not. */
  abandonAll(): void {
    for (const lock of this.#options.session.locks) this.#abandoned.add(lock.token);
  }

  /** Connected again. In a fresh session every znode of ours is gone. */
  async connected(fresh: boolean): Promise<void> {
    if (fresh) this.#abandoned.clear();
    for (const path of [...this.#abandoned]) await this.#abandon(path);
    for (const lock of this.#options.session.locks) await this.#inspect(lock);
    this.#bell.ring();
  }

  /** One step towards the lock: its token when it is ours, "again" to go on at once, undefined to wait for the bell. */
  async #advance(wish: Wish): Promise<string | undefined> {
    const { zookeeper, znodes, makeFolder } = this.#options;
    // A znode of an earlier session may still be seen through a server that lags behind: it is not ours any more. One that was
    // asked for then and made only in this session would stand before the wish for good.
    if (wish.sessionId !== zookeeper.id) {
      if (wish.mark !== "") await this.#abandon(`${wish.folder}/${wish.mark}`);
      wish.sessionId = zookeeper.id;
      wish.mark = randomUUID();
    }
    const names = await this.#queue(wish.folder);
    const at = names.findIndex((name) => name.startsWith(wish.mark));
    if (at < 0) {
      await makeFolder(wish.folder);
      await znodes.createSequential(`${wish.folder}/${wish.mark}-`, wish.holder);
      return "again";
    }
    const path = `${wish.folder}/${names[at]}`;
    if (at > 0) {
      const ahead = await znodes.exists(`${wish.folder}/${names[at - 1]}`, true);
      return ahead === undefined ? "again" : undefined;
    }
    const stat = await znodes.exists(path, true);
    return stat !== undefined && stat.owner === zookeeper.id ? path : "again";
  }

  #retry(error: unknown): undefined {
    const passes = error instanceof StoreUnavailable || (error instanceof ZookeeperError && error.code === "NO_NODE");
    if (!passes) throw error;
    this.#trouble(error);
    return undefined;
  }

  /** The wishes for a lock, the holder's first. */
  async #queue(folder: string): Promise<readonly string[]> {
    const names = (await this.#options.znodes.children(folder).catch(absent)) ?? [];
    return [...names].sort((a, b) => sequence(a) - sequence(b));
  }

  async #release(lock: HeldLock): Promise<void> {
    this.#options.session.locks.delete(lock);
    await this.#abandon(lock.token);
  }

  /** Takes back a wish that is not waited for any longer, whether or not its create was ever answered. */
  async #withdraw(wish: Wish): Promise<void> {
    if (wish.mark !== "") await this.#abandon(`${wish.folder}/${wish.mark}`);
  }

  /** Removes the znode whose path begins with `prefix`; again later, for as long as the session lasts, when it fails. */
  async #abandon(prefix: string): Promise<void> {
    const { closing, znodes } = this.#options;
    if (closing.aborted) return;
    this.#abandoned.add(prefix);
    try {
      const folder = folderOf(prefix);
      const name = (await this.#queue(folder)).find((other) => other.startsWith(nameOf(prefix)));
      if (name !== undefined) await znodes.remove(`${folder}/${name}`).catch(absent);
      this.#abandoned.delete(prefix);
    } catch (error) {
      this.#trouble(error);
      setTimeout(() => {
        if (this.#abandoned.has(prefix)) void this.#abandon(prefix);
      }, RETRY_MS);
    }
  }

  /** Tells the holder when its znode is gone, and watches it on when it is not. */
  async #inspect(lock: HeldLock): Promise<void> {
    try {
      if ((await this.#options.znodes.exists(lock.token, true)) !== undefined) return;
      if (this.#options.session.locks.delete(lock)) lock.lose("somebody removed it");
    } catch (error) {
      // The connection broke: it is looked at again when it is back.
      this.#trouble(error);
    }
  }

  #trouble(error: unknown): void {
    this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
  }
}

function sequence(name: string): number {
  return Number(name.slice(-10));
}
