// Writes a recording (`std/recording.ts`) to a file, line by line, so that the last line before a `kill -9` is there too.
import { closeSync, openSync, writeSync } from "node:fs";
import { version } from "../../../package.json";
import { RECORDING_FORMAT, type RecordingLine, type RecordingMode, recordingText } from "../recording.ts";

/** A process writes no more than this into a recording. */
const MAX_BYTES = 256 * 1024 * 1024;

export class Recorder {
  readonly #file: string;
  readonly #onTrouble: (text: string) => void;
  readonly #secrets = new Set<string>();
  #descriptor: number | undefined;
  #bytes = 0;

  /** Adds to the file; throws if it cannot be opened. `onTrouble`: the recording has ended, the rest goes on. */
  constructor(mode: RecordingMode, file: string, onTrouble: (text: string) => void) {
    this.#file = file;
    this.#onTrouble = onTrouble;
    try {
      this.#descriptor = openSync(file, "a", 0o600);
    } catch (error) {
      throw new Error(`Cannot record to "${file}": ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    const startedAt = new Date().toISOString();
    this.#write({ recording: mode, format: RECORDING_FORMAT, ringmaster: version, startedAt });
  }

  /** Leaves these out of all that follows. */
  hide(...secrets: readonly string[]): void {
    for (const secret of secrets) if (secret !== "") this.#secrets.add(secret);
  }

  /** The core starts with this state. */
  start(state: unknown): void {
    this.#write({ start: state });
  }

  /** The core was told this, and wants that done. */
  step(event: unknown, actions: readonly unknown[]): void {
    this.#write({ event, actions });
  }

  #write(line: RecordingLine): void {
    if (this.#descriptor === undefined) return;
    try {
      // A process that was killed may have left half a line.
      const text = `${"recording" in line ? "\n" : ""}${recordingText(line, this.#secrets)}\n`;
      this.#bytes += text.length;
      if (this.#bytes <= MAX_BYTES) {
        writeSync(this.#descriptor, text);
        return;
      }
      this.#end(`it has ${MAX_BYTES} bytes, which is all that a process may write`);
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  #end(why: string): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return;
    this.#descriptor = undefined;
    this.#onTrouble(`The recording in "${this.#file}" ends here: ${why}`);
    try {
      writeSync(descriptor, `${recordingText({ end: why }, [])}\n`);
    } catch {
      // The disk is full: the reader finds half a line at the end.
    }
    closeSync(descriptor);
  }
}
