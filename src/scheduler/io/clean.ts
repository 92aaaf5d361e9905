// `ringmaster framework clean-metadata`: takes everything of a framework out of the store. It opens the store itself, since no
// scheduler may run meanwhile.
import { Command } from "@commander-js/extra-typings";
import { openStore } from "../../store/io/open.ts";
import type { Folder, Store, Write } from "../../store/store.ts";

const EXAMPLES = `
Examples:
  $ ringmaster framework clean-metadata --store zk://zk1:2181/
  $ ringmaster framework clean-metadata --store zk://zk1:2181/ --framework old --force
`;
/** How long to wait for a scheduler that may have ended just now. */
const LOCK_MS = 15_000;
const PORTION = 500;
/** All that a framework writes, what clients read last. */
const FOLDERS = ["plans", "nodes", "clusters", "leftovers", "maintenance", "epmd", "endpoints"] as const;

/** Returns the exit code; throws what an operator must read. */
export async function main(args: readonly string[]): Promise<number> {
  const { store: url, framework, force } = readFlags(args);
  const store = await openStore(url, {
    root: `/ringmaster/${framework}`,
    onTrouble: (error) => console.error(`ringmaster: ${error.message}`),
  });
  try {
    return await clean(store, framework, force === true, console.log);
  } finally {
    await store.close();
  }
}

function readFlags(args: readonly string[]) {
  const program = new Command("ringmaster framework clean-metadata")
    .description(
      "Takes everything that the store has of a framework out of it, so that the next scheduler of that name begins anew. " +
        "Volumes and reservations at Mesos are not touched, but nobody knows whose they are any more: " +
        "`ringmaster framework uninstall` gives them back first. Without --force it only says what is there.",
    )
    .requiredOption("--store <url>", "the scheduler's store: sqlite:FILE or zk://[user:password@]host:port,.../path")
    .option("--framework <name>", "name of the framework", "ringmaster")
    .option("-f, --force", "do it")
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows all flags with examples)")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  program.parse([...args], { from: "user" });
  return program.opts();
}

/** Returns the exit code: 1 where nothing was done because nobody said --force. Rejects while a scheduler leads. */
export async function clean(
  store: Store,
  framework: string,
  force: boolean,
  say: (text: string) => void,
  lockMs = LOCK_MS,
): Promise<number> {
  const record = await store.read("framework");
  const found = await Promise.all(
    FOLDERS.map(async (name): Promise<readonly [string, Folder]> => [name, await store.list(name)]),
  );
  const counts = found.filter(([, { size }]) => size > 0).map(([name, { size }]) => `${size} in ${name}`);
  if (record === undefined && counts.length === 0) {
    say(`The store has nothing of framework "${framework}"`);
    return 0;
  }
  const what = counts.length === 0 ? "no records but its own" : counts.join(", ");
  if (!force) {
    say(
      `Framework "${framework}" has ${what}. With --force this is forgotten: data on volumes that were not given back is lost to it.`,
    );
    return 1;
  }
  const lock = await lockOf(store, framework, lockMs);
  try {
    const writes = found.flatMap(([name, folder]) =>
      [...folder.keys()].map((key): Write => ({ type: "delete", path: `${name}/${key}` })),
    );
    if (record !== undefined) writes.push({ type: "delete", path: "framework" });
    for (let at = 0; at < writes.length; at += PORTION) await store.write(writes.slice(at, at + PORTION), { lock });
    say(`Framework "${framework}" is forgotten: it had ${what}`);
    return 0;
  } finally {
    await lock.release();
  }
}

async function lockOf(store: Store, framework: string, lockMs: number) {
  const holder = { url: "", instance: "clean-metadata" };
  try {
    return await store.lock("leader", holder, AbortSignal.timeout(lockMs));
  } catch (error) {
    throw new Error(
      `Cannot forget framework "${framework}": found a scheduler that leads, waited ${lockMs / 1000} s, wanted none`,
      { cause: error },
    );
  }
}
