// HTTP to Mesos: a call, and the event stream that a SUBSCRIBE is answered with.
import { RecordReader } from "../recordio.ts";

/** How long Mesos may take to answer a call, or to begin its answer to a SUBSCRIBE. */
export const ANSWER_DEADLINE_MS = 15_000;

/** The longest text of a refusal that is worth telling. */
const MAX_REFUSAL_CHARACTERS = 500;

/** Bun ends a quiet answer after five minutes unless told not to; like Mesos' own clients we go through no proxy. */
const MANNERS: BunFetchRequestInit & { readonly timeout: false } = { timeout: false, proxy: false, redirect: "manual" };

/** POSTs a call in protobuf. Follows no redirect. */
export async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<Response> {
  const protobuf = { "content-type": "application/x-protobuf", accept: "application/x-protobuf" };
  return await fetch(url, {
    ...MANNERS,
    method: "POST",
    headers: { ...protobuf, ...headers },
    body: new Uint8Array(body),
    signal,
  });
}

/** GETs a small text. */
export async function get(
  url: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_DEADLINE_MS)]);
  const response = await fetch(url, { ...MANNERS, redirect: "follow", signal: deadline });
  return { status: response.status, text: await response.text() };
}

/** The frames of an event stream. Ends when Mesos ends it between two frames; `controller` is aborted when none comes in `quietMs()`. */
export async function* frames(
  response: Response,
  controller: AbortController,
  quietMs: () => number,
): AsyncGenerator<Uint8Array> {
  const records = new RecordReader();
  const body: ReadableStream<Uint8Array> | null = response.body;
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const limitMs = quietMs();
      const { done, value } = await within(
        limitMs,
        controller,
        () => `nothing was heard for ${limitMs} ms`,
        reader.read(),
      );
      if (done) break;
      yield* records.push(value);
    }
    if (!records.idle) throw new Error("the stream ended within an event");
  } finally {
    controller.abort(new Error("the stream is over"));
  }
}

/** What `work` comes to; aborts `controller` where that takes too long. A limit that is not finite never ends. */
export async function within<T>(
  limitMs: number,
  controller: AbortController,
  reason: () => string,
  work: Promise<T>,
): Promise<T> {
  const timer = Number.isFinite(limitMs) ? setTimeout(() => controller.abort(new Error(reason())), limitMs) : undefined;
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** What Mesos says in an answer that is not the one hoped for, its status first. */
export async function refusalText(response: Response): Promise<string> {
  const text = (await response.text()).trim().slice(0, MAX_REFUSAL_CHARACTERS);
  if (text.startsWith(String(response.status))) return text;
  return text === "" ? `${response.status} ${response.statusText}`.trim() : `${response.status}: ${text}`;
}

/** A failed request's error in a few words: the system's code where there is one. */
export function failureText(error: unknown): string {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  return typeof code === "string" ? code : typeof message === "string" ? message : String(error);
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  const timer = setTimeout(wake, ms);
  signal.addEventListener("abort", wake);
  await promise;
  signal.removeEventListener("abort", wake);
  clearTimeout(timer);
}
