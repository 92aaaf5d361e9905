// A process beside the database: its start, when it is there, its end.
import type { Companion } from "../../databases/database.ts";
import { startProcess } from "./process.ts";

const CONNECT_EVERY_MS = 100;
/** How long one may take to end after SIGTERM. */
const TERM_WAIT_MS = 3_000;

export type RunningCompanion = {
  readonly pid: number;
  readonly exited: Promise<{ readonly how: string; readonly lastLines: string }>;
  /** Resolves when it has ended. */
  readonly stop: () => Promise<void>;
};

/** Starts it; `onUp` is called once, when its port takes connections. Output goes to `logFile`. */
export function startCompanion(companion: Companion, logFile: string, onUp: () => void): RunningCompanion {
  const child = startProcess(companion.command, {}, logFile);
  const ending = new AbortController();
  const ended = ending.signal;
  const exited = child.exited.finally(() => ending.abort());
  const watch = async (): Promise<void> => {
    while (!ended.aborted && !(await takesConnections(companion.host, companion.port)))
      await Bun.sleep(CONNECT_EVERY_MS);
    if (!ended.aborted) onUp();
  };
  void watch();
  const stop = async (): Promise<void> => {
    if (ended.aborted) return;
    child.signal("SIGTERM");
    await Promise.race([exited, Bun.sleep(TERM_WAIT_MS)]);
    if (!ended.aborted) child.signal("SIGKILL");
    await exited;
  };
  return { pid: child.pid, exited, stop };
}

async function takesConnections(host: string, port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: host, port, socket: { data: () => {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}
