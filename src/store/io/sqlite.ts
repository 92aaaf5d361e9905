// The store inside the binary: one SQLite file, which several processes of one machine may have open. A session is a row
// with a lease; ephemeral records and locks hang on it.
import { SQLiteError } from "bun:sqlite";
import { randomUUID } from "node:crypto";
import type { Json } from "../../std/json.ts";
import { type StoreOptions, storeOptions } from "../options.ts";
import { checkFolder, checkLockName, checkPath, checkRoot, folderOf, nameOf } from "../paths.ts";
import type { Folder, Lock, Path, SessionState, Store, Stored, Watch, Write } from "../store.ts";
import { StoreUnavailable } from "../store.ts";
import { checkPlace, effectOf, type PreparedWrite, prepareWrites, parseValue, storedRecord } from "../transaction.ts";
import { abortReason, Bell } from "./bell.ts";
import { Feed } from "./feed.ts";
import { isDead, thisProcess } from "./process.ts";
import { HeldLock, lockConflict, Session } from "./session.ts";
import { SqliteFile } from "./sqlite-file.ts";

/** How soon a change by another process is noticed. */
const POLL_MS = 100;
/** How often a lock's waiter looks whether the holder died, which is no change of the file. */
const LOOK_MS = 500;

type Row = { readonly value: string; readonly version: number; readonly session: string | null };

/** Opens the store in `file`. Rejects with an Error that names the file and what is wrong with it. */
export async function openSqlite(file: string, options: StoreOptions): Promise<Store> {
  checkRoot(options.root);
  const all = storeOptions(options);
  const store = new SqliteStore(await SqliteFile.open(file, all), all);
  await store.begin();
  return store;
}

class SqliteStore implements Store {
  readonly #file: SqliteFile;
  readonly #options: Required<StoreOptions>;
  readonly #id = randomUUID();
  readonly #session = new Session();
  readonly #feeds = new Map<Feed, Path>();
  /** Text by place of what is put again after an expiry. */
  readonly #ephemerals = new Map<string, string>();
  readonly #changed = new Bell();
  readonly #closing = new AbortController();
  #waiters = 0;
  #changesSeen = 0;
  #reaped = false;
  #aliveAtMs = performance.now();
  #timers: readonly Timer[] = [];

  constructor(file: SqliteFile, options: Required<StoreOptions>) {
    this.#file = file;
    this.#options = options;
  }

  /** Begins the session. To be called once. */
  async begin(): Promise<void> {
    await this.#file.transact("begin the session", () => this.#renew());
    this.#timers = [
      setInterval(() => void this.#beat(), Math.ceil(this.#options.sessionTimeoutMs / 3)),
      setInterval(() => this.#poll(), POLL_MS),
    ];
  }

  async read(path: Path): Promise<Stored | undefined> {
    checkPath("path", path);
    this.#checkOpen(`read "${path}"`);
    const row = await this.#file.look(`read "${path}"`, () => this.#row(this.#place(path)));
    return row === null ? undefined : storedRecord(row.value, row.version);
  }

  async list(folder: Path): Promise<Folder> {
    checkFolder(folder);
    this.#checkOpen(`list "${folder}"`);
    const sql = "SELECT path, value, version, session FROM records WHERE folder = ? ORDER BY path";
    const rows = await this.#file.look(`list "${folder}"`, () =>
      this.#file.database.query<Row & { path: string }, [string]>(sql).all(this.#place(folder)),
    );
    return new Map(rows.map((row) => [nameOf(row.path), storedRecord(row.value, row.version)]));
  }

