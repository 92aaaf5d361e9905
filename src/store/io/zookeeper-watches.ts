// The watches that a client has left with ZooKeeper. The client's own keeps an emitter and a wrapped listener for each path,
// a kilobyte for each record of a large folder; here it is a path in a set. Every watch has the same listener.

/** What ZooKeeper tells of a znode, by its numbers. */
type WatchedEvent = { readonly type: number; readonly path: string };

const CREATED = 1;
const DELETED = 2;
const DATA_CHANGED = 3;
const CHILDREN_CHANGED = 4;

/** In the place of the client's `WatcherManager`: the names are the client's. */
export class Watches {
  readonly #onEvent: (path: string) => void;
  readonly #data = new Set<string>();
  readonly #existence = new Set<string>();
  readonly #children = new Set<string>();

  constructor(onEvent: (path: string) => void) {
    this.#onEvent = onEvent;
  }

  registerDataWatcher(path: string): void {
    this.#data.add(path);
  }

  registerExistenceWatcher(path: string): void {
    this.#existence.add(path);
  }

  registerChildWatcher(path: string): void {
    this.#children.add(path);
  }

  getDataWatcherPaths(): readonly string[] {
    return [...this.#data];
  }

  getExistenceWatcherPaths(): readonly string[] {
    return [...this.#existence];
  }

  getChildWatcherPaths(): readonly string[] {
    return [...this.#children];
  }

  isEmpty(): boolean {
    return this.#data.size + this.#existence.size + this.#children.size === 0;
  }

  /** A watch has fired, and is gone with that; each path is told once, whatever watched it. */
  emit({ type, path }: WatchedEvent): void {
    const fired = watchesFor(type, this.#data, this.#existence, this.#children).filter((watched) =>
      watched.delete(path),
    );
    if (fired.length > 0) this.#onEvent(path);
  }
}

function watchesFor(
  type: number,
  data: Set<string>,
  existence: Set<string>,
  children: Set<string>,
): readonly Set<string>[] {
  switch (type) {
    case CREATED:
    case DATA_CHANGED:
      return [data, existence];
    case CHILDREN_CHANGED:
      return [children];
    case DELETED:
      return [data, children];
    default:
      throw new Error(`Cannot understand ZooKeeper: found an event of type ${type}, wanted 1 to 4`);
  }
}
