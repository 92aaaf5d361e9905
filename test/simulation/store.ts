// The simulated store: the contract of src/store/store.ts without ZooKeeper, with its failures as faults.
import type { Json } from "../../src/std/json.ts";
import { folderOf, nameOf } from "../../src/store/paths.ts";
import {
  type Folder,
  type Lock,
  type Store,
  StoreConflict,
  type Stored,
  StoreUnavailable,
  type Write,
} from "../../src/store/store.ts";
import { effectOf, type PreparedWrite, prepareWrites, storedRecord } from "../../src/store/transaction.ts";
import type { World } from "./world.ts";

type Row = { readonly text: string; readonly version: number };

/** What a holder of the lock is told, and how its session ends. */
export type HeldLock = Lock & { readonly abort: AbortController };

export class SimulatedStore {
  readonly #world: World;
  readonly rows = new Map<string, Row>();
  #holder: HeldLock | undefined;
  readonly #waiting: ((lock: HeldLock) => void)[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Hands the lock on when it is free. The returned function gives the wait up. */
  waitForLock(taken: (lock: HeldLock) => void): () => void {
    this.#waiting.push(taken);
    this.#handOn();
    return () => {
      const at = this.#waiting.indexOf(taken);
      if (at !== -1) this.#waiting.splice(at, 1);
    };
  }

  #handOn(): void {
    this.#world.timeline.at(this.#world.delay("lock", 10, 400), () => {
      if (this.#holder !== undefined) return;
      const taken = this.#waiting.shift();
      if (taken === undefined) return;
      const abort = new AbortController();
      const lock: HeldLock = {
        name: "leader",
        lost: abort.signal,
        isSurelyHeld: () => !abort.signal.aborted,
        abort,
        release: () => Promise.resolve(this.free(lock)),
      };
      this.#holder = lock;
      taken(lock);
    });
  }

  /** The lock is nobody's any more: released, or its holder's session has expired. Its holder may hear of it later. */
  free(lock: HeldLock): void {
    if (this.#holder !== lock) return;
    this.#holder = undefined;
    this.#handOn();
  }

  isHeld(lock: HeldLock): boolean {
    return this.#holder === lock;
  }

  /** The session of whoever holds the lock expires; it hears of it a little later than everybody else. */
  expire(): void {
    const lock = this.#holder;
    if (lock === undefined) return;
    this.#world.timeline.say("store: the leader's session expires");
    this.free(lock);
    this.#world.timeline.at(this.#world.delay("lost", 0, 3000), () =>
      lock.abort.abort(new Error("the session expired")),
    );
  }

  /** Throws when the lock is not held (any more) or a write's `expect` does not hold; writes nothing then. */
  apply(writes: readonly Write[], lock: HeldLock | undefined): void {
    const prepared = prepareWrites(writes);
    if (lock !== undefined && !this.isHeld(lock)) throw new StoreConflict(`Cannot write: lock "${lock.name}" is lost`);
    const effects = prepared.map((write) => [write, effectOf(write, this.#found(write), "")] as const);
    for (const [write, effect] of effects) {
      if (write.type === "delete") this.rows.delete(write.path);
      else
        this.rows.set(write.path, {
          text: write.text,
          version: effect === "create" ? 1 : (this.rows.get(write.path)?.version ?? 0) + 1,
        });
    }
  }

  #found(write: PreparedWrite): { readonly version: number; readonly owner: undefined } | undefined {
    const row = this.rows.get(write.path);
    return row === undefined ? undefined : { version: row.version, owner: undefined };
  }

  /** What a scheduler reads at its start. */
  reader(): Store {
    const cannot = (): never => {
      throw new StoreUnavailable("the simulated scheduler only reads through this");
    };
    return {
      read: (path): Promise<Stored | undefined> => {
        const row = this.rows.get(path);
        return Promise.resolve(row === undefined ? undefined : storedRecord(row.text, row.version));
      },
      list: (folder): Promise<Folder> => {
        const rows = [...this.rows].filter(([path]) => folderOf(path) === folder).sort(([a], [b]) => (a < b ? -1 : 1));
        return Promise.resolve(
          new Map(rows.map(([path, { text, version }]) => [nameOf(path), storedRecord(text, version)])),
        );
      },
      write: (writes, options) => {
        this.apply(writes, options?.lock as HeldLock | undefined);
        return Promise.resolve();
      },
      watch: cannot,
      lock: cannot,
      holder: cannot,
      evict: cannot,
      onSession: cannot,
      close: () => Promise.resolve(),
    };
  }

  /** A record's value, for the simulated director. */
  values(folder: string): readonly Json[] {
    return [...this.rows].flatMap(([path, { text }]) => (folderOf(path) === folder ? [JSON.parse(text) as Json] : []));
  }
}
