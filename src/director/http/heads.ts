// Heads of HTTP/1 messages as a proxy must read them: where they end, what body follows, who closes afterwards. What two
// readers could understand differently is refused (RFC 9112, 11.2), since a request could hide in it.

export const HEAD_MAX_BYTES = 64 * 1024;

export type Body =
  | { readonly type: "none" }
  | { readonly type: "length"; readonly bytes: number }
  | { readonly type: "chunked" }
  /** Until the connection ends. */
  | { readonly type: "rest" };

export type RequestHead = {
  readonly method: string;
  readonly body: Body;
  /** Whether the client goes on after the answer. */
  readonly stays: boolean;
};

export type AnswerHead = {
  readonly status: number;
  readonly body: Body;
  /** Whether the server goes on after the answer. */
  readonly stays: boolean;
};

/** `status`: what the client is to be answered. */
export type Bad = { readonly status: 400 | 431 | 501 | 502 | 505; readonly why: string };

const [TAB, LF, CR, SPACE, DOT, ZERO, COLON] = [9, 10, 13, 32, 46, 48, 58];
/** This bit makes a letter a small one, and leaves the dash as it is. */
const LOWER_CASE = 32;
/** What a byte may be part of. */
const [TOKEN, TARGET, VALUE] = [1, 2, 4];
const KINDS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const isToken = /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(byte));
  const isTarget = (byte > SPACE && byte < 127) || byte > 127;
  const isValue = byte !== LF && byte !== CR && byte !== 0;
  return (isToken ? TOKEN : 0) | (isTarget ? TARGET : 0) | (isValue ? VALUE : 0);
});
const METHODS = ["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
/** Of a Content-Length, so that it is a number that JavaScript knows exactly. */
const DIGITS_MAX = 15;

const NO_HEADER = { why: "a header that is none" } as const;

const NONE: Body = { type: "none" };
const CHUNKED: Body = { type: "chunked" };
const REST: Body = { type: "rest" };

/** These only read; repeating those, too, is as doing it once (RFC 9110, 9.2). */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const IDEMPOTENT = new Set([...SAFE, "PUT", "DELETE"]);

export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/** Reads a request's head, which lies between `from` and `to`, up to and with the empty line. */
export function readRequestHead(bytes: Uint8Array, from: number, to: number): RequestHead | Bad {
  const target = past(bytes, from, to, TOKEN) + 1;
  const version = past(bytes, target, to, TARGET) + 1;
  const [major, minor] = [digit(bytes, version + 5), digit(bytes, version + 7)];
  const isLine =
    isEnded(bytes, from, to) &&
    target > from + 1 &&
    bytes[target - 1] === SPACE &&
    version > target + 1 &&
    bytes[version - 1] === SPACE &&
    says(bytes, version, "HTTP/") &&
    major >= 0 &&
    bytes[version + 6] === DOT &&
    minor >= 0 &&
    says(bytes, version + 8, "\r\n");
  if (!isLine) return { status: 400, why: "no request line" };
  if (major !== 1) return { status: 505, why: `HTTP version ${major}.${minor}` };
  const fields = readFields(bytes, version + 10, to);
  if ("why" in fields) return { status: 400, why: fields.why };
  const { length, coding } = fields;
  const method = methodOf(bytes, from, target - 1);
  if (method === "CONNECT") return { status: 501, why: "method CONNECT" };
  if (coding !== undefined && coding !== "chunked")
    return { status: 501, why: "a Transfer-Encoding other than chunked" };
  if (coding !== undefined && minor === 0) return { status: 400, why: "a Transfer-Encoding in HTTP/1.0" };
  return { method, stays: staysOpen(minor, fields), body: coding === undefined ? bodyOf(length ?? 0) : CHUNKED };
}

/** Reads the head of an answer to a request with the method, as `readRequestHead` does. */
export function readAnswerHead(bytes: Uint8Array, from: number, to: number, method: string): AnswerHead | Bad {
  const minor = digit(bytes, from + 7);
  const [hundreds, tens, ones] = [digit(bytes, from + 9), digit(bytes, from + 10), digit(bytes, from + 11)];
  const reason = from + 12;
  const lineEnd = bytes[reason] === SPACE ? past(bytes, reason, to, VALUE) : reason;
  const isLine =
    isEnded(bytes, from, to) &&
    says(bytes, from, "HTTP/1.") &&
    minor >= 0 &&
    bytes[from + 8] === SPACE &&
    Math.min(hundreds, tens, ones) >= 0 &&
    says(bytes, lineEnd, "\r\n");
  if (!isLine) return { status: 502, why: "no status line" };
  const status = hundreds * 100 + tens * 10 + ones;
  const fields = readFields(bytes, lineEnd + 2, to);
  if ("why" in fields) return { status: 502, why: fields.why };
  const { length, coding } = fields;
  const stays = staysOpen(minor, fields);
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return { status, stays, body: NONE };
  if (coding === "chunked") return { status, stays, body: CHUNKED };
  if (coding !== undefined || length === undefined) return { status, stays: false, body: REST };
  return { status, stays, body: bodyOf(length) };
}

/** Whether the head ends as one does. All that reads it stops there at the latest. */
function isEnded(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from >= 4 && says(bytes, to - 4, "\r\n\r\n");
}

/** The first byte that is not of the kind, from `from` on; `to`: they all are. */
function past(bytes: Uint8Array, from: number, to: number, kind: number): number {
  let at = from;
  while (at < to && ((KINDS[bytes[at] ?? 0] ?? 0) & kind) !== 0) at += 1;
  return at;
}

function says(bytes: Uint8Array, from: number, text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (bytes[from + at] !== text.charCodeAt(at)) return false;
  return true;
}

/** Whether a header's name is this one, given in lower case. */
function isNamed(bytes: Uint8Array, from: number, name: string): boolean {
  for (let at = 0; at < name.length; at += 1)
    if (((bytes[from + at] ?? 0) | LOWER_CASE) !== name.charCodeAt(at)) return false;
  return true;
}

/** Below 0: it is none. */
function digit(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] ?? 0;
  return byte >= ZERO && byte <= ZERO + 9 ? byte - ZERO : -1;
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");
}

