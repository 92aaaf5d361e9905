// What can go wrong, and how often: each seed draws its own mixture, so that rare combinations come up too.
import { Chance } from "./chance.ts";

/** Chances of a single message, write, launch or action. */
const CHANCES = {
  "call lost": 0.03,
  "answer lost": 0.03,
  late: 0.05,
  "update twice": 0.1,
  "store slow": 0.1,
  "store fails": 0.01,
  "store answer lost": 0.01,
  "scheduler killed between actions": 0.004,
  "fetch fails": 0.1,
  "start fails": 0.1,
} as const;

/** Weights of what happens now and then. */
const STRIKES = {
  "stream breaks": 2,
  "offers rescinded": 2,
  "agent restarts": 2,
  "host reboots": 1,
  partition: 2,
  "long partition": 1,
  "agent gone": 0.5,
  "host re-imaged": 0.5,
  "volume emptied": 0.5,
  "executor killed": 2,
  "database killed": 2,
  "database hangs": 1,
  "master fails over": 1,
  "master forgets": 0.5,
  "session expires": 1,
  "scheduler killed": 2,
  "orphan appears": 0.5,
} as const;

/** As `STRIKES`, drawn apart: a seed without them plays as it did before there were any. */
const LATER_STRIKES = { "executor hangs": 1 } as const;

/** Weights of what operators of Mesos do now and then. */
const PLANNED = { maintenance: 2, "agent drained": 1 } as const;

/** Weights of what becomes of the framework itself. */
const LIFE = { "framework removed": 4, "framework registered": 1, "framework uninstalled": 0.5 } as const;

export type FaultChance = keyof typeof CHANCES;
export type Strike = keyof typeof STRIKES | keyof typeof LATER_STRIKES;
export type Planned = keyof typeof PLANNED;
export type Turn = keyof typeof LIFE;
export type FaultKind = FaultChance | Strike | Planned | Turn | "operator";

const STRIKE_KINDS = [...Object.keys(STRIKES), ...Object.keys(LATER_STRIKES)] as readonly Strike[];

export const FAULT_KINDS: readonly FaultKind[] = [
  ...(Object.keys(CHANCES) as FaultChance[]),
  ...STRIKE_KINDS,
  ...(Object.keys(PLANNED) as Planned[]),
  ...(Object.keys(LIFE) as Turn[]),
  "operator",
];

export class Faults {
  /** False once calm has come. */
  active = true;
  readonly #rates = new Map<FaultKind, number>();
  readonly #streams = new Map<string, Chance>();
  readonly #seed: number;
  /** Between two strikes, on average. */
  readonly strikeMs: number;
  /** Between two commands of operators, on average. */
  readonly commandMs: number;

  /** Between two acts of Mesos' operators, on average; 0: there are none. */
  readonly plannedMs: number;

  /** Between two turns in the life of the framework, on average; 0: there are none. */
  readonly lifeMs: number;

  /** `without`: kinds that are left out, to see whether a failure needs them. */
  constructor(
    seed: number,
    without: ReadonlySet<FaultKind>,
    has: { readonly mesos?: number; readonly framework?: number },
  ) {
    this.#seed = seed;
    const isLeft = (kind: string): boolean => without.has(kind as FaultKind);
    const swarm = new Chance(seed, "swarm");
    // One seed in ten has no faults at all: what fails there needs none.
    const calm = swarm.hit(0.1);
    for (const [kind, base] of [...Object.entries(CHANCES), ...Object.entries(STRIKES)]) {
      const rate = swarm.hit(0.5) ? 0 : base * swarm.next() * 2;
      const isLeftOut = calm || without.has(kind as FaultKind);
      this.#rates.set(kind as FaultKind, isLeftOut ? 0 : rate);
    }
    this.strikeMs = [10_000, 30_000, 60_000, 180_000][swarm.between(0, 3)] ?? 30_000;
    // Drawn apart: a seed without them plays as it did before there were any.
    const planned = new Chance(seed, "swarm of Mesos' operators");
    this.plannedMs =
      calm || has.mesos === 0 || planned.hit(0.5) ? 0 : ([60_000, 180_000, 600_000][planned.between(0, 2)] ?? 180_000);
    for (const [kind, base] of Object.entries(PLANNED))
      this.#rates.set(kind as FaultKind, isLeft(kind) ? 0 : base * planned.next());
    const later = new Chance(seed, "swarm of later strikes");
    for (const [kind, base] of Object.entries(LATER_STRIKES)) {
      const rate = later.hit(0.5) ? 0 : base * later.next() * 2;
      this.#rates.set(kind as FaultKind, calm || has.mesos === 0 || isLeft(kind) ? 0 : rate);
    }
    const life = new Chance(seed, "swarm of the framework's life");
    this.lifeMs =
      calm || has.framework === 0 || life.hit(0.6) ? 0 : ([200_000, 600_000, 1_200_000][life.between(0, 2)] ?? 600_000);
    for (const [kind, base] of Object.entries(LIFE))
      this.#rates.set(kind as FaultKind, isLeft(kind) ? 0 : base * life.next());
    this.commandMs = without.has("operator") ? 0 : ([30_000, 90_000, 300_000][swarm.between(0, 2)] ?? 90_000);
  }

  stream(name: string): Chance {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new Chance(this.#seed, name);
      this.#streams.set(name, stream);
    }
    return stream;
  }

  hit(kind: FaultChance): boolean {
    const rate = this.#rates.get(kind) ?? 0;
    return this.active && rate > 0 && this.stream(kind).hit(rate);
  }

  /** What operators of Mesos do next; undefined: nothing. */
  planned(): Planned | undefined {
    const kinds = Object.keys(PLANNED) as Planned[];
    return this.stream("planned").weighted(kinds.map((kind) => [kind, this.#rates.get(kind) ?? 0] as const));
  }

  /** What becomes of the framework next; undefined: nothing. */
  life(): Turn | undefined {
    const kinds = Object.keys(LIFE) as Turn[];
    return this.stream("life").weighted(kinds.map((kind) => [kind, this.#rates.get(kind) ?? 0] as const));
  }

  /** What strikes next; undefined: nothing can. */
  strike(): Strike | undefined {
    return this.stream("strike").weighted(STRIKE_KINDS.map((kind) => [kind, this.#rates.get(kind) ?? 0] as const));
  }
}
