// A watched folder in ZooKeeper: keeps what it read, and reads again only what a watch told to have changed.
import type { Folder, Stored } from "../store.ts";
import { storedRecord } from "../transaction.ts";
import { isSegment, nameOf } from "../paths.ts";
import { mapParallel } from "./parallel.ts";
import type { Znode, Znodes } from "./znodes.ts";
import { absent } from "./zookeeper-session.ts";

/** Reads under way for one folder; others need the connection too. */
const READS_MAX = 64;

/** The record in a znode, undefined when it holds none. */
export async function readZnode(znodes: Znodes, place: string): Promise<Stored | undefined> {
  const znode = await znodes.read(place).catch(absent);
  return znode === undefined ? undefined : recordIn(znode);
}

function recordIn(znode: Znode): Stored | undefined {
  // A folder has no data.
  return znode.text === "" ? undefined : storedRecord(znode.text, znode.stat.version);
}

/** All records directly in a folder. */
export async function listZnodes(znodes: Znodes, place: string): Promise<Folder> {
  const names = ((await znodes.children(place).catch(absent)) ?? []).filter(isSegment);
  const records = await mapParallel(names, READS_MAX, (name) => readZnode(znodes, `${place}/${name}`));
  return new Map(
    names.flatMap((name, at) => {
      const record = records[at];
      return record === undefined ? [] : [[name, record] as const];
    }),
  );
}

export class WatchedFolder {
  readonly place: string;
  readonly #znodes: Znodes;
  readonly #records = new Map<string, Stored>();
  /** Children that were there when they were last read, and so left a watch. */
  readonly #watched = new Set<string>();
  /** Children to read. */
  readonly #stale = new Set<string>();
  #listStale = true;

  constructor(znodes: Znodes, place: string) {
    this.#znodes = znodes;
    this.place = place;
  }

  /** A watch on the znode `path` has fired: on the folder itself or on a record in it. */
  touched(path: string): void {
    if (path === this.place) this.#listStale = true;
    else this.#stale.add(nameOf(path));
  }

  /** The watches may be gone: everything is to be read again. */
  forget(): void {
    this.#listStale = true;
    this.#watched.clear();
  }

  /** The folder as it is now, with a watch on everything that was read. */
  async read(): Promise<Folder> {
    while (this.#listStale) await this.#list();
    const names = [...this.#stale];
    this.#stale.clear();
    try {
      await mapParallel(names, READS_MAX, (name) => this.#readChild(name));
    } catch (error) {
      for (const name of names) this.#stale.add(name);
      throw error;
    }
    return new Map(this.#records);
  }

  async #readChild(name: string): Promise<void> {
    const znode = await this.#znodes.read(`${this.place}/${name}`, true).catch(absent);
    const record = znode === undefined ? undefined : recordIn(znode);
    if (record === undefined) this.#records.delete(name);
    else this.#records.set(name, record);
    if (znode === undefined) this.#watched.delete(name);
    else this.#watched.add(name);
  }

  async #list(): Promise<void> {
    this.#listStale = false;
    try {
      const names = new Set(await this.#names());
      for (const name of this.#records.keys()) if (!names.has(name)) this.#records.delete(name);
      for (const name of this.#watched) if (!names.has(name)) this.#watched.delete(name);
      for (const name of names) if (!this.#watched.has(name)) this.#stale.add(name);
    } catch (error) {
      this.#listStale = true;
      throw error;
    }
  }

  async #names(): Promise<readonly string[]> {
    const names = await this.#znodes.children(this.place, true).catch(absent);
    if (names !== undefined) return names.filter(isSegment);
    // Absent: a watch for its coming. When it came just now, the list is read once more.
    if ((await this.#znodes.exists(this.place, true)) !== undefined) this.#listStale = true;
    return [];
  }
}
