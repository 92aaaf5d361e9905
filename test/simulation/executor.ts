// One executor on a simulated agent: the real decisions, and hands that do what they ask for in the simulated world.
import { findDatabase } from "../../src/databases/all.ts";
import type { Ask, Database, Place, Verdict } from "../../src/databases/database.ts";
import type { AdminTask, NodeTask } from "../../src/databases/node.ts";
import { decide, DEFAULT_TIMINGS, initialState } from "../../src/executor/decide.ts";
import type { Action, Event, ExecutorState } from "../../src/executor/state.ts";
import { judgeVolume, markerOf } from "../../src/executor/volume.ts";
import type { ExecutorUpdate } from "../../src/mesos/executor-api.ts";
import type { TaskInfo } from "../../src/mesos/task.ts";
import type { Agent, Container } from "./agent.ts";
import { type DatabaseProcess, Ring, type Volume } from "./ring.ts";
import type { World } from "./world.ts";

type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

const PLACE: Place = {
  sandbox: "/sandbox",
  packageRoot: "/sandbox/package",
  packageFiles: {},
  volume: "/sandbox/data",
  carried: "/sandbox/carried",
  address: "10.0.0.1",
  java: "/usr/bin/java",
  self: "/sandbox/ringmaster",
};

/** An executor's process. It ends for good; another launch is another process. */
export class ExecutorProcess {
  readonly #world: World;
  readonly #agent: Agent;
  readonly #container: Container;
  readonly #volume: Volume;
  readonly #decide: typeof decide;
  #state: ExecutorState;
  #database: DatabaseProcess | undefined;
  #ended = false;
  readonly #queue: Told[] = [];
  /** What its own clock would have done while it hangs. */
  readonly #held: (() => void)[] = [];
  #hangs = false;
  #deciding = false;

  constructor(world: World, agent: Agent, container: Container, volume: Volume) {
    this.#world = world;
    this.#agent = agent;
    this.#container = container;
    this.#volume = volume;
    this.#decide = world.options.plant?.executor?.() ?? decide;
    this.#state = initialState(world.nextId(), DEFAULT_TIMINGS, world.nowMs);
    this.#tick();
  }

  get alive(): boolean {
    return !this.#ended;
  }

  /** What a new subscription carries. */
  get unacknowledged(): { readonly tasks: readonly string[]; readonly updates: readonly ExecutorUpdate[] } {
    return {
      tasks: this.#state.unacknowledgedTasks.map(({ taskId }) => taskId),
      updates: this.#state.unacknowledgedUpdates,
    };
  }

  launch({ name, taskId, agentId, data, killGraceMs }: TaskInfo): void {
    this.tell({ type: "launch", task: { name, taskId, agentId, data, killGraceMs, raw: data } });
  }

  get hangs(): boolean {
    return this.#hangs;
  }

  /** Stands still: it hears and does nothing, and its database goes on unwatched. */
  hang(): void {
    this.#hangs = true;
  }

