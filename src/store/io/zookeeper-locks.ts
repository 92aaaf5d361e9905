// Locks in ZooKeeper: an ephemeral sequential znode for each who wants one, held by the lowest number. The znode's path is the
// lock's token: a write is fenced by checking in its own transaction that the znode is still there.
import { randomUUID } from "node:crypto";
import type { Json } from "../../std/json.ts";
import { StoreUnavailable } from "../store.ts";
import { parseValue } from "../transaction.ts";
import { abortReason, Bell } from "./bell.ts";
import { HeldLock, type Session } from "./session.ts";
import { absent, ZookeeperError, type ZookeeperSession } from "./zookeeper-session.ts";
import type { Znodes } from "./znodes.ts";

/** Looks again so often at what ought to have rung; only a guard. */
const LOOK_MS = 2000;
const HOLDER_TRIES = 5;

export type LocksOptions = {
  readonly session: Session;
  readonly zookeeper: ZookeeperSession;
  readonly znodes: Znodes;
  /** Folder of all locks. */
  readonly place: string;
  readonly makeFolder: (place: string) => Promise<void>;
  readonly onTrouble: (error: Error) => void;
};

/** A wish for a lock: `mark` is the beginning of its znode's name, so that a create whose answer was lost is found again. */
type Wish = { readonly folder: string; readonly holder: string; mark: string; sessionId: string };

export class ZookeeperLocks {
  readonly #options: LocksOptions;
  readonly #bell = new Bell();
  /** Znodes of ours that nobody holds any more, and that could not be removed yet. */
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
        const token = await this.#advance(wish).catch((error: unknown) => this.#retry(error));
        if (token === undefined) {
          await this.#bell.next(LOOK_MS, stop);
        } else if (token !== "again") {
          if (stop.aborted) throw abortReason(stop);
          const lock = new HeldLock(name, token, (released) => this.#release(released));
          this.#options.session.locks.add(lock);
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
    for (const path of [...this.#abandoned]) await this.#remove(path);
    for (const lock of this.#options.session.locks) await this.#inspect(lock);
    this.#bell.ring();
  }

  /** One step towards the lock: its token when it is ours, "again" to go on at once, undefined to wait for the bell. */
  async #advance(wish: Wish): Promise<string | undefined> {
    const { zookeeper, znodes, makeFolder } = this.#options;
    // A znode of an earlier session may still be seen through a server that lags behind: it is not ours any more.
    if (wish.sessionId !== zookeeper.id) {
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
    this.#options.onTrouble(error);
    return undefined;
  }

  /** The wishes for a lock, the holder's first. */
  async #queue(folder: string): Promise<readonly string[]> {
    const names = (await this.#options.znodes.children(folder).catch(absent)) ?? [];
    return [...names].sort((a, b) => sequence(a) - sequence(b));
  }

  async #release(lock: HeldLock): Promise<void> {
    this.#options.session.locks.delete(lock);
    await this.#remove(lock.token);
  }

  /** Takes back a wish that is not waited for any longer, whether or not its create was ever answered. */
  async #withdraw(wish: Wish): Promise<void> {
    if (wish.mark === "" || wish.sessionId !== this.#options.zookeeper.id) return;
    try {
      const name = (await this.#queue(wish.folder)).find((other) => other.startsWith(wish.mark));
      if (name !== undefined) await this.#remove(`${wish.folder}/${name}`);
    } catch (error) {
      // The store is closed or away: the znode goes with the session at the latest.
      if (error instanceof Error) this.#options.onTrouble(error);
    }
  }

  async #remove(path: string): Promise<void> {
    this.#abandoned.add(path);
    try {
      await this.#options.znodes.remove(path).catch(absent);
      this.#abandoned.delete(path);
    } catch (error) {
      if (error instanceof Error) this.#options.onTrouble(error);
    }
  }

  /** Tells the holder when its znode is gone, and watches it on when it is not. */
  async #inspect(lock: HeldLock): Promise<void> {
    try {
      if ((await this.#options.znodes.exists(lock.token, true)) !== undefined) return;
      if (this.#options.session.locks.delete(lock)) lock.lose("somebody removed it");
    } catch (error) {
      // The connection broke: it is looked at again when it is back.
      if (error instanceof Error) this.#options.onTrouble(error);
    }
  }
}

function sequence(name: string): number {
  return Number(name.slice(-10));
}
