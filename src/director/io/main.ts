// `ringmaster director`: the proxy beside client applications.
import { createLog } from "../../std/io/log.ts";
import { DEFAULTS } from "../decide.ts";
import { type Limits, limitsOf } from "../limits.ts";
import type { Protocol } from "../state.ts";
import { PROTOCOLS } from "../targets.ts";
import { serveAdmin } from "./admin.ts";
import { type DirectorFlags, readFlags } from "./flags.ts";
import { runParts } from "./parts.ts";
import { Director, type DirectorOptions, type From } from "./run.ts";

import { readTls } from "./tls.ts";

/** Runs a director until it is told to stop. Returns the exit code; throws what an operator must read. */
export async function main(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  const log = createLog("director", flags.logLevel, process.stderr.isTTY && flags.logJson !== true);
  const options = await readOptions(flags);
  if (flags.processes > 1 && !options.isPart) return await runParts(args, flags, log);
  const tls = await readTls(flags, options.handshakesMax, (level, text) => log[level](text));
  const director = new Director({ ...options, tls, log });
  if (tls.clientTls !== undefined || tls.backendTls !== undefined) process.on("SIGHUP", tls.reload);
  const abort = new AbortController();
  const { host, port } = flags.admin;
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      signals += 1;
      stopped.resolve();
      // Who asks twice means at once.
      if (signals > 1) abort.abort();
    });
  try {
    const admin = serveAdmin(director, host, port);
    if (options.isPart) {
      // Without the process that started it, nobody would stop it.
      process.on("disconnect", stopped.resolve);
      process.send?.(admin.url);
    } else log.info({ admin: admin.url }, "The director serves");
    await stopped.promise;
    log.info(`Stopping: no new clients; connections may finish for ${flags.drainTimeout} s, a second signal ends them`);
    const timer = setTimeout(() => abort.abort(), flags.drainTimeout * 1000);
    await director.stop(abort.signal);
    clearTimeout(timer);
    await admin.stop();
    tls.close();
    return 0;
  } catch (error) {
    await director.stop(AbortSignal.abort());
    throw error;
  }
}

async function readOptions(flags: DirectorFlags): Promise<Omit<DirectorOptions, "log"> & Limits> {
  const { rack, zone } = flags;
  const listen = {
    ...(flags.httpListen === undefined ? {} : { http: flags.httpListen }),
    ...(flags.pbListen === undefined ? {} : { pb: flags.pbListen }),
    ...(flags.cqlListen === undefined ? {} : { cql: flags.cqlListen }),
  };
  const from = sourceOf(flags);
  for (const { host, port } of Object.values(listen))
    if (port === 0 && flags.processes > 1)
      throw new Error(`Cannot share ${host}:0 among ${flags.processes} processes: wanted a port from 1 to 65535`);
  const listeners = PROTOCOLS.filter((protocol) => Object.hasOwn(listen, protocol));
  if (listeners.length === 0)
    throw new Error("Cannot start: found no listener, wanted --http-listen, --pb-listen or --cql-listen");
  if (from.type === "static")
    for (const { protocol, host, port } of from.backends) {
      const known = protocol === undefined ? listeners.length === 1 : listeners.includes(protocol);
      if (!known)
        throw new Error(
          `Cannot use --backend ${host}:${port}: found listeners ${listeners.join(", ")}, wanted one of them before it, as in ${listeners[0]}=${host}:${port}`,
        );
    }
  const { clientsMax, handshakesMax } = await readLimits(listeners, flags);
  return {
    from,
    followed: { framework: flags.framework, cluster: flags.cluster ?? "" },
    listen,
    httpMode: flags.httpMode,
    httpTimes: { headMs: flags.httpHeadTimeout * 1000, idleMs: flags.httpIdleTimeout * 1000 },
    pbMode: flags.pbMode,
    cqlMode: flags.cqlMode,
    clientsMax: Math.min(flags.maxClients ?? Number.POSITIVE_INFINITY, clientsMax),
    handshakesMax,
    isPart: flags.part === true,
    connectTimeoutMs: flags.connectTimeout * 1000,
    probeTimeoutMs: flags.probeTimeout * 1000,
    settings: {
      ...DEFAULTS,
      ...(rack === undefined ? {} : { rack }),
      ...(zone === undefined ? {} : { zone }),
      connectionsMax: flags.maxConnections,
      queueMax: flags.queue,
      queueTimeoutMs: flags.queueTimeout * 1000,
      drainTimeoutMs: flags.drainTimeout * 1000,
      probeIntervalMs: flags.probeInterval * 1000,
    },
  };
}

function sourceOf({ store, scheduler, backend, cluster }: DirectorFlags): From {
  const found = [
    ...(store === undefined ? [] : ["--store"]),
    ...(scheduler === undefined ? [] : ["--scheduler"]),
    ...(backend.length === 0 ? [] : ["--backend"]),
  ];
  if (found.length !== 1)
    throw new Error(
      `Cannot start: found ${found.length === 0 ? "no source of backends" : found.join(" and ")}, wanted one of --store, --scheduler and --backend`,
    );
  if (backend.length > 0) return { type: "static", backends: backend };
  if (cluster === undefined) throw new Error(`Cannot start: found ${found[0]} without --cluster, wanted both`);
  return scheduler === undefined ? { type: "store", url: store ?? "" } : { type: "scheduler", url: scheduler };
}

/** Of each listener. */
async function readLimits(listeners: readonly Protocol[], flags: DirectorFlags): Promise<Limits> {
  const byRequests = { http: flags.httpMode === "requests", pb: flags.pbMode === "frames", cql: false };
  const all = await Bun.file("/proc/self/limits").text();
  const files = Number(/^Max open files\s+(\d+)/m.exec(all)?.[1] ?? 1024);
  const isByRequests = listeners.every((protocol) => byRequests[protocol]);
  return limitsOf(files, listeners.length, isByRequests, flags.tlsCert !== undefined);
}