  async write(writes: readonly Write[], options: { readonly lock?: Lock } = {}): Promise<void> {
    const prepared = prepareWrites(writes);
    this.#checkOpen("write");
    this.#file.checkRoom("write");
    const { lock } = options;
    await this.#transact("write", () => {
      if (lock !== undefined && !this.#holds(this.#session.held(lock))) throw lockConflict(lock);
      for (const write of prepared) this.#apply(write);
      for (const write of prepared) this.#remember(write, lock !== undefined);
    });
    this.#tell(new Set(prepared.map((write) => folderOf(write.path))));
  }

  watch(folder: Path, onChange: (records: Folder) => void): Watch {
    checkFolder(folder);
    const feed: Feed = new Feed({
      read: () => this.list(folder),
      onChange,
      onTrouble: this.#options.onTrouble,
      onClose: () => this.#feeds.delete(feed),
    });
    this.#feeds.set(feed, folder);
    return feed;
  }

  async lock(name: string, holder: Json, signal?: AbortSignal): Promise<Lock> {
    checkLockName(name);
    this.#file.checkRoom(`take lock "${name}"`);
    const stop = AbortSignal.any(signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal]);
    this.#waiters += 1;
    try {
      for (;;) {
        if (stop.aborted) throw abortReason(stop);
        const lock = await this.#tryLock(name, JSON.stringify(holder));
        if (lock === undefined) {
          await this.#changed.next(LOOK_MS, stop);
        } else if (stop.aborted) {
          await lock.release();
        } else {
          return lock;
        }
      }
    } finally {
      this.#waiters -= 1;
    }
  }

  async holder(name: string): Promise<Json | undefined> {
    checkLockName(name);
    this.#checkOpen(`read the holder of lock "${name}"`);
    const sql = "SELECT holder FROM locks WHERE path = ?";
    const row = await this.#file.look(`read the holder of lock "${name}"`, () =>
      this.#file.database.query<{ holder: string }, [string]>(sql).get(this.#place(name)),
    );
    return row === null ? undefined : parseValue(row.holder);
  }

  async evict(name: string, holder: Json): Promise<void> {
    checkLockName(name);
    this.#checkOpen(`take lock "${name}" away`);
    const sql = "DELETE FROM locks WHERE path = ? AND holder = ?";
    await this.#transact(`take lock "${name}" away`, () => this.#run(sql, this.#place(name), JSON.stringify(holder)));
    this.#changed.ring();
  }

  onSession(listener: (state: SessionState) => void): void {
    this.#session.listen(listener);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable("Cannot go on: the store is closed"));
    for (const timer of this.#timers) clearInterval(timer);
    for (const feed of [...this.#feeds.keys()]) feed.close();
    this.#session.loseLocks("the store is closed");
    try {
      await this.#file.transact("end the session", () => this.#run("DELETE FROM sessions WHERE id = ?", this.#id));
    } catch (error) {
      this.#trouble(error);
    } finally {
      this.#file.close();
    }
  }

  #place(path: Path): string {
    return path === "" ? this.#options.root : `${this.#options.root}/${path}`;
  }

  #checkOpen(what: string): void {
    if (this.#closing.signal.aborted) throw new StoreUnavailable(`Cannot ${what}: the store is closed`);
  }

  #trouble(error: unknown): void {
    this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
  }

  #run(sql: string, ...values: (string | number | null)[]): number {
    return this.#file.database.query(sql).run(...values).changes;
  }

  #row(place: string): Row | null {
    return this.#file.database
      .query<Row, [string]>("SELECT value, version, session FROM records WHERE path = ?")
      .get(place);
  }

  #holds(lock: HeldLock): boolean {
    const sql = "SELECT path FROM locks WHERE path = ? AND token = ?";
    return this.#file.database.query(sql).get(this.#place(lock.name), lock.token) !== null;
  }

  /** As the file's transaction; makes the session again first when it turns out to have expired. */
  async #transact<T>(what: string, run: () => T): Promise<T> {
    try {
      return await this.#file.transact(what, run);
    } catch (error) {
      const cause = error instanceof StoreUnavailable ? error.cause : undefined;
      const expired = cause instanceof SQLiteError && cause.code === "SQLITE_CONSTRAINT_FOREIGNKEY";
      if (!expired) throw error;
      await this.#beat();
      return this.#file.transact(what, run);
    }
  }

  #apply(write: PreparedWrite): void {
    const place = this.#place(write.path);
    const row = this.#row(place);
    const found = row === null ? undefined : { version: row.version, owner: row.session ?? undefined };
    const effect = effectOf(write, found, this.#id);
    if (effect === "create") {
      const below = "SELECT path FROM records WHERE path > ? AND path < ? LIMIT 1";
      checkPlace(
        write.path,
        (path) => this.#row(this.#place(path)) !== null,
        // "0" is the character after "/".
        () => this.#file.database.query(below).get(`${place}/`, `${place}0`) !== null,
      );
    }
    if (write.type === "delete") {
      this.#run("DELETE FROM records WHERE path = ?", place);
      return;
    }
    const version = effect === "update" ? (row?.version ?? 0) + 1 : 1;
    this.#put(place, write.text, version, write.ephemeral ? this.#id : null);
  }

  #put(place: string, text: string, version: number, session: string | null): void {
    const sql = "INSERT OR REPLACE INTO records (path, folder, value, version, session) VALUES (?, ?, ?, ?, ?)";
    this.#run(sql, place, folderOf(place), text, version, session);
  }

  /** What is to be put again after an expiry; decided inside the transaction, so that an expiry comes before or after it. */
  #remember(write: PreparedWrite, fenced: boolean): void {
    const place = this.#place(write.path);
    if (write.type === "put" && write.ephemeral && !fenced) this.#ephemerals.set(place, write.text);
    else this.#ephemerals.delete(place);
  }

  async #tryLock(name: string, holder: string): Promise<HeldLock | undefined> {
    const lock = new HeldLock(name, randomUUID(), (released) => this.#giveUp(released));
    // The lease that the session has already: it is at least as old as the last beat.
    lock.confirm(this.#aliveAtMs, this.#options.sessionTimeoutMs);
    try {
      await this.#transact(`take lock "${name}"`, () => {
        this.#reap();
        const sql = "INSERT OR IGNORE INTO locks (path, token, holder, session) VALUES (?, ?, ?, ?)";
        if (this.#run(sql, this.#place(name), lock.token, holder, this.#id) === 1) this.#session.locks.add(lock);
      });
    } catch (error) {
      this.#session.locks.delete(lock);
      throw error;
    }
    return this.#session.locks.has(lock) ? lock : undefined;
  }

  /** Until it succeeds, the lock stays in `locks`, so that the next beat can try again. */
  async #giveUp(lock: HeldLock): Promise<void> {
    if (this.#closing.signal.aborted) return;
    try {
      await this.#file.transact(`release lock "${lock.name}"`, () =>
        this.#run("DELETE FROM locks WHERE token = ?", lock.token),
      );
      this.#session.locks.delete(lock);
      this.#changed.ring();
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** Ends the sessions of those whose lease is over or whose process is gone. Inside a transaction. */
  #reap(): void {
    const sql = "SELECT id, process, expires_ms FROM sessions WHERE id <> ?";
    const others = this.#file.database.query<{ id: string; process: string | null; expires_ms: number }, [string]>(sql);
    for (const other of others.all(this.#id)) {
      const over = other.expires_ms < Date.now() || (other.process !== null && isDead(other.process));
      if (!over) continue;
      this.#run("DELETE FROM sessions WHERE id = ?", other.id);
      this.#reaped = true;
    }
  }

  /** Keeps the lease, or begins the session (again) with its ephemeral records. Inside a transaction. */
  #renew(): "kept" | "begun" {
    this.#reap();
    this.#aliveAtMs = performance.now();
    const expiresMs = Date.now() + this.#options.sessionTimeoutMs;
    if (this.#session.state === "lost") this.#run("DELETE FROM sessions WHERE id = ?", this.#id);
    if (this.#run("UPDATE sessions SET expires_ms = ? WHERE id = ?", expiresMs, this.#id) === 1) return "kept";
    this.#session.loseLocks("the session expired");
    const sql = "INSERT INTO sessions (id, process, expires_ms) VALUES (?, ?, ?)";
    this.#run(sql, this.#id, thisProcess() ?? null, expiresMs);
    for (const [place, text] of this.#ephemerals) {
      if (this.#row(place) === null) this.#put(place, text, 1, this.#id);
    }
    return "begun";
  }

  async #beat(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    try {
      const outcome = await this.#file.transact("keep the session", () => this.#renew());
      if (outcome === "begun") this.#session.become("lost", "the session expired");
      this.#session.become("connected", "");
      if (outcome === "begun") this.#tell();
      for (const lock of this.#session.locks) {
        if (lock.lost.aborted) await this.#giveUp(lock);
        else if (this.#holds(lock)) lock.confirm(this.#aliveAtMs, this.#options.sessionTimeoutMs);
        else if (this.#session.locks.delete(lock)) lock.lose("somebody took it away");
      }
    } catch (error) {
      this.#trouble(error);
      if (this.#session.state === "connected") this.#session.become("suspended", "");
    }
  }

  /** Notices what other processes wrote (this connection's own writes are no change to it), and that the lease is over. */
  #poll(): void {
    const silentMs = performance.now() - this.#aliveAtMs;
    if (silentMs > this.#options.sessionTimeoutMs)
      this.#session.become("lost", "the session could not be kept in time");
    if (this.#feeds.size === 0 && this.#waiters === 0) return;
    try {
      const changes = this.#file.changes();
      if (changes === this.#changesSeen && !this.#reaped) return;
      this.#changesSeen = changes;
      this.#reaped = false;
      this.#tell();
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** The records of `folders`, or any records, have changed. */
  #tell(folders?: ReadonlySet<Path>): void {
    for (const [feed, folder] of this.#feeds) if (folders?.has(folder) !== false) feed.kick();
    this.#changed.ring();
  }
}
