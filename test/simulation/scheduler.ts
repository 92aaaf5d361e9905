// One scheduler process: the real decisions and the real loading of records, on the simulated store and master. It does what
// src/scheduler/io/run.ts does: saves first, then the actions in their order; it ends at the first error, and is started again.
import type { SchedulerCall, SchedulerEvent } from "../../src/mesos/scheduler-api.ts";
import { decide } from "../../src/scheduler/decide.ts";
import type { Action, Command, Event, Reply } from "../../src/scheduler/events.ts";
import { brokenInvariants } from "../../src/scheduler/invariants.ts";
import { loadRecords } from "../../src/scheduler/io/load.ts";
import { initialState, type State } from "../../src/scheduler/state.ts";
import type { Write } from "../../src/store/store.ts";
import type { Stream } from "./master.ts";
import type { HeldLock } from "./store.ts";
import type { World } from "./world.ts";

type Happening = Event extends infer E ? (E extends { readonly nowMs: number } ? Omit<E, "nowMs"> : never) : never;

/** How a command went; "unknown": the scheduler died before it answered. */
export type Outcome = Reply | { readonly type: "unknown" };

const TICK_MS = [1000, 3000, 10_000];
const CALL_TIMEOUT_MS = 10_000;

export class SchedulerProcess {
  readonly #world: World;
  readonly name: string;
  readonly #tickMs: number;
  #decide: typeof decide = decide;
  /** Grows with every life: whatever belongs to an earlier one is over. */
  #life = 0;
  #state: State | undefined;
  #lock: HeldLock | undefined;
  #giveUp: () => void = () => undefined;
  #stream: Stream | undefined;
  readonly #calls: SchedulerCall[] = [];
  readonly #inbox: Happening[] = [];
  #busy = false;
  #calling = false;
  readonly #replies = new Map<number, (outcome: Outcome) => void>();

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#tickMs = TICK_MS[world.delay("tick", 0, 2)] ?? 1000;
  }

  /** What the API shows; undefined while it does not lead. */
  get state(): State | undefined {
    return this.#state;
  }

  start(): void {
    this.#giveUp = this.#world.store.waitForLock((lock) => this.#world.timeline.at(0, () => this.#lead(lock)));
  }

  async #lead(lock: HeldLock): Promise<void> {
    const life = this.#life;
    const { timeline, store, options } = this.#world;
    timeline.say(`${this.name}: leads`);
    this.#lock = lock;
    lock.lost.addEventListener("abort", () => (this.#lock === lock ? this.die("the lock is lost") : undefined));
    if (lock.lost.aborted) return this.die("the lock is lost");
    const records = await loadRecords(store.reader(), lock, "ringmaster");
    this.#decide = options.plant?.scheduler?.() ?? decide;
    const settings = {
      role: "ringmaster",
      artifactUri: "https://artifacts.example/ringmaster",
      drainMs: 5000,
      permanentAfterMs: 600_000,
      sharedStore: "zk://zk.example:2181",
    };
    this.#state = initialState(settings, this.#world.nextId(), records);
    this.#subscribe(life);
    this.#tick(life);
  }

  /** Kills the process; a supervisor starts it again. */
  die(why: string): void {
    this.#world.timeline.say(`${this.name}: ends, ${why}`);
    this.#life += 1;
    this.#giveUp();
    this.#state = undefined;
    this.#busy = false;
    this.#calling = false;
    this.#inbox.length = 0;
    this.#calls.length = 0;
    const replies = [...this.#replies.values()];
    this.#replies.clear();
    if (this.#stream !== undefined) this.#world.master.unsubscribe(this.#stream);
    this.#stream = undefined;
    const lock = this.#lock;
    this.#lock = undefined;
    // The session of a process that was killed ends by itself, after a while.
    if (lock !== undefined)
      this.#world.timeline.at(this.#world.delay("expiry", 100, 4000), () => this.#world.store.free(lock));
    for (const reply of replies) reply({ type: "unknown" });
    this.#later(this.#world.delay("restart", 500, 8000), () => this.start());
  }

  #later(delayMs: number, run: () => void, counts = true): void {
    const life = this.#life;
    this.#world.timeline.at(delayMs, () => (this.#life === life ? run() : undefined), counts);
  }

  #tick(life: number): void {
    this.#later(
      this.#tickMs,
      () => {
        this.happen({ type: "tick" });
        if (this.#life === life) this.#tick(life);
      },
      false,
    );
  }

  submit(command: Command, answered: (outcome: Outcome) => void): void {
    const id = this.#world.nextId();
    this.#replies.set(id, answered);
    this.happen({ type: "command", id, command });
  }

  happen(event: Happening): void {
    if (this.#state === undefined) return;
    this.#inbox.push(event);
    this.#takeAll();
  }

  #takeAll(): void {
    while (!this.#busy) {
      const next = this.#inbox.shift();
      if (next === undefined) return;
      this.#take(next);
    }
  }

  #take(happening: Happening): void {
    const before = this.#state;
    if (before === undefined) return;
    const { checks, nowMs, timeline, options } = this.#world;
    if (happening.type === "status") checks.told(happening.status);
    const decision = this.#decide(before, { ...happening, nowMs });
    const broken = options.plant === undefined ? brokenInvariants(before, decision) : [];
    if (broken.length > 0) checks.fail("invariant", `after "${happening.type}": ${broken.join("; ")}`);
    checks.decided(decision.actions, happening.type === "offers" ? happening.offers : []);
    if (happening.type !== "tick" || decision.actions.length > 0)
      timeline.say(
        `${this.name}: ${wordsOf(happening)} → ${decision.actions.map(actionWords).join(", ") || "nothing"}`,
      );
    this.#save(decision.actions, () => {
      this.#state = decision.state;
      this.#turn(before.framework.removed !== undefined, decision.state.framework.removed !== undefined);
      this.#perform(decision.actions);
    });
  }

  /** Writes all saves as one transaction, then goes on; dies where the store fails. */
  #save(actions: readonly Action[], then: () => void): void {
    const writes = actions.flatMap((action): Write[] => {
      if (action.type === "save") return [{ type: "put", path: action.path, value: action.record }];
      return action.type === "forget" ? [{ type: "delete", path: action.path }] : [];
    });
    if (writes.length === 0) return then();
    const { faults, store } = this.#world;
    if (faults.hit("store fails")) return this.die("the store fails, nothing was written");
    const write = (): boolean => {
      try {
        store.apply(writes, this.#lock);
        return true;
      } catch (error) {
        this.die(error instanceof Error ? error.message : String(error));
        return false;
      }
    };
    if (faults.hit("store answer lost")) {
      if (write()) this.die("the store's answer is lost, all was written");
      return;
    }
    if (!faults.hit("store slow")) return write() ? then() : undefined;
    this.#busy = true;
    this.#later(this.#world.delay("store slow", 200, 8000), () => {
      if (!write()) return;
      this.#busy = false;
      then();
      this.#takeAll();
    });
  }

  #perform(actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.type === "save" || action.type === "forget" || action.type === "note") continue;
      if (this.#world.faults.hit("scheduler killed between actions"))
        return this.die(`killed before its ${action.type}`);
      if (action.type === "end") return this.die(action.message);
      if (action.type === "reply") {
        const answered = this.#replies.get(action.id);
        this.#replies.delete(action.id);
        answered?.(action.reply);
      } else this.#send(action);
    }
  }

  // The connection to the master.

  #subscribe(life: number): void {
    this.#later(this.#world.delay("connect", 10, 2000), () => {
      const { master, timeline, checks } = this.#world;
      let lastMs = 0;
      const stream: Stream = {
        open: true,
        send: (event) => {
          // One stream: what comes later arrives later.
          lastMs = Math.max(lastMs, this.#world.nowMs + this.#world.messageMs());
          timeline.at(
            lastMs - this.#world.nowMs,
            () => {
              if (!stream.open || this.#stream !== stream || this.#life !== life) return;
              this.#arrived(event);
            },
            event.type !== "heartbeat",
          );
        },
      };
      const framework = this.#state?.framework;
      if (framework?.removed !== undefined || this.#stream !== undefined) return;
      if (!master.up) return this.#subscribe(life);
      this.#stream = stream;
      checks.subscribed(framework?.frameworkId);
      master.subscribe(stream, framework?.frameworkId);
    });
  }

  /** A framework that is removed has no subscription, until it is registered again. */
  #turn(wasRemoved: boolean, isRemoved: boolean): void {
    if (isRemoved) this.#stream = undefined;
    else if (wasRemoved) this.#subscribe(this.#life);
  }

  #arrived(event: SchedulerEvent): void {
    this.happen(event);
  }

  /** The stream breaks: what waits fails, then the loss itself is told. */
  breakStream(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#world.timeline.say(`${this.name}: loses its stream`);
    this.#world.master.unsubscribe(stream);
    this.#stream = undefined;
    const life = this.#life;
    for (const call of this.#calls.splice(0)) this.#failed(call, "the stream is lost");
    this.happen({ type: "disconnected" });
    if (this.#life === life) this.#subscribe(life);
  }

  get stream(): Stream | undefined {
    return this.#stream;
  }

  #send(call: SchedulerCall): void {
    if (this.#stream === undefined) return this.#later(0, () => this.#failed(call, "there is no subscription"));
    this.#calls.push(call);
    if (this.#calling) return;
    this.#calling = true;
    this.#later(this.#world.messageMs(), () => this.#callAll());
  }

  /** Calls arrive in their order; one whose answer is lost holds the others up. */
  #callAll(): void {
    const { faults, master } = this.#world;
    const stream = this.#stream;
    for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) {
      const isLost = faults.hit("call lost");
      if (!isLost && master.up && stream !== undefined && master.stream === stream) master.call(call);
      if (isLost || faults.hit("answer lost")) {
        const failed = call;
        return this.#later(this.#world.delay("call fails", 10, CALL_TIMEOUT_MS), () => {
          this.#failed(failed, isLost ? "connection refused" : "no answer");
          this.#callAll();
        });
      }
    }
    this.#calling = false;
  }

  #failed(call: SchedulerCall, message: string): void {
    this.happen({ type: "callFailed", call, message });
  }
}