  /** Goes on with all that has come meanwhile. */
  wake(): void {
    if (this.#ended || !this.#hangs) return;
    this.#hangs = false;
    for (const run of this.#held.splice(0)) if (!this.#ended) run();
    this.#decideAll();
  }

  tell(event: Told): void {
    if (this.#ended) return;
    this.#queue.push(event);
    this.#decideAll();
  }

  #decideAll(): void {
    if (this.#deciding || this.#hangs) return;
    this.#deciding = true;
    for (let next = this.#queue.shift(); next !== undefined && !this.#ended; next = this.#queue.shift()) {
      const { state, actions } = this.#decide(this.#state, { ...next, nowMs: this.#world.nowMs });
      this.#state = state;
      for (const action of actions) this.#carryOut(action);
    }
    this.#deciding = false;
  }

  /** Killed, or its end: the database goes with it, as it hangs on the executor's leash. */
  end(how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#database !== undefined) this.#exited(this.#database, "by SIGKILL");
    this.#agent.executorEnded(this.#container, how);
  }

  /** The database's process, for faults. */
  get database(): DatabaseProcess | undefined {
    return this.#database;
  }

  #later(delayMs: number, run: () => void, counts = true): void {
    const due = (): unknown => (this.#hangs ? this.#held.push(run) : run());
    this.#world.timeline.at(delayMs, () => (this.#ended ? undefined : void due()), counts);
  }

  #tick(): void {
    const { phase, admin } = this.#state;
    const isQuiet = phase.type === "serving" && admin === undefined;
    this.#later(
      isQuiet ? 10_000 : 2000,
      () => {
        this.tell({ type: "tick" });
        if (!this.#ended) this.#tick();
      },
      false,
    );
  }

  #carryOut(action: Action): void {
    switch (action.type) {
      case "prepare":
        return this.#later(this.#world.delay("prepare", 500, 3000), () => this.#prepare(action.node));
      case "start":
        return this.#start();
      case "probe":
        return this.#later(100, () => this.#probe(), false);
      case "ask": {
        const { question } = action;
        const admin =
          question.type === "command" ? (JSON.parse(question.command.argv[0] ?? "") as AdminTask) : undefined;
        return this.#later(this.#world.delay("ask", 100, 2000), () => {
          const ring = this.#ring();
          const verdict: Verdict =
            admin === undefined ? { type: "failed", detail: "no question" } : ring.operate(admin);
          this.tell({ type: "answered", number: action.number, answer: { status: 0, text: JSON.stringify(verdict) } });
        });
      }
      case "drain":
        return this.#later(this.#world.delay("drain", 500, 5000), () => this.tell({ type: "drained" }));
      case "signal":
        return this.#signal(action.signal);
      case "update":
        return this.#agent.updated(this.#container, action.update);
      case "exit":
        return this.end(`with code ${action.code}`);
      case "giveUp":
      case "startCompanion":
      case "endCompanions":
    }
  }

  #ring(): Ring {
    const { cluster, database } = this.#state.node ?? { cluster: "", database: "" };
    let ring = this.#world.rings.get(cluster);
    if (ring === undefined) {
      ring = new Ring(this.#world, cluster, database);
      this.#world.rings.set(cluster, ring);
    }
    return ring;
  }

  #prepare(node: NodeTask): void {
    const database = findDatabase(node.database);
    if (database === undefined) return this.tell({ type: "failed", message: `no database ${node.database}` });
    // Its framework was removed and is another now: what it ran there may take a while to end, and is not ours to stop.
    const user = [...this.#world.rings.values()]
      .flatMap((ring) => [...ring.processes.values()])
      .find(({ volume }) => volume === this.#volume);
    if (user !== undefined) return this.tell({ type: "failed", message: `"${user.task.node}" uses the volume` });
    const { marker, hasFiles } = this.#volume;
    const names = [...(hasFiles ? ["data"] : []), ...(marker === undefined ? [] : ["ringmaster.json"])];
    const verdict = judgeVolume(node, names, marker);
    if (verdict.type === "refused")
      return this.tell({ type: "failed", message: verdict.message, failure: verdict.failure });
    if (verdict.type === "fresh") this.#volume.marker = JSON.stringify(markerOf(node));
    this.tell({ type: "prepared", database: simulated(database), place: { ...PLACE, address: this.#agent.hostname } });
  }

  #start(): void {
    const { node } = this.#state;
    if (node === undefined) return;
    if (this.#world.faults.hit("start fails"))
      return this.#later(3000, () => this.tell({ type: "exited", how: "with code 3", lastLines: "bad start" }));
    const database: DatabaseProcess = {
      task: node,
      volume: this.#volume,
      hostname: this.#agent.hostname,
      state: "starting",
      hangs: false,
      startedMs: this.#world.nowMs,
      readyMs: this.#world.nowMs + this.#world.delay("start", 3000, 30_000),
      exit: (how) => this.#exited(database, how),
    };
    this.#database = database;
    this.#ring().start(database);
  }

  #exited(database: DatabaseProcess, how: string): void {
    if (this.#database !== database) return;
    this.#database = undefined;
    this.#ring().end(database.task.node, how);
    this.#later(50, () => this.tell({ type: "exited", how, lastLines: "" }));
  }

  #probe(): void {
    const database = this.#database;
    if (database === undefined || database.hangs)
      return this.tell({ type: "probed", answered: "none", health: { phase: "starting", detail: "no answer" } });
    this.tell({ type: "probed", answered: "all", health: this.#ring().health(database) });
  }

  #signal(signal: "SIGTERM" | "SIGKILL"): void {
    const database = this.#database;
    if (database === undefined || (database.hangs && signal === "SIGTERM")) return;
    this.#later(signal === "SIGKILL" ? 20 : this.#world.delay("stop", 200, 8000), () =>
      this.#exited(database, `by ${signal}`),
    );
  }
}

/** The real database with its asks done by the simulated ring, by the operation's name. */
function simulated(database: Database): Database {
  return {
    ...database,
    prepare: () => [],
    companions: () => [],
    admin: (admin) => [askFor(admin)],
  };
}

function askFor(admin: AdminTask): Ask {
  return {
    say: admin.operation,
    question: { type: "command", command: { argv: [JSON.stringify(admin)], env: {}, cwd: "/" }, timeoutMs: 60_000 },
    read: (answer) =>
      "error" in answer ? { type: "failed", detail: answer.error } : (JSON.parse(answer.text) as Verdict),
    patienceMs: 600_000,
  };
}
