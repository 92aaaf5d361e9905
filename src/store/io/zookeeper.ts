// The store for production: one znode for each record, below the URL's path and the store's root. A znode without data is a
// folder; a record is made by a create and a set in one transaction, so that ZooKeeper's versions, which count from 0, are ours,
// which count from 1.
import type { Json } from "../../std/json.ts";
import { type StoreOptions, storeOptions } from "../options.ts";
import { checkFolder, checkLockName, checkPath, checkRoot, folderOf, foldersAbove } from "../paths.ts";
import type { Folder, Lock, Path, SessionState, Store, Stored, Watch, Write } from "../store.ts";
import { StoreConflict, StoreUnavailable } from "../store.ts";
import { checkPlace, type Effect, effectOf, type PreparedWrite, prepareWrites } from "../transaction.ts";
import { publicUrl, type StoreUrl } from "../url.ts";
import { abortReason } from "./bell.ts";
import { Feed } from "./feed.ts";
import { mapParallel } from "./parallel.ts";
import { Queue } from "./queue.ts";
import { type HeldLock, lockConflict, Session } from "./session.ts";
import { type Stat, TransactionRefused, Znodes, type ZnodeWrite } from "./znodes.ts";
import { listZnodes, readZnode, WatchedFolder } from "./zookeeper-folder.ts";
import { ZookeeperLocks } from "./zookeeper-locks.ts";
import { absent, ZookeeperError, ZookeeperSession } from "./zookeeper-session.ts";

/** No record's name has a "~". */
const LOCKS = "locks~";
const LOOKS_MAX = 64;
/** Tries of a write that others come before each time. */
const TRIES_MAX = 50;
/** Earlier sessions of ours whose ephemeral znodes ZooKeeper may not have removed yet. */
const FORMER_MAX = 8;

type ZookeeperUrl = Extract<StoreUrl, { readonly type: "zookeeper" }>;

