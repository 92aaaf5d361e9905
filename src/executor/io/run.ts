// Carries out an executor's decisions: feeds events in, runs the database, sends the updates.
import { join } from "node:path";
import type { Answer, Database, Place, Question } from "../../databases/database.ts";
import type { NodeTask } from "../../databases/node.ts";
import type { Recorder } from "../../std/io/recorder.ts";
import type { ExecutorUpdate } from "../../mesos/executor-api.ts";
import { decide, DEFAULT_TIMINGS, initialState, statusOf } from "../decide.ts";
import type { Action, Event, ExecutorState, Timings } from "../state.ts";
import { type Api, serveApi } from "./api.ts";
import { ask } from "./ask.ts";
import { type RunningCompanion, startCompanion } from "./companion.ts";
import { prepare, type Workplace } from "./prepare.ts";
import { type DatabaseProcess, startProcess } from "./process.ts";
import { forgetProcess, recordProcess, VolumeRefused } from "./volume.ts";

const TICK_MS = 500;

/** An event as others tell it: the time is ours to add. */
type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

export type Run = {
  readonly tell: (event: Told) => void;
  readonly state: () => ExecutorState;
  /** The exit code, once everything has ended. */
  readonly done: Promise<number>;
};

export type RunOptions = {
  readonly workplace: Workplace;
  /** The databases that it can run, by name. */
  readonly find: (name: string) => Database | undefined;
  readonly timings: Partial<Timings>;
  readonly recorder?: Recorder;
  /** Hands an update to the agent; it stays among the unacknowledged ones until it is acknowledged or refused. */
  readonly send: (update: ExecutorUpdate) => void;
};

/** Starts an executor that waits for its task. */
export function startRun(options: RunOptions): Run {
  const run = new Running(options);
  return { tell: (event) => run.tell(event), state: () => run.state, done: run.done };
}

class Running {
  readonly #options: RunOptions;
  readonly #finished = Promise.withResolvers<number>();
  readonly #ticks: Timer;
  readonly #events: Event[] = [];
  #deciding = false;
  /** Questions of errands that are under way, by number: each can be given up. */
  readonly #questions = new Map<number, AbortController>();
  /** Ends all other questions that are under way at the end. */
  readonly #ending = new AbortController();
  readonly #companions = new Map<string, RunningCompanion>();
  #process: DatabaseProcess | undefined;
  #api: Api | undefined;
  state: ExecutorState;
  readonly done = this.#finished.promise;

  constructor(options: RunOptions) {
    this.#options = options;
    const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
    const start = { seed, timings: { ...DEFAULT_TIMINGS, ...options.timings }, nowMs: Date.now() };
    options.recorder?.start(start);
    this.state = initialState(start.seed, start.timings, start.nowMs);
    this.#ticks = setInterval(() => this.tell({ type: "tick" }), TICK_MS);
  }