function methodOf(bytes: Uint8Array, from: number, to: number): string {
  for (const method of METHODS) if (method.length === to - from && says(bytes, from, method)) return method;
  return textOf(bytes, from, to);
}

function bodyOf(length: number): Body {
  return length === 0 ? NONE : { type: "length", bytes: length };
}

type Fields = { length?: number; coding?: string; connection: string };

/** No line begins with a space: a header must not go on over several lines. */
function readFields(bytes: Uint8Array, at: number, to: number): Fields | { readonly why: string } {
  const found: Fields = { connection: "" };
  let next = at;
  while (bytes[next] !== CR) {
    const nameEnd = past(bytes, next, to, TOKEN);
    const valueEnd = past(bytes, nameEnd, to, VALUE);
    if (nameEnd === next || bytes[nameEnd] !== COLON || !says(bytes, valueEnd, "\r\n")) return NO_HEADER;
    const wrong = note(found, bytes, next, nameEnd, valueEnd);
    if (wrong !== undefined) return { why: wrong };
    next = valueEnd + 2;
  }
  if (next + 2 !== to) return NO_HEADER;
  if (found.length !== undefined && found.coding !== undefined)
    return { why: "a Content-Length together with a Transfer-Encoding" };
  return found;
}

/** Notes a header that counts here; returns what is wrong with it. */
function note(found: Fields, bytes: Uint8Array, name: number, nameEnd: number, valueEnd: number): string | undefined {
  const length = nameEnd - name;
  if (length === "connection".length && isNamed(bytes, name, "connection"))
    found.connection += `,${valueOf(bytes, nameEnd + 1, valueEnd).toLowerCase()}`;
  else if (length === "transfer-encoding".length && isNamed(bytes, name, "transfer-encoding")) {
    if (found.coding !== undefined) return "more than one Transfer-Encoding";
    found.coding = valueOf(bytes, nameEnd + 1, valueEnd).toLowerCase();
  } else if (length === "content-length".length && isNamed(bytes, name, "content-length")) {
    if (found.length !== undefined) return "more than one Content-Length";
    found.length = numberOf(bytes, nameEnd + 1, valueEnd);
    if (Number.isNaN(found.length)) return "a Content-Length that is no number";
  }
  return undefined;
}

/** Without the spaces and tabs around it. */
function valueOf(bytes: Uint8Array, from: number, to: number): string {
  const first = firstOf(bytes, from, to);
  return textOf(bytes, first, endOf(bytes, first, to));
}

/** NaN: it is no whole number, or a longer one than any length. */
function numberOf(bytes: Uint8Array, from: number, to: number): number {
  const first = firstOf(bytes, from, to);
  const end = endOf(bytes, first, to);
  if (end === first || end - first > DIGITS_MAX) return Number.NaN;
  let number = 0;
  for (let at = first; at < end; at += 1) {
    const next = digit(bytes, at);
    if (next < 0) return Number.NaN;
    number = number * 10 + next;
  }
  return number;
}

function firstOf(bytes: Uint8Array, from: number, to: number): number {
  let first = from;
  while (first < to && isBlank(bytes[first])) first += 1;
  return first;
}

function endOf(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && isBlank(bytes[end - 1])) end -= 1;
  return end;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function staysOpen(minor: number, { connection }: Fields): boolean {
  if (connection === "") return minor !== 0;
  const options = connection.split(",").map((option) => option.trim());
  return !options.includes("close") && (minor !== 0 || options.includes("keep-alive"));
}

/** The head with "Connection: close" in place of what it says of that. */
export function closing(head: Uint8Array): Uint8Array {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
  const others = text.slice(0, -2).replace(/^(?:connection|keep-alive):[^\n]*\n/gim, "");
  return Buffer.from(`${others}Connection: close\r\n\r\n`, "latin1");
}

const REASONS = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
} as const;

/** An answer of the proxy itself, after which it closes. `hasBody`: not to HEAD. */
export function ownAnswer(status: keyof typeof REASONS, detail: string, hasBody = true): Uint8Array {
  const body = new TextEncoder().encode(`${detail}\n`);
  const later = status === 503 ? "Retry-After: 1\r\n" : "";
  const head = `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n${later}Connection: close\r\n\r\n`;
  return Buffer.concat([new TextEncoder().encode(head), ...(hasBody ? [body] : [])]);
}
