// Where the commands print, ask and read: the only part of them that knows the process it runs in.
import { isatty } from "node:tty";
import { Failure } from "../failure.ts";
import type { Page, Table } from "../page.ts";

export type Terminal = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Prints to stdout, a line's end added. */
  out(text: string): void;
  /** Prints to stderr, a line's end added. */
  err(text: string): void;
  /** Whether a person can answer: stdin is a terminal. */
  readonly attended: boolean;
  /** The line that a person answers; "" at the end of the input. */
  ask(question: string): Promise<string>;
  /** A file's text. Throws a usage Failure if it cannot be read. */
  read(file: string): Promise<string>;
  /** Makes a file of the text. Throws a usage Failure if it cannot be written. */
  write(file: string, text: string): Promise<void>;
};

/** A file that an operator writes is never larger; one that is, is not what was meant. */
const LARGEST_FILE = 4 * 1024 * 1024;

export const processTerminal: Terminal = {
  env: process.env,
  attended: isatty(0),
  out: (text) => console.log(text),
  err: (text) => console.error(text),
  async ask(question) {
    process.stderr.write(question);
    for await (const line of console) return line.trim();
    return "";
  },
  async read(file) {
    const source = Bun.file(file);
    if (source.size > LARGEST_FILE && source.size !== Infinity)
      throw new Failure("usage", `Cannot read "${file}": found ${source.size} bytes, wanted at most ${LARGEST_FILE}`);
    try {
      return await source.text();
    } catch (error) {
      throw new Failure("usage", `Cannot read "${file}": ${error instanceof Error ? error.message : String(error)}`);
    }
  },
  async write(file, text) {
    try {
      await Bun.write(file, text);
    } catch (error) {
      throw new Failure("usage", `Cannot write "${file}": ${error instanceof Error ? error.message : String(error)}`);
    }
  },
};

/** Lays a page out: tables in columns two spaces apart. What comes from elsewhere cannot steer the terminal. */
export function pageText(page: Page): string {
  return page.map((part) => (typeof part === "string" ? printable(part) : tableText(part))).join("\n");
}

function tableText(table: Table): string {
  const rows = table.map((row) => row.map(printable));
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => Bun.stringWidth(row[column] ?? ""))),
  );
  const padded = (cell: string, column: number): string =>
    cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - Bun.stringWidth(cell)));
  return rows.map((row) => row.map(padded).join("  ").trimEnd()).join("\n");
}

/** One line without control characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
