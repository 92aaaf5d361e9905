// What the tests of listeners share: a listener on loopback that probes nobody by itself, and waiting for what is to come.
import type { Socket } from "node:net";
import { DEFAULTS } from "../decide.ts";
import type { Protocol, Settings, Target } from "../state.ts";
import { type Desk, Proxy, type ProxyOptions, type Traffic } from "./proxy.ts";

/** Less than a test may take if it does not say so itself, so that it tells what it waited for. */
const PATIENCE_MS = 4500;

/** Listens on any free port. */
export function listenFor(
  protocol: Protocol,
  traffic: (desk: Desk) => Traffic,
  targets: readonly Target[],
  settings: Partial<Settings> = {},
  options: Partial<ProxyOptions> = {},
): Proxy {
  const balance = protocol === "http" ? "roundRobin" : "leastConnections";
  const proxy = new Proxy(
    {
      settings: { ...DEFAULTS, protocol, balance, probeIntervalMs: 3_600_000, ...settings },
      ...{ hostname: "127.0.0.1", port: 0, clientsMax: 10_000, connectTimeoutMs: 2000, probeTimeoutMs: 1000 },
      say: () => undefined,
      ...options,
    },
    traffic,
  );
  proxy.retarget(targets);
  return proxy;
}

export function targetAt(port: number): Target {
  return { address: `127.0.0.1:${port}`, host: "127.0.0.1", port, node: `n${port}`, draining: false };
}

/** Everything that comes until the other end sends no more. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const over = Promise.withResolvers<Buffer>();
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  for (const event of ["end", "close"]) socket.on(event, () => over.resolve(Buffer.concat(chunks)));
  return await over.promise;
}

/** Resolves when the condition holds. `what`: as in "Waited in vain until WHAT". */
export async function until(what: string, check: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!check()) {
    if (performance.now() > deadlineMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(2);
  }
}
