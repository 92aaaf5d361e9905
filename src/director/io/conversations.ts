// Traffic of CQL drivers that are listened to: each stays on its own connection to the director, which goes on with another
// backend when the present one is to stop, or has ended the connection.
import type { Socket, TCPSocketListener } from "bun";
import { Conversation } from "../cql/conversation.ts";
import { addressBytes, hostIdOf } from "../cql/rows.ts";
import type { Taken } from "../cql/server.ts";
import { Statements } from "../cql/statements.ts";
import type { Attempt, Refusal, Target } from "../state.ts";
import { tune } from "./connections.ts";
import { countConnectError, countFailure, countRefusal, type Unheard } from "./figures.ts";
import { Moves } from "./moves.ts";
import type { Desk, Traffic } from "./proxy.ts";
import { finish, PUMP, put, type Side } from "./pump.ts";
import { dial, listen } from "./sockets.ts";
import { caughtUp, handOn, Line, Talk } from "./talk.ts";

/** A node that has just started is slow to hear what was settled before: time enough while the present one still serves. */
const SETTLE_MS = 10_000;

export class Conversations implements Traffic {
  readonly #desk: Desk;
  readonly #statements = new Statements();
  readonly #listener: TCPSocketListener<Side>;
  readonly #talks = new Map<number, Talk>();
  /** Being connected, or being told what was settled before. */
  readonly #coming = new Set<Line>();
  readonly #moves = new Moves({
    seek: (talk) => this.#desk.tell({ type: "arrived", client: talk.id }),
    dismiss: (talk) => this.#dismiss(talk),
  });
  #ids = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
    const handlers = {
      ...this.#handlers,
      open: (socket: Socket<Side>) => this.#opened(socket),
      data: (socket: Socket<Side>, bytes: Uint8Array) => this.#asked(socket, bytes),
      end: (socket: Socket<Side>) => this.#clientEnded(socket),
    };
    this.#listener = listen(desk.options, handlers, () => countRefusal(desk.figures, "tls"));
  }

  readonly #handlers = {
    drain: (socket: Socket<Side>): void => caughtUp(socket),
    close: (socket: Socket<Side>): void => {
      const side = socket.data;
      side.peer = undefined;
      side.rest = undefined;
      side.owner.closed(side, undefined);
    },
    error: PUMP.error,
  };

  get port(): number {
    return this.#listener.port;
  }

  close(): void {
    this.#listener.stop();
  }

  end(): void {
    this.#listener.stop(true);
    for (const talk of [...this.#talks.values()]) this.#break(talk);
  }

  /** All that are on the backend are to go on with another one. */
  drain(address: string): void {
    const bound = this.#moves.drain(address, this.#talks.values());
    if (bound === 0) return;
    const why = "their drivers proved who they are in more than one step";
    this.#desk.options.say(
      "warn",
      `${bound} connections to ${address} end when they rest, since they cannot move: ${why}`,
    );
  }

  spread(address: string, count: number): void {
    this.#moves.spread(address, count, this.#talks.values());
  }

  get bound(): number {
    let count = 0;
    for (const { conversation } of this.#talks.values()) if (conversation.isBound) count += 1;
    return count;
  }

  cut(address: string): void {
    for (const talk of [...this.#talks.values()])
      for (const line of talk.lines) if (line.address === address) line.socket?.terminate();
  }

  tick(): void {
    const now = performance.now();
    const { connectTimeoutMs } = this.#desk.options;
    for (const line of [...this.#coming]) {
      const hasTime = line.server !== undefined && line.talk.present !== undefined;
      const allowedMs = hasTime ? Math.max(connectTimeoutMs, SETTLE_MS) : connectTimeoutMs;
      if (now - line.startedMs < allowedMs) continue;
      const what = line.server === undefined ? "connection" : "answer to what was settled before";
      this.#notTaken(line, `no ${what} within ${allowedMs} ms`);
    }
    this.#moves.some();
  }

  #opened(socket: Socket<Side>): void {
    this.#ids += 1;
    const { figures, options } = this.#desk;
    const { localAddress, localPort } = socket;
    const hostId = hostIdOf(`ringmaster director ${localAddress}:${localPort}`);
    const identity = { address: addressBytes(localAddress), port: localPort, hostId };
    const talk = new Talk(this.#ids, this, socket, new Conversation(identity, this.#statements));
    socket.data = talk.client;
    figures.clients += 1;
    if (this.#talks.size >= options.clientsMax) {
      this.#turnAway(talk, "too_many_clients");
      return;
    }
    this.#talks.set(talk.id, talk);
    socket.pause();
    tune(socket);
    this.#desk.tell({ type: "arrived", client: talk.id });
  }

  /** CQL has no words for it before the client has spoken. */
  #turnAway(talk: Talk, why: Refusal | Unheard): void {
    countRefusal(this.#desk.figures, why);
    talk.waits = false;
    talk.turnedAway = true;
    // Those that are too many were told nothing that could be lost, and take a file each.
    if (why === "too_many_clients") talk.socket?.end();
    else this.#dismiss(talk);
  }

  /** Lets the client read what it was told last. */
  #dismiss(talk: Talk): void {
    talk.turnedAway = true;
    if (talk.socket !== undefined) finish(talk.socket, "end");
  }

  refuse(client: number, why: Refusal): void {
    const talk = this.#talks.get(client);
    if (talk === undefined) return;
    talk.waits = false;
    this.#moves.over(talk);
    // One that had a backend before may wait as long as one in the queue: the next may be up in a moment.
    const mayWait = performance.now() - talk.aloneSinceMs < this.#desk.options.settings.queueTimeoutMs;
    if (talk.present === undefined && !mayWait) this.#turnAway(talk, why);
    else this.#moves.stays(talk);
  }

  connect(attempt: Attempt, target: Target): void {
    const talk = this.#talks.get(attempt.client);
    const { address } = target;
    this.#moves.serves(address);
    if (talk !== undefined) talk.waits = false;
    if (talk === undefined || talk.present?.address === address) {
      this.#desk.tell({ type: "closed", address, outcome: "unasked" });
      if (talk !== undefined) this.#moves.over(talk);
      return;
    }
    const figures = this.#desk.figuresAt(address);
    figures.connections += 1;
    const line = new Line(talk, figures.sent, attempt, address);
    talk.next = line;
    if (attempt.tried.length === 0)
      this.#desk.figures.queueSeconds.observe((performance.now() - talk.waitsSinceMs) / 1000);
    this.#coming.add(line);
    this.#dial(line, target);
  }

  #dial(line: Line, target: Target): void {
    const handlers = {
      ...this.#handlers,
      data: (socket: Socket<Side>, bytes: Uint8Array) => this.#answered(line, socket, bytes),
      end: (socket: Socket<Side>): void => {
        socket.end();
      },
    };
    dial<Side>(
      target,
      line,
      handlers,
      this.#desk.options.backendTls,
      (socket) => this.#connected(line, socket),
      (detail) => this.#notTaken(line, detail),
    );
  }

  #connected(line: Line, socket: Socket<Side>): void {
    const { talk } = line;
    if (line.over) {
      socket.terminate();
      return;
    }
    line.socket = socket;
    tune(socket);
    const now = performance.now();
    const figures = this.#desk.figuresAt(line.address);
    figures.connectSeconds.observe((now - line.startedMs) / 1000);
    figures.lastUsedMs = Date.now();
    line.startedMs = now;
    if (talk.conversation.isNew) {
      line.server = talk.conversation.begin();
      this.#takesOver(talk, line);
      return;
    }
    line.server = talk.conversation.replayed();
    put(socket, line.server.say());
  }

  /** The line is where the client's bytes go from now on. */
  #takesOver(talk: Talk, line: Line): void {
    this.#coming.delete(line);
    talk.next = undefined;
    talk.present = line;
    talk.client.meter = this.#desk.figuresAt(line.address).received;
    talk.client.peer = line.socket;
    line.peer = talk.socket;
    this.#moves.arrived(talk, line.address);
    for (const bytes of talk.pending.splice(0)) if (talk.socket !== undefined) this.#asked(talk.socket, bytes);
    if (talk.ended && line.socket !== undefined) finish(line.socket, "shutdown");
    talk.socket?.resume();
  }

  /** Bytes of a client. */
  #asked(socket: Socket<Side>, bytes: Uint8Array): void {
    const { owner } = socket.data;
    if (!(owner instanceof Talk)) return;
    const backend = owner.present?.socket;
    if (owner.turnedAway) return;
    if (backend === undefined) {
      owner.pending.push(bytes.slice());
      socket.pause();
      return;
    }
    this.#handOn(socket, bytes, backend, owner.conversation.take(bytes));
    this.#settle(owner);
  }

  /** Bytes of a backend. */
  #answered(line: Line, socket: Socket<Side>, bytes: Uint8Array): void {
    const { talk, server } = line;
    if (server === undefined || line.over) return;
    if (line !== talk.next) {
      if (talk.socket !== undefined) {
        const taken = server.take(bytes);
        this.#handOn(socket, bytes, talk.socket, taken);
        if (taken.onward !== undefined && talk.present?.socket !== undefined) put(talk.present.socket, taken.onward);
      }
      this.#settle(talk);
      return;
    }
    // What it says beside the answers is said by the present one too.
    const { reply, error } = server.take(bytes);
    if (reply !== undefined) put(socket, reply);
    const state = error === undefined ? server.replay?.state : { error };
    if (state === "done" && this.#coming.delete(line)) talk.conversation.moveTo(server);
    if (typeof state === "object") this.#notTaken(line, state.error);
    else this.#settle(talk);
  }

  #handOn(source: Socket<Side>, bytes: Uint8Array, to: Socket<Side>, taken: Taken): void {
    if (taken.error === undefined) handOn(source, bytes.length, to, taken);
    else this.#bad(source.data, taken.error);
  }

  #bad(side: Side, why: string): void {
    countRefusal(this.#desk.figures, "bad_frame");
    const who = side instanceof Line ? `Backend ${side.address}` : "A client";
    this.#desk.options.say("warn", `${who} sent what is not CQL, its connection is ended: ${why}`);
    if (side.owner instanceof Talk) this.#break(side.owner);
  }

  /** Does what the conversation is ready for: the next backend takes over, the former one is let go. */
  #settle(talk: Talk): void {
    const { conversation, next, former } = talk;
    if (next !== undefined && !this.#coming.has(next)) {
      const before = conversation.settledSince();
      if (before.length > 0 && next.socket !== undefined) {
        this.#coming.add(next);
        next.startedMs = performance.now();
        put(next.socket, before);
        return;
      }
      const moved = conversation.moved();
      if (moved !== undefined && next.socket !== undefined) {
        talk.former = talk.present;
        this.#moves.over(talk);
        put(next.socket, moved.first);
        this.#takesOver(talk, next);
        this.#settle(talk);
      }
      return;
    }
    if (former === undefined || !conversation.formerIsDone()) return;
    talk.former = undefined;
    this.#over(former, "answered");
    former.peer = undefined;
    if (former.socket !== undefined) finish(former.socket, "end");
  }

  /** The backend did not take the connection, or not what was settled before. */
  #notTaken(line: Line, detail: string): void {
    if (line.over || line.talk.next !== line) return;
    const { talk, address, attempt } = line;
    countConnectError(this.#desk.figuresAt(address), detail);
    this.#coming.delete(line);
    line.over = true;
    line.socket?.terminate();
    talk.next = undefined;
    talk.waits = true;
    this.#desk.tell({ type: "refused", attempt, address, detail });
  }

  #clientEnded(socket: Socket<Side>): void {
    const { owner, peer } = socket.data;
    if (!(owner instanceof Talk)) return;
    owner.ended = true;
    if (peer !== undefined) finish(peer, "shutdown");
  }

  clientClosed(talk: Talk): void {
    talk.socket = undefined;
    if (!this.#talks.delete(talk.id)) return;
    this.#moves.forget(talk);
    if (talk.waits) this.#desk.tell({ type: "left", client: talk.id });
    for (const line of talk.lines) {
      line.peer = undefined;
      this.#over(line, line.bytes > 0 ? "answered" : "unasked");
      if (line.socket !== undefined) finish(line.socket, "end");
    }
  }

  /** The decisions are told once. */
  #over(line: Line, outcome: "answered" | "unasked" | "failed"): void {
    this.#coming.delete(line);
    if (line.over) return;
    line.over = true;
    this.#desk.tell({ type: "closed", address: line.address, outcome });
  }

  lineClosed(line: Line): void {
    const { talk, server } = line;
    if (line.over) return;
    if (line === talk.next && this.#coming.has(line)) {
      this.#notTaken(line, "it ended the connection before it was in use");
      return;
    }
    const failed = server?.asked === true;
    if (failed) countFailure(this.#desk.figuresAt(line.address), "closed without an answer");
    const lost = server === undefined || talk.ended ? undefined : talk.conversation.lost(server);
    this.#over(line, failed ? "failed" : "answered");
    if (talk.socket === undefined) return;
    if (lost === undefined) {
      if (talk.ended || server?.between === true) this.#dismiss(talk);
      else this.#break(talk);
      return;
    }
    put(talk.socket, lost.answers);
    if (line === talk.former) talk.former = undefined;
    if (line === talk.next) {
      talk.next = undefined;
      if (talk.present === undefined) this.#moves.seek(talk);
      else this.#moves.stays(talk);
      return;
    }
    if (line !== talk.present) {
      if (talk.present?.socket !== undefined) put(talk.present.socket, lost.first);
      return;
    }
    talk.present = undefined;
    talk.aloneSinceMs = performance.now();
    talk.client.peer = undefined;
    this.#moves.forget(talk);
    talk.socket.pause();
    if (talk.next === undefined && !talk.waits) this.#moves.seek(talk);
    else this.#settle(talk);
  }

  /** Ends the client's connection and its backends' at once. */
  #break(talk: Talk): void {
    const { lines, socket } = talk;
    socket?.terminate();
    for (const line of lines) line.socket?.terminate();
  }
}
