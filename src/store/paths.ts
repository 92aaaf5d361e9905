// Names of records, folders and locks: what is allowed, and how a path is taken apart.
import type { Path } from "./store.ts";

const SEGMENT = /^[A-Za-z0-9._@-]+$/;
/** Longer than any name the product makes, and short enough for every backend. */
const PATH_MAX = 1024;
const WANTED = 'wanted letters, digits, ".", "_", "@" and "-", but neither "." nor ".."';

/** Whether `text` may stand between two slashes of a path. */
export function isSegment(text: string): boolean {
  return SEGMENT.test(text) && text !== "." && text !== "..";
}

/** Throws, naming `what` is refused, unless `path` is the path of a record. */
export function checkPath(what: string, path: Path): void {
  if (path.length > PATH_MAX) {
    throw new Error(
      `Cannot use ${what} "${path.slice(0, 64)}…": found ${path.length} characters, wanted at most ${PATH_MAX}`,
    );
  }
  for (const segment of path.split("/")) {
    if (!isSegment(segment)) throw new Error(`Cannot use ${what} "${path}": found "${segment}", ${WANTED}`);
  }
}

/** Throws unless `folder` is a folder; "" is the root, which holds the records without a slash. */
export function checkFolder(folder: Path): void {
  if (folder !== "") checkPath("folder", folder);
}

/** Throws unless `name` is one segment. */
export function checkLockName(name: string): void {
  if (!isSegment(name)) throw new Error(`Cannot use lock "${name}": ${WANTED}`);
}

/** Throws unless `root` is an absolute path such as "/ringmaster/demo". */
export function checkRoot(root: string): void {
  if (!root.startsWith("/")) throw new Error(`Cannot use root "${root}": wanted a path that starts with "/"`);
  checkPath("root", root.slice(1));
}

/** The folder that holds the record: "nodes" for "nodes/demo-1", "" for "framework". */
export function folderOf(path: Path): Path {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The record's last segment. */
export function nameOf(path: Path): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Every folder that a path lies in, the nearest first, the root left out: "a/b", "a" for "a/b/c". */
export function foldersAbove(path: Path): readonly Path[] {
  const folder = folderOf(path);
  return folder === "" ? [] : [folder, ...foldersAbove(folder)];
}