/** Opens the store below `url`'s path. Rejects with an Error when no server answers in time or the credentials do not do. */
export async function openZookeeper(url: ZookeeperUrl, options: StoreOptions): Promise<Store> {
  checkRoot(options.root);
  const store = new ZookeeperStore(url, storeOptions(options));
  try {
    await store.begin();
    return store;
  } catch (error) {
    await store.close();
    const shown = `zk://${url.credentials === undefined ? "" : `${url.credentials}@`}${url.servers.join(",")}${url.path}`;
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot open store "${publicUrl(shown)}": ${why}`, { cause: error });
  }
}

class ZookeeperStore implements Store {
  readonly #options: Required<StoreOptions>;
  /** Place of the root's folder. */
  readonly #base: string;
  readonly #session = new Session();
  readonly #zookeeper: ZookeeperSession;
  readonly #znodes: Znodes;
  readonly #locks: ZookeeperLocks;
  readonly #writing: Queue;
  readonly #feeds = new Map<Feed, WatchedFolder>();
  /** Text by path of what is put again in a new session. */
  readonly #ephemerals = new Map<Path, string>();
  /** Paths of the ephemeral records that were written with a lock, and go with it when the session is lost. */
  readonly #fenced = new Set<Path>();
  /** Places of folders that are known to be there. */
  readonly #folders = new Set<string>();
  readonly #closing = new AbortController();
  #formerIds: readonly string[] = [];

  constructor(url: ZookeeperUrl, options: Required<StoreOptions>) {
    const { servers, credentials } = url;
    this.#options = options;
    this.#base = url.path + options.root;
    this.#writing = new Queue(options.pendingMax);
    this.#zookeeper = new ZookeeperSession({ ...options, servers, credentials }, this.#session, {
      onConnected: (fresh) => this.#connected(fresh),
      onLost: () => this.#locks.abandonAll(),
      onWatch: (path) => this.#touched(path),
    });
    this.#znodes = new Znodes(this.#zookeeper, credentials !== undefined);
    this.#locks = new ZookeeperLocks({
      session: this.#session,
      zookeeper: this.#zookeeper,
      znodes: this.#znodes,
      place: this.#place(LOCKS),
      makeFolder: (place) => {
        // A lock is wished for seldom: look whether all is really there.
        this.#folders.clear();
        return this.#makeFolder(place);
      },
      closing: this.#closing.signal,
      onTrouble: options.onTrouble,
    });
  }

  /** Waits for the connection and checks that the root may be read. */
  async begin(): Promise<void> {
    await this.#zookeeper.ready();
    await this.#znodes.children(this.#base).catch(absent);
  }

  async read(path: Path): Promise<Stored | undefined> {
    checkPath("path", path);
    return readZnode(this.#znodes, this.#place(path));
  }

  async list(folder: Path): Promise<Folder> {
    checkFolder(folder);
    return listZnodes(this.#znodes, this.#place(folder));
  }

  async write(writes: readonly Write[], options: { readonly lock?: Lock } = {}): Promise<void> {
    const prepared = prepareWrites(writes);
    this.#writing.checkRoom("write");
    const deadlineMs = performance.now() + this.#options.operationTimeoutMs;
    await this.#writing.run(() => this.#commit(prepared, options.lock, deadlineMs));
  }

  watch(folder: Path, onChange: (records: Folder) => void): Watch {
    checkFolder(folder);
    const watched = new WatchedFolder(this.#znodes, this.#place(folder));
    const feed: Feed = new Feed({
      read: () => watched.read(),
      onChange,
      onTrouble: this.#options.onTrouble,
      onClose: () => this.#feeds.delete(feed),
    });
    this.#feeds.set(feed, watched);
    return feed;
  }

  async lock(name: string, holder: Json, signal?: AbortSignal): Promise<Lock> {
    checkLockName(name);
    const stop = AbortSignal.any(signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal]);
    if (stop.aborted) throw abortReason(stop);
    return this.#locks.take(name, holder, stop);
  }

  async holder(name: string): Promise<Json | undefined> {
    checkLockName(name);
    return this.#locks.holder(name);
  }

  async evict(name: string, holder: Json): Promise<void> {
    checkLockName(name);
    await this.#locks.evict(name, holder);
  }

  onSession(listener: (state: SessionState) => void): void {
    this.#session.listen(listener);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable("Cannot go on: the store is closed"));
    for (const feed of [...this.#feeds.keys()]) feed.close();
    this.#session.loseLocks("the store is closed");
    await this.#zookeeper.close();
  }

  #place(path: Path): string {
    return path === "" ? this.#base : `${this.#base}/${path}`;
  }

  #touched(path: string): void {
    if (path.startsWith(this.#place(LOCKS))) this.#locks.touched(path);
    const above = folderOf(path);
    for (const [feed, watched] of this.#feeds) {
      if (watched.place !== path && watched.place !== above) continue;
      watched.touched(path);
      feed.kick();
    }
  }

  /** Reads what is there, decides, and writes only if nobody came between; otherwise all of it again. */
  async #commit(writes: readonly PreparedWrite[], lock: Lock | undefined, deadlineMs: number): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      if (performance.now() > deadlineMs) {
        throw new StoreUnavailable(`Cannot write: found no turn within ${this.#options.operationTimeoutMs} ms`);
      }
      const held = lock === undefined ? undefined : this.#session.held(lock);
      const id = this.#zookeeper.id;
      const found = await mapParallel(writes, LOOKS_MAX, (write) => this.#znodes.exists(this.#place(write.path)));
      const effects = writes.map((write, at) => effectOf(write, recordOf(found[at]), id));
      for (const [at, write] of writes.entries())
        if (effects[at] === "create") await this.#prepare(write.path, found[at]);
      const parts = writes.map((write, at) => this.#parts(write, effects[at] ?? "none", found[at]));
      if (await this.#tryCommit(held, parts.flat())) {
        for (const write of writes) this.#remember(write, held !== undefined);
        return;
      }
    }
    throw new StoreConflict(`Cannot write "${writes[0]?.path}": others came first ${TRIES_MAX} times`);
  }

  /** Whether it was written; false when something has changed since it was looked at. Throws when the lock is lost. */
  async #tryCommit(held: HeldLock | undefined, parts: readonly ZnodeWrite[]): Promise<boolean> {
    const fence: readonly ZnodeWrite[] = held === undefined ? [] : [{ type: "check", path: held.token }];
    if (fence.length + parts.length === 0) return true;
    try {
      await this.#znodes.commit("write", [...fence, ...parts]);
      return true;
    } catch (error) {
      if (!(error instanceof TransactionRefused)) throw error;
      if (held !== undefined && error.index === 0) throw lockConflict(held);
      const changed = ["NO_NODE", "BAD_VERSION", "NODE_EXISTS", "NOT_EMPTY"].includes(error.code);
      if (!changed) throw error;
      // Perhaps a folder was removed by hand.
      if (error.code === "NO_NODE") this.#folders.clear();
      return false;
    }
  }

  #parts(write: PreparedWrite, effect: Effect, stat: Stat | undefined): readonly ZnodeWrite[] {
    const path = this.#place(write.path);
    const version = stat?.version ?? 0;
    if (write.type === "delete") return effect === "remove" ? [{ type: "remove", path, version }] : [];
    const data = Buffer.from(write.text);
    if (effect === "update") return [{ type: "set", path, data, version }];
    // An empty folder of that name may be left from records that were in it.
    const before: readonly ZnodeWrite[] = stat === undefined ? [] : [{ type: "remove", path, version }];
    return [...before, { type: "create", path, ephemeral: write.ephemeral }, { type: "set", path, data, version: 0 }];
  }

  #remember(write: PreparedWrite, fenced: boolean): void {
    this.#ephemerals.delete(write.path);
    this.#fenced.delete(write.path);
    if (write.type === "delete" || !write.ephemeral) return;
    if (fenced) this.#fenced.add(write.path);
    else this.#ephemerals.set(write.path, write.text);
  }

  /** Makes the folders above a record that is to be created. Throws when its place is taken by a folder, or above by records. */
  async #prepare(path: Path, stat: Stat | undefined): Promise<void> {
    const records = new Set<Path>();
    await this.#makeFolder(this.#base);
    for (const folder of [...foldersAbove(path)].reverse()) {
      if (!this.#folders.has(this.#place(folder))) {
        const above = await this.#znodes.exists(this.#place(folder));
        if (recordOf(above) !== undefined) records.add(folder);
      }
      if (records.size === 0) await this.#makeFolder(this.#place(folder));
    }
    checkPlace(
      path,
      (folder) => records.has(folder),
      () => (stat?.children ?? 0) > 0,
    );
  }

  /** Makes a folder and all above it. Those above the root may belong to others, and are made for others too. */
  async #makeFolder(place: string): Promise<void> {
    if (place === "" || this.#folders.has(place)) return;
    if ((await this.#znodes.exists(place)) === undefined) {
      await this.#makeFolder(folderOf(place));
      await this.#znodes.createFolder(place, !place.startsWith(this.#base)).catch((error: unknown) => {
        if (!(error instanceof ZookeeperError) || error.code !== "NODE_EXISTS") throw error;
      });
    }
    this.#folders.add(place);
  }

  async #connected(fresh: boolean): Promise<void> {
    if (fresh) this.#formerIds = [this.#zookeeper.id, ...this.#formerIds].slice(0, FORMER_MAX);
    await this.#locks.connected(fresh);
    if (fresh) await this.#writing.run(() => this.#restore());
    else if (this.#session.state === "lost") await this.#writing.run(() => this.#removeFenced());
    const feeds = [...this.#feeds];
    for (const [feed, watched] of feeds) {
      watched.forget();
      feed.kick();
    }
    await Promise.all(feeds.map(([feed]) => feed.caughtUp()));
  }

  /** Puts the ephemeral records again that nobody else has put meanwhile. */
  async #restore(): Promise<void> {
    this.#fenced.clear();
    for (const [path, text] of this.#ephemerals) {
      let tries = 0;
      while (!(await this.#putAgain(path, text))) {
        tries += 1;
        if (tries === TRIES_MAX)
          throw new StoreConflict(`Cannot put "${path}" again: others came first ${tries} times`);
      }
    }
  }

  /** False when something changed meanwhile. */
  async #putAgain(path: Path, text: string): Promise<boolean> {
    const stat = await this.#znodes.exists(this.#place(path));
    if (stat?.owner === this.#zookeeper.id) return true;
    const ours = stat?.owner !== undefined && this.#formerIds.includes(stat.owner);
    if (stat !== undefined && !ours) {
      this.#ephemerals.delete(path);
      return true;
    }
    if (stat === undefined) await this.#prepare(path, stat);
    const write: PreparedWrite = { type: "put", path, text, ephemeral: true, expect: undefined };
    return this.#tryCommit(undefined, this.#parts(write, "replace", stat));
  }

  /** For a session that was told as lost, and locks with it, but that ZooKeeper has kept. */
  async #removeFenced(): Promise<void> {
    for (const path of this.#fenced) {
      const stat = await this.#znodes.exists(this.#place(path));
      if (stat?.owner === this.#zookeeper.id) await this.#znodes.remove(this.#place(path)).catch(absent);
    }
    this.#fenced.clear();
  }
}

/** What `effectOf` has to know; a znode of version 0 is a folder. */
function recordOf(
  stat: Stat | undefined,
): { readonly version: number; readonly owner: string | undefined } | undefined {
  return stat === undefined || stat.version === 0 ? undefined : stat;
}
