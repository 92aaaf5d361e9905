// How a store is opened: what every backend needs to know, and what it takes where nothing was said.

export type StoreOptions = {
  /** Folder of all records of this store, e.g. "/ringmaster/demo". Stores with other roots share the backend unseen. */
  readonly root: string;
  /** A session that was silent for so long is over: its ephemeral records and locks are gone. Default 10 000. */
  readonly sessionTimeoutMs?: number;
  /** How long opening may take until it is given up. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** How long an operation may take, waiting for its turn or for the connection included. Default 10 000. */
  readonly operationTimeoutMs?: number;
  /** Operations that may wait for their turn; one more is refused with StoreUnavailable. Default 4096. */
  readonly pendingMax?: number;
  /** Told of every error that is retried inside (watches, sessions), so that somebody can log it. */
  readonly onTrouble?: (error: Error) => void;
};

/** The options with every default filled in. */
export function storeOptions(options: StoreOptions): Required<StoreOptions> {
  return {
    root: options.root,
    sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    operationTimeoutMs: options.operationTimeoutMs ?? 10_000,
    pendingMax: options.pendingMax ?? 4096,
    onTrouble: options.onTrouble ?? (() => undefined),
  };
}
