// Runs the programs that the scripts are made of.
import { dirname } from "node:path";

export const ROOT = dirname(import.meta.dir);

export type Outcome = { readonly code: number; readonly output: string };

export type RunOptions = {
  /** Called with every piece of stdout and stderr as it comes. */
  readonly onText?: (text: string) => void;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** After this time, or when `signal` aborts, the program gets SIGTERM, and SIGKILL five seconds later. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

const KILL_AFTER_MS = 5000;

/** Runs `argv` in the repository's root and collects stdout and stderr in the order they come. No colours unless a person watches. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" };
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...colour, ...options.env },
  });
  const limits = [options.signal, options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs)];
  const limit = AbortSignal.any(limits.filter((signal) => signal !== undefined));
  const end = (): void => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS).unref();
  };
  if (limit.aborted) end();
  limit.addEventListener("abort", end);
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of stream) {
      const text = decoder.decode(piece, { stream: true });
      output += text;
      options.onText?.(text);
    }
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const code = await child.exited;
  // What the program left running may hold its pipes open: a moment for the last words, then go on without.
  await Promise.race([collected, Bun.sleep(1000)]);
  return { code, output };
}

/** Runs `argv`; throws with what it printed when it fails. `what` names the step in the error. */
export async function must(what: string, argv: readonly string[]): Promise<void> {
  const { code, output } = await run(argv);
  if (code !== 0) throw new Error(`Cannot ${what}: "${argv.join(" ")}" ended with ${code}\n${output.trim()}`);
}

/** The body of a script: prints an error without its stack and ends with 1, so that a caller sees one clear line. */
export async function script(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
