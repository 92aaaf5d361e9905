// A whole director: its listeners, its source of backends, its admin API.
import type { Endpoint } from "../../databases/endpoint.ts";
import type { Log } from "../../std/io/log.ts";
import { endpointsOf, hear, lapse, type Roster } from "../roster.ts";
import type { Protocol, Settings, Target } from "../state.ts";
import { PROTOCOLS, staticTarget, targetsOf } from "../targets.ts";
import type { Address, StaticBackend } from "./flags.ts";
import { Connections } from "./connections.ts";
import { Conversations } from "./conversations.ts";
import { Requests } from "./requests.ts";
import { Http, type HttpTimes } from "./http.ts";
import { Proxy, type ProxyOptions } from "./proxy.ts";
import type { Tls } from "./tls.ts";
import { type Source, watchScheduler, watchStore } from "./watch.ts";

const LAPSE_EVERY_MS = 1000;

/** Where the list of backends comes from. */
export type From =
  | { readonly type: "static"; readonly backends: readonly StaticBackend[] }
  | { readonly type: "store"; readonly url: string }
  | { readonly type: "scheduler"; readonly url: string };

/** Whose nodes: in a static list there are no names. */
export type Followed = { readonly framework: string; readonly cluster: string };

export type DirectorOptions = {
  readonly from: From;
  readonly followed: Followed;
  readonly listen: Readonly<Partial<Record<Protocol, Address>>>;
  /** What is balanced on the listener for HTTP: connections, or requests. */
  readonly httpMode: "raw" | "requests";
  readonly httpTimes: HttpTimes;
  /** What is balanced on the listener for protocol buffers: connections, or requests. */
  readonly pbMode: "raw" | "frames";
  /** Whether CQL drivers are kept from finding the nodes themselves. */
  readonly cqlMode: "raw" | "stay";
  /** What all listeners have in common. */
  readonly settings: Omit<Settings, "protocol" | "balance">;
  readonly clientsMax: number;
  /** It is one of several processes that listen on the same ports. */
  readonly isPart: boolean;
  readonly connectTimeoutMs: number;
  readonly probeTimeoutMs: number;
  readonly tls?: Pick<Tls, "clientTls" | "backendTls">;
  readonly log: Log;
};

export class Director {
  readonly options: DirectorOptions;
  readonly proxies = new Map<Protocol, Proxy>();
  readonly #lapsing: Timer;
  followed: Followed;
  #source: Source | undefined;
  #roster: Roster = new Map();
  /** Set until a newly followed cluster has told its first list, which takes the place of the other's. */
  #anew = false;

  constructor(options: DirectorOptions) {
    this.options = options;
    this.followed = options.followed;
    try {
      for (const protocol of PROTOCOLS) {
        const address = options.listen[protocol];
        if (address !== undefined) this.proxies.set(protocol, this.#listen(protocol, address));
      }
    } catch (error) {
      void this.stop(AbortSignal.abort());
      throw error;
    }
    this.#lapsing = setInterval(() => this.#took(lapse(this.#roster, Date.now())), LAPSE_EVERY_MS);
    const { from } = options;
    if (from.type === "static") this.#retarget((protocol) => staticTargets(from.backends, protocol));
    else this.#source = this.#watch();
  }

  /** Whether the list of backends is current; a static one always is. */
  get connected(): boolean {
    return this.#source?.connected() ?? true;
  }

  /** Names of the clusters that the source knows. Rejects while it is away. */
  async clusters(): Promise<readonly string[]> {
    return (await this.#source?.clusters()) ?? [];
  }

  /** The nodes as the source told them last. */
  endpoints(): readonly Endpoint[] {
    return endpointsOf(this.#roster);
  }

  /** Follows another cluster from now on. The backends stay until its first list is there. */
  async configure(followed: Followed): Promise<void> {
    const before = this.#source;
    this.followed = followed;
    this.#anew = true;
    this.options.log.info(followed, "Following another cluster");
    this.#source = this.#watch();
    await before?.close();
  }

  /** Why this director is of no use to clients at the moment; undefined: it is ready. */
  unready(): string | undefined {
    for (const [protocol, proxy] of this.proxies) {
      if (proxy.state.stoppingSinceMs !== undefined) return "it is stopping";
      if (proxy.usable() > 0) continue;
      const known = proxy.state.backends.length;
      return `${protocol}: found ${known === 0 ? "no backends" : `none of ${known} backends usable`}, wanted one that serves`;
    }
    return undefined;
  }

  /** Takes no more clients and ends when all are gone, or by `abort`. */
  async stop(abort: AbortSignal): Promise<void> {
    clearInterval(this.#lapsing);
    await Promise.all([...this.proxies.values()].map((proxy) => proxy.stop(abort)));
    await this.#source?.close();
  }

  #listen(protocol: Protocol, { host, port }: Address): Proxy {
    const { settings, clientsMax, isPart, connectTimeoutMs, probeTimeoutMs, tls, log } = this.options;
    const options: ProxyOptions = {
      ...tls,
      ...{ clientsMax, isPart, connectTimeoutMs, probeTimeoutMs, port },
      hostname: host,
      settings: { ...settings, protocol, balance: protocol === "http" ? "roundRobin" : "leastConnections" },
      say: (level, text) => log[level]({ listener: protocol }, text),
    };
    const { httpMode, httpTimes, pbMode, cqlMode } = this.options;
    const proxy = new Proxy(options, (desk) => {
      if (protocol === "http" && httpMode === "requests") return new Http(desk, httpTimes);
      if (protocol === "pb" && pbMode === "frames") return new Requests(desk);
      return protocol === "cql" && cqlMode === "stay" ? new Conversations(desk) : new Connections(desk);
    });
    log.info({ listener: protocol, address: `${host}:${proxy.port}` }, `Listening for ${protocol}`);
    return proxy;
  }

  #watch(): Source {
    const { from, log } = this.options;
    const { framework, cluster } = this.followed;
    const told = {
      say: (level: "info" | "warn", text: string) => log[level](text),
      onList: (list: readonly Endpoint[]) => {
        // A source that is being left behind may still speak.
        if (this.followed.cluster !== cluster || this.followed.framework !== framework) return;
        const own = list.filter((endpoint) => endpoint.cluster === cluster);
        if (this.#anew) this.#roster = new Map();
        this.#anew = false;
        this.#took(hear(this.#roster, own, Date.now()));
      },
    };
    return from.type === "scheduler"
      ? watchScheduler(from.url, cluster, told)
      : watchStore(storeOf(from), framework, told);
  }

  #took(roster: Roster): void {
    if (roster === this.#roster) return;
    this.#roster = roster;
    const endpoints = endpointsOf(roster);
    this.#retarget((protocol) => targetsOf(endpoints, this.followed.cluster, protocol));
  }

  #retarget(targets: (protocol: Protocol) => readonly Target[]): void {
    for (const [protocol, proxy] of this.proxies) proxy.retarget(targets(protocol));
  }
}

function storeOf(from: From): string {
  if (from.type !== "store") throw new Error(`Cannot follow another cluster: found a ${from.type} list of backends`);
  return from.url;
}

function staticTargets(backends: readonly StaticBackend[], protocol: Protocol): readonly Target[] {
  return backends.filter((backend) => (backend.protocol ?? protocol) === protocol).map(staticTarget);
}
