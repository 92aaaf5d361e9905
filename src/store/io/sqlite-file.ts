// One SQLite file that several processes have open: its tables, and transactions that wait their turn without blocking.
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { StoreUnavailable } from "../store.ts";
import { Queue } from "./queue.ts";

/** Marks the file as ours ("RMst" in ASCII), so that no other application's data is ever touched. */
const APPLICATION_ID = 0x524d7374;
/** Grows with every change of the tables. */
const FORMAT = 1;
const BUSY_RETRY_MS = 10;

/** Whatever belongs to a session goes with its row: that is how ephemeral records and locks end. */
const TABLES = `
  CREATE TABLE sessions (id TEXT PRIMARY KEY, process TEXT, expires_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE records (
    path TEXT PRIMARY KEY, folder TEXT NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL,
    session TEXT REFERENCES sessions(id) ON DELETE CASCADE) STRICT;
  CREATE INDEX records_by_folder ON records(folder);
  CREATE INDEX records_by_session ON records(session) WHERE session IS NOT NULL;
  CREATE TABLE locks (
    path TEXT PRIMARY KEY, token TEXT NOT NULL, holder TEXT NOT NULL,
    session TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
`;

type Options = { readonly operationTimeoutMs: number; readonly pendingMax: number };

export class SqliteFile {
  readonly database: Database;
  readonly #options: Options;
  readonly #turns: Queue;

  private constructor(database: Database, options: Options) {
    this.database = database;
    this.#options = options;
    this.#turns = new Queue(options.pendingMax);
  }

  /** Opens `file`, made when it is absent, readable by its owner only. Rejects with an Error that names the file. */
  static async open(file: string, options: Options): Promise<SqliteFile> {
    const path = resolve(file);
    try {
      closeSync(openSync(path, "a", 0o600));
      const opened = new SqliteFile(new Database(path, { readwrite: true, strict: true }), options);
      try {
        await opened.#prepare();
        return opened;
      } catch (error) {
        opened.close();
        throw error;
      }
    } catch (error) {
      throw new Error(`Cannot open store "sqlite:${file}": ${text(error)}`, { cause: error });
    }
  }

  /** Throws StoreUnavailable when too many transactions wait for their turn already. */
  checkRoom(what: string): void {
    this.#turns.checkRoom(what);
  }

  /** Runs `run` as one durable transaction, after all earlier ones of this store; what it throws rolls back. */
  transact<T>(what: string, run: () => T): Promise<T> {
    return this.#turns.run(() => this.look(what, () => this.database.transaction(run).immediate()));
  }

  /** Runs `run`, again while another process keeps the file busy. SQLite's errors become StoreUnavailable. */
  async look<T>(what: string, run: () => T): Promise<T> {
    const deadline = performance.now() + this.#options.operationTimeoutMs;
    for (;;) {
      try {
        return run();
      } catch (error) {
        if (!(error instanceof SQLiteError)) throw error;
        const busy = error.code?.startsWith("SQLITE_BUSY") === true;
        if (!busy || performance.now() > deadline) {
          throw new StoreUnavailable(`Cannot ${what}: ${text(error)}`, { cause: error });
        }
      }
      await Bun.sleep(BUSY_RETRY_MS);
    }
  }

  /** A number that changes when another connection has written. */
  changes(): number {
    return this.database.query<{ data_version: number }, []>("PRAGMA data_version").get()?.data_version ?? 0;
  }

  close(): void {
    this.database.close();
  }

  async #prepare(): Promise<void> {
    const { database } = this;
    // Waiting inside SQLite would hold up the whole process: `look` waits instead.
    database.run("PRAGMA busy_timeout = 0");
    await this.look("open", () => database.query("PRAGMA journal_mode = WAL").get());
    // FULL: an answered write has reached the disk, also when the machine loses its power.
    database.run("PRAGMA synchronous = FULL");
    database.run("PRAGMA foreign_keys = ON");
    await this.transact("open", () => {
      const tables = this.#number("SELECT count(*) AS n FROM sqlite_master");
      if (tables === 0) {
        database.run(TABLES);
        return;
      }
      if (this.#number("SELECT application_id AS n FROM pragma_application_id") !== APPLICATION_ID) {
        throw new Error("found the database of another application, wanted a store or no file");
      }
      const format = this.#number("SELECT user_version AS n FROM pragma_user_version");
      if (format !== FORMAT) throw new Error(`found format ${format}, wanted ${FORMAT}: another release wrote it`);
    });
  }

  #number(sql: string): number {
    return this.database.query<{ n: number }, []>(sql).get()?.n ?? 0;
  }
}

function text(error: unknown): string {
  if (error instanceof SQLiteError) return `${error.message} (${error.code ?? error.errno})`;
  return error instanceof Error ? error.message : String(error);
}
