// Traffic by requests, for Riak's protocol buffers: every request of a client goes to the backend that has least to do, over
// connections that clients share. Frames pass through as they come; only their heads are read.
import type { Socket, TCPSocketListener } from "bun";
import { errorFrame, type Request } from "../riak/codes.ts";
import { FRAME_MAX_BYTES, isServiceGone, isStream, readAnswers, readRequest } from "../riak/exchange.ts";
import type { Attempt, Refusal, Target } from "../state.ts";
import { Client, forgetLong, keep, mayBeSentAgain, newRunning, type Running } from "./client.ts";
import { tune } from "./connections.ts";
import { countFailure, countRefusal } from "./figures.ts";
import { Link, Links } from "./links.ts";
import type { Desk, Traffic } from "./proxy.ts";
import { drained, finish, type Owner, PUMP, put, type Side } from "./pump.ts";
import { listen } from "./sockets.ts";

const LOST = "The node ended the connection before it answered; whether it did what was asked is not known";

export class Requests implements Traffic, Owner {
  readonly #desk: Desk;
  readonly #listener: TCPSocketListener<Side>;
  readonly #links: Links;
  readonly #clients = new Set<Client>();
  /** By the running request's id. */
  readonly #running = new Map<number, Client>();
  #ids = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
    const handlers = {
      close: (socket: Socket<Side>, error?: Error) => this.#closed(socket, error),
      error: PUMP.error,
    };
    const linkHandlers = {
      ...handlers,
      drain: drained,
      data: (socket: Socket<Side>, bytes: Uint8Array) => this.#answered(socket, bytes),
      end: (socket: Socket<Side>) => this.#linkEnded(socket),
    };
    this.#links = new Links(this, desk, linkHandlers);
    const clientHandlers = {
      ...handlers,
      open: (socket: Socket<Side>) => this.#opened(socket),
      data: (socket: Socket<Side>, bytes: Uint8Array) => this.#asked(socket, bytes),
      drain: (socket: Socket<Side>) => this.#caughtUp(socket),
      end: (socket: Socket<Side>) => this.#clientEnded(socket),
    };
    this.#listener = listen(desk.options, clientHandlers, () => countRefusal(desk.figures, "tls"));
  }

  get port(): number {
    return this.#listener.port;
  }

  close(): void {
    this.#listener.stop();
  }

  end(): void {
    this.#listener.stop(true);
    // The listener knows nothing of clients under TLS.
    for (const { socket } of [...this.#clients]) socket?.terminate();
    this.#links.cut();
  }

  drain(address: string): void {
    this.#links.drain(address);
  }

  cut(address: string): void {
    this.#links.cut(address);
  }

  tick(): void {
    this.#links.tick(performance.now());
  }

  #opened(socket: Socket<Side>): void {
    const { figures, options } = this.#desk;
    const client = new Client(this, { bytes: 0 });
    client.socket = socket;
    socket.data = client;
    figures.clients += 1;
    if (this.#clients.size >= options.clientsMax) {
      countRefusal(figures, "too_many_clients");
      put(socket, errorFrame(`No backend: there are ${options.clientsMax} clients, the limit`));
      finish(socket, "end");
      return;
    }
    this.#clients.add(client);
    tune(socket);
  }

  /** Bytes of a client. */
  #asked(socket: Socket<Side>, bytes: Uint8Array): void {
    const client = socket.data;
    if (!(client instanceof Client) || !this.#clients.has(client)) return;
    if (client.hold === "raw") PUMP.data(socket, bytes);
    else if (client.pending === undefined && !client.behind) this.#read(client, socket, bytes);
    else {
      client.pending = Buffer.concat([client.pending ?? new Uint8Array(), bytes]);
      socket.pause();
    }
  }

  /** Takes of the bytes what belongs to one request and sends it on; what comes after it waits. */
  #read(client: Client, socket: Socket<Side>, bytes: Uint8Array): void {
    const { reader, running } = client;
    const read = readRequest(reader, running !== undefined, bytes);
    if (read.type === "more") return;
    if (read.type === "bad") {
      this.#misunderstood(client, socket, read.length);
      return;
    }
    if (read.after !== undefined) {
      client.pending = read.after;
      socket.pause();
    }
    if (running === undefined) this.#begin(client, socket, read.rule, read.own);
    else if (read.own.length > 0) this.#continue(client, socket, running, read.own);
    if (client.running !== undefined && reader.complete) client.running.stream = isStream(read.rule, reader);
  }

  /** Its lengths cannot be trusted any more. */
  #misunderstood(client: Client, socket: Socket<Side>, length: number): void {
    countRefusal(this.#desk.figures, "bad_frame");
    put(socket, errorFrame(`Cannot read a frame of ${length} bytes: wanted 1 to ${FRAME_MAX_BYTES}`));
    this.#clients.delete(client);
    finish(socket, "end");
  }

  #begin(client: Client, socket: Socket<Side>, rule: Request, bytes: Uint8Array): void {
    this.#ids += 1;
    client.running = newRunning(this.#ids, rule, bytes);
    if (client.link !== undefined) {
      this.#send(client, client.running, client.link);
      return;
    }
    this.#running.set(this.#ids, client);
    if (!client.reader.complete) socket.pause();
    this.#desk.tell({ type: "arrived", client: this.#ids });
  }

  /** More of the running request. */
  #continue(client: Client, socket: Socket<Side>, running: Running, bytes: Uint8Array): void {
    const linkSocket = client.link?.socket;
    keep(running, bytes, linkSocket !== undefined);
    if (linkSocket === undefined) {
      socket.pause();
      return;
    }
    client.count(bytes.length);
    if (!put(linkSocket, bytes)) socket.pause();
  }

  connect(attempt: Attempt, target: Target): void {
    const { address } = target;
    const client = this.#running.get(attempt.client);
    const figures = this.#desk.figuresAt(address);
    if (client?.running === undefined) {
      this.#desk.tell({ type: "closed", address, outcome: "unasked" });
      return;
    }
    figures.connections += 1;
    figures.lastUsedMs = Date.now();
    client.running.attempt = attempt;
    if (attempt.tried.length === 0)
      this.#desk.figures.queueSeconds.observe((performance.now() - client.running.startedMs) / 1000);
    this.#links.take(
      target,
      (link) => this.#taken(attempt, link),
      (detail) => this.#notTaken(attempt, address, detail),
    );
  }

  #taken(attempt: Attempt, link: Link): void {
    const client = this.#running.get(attempt.client);
    if (client?.running !== undefined) {
      this.#join(client, client.running, link);
      return;
    }
    this.#links.rest(link, performance.now());
    this.#desk.tell({ type: "closed", address: link.address, outcome: "unasked" });
  }

  #notTaken(attempt: Attempt, address: string, detail: string): void {
    if (this.#running.has(attempt.client)) this.#desk.tell({ type: "refused", attempt, address, detail });
    else this.#desk.tell({ type: "closed", address, outcome: "unasked" });
  }

  #join(client: Client, running: Running, link: Link): void {
    const { socket } = client;
    client.link = link;
    client.meter = this.#desk.figuresAt(link.address).received;
    link.client = client;
    client.peer = link.socket;
    link.peer = socket;
    client.hold = running.rule.hold;
    this.#send(client, running, link);
    if (client.hold === "raw" && client.pending !== undefined && link.socket !== undefined) {
      put(link.socket, client.pending);
      client.pending = undefined;
    }
    if (client.pending === undefined) socket?.resume();
  }

  /** Sends what was read of the request so far. */
  #send(client: Client, running: Running, link: Link): void {
    const { socket } = link;
    if (socket === undefined) return;
    let taken = true;
    for (const bytes of running.kept ?? []) {
      client.count(bytes.length);
      taken = put(socket, bytes);
    }
    forgetLong(running);
    if (!taken) client.socket?.pause();
  }

  refuse(id: number, why: Refusal, detail: string): void {
    const client = this.#running.get(id);
    const socket = client?.socket;
    if (client?.running === undefined || socket === undefined) return;
    this.#running.delete(id);
    countRefusal(this.#desk.figures, why);
    this.#fail(client, socket, `No backend: ${detail}`);
  }

  /** Answers the running request with an error of ours. */
  #fail(client: Client, socket: Socket<Side>, message: string): void {
    const { complete } = client.reader;
    client.running = undefined;
    put(socket, errorFrame(message));
    if (complete) this.#goOn(client, socket);
    // The rest of the request is still to come, and has nowhere to go.
    else finish(socket, "end");
  }

  /** The client's next request, once it has taken the answer to the last one. */
  #goOn(client: Client, socket: Socket<Side>): void {
    client.behind = client.rest !== undefined;
    if (client.behind) {
      socket.pause();
      return;
    }
    const { pending } = client;
    client.pending = undefined;
    if (client.ended && pending === undefined) finish(socket, "end");
    socket.resume();
    if (pending !== undefined)
      queueMicrotask(() => {
        if (client.socket !== undefined) this.#read(client, socket, pending);
      });
  }

  #caughtUp(socket: Socket<Side>): void {
    const client = socket.data;
    drained(socket);
    if (client instanceof Client && client.behind && client.rest === undefined) this.#goOn(client, socket);
  }

  /** Bytes of a backend. */
  #answered(socket: Socket<Side>, bytes: Uint8Array): void {
    const link = socket.data;
    if (!(link instanceof Link)) return;
    const { client } = link;
    if (!(client instanceof Client) || client.socket === undefined) {
      // Nobody asked.
      socket.terminate();
      return;
    }
    const { running, socket: clientSocket } = client;
    if (client.hold === "raw") {
      PUMP.data(socket, bytes);
      return;
    }
    if (running === undefined) {
      socket.terminate();
      return;
    }
    const end = readAnswers(link.reader, running.stream, bytes);
    const over = end.over;
    if (!running.answered && over && this.#isGone(client, running, link, bytes)) return;
    running.answered = true;
    link.bytes += end.at;
    link.meter.bytes += end.at;
    if (!put(clientSocket, end.at < bytes.length ? bytes.subarray(0, end.at) : bytes)) socket.pause();
    if (!over) return;
    this.#finish(client, running, link);
    // More than was asked for: the frames of this connection are out of step.
    if (end.at < bytes.length) socket.terminate();
    this.#goOn(client, clientSocket);
  }

  /** A backend that has taken its services away: then another one is asked, if that is allowed. */
  #isGone(client: Client, running: Running, link: Link, bytes: Uint8Array): boolean {
    if (running.kept === undefined || client.hold !== "free" || !isServiceGone(link.reader, bytes)) return false;
    this.#again(client, running, link, "it has taken its service away");
    link.socket?.terminate();
    return true;
  }

  /** Asks another backend. */
  #again(client: Client, running: Running, link: Link, detail: string): void {
    const { address } = link;
    link.client = undefined;
    client.link = undefined;
    client.peer = undefined;
    countFailure(this.#desk.figuresAt(address), detail);
    if (running.attempt !== undefined) this.#desk.tell({ type: "refused", attempt: running.attempt, address, detail });
  }

  /** The request is answered; a shared link is free for others. */
  #finish(client: Client, running: Running, link: Link): void {
    client.running = undefined;
    this.#running.delete(running.id);
    if (client.hold !== "free") return;
    client.link = undefined;
    client.peer = undefined;
    this.#links.rest(link, performance.now());
    this.#desk.tell({ type: "closed", address: link.address, outcome: "answered" });
  }

  #clientEnded(socket: Socket<Side>): void {
    const client = socket.data;
    if (!(client instanceof Client)) return;
    client.ended = true;
    if (client.hold === "raw") PUMP.end(socket);
    // Half a request is none.
    else if (!client.reader.complete && client.pending === undefined) socket.terminate();
    else if (client.running === undefined && client.pending === undefined) finish(socket, "end");
  }

  #linkEnded(socket: Socket<Side>): void {
    const link = socket.data;
    if (link instanceof Link && link.client instanceof Client && link.client.hold === "raw") PUMP.end(socket);
    else socket.end();
  }

  #closed(socket: Socket<Side>, error: Error | undefined): void {
    const side = socket.data;
    const client = side instanceof Link ? side.client : side;
    if (client instanceof Client && client.hold === "raw") {
      PUMP.close(socket, error);
      return;
    }
    side.peer = undefined;
    side.rest = undefined;
    this.closed(side);
  }

  closed(side: Side): void {
    if (side instanceof Link) this.#linkClosed(side);
    else if (side instanceof Client) this.#clientClosed(side);
  }

  #clientClosed(client: Client): void {
    const { running, link } = client;
    client.socket = undefined;
    this.#clients.delete(client);
    if (running !== undefined) this.#running.delete(running.id);
    if (link === undefined) {
      // One that is being dialed for it notices by itself.
      if (running !== undefined) this.#desk.tell({ type: "left", client: running.id });
      return;
    }
    // An answer to nobody may still be on its way.
    client.link = undefined;
    link.client = undefined;
    link.peer = undefined;
    if (client.hold !== "raw") link.socket?.terminate();
    this.#desk.tell({ type: "closed", address: link.address, outcome: link.bytes > 0 ? "answered" : "unasked" });
  }

  #linkClosed(link: Link): void {
    const { client, address } = link;
    this.#links.forget(link);
    link.client = undefined;
    if (!(client instanceof Client) || client.socket === undefined) return;
    const { running, socket, hold } = client;
    client.link = undefined;
    client.peer = undefined;
    if (hold === "raw") {
      this.#desk.tell({ type: "closed", address, outcome: "answered" });
      return;
    }
    if (running !== undefined && hold === "free" && mayBeSentAgain(running)) {
      this.#again(client, running, link, "it ended the connection before it answered");
      return;
    }
    if (running !== undefined) {
      this.#running.delete(running.id);
      countFailure(this.#desk.figuresAt(address), "closed without an answer");
    }
    this.#desk.tell({ type: "closed", address, outcome: running === undefined ? "answered" : "failed" });
    // Without its state, or in the middle of an answer, the client cannot go on.
    if (hold !== "free" || !link.reader.between) socket.terminate();
    else if (running !== undefined) this.#fail(client, socket, LOST);
  }
}
