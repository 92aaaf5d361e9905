// A driver's connection to the director, and those to backends that it goes on with.
import type { Socket } from "bun";
import type { Conversation } from "../cql/conversation.ts";
import type { Server, Taken } from "../cql/server.ts";
import type { Attempt } from "../state.ts";
import { drained, type Meter, type Owner, put, Side } from "./pump.ts";

/** A connection to a backend. */
export class Line extends Side {
  readonly talk: Talk;
  readonly address: string;
  readonly attempt: Attempt;
  socket: Socket<Side> | undefined;
  server: Server | undefined;
  /** When it began to be connected, then when it was told the first of what was settled before. */
  startedMs = performance.now();
  /** The decisions know that it is over. */
  over = false;

  constructor(talk: Talk, meter: Meter, attempt: Attempt, address: string) {
    super(talk, meter);
    this.talk = talk;
    this.attempt = attempt;
    this.address = address;
  }
}

/** Who is told when sockets are closed. */
type Told = {
  lineClosed(line: Line): void;
  clientClosed(talk: Talk): void;
};

/** A driver's connection. */
export class Talk implements Owner {
  readonly id: number;
  readonly #traffic: Told;
  readonly client: Side;
  socket: Socket<Side> | undefined;
  readonly conversation: Conversation;
  /** Where the client's bytes go. */
  present: Line | undefined;
  /** On its way to take the present one's place. */
  next: Line | undefined;
  /** Still has something to answer. */
  former: Line | undefined;
  /** A backend was asked for, and is not told yet. */
  waits = true;
  waitsSinceMs = performance.now();
  /** Bytes of the client while it has no backend. */
  pending: Uint8Array[] = [];
  /** It sends no more. */
  ended = false;
  moveAtMs = 0;
  /** When it lost the backend that it had. */
  aloneSinceMs = Number.NEGATIVE_INFINITY;
  /** It is told to go, and not listened to any more. */
  turnedAway = false;

  constructor(id: number, traffic: Told, socket: Socket<Side>, conversation: Conversation) {
    this.id = id;
    this.#traffic = traffic;
    this.client = new Side(this, { bytes: 0 });
    this.socket = socket;
    this.conversation = conversation;
  }

  get lines(): readonly Line[] {
    return [this.present, this.next, this.former].filter((line) => line !== undefined);
  }

  closed(side: Side): void {
    if (side instanceof Line) this.#traffic.lineClosed(side);
    else this.#traffic.clientClosed(this);
  }
}

/** Hands on what became of so many bytes of `source`, and pauses it while the other socket cannot take that. */
export function handOn(source: Socket<Side>, length: number, to: Socket<Side>, { forward, reply, later }: Taken): void {
  const side = source.data;
  side.bytes += length;
  side.meter.bytes += length;
  let taken = true;
  for (const piece of forward) taken = put(to, piece);
  if (!taken) source.pause();
  if (reply !== undefined) put(source, reply);
  if (later === undefined) return;
  setTimeout(() => {
    if (side.peer !== undefined) put(source, later.bytes());
  }, later.afterMs);
}

/** The socket takes bytes again: who waited for that goes on. */
export function caughtUp(socket: Socket<Side>): void {
  const { owner } = socket.data;
  drained(socket);
  if (!(owner instanceof Talk) || socket.data.rest !== undefined || socket.data !== owner.client) return;
  for (const line of owner.lines) line.socket?.resume();
}
