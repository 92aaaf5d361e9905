// One chaos run: faults from a seed under a client's load; then calm, in which all must become whole and every acknowledged row
// be read back.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { Chance } from "../../simulation/chance.ts";
import { until } from "../ringmaster.ts";
import { nothing, type Fault, type Part } from "./fault.ts";
import { FAULTS } from "./faults.ts";
import { World } from "./world.ts";
import { Writer } from "./writer.ts";

export type ChaosOptions = {
  readonly minutes: number;
  /** Gives the order, the choice and the length of the faults; when a process notices them no seed can say. */
  readonly seed: number;
  readonly say: (line: string) => void;
  /** Ends the run, and all that it started, before its time. */
  readonly signal?: AbortSignal;
};

export type ChaosResult = {
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly failures: number;
  /** The longest time without an acknowledgement. */
  readonly longestGapMs: number;
  /** From the last fault until all was whole. */
  readonly healedMs: number;
};

const WHOLE_MS = 300_000;
/** A replacement takes a minute or more: none begins so shortly before the end. */
const LONG_MS = 45_000;
const PROGRESS_MS = 15_000;
/** Two processes of one node for so long are no handing over any more. */
const TWICE_MS = 3_000;

/** Runs it. Throws an Error with seed, timeline and the place of the logs when something is lost, doubled or not whole at the end. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const directory = join(tmpdir(), `ringmaster-chaos-${options.seed}-${process.pid}`);
  await mkdir(directory, { recursive: true });
  const timeline: string[] = [];
  const startedMs = performance.now();
  const note = (text: string): void => {
    const line = `${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${text}`;
    timeline.push(line);
    options.say(line);
  };
  try {
    note(`seed ${options.seed}, ${options.minutes} minutes, logs in ${directory}`);
    const world = await World.start(directory);
    let result: ChaosResult;
    try {
      result = await Promise.race([strikeAndHeal(world, options, note), aborted(options.signal)]);
    } finally {
      await world.stop();
    }
    await rm(directory, { recursive: true, force: true });
    return result;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Chaos with seed ${options.seed} failed: ${text}\n\n${timeline.join("\n")}\n\nLogs are in ${directory}`,
      { cause: error },
    );
  }
}

/** Rejects when the signal aborts. */
async function aborted(signal: AbortSignal | undefined): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  return promise;
}

async function strikeAndHeal(world: World, options: ChaosOptions, note: (text: string) => void): Promise<ChaosResult> {
  const writer = new Writer(await world.deploy());
  const run = new Run(world, writer, options.seed, note);
  try {
    await writer.prepare();
    note("the cluster serves; faults begin");
    writer.start();
    await run.strike(options.minutes * 60_000);
    note("faults are over");
    const calmMs = performance.now();
    await run.heal();
    const healedMs = Math.round(performance.now() - calmMs);
    await writer.stop();
    const { acknowledged, failures, longestGapMs } = writer.figures;
    note(
      `whole after ${healedMs} ms; ${acknowledged} rows acknowledged, ${failures} not, longest gap ${longestGapMs} ms`,
    );
    if (run.broken.length > 0) throw new Error(run.broken.join("; "));
    const lost = await writer.lost();
    if (lost.length > 0)
      throw new Error(`${lost.length} of ${acknowledged} acknowledged rows are lost: ${lost.slice(0, 20).join(", ")}`);
    note("every acknowledged row is there");
    return { faults: run.counts, acknowledged, failures, longestGapMs, healedMs };
  } finally {
    await run.stop();
    await writer.close();
  }
}

class Run {
  readonly broken: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly #world: World;
  readonly #writer: Writer;
  readonly #chance: Chance;
  readonly #note: (text: string) => void;
  /** Faults at work, by part; each ends with its undoing. */
  readonly #struck = new Map<Part, Promise<void>>();
  readonly #over = new AbortController();
  readonly #watching: Promise<void>;
  /** Since when a node has two database processes. */
  readonly #twiceSinceMs = new Map<string, number>();
  #error: Error | undefined;