function wordsOf(event: Happening): string {
  switch (event.type) {
    case "status":
      return `${event.status.taskId} is ${event.status.state}${event.status.reason === undefined ? "" : ` (${event.status.reason})`}`;
    case "offers":
      return `offers of ${event.offers.map(({ hostname }) => hostname).join(", ")}`;
    case "command":
      return `command ${JSON.stringify(event.command)}`;
    case "callFailed":
      return `${event.call.type} failed`;
    case "operation":
      return `${event.status.operationId ?? "an operation"} is ${event.status.state}`;
    default:
      return event.type;
  }
}

function actionWords(action: Action): string {
  switch (action.type) {
    case "save":
    case "forget":
      return `${action.type} ${action.path}`;
    case "accept":
      return `accept ${action.offerIds.join("+")} for ${action.operations.map((operation) => (operation.type === "launch" ? operation.tasks.map(({ taskId }) => taskId).join() : operation.type)).join(", ")}`;
    case "decline":
      return `decline ${action.offerIds.join("+")} for ${action.refuseSeconds} s`;
    case "kill":
    case "acknowledge":
      return `${action.type} ${action.taskId}`;
    case "reconcile":
      return `reconcile ${action.tasks.length === 0 ? "all" : action.tasks.map(({ taskId }) => taskId).join()}`;
    case "reply":
      if (action.reply.type === "done") return "reply done";
      return `reply ${action.reply.type === "accepted" ? action.reply.plan : action.reply.message}`;
    case "note":
    case "end":
      return `"${action.type === "note" ? action.text : action.message}"`;
    default:
      return action.type;
  }
}
