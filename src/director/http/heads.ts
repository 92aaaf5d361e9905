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

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([!-~\\x80-\\xff]+) HTTP/(\\d)\\.(\\d)\\r\\n`);
const STATUS_LINE = /^HTTP\/1\.(\d) (\d{3})(?: [^\r\n\0]*)?\r\n/;
/** No line begins with a space: a header must not go on over several lines. */
const FIELDS = new RegExp(`(?:${TOKEN}:[^\\r\\n\\0]*\\r\\n)*\\r\\n`, "y");
const WANTED = /^(content-length|transfer-encoding|connection):[ \t]*([^\r\n]*?)[ \t]*\r$/gim;

/** These only read; repeating those, too, is as doing it once (RFC 9110, 9.2). */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const IDEMPOTENT = new Set([...SAFE, "PUT", "DELETE"]);

export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/** Reads a request's head, up to and with the empty line. */
export function readRequestHead(text: string): RequestHead | Bad {
  const line = REQUEST_LINE.exec(text);
  if (line === null) return { status: 400, why: "no request line" };
  const [all, method = "", , major, minor] = line;
  if (major !== "1") return { status: 505, why: `HTTP version ${major}.${minor}` };
  const fields = readFields(text, all.length);
  if ("why" in fields) return { status: 400, why: fields.why };
  const { length, coding } = fields;
  if (method === "CONNECT") return { status: 501, why: "method CONNECT" };
  if (coding !== undefined && coding !== "chunked")
    return { status: 501, why: "a Transfer-Encoding other than chunked" };
  if (coding !== undefined && minor === "0") return { status: 400, why: "a Transfer-Encoding in HTTP/1.0" };
  const stays = staysOpen(minor, fields);
  if (coding !== undefined) return { method, stays, body: { type: "chunked" } };
  return {
    method,
    stays,
    body: length === undefined || length === 0 ? { type: "none" } : { type: "length", bytes: length },
  };
}

/** Reads the head of an answer to a request with the method. */
export function readAnswerHead(text: string, method: string): AnswerHead | Bad {
  const line = STATUS_LINE.exec(text);
  if (line === null) return { status: 502, why: "no status line" };
  const [all, minor, digits] = line;
  const status = Number(digits);
  const fields = readFields(text, all.length);
  if ("why" in fields) return { status: 502, why: fields.why };
  const { length, coding } = fields;
  const stays = staysOpen(minor, fields);
  if (status < 200 || status === 204 || status === 304 || method === "HEAD")
    return { status, stays, body: { type: "none" } };
  if (coding === "chunked") return { status, stays, body: { type: "chunked" } };
  if (coding !== undefined || length === undefined) return { status, stays: false, body: { type: "rest" } };
  return { status, stays, body: length === 0 ? { type: "none" } : { type: "length", bytes: length } };
}

type Fields = { length?: number; coding?: string; connection: string };

function readFields(text: string, at: number): Fields | { readonly why: string } {
  FIELDS.lastIndex = at;
  if (!FIELDS.test(text) || FIELDS.lastIndex !== text.length) return { why: "a header that is none" };
  const found: Fields = { connection: "" };
  for (const [, name = "", value = ""] of text.slice(at).matchAll(WANTED)) {
    const key = name.toLowerCase();
    if (key === "connection") found.connection += `,${value.toLowerCase()}`;
    else if (key === "transfer-encoding") {
      if (found.coding !== undefined) return { why: "more than one Transfer-Encoding" };
      found.coding = value.toLowerCase();
    } else {
      if (found.length !== undefined) return { why: "more than one Content-Length" };
      if (!/^\d{1,15}$/.test(value)) return { why: "a Content-Length that is no number" };
      found.length = Number(value);
    }
  }
  if (found.length !== undefined && found.coding !== undefined)
    return { why: "a Content-Length together with a Transfer-Encoding" };
  return found;
}

function staysOpen(minor: string | undefined, { connection }: Fields): boolean {
  if (connection === "") return minor !== "0";
  const options = connection.split(",").map((option) => option.trim());
  return !options.includes("close") && (minor !== "0" || options.includes("keep-alive"));
}

/** The head with "Connection: close" in place of what it says of that. */
export function closing(head: Uint8Array): Uint8Array {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
  const others = text.slice(0, -2).replace(/^(?:connection|keep-alive):[^\n]*\n/gim, "");
  return Buffer.from(`${others}Connection: close\r\n\r\n`, "latin1");
}

const REASONS = {
  400: "Bad Request",
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
