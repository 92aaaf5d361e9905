// The executor's life with its agent: subscribes, hands on events, sends updates, and subscribes again when the agent comes
// back from a restart.
import type { Log } from "../../std/io/log.ts";
import type { ExecutorCall, ExecutorEvent, ExecutorUpdate, LaunchedTask } from "../executor-api.ts";
import type { ExecutorEnvironment } from "../executor-environment.ts";
import { decodeExecutorEvent, encodeExecutorCall } from "../wire/executor.ts";
import { type CallFailure, CallQueue } from "./call-queue.ts";
import { Delivery } from "./delivery.ts";
import { ANSWER_DEADLINE_MS, failureText, frames, pause, post, refusalText, within } from "./event-stream.ts";

/** An agent that comes back waits 2 s for its executors by default: two tries have to fit in, whatever its back-off says. */
const RETRY_MAX_MS = 500;
const RETRY_MIN_MS = 100;

/** Calls that may wait for a subscription. */
const MAX_WAITING = 1_000;

/** Answers to a SUBSCRIBE that no repetition changes. 403 is not among them: an agent that recovers says it. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 405, 406, 415]);

/** What was made and not yet acknowledged; the agent gets it with every subscription. */
export type Unacknowledged = { readonly tasks: readonly LaunchedTask[]; readonly updates: readonly ExecutorUpdate[] };

export type ExecutorConnectionEvent =
  | ExecutorEvent
  /** The agent is away. Updates made now go with the next subscription. */
  | { readonly type: "disconnected"; readonly reason: string }
  /** The agent refused the call for good (`status` 400), or too many waited. A bad update must not go into `unacknowledged`. */
  | ({ readonly type: "callFailed"; readonly call: ExecutorCall } & CallFailure)
  /** The connection is over for good: the agent stayed away for too long, or refuses us. The executor should stop. */
  | { readonly type: "lost"; readonly reason: string };

export type ExecutorConnectionOptions = {
  readonly environment: ExecutorEnvironment;
  /** Asked before every subscription. */
  readonly unacknowledged: () => Unacknowledged;
  /** Called with one event at a time, in order. An error that it throws ends the connection. */
  readonly onEvent: (event: ExecutorConnectionEvent) => Promise<void>;
  readonly log: Pick<Log, "warn">;
};

type Sendable = Exclude<ExecutorCall, { type: "subscribe" }>;

export type ExecutorConnection = {
  /**
   * Sends after all earlier ones. An update that cannot be sent now goes with the next subscription, because it is in
   * `unacknowledged` from before this call until it is acknowledged; a message waits for it.
   */
  readonly send: (call: Sendable) => void;
  /** Resolves when the connection is over for good: with the error that ended it, or with undefined after `close`. */
  readonly ended: Promise<Error | undefined>;
  /** Sends what waits to be sent, then ends the connection, without a further event. `onEvent` must not wait for it. */
  readonly close: () => Promise<void>;
};

/** Subscribes with the agent, again and again until `close` or the agent is lost. */
export function connectExecutor(options: ExecutorConnectionOptions): ExecutorConnection {
  const connection = new Connection(options);
  return {
    send: (call) => connection.send(call),
    ended: connection.ended,
    close: () => connection.close(),
  };
}

class Refusal extends Error {
  override readonly name = "Refusal";
}

class Connection {
  readonly #options: ExecutorConnectionOptions;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #closing = new AbortController();
  readonly #delivery: Delivery<ExecutorConnectionEvent>;
  /** Calls that wait for a subscription. */
  readonly #waiting: Sendable[] = [];
  #calls: CallQueue<Sendable> | undefined;
  #aloneSinceMs = performance.now();
  #broken: Error | undefined;
  readonly ended: Promise<Error | undefined>;

