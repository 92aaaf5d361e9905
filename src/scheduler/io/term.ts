// One term of leadership: from the lock to its end. It loads the records, connects to Mesos and runs the event loop.
import { connectScheduler, type SchedulerConnection } from "../../mesos/io/scheduler-connection.ts";
import type { Credential, Masters } from "../../mesos/leader.ts";
import type { FrameworkInfo } from "../../mesos/scheduler-api.ts";
import type { Log } from "../../std/io/log.ts";
import type { Recorder } from "../../std/io/recorder.ts";
import { type Lock, type Store, StoreConflict, StoreUnavailable } from "../../store/store.ts";
import { roleFault } from "../framework.ts";
import { initialState, type Settings, type State } from "../state.ts";
import { loadRecords } from "./load.ts";
import type { Metrics } from "./metrics.ts";
import { Loop } from "./run.ts";

export type TermOptions = {
  readonly store: Store;
  readonly lock: Lock;
  readonly name: string;
  readonly settings: Settings;
  readonly masters: Masters;
  readonly credential: Credential | undefined;
  readonly framework: (state: State) => FrameworkInfo;
  /** How long a framework without an id tries to subscribe before it gives up. */
  readonly firstSubscriptionMs: number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recorder: Recorder | undefined;
  /** Told of the loop as soon as it can answer, and how to learn the master's URL while there is a subscription. */
  readonly onLoop: (loop: Loop, master: () => string | undefined) => void;
  /** Aborted when the process shall end. */
  readonly stopped: AbortSignal;
};

/**
 * Leads until it is told to stop, or until another may lead: then it has stopped to act, and may stand for another term. Rejects
 * with an error that another term would not change.
 */
export async function serveTerm(options: TermOptions): Promise<"stopped" | "lost"> {
  const { store, lock, log } = options;
  try {
    const records = await loadRecords(store, lock, options.name);
    const fault = roleFault(records, options.settings.role);
    if (fault !== undefined) throw new Error(`Cannot start: ${fault}`);
    const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 1;
    options.recorder?.hide(records.framework.token);
    options.recorder?.start({ settings: options.settings, seed, ...records });
    const loop: Loop = new Loop({
      state: initialState(options.settings, seed, records),
      store,
      lock,
      log,
      metrics: options.metrics,
      recorder: options.recorder,
      nowMs: Date.now,
      send: (call) => connection?.send(call),
    });
    let connection: SchedulerConnection | undefined;
    options.onLoop(loop, () => {
      const now = connection?.state();
      return now?.type === "subscribed" ? now.master : undefined;
    });
    const error = await stayConnected(options, loop, (begun) => (connection = begun));
    await loop.stop();
    if (error !== undefined) throw error;
    return "stopped";
  } catch (error) {
    if (!(await isLost(store, lock, error))) throw error;
    log.warn({ reason: error instanceof Error ? error.message : String(error) }, "This scheduler leads no longer");
    return "lost";
  } finally {
    await lock.release();
  }
}

/**
 * Keeps the framework connected until the term is over; resolves with the error that ended it. A framework that Mesos has removed
 * is no reason to end: what is known can be read, until somebody registers it again.
 */
async function stayConnected(
  options: TermOptions,
  loop: Loop,
  use: (connection: SchedulerConnection) => void,
): Promise<Error | undefined> {
  const { stopped } = options;
  for (;;) {
    if (isRemoved(loop)) {
      const error = await Promise.race([loop.ended, registered(loop), aborted(stopped)]);
      if (error !== undefined || stopped.aborted) return error;
    }
    const connection = connect(options, loop);
    use(connection);
    const ours = await Promise.race([
      connection.ended.then(() => false),
      loop.ended.then(() => true),
      aborted(stopped).then(() => true),
    ]);
    if (!ours && isRemoved(loop)) continue;
    const error = await Promise.race([ours ? loop.ended : connection.ended, aborted(stopped)]);
    if (error !== undefined) connection.drop();
    await loop.stop();
    await connection.close();
    return error;
  }
}

function connect({ lock, credential, log, ...options }: TermOptions, loop: Loop): SchedulerConnection {
  return connectScheduler({
    masters: options.masters,
    ...(credential === undefined ? {} : { credential }),
    framework: () => options.framework(loop.state),
    onEvent: (event) => loop.happen(event),
    mayCall: () => lock.isSurelyHeld(),
    ...(loop.state.framework.frameworkId === undefined ? { firstSubscriptionMs: options.firstSubscriptionMs } : {}),
    log,
  });
}

function isRemoved(loop: Loop): boolean {
  return loop.state.framework.removed !== undefined;
}

/** Waits until a removed framework is to be registered again. */
async function registered(loop: Loop): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (!isRemoved(loop)) resolve();
  };
  const stop = loop.changes(look);
  look();
  await promise;
  stop();
}

/** Whether the term ended because the store, or the lock in it, was lost: Mesos too says so when another leads. */
async function isLost(store: Store, lock: Lock, error: unknown): Promise<boolean> {
  if (lock.lost.aborted || error instanceof StoreConflict || error instanceof StoreUnavailable) return true;
  try {
    await store.write([], { lock });
    return false;
  } catch {
    return true;
  }
}

/** Waits until the signal aborts. */
async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}
