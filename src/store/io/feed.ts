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
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.kick();
  }

  /** The folder may have changed. */
  kick(): void {
    this.#stale = true;
    if (this.#closed) return;
    this.#running ??= this.#run();
  }

  /** Ends when everything hinted at so far was read and told, or the feed is closed. */
  async caughtUp(): Promise<void> {
    await this.#running;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClose();
  }

  async #run(): Promise<void> {
    // The caller keeps this promise before the first read begins.
    await Promise.resolve();
    while (this.#stale && !this.#closed) {
      this.#stale = false;
      const folder = await this.#read();
      if (this.#closed || folder === undefined || sameFolder(this.#told, folder)) continue;
      this.#told = folder;
      // Apart from this loop, so that an error of the listener ends the process and is not taken for the store's.
      queueMicrotask(() => this.#tell(folder));
    }
    this.#running = undefined;
  }

  #tell(folder: Folder): void {
    if (!this.#closed) this.#options.onChange(folder);
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
