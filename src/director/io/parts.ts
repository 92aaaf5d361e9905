// A director of several processes on the same ports: starts them, starts another when one ends, and speaks for all.
import type { Log } from "../../std/io/log.ts";
import { type Backoff, backoffMs } from "../../std/backoff.ts";
import { sumMetrics, sumStatus } from "../sum.ts";
import type { DirectorFlags } from "./flags.ts";

const AGAIN: Backoff = { initialMs: 100, factor: 2, maxMs: 10_000, jitter: 0 };
/** A process that served for so long starts with a clean record. */
const GOOD_MS = 60_000;
const ASK_MS = 5000;
/** So much later than they should have ended by themselves, processes are killed. */
const LATE_MS = 5000;

/** One of the processes. `url`: its own admin API, once it serves. */
type Part = {
  readonly index: number;
  child: Bun.Subprocess;
  url: string | undefined;
  startedMs: number;
  /** Ends in a row. */
  ends: number;
};

type Answer = { readonly status: number; readonly text: string };

/** Runs `flags.processes` of them with the same arguments until told to stop. Returns the exit code. */
export async function runParts(args: readonly string[], flags: DirectorFlags, log: Log): Promise<number> {
  const parts = new Parts(args, flags, log);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      parts.stop();
      stopped.resolve();
    });
  process.on("SIGHUP", () => parts.signal("SIGHUP"));
  try {
    await parts.served;
    const { host, port } = flags.admin;
    const server = Bun.serve({
      hostname: host,
      port,
      development: false,
      maxRequestBodySize: 64 * 1024,
      fetch: (request) => parts.answer(request),
    });
    log.info({ admin: `http://${host}:${server.port}` }, `The director serves with ${flags.processes} processes`);
    await stopped.promise;
    await parts.ended(flags.drainTimeout * 1000 + LATE_MS);
    await server.stop(true);
    return 0;
  } finally {
    parts.signal("SIGKILL");
  }
}

class Parts {
  readonly #argv: readonly string[];
  readonly #log: Log;
  readonly #parts: Part[];
  readonly #firstServed = Promise.withResolvers<void>();
  #stopping = false;
  /** The last cluster that an operator chose: a new process is told of it. */
  #configured: string | undefined;

  constructor(args: readonly string[], flags: DirectorFlags, log: Log) {
    const self = Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];
    this.#argv = [...self, "director", ...args, "--part", "--admin", "127.0.0.1:0"];
    this.#log = log;
    this.#parts = Array.from({ length: flags.processes }, (_, at) => {
      const part = { index: at + 1, url: undefined, startedMs: 0, ends: 0 };
      return Object.assign(part, { child: this.#start(part) });
    });
  }

  /** All have served once; rejects when one cannot begin. */
  get served(): Promise<void> {
    return this.#firstServed.promise;
  }

  #start(part: Omit<Part, "child">): Bun.Subprocess {
    part.startedMs = performance.now();
    return Bun.spawn([...this.#argv], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => this.#serves(part, String(message)),
      onExit: (_, code, signal) => this.#exited(part, signal === null ? `code ${code}` : `signal ${signal}`),
    });
  }

  #serves(part: Omit<Part, "child">, url: string): void {
    part.url = url;
    if (this.#configured !== undefined) void ask(url, this.#configured, "PUT");
    if (this.#parts.every((each) => each.url !== undefined)) this.#firstServed.resolve();
  }

  #exited(part: Omit<Part, "child">, how: string): void {
    const wasGood = performance.now() - part.startedMs > GOOD_MS;
    part.url = undefined;
    if (this.#stopping) {
      this.#firstServed.resolve();
      return;
    }
    part.ends = wasGood ? 1 : part.ends + 1;
    const waitMs = backoffMs(AGAIN, part.ends - 1, 0);
    this.#firstServed.reject(new Error(`Cannot start: process ${part.index} ended with ${how}`));
    this.#log.warn(`Process ${part.index} ended with ${how}, another is started in ${waitMs} ms`);
    setTimeout(() => {
      const known = this.#parts.find(({ index }) => index === part.index);
      if (!this.#stopping && known !== undefined) known.child = this.#start(known);
    }, waitMs);
  }

  /** They take no more clients; told twice, they end at once. */
  stop(): void {
    this.#stopping = true;
    this.signal("SIGTERM");
  }

  signal(signal: "SIGHUP" | "SIGTERM" | "SIGKILL"): void {
    if (signal === "SIGKILL") this.#stopping = true;
    for (const { child } of this.#parts) if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  }

  /** Resolves when all have ended; those that are late are killed. */
  async ended(limitMs: number): Promise<void> {
    const late = setTimeout(() => this.signal("SIGKILL"), limitMs);
    await Promise.all(this.#parts.map(({ child }) => child.exited));
    clearTimeout(late);
  }

  /** Speaks for all: figures are added up, changes reach each, all else is what the first says. */
  async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const urls = this.#parts.flatMap(({ url }) => (url === undefined ? [] : [url]));
    if (pathname === "/health" || urls.length === 0) {
      const isUp = urls.length > 0;
      return Response.json(isUp ? { status: "OK" } : { error: "no process serves" }, { status: isUp ? 200 : 503 });
    }
    const isForAll =
      pathname === "/metrics" || pathname === "/status" || pathname === "/ready" || request.method === "PUT";
    const asked = isForAll ? urls : urls.slice(0, 1);
    const answers = await Promise.all(asked.map((url) => ask(url, pathname, request.method)));
    const failed = answers.find(({ status }) => status !== 200);
    if (failed === undefined && request.method === "PUT") this.#configured = pathname;
    if (failed === undefined && pathname === "/metrics")
      return new Response(sumMetrics(answers.map(({ text }) => text)), {
        headers: { "content-type": "text/plain; version=0.0.4" },
      });
    if (failed === undefined && pathname === "/status")
      return Response.json(sumStatus(answers.map(({ text }): unknown => JSON.parse(text))));
    const { status, text } = failed ?? answers[0] ?? { status: 503, text: "{}" };
    return new Response(text, { status, headers: { "content-type": "application/json" } });
  }
}

async function ask(url: string, path: string, method: string): Promise<Answer> {
  try {
    const response = await fetch(`${url}${path}`, { method, signal: AbortSignal.timeout(ASK_MS) });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { status: 503, text: JSON.stringify({ error: `A process of the director does not answer: ${why}` }) };
  }
}
