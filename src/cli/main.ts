// The operator's commands: reads the command line, carries it out, and makes an exit code of how it went.
import { faultText } from "../std/reason.ts";
import { EXIT, Failure } from "./failure.ts";
import { carryOut } from "./io/run.ts";
import { pageText, processTerminal, type Terminal } from "./io/terminal.ts";
import { readArguments } from "./program.ts";

/** Runs one command, `args` being the words after the program's name, and returns the exit code (failure.ts). */
export async function main(args: readonly string[], terminal: Terminal = processTerminal): Promise<number> {
  let json = false;
  try {
    const reading = readArguments(args, terminal.env);
    if (reading.type === "text") {
      if (reading.out !== "") terminal.out(reading.out.trimEnd());
      if (reading.err !== "") terminal.err(reading.err.trimEnd());
      return reading.code;
    }
    ({ json } = reading.request);
    return await carryOut(reading.request, terminal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (json && error.answer !== undefined) terminal.out(error.answer.trimEnd());
    const lines = error.message.split("\n");
    terminal.err(
      pageText([
        `ringmaster: ${lines[0] ?? ""}`,
        ...lines.slice(1),
        ...error.faults.map((fault) => `  ${faultText(fault)}`),
      ]),
    );
    return EXIT[error.kind];
  }
}
