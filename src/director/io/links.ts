// Connections to backends that requests of many clients share, one at a time: they rest here between two requests.
import type { Socket } from "bun";
import type { Target } from "../state.ts";
import { FrameReader } from "../riak/frames.ts";
import { tune } from "./connections.ts";
import { countConnectError } from "./figures.ts";
import type { Desk } from "./proxy.ts";
import { type Meter, type Owner, resume, Side } from "./pump.ts";
import { dial } from "./sockets.ts";

/** Connections that rest for longer are closed. */
const REST_MS = 60_000;

/** One connection to a backend. */
export class Link extends Side {
  readonly address: string;
  readonly reader = new FrameReader();
  socket: Socket<Side> | undefined;
  /** Whose request it carries. */
  client: Side | undefined;
  restsSinceMs = 0;

  constructor(owner: Owner, meter: Meter, address: string) {
    super(owner, meter);
    this.address = address;
  }
}

/** A socket's handlers that links need; the link is the socket's `data`. */
export type LinkHandlers = {
  readonly data: (socket: Socket<Side>, bytes: Uint8Array) => void;
  readonly drain: (socket: Socket<Side>) => void;
  readonly end: (socket: Socket<Side>) => void;
  readonly close: (socket: Socket<Side>, error?: Error) => void;
  readonly error: (socket: Socket<Side>) => void;
};

/** A link on its way: what is done once it is there, or is not. */
type Dialing = {
  readonly link: Link;
  readonly sinceMs: number;
  readonly joined: (link: Link) => void;
  readonly failed: (detail: string) => void;
};

export class Links {
  readonly #owner: Owner;
  readonly #desk: Desk;
  readonly #handlers: LinkHandlers;
  readonly #dialing = new Set<Dialing>();
  readonly #resting = new Map<string, Link[]>();
  readonly #all = new Set<Link>();
  /** Addresses whose links are closed instead of being laid to rest. */
  readonly #draining = new Set<string>();

  constructor(owner: Owner, desk: Desk, handlers: LinkHandlers) {
    this.#owner = owner;
    this.#desk = desk;
    this.#handlers = handlers;
  }

  /** The link to the backend that rested shortest. */
  rested(address: string): Link | undefined {
    this.#draining.delete(address);
    return this.#resting.get(address)?.pop();
  }

  /** A new link to the backend. Exactly one of the two is called. */
  dial(target: Target, joined: Dialing["joined"], failed: Dialing["failed"]): void {
    const { address } = target;
    const link = new Link(this.#owner, this.#desk.figuresAt(address).sent, address);
    const dialing: Dialing = { link, sinceMs: performance.now(), joined, failed };
    this.#dialing.add(dialing);
    dial(
      target,
      link,
      this.#handlers,
      this.#desk.options.backendTls,
      (socket) => this.#dialed(dialing, socket),
      (detail) => this.#notDialed(dialing, detail),
    );
  }

  #dialed(dialing: Dialing, socket: Socket<Side>): void {
    if (!this.#dialing.delete(dialing)) {
      socket.terminate();
      return;
    }
    const { link, sinceMs, joined } = dialing;
    this.#desk.figuresAt(link.address).connectSeconds.observe((performance.now() - sinceMs) / 1000);
    tune(socket);
    link.socket = socket;
    this.#all.add(link);
    joined(link);
  }

  #notDialed(dialing: Dialing, detail: string): void {
    if (!this.#dialing.delete(dialing)) return;
    countConnectError(this.#desk.figuresAt(dialing.link.address), detail);
    dialing.failed(detail);
  }

  rest(link: Link, nowMs: number): void {
    link.client = undefined;
    link.peer = undefined;
    // It may have been paused for a slow client.
    if (link.paused && link.socket !== undefined) resume(link.socket);
    if (this.#draining.has(link.address)) {
      link.socket?.end();
      return;
    }
    link.restsSinceMs = nowMs;
    const resting = this.#resting.get(link.address);
    if (resting === undefined) this.#resting.set(link.address, [link]);
    else resting.push(link);
  }

  /** The link's socket is closed. */
  forget(link: Link): void {
    link.socket = undefined;
    this.#all.delete(link);
    const resting = this.#resting.get(link.address);
    const index = resting?.indexOf(link) ?? -1;
    if (index >= 0) resting?.splice(index, 1);
    if (resting?.length === 0) this.#resting.delete(link.address);
  }

  drain(address: string): void {
    this.#draining.add(address);
    for (const link of this.#resting.get(address) ?? []) link.socket?.end();
    this.#resting.delete(address);
  }

  /** Breaks off all links to the address; all there are without one. */
  cut(address?: string): void {
    for (const link of [...this.#all]) if (address === undefined || link.address === address) link.socket?.terminate();
  }

  tick(nowMs: number): void {
    const { connectTimeoutMs } = this.#desk.options;
    for (const dialing of this.#dialing)
      if (nowMs - dialing.sinceMs > connectTimeoutMs)
        this.#notDialed(dialing, `no connection within ${connectTimeoutMs} ms`);
    for (const [address, resting] of this.#resting) {
      const tired = resting.filter(({ restsSinceMs }) => nowMs - restsSinceMs > REST_MS);
      if (tired.length === 0) continue;
      const tiredSet = new Set(tired);
      this.#resting.set(
        address,
        resting.filter((link) => !tiredSet.has(link)),
      );
      for (const link of tired) link.socket?.end();
    }
  }
}
