// What a write does to what is there: the one place that knows the rules of versions, owners and `expect`, so that every
// backend only carries out an effect.
import type { Json } from "../std/json.ts";
import { checkPath, foldersAbove } from "./paths.ts";
import type { Path, Stored, Write } from "./store.ts";
import { StoreConflict } from "./store.ts";

/** ZooKeeper's frame holds 1 MiB with everything around the values. */
const TRANSACTION_MAX_BYTES = 900 * 1024;
const TRANSACTION_MAX_WRITES = 1000;

/** A write whose path is checked and whose value is JSON text. */
export type PreparedWrite =
  | {
      readonly type: "put";
      readonly path: Path;
      readonly text: string;
      readonly ephemeral: boolean;
      readonly expect: number | "absent" | undefined;
    }
  | { readonly type: "delete"; readonly path: Path; readonly expect: number | undefined };

/** A record before a write. `owner` is the session of an ephemeral record, undefined for a durable one. */
export type Found = { readonly version: number; readonly owner: string | undefined };

/**
 * create: a record with version 1. update: the next version of the same record. replace: another owner, so a new record
 * with version 1. remove: no record. none: nothing to do.
 */
export type Effect = "create" | "update" | "replace" | "remove" | "none";

/** Checks a transaction's paths and size. Throws an Error that names what is refused. */
export function prepareWrites(writes: readonly Write[]): readonly PreparedWrite[] {
  if (writes.length > TRANSACTION_MAX_WRITES) {
    throw new Error(
      `Cannot write: found ${writes.length} writes, wanted at most ${TRANSACTION_MAX_WRITES} in a transaction`,
    );
  }
  const paths = new Set(writes.map((write) => write.path));
  if (paths.size < writes.length)
    throw new Error(`Cannot write: found a path twice in a transaction of "${[...paths].join('", "')}"`);
  let bytes = 0;
  const prepared = writes.map((write): PreparedWrite => {
    checkPath("path", write.path);
    const above = foldersAbove(write.path).find((folder) => paths.has(folder));
    if (above !== undefined) throw new Error(`Cannot write "${write.path}": found "${above}" in the same transaction`);
    if (write.type === "delete") return { type: "delete", path: write.path, expect: write.expect };
    const text = JSON.stringify(write.value);
    bytes += Buffer.byteLength(text);
    return { type: "put", path: write.path, text, ephemeral: write.ephemeral ?? false, expect: write.expect };
  });
  if (bytes > TRANSACTION_MAX_BYTES) {
    const first = writes[0]?.path ?? "";
    throw new Error(
      `Cannot write "${first}": found ${bytes} bytes of JSON, wanted at most ${TRANSACTION_MAX_BYTES} in a transaction`,
    );
  }
  return prepared;
}

/** JSON text as it was written by a store. */
export function parseValue(text: string): Json {
  return JSON.parse(text) as Json;
}

/** A record from its text and version. */
export function storedRecord(text: string, version: number): Stored {
  return { value: parseValue(text), version };
}

/** What `write` by `session` does to the record `found`. Throws StoreConflict when its `expect` does not hold. */
export function effectOf(write: PreparedWrite, found: Found | undefined, session: string): Effect {
  const expected = write.expect === undefined || write.expect === (found?.version ?? "absent");
  if (!expected) {
    const version = found === undefined ? "no record" : `version ${found.version}`;
    const wanted = write.expect === "absent" ? "no record" : `version ${write.expect}`;
    throw new StoreConflict(`Cannot ${write.type} "${write.path}": found ${version}, wanted ${wanted}`);
  }
  if (write.type === "delete") return found === undefined ? "none" : "remove";
  if (found === undefined) return "create";
  return found.owner === (write.ephemeral ? session : undefined) ? "update" : "replace";
}

/**
 * Throws when a record would be another one's folder, which ZooKeeper has no way to delete or expire. `isRecord` is asked for
 * the folders above, `isFolder` whether anything lies below the path; only a record that is created needs the check.
 */
export function checkPlace(path: Path, isRecord: (path: Path) => boolean, isFolder: (path: Path) => boolean): void {
  const above = foldersAbove(path).find(isRecord);
  if (above !== undefined) throw new Error(`Cannot put "${path}": found a record "${above}", wanted a folder there`);
  if (isFolder(path)) throw new Error(`Cannot put "${path}": found a folder of that name, wanted none`);
}
