// What one listener of a director knows of its backends, what it is told, and what it does. Each listener decides alone.
import type { Backoff } from "../std/backoff.ts";

/** What a listener speaks: Riak's HTTP, Riak's protocol buffers, Cassandra's native protocol. */
export type Protocol = "http" | "pb" | "cql";

/** A place to connect to, as the source of backends tells it. */
export type Target = {
  /** "host:port"; a backend is known by it. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Id of the node, or the address where the source knows no nodes. */
  readonly node: string;
  readonly rack?: string;
  readonly zone?: string;
  /** To be stopped soon: it takes no new connections. */
  readonly draining: boolean;
};

export type Settings = {
  readonly protocol: Protocol;
  readonly balance: "leastConnections" | "roundRobin";
  /** The director's own place: backends there come first, others when those are full or gone. */
  readonly rack?: string;
  readonly zone?: string;
  /** Connections to one backend, those being opened included. */
  readonly connectionsMax: number;
  /** Clients that may wait for a backend, and for how long. */
  readonly queueMax: number;
  readonly queueTimeoutMs: number;
  /** How long connections to a draining backend, and all when the director stops, may go on. */
  readonly drainTimeoutMs: number;
  readonly probeIntervalMs: number;
  /** Failed probes in a row that make a backend down, good ones that bring it back. */
  readonly probeFall: number;
  readonly probeRise: number;
  /** Failures of clients' connections in a row, none older than the window, that eject a backend for a while. */
  readonly ejectFailures: number;
  readonly ejectWindowMs: number;
  readonly ejection: Backoff;
};

/** "unknown" until the first probe ends: such a backend is used. */
export type Health = "unknown" | "up" | "down";

export type Backend = {
  readonly target: Target;
  /** Connections of clients, those being opened included. */
  readonly connections: number;
  readonly health: Health;
  /** Probes in a row that contradict `health`. */
  readonly contrary: number;
  /** When the next probe is due; missing while one is under way. */
  readonly probeAtMs?: number;
  /** Failures of clients' connections in a row, and when the last one was. */
  readonly failures: number;
  readonly failedAtMs: number;
  readonly lastError?: string;
  /** Ejections in a row, and until when the last one lasts. */
  readonly ejections: number;
  readonly ejectedUntilMs: number;
  /** Since when it takes no new connections because it is to stop, or because the source no longer has it. */
  readonly drainingSinceMs?: number;
  /** The source no longer has it: it is forgotten with its last connection. */
  readonly gone: boolean;
};

/** A client on its way to a backend. `tried`: addresses that did not take it. */
export type Attempt = { readonly client: number; readonly sinceMs: number; readonly tried: readonly string[] };

export type State = {
  readonly settings: Settings;
  /** By address, in its order. */
  readonly backends: readonly Backend[];
  /** The address that was picked last. */
  readonly turn: string;
  /** Clients that wait for a backend, the longest waiting first. */
  readonly queue: readonly Attempt[];
  /** When connections were spread over the backends last. */
  readonly spreadAtMs: number;
  /** Set when the director is to stop. */
  readonly stoppingSinceMs?: number;
};

export type Event = { readonly nowMs: number } &
  /** The source's whole list. */
  (
    | { readonly type: "targets"; readonly targets: readonly Target[] }
    | { readonly type: "arrived"; readonly client: number }
    /** A client that waited in the queue went away. */
    | { readonly type: "left"; readonly client: number }
    /** A backend did not take the connection; nothing was sent to it. */
    | { readonly type: "refused"; readonly attempt: Attempt; readonly address: string; readonly detail: string }
    /**
     * A connection to a backend is over. "failed": the client had asked something and the backend ended the connection
     * without a byte of an answer.
     */
    | {
        readonly type: "closed";
        readonly address: string;
        readonly outcome: "answered" | "unasked" | "failed";
      }
    /** `error`: why the probe failed. */
    | { readonly type: "probed"; readonly address: string; readonly error?: string }
    | { readonly type: "tick" }
    | { readonly type: "stop" }
  );

export type Action =
  | { readonly type: "connect"; readonly attempt: Attempt; readonly target: Target }
  /** Tell the client that it gets no backend, and why. */
  | { readonly type: "refuse"; readonly client: number; readonly why: Refusal; readonly detail: string }
  | { readonly type: "probe"; readonly target: Target }
  /** It drains or is down, and new connections go elsewhere from now on: end those that rest between two requests, where that can be seen. */
  | { readonly type: "drain"; readonly address: string }
  /** End all connections to the backend. */
  | { readonly type: "cut"; readonly address: string }
  /** So many connections that rest look for another backend, where they can change it: this one has more than its share. */
  | { readonly type: "spread"; readonly address: string; readonly count: number }
  /** For metrics. */
  | { readonly type: "ejected"; readonly address: string }
  | { readonly type: "say"; readonly level: "info" | "warn"; readonly text: string }
  /** Nothing is left to be done after "stop". */
  | { readonly type: "stopped" };

/** Why a client was turned away, as the metrics name it. */
export type Refusal = "queue_full" | "queue_timeout" | "no_backend_left" | "stopping";
