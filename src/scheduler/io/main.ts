// The scheduler mode: store, API, and the turns of standing by and leading, put together.
import { version } from "../../../package.json";
import { parseMasters, type Credential } from "../../mesos/leader.ts";
import type { FrameworkInfo } from "../../mesos/scheduler-api.ts";
import { createLog } from "../../std/io/log.ts";
import { Recorder } from "../../std/io/recorder.ts";
import { openStore } from "../../store/io/open.ts";
import type { Settings, State } from "../state.ts";
import type { Finding } from "../findings.ts";
import { createApi } from "./api.ts";
import { MAX_BODY_BYTES } from "./api-answers.ts";
import { examine } from "./examine.ts";
import { readFlags, type SchedulerFlags } from "./flags.ts";
import { createMetrics } from "./metrics.ts";
import type { Loop } from "./run.ts";
import { Standby } from "./standby.ts";
import { serveTerm } from "./term.ts";

/** Bun ends a request that is quiet for longer; a node may take a minute to answer a read. */
const IDLE_S = 120;

/** Who has lost a term lets others go first, and does not spin on a store that refuses. */
const AFTER_TERM_MS = 500;

/** Runs a scheduler until it is told to stop or cannot go on. Returns the exit code; throws what an operator must read. */
export async function main(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  const log = createLog("scheduler", flags.logLevel, process.stderr.isTTY && flags.logJson !== true);
  const masters = parseMasters(flags.mesos);
  const credential = await readCredential(flags);
  const user = flags.user ?? ownUser();
  const { record } = flags;
  const recorder = record === undefined ? undefined : new Recorder("scheduler", record, (text) => log.warn(text));
  const stopped = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopped.abort(new Error(signal)));

  const store = await openStore(flags.store, {
    root: `/ringmaster/${flags.name}`,
    sessionTimeoutMs: flags.sessionTimeout * 1000,
    onTrouble: (error) => log.warn({ reason: error.message }, "The store has trouble"),
  });
  let loop: Loop | undefined;
  let standby: Standby | undefined;
  let master: () => string | undefined = () => undefined;
  const metrics = createMetrics(() => loop?.state);
  const instance = crypto.randomUUID();
  const server = serve(flags, {
    instance,
    loop: () => loop,
    standby: () => standby,
    examine: (state) => examine({ state, store, master: master(), credential }),
    metrics: metrics.text,
  });
  try {
    const settings = settingsOf(flags, server.url, credential);
    standby = new Standby({ store, name: flags.name, settings, self: { url: server.url, instance }, log });
    const about = { api: server.url, store: shown(flags.store), failoverTimeoutSeconds: flags.failoverTimeout };
    for (;;) {
      const lock = await standby.lead(stopped.signal);
      const end = await serveTerm({
        store,
        lock,
        name: flags.name,
        settings,
        masters,
        credential,
        framework: (state) => frameworkInfo(flags, user, settings, state, server.url),
        firstSubscriptionMs: flags.mesosTimeout * 1000,
        log,
        metrics,
        recorder,
        onLoop: (running, subscribed) => {
          loop = running;
          master = subscribed;
          log.info(about, `This scheduler leads; nodes outlive it by ${flags.failoverTimeout} s at most`);
        },
        stopped: stopped.signal,
      });
      loop = undefined;
      if (end === "stopped") return 0;
      await Bun.sleep(AFTER_TERM_MS);
    }
  } catch (error) {
    if (stopped.signal.aborted) return 0;
    throw error;
  } finally {
    await server.stop();
    await store.close();
  }
}

type Served = {
  readonly instance: string;
  /** Of the term that this scheduler serves. */
  readonly loop: () => Loop | undefined;
  readonly standby: () => Standby | undefined;
  readonly examine: (state: State) => Promise<readonly Finding[]>;
  readonly metrics: () => Promise<string>;
};

function serve(flags: SchedulerFlags, served: Served): { readonly url: string; readonly stop: () => Promise<void> } {
  const app = createApi({
    instance: served.instance,
    state: () => served.loop()?.state ?? served.standby()?.state,
    standby: () => {
      if (served.loop() !== undefined) return undefined;
      const standby = served.standby();
      return { leader: () => standby?.leader?.url, look: async () => await standby?.look() };
    },
    changes: (listener) => served.loop()?.changes(listener) ?? (() => undefined),
    submit: (command) => {
      const loop = served.loop();
      return loop === undefined ? Promise.reject(new Error("another scheduler leads")) : loop.submit(command);
    },
    examine: async () => {
      const state = served.loop()?.state;
      return state === undefined ? [] : await served.examine(state);
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
      idleTimeout: IDLE_S,
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
    ...(flags.permanentAfter === Infinity ? {} : { permanentAfterMs: flags.permanentAfter * 1000 }),
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