  /** One event after the other: what an action tells while it is carried out waits for the actions before it. */
  tell(event: Told): void {
    this.#events.push({ ...event, nowMs: Date.now() });
    if (this.#deciding) return;
    this.#deciding = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const decision = decide(this.state, next);
        this.state = decision.state;
        this.#record(next, decision.actions);
        for (const action of decision.actions) this.#carryOut(action);
      }
      this.#deciding = false;
    } catch (error) {
      // A broken assumption. Nothing is decided any more; the database ends with this process.
      const { say } = this.#options.workplace;
      say(`The executor ends: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      void this.#exit(1);
    }
  }

  #record(event: Event, actions: readonly Action[]): void {
    const { recorder } = this.#options;
    if (recorder === undefined) return;
    if (this.state.node !== undefined) recorder.hide(this.state.node.token);
    if (event.type === "prepared") recorder.step({ ...event, database: event.database.name }, actions);
    // The bytes of the whole task would have its secrets once more.
    else if (event.type === "launch")
      recorder.step({ ...event, task: { ...event.task, raw: new Uint8Array() } }, actions);
    else recorder.step(event, actions);
  }

  #carryOut(action: Action): void {
    const { say } = this.#options.workplace;
    switch (action.type) {
      case "prepare":
        void this.#prepare(action.node);
        return;
      case "ask":
        void this.#ask(action.number, action.question);
        return;
      case "giveUp":
        this.#questions.get(action.number)?.abort();
        return;
      case "startCompanion":
        this.#startCompanion(action.name);
        return;
      case "endCompanions":
        for (const companion of this.#companions.values()) void companion.stop();
        return;
      case "start":
        void this.#start();
        return;
      case "probe":
        void this.#probe();
        return;
      case "drain":
        say("Draining");
        void this.#drain(action.timeoutMs);
        return;
      case "signal":
        say(`Sending ${action.signal}`);
        this.#process?.signal(action.signal);
        return;
      case "update":
        say(updateText(action.update));
        this.#options.send(action.update);
        return;
      case "exit":
        void this.#exit(action.code);
    }
  }

  async #prepare(node: NodeTask): Promise<void> {
    try {
      const database = this.#options.find(node.database);
      if (database === undefined)
        throw new Error(`Cannot run database "${node.database}": this binary does not know it`);
      const place = await prepare(node, database, this.#options.workplace);
      this.#api = this.#serve(node, database, place);
      this.tell({ type: "prepared", database, place });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.tell({ type: "failed", message, ...(error instanceof VolumeRefused ? { failure: error.failure } : {}) });
    }
  }

  #serve(node: NodeTask, database: Database, place: Place): Api {
    try {
      return serveApi({
        node,
        sandbox: place.sandbox,
        address: place.address,
        reads: database.reads(node, place),
        status: () => statusOf(this.state),
        ask: (read) => ask(read.question, this.#ending.signal),
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot serve the executor's API at "${place.address}:${node.ports["api"]}": ${why}`, {
        cause: error,
      });
    }
  }

  async #ask(number: number, question: Question): Promise<void> {
    const stop = new AbortController();
    this.#questions.set(number, stop);
    const answer = await ask(question, stop.signal);
    this.#questions.delete(number);
    this.tell({ type: "answered", number, answer });
  }

  #startCompanion(name: string): void {
    const { node, ready } = this.state;
    if (node === undefined || ready === undefined) return;
    const companion = ready.database.companions(node, ready.place).find((one) => one.name === name);
    if (companion === undefined) return;
    const { say } = this.#options.workplace;
    const ended = ({ how, lastLines }: { readonly how: string; readonly lastLines: string }): void => {
      say(`Companion "${name}" ended ${how}${lastLines === "" ? "" : `; its last lines: ${lastLines}`}`);
      this.tell({ type: "companionEnded", name, how, lastLines });
    };
    try {
      const running = startCompanion(companion, join(ready.place.sandbox, "logs", `${name}.log`), () => {
        say(`Companion "${name}" takes connections at ${companion.host}:${companion.port}`);
        this.tell({ type: "companionUp", name });
      });
      say(`Process ${running.pid} of companion "${name}" started`);
      this.#companions.set(name, running);
      void running.exited.then(ended);
    } catch (error) {
      ended({ how: "before it began", lastLines: error instanceof Error ? error.message : String(error) });
    }
  }

  async #start(): Promise<void> {
    const { node, ready } = this.state;
    if (node === undefined || ready === undefined) return;
    const { database, place } = ready;
    try {
      const command = database.command(node, place);
      this.#process = startProcess(command, node.env, join(place.sandbox, "logs", "console.log"));
    } catch (error) {
      this.tell({
        type: "failed",
        message: `Cannot start the process: ${error instanceof Error ? error.message : String(error)}`,
      });
      return;
    }
    this.#options.workplace.say(`Process ${this.#process.pid} of ${node.database} ${node.version} started`);
    await recordProcess(place.volume, this.#process.pid).catch((error: unknown) =>
      this.#options.workplace.say(`Cannot record the process in the volume: ${String(error)}`),
    );
    const ending = await this.#process.exited;
    await forgetProcess(place.volume).catch(() => undefined);
    this.tell({ type: "exited", ...ending });
  }

  async #probe(): Promise<void> {
    const { node, ready } = this.state;
    if (node === undefined || ready === undefined) return;
    const { database, place } = ready;
    const serving = this.state.phase.type === "serving";
    const answers: Answer[] = [];
    let answered = 0;
    for (const question of database.probes(node, place, serving)) {
      const answer = await ask(question, this.#ending.signal);
      answers.push(answer);
      // A database that cannot answer says so with 5xx; what the others mean is for `health` to say.
      if ("status" in answer && (question.type !== "http" || answer.status < 500)) answered += 1;
      if ("error" in answer) break;
    }
    const all = answered === answers.length;
    const health = database.health(answers, serving);
    this.tell({ type: "probed", answered: all ? "all" : answered === 0 ? "none" : "some", health });
  }

  async #drain(timeoutMs: number): Promise<void> {
    const { node, ready } = this.state;
    const question = node === undefined ? undefined : ready?.database.drain(node, ready.place);
    const answer = question === undefined ? undefined : await ask(question, AbortSignal.timeout(timeoutMs));
    if (answer !== undefined && "error" in answer) this.#options.workplace.say(`The drain failed: ${answer.error}`);
    this.tell({ type: "drained" });
  }

  async #exit(code: number): Promise<void> {
    clearInterval(this.#ticks);
    this.#ending.abort();
    await Promise.all([...this.#companions.values()].map((companion) => companion.stop()));
    await this.#api?.stop();
    this.#finished.resolve(code);
  }
}

function updateText(update: ExecutorUpdate): string {
  const health = update.healthy === undefined ? "" : update.healthy ? ", healthy" : ", unhealthy";
  const labels = Object.entries(update.labels).map(([name, value]) => ` ${name}=${value}`);
  return `${update.state}${health}${labels.join("")}: ${update.message ?? ""}`;
}
