// A node's volume on disk: its marker, and the record of the process that uses it.
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { MARKER_FILE, type NodeFailure, type NodeTask } from "../../databases/node.ts";
import { judgeVolume, markerOf, PROCESS_FILE } from "../volume.ts";

/** A volume that this node must not start on. */
export class VolumeRefused extends Error {
  override readonly name = "VolumeRefused";
  readonly failure: NodeFailure;
  constructor(message: string, failure: NodeFailure) {
    super(message);
    this.failure = failure;
  }
}

/** Looks whose data the volume holds, and marks a new one as this node's. Nothing is touched when it is refused. */
export async function claimVolume(node: NodeTask, volume: string): Promise<void> {
  const names = await readdir(volume);
  const marker = names.includes(MARKER_FILE) ? await readFile(`${volume}/${MARKER_FILE}`, "utf8") : undefined;
  const verdict = judgeVolume(node, names, marker);
  if (verdict.type === "refused") throw new VolumeRefused(verdict.message, verdict.failure);
  if (verdict.type === "fresh") await writeDurably(volume, MARKER_FILE, `${JSON.stringify(markerOf(node), null, 2)}\n`);
}

/** On the disk before it returns, and never half a file. */
async function writeDurably(folder: string, name: string, content: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = await open(`${folder}/${name}.new`, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${folder}/${name}.new`, `${folder}/${name}`);
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** A process, told apart from a later one with the same number by when it started (in the kernel's ticks since boot). */
type Identity = { readonly pid: number; readonly startTicks: string };

type ProcessRecord = { readonly boot: string; readonly executor: Identity; readonly database: Identity };

/** Leaves word in the volume which process uses it. */
export async function recordProcess(volume: string, databasePid: number): Promise<void> {
  const [executor, database] = [await identify(process.pid), await identify(databasePid)];
  if (executor === undefined || database === undefined) return;
  const record: ProcessRecord = { boot: await bootId(), executor, database };
  await Bun.write(`${volume}/${PROCESS_FILE}`, `${JSON.stringify(record)}\n`);
}

export async function forgetProcess(volume: string): Promise<void> {
  await rm(`${volume}/${PROCESS_FILE}`, { force: true });
}

/** How long a process that is told to go may take, before it is killed; and how long the kernel may take after that. */
const TERM_WAIT_MS = 20_000;
const KILL_WAIT_MS = 10_000;

/**
 * Makes sure that no other process uses the volume. A database whose executor died is stopped; one whose executor lives
 * is not ours to stop: that is an error.
 */
export async function endLeftover(volume: string, say: (text: string) => void): Promise<void> {
  const record = await readRecord(volume);
  if (record === undefined || record.boot !== (await bootId()) || !(await lives(record.database))) return;
  const { executor, database } = record;
  if (executor.pid !== process.pid && (await lives(executor)))
    throw new Error(`Cannot use volume "${volume}": process ${database.pid} of executor ${executor.pid} uses it`);
  say(`Stopping process ${database.pid}, which uses the volume and has lost its executor`);
  for (const [signal, waitMs] of [
    ["SIGTERM", TERM_WAIT_MS],
    ["SIGKILL", KILL_WAIT_MS],
  ] as const) {
    try {
      process.kill(database.pid, signal);
    } catch (error) {
      if (!(await lives(database))) return;
      throw new Error(`Cannot stop process ${database.pid}, which uses volume "${volume}"`, { cause: error });
    }
    const untilMs = Date.now() + waitMs;
    while (Date.now() < untilMs) {
      if (!(await lives(database))) return;
      await Bun.sleep(100);
    }
  }
  throw new Error(`Cannot use volume "${volume}": process ${database.pid} uses it and does not end`);
}

async function readRecord(volume: string): Promise<ProcessRecord | undefined> {
  const file = Bun.file(`${volume}/${PROCESS_FILE}`);
  if (!(await file.exists())) return undefined;
  // A record cut short by a crash names nobody; it is only written after the process has started.
  return (await file.json().catch(() => undefined)) as ProcessRecord | undefined;
}

async function lives(wanted: Identity): Promise<boolean> {
  return (await identify(wanted.pid))?.startTicks === wanted.startTicks;
}

/** Undefined: there is no such process, or it has ended and only waits to be noticed. */
async function identify(pid: number): Promise<Identity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The second field is the program's name in brackets, which may have blanks: the third field is the first after it.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const startTicks = fields?.[19];
  return startTicks === undefined || fields?.[0] === "Z" ? undefined : { pid, startTicks };
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "unknown")).trim();
}
