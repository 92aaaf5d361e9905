// Sources of backends: the store's records, or a scheduler's API. Both are followed for ever: what fails is tried again, and
// the last list stays.
import { ClustersViewSchema, EndpointsViewSchema } from "../../databases/api.ts";
import type { Endpoint } from "../../databases/endpoint.ts";
import { type Backoff, backoffMs } from "../../std/backoff.ts";
import { openStore } from "../../store/io/open.ts";
import type { Store } from "../../store/store.ts";
import { readEndpoint } from "../targets.ts";

const RETRY: Backoff = { initialMs: 250, factor: 2, maxMs: 5000, jitter: 0.3 };
/** How often a scheduler without a stream of changes is asked. */
const POLL_MS = 2000;
const ANSWER_MS = 10_000;
/** A scheduler says something at least this often. */
const SILENCE_MS = 60_000;
const EVENT_MAX_CHARS = 8 * 1024 * 1024;

export type Source = {
  /** Names of the clusters it knows. Rejects while it is away. */
  readonly clusters: () => Promise<readonly string[]>;
  /** Whether the list is current. */
  readonly connected: () => boolean;
  readonly close: () => Promise<void>;
};

export type Told = {
  readonly onList: (endpoints: readonly Endpoint[]) => void;
  readonly say: (level: "info" | "warn", text: string) => void;
};

/** Waits; shorter when the signal aborts. */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, delayMs);
  signal.addEventListener("abort", () => over.resolve(), { once: true });
  if (signal.aborted) over.resolve();
  await over.promise;
  clearTimeout(timer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Follows `endpoints/` of the framework's store. */
export function watchStore(url: string, framework: string, told: Told): Source {
  const stopped = new AbortController();
  let store: Store | undefined;
  let connected = false;
  const open = async (): Promise<void> => {
    for (let attempt = 0; !stopped.signal.aborted; attempt += 1) {
      try {
        const onTrouble = (error: Error): void => told.say("warn", `The store is in trouble: ${error.message}`);
        const opened = await openStore(url, { root: `/ringmaster/${framework}`, onTrouble });
        if (stopped.signal.aborted) {
          await opened.close();
          return;
        }
        store = opened;
        connected = true;
        opened.onSession((state) => {
          connected = state === "connected";
          const kept = connected ? "" : ": the last list of backends stays";
          told.say(connected ? "info" : "warn", `The store is ${state}${kept}`);
        });
        opened.watch("endpoints", (folder) => {
          const found = [...folder].map(([name, { value }]) => ({ name, endpoint: readEndpoint(value) }));
          for (const { name, endpoint } of found)
            if (endpoint === undefined) told.say("warn", `Cannot read the record "endpoints/${name}": leaving it out`);
          told.onList(found.flatMap(({ endpoint }) => endpoint ?? []));
        });
        return;
      } catch (error) {
        told.say("warn", `${messageOf(error)}; trying again`);
        await pause(backoffMs(RETRY, attempt, Math.random()), stopped.signal);
      }
    }
  };
  const opening = open();
  return {
    clusters: async () => {
      if (store === undefined) throw new Error("The store has not been reached yet");
      return [...(await store.list("clusters")).keys()].sort();
    },
    connected: () => connected,
    close: async () => {
      stopped.abort();
      await opening;
      await store?.close();
    },
  };
}

/** Follows a scheduler's stream of a cluster's endpoints; asks again and again where it has none. */
export function watchScheduler(url: string, cluster: string, told: Told): Source {
  const base = url.replace(/\/+$/, "");
  const path = `${base}/api/v1/clusters/${encodeURIComponent(cluster)}/endpoints`;
  const stopped = new AbortController();
  let connected = false;
  let complaint = "";
  const follow = async (): Promise<void> => {
    for (let attempt = 0; !stopped.signal.aborted;) {
      try {
        await stream(`${path}/events`, stopped.signal, (list) => {
          attempt = 0;
          complaint = "";
          connected = true;
          told.onList(list);
        });
      } catch (error) {
        if (stopped.signal.aborted) return;
        const delayMs = await fallBack(error);
        if (delayMs !== undefined) {
          await pause(delayMs, stopped.signal);
          continue;
        }
      }
      connected = false;
      await pause(backoffMs(RETRY, attempt, Math.random()), stopped.signal);
      attempt += 1;
    }
  };
  /** Asks a scheduler without a stream; returns when to ask again, undefined when that failed too. */
  const fallBack = async (error: unknown): Promise<number | undefined> => {
    try {
      if (!(error instanceof NoStream)) throw error;
      told.onList(await poll(path, stopped.signal));
      connected = true;
      return POLL_MS;
    } catch (failed) {
      const text = messageOf(failed);
      if (text !== complaint) told.say("warn", `${text}; the last list of backends stays, trying again`);
      complaint = text;
      return undefined;
    }
  };
  const following = follow();
  return {
    clusters: async () => {
      const answer = await get(`${base}/api/v1/clusters`, AbortSignal.timeout(ANSWER_MS));
      return ClustersViewSchema.parse(await answer.json())
        .clusters.map(({ name }) => name)
        .sort();
    },
    connected: () => connected,
    close: async () => {
      stopped.abort();
      await following;
    },
  };
}

/** The scheduler has no stream of endpoints. */
class NoStream extends Error {
  override readonly name = "NoStream";
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal });
  } catch (error) {
    throw new Error(`Cannot ask the scheduler at ${url}: ${messageOf(error)}`, { cause: error });
  }
}

