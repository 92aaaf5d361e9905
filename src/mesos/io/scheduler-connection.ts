// The framework's life with Mesos: finds the leading master, subscribes, hands on events, sends calls, and begins again
// whenever the connection is lost.
import { type Backoff, backoffMs } from "../../std/backoff.ts";
import type { Log } from "../../std/io/log.ts";
import { apiBase, atLeast, type Credential, type Masters, redirectBase, versionUrl } from "../leader.ts";
import type { FrameworkInfo, SchedulerCall, SchedulerEvent } from "../scheduler-api.ts";
import { decodeSchedulerEvent, encodeCall, encodeSubscribe } from "../wire/scheduler.ts";
import { type CallFailure, CallQueue } from "./call-queue.ts";
import { Delivery } from "./delivery.ts";
import { ANSWER_DEADLINE_MS, failureText, frames, get, pause, post, refusalText, within } from "./event-stream.ts";
import { findMasters } from "./leader.ts";

const OLDEST_MESOS = "1.5.0";
const ENDPOINT = "/api/v1/scheduler";
const MAX_REDIRECTS = 5;

/** A master that is silent for so many heartbeats is taken for dead. */
const MISSED_HEARTBEATS = 3;

const RETRY: Backoff = { initialMs: 1_000, factor: 2, maxMs: 30_000, jitter: 0.5 };

/** A subscription that lived as long was a good one: the next try starts anew. */
const GOOD_AFTER_MS = 10_000;

/** Answers to a SUBSCRIBE that no repetition changes: bad call, bad credential, not allowed, or no scheduler API. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 405, 406, 409, 415]);

/** What the handler is told: Mesos' events, and what became of the connection and its calls. */
export type ConnectionEvent =
  | SchedulerEvent
  /** A subscription has ended. The next `subscribed` comes after a new one. */
  | { readonly type: "disconnected"; readonly reason: string }
  /** `status` is absent where no answer came: then Mesos may have taken the call all the same. */
  | ({ readonly type: "callFailed"; readonly call: SchedulerCall } & CallFailure);

/** What an operator may want to know about the connection. */
export type ConnectionState =
  | { readonly type: "connecting" }
  | { readonly type: "subscribed"; readonly master: string }
  | { readonly type: "waiting"; readonly reason: string; readonly retryMs: number }
  | { readonly type: "ended"; readonly reason: string };

export type SchedulerConnectionOptions = {
  readonly masters: Masters;
  readonly credential?: Credential;
  /** Asked before every subscription: with its `id` once it has one. */
  readonly framework: () => FrameworkInfo;
  /** Roles for which no offers are wanted at first; asked before every subscription. */
  readonly suppressedRoles?: () => readonly string[];
  /** Called with one event at a time, in order. An error that it throws ends the connection. */
  readonly onEvent: (event: ConnectionEvent) => Promise<void>;
  /** How long the first subscription may take before the connection ends with the reason. Absent: for ever. */
  readonly firstSubscriptionMs?: number;
  /** Asked right before every call and subscription: while false nothing is sent, and calls fail. */
  readonly mayCall?: () => boolean;
  readonly log: Log;
};

export type SchedulerConnection = {
  /**
   * Sends a call after all earlier ones. Never throws: what Mesos does not take comes back as `callFailed`, also what is
   * sent while there is no subscription.
   */
  readonly send: (call: SchedulerCall) => void;
  readonly state: () => ConnectionState;
  /** Resolves when the connection is over for good: with the error that ended it, or with undefined after `close`. */
  readonly ended: Promise<Error | undefined>;
  /** Breaks the connection off: nothing is sent from now on, not even what waits. `close` then waits for its end. */
  readonly drop: () => void;
  /** Sends what waits to be sent, then ends the connection, without a further event. `onEvent` must not wait for it. */
  readonly close: () => Promise<void>;
};

/** Subscribes with the leading master, again and again until `close` or a refusal that no repetition changes. */
export function connectScheduler(options: SchedulerConnectionOptions): SchedulerConnection {
  const connection = new Connection(options);
  return {
    send: (call) => connection.send(call),
    state: () => connection.state,
    ended: connection.ended,
    drop: () => connection.drop(),
    close: () => connection.close(),
  };
}

/** Why nothing is sent. */
const MUTE = "another scheduler may lead";

/** No repetition changes this. */
class Refusal extends Error {
  override readonly name = "Refusal";
}

