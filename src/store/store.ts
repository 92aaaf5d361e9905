// What the scheduler and cEPMD remember: versioned JSON records in folders, behind one interface. `io/` has ZooKeeper,
// SQLite and memory; test/suites/store.ts is the contract that all three pass.
import type { Json } from "../std/json.ts";

/**
 * A record's place below the store's root: segments of [A-Za-z0-9._@-] (not "." nor ".."), joined by "/", at most 1024
 * characters, e.g. "nodes/ringmaster-demo-1". A folder is any path's beginning, "" the root; folders need not be made. A
 * record is nobody's folder.
 */
export type Path = string;

/**
 * A record as stored. `version` grows by one with every write of the record, from 1. A record that was deleted, that becomes
 * ephemeral or durable, or that another session takes over as its ephemeral one, is a new record.
 */
export type Stored = { readonly value: Json; readonly version: number };

/** The direct children of a folder that hold a value, by their last path segment. */
export type Folder = ReadonlyMap<string, Stored>;

export type Write =
  | {
      readonly type: "put";
      readonly path: Path;
      readonly value: Json;
      /**
       * Gone when this store's session ends (close, crash, expiry). After an expiry the store makes a new session and puts
       * the record again by itself, until it is deleted through this store, unless somebody else has put it meanwhile or it
       * was written with a lock: then it goes when the session is lost, as the lock does. Default false.
       */
      readonly ephemeral?: boolean;
      /** Only when the record has this version; "absent": only when there is none. Default: whatever is there. */
      readonly expect?: number | "absent";
    }
  | { readonly type: "delete"; readonly path: Path; readonly expect?: number };

/** A write whose `expect`, or whose lock, did not hold. Nothing of its transaction was written. */
export class StoreConflict extends Error {
  override readonly name = "StoreConflict";
}

/** The store cannot be reached or its session is lost: whether a write under way took effect is unknown. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** A held lock. Writes made with `{ lock }` fail with StoreConflict once it is no longer held: that is the fence. */
export interface Lock {
  readonly name: string;
  /** Aborted when the lock is lost (session over, taken away) or released; the reason is an Error that says which. */
  readonly lost: AbortSignal;
  /**
   * Whether the lock is surely still ours by our own clock: false when the backend has not confirmed it for so long that
   * somebody else may have it unheard of. A write finds out by itself; ask this before touching anything but the store.
   */
  isSurelyHeld(): boolean;
  /** Gives the lock up; never rejects. A store that is away gives it up when it is back, or its session ends first. */
  release(): Promise<void>;
}

export interface Watch {
  close(): void;
}

export type SessionState = "connected" | "suspended" | "lost";

export interface Store {
  /** What this store wrote it reads; what others wrote may come a moment later (it does not once a lock is taken). */
  read(path: Path): Promise<Stored | undefined>;
  /** All records directly in a folder. */
  list(folder: Path): Promise<Folder>;
  /**
   * All or nothing, in the order of the calls. `lock`: only while that lock is held. Deleting what is absent is no error
   * (unless `expect` is given). A transaction has at most 1000 writes, of distinct paths, and 900 KiB of JSON.
   */
  write(writes: readonly Write[], options?: { readonly lock?: Lock }): Promise<void>;
  /**
   * Calls `onChange` with the folder's content now and after every change (changes may be merged, the last state is always
   * told), also after a lost session. Errors are retried inside and told to `onTrouble`.
   */
  watch(folder: Path, onChange: (records: Folder) => void): Watch;
  /** Waits until the lock `name` is ours; `holder` is what others may read meanwhile. Rejects when `signal` aborts first. */
  lock(name: string, holder: Json, signal?: AbortSignal): Promise<Lock>;
  /** What the present holder of the lock said about itself. */
  holder(name: string): Promise<Json | undefined>;
  /**
   * Takes the lock from a holder that is known to be dead, without waiting for the end of its session; nothing happens unless
   * `holder` is what the present one says about itself. Should it live all the same, its writes with the lock fail.
   */
  evict(name: string, holder: Json): Promise<void>;
  /** Told at every change of the session. "connected" after "lost" comes when ephemeral records and watches are back. */
  onSession(listener: (state: SessionState) => void): void;
  close(): Promise<void>;
}
