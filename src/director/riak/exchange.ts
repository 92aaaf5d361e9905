// A request and its answers as they pass by: where they begin and end in the bytes that come.
import { doneField, ERROR, type Request, requestOf } from "./codes.ts";
import type { FrameReader } from "./frames.ts";

/** A longer frame is refused; Riak itself tolerates objects of some 50 MB. */
export const FRAME_MAX_BYTES = 256 * 1024 * 1024;

/** What Riak says of a request that it knows, when its service has been taken away because it stops. */
const SERVICE_GONE = "Unknown message code";

export type ReadRequest =
  /** Its head is not complete. */
  | { readonly type: "more" }
  /** Its length makes no sense. */
  | { readonly type: "bad"; readonly length: number }
  /** `own`: bytes of the request; `after`: a copy of those after it. */
  | { readonly type: "request"; readonly rule: Request; readonly own: Uint8Array; readonly after?: Uint8Array };

/** Reads bytes of a client. `begun`: they go on with a request whose head was read before. */
export function readRequest(reader: FrameReader, begun: boolean, bytes: Uint8Array): ReadRequest {
  const head = begun ? { part: bytes, at: 0 } : readHead(reader, bytes);
  const { code, length } = reader.head ?? { code: 0, length: 0 };
  if (head === undefined) return { type: "more" };
  if (length === 0 || length > FRAME_MAX_BYTES) return { type: "bad", length };
  const rule = requestOf(code);
  const { part, at } = head;
  if (begun && reader.complete) return { type: "request", rule, own: new Uint8Array(), after: bytes.slice() };
  if (!begun && rule.replies.type === "stream" && rule.replies.ifField !== undefined) reader.want(rule.replies.ifField);
  const end = rule.hold === "raw" ? part.length : reader.readBody(part, at);
  if (end === part.length) return { type: "request", rule, own: part };
  return { type: "request", rule, own: part.subarray(0, end), after: part.slice(end) };
}

/** The bytes from the head on, in one piece even where the head came in several, and where the body begins in them. */
function readHead(
  reader: FrameReader,
  bytes: Uint8Array,
): { readonly part: Uint8Array; readonly at: number } | undefined {
  const at = reader.readHead(bytes, 0);
  if (reader.head === undefined) return undefined;
  const { headBytes } = reader;
  if (at === headBytes.length) return { part: bytes, at };
  return { part: Buffer.concat([headBytes, bytes.subarray(at)]), at: headBytes.length };
}

/** Whether a request that is complete is answered by a stream. */
export function isStream({ replies }: Request, reader: FrameReader): boolean {
  return replies.type === "stream" && (replies.ifField === undefined || reader.flag);
}

/** Reads answers up to the last one of a request; returns where it stopped, and whether that one was complete. */
export function readAnswers(
  reader: FrameReader,
  stream: boolean,
  bytes: Uint8Array,
): { readonly at: number; readonly over: boolean } {
  let at = 0;
  while (at < bytes.length) {
    if (reader.between || reader.head === undefined) {
      at = reader.readHead(bytes, at);
      if (reader.head === undefined) break;
      const field = stream ? doneField(reader.head.code) : 0;
      if (field > 0) reader.want(field);
    }
    at = reader.readBody(bytes, at);
    if (reader.complete && (reader.head?.code === ERROR || !stream || reader.flag)) return { at, over: true };
  }
  return { at, over: false };
}

/** Whether the answer that was just read, whole in `bytes`, says that the node does not serve any more. */
export function isServiceGone({ head }: FrameReader, bytes: Uint8Array): boolean {
  return head?.code === ERROR && new TextDecoder("latin1").decode(bytes.subarray(0, 256)).includes(SERVICE_GONE);
}