/** One subscription: the stream's answer and what calls need. */
type Opened = {
  readonly base: string;
  readonly response: Response;
  readonly streamId: string;
  readonly controller: AbortController;
};

class Connection {
  readonly #options: SchedulerConnectionOptions;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #closing = new AbortController();
  readonly #delivery: Delivery<ConnectionEvent>;
  readonly #startedMs = performance.now();
  #state: ConnectionState = { type: "connecting" };
  #calls: CallQueue<SchedulerCall> | undefined;
  #subscribedMs: number | undefined;
  #everSubscribed = false;
  #broken: Error | undefined;
  readonly ended: Promise<Error | undefined>;

  constructor(options: SchedulerConnectionOptions) {
    this.#options = options;
    const { credential } = options;
    const basic = credential && Buffer.from(`${credential.principal}:${credential.secret}`).toString("base64");
    this.#headers = basic === undefined ? {} : { authorization: `Basic ${basic}` };
    this.#delivery = new Delivery(options.onEvent, (error) => {
      this.#broken = error;
      this.#closing.abort(error);
    });
    this.ended = this.#run();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  send(call: SchedulerCall): void {
    if (this.#calls === undefined) this.#failed(call, { message: "there is no subscription" });
    else this.#calls.push(call);
  }

  drop(): void {
    this.#calls?.close("the connection was dropped");
    void this.#delivery.stop();
    this.#closing.abort(new Error("the connection was dropped"));
  }

  async close(): Promise<void> {
    await this.#calls?.idle();
    void this.#delivery.stop();
    this.#closing.abort(new Error("the connection was closed"));
    await this.ended;
  }

  async #run(): Promise<Error | undefined> {
    let error: Error | undefined;
    let attempt = 0;
    while (!this.#closing.signal.aborted) {
      this.#state = { type: "connecting" };
      const outcome = await this.#session().then(
        () => ({ clean: true, error: new Error("the master ended the stream") }),
        (cause: unknown) => ({ clean: false, error: cause instanceof Error ? cause : new Error(String(cause)) }),
      );
      const reason = failureText(outcome.error);
      const lived = this.#subscribedMs === undefined ? 0 : performance.now() - this.#subscribedMs;
      await this.#endSession(reason);
      if (this.#closing.signal.aborted) break;
      if (outcome.error instanceof Refusal) {
        error = outcome.error;
        break;
      }
      if (lived >= GOOD_AFTER_MS) attempt = 0;
      const retryMs = outcome.clean && attempt === 0 ? 0 : backoffMs(RETRY, attempt, Math.random());
      attempt++;
      if (this.#isOutOfPatience(retryMs)) {
        error = new Error(`Cannot subscribe with Mesos within ${this.#options.firstSubscriptionMs} ms: ${reason}`);
        break;
      }
      this.#options.log.warn({ reason, retryMs }, "There is no subscription with Mesos");
      this.#state = { type: "waiting", reason, retryMs };
      await pause(retryMs, this.#closing.signal);
    }
    this.#state = { type: "ended", reason: (this.#broken ?? error)?.message ?? "closed" };
    await this.#delivery.stop();
    return this.#broken ?? error;
  }

  #isOutOfPatience(retryMs: number): boolean {
    const { firstSubscriptionMs = Infinity } = this.#options;
    return !this.#everSubscribed && performance.now() - this.#startedMs + retryMs > firstSubscriptionMs;
  }

  /** Subscribes and hands on events until the stream ends. Resolves at a clean end. */
  async #session(): Promise<void> {
    const candidates = await findMasters(this.#options.masters, this.#closing.signal);
    const failures: string[] = [];
    for (const url of candidates) {
      const opened = await this.#subscribe(apiBase(url)).catch((error: unknown) => {
        if (error instanceof Refusal || this.#closing.signal.aborted) throw error;
        failures.push(failureText(error));
      });
      if (opened !== undefined) return await this.#follow(opened);
    }
    throw new Error(failures.join("; "));
  }

  /** Whether this framework may still speak: nothing is sent while another scheduler of it may be at work. */
  #mayCall(): boolean {
    return this.#options.mayCall?.() ?? true;
  }

  /** Follows redirects from the master at `base` to the leading one and subscribes there. */
  async #subscribe(base: string): Promise<Opened> {
    for (let redirects = 0, at = base; redirects <= MAX_REDIRECTS; redirects++) {
      await this.#checkVersion(at);
      if (!this.#mayCall()) throw new Error(`Cannot subscribe at "${at}": ${MUTE}`);
      const url = at + ENDPOINT;
      const controller = new AbortController();
      const signal = AbortSignal.any([this.#closing.signal, controller.signal]);
      const body = encodeSubscribe(this.#options.framework(), this.#options.suppressedRoles?.() ?? []);
      const slow = (): string => `no answer within ${ANSWER_DEADLINE_MS} ms`;
      const response = await within(ANSWER_DEADLINE_MS, controller, slow, post(url, this.#headers, body, signal)).catch(
        (error: unknown) => {
          throw new Error(`Cannot subscribe at "${url}": ${failureText(error)}`);
        },
      );
      const location = response.headers.get("location");
      if (response.status === 200) {
        return { base: at, response, controller, streamId: response.headers.get("mesos-stream-id") ?? "" };
      }
      const refusal = await within(ANSWER_DEADLINE_MS, controller, slow, refusalText(response));
      if (response.status < 300 || response.status > 399 || location === null)
        throw this.#refused(url, response.status, refusal);
      at = redirectBase(location, url, ENDPOINT);
    }
    throw new Error(`Cannot subscribe at "${base}": more than ${MAX_REDIRECTS} redirects`);
  }

  #refused(url: string, status: number, refusal: string): Error {
    if (!REFUSALS.has(status)) return new Error(`Cannot subscribe at "${url}": ${refusal}`);
    const { credential } = this.#options;
    const who = credential === undefined ? "us without a principal" : `principal "${credential.principal}"`;
    const message =
      status === 401 || status === 403 ? `refused ${who} (${refusal})` : `refused the subscription (${refusal})`;
    return new Refusal(`Cannot subscribe: master "${url}" ${message}`);
  }

  async #checkVersion(base: string): Promise<void> {
    const url = versionUrl(base);
    const { status, text } = await get(url, this.#closing.signal).catch((error: unknown) => {
      throw new Error(`Cannot reach a Mesos master at "${base}": ${failureText(error)}`);
    });
    const version = status === 200 ? readVersion(text) : undefined;
    const recent = version === undefined ? undefined : atLeast(version, OLDEST_MESOS);
    if (recent === undefined)
      throw new Error(`Cannot find a Mesos master at "${base}": "${url}" answered ${status}, wanted {"version":...}`);
    if (!recent)
      throw new Refusal(`Cannot subscribe: found Mesos ${version} at "${base}", wanted ${OLDEST_MESOS} or later`);
  }

  async #follow({ base, response, streamId, controller }: Opened): Promise<void> {
    let quietMs = ANSWER_DEADLINE_MS;
    for await (const frame of frames(response, controller, () => quietMs)) {
      if (this.#closing.signal.aborted) return;
      const event = decodeSchedulerEvent(frame);
      if (event.type === "unreadable") {
        this.#options.log.warn({ reason: event.reason }, "An event from Mesos was passed over");
        continue;
      }
      if (event.type === "subscribed") {
        quietMs = event.heartbeatMs * MISSED_HEARTBEATS;
        this.#begin(base, streamId, event.frameworkId);
      }
      await this.#delivery.push(event);
      if (event.type === "error") throw new Refusal(`Cannot stay subscribed: master "${base}" says "${event.message}"`);
    }
  }

  #begin(base: string, streamId: string, frameworkId: string): void {
    const headers = { ...this.#headers, "mesos-stream-id": streamId };
    const send = async (call: SchedulerCall): Promise<CallFailure | undefined> => {
      if (!this.#mayCall()) return { message: MUTE };
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ANSWER_DEADLINE_MS)]);
      const response = await post(base + ENDPOINT, headers, encodeCall(call, frameworkId), signal);
      if (!response.ok) return { status: response.status, message: await refusalText(response) };
      await response.arrayBuffer();
      return undefined;
    };
    this.#calls = new CallQueue(send, (call, failure) => this.#failed(call, failure));
    this.#subscribedMs = performance.now();
    this.#everSubscribed = true;
    this.#state = { type: "subscribed", master: base };
  }

  async #endSession(reason: string): Promise<void> {
    if (this.#subscribedMs === undefined) return;
    this.#calls?.close(reason);
    this.#calls = undefined;
    this.#subscribedMs = undefined;
    await this.#delivery.push({ type: "disconnected", reason });
  }

  #failed(call: SchedulerCall, failure: CallFailure): void {
    void this.#delivery.push({ type: "callFailed", call, ...failure });
  }
}

function readVersion(text: string): string | undefined {
  try {
    const { version } = JSON.parse(text) as { readonly version?: unknown };
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}
