// The telling part of a watch: reads a folder again after every hint, merges hints that come while it reads, and tells only
// what differs from the last telling.
import type { Folder, Watch } from "../store.ts";

const RETRY_MS = 250;

export type FeedOptions = {
  readonly read: () => Promise<Folder>;
  readonly onChange: (records: Folder) => void;
  readonly onTrouble: (error: Error) => void;
  readonly onClose: () => void;
};

export class Feed implements Watch {
  readonly #options: FeedOptions;
  #told: Folder | undefined;
  #stale = false;
  #running = false;
  #closed = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.kick();
  }

  /** The folder may have changed. */
  kick(): void {
    this.#stale = true;
    if (this.#running || this.#closed) return;
    this.#running = true;
    void this.#run();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClose();
  }

  async #run(): Promise<void> {
    while (this.#stale && !this.#closed) {
      this.#stale = false;
      const folder = await this.#read();
      if (this.#closed || folder === undefined || sameFolder(this.#told, folder)) continue;
      this.#told = folder;
      this.#options.onChange(folder);
    }
    this.#running = false;
  }

  async #read(): Promise<Folder | undefined> {
    try {
      return await this.#options.read();
    } catch (error) {
      if (this.#closed) return undefined;
      this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
      await Bun.sleep(RETRY_MS);
      this.#stale = true;
      return undefined;
    }
  }
}

function sameFolder(told: Folder | undefined, folder: Folder): boolean {
  if (told === undefined || told.size !== folder.size) return false;
  for (const [name, stored] of folder) {
    const before = told.get(name);
    if (before?.version !== stored.version || !Bun.deepEquals(before.value, stored.value)) return false;
  }
  return true;
}
