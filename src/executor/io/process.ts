// The database's process: its start, its output, its end; and that it never outlives this executor.
import type { CommandLine } from "../../databases/database.ts";
import { Console } from "./console.ts";

/** What a database gets of the agent's environment; the agent's own LD_LIBRARY_PATH, MESOS_* and BUN_* are nothing to it. */
const INHERITED = /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|JAVA_HOME)$/;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export type DatabaseProcess = {
  readonly pid: number;
  readonly signal: (signal: "SIGTERM" | "SIGKILL") => void;
  readonly exited: Promise<{ readonly how: string; readonly lastLines: string }>;
};

/** Starts the command. `env` is the operator's. Output goes to `logFile`. */
export function startProcess(
  command: CommandLine,
  env: Readonly<Record<string, string>>,
  logFile: string,
): DatabaseProcess {
  const console = new Console(logFile);
  // Ctrl-C in a terminal reaches the whole group; the database is to hear of it from us, after its drain.
  const child = Bun.spawn(["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", ...command.argv], {
    cwd: command.cwd,
    env: { ...cleanEnvironment(), ...env, ...command.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const leash = leashTo(child.pid);
  const printed = Promise.all([pump(child.stdout, console), pump(child.stderr, console)]);
  const exited = async (): Promise<{ how: string; lastLines: string }> => {
    await child.exited;
    leash.kill("SIGKILL");
    // A grandchild can keep the pipe open: its words are not waited for.
    await Promise.race([printed, Bun.sleep(1_000)]);
    const how = child.signalCode === null ? `with code ${child.exitCode}` : `by ${child.signalCode}`;
    const ending = { how, lastLines: console.lastLines() };
    console.close();
    return ending;
  };
  return { pid: child.pid, signal: (signal) => child.kill(signal), exited: exited() };
}

/** What every process of a database begins with. */
export function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => INHERITED.test(name));
  return { PATH, ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ""])) };
}

/**
 * A shell that holds one end of a pipe whose other end only this process has: when we are gone, however, it reads the
 * pipe's end and kills the database. Without it a killed executor would leave the database running on a volume that
 * Mesos gives to the next one.
 */
function leashTo(pid: number): Bun.Subprocess<"pipe", "ignore", "ignore"> {
  const script = 'trap "" INT TERM HUP; cat >/dev/null; kill -KILL "$1"';
  return Bun.spawn(["/bin/sh", "-c", script, "sh", String(pid)], {
    env: { PATH },
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
}

async function pump(stream: ReadableStream<Uint8Array>, console: Console): Promise<void> {
  for await (const chunk of stream) console.write(chunk);
}