  constructor(world: World, writer: Writer, seed: number, note: (text: string) => void) {
    this.#world = world;
    this.#writer = writer;
    this.#chance = new Chance(seed, "chaos");
    this.#note = note;
    this.#watching = this.#watch();
  }

  /** Lets faults strike for so long. */
  async strike(forMs: number): Promise<void> {
    const untilMs = performance.now() + forMs;
    let saidMs = performance.now();
    while (performance.now() < untilMs) {
      await Bun.sleep(this.#chance.between(2_000, 9_000));
      this.#check();
      const fault = await this.#choose(performance.now() < untilMs - LONG_MS);
      if (fault !== undefined) await this.#begin(fault);
      if (performance.now() - saidMs < PROGRESS_MS) continue;
      saidMs = performance.now();
      const { acknowledged, failures, longestGapMs } = this.#writer.figures;
      this.#note(`${acknowledged} rows acknowledged, ${failures} not, longest gap ${longestGapMs} ms`);
    }
    await Promise.all(this.#struck.values());
    this.#check();
  }

  /** Waits until all is as it was asked for. */
  async heal(): Promise<void> {
    await until("the cluster is whole", WHOLE_MS, async () => {
      const wounds = await this.#world.wounds();
      if (wounds.length > 0) throw new Error(wounds.join(", "));
      if (!(await this.#writer.isWhole())) throw new Error("a read of all replicas fails");
      return true;
    });
    this.#check();
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#watching;
    await Promise.all(this.#struck.values());
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  /** A fault of a part that has none now; of the database only while it is whole, so that at most one replica is away. */
  async #choose(isLongOpen: boolean): Promise<Fault | undefined> {
    const isWhole = !this.#struck.has("database") && (await this.#writer.isWhole());
    const open = FAULTS.filter(
      ({ parts, needs = [], isLong }) =>
        [...parts, ...needs].every((part) => !this.#struck.has(part) && (part !== "database" || isWhole)) &&
        (isLong !== true || isLongOpen),
    );
    return this.#chance.weighted(open.map((fault) => [fault, fault.weight] as const));
  }

  async #begin(fault: Fault): Promise<void> {
    const struck = await fault.strike(this.#world, this.#chance, this.#writer);
    if (struck === undefined) return;
    this.counts[fault.name] = (this.counts[fault.name] ?? 0) + 1;
    this.#note(struck.text);
    const ending = (async () => {
      await Bun.sleep(struck.lastsMs);
      await struck.undo();
      if (struck.undo !== nothing) this.#note(`over: ${fault.name}`);
    })()
      .catch((error: unknown) => {
        this.#error = new Error(`Cannot undo "${fault.name}": ${String(error)}`, { cause: error });
      })
      .finally(() => {
        for (const part of fault.parts) this.#struck.delete(part);
      });
    for (const part of fault.parts) this.#struck.set(part, ending);
  }

  /** Never two database processes of one node. Starts schedulers again that have ended by themselves. */
  async #watch(): Promise<void> {
    while (!this.#over.signal.aborted) {
      for (const scheduler of this.#world.ended()) {
        this.#note("a scheduler has ended by itself");
        await this.#world.restart(scheduler).catch((error: unknown) => {
          this.#error = new Error(String(error), { cause: error });
        });
      }
      const nowMs = performance.now();
      for (const [node, { cassandra }] of await this.#world.processes()) {
        if (cassandra.length < 2) this.#twiceSinceMs.delete(node);
        else if (!this.#twiceSinceMs.has(node)) this.#twiceSinceMs.set(node, nowMs);
        else if (nowMs - (this.#twiceSinceMs.get(node) ?? nowMs) > TWICE_MS) {
          this.broken.push(`${node} has Cassandra processes ${cassandra.join(" and ")}`);
          this.#twiceSinceMs.delete(node);
        }
      }
      await Bun.sleep(500);
    }
  }
}
