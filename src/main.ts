// argv picks the mode. Nothing is loaded before it is asked for, so that the small modes start fast and stay small.
import { version } from "../package.json";
import { CLEAN, isDirectorWord } from "./cli/mode-words.ts";

type Mode = { main(args: readonly string[]): Promise<number> };

async function load([mode, word]: readonly string[]): Promise<Mode | undefined> {
  switch (mode) {
    case "scheduler":
      return await import("./scheduler/io/main.ts");
    case "executor":
      return await import("./executor/io/main.ts");
    case "cepmd":
      return await import("./cepmd/io/main.ts");
    case "director":
      return isDirectorWord(word) ? undefined : await import("./director/io/main.ts");
    case "framework":
      return word === CLEAN
        ? { main: async (args) => (await import("./scheduler/io/clean.ts")).main(args.slice(1)) }
        : undefined;
    default:
      return undefined;
  }
}

/** Runs the mode that argv names, an operator's command if it names none, and returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  if (args[0] === "--version") {
    console.log(`ringmaster ${version}`);
    return 0;
  }
  const mode = await load(args);
  if (mode !== undefined) return await mode.main(args.slice(1));
  const cli: Mode = await import("./cli/main.ts");
  return await cli.main(args);
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  console.error(process.env.RINGMASTER_DEBUG === "1" && stack !== undefined ? stack : `ringmaster: ${message}`);
  process.exit(1);
}
