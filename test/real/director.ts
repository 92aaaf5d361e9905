// `ringmaster director` as a process for tests, on free ports, and the loads that clients put on it.
import { join } from "node:path";
import type { Protocol } from "../../src/director/state.ts";
import { until } from "./ringmaster.ts";

const ROOT = join(import.meta.dir, "../..");
const ANSWERS_DEADLINE_MS = 60_000;

export type Director = {
  /** Where it listens, by protocol. */
  readonly ports: Readonly<Partial<Record<Protocol, number>>>;
  readonly admin: string;
  readonly pid: number;
  readonly log: () => string;
  /** States of all backends of all listeners, as the admin API tells them. */
  readonly states: () => Promise<readonly string[]>;
  /** Values of a metric, one for each backend. */
  readonly metric: (name: string) => Promise<readonly number[]>;
  readonly stop: () => Promise<void>;
};

/** Starts one that listens for these protocols, and waits until it does. */
export async function startDirector(protocols: readonly Protocol[], ...flags: readonly string[]): Promise<Director> {
  const listen = protocols.flatMap((protocol) => [`--${protocol}-listen`, "127.0.0.1:0"]);
  const argv = ["src/main.ts", "director", ...listen, "--admin", "127.0.0.1:0", "--log-json", ...flags];
  const child = Bun.spawn([process.execPath, ...argv], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  let log = "";
  const ready = Promise.withResolvers<void>();
  const read = async (): Promise<void> => {
    const stderr: ReadableStream<Uint8Array> = child.stderr;
    for await (const chunk of stderr) {
      log += new TextDecoder().decode(chunk);
      if (log.includes('"admin"')) ready.resolve();
    }
    ready.reject(new Error(`The director ended:\n${log}`));
  };
  const reading = read();
  await ready.promise;
  const ports = [...log.matchAll(/"listener":"(\w+)","address":"127\.0\.0\.1:(\d+)"/g)].map(
    ([, protocol, port]) => [protocol, Number(port)] as const,
  );
  const admin = /"admin":"([^"]+)"/.exec(log)?.[1] ?? "";
  return {
    ports: Object.fromEntries(ports),
    admin,
    pid: child.pid,
    log: () => log,
    states: () => statesAt(admin),
    metric: async (name) => {
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      return [...metrics.matchAll(new RegExp(`^ringmaster_director_${name}\\{.*\\} (\\d+)$`, "gm"))].map(([, value]) =>
        Number(value),
      );
    },
    stop: async () => {
      child.kill("SIGKILL");
      await child.exited;
      await reading.catch(() => undefined);
    },
  };
}

async function statesAt(admin: string): Promise<readonly string[]> {
  const answer = (await (await fetch(`${admin}/status`)).json()) as {
    readonly status: { readonly proxy: readonly { readonly nodes: readonly { readonly status: string }[] }[] };
  };
  return answer.status.proxy.flatMap(({ nodes }) => nodes.map(({ status }) => status));
}

/** A request that failed, when it was asked and when it failed (milliseconds of the clock), and how. */
export type Failure = { readonly askedMs: number; readonly failedMs: number; readonly error: string };

/** Clients that ask again and again, and check what they are answered. */
export type Load = {
  readonly name: string;
  readonly done: () => number;
  readonly failures: () => readonly Failure[];
  /** Ends it once every request is answered. */
  readonly stop: () => Promise<void>;
};

/** A load of so many workers in this process. `ask` throws when an answer is missing or wrong. */
export function startLoad(name: string, workers: number, ask: (worker: number, count: number) => Promise<void>): Load {
  const over = new AbortController();
  const failures: Failure[] = [];
  let done = 0;
  const work = async (worker: number): Promise<void> => {
    for (let count = 0; !over.signal.aborted; count += 1) {
      const askedMs = Date.now();
      await ask(worker, count).then(
        () => {
          done += 1;
        },
        (error: unknown) => failures.push({ askedMs, failedMs: Date.now(), error: String(error) }),
      );
      await Bun.sleep(5);
    }
  };
  const working = Array.from({ length: workers }, (_, worker) => work(worker));
  return {
    name,
    done: () => done,
    failures: () => failures,
    stop: async () => {
      over.abort();
      await Promise.all(working);
    },
  };
}

/** Waits until every load has so many more answers. */
export async function goOn(loads: readonly Load[], requests: number): Promise<void> {
  const before = loads.map((load) => load.done());
  await until(`every load has ${requests} more answers`, ANSWERS_DEADLINE_MS, () => {
    const late = loads.filter((load, index) => load.done() < (before[index] ?? 0) + requests);
    if (late.length === 0) return Promise.resolve(true);
    throw new Error(late.map((load) => `${load.name}: ${load.done()}, ${load.failures().at(-1)?.error}`).join("; "));
  });
}

/** What failed of all loads, each kind once, as `load: error, 3 times since <time>`. */
export function failuresOf(loads: readonly Load[]): readonly string[] {
  return loads.flatMap((load) => {
    const kinds = Map.groupBy(load.failures(), ({ error }) => error.split("\n", 1)[0]);
    return [...kinds].map(([error, [first, ...more]]) => {
      const since = new Date(first?.failedMs ?? 0).toISOString();
      return `${load.name}: ${error}, ${more.length + 1} times since ${since}`;
    });
  });
}
