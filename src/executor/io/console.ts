// What the database prints, in a file of bounded size; its last lines are at hand for a failure's message.
import { closeSync, openSync, renameSync, statSync, writeSync } from "node:fs";

/** Two files of this size at most: the present one and the one before. */
const FILE_MAX_BYTES = 5 * 1024 * 1024;
const LAST_LINES = 12;
const LAST_MAX_CHARS = 1_500;

export class Console {
  readonly #path: string;
  #file: number;
  #bytes: number;
  #tail = "";

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a");
    this.#bytes = statSync(path).size;
  }

  write(chunk: Uint8Array): void {
    if (this.#bytes + chunk.length > FILE_MAX_BYTES) {
      closeSync(this.#file);
      renameSync(this.#path, `${this.#path}.1`);
      this.#file = openSync(this.#path, "a");
      this.#bytes = 0;
    }
    writeSync(this.#file, chunk);
    this.#bytes += chunk.length;
    this.#tail = (this.#tail + new TextDecoder().decode(chunk)).slice(-2 * LAST_MAX_CHARS);
  }

  /** The last lines as one text. */
  lastLines(): string {
    return this.#tail.trimEnd().split("\n").slice(-LAST_LINES).join("\n").slice(-LAST_MAX_CHARS);
  }

  close(): void {
    closeSync(this.#file);
  }
}