  constructor(options: ExecutorConnectionOptions) {
    this.#options = options;
    const { token } = options.environment;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#delivery = new Delivery(options.onEvent, (error) => {
      this.#broken = error;
      this.#closing.abort(error);
    });
    this.ended = this.#run();
  }

  send(call: Sendable): void {
    if (this.#calls !== undefined) this.#calls.push(call);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(call);
    else this.#failed(call, { message: `${MAX_WAITING} calls wait already for the agent` });
  }

  async close(): Promise<void> {
    await this.#calls?.idle();
    void this.#delivery.stop();
    this.#closing.abort(new Error("the connection was closed"));
    await this.ended;
  }

  async #run(): Promise<Error | undefined> {
    let lost: string | undefined;
    while (!this.#closing.signal.aborted && lost === undefined) {
      const outcome = await this.#session().then(
        () => ({ reason: "the agent ended the stream", final: false }),
        (error: unknown) => ({ reason: failureText(error), final: error instanceof Refusal }),
      );
      const wasSubscribed = this.#calls !== undefined;
      await this.#endSession(outcome.reason);
      if (this.#closing.signal.aborted) break;
      lost = outcome.final ? outcome.reason : this.#tooLong(wasSubscribed, outcome.reason);
      if (lost === undefined) await pause(this.#retryMs(), this.#closing.signal);
    }
    if (lost !== undefined) await this.#delivery.push({ type: "lost", reason: lost });
    await this.#delivery.stop();
    return this.#broken ?? (lost === undefined ? undefined : new Error(lost));
  }

  /** Why the agent is given up, or undefined while it is waited for. */
  #tooLong(wasSubscribed: boolean, reason: string): string | undefined {
    const { checkpoint, recoveryTimeoutMs, url } = this.#options.environment;
    if (wasSubscribed && !checkpoint)
      return `Cannot stay with the agent at "${url}": ${reason}, and there is no checkpoint to wait for`;
    const aloneMs = performance.now() - this.#aloneSinceMs;
    if (aloneMs < recoveryTimeoutMs) return undefined;
    return `Cannot subscribe with the agent at "${url}" within ${recoveryTimeoutMs} ms: ${reason}`;
  }

  #retryMs(): number {
    const maxMs = Math.max(RETRY_MIN_MS, Math.min(RETRY_MAX_MS, this.#options.environment.subscriptionBackoffMaxMs));
    return RETRY_MIN_MS + Math.random() * (maxMs - RETRY_MIN_MS);
  }

  /** Subscribes and hands on events until the stream ends. Resolves at a clean end. */
  async #session(): Promise<void> {
    const { url } = this.#options.environment;
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, controller.signal]);
    const slow = (): string => `no answer within ${ANSWER_DEADLINE_MS} ms`;
    const response = await within(
      ANSWER_DEADLINE_MS,
      controller,
      slow,
      post(url, this.#headers, this.#subscription(), signal),
    );
    if (response.status !== 200) {
      const refusal = await within(ANSWER_DEADLINE_MS, controller, slow, refusalText(response));
      const text = `Cannot subscribe with the agent at "${url}": ${refusal}`;
      throw REFUSALS.has(response.status) ? new Refusal(text) : new Error(refusal);
    }
    for await (const frame of frames(response, controller, () =>
      this.#calls === undefined ? ANSWER_DEADLINE_MS : Infinity,
    )) {
      if (this.#closing.signal.aborted) return;
      const event = decodeExecutorEvent(frame);
      if (event.type === "unreadable") {
        this.#options.log.warn({ reason: event.reason }, "An event from the agent was passed over");
        continue;
      }
      if (event.type === "subscribed") this.#begin(controller);
      await this.#delivery.push(event);
      if (event.type === "error")
        throw new Refusal(`Cannot stay with the agent at "${url}": it says "${event.message}"`);
    }
  }

  /** The SUBSCRIBE's body. The updates that waited for it are in it: they are not sent again. */
  #subscription(): Uint8Array {
    const { tasks, updates } = this.#options.unacknowledged();
    const messages = this.#waiting.splice(0).filter((call) => call.type === "message");
    this.#waiting.push(...messages);
    return this.#encode({ type: "subscribe", unacknowledgedTasks: tasks, unacknowledgedUpdates: updates });
  }

  #encode(call: ExecutorCall): Uint8Array {
    const { executorId, frameworkId } = this.#options.environment;
    return encodeExecutorCall(call, executorId, frameworkId);
  }

  #begin(controller: AbortController): void {
    const { url } = this.#options.environment;
    const send = async (call: Sendable): Promise<CallFailure | undefined> => {
      const response = await post(url, this.#headers, this.#encode(call), AbortSignal.timeout(ANSWER_DEADLINE_MS));
      if (!response.ok) return { status: response.status, message: await refusalText(response) };
      await response.arrayBuffer();
      return undefined;
    };
    const calls = new CallQueue<Sendable>(send, (call, failure) => this.#unsent(call, failure, controller));
    this.#calls = calls;
    for (const call of this.#waiting.splice(0)) calls.push(call);
  }

  /** A new subscription carries what the agent did not take, unless the agent refused it for good. */
  #unsent(call: Sendable, failure: CallFailure, controller: AbortController): void {
    if (failure.status === 400) {
      this.#failed(call, failure);
      return;
    }
    controller.abort(new Error(`the agent did not take a call: ${failure.message}`));
    if (call.type === "message") this.#waiting.push(call);
  }

  async #endSession(reason: string): Promise<void> {
    if (this.#calls === undefined) return;
    this.#calls.close(reason);
    this.#calls = undefined;
    this.#aloneSinceMs = performance.now();
    this.#options.log.warn({ reason }, "There is no subscription with the agent");
    await this.#delivery.push({ type: "disconnected", reason });
  }

  #failed(call: ExecutorCall, failure: CallFailure): void {
    void this.#delivery.push({ type: "callFailed", call, ...failure });
  }
}
