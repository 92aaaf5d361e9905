// Traffic by requests: every request of a client is placed for itself, over connections to backends that clients share. What a
// request is, where it and its answer end and what is said of failures, is known to those who extend this.
import type { Socket } from "bun";
import type { Attempt, Refusal, Target } from "../state.ts";
import type { Client, Errand } from "./client.ts";
import { Clients, shortly } from "./clients.ts";
import { countFailure, countRefusal } from "./figures.ts";
import { Link, Links } from "./links.ts";
import type { Desk, Traffic } from "./proxy.ts";
import { drained, finish, pause, PUMP, put, resume, type Side, soon } from "./pump.ts";

const LOST = "The node ended the connection before it answered; whether it did what was asked is not known";

export abstract class Errands<One extends Errand, Each extends Client<One>>
  extends Clients<One, Each>
  implements Traffic
{
  protected readonly links: Links;
  /** By the id of the running request, unless its client has a link for ever. */
  readonly #running = new Map<number, Each>();
  #ids = 0;

  constructor(desk: Desk) {
    super(desk);
    const answered = (socket: Socket<Side>, bytes: Uint8Array): void => this.#answered(socket, bytes);
    this.links = new Links(this, desk, {
      ...{ close: this.closing, error: PUMP.error, drain: drained },
      data: desk.options.backendTls === undefined ? shortly(answered) : answered,
      end: (socket) => this.#linkEnded(socket),
    });
  }

  /** Takes of the bytes what belongs to one request, and sends it on or begins it; what comes after it waits. */
  protected abstract read(client: Each, socket: Socket<Side>, bytes: Uint8Array): void;
  /** Whether the running request is there to its end, so that more bytes belong to the next. */
  protected abstract isAsked(client: Each): boolean;
  /** Whether the client is in the middle of a request. */
  protected abstract isHalfAsked(client: Each): boolean;
  /** Hands on bytes of the answer to the running request. */
  protected abstract pass(client: Each, socket: Socket<Side>, errand: One, link: Link, bytes: Uint8Array): void;
  /** The backend sends no more. */
  protected abstract passEnd(client: Each, socket: Socket<Side>, errand: One): void;
  /** Whether an error of ours can be sent in place of the answer, or of its rest. */
  protected abstract canBeTold(errand: One, link: Link): boolean;
  /** Tells the client that its request, which runs no longer, was not placed, or was lost. */
  protected abstract fail(
    client: Each,
    socket: Socket<Side>,
    errand: One,
    why: "unplaced" | "lost",
    text: string,
  ): void;
  override end(): void {
    super.end();
    this.links.cut();
  }

  drain(address: string): void {
    this.links.drain(address);
  }

  cut(address: string): void {
    this.links.cut(address);
  }

  override tick(): void {
    super.tick();
    this.links.tick(this.nowMs);
  }

  protected hear(client: Each, socket: Socket<Side>, bytes: Uint8Array): void {
    if (client.hold === "raw") PUMP.data(socket, bytes);
    else if (client.pending !== undefined || client.behind || (client.errand !== undefined && this.isAsked(client))) {
      client.pending = Buffer.concat([client.pending ?? new Uint8Array(), bytes]);
      pause(socket);
    } else this.read(client, socket, bytes);
  }

  /** Keeps what came after a request. */
  protected keepRest(client: Each, socket: Socket<Side>, bytes: Uint8Array, end: number): void {
    if (end === bytes.length) return;
    client.pending = bytes.slice(end);
    pause(socket);
  }

  protected nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** Has a request placed, or sends it over the client's own link. */
  protected begin(client: Each, socket: Socket<Side>, errand: One): void {
    client.errand = errand;
    const { link } = client;
    if (link !== undefined) {
      this.#send(client, errand, link);
      if (errand.hold === "raw") this.#letPass(client, link);
      return;
    }
    this.#running.set(errand.id, client);
    if (!this.isAsked(client)) pause(socket);
    this.desk.tell({ type: "arrived", client: errand.id });
  }

  /** More of the running request. */
  protected goOnWith(client: Each, socket: Socket<Side>, errand: One, bytes: Uint8Array): void {
    const linkSocket = client.link?.socket;
    errand.keep(bytes);
    if (linkSocket === undefined) {
      pause(socket);
      return;
    }
    errand.forgetLong();
    client.count(bytes.length);
    if (!put(linkSocket, bytes)) pause(socket);
  }

  connect(attempt: Attempt, target: Target): void {
    const { address } = target;
    const errand = this.#running.get(attempt.client)?.errand;
    if (errand === undefined) {
      this.desk.tell({ type: "closed", address, outcome: "unasked" });
      return;
    }
    const figures = this.desk.figuresAt(address);
    figures.connections += 1;
    figures.lastUsedMs = Date.now();
    errand.attempt = attempt;
    if (attempt.tried.length === 0)
      this.desk.figures.queueSeconds.observe((performance.now() - errand.startedMs) / 1000);
    const rested = this.links.rested(address);
    if (rested !== undefined) {
      this.#taken(attempt, rested);
      return;
    }
    this.links.dial(
      target,
      (link) => this.#taken(attempt, link),
      (detail) => {
        if (this.#running.has(attempt.client)) this.desk.tell({ type: "refused", attempt, address, detail });
        else this.desk.tell({ type: "closed", address, outcome: "unasked" });
      },
    );
  }

  #taken(attempt: Attempt, link: Link): void {
    const client = this.#running.get(attempt.client);
    const errand = client?.errand;
    if (client === undefined || errand === undefined || link.socket === undefined) {
      this.links.rest(link, performance.now());
      this.desk.tell({ type: "closed", address: link.address, outcome: "unasked" });
      return;
    }
    client.link = link;
    client.meter = this.desk.figuresAt(link.address).received;
    client.peer = link.socket;
    link.client = client;
    link.peer = client.socket;
    client.hold = errand.hold;
    errand.linkIsOld = link.bytes > 0;
    const isTaken = this.#send(client, errand, link);
    if (errand.hold === "raw") this.#letPass(client, link);
    if (!isTaken) return;
    if (client.pending === undefined && client.paused && client.socket !== undefined) resume(client.socket);
  }

  /** Sends what was read of the request so far. Returns whether all was taken. */
  #send(client: Each, errand: One, link: Link): boolean {
    const { socket } = link;
    let isTaken = true;
    for (const bytes of errand.kept ?? []) {
      client.count(bytes.length);
      if (socket !== undefined) isTaken = put(socket, bytes);
    }
    errand.forgetLong();
    if (!isTaken && client.socket !== undefined) pause(client.socket);
    return isTaken;
  }

  /** What a client and its link say is no requests any more. */
  #letPass(client: Each, link: Link): void {
    const { pending } = client;
    client.hold = "raw";
    client.pending = undefined;
    if (pending !== undefined && link.socket !== undefined) put(link.socket, pending);
  }

  /** Client and backend speak something else from now on. `answer`: to the running request. */
  protected switchOver(client: Each, socket: Socket<Side>, link: Link, answer: readonly Uint8Array[]): void {
    this.forget(client);
    for (const bytes of answer) if (bytes.length > 0) put(socket, bytes);
    this.#letPass(client, link);
    resume(socket);
  }

  refuse(id: number, why: Refusal, detail: string): void {
    const client = this.#running.get(id);
    const { errand, socket } = client ?? {};
    if (client === undefined || errand === undefined || socket === undefined) return;
    this.forget(client);
    countRefusal(this.desk.figures, why);
    this.fail(client, socket, errand, "unplaced", `No backend: ${detail}`);
  }

  /** The request runs no longer. */
  protected forget(client: Each): void {
    if (client.errand !== undefined) this.#running.delete(client.errand.id);
    client.errand = undefined;
  }

  /** The client's next request, once it has taken the answer to the last one. */
  protected goOn(client: Each, socket: Socket<Side>): void {
    client.sinceMs = this.nowMs;
    client.behind = client.rest !== undefined;
    if (client.behind) {
      pause(socket);
      return;
    }
    const { pending } = client;
    client.pending = undefined;
    if (pending === undefined && (client.ended || this.stopping)) finish(socket, "end");
    if (client.paused) resume(socket);
    if (pending !== undefined)
      soon(() => {
        if (client.socket !== undefined && !client.dismissed) this.read(client, socket, pending);
      });
  }

  protected caughtUp(client: Each, socket: Socket<Side>): void {
    if (client.behind && client.rest === undefined) this.goOn(client, socket);
  }

  /** Bytes of a backend. */
  #answered(socket: Socket<Side>, bytes: Uint8Array): void {
    const link = socket.data;
    if (!(link instanceof Link)) return;
    const { client } = link;
    if (!this.isClient(client) || client.socket === undefined) socket.terminate();
    else if (client.hold === "raw") PUMP.data(socket, bytes);
    // Nobody asked.
    else if (client.errand === undefined) socket.terminate();
    else this.pass(client, client.socket, client.errand, link, bytes);
  }

  /** Asks another backend. */
  protected again(client: Each, errand: One, link: Link, detail: string): void {
    this.part(client, link);
    const { address } = link;
    countFailure(this.desk.figuresAt(address), detail);
    if (errand.attempt !== undefined) this.desk.tell({ type: "refused", attempt: errand.attempt, address, detail });
  }

  /** The request is answered, and its link free for others if that is `inStep`. */
  protected free(client: Each, link: Link, inStep: boolean): void {
    this.part(client, link);
    if (inStep) this.links.rest(link, this.nowMs);
    else link.socket?.terminate();
    this.desk.tell({ type: "closed", address: link.address, outcome: "answered" });
  }

  protected part(client: Each, link: Link): void {
    client.link = undefined;
    client.peer = undefined;
    link.client = undefined;
    link.peer = undefined;
  }

  protected ended(client: Each, socket: Socket<Side>): void {
    client.ended = true;
    if (client.hold === "raw") PUMP.end(socket);
    // Half a request is none.
    else if (this.isHalfAsked(client)) socket.terminate();
    else if (client.errand === undefined && client.pending === undefined) finish(socket, "end");
  }

  #linkEnded(socket: Socket<Side>): void {
    const client = socket.data instanceof Link ? socket.data.client : undefined;
    if (this.isClient(client) && client.hold === "raw") {
      PUMP.end(socket);
      return;
    }
    if (this.isClient(client) && client.errand !== undefined && client.socket !== undefined)
      this.passEnd(client, client.socket, client.errand);
    socket.end();
  }

  closed(side: Side): void {
    if (side instanceof Link) this.#linkClosed(side);
    else if (this.isClient(side)) this.#clientClosed(side);
  }

  #clientClosed(client: Each): void {
    const { errand, link } = client;
    client.socket = undefined;
    this.leave(client);
    this.forget(client);
    if (link === undefined) {
      // One that is being dialed for it notices by itself.
      if (errand !== undefined) this.desk.tell({ type: "left", client: errand.id });
      return;
    }
    this.part(client, link);
    // An answer to nobody may still be on its way.
    if (client.hold !== "raw") link.socket?.terminate();
    this.desk.tell({ type: "closed", address: link.address, outcome: link.bytes > 0 ? "answered" : "unasked" });
  }

  #linkClosed(link: Link): void {
    const { client, address } = link;
    this.links.forget(link);
    if (!this.isClient(client)) return;
    const { errand, socket, hold } = client;
    if (errand !== undefined && hold === "free" && errand.mayBeSentAgain) {
      this.again(client, errand, link, "it ended the connection before it answered");
      return;
    }
    this.part(client, link);
    this.forget(client);
    const isLost = errand !== undefined && hold !== "raw";
    if (isLost) countFailure(this.desk.figuresAt(address), "closed without an answer");
    this.desk.tell({ type: "closed", address, outcome: isLost ? "failed" : "answered" });
    if (socket === undefined || hold === "raw") return;
    // What was half sent must not look complete; and without its link's state a client cannot go on.
    if (errand === undefined || hold !== "free" || !this.canBeTold(errand, link)) socket.terminate();
    else this.fail(client, socket, errand, "lost", LOST);
  }
}
