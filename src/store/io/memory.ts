// The store for tests and throw-away runs: records in a Map, gone with the process.
import type { Json } from "../../std/json.ts";
import type { StoreOptions } from "../options.ts";
import { checkFolder, checkLockName, checkPath, checkRoot, folderOf, nameOf } from "../paths.ts";
import type { Folder, Lock, Path, SessionState, Store, Stored, Watch, Write } from "../store.ts";
import { StoreUnavailable } from "../store.ts";
import {
  checkPlace,
  type Effect,
  effectOf,
  type PreparedWrite,
  prepareWrites,
  parseValue,
  storedRecord,
} from "../transaction.ts";
import { abortReason, Bell } from "./bell.ts";
import { Feed } from "./feed.ts";
import { HeldLock, lockConflict, Session } from "./session.ts";

/** Looks again so often at what ought to have rung; only a guard. */
const LOOK_MS = 1000;

type Row = { readonly text: string; readonly version: number; readonly owner: string | undefined };
type LockRow = { readonly token: string; readonly owner: string; readonly holder: string };

/** What stores in memory share. Every record, lock and session of it ends with the last reference. */
export class MemoryBackend {
  readonly rows = new Map<string, Row>();
  readonly locks = new Map<string, LockRow>();
  readonly stores = new Set<MemoryStore>();
  readonly bell = new Bell();
  #ids = 0;

  open(options: StoreOptions): Store {
    checkRoot(options.root);
    const store = new MemoryStore(this, options);
    this.stores.add(store);
    return store;
  }

  nextId(): string {
    this.#ids += 1;
    return String(this.#ids);
  }

  /** Ends every open store's session, as ZooKeeper does after a long silence; each makes a new one at once. */
  expire(): void {
    for (const store of this.stores) store.expire();
  }

  /** Removes what ends with a session. */
  endSession(owner: string): void {
    for (const [path, row] of this.rows) if (row.owner === owner) this.rows.delete(path);
    for (const [name, row] of this.locks) if (row.owner === owner) this.locks.delete(name);
    this.changed();
  }

  changed(): void {
    for (const store of this.stores) store.kick();
    this.bell.ring();
  }
}

class MemoryStore implements Store {
  readonly #backend: MemoryBackend;
  readonly #root: string;
  readonly #onTrouble: (error: Error) => void;
  readonly #session = new Session();
  readonly #feeds = new Set<Feed>();
  readonly #ephemerals = new Map<string, string>();
  readonly #closing = new AbortController();
  #owner: string;

  constructor(backend: MemoryBackend, options: StoreOptions) {
    this.#backend = backend;
    this.#root = options.root;
    this.#onTrouble = options.onTrouble ?? (() => undefined);
    this.#owner = backend.nextId();
  }

  async read(path: Path): Promise<Stored | undefined> {
    checkPath("path", path);
    this.#checkOpen(`read "${path}"`);
    const row = this.#backend.rows.get(this.#place(path));
    return row === undefined ? undefined : storedRecord(row.text, row.version);
  }

