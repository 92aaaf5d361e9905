// One listener of a director: decides, probes and counts. What becomes of its clients' bytes is its traffic's business.
import { decide, initialState } from "../decide.ts";
import { usableCount } from "../pick.ts";
import type { Action, Attempt, Event, Refusal, Settings, State, Target } from "../state.ts";
import { type BackendFigures, type Figures, figuresOf, newFigures } from "./figures.ts";
import { probe } from "./probe.ts";
import { type BackendTls, connectFailure, type Place } from "./sockets.ts";

const TICK_MS = 100;

/** An event as others tell it: the time is ours to add. */
export type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

export type ProxyOptions = Place & {
  readonly settings: Settings;
  /** Clients at a time; one more is turned away. */
  readonly clientsMax: number;
  readonly connectTimeoutMs: number;
  readonly probeTimeoutMs: number;
  readonly backendTls?: BackendTls;
  readonly say: (level: "info" | "warn", text: string) => void;
};

/** Clients and their backends. A client of the decisions is whatever wants a backend: a connection, or a single request. */
export interface Traffic {
  readonly port: number;
  /** Connects the client, and tells at last that this is "closed", or that the backend "refused". */
  connect(attempt: Attempt, target: Target): void;
  /** Turns a client away. */
  refuse(client: number, why: Refusal, detail: string): void;
  /** Ends what rests on a backend that is to stop. */
  drain(address: string): void;
  /** Lets so many connections look for another backend, if they can change it and rest. */
  spread?(address: string, count: number): void;
  /** How many connections should be able to change their backend and never can. */
  readonly bound?: number;
  /** Ends everything on the backend. */
  cut(address: string): void;
  tick(): void;
  /** Takes no more clients. */
  close(): void;
  /** Ends all there is. */
  end(): void;
}

/** What a traffic is given by its listener. */
export type Desk = {
  readonly options: ProxyOptions;
  readonly figures: Figures;
  readonly tell: (event: Told) => void;
  readonly figuresAt: (address: string) => BackendFigures;
};

export class Proxy {
  readonly #options: ProxyOptions;
  readonly #traffic: Traffic;
  readonly #ticks: Timer;
  readonly #stopped = Promise.withResolvers<void>();
  readonly figures: Figures = newFigures();
  readonly port: number;
  state: State;
  readonly #events: Event[] = [];
  #deciding = false;

  /** Throws when it cannot listen. */
  constructor(options: ProxyOptions, traffic: (desk: Desk) => Traffic) {
    this.#options = options;
    this.state = initialState(options.settings);
    this.#traffic = listening(options, () =>
      traffic({
        options,
        figures: this.figures,
        tell: (event) => this.#tell(event),
        figuresAt: (address) => this.#figures(address),
      }),
    );
    this.port = this.#traffic.port;
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
  }

  get hostname(): string {
    return this.#options.hostname;
  }

  /** The whole list of backends, as their source has it now. */
  retarget(targets: readonly Target[]): void {
    this.#tell({ type: "targets", targets });
  }

  /** How many clients' connections cannot go on with another backend though others of their kind can. */
  get bound(): number {
    return this.#traffic.bound ?? 0;
  }

  /** How many backends take new connections. */
  usable(): number {
    return usableCount(this.state, Date.now());
  }

  /** Takes no more clients; resolves when the last connection is over, or was ended by `abort`. */
  async stop(abort: AbortSignal): Promise<void> {
    this.#traffic.close();
    this.#tell({ type: "stop" });
    abort.addEventListener("abort", () => this.#stopped.resolve());
    if (abort.aborted) this.#stopped.resolve();
    await this.#stopped.promise;
    clearInterval(this.#ticks);
    this.#traffic.end();
  }

  #tell(event: Told): void {
    const timed = { ...event, nowMs: Date.now() };
    if (this.#deciding) {
      this.#events.push(timed);
      return;
    }
    this.#deciding = true;
    this.#decide(timed);
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#decide(next);
    this.#deciding = false;
  }

  #decide(event: Event): void {
    const { state, actions } = decide(this.state, event);
    this.state = state;
    for (const action of actions) this.#carryOut(action);
  }

  #carryOut(action: Action): void {
    switch (action.type) {
      case "connect":
        this.#traffic.connect(action.attempt, action.target);
        return;
      case "refuse":
        this.#traffic.refuse(action.client, action.why, action.detail);
        return;
      case "probe":
        void this.#probe(action.target);
        return;
      case "drain":
        this.#traffic.drain(action.address);
        return;
      case "cut":
        this.#traffic.cut(action.address);
        return;
      case "spread":
        this.#traffic.spread?.(action.address, action.count);
        return;
      case "ejected":
        this.#figures(action.address).ejections += 1;
        return;
      case "say":
        this.#options.say(action.level, action.text);
        return;
      case "stopped":
        this.#stopped.resolve();
    }
  }

  #figures(address: string): BackendFigures {
    const found = this.figures.backends.get(address);
    if (found !== undefined) return found;
    const node = this.state.backends.find(({ target }) => target.address === address)?.target.node ?? address;
    return figuresOf(this.figures, address, node);
  }

  async #probe(target: Target): Promise<void> {
    const { settings, probeTimeoutMs, backendTls } = this.#options;
    const error = await probe(settings.protocol, target, probeTimeoutMs, backendTls);
    if (error !== undefined) this.#figures(target.address).probeFailures += 1;
    this.#tell({ type: "probed", address: target.address, ...(error === undefined ? {} : { error }) });
  }

  #tick(): void {
    this.#traffic.tick();
    this.#tell({ type: "tick" });
  }
}

function listening({ hostname, port }: ProxyOptions, listen: () => Traffic): Traffic {
  try {
    return listen();
  } catch (error) {
    const code = error instanceof Error ? connectFailure(error) : String(error);
    throw new Error(`Cannot listen on ${hostname}:${port}: found ${code}, wanted an own address and a free port`, {
      cause: error,
    });
  }
}
