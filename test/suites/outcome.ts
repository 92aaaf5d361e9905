// What tests say about waiting, refusals and folders.
import type { Folder } from "../../src/store/store.ts";

const DEADLINE_MS = 15_000;

/** Waits until `condition` holds, and fails with `what` when it does not for long. */
export async function waitUntil(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited ${DEADLINE_MS} ms in vain until ${what}`);
    await Bun.sleep(5);
  }
}

/** What `call` rejects with; fails when it does not. */
export async function failure(call: Promise<unknown>): Promise<Error> {
  const outcome = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (outcome instanceof Error) return outcome;
  throw new Error(`Found ${String(outcome)}, wanted a rejection with an Error`);
}

/** A folder's records as plain data, for comparing. */
export function plain(folder: Folder | undefined): { [name: string]: unknown } | undefined {
  return folder === undefined ? undefined : Object.fromEntries(folder);
}