  async list(folder: Path): Promise<Folder> {
    checkFolder(folder);
    this.#checkOpen(`list "${folder}"`);
    const place = this.#place(folder);
    const rows = [...this.#backend.rows].filter(([path]) => folderOf(path) === place);
    return new Map(rows.map(([path, row]) => [nameOf(path), storedRecord(row.text, row.version)]));
  }

  async write(writes: readonly Write[], options: { readonly lock?: Lock } = {}): Promise<void> {
    const prepared = prepareWrites(writes);
    this.#checkOpen("write");
    if (options.lock !== undefined) this.#fence(options.lock);
    const effects = prepared.map((write) => [write, this.#effect(write)] as const);
    for (const [write, effect] of effects) this.#carryOut(write, effect, options.lock !== undefined);
    this.#backend.changed();
  }

  watch(folder: Path, onChange: (records: Folder) => void): Watch {
    checkFolder(folder);
    const feed: Feed = new Feed({
      read: () => this.list(folder),
      onChange,
      onTrouble: this.#onTrouble,
      onClose: () => this.#feeds.delete(feed),
    });
    this.#feeds.add(feed);
    return feed;
  }

  async lock(name: string, holder: Json, signal?: AbortSignal): Promise<Lock> {
    checkLockName(name);
    const place = this.#place(name);
    const stop = AbortSignal.any(signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal]);
    while (this.#backend.locks.has(place)) await this.#backend.bell.next(LOOK_MS, stop);
    if (stop.aborted) throw abortReason(stop);
    const token = this.#backend.nextId();
    this.#backend.locks.set(place, { token, owner: this.#owner, holder: JSON.stringify(holder) });
    const lock = new HeldLock(name, token, async () => {
      this.#session.locks.delete(lock);
      if (this.#backend.locks.get(place)?.token === token) this.#backend.locks.delete(place);
      this.#backend.changed();
    });
    lock.confirm(performance.now(), Infinity);
    this.#session.locks.add(lock);
    return lock;
  }

  async holder(name: string): Promise<Json | undefined> {
    checkLockName(name);
    this.#checkOpen(`read the holder of lock "${name}"`);
    const row = this.#backend.locks.get(this.#place(name));
    return row === undefined ? undefined : parseValue(row.holder);
  }

  async evict(name: string, holder: Json): Promise<void> {
    checkLockName(name);
    this.#checkOpen(`take lock "${name}" away`);
    const place = this.#place(name);
    const row = this.#backend.locks.get(place);
    if (row === undefined || row.holder !== JSON.stringify(holder)) return;
    this.#backend.locks.delete(place);
    for (const store of this.#backend.stores) store.loseLock(name, row.token);
    this.#backend.changed();
  }

  loseLock(name: string, token: string): void {
    for (const lock of this.#session.locks) {
      if (lock.name !== name || lock.token !== token) continue;
      this.#session.locks.delete(lock);
      lock.lose("somebody took it away");
    }
  }

  onSession(listener: (state: SessionState) => void): void {
    this.#session.listen(listener);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable("Cannot go on: the store is closed"));
    for (const feed of [...this.#feeds]) feed.close();
    this.#session.loseLocks("the store is closed");
    this.#backend.stores.delete(this);
    this.#backend.endSession(this.#owner);
  }

  kick(): void {
    for (const feed of this.#feeds) feed.kick();
  }

  expire(): void {
    const ended = this.#owner;
    this.#owner = this.#backend.nextId();
    this.#backend.endSession(ended);
    this.#session.become("lost", "the session expired");
    for (const [place, text] of this.#ephemerals) {
      if (!this.#backend.rows.has(place)) this.#backend.rows.set(place, { text, version: 1, owner: this.#owner });
    }
    this.#backend.changed();
    this.#session.become("connected", "");
  }

  #place(path: Path): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }

  #checkOpen(what: string): void {
    if (this.#closing.signal.aborted) throw new StoreUnavailable(`Cannot ${what}: the store is closed`);
  }

  #fence(lock: Lock): void {
    const held = this.#session.held(lock);
    if (this.#backend.locks.get(this.#place(held.name))?.token !== held.token) throw lockConflict(lock);
  }

  #effect(write: PreparedWrite): Effect {
    const { rows } = this.#backend;
    const place = this.#place(write.path);
    const effect = effectOf(write, rows.get(place), this.#owner);
    if (effect === "create") {
      checkPlace(
        write.path,
        (path) => rows.has(this.#place(path)),
        () => [...rows.keys()].some((other) => other.startsWith(`${place}/`)),
      );
    }
    return effect;
  }

  #carryOut(write: PreparedWrite, effect: Effect, fenced: boolean): void {
    const place = this.#place(write.path);
    if (write.type === "delete") {
      this.#backend.rows.delete(place);
      this.#ephemerals.delete(place);
      return;
    }
    const before = effect === "update" ? (this.#backend.rows.get(place)?.version ?? 0) : 0;
    const owner = write.ephemeral ? this.#owner : undefined;
    this.#backend.rows.set(place, { text: write.text, version: before + 1, owner });
    if (write.ephemeral && !fenced) this.#ephemerals.set(place, write.text);
    else this.#ephemerals.delete(place);
  }
}