async function poll(path: string, signal: AbortSignal): Promise<readonly Endpoint[]> {
  const answer = await get(path, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
  if (!answer.ok) throw new Error(`Cannot read ${path}: found status ${answer.status}, wanted 200`);
  const { cluster, database, nodes } = EndpointsViewSchema.parse(await answer.json());
  const serving = nodes.filter((node) => node.serving);
  return serving.map(({ node, hostname, ports }) => ({
    ...({ schema: 1, rack: "", state: "serving" } as const),
    ...{ cluster, database, node, hostname, ports },
  }));
}

/** Reads Server-Sent Events until the stream ends, which it does not by itself. */
async function stream(
  url: string,
  signal: AbortSignal,
  onList: (endpoints: readonly Endpoint[]) => void,
): Promise<void> {
  const silent = new AbortController();
  const either = AbortSignal.any([signal, silent.signal]);
  let timer = setTimeout(() => silent.abort(new Error("it was silent")), ANSWER_MS);
  try {
    const answer = await fetch(url, { signal: either, headers: { accept: "text/event-stream" }, timeout: false }).catch(
      (error: unknown) => {
        throw new Error(`Cannot follow ${url}: ${messageOf(error)}`, { cause: error });
      },
    );
    if (answer.status === 404 || answer.status === 405) throw new NoStream(`Cannot follow ${url}: there is none`);
    if (!answer.ok) throw new Error(`Cannot follow ${url}: found status ${answer.status}, wanted 200`);
    const decoder = new TextDecoder();
    let text = "";
    const body: ReadableStream<Uint8Array> | null = answer.body;
    for await (const chunk of body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(new Error(`it was silent for ${SILENCE_MS} ms`)), SILENCE_MS);
      text += decoder.decode(chunk, { stream: true });
      const events = text.replaceAll("\r\n", "\n").split("\n\n");
      text = events.pop() ?? "";
      if (text.length > EVENT_MAX_CHARS) throw new Error(`Cannot follow ${url}: found an event without an end`);
      for (const event of events) tell(event, onList);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Tells the list in one event, if it has one: comments keep a connection alive. */
function tell(event: string, onList: (endpoints: readonly Endpoint[]) => void): void {
  const lines = event.split("\n").filter((line) => line.startsWith("data:"));
  if (lines.length === 0) return;
  const list: unknown = JSON.parse(lines.map((line) => line.slice("data:".length)).join("\n"));
  if (!Array.isArray(list)) throw new Error("Cannot read the scheduler's event: found no list of endpoints");
  onList(list.flatMap((value: unknown) => readEndpoint(value) ?? []));
}
