// A running cEPMD: feeds what sockets and store tell into its decisions, and carries these out.
import { decide, initialState } from "../decide.ts";
import { ownerAt } from "../record.ts";
import type { Action, Event, State } from "../state.ts";
import { listen, type Listening } from "./listen.ts";
import type { SharedNames } from "./shared.ts";

const TICK_MS = 500;
/** Names that come or go between two collections. Left to itself the heap grows to several times what lives in it. */
const COLLECT_EVERY = 1000;
/** When so long after a collection, or the start, what was still under way then is garbage, too. */
const COLLECT_AGAIN_MS = 2000;

export type CepmdOptions = {
  readonly addresses: readonly string[];
  /** 0: any free one. */
  readonly port: number;
  readonly relaxed?: boolean;
  /** Missing: the names are shared with nobody. */
  readonly store?: {
    readonly url: string;
    /** Folder of the framework's records. */
    readonly root: string;
    /** This agent, as other agents reach it. */
    readonly host: string;
    readonly sessionTimeoutMs?: number;
  };
  readonly idleSeconds?: number;
  readonly openFilesMax?: number;
  readonly say: (text: string) => void;
};

/** An event as others tell it: the time is ours to add. */
type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

/** 32 random bits. */
function dice(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

/** Starts a cEPMD. Rejects with an Error when an address cannot be had; a store that is away is waited for in the background. */
export async function startCepmd(options: CepmdOptions): Promise<Cepmd> {
  const cepmd = new Cepmd(options);
  await cepmd.share();
  return cepmd;
}

export class Cepmd {
  readonly #options: CepmdOptions;
  readonly #listening: Listening;
  readonly #events: Event[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #deciding = false;
  /** Names that were known at the last collection. */
  #collected = 0;
  #collecting: Timer | undefined;
  #shared: SharedNames | undefined;
  #ticks: Timer | undefined;
  #state: State;
  readonly port: number;
  /** Resolves when a client has asked for the end. */
  readonly ended = this.#ended.promise;

  constructor(options: CepmdOptions) {
    this.#options = options;
    this.#listening = listen({
      ...options,
      onRequest: (connection, local, request) => this.#tell({ type: "request", connection, local, request }),
      onClosed: (connection, name) => this.#tell({ type: "closed", connection, name }),
    });
    this.port = this.#listening.port;
    // Not crypto's: neither is a secret, and loading it costs as much as a thousand names.
    const [seed, start] = [dice(), dice()];
    const { store } = options;
    const owner = ownerAt(store?.host ?? "", this.port, start.toString(16).padStart(8, "0"));
    const shared = store === undefined ? {} : { shared: { host: store.host, owner } };
    const settings = { port: this.port, relaxed: options.relaxed === true, ...shared };
    this.#state = initialState(settings, seed);
  }

  /** The store is loaded only when it is asked for: its client is a third of the memory. */
  async share(): Promise<void> {
    this.#collectLater();
    const { store, say } = this.#options;
    if (store === undefined) return;
    const { SharedNames } = await import("./shared.ts");
    this.#shared = new SharedNames({
      ...store,
      say,
      onFolder: (folder) => this.#tell({ type: "folder", folder }),
      onStore: (state) => this.#tell({ type: "store", store: state }),
    });
    this.#ticks = setInterval(() => this.#tell({ type: "tick" }), TICK_MS);
  }

  /** One event after the other: what an action tells while it is carried out waits for the actions before it. */
  #tell(event: Told): void {
    this.#events.push({ ...event, nowMs: Date.now() });
    if (this.#deciding) return;
    this.#deciding = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const decision = decide(this.#state, next);
      this.#state = decision.state;
      for (const action of decision.actions) this.#carryOut(action);
    }
    this.#deciding = false;
    this.#collect();
  }

  #collect(): void {
    const known = this.#state.local.size + this.#state.folder.size;
    if (Math.abs(known - this.#collected) < COLLECT_EVERY) return;
    this.#collected = known;
    Bun.gc(true);
    this.#collectLater();
  }

  #collectLater(): void {
    clearTimeout(this.#collecting);
    this.#collecting = setTimeout(() => Bun.gc(true), COLLECT_AGAIN_MS);
    this.#collecting.unref();
  }

  #carryOut(action: Action): void {
    switch (action.type) {
      case "answer":
        this.#listening.answer(action.connection, action.bytes, action.after);
        return;
      case "close":
        this.#listening.close(action.connection);
        return;
      case "claim": {
        const { key, mine, serial } = action;
        const { name } = mine.node;
        void this.#shared?.claim(key, mine).then((end) => this.#tell({ type: "claimed", name, serial, ...end }));
        return;
      }
      case "release": {
        const { key, name, owner } = action;
        void this.#shared?.release(key, owner).then((outcome) => this.#tell({ type: "released", name, outcome }));
        return;
      }
      case "say":
        this.#options.say(action.text);
        return;
      case "exit":
        this.#ended.resolve();
    }
  }

  /** Closes every connection and ends the store's session, so that our names are gone at once. */
  async stop(): Promise<void> {
    clearInterval(this.#ticks);
    clearTimeout(this.#collecting);
    this.#listening.stop();
    await this.#shared?.close();
  }
}
