// Runs the programs that the scripts are made of.

export const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

export type Outcome = { readonly code: number; readonly output: string; readonly seconds: number };

/**
 * Runs `argv` in the repository's root and collects stdout and stderr in the order they come. `onText` is called with every
 * piece of both as well. The environment is ours, with colours off unless a person watches.
 */
export async function run(argv: readonly string[], onText: (text: string) => void = () => {}): Promise<Outcome> {
  const startedMs = performance.now();
  const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" };
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...colour },
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of stream) {
      const text = decoder.decode(piece, { stream: true });
      output += text;
      onText(text);
    }
  };
  await Promise.all([collect(child.stdout), collect(child.stderr)]);
  const code = await child.exited;
  return { code, output, seconds: (performance.now() - startedMs) / 1000 };
}

/** Runs `argv` and returns what it printed; throws with that text when it fails. `what` names the step in the error. */
export async function must(what: string, argv: readonly string[]): Promise<string> {
  const outcome = await run(argv);
  if (outcome.code !== 0)
    throw new Error(`Cannot ${what}: "${argv.join(" ")}" ended with ${outcome.code}\n${outcome.output.trim()}`);
  return outcome.output;
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
