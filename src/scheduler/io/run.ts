// The scheduler's event loop: one event at a time through `decide`; saves first, everything else after they are durable.
import type { SchedulerCall } from "../../mesos/scheduler-api.ts";
import type { Lock, Store, Write } from "../../store/store.ts";
import type { Log } from "../../std/io/log.ts";
import type { Recorder } from "../../std/io/recorder.ts";
import { decide } from "../decide.ts";
import type { Action, Command, Event, Reply } from "../events.ts";
import { brokenInvariants } from "../invariants.ts";
import type { State } from "../state.ts";
import type { Metrics } from "./metrics.ts";

/** Commands that may wait for their turn; more are refused at once. */
const MAX_COMMANDS = 1000;

const TICK_MS = 1000;

/** Too many commands wait. */
export class Overloaded extends Error {
  override readonly name = "Overloaded";
}

/** An event as the outside tells it; the loop adds the time. */
type Happening = Event extends infer E ? (E extends { readonly nowMs: number } ? Omit<E, "nowMs"> : never) : never;

export type LoopOptions = {
  readonly state: State;
  readonly store: Store;
  readonly lock: Lock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recorder: Recorder | undefined;
  readonly nowMs: () => number;
  /** Sends a call to Mesos; set once the connection exists. */
  readonly send: (call: SchedulerCall) => void;
};

/** The running scheduler. It ends at the first error: nothing is sent after a failed save, and a restart reconciles. */
export class Loop {
  readonly #options: LoopOptions;
  readonly #replies = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();
  readonly #listeners = new Set<() => void>();
  #state: State;
  #nextCommand = 1;
  #turn: Promise<void> = Promise.resolve();
  #error: Error | undefined;
  readonly #ended = Promise.withResolvers<Error>();
  readonly #ticker: Timer;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#ticker = setInterval(() => void this.happen({ type: "tick" }), TICK_MS);
    const { lost } = options.lock;
    const onLost = (): void => this.#fail(new Error("Cannot go on: the leader lock is lost", { cause: lost.reason }));
    if (lost.aborted) onLost();
    else lost.addEventListener("abort", onLost, { once: true });
  }

  get state(): State {
    return this.#state;
  }

  /** Resolves with the error that ended the loop. */
  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  /** Calls the listener after every event that changed the framework, clusters or nodes, until the returned function is called. */
  changes(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes one event in after all earlier ones; resolves when its actions are carried out. Never rejects. */
  happen(event: Happening): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.#take(event))
      .catch((error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    return this.#turn;
  }

  /** An operator's command; resolves with the answer once it is saved. */
  submit(command: Command): Promise<Reply> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#replies.size >= MAX_COMMANDS)
      return Promise.reject(new Overloaded(`${MAX_COMMANDS} commands wait already`));
    const id = this.#nextCommand++;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#replies.set(id, { resolve, reject });
    void this.happen({ type: "command", id, command });
    return promise;
  }

  /** Stops taking events in; waits for the one at hand. */
  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    await this.#turn;
    this.#error ??= new Error("the scheduler stops");
    for (const { reject } of this.#replies.values()) reject(this.#error);
    this.#replies.clear();
  }

  #fail(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    clearInterval(this.#ticker);
    for (const { reject } of this.#replies.values()) reject(error);
    this.#replies.clear();
    this.#ended.resolve(error);
  }

  async #take(happening: Happening): Promise<void> {
    if (this.#error !== undefined) return;
    const { metrics, nowMs, log } = this.#options;
    const started = performance.now();
    const event = { ...happening, nowMs: nowMs() } as Event;
    const decision = decide(this.#state, event);
    metrics.event(event.type, (performance.now() - started) / 1000);
    this.#options.recorder?.step(event, decision.actions.filter(isForOthers));
    const broken = brokenInvariants(this.#state, decision);
    if (broken.length > 0) throw new Error(`Broken invariant after event "${event.type}": ${broken.join("; ")}`);
    await this.#save(decision.actions);
    if (this.#error !== undefined) return;
    const { clusters, framework } = this.#state;
    const isChanged = clusters !== decision.state.clusters || framework !== decision.state.framework;
    this.#state = decision.state;
    if (isChanged) for (const listener of this.#listeners) listener();
    for (const action of decision.actions) this.#perform(action, log);
  }

  async #save(actions: readonly Action[]): Promise<void> {
    const writes = actions.flatMap((action): Write[] => {
      if (action.type === "save") return [{ type: "put", path: action.path, value: action.record }];
      return action.type === "forget" ? [{ type: "delete", path: action.path }] : [];
    });
    if (writes.length === 0) return;
    const started = performance.now();
    await this.#options.store.write(writes, { lock: this.#options.lock });
    this.#options.metrics.saved(writes.length, (performance.now() - started) / 1000);
  }

  #perform(action: Action, log: Log): void {
    switch (action.type) {
      case "save":
      case "forget":
        return;
      case "reply": {
        this.#replies.get(action.id)?.resolve(action.reply);
        this.#replies.delete(action.id);
        return;
      }
      case "note":
        return log[action.level](action.text);
      case "end":
        throw new Error(action.message);
      default:
        this.#options.metrics.call(action.type);
        return this.#options.send(action);
    }
  }
}

/** What others see of a decision: a recording has no records and no words for the log. */
function isForOthers({ type }: Action): boolean {
  return type !== "save" && type !== "forget" && type !== "note";
}
