// Recordings: what enters a decision core, and what it wants done, as lines of JSON that can be decided once more. The first line
// of every process is a header; then, for each start of the core, a line with its first state; then a line for every event.

/** Version of the lines below; a reader refuses any other. */
export const RECORDING_FORMAT = 1;

export type RecordingMode = "scheduler" | "executor";

/** `recording`: whose core. `startedAt`: ISO 8601, UTC. */
export type RecordingHeader = {
  readonly recording: RecordingMode;
  readonly format: number;
  readonly ringmaster: string;
  readonly startedAt: string;
};

/** `end`: why nothing more was written. */
export type RecordingLine =
  | RecordingHeader
  | { readonly start: unknown }
  | { readonly event: unknown; readonly actions: readonly unknown[] }
  | { readonly end: string };

/** User and password in a URL. */
const CREDENTIALS = /\/\/[^@/\s"\\]+@/g;
/** What stands for them, and for a secret: both are still of their shapes, so that the cores take them. */
const NO_CREDENTIALS = "//hidden:hidden@";
const NO_SECRET = "hidden-in-this-recording";
/** Fields that hold a secret in another shape, such as that of a header. */
const SECRET_FIELD = /^(?:authorization|password|secret)$/i;
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A line without its end. Maps, sets and bytes are kept as such; `secrets` and credentials in URLs are not in it. */
export function recordingText(line: RecordingLine, secrets: Iterable<string>): string {
  let text = JSON.stringify(line, function (this: Readonly<Record<string, unknown>>, key, value: unknown) {
    // A Buffer has made an object of itself before it comes here.
    const found = this[key];
    if (SECRET_FIELD.test(key)) return NO_SECRET;
    if (found instanceof Uint8Array) return bytesJson(found);
    if (found instanceof Map) return { $map: [...found] };
    if (found instanceof Set) return { $set: [...found] };
    if (typeof found === "number" && !Number.isFinite(found)) return { $number: String(found) };
    return value;
  });
  for (const secret of secrets) text = text.replaceAll(secret, NO_SECRET);
  return text.replaceAll(CREDENTIALS, NO_CREDENTIALS);
}

/** As text where it is text: what is secret can be found there. */
function bytesJson(bytes: Uint8Array): unknown {
  try {
    return { $text: DECODER.decode(bytes) };
  } catch {
    return { $base64: bytes.toBase64() };
  }
}

/** Reads what `recordingText` wrote. Throws SyntaxError for a line that breaks off. */
export function readRecordingLine(text: string): RecordingLine {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("$text" in value) return new TextEncoder().encode(String(value.$text));
    if ("$base64" in value) return Uint8Array.fromBase64(String(value.$base64));
    if ("$map" in value) return new Map(value.$map as Iterable<[unknown, unknown]>);
    if ("$set" in value) return new Set(value.$set as Iterable<unknown>);
    if ("$number" in value) return Number(value.$number);
    return value;
  }) as RecordingLine;
}
