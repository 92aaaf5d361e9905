// One simulated world: its clock, its faults, its checks, and everybody in it.
import type { decide as executorDecide } from "../../src/executor/decide.ts";
import type { decide as schedulerDecide } from "../../src/scheduler/decide.ts";
import type { Agent } from "./agent.ts";
import { Caretaker } from "./caretaker.ts";
import { Checks } from "./checks.ts";
import { Faults, type FaultKind } from "./faults.ts";
import { Life } from "./life.ts";
import { Maintenance } from "./maintenance.ts";
import { Master } from "./master.ts";
import { Operator } from "./operator.ts";
import type { Ring } from "./ring.ts";
import { SchedulerProcess } from "./scheduler.ts";
import { SimulatedStore } from "./store.ts";
import { Timeline } from "./timeline.ts";

/** A defect that is planted on purpose, around the real decisions. A new one is made for every process. */
export type Plant = {
  readonly scheduler?: () => typeof schedulerDecide;
  readonly executor?: () => typeof executorDecide;
};

export type Options = {
  readonly seed: number;
  readonly agents?: number;
  readonly clusters?: number;
  /** Events with faults; calm comes after them. */
  readonly events: number;
  readonly without?: ReadonlySet<FaultKind>;
  /** 0: operators of Mesos leave the agents alone. */
  readonly mesos?: number;
  /** 0: nobody removes the framework, registers it again or uninstalls it. */
  readonly framework?: number;
  readonly plant?: Plant;
  readonly onLine?: (line: string) => void;
};

export class World {
  readonly options: Options;
  readonly timeline: Timeline;
  readonly faults: Faults;
  readonly checks: Checks;
  readonly store: SimulatedStore;
  readonly master: Master;
  readonly maintenance: Maintenance;
  readonly agents: Agent[] = [];
  readonly schedulers: readonly SchedulerProcess[];
  readonly operator: Operator;
  readonly caretaker: Caretaker;
  readonly life: Life;
  /** By cluster. */
  readonly rings = new Map<string, Ring>();
  #ids = 0;

  constructor(options: Options) {
    this.options = options;
    this.timeline = new Timeline(options.onLine);
    this.faults = new Faults(options.seed, options.without ?? new Set(), options);
    this.checks = new Checks(this);
    this.store = new SimulatedStore(this);
    this.maintenance = new Maintenance(this);
    this.master = new Master(this);
    this.schedulers = [new SchedulerProcess(this, "s1"), new SchedulerProcess(this, "s2")];
    this.operator = new Operator(this);
    this.caretaker = new Caretaker(this);
    this.life = new Life(this);
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  /** A number that nobody else has. */
  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** How long something takes, in milliseconds. */
  delay(what: string, leastMs: number, mostMs: number): number {
    return this.faults.stream(what).between(leastMs, mostMs);
  }

  /** The delay of a message: short, with a fault much longer. */
  messageMs(): number {
    return this.faults.hit("late") ? this.delay("late", 1000, 20_000) : this.delay("message", 1, 50);
  }
}
