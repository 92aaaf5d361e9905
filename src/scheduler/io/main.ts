// The scheduler mode: store, leader lock, API, event loop and the connection to Mesos, put together.
import { version } from "../../../package.json";
import { connectScheduler } from "../../mesos/io/scheduler-connection.ts";
import { parseMasters, type Credential } from "../../mesos/leader.ts";
import type { FrameworkInfo } from "../../mesos/scheduler-api.ts";
import { createLog, type Log } from "../../std/io/log.ts";
import { openStore } from "../../store/io/open.ts";
import type { Lock, Store } from "../../store/store.ts";
import { initialState, type Settings, type State } from "../state.ts";
import { createApi } from "./api.ts";
import { MAX_BODY_BYTES } from "./api-answers.ts";
import { readFlags, type SchedulerFlags } from "./flags.ts";
import { loadRecords } from "./load.ts";
import { createMetrics } from "./metrics.ts";
import { Loop } from "./run.ts";

/** Runs a scheduler until it is told to stop or cannot go on. Returns the exit code; throws what an operator must read. */
export async function main(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  const log = createLog("scheduler", flags.logLevel, process.stderr.isTTY && flags.logJson !== true);
  const masters = parseMasters(flags.mesos);
  const credential = await readCredential(flags);
  const user = flags.user ?? ownUser();
  const stopped = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopped.abort(new Error(signal)));

  const store = await openStore(flags.store, {
    root: `/ringmaster/${flags.name}`,
    onTrouble: (error) => log.warn({ reason: error.message }, "The store has trouble"),
  });
  let loop: Loop | undefined;
  const metrics = createMetrics(() => loop?.state);
  const server = serve(flags, { state: () => loop?.state, loop: () => loop, metrics: metrics.text });
  try {
    const lock = await lead(store, server.url, log, stopped.signal);
    const settings = settingsOf(flags, server.url, credential);
    const records = await loadRecords(store, lock, flags.name);
    const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 1;
    const running = new Loop({
      state: initialState(settings, seed, records),
      store,
      lock,
      log,
      metrics,
      nowMs: Date.now,
      send: (call) => connection.send(call),
    });
    loop = running;
    const connection = connectScheduler({
      masters,
      ...(credential === undefined ? {} : { credential }),
      framework: () => frameworkInfo(flags, user, settings, running.state, server.url),
      onEvent: (event) => running.happen(event),
      ...(records.framework.frameworkId === undefined ? { firstSubscriptionMs: flags.mesosTimeout * 1000 } : {}),
      log,
    });
    log.info(
      { api: server.url, store: shown(flags.store), failoverTimeoutSeconds: flags.failoverTimeout },
      `Nodes outlive this scheduler by ${flags.failoverTimeout} s at most`,
    );
    const stop = Promise.withResolvers<undefined>();
    stopped.signal.addEventListener("abort", () => stop.resolve(undefined), { once: true });
    if (stopped.signal.aborted) stop.resolve(undefined);
    const error = await Promise.race([running.ended, connection.ended, stop.promise]);
    await running.stop();
    if (error === undefined) await connection.close();
    await lock.release();
    if (error !== undefined) throw error;
    return 0;
  } catch (error) {
    if (stopped.signal.aborted) return 0;
    throw error;
  } finally {
    await server.stop();
    await store.close();
  }
}

/** Waits for the leader lock, and says so when it takes long. */
async function lead(store: Store, url: string, log: Log, signal: AbortSignal): Promise<Lock> {
  const holder = await store.holder("leader");
  if (holder !== undefined) log.info({ holder }, "Another scheduler of this name leads: waiting");
  const lock = await store.lock("leader", { url, pid: process.pid }, signal);
  log.info("This scheduler leads");
  return lock;
}

type Served = {
  readonly state: () => State | undefined;
  readonly loop: () => Loop | undefined;
  readonly metrics: () => Promise<string>;
};

function serve(flags: SchedulerFlags, served: Served): { readonly url: string; readonly stop: () => Promise<void> } {
  const app = createApi({
    state: served.state,
    changes: (listener) => served.loop()?.changes(listener) ?? (() => undefined),
    submit: (command) => {
      const loop = served.loop();
      return loop === undefined ? Promise.reject(new Error("another scheduler leads")) : loop.submit(command);
    },
    metrics: served.metrics,
    nowMs: Date.now,
    version,
  });
  // Agents without an artifact server fetch the binary from here; under `bun src/main.ts` this is bun itself, of no use to them.
  app.get("/static/ringmaster", () => new Response(Bun.file(process.execPath)));
  try {
    const server = Bun.serve({
      hostname: flags.http.hostname,
      port: flags.http.port,
      development: false,
      maxRequestBodySize: MAX_BODY_BYTES,
      fetch: (request, bun) => app.fetch(request, { server: bun }),
    });
    const host = flags.advertise ?? (flags.http.hostname === "0.0.0.0" ? "127.0.0.1" : flags.http.hostname);
    return { url: `http://${host}:${server.port}`, stop: () => server.stop(true) };
  } catch (error) {
    throw new Error(
      `Cannot serve the API on ${flags.http.hostname}:${flags.http.port}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

function settingsOf(flags: SchedulerFlags, url: string, credential: Credential | undefined): Settings {
  return {
    role: flags.role ?? flags.name,
    artifactUri: flags.artifactUri ?? `${url}/static/ringmaster`,
    drainMs: flags.drain * 1000,
    ...(flags.store.startsWith("zk://") ? { sharedStore: flags.store } : {}),
    ...(credential === undefined ? {} : { principal: credential.principal }),
  };
}

function frameworkInfo(
  flags: SchedulerFlags,
  user: string,
  settings: Settings,
  state: State,
  url: string,
): FrameworkInfo {
  const { frameworkId, name } = state.framework;
  return {
    name,
    user,
    roles: [settings.role],
    failoverTimeoutMs: flags.failoverTimeout * 1000,
    capabilities: ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "REGION_AWARE"],
    webuiUrl: url,
    ...(frameworkId === undefined ? {} : { id: frameworkId }),
    ...(settings.principal === undefined ? {} : { principal: settings.principal }),
    ...(flags.advertise === undefined ? {} : { hostname: flags.advertise }),
  };
}

/** The user we run as. Not from node:os: it knows only what the environment says, and Marathon's says nothing. */
function ownUser(): string {
  const { stdout, success } = Bun.spawnSync(["id", "-un"]);
  if (!success) throw new Error("Cannot tell which user this is: `id -un` failed; name one with --user");
  return stdout.toString().trim();
}

async function readCredential(flags: SchedulerFlags): Promise<Credential | undefined> {
  const { mesosPrincipal: principal, mesosSecretFile: file } = flags;
  if (principal === undefined && file === undefined) return undefined;
  if (principal === undefined)
    throw new Error("Cannot authenticate: found --mesos-secret-file alone, wanted --mesos-principal with it");
  if (file === undefined)
    throw new Error("Cannot authenticate: found --mesos-principal alone, wanted --mesos-secret-file with it");
  try {
    return { principal, secret: (await Bun.file(file).text()).replace(/\r?\n$/, "") };
  } catch (error) {
    throw new Error(
      `Cannot read --mesos-secret-file "${file}": ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/** A store's URL without a password. */
function shown(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//***@");
}
