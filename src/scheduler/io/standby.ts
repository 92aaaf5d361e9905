// What a scheduler does while another of its name leads: it answers reads from the store's records, knows where the leader is,
// and takes the lock as soon as that is gone.
import type { Json } from "../../std/json.ts";
import type { Log } from "../../std/io/log.ts";
import { isDead, thisProcess } from "../../store/io/process.ts";
import type { Lock, Store } from "../../store/store.ts";
import { initialState, type Settings, type State } from "../state.ts";
import { readRecords } from "./load.ts";

const LOCK = "leader";

/** How often the leader is looked after, and how soon again when its address refused. */
const LOOK_MS = 500;
const REFUSED_MS = 200;
/** How long the leader may take to answer. */
const ANSWER_MS = 1000;
/** So many refusals in a row, from an address where the leader has answered before, mean that its process is gone. */
const REFUSALS = 2;
/** Records are not read again for requests that come this soon after one another. */
const FRESH_MS = 300;

/** What the leader says about itself in its lock. */
export type Leader = {
  /** Where its API is. */
  readonly url: string;
  /** Tells one run of a process from all others; `/health` has it too. */
  readonly instance: string;
};

type Options = {
  readonly store: Store;
  readonly name: string;
  readonly settings: Settings;
  /** Of this scheduler. */
  readonly self: Leader;
  readonly log: Log;
};

export class Standby {
  readonly #options: Options;
  #leader: Leader | undefined;
  #state: State | undefined;
  #readMs = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** The scheduler that leads, when it was looked for last; undefined: none, or this one. */
  get leader(): Leader | undefined {
    return this.#leader;
  }

  /** What was read last. */
  get state(): State | undefined {
    return this.#state;
  }

  /** Reads the records, unless that was done just now. */
  async look(): Promise<void> {
    if (performance.now() - this.#readMs < FRESH_MS) return;
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { store, name, settings } = this.#options;
    const askedMs = performance.now();
    const records = await readRecords(store, name);
    this.#state = records === undefined ? undefined : initialState(settings, 1, records);
    this.#readMs = askedMs;
  }

  /** Waits until this scheduler leads. Rejects with the reason of `signal` when it aborts first. */
  async lead(signal: AbortSignal): Promise<Lock> {
    const { store, self } = this.#options;
    const process_ = thisProcess();
    const holder = { ...self, ...(process_ === undefined ? {} : { process: process_ }) };
    const over = new AbortController();
    void this.#watch(AbortSignal.any([signal, over.signal]));
    try {
      return await store.lock(LOCK, holder, signal);
    } finally {
      over.abort();
      this.#leader = undefined;
      this.#readMs = -Infinity;
    }
  }

  /**
   * Looks after the leader, and takes its lock away when its process is certainly gone: the store would wait for the end of its
   * session. A mistake costs a change of leaders, no more: whoever lost the lock cannot write.
   */
  async #watch(signal: AbortSignal): Promise<void> {
    const { store, self, log } = this.#options;
    let answered = "";
    let refusals = 0;
    while (!signal.aborted) {
      try {
        const holder = await store.holder(LOCK);
        if (signal.aborted) return;
        const first = readHolder(holder);
        const leader = first?.instance === self.instance ? undefined : first;
        if (leader !== undefined && leader.instance !== this.#leader?.instance)
          log.info({ api: self.url, leader: leader.url }, "Another scheduler of this name leads; this one stands by");
        this.#leader = leader;
        if (holder !== undefined && this.#leader !== undefined) {
          const heard = await hear(this.#leader, signal);
          if (signal.aborted || this.#leader === undefined) return;
          if (heard === "answers") answered = this.#leader.instance;
          refusals = heard === "refuses" && answered === this.#leader.instance ? refusals + 1 : 0;
          if (refusals >= REFUSALS || isGoneHere(holder)) {
            log.warn({ leader: this.#leader.url }, "The leader's process is gone: its lock is taken away");
            await store.evict(LOCK, holder);
            refusals = 0;
          }
        }
      } catch (error) {
        log.debug({ reason: String(error) }, "The leader could not be looked for");
      }
      await pause(refusals > 0 ? REFUSED_MS : LOOK_MS, signal);
    }
  }
}

function readHolder(holder: Json | undefined): Leader | undefined {
  if (typeof holder !== "object" || holder === null || Array.isArray(holder)) return undefined;
  const { url, instance } = holder as { readonly [field: string]: Json };
  return typeof url === "string" && typeof instance === "string" ? { url, instance } : undefined;
}

/** Whether the holder ran on this machine and does not any more. */
function isGoneHere(holder: Json): boolean {
  const identity: unknown = Reflect.get(holder as object, "process");
  return typeof identity === "string" && isDead(identity);
}

/** "silent" may be anything: a machine that is off, a network in between, another process at that address. */
async function hear({ url, instance }: Leader, signal: AbortSignal): Promise<"answers" | "refuses" | "silent"> {
  try {
    const either = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const response = await fetch(`${url}/health`, { signal: either, proxy: false });
    const { instance: found } = (await response.json()) as { readonly instance?: unknown };
    return found === instance ? "answers" : "silent";
  } catch (error) {
    const code = (error as { readonly code?: unknown } | undefined)?.code;
    return code === "ConnectionRefused" || code === "ECONNREFUSED" ? "refuses" : "silent";
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const wake = (): void => resolve();
  signal.addEventListener("abort", wake, { once: true });
  await promise;
  signal.removeEventListener("abort", wake);
  clearTimeout(timer);
}
