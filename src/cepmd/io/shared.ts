// The names' place in the store: claims and releases of ours, and the watch on everybody's.
import { openStore } from "../../store/io/open.ts";
import { type Folder, type SessionState, type Store, StoreConflict } from "../../store/store.ts";
import { backoffMs } from "../../std/backoff.ts";
import { FOLDER, fromRecord, holderText, mayReplace, type Owner, type SharedName, toRecord } from "../record.ts";

/** Between tries to open the store; a cEPMD serves its own agent meanwhile. */
const OPEN_AGAIN = { initialMs: 500, factor: 2, maxMs: 10_000, jitter: 0.5 };
/** Writes under way; the others wait here, one for each name at most. */
const WRITES_MAX = 64;
/** Times that others may come before one write. */
const TRIES_MAX = 5;

export type SharedOptions = {
  readonly url: string;
  readonly root: string;
  readonly sessionTimeoutMs?: number;
  readonly onFolder: (folder: Folder) => void;
  readonly onStore: (state: SessionState) => void;
  readonly say: (text: string) => void;
};

export type Outcome = { readonly outcome: "held" | "taken" | "unknown"; readonly detail: string };

export class SharedNames {
  readonly #options: SharedOptions;
  readonly #closing = Promise.withResolvers<void>();
  readonly #waiting: (() => Promise<void>)[] = [];
  #writing = 0;
  #store: Store | undefined;
  #closed = false;
  #trouble = "";

  constructor(options: SharedOptions) {
    this.#options = options;
    void this.#open();
  }

  /** Opens the store, however long that takes. */
  async #open(): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt += 1) {
      try {
        const { url, root, sessionTimeoutMs } = this.#options;
        const store = await openStore(url, {
          root,
          ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
          onTrouble: (error) => this.#complain(error.message),
        });
        if (this.#closed) {
          await store.close();
          return;
        }
        this.#begin(store);
        return;
      } catch (error) {
        this.#complain(error instanceof Error ? error.message : String(error));
        await Promise.race([Bun.sleep(backoffMs(OPEN_AGAIN, attempt, Math.random())), this.#closing.promise]);
      }
    }
  }

  #begin(store: Store): void {
    this.#store = store;
    store.onSession((state) => {
      this.#options.say(`The store is ${state}`);
      if (state === "connected") this.#trouble = "";
      this.#options.onStore(state);
    });
    let told = false;
    store.watch(FOLDER, (folder) => {
      this.#options.onFolder(folder);
      if (told) return;
      told = true;
      this.#options.say("The store is connected");
      this.#options.onStore("connected");
    });
  }

  /** Says a trouble once, however often it comes. */
  #complain(text: string): void {
    if (text === this.#trouble || this.#closed) return;
    this.#trouble = text;
    this.#options.say(text);
  }

  /** Puts a name into the store, in the place of nobody who has a right to it. Never rejects. */
  async claim(key: string, mine: SharedName): Promise<Outcome> {
    return await this.#turn<Outcome>(
      async (store) => {
        const path = `${FOLDER}/${key}`;
        let expect: number | "absent" = "absent";
        for (let tries = 0; tries < TRIES_MAX; tries += 1) {
          try {
            await store.write([{ type: "put", path, value: toRecord(mine), ephemeral: true, expect }]);
            return { outcome: "held", detail: "" };
          } catch (error) {
            if (!(error instanceof StoreConflict)) throw error;
          }
          const stored = await store.read(path);
          const found = stored === undefined ? undefined : (fromRecord(stored.value) ?? "unreadable");
          if (found !== undefined && !mayReplace(found, mine)) return { outcome: "taken", detail: holderText(found) };
          expect = stored?.version ?? "absent";
        }
        return { outcome: "unknown", detail: `others came first ${TRIES_MAX} times` };
      },
      (detail) => ({ outcome: "unknown", detail }),
    );
  }

  /** Takes a name out of the store unless it is somebody else's by now. Never rejects. */
  async release(key: string, owner: Owner): Promise<"gone" | "unknown"> {
    return await this.#turn<"gone" | "unknown">(
      async (store) => {
        const path = `${FOLDER}/${key}`;
        for (let tries = 0; tries < TRIES_MAX; tries += 1) {
          const stored = await store.read(path);
          const found = stored === undefined ? undefined : fromRecord(stored.value);
          if (stored === undefined || found === undefined || found.owner !== owner) return "gone";
          try {
            await store.write([{ type: "delete", path, expect: stored.version }]);
            return "gone";
          } catch (error) {
            if (!(error instanceof StoreConflict)) throw error;
          }
        }
        return "unknown";
      },
      () => "unknown",
    );
  }

  /** Runs `work` when fewer than WRITES_MAX others do; `failed` turns what went wrong into an outcome. */
  async #turn<T>(work: (store: Store) => Promise<T>, failed: (why: string) => T): Promise<T> {
    const done = Promise.withResolvers<T>();
    this.#waiting.push(async () => {
      try {
        done.resolve(this.#store === undefined ? failed("the store is away") : await work(this.#store));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#complain(why);
        done.resolve(failed(why));
      }
    });
    this.#pump();
    return await done.promise;
  }

  #pump(): void {
    while (this.#writing < WRITES_MAX) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#writing += 1;
      void next().finally(() => {
        this.#writing -= 1;
        this.#pump();
      });
    }
  }

  /** Ends the session: our names are gone at once for everybody. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.resolve();
    await this.#store?.close();
  }
}
