// Traffic by requests, for HTTP: every request of a client goes to the next backend, over connections that clients share. Heads
// are read and passed on as they came; bodies pass through.
import type { Socket, TCPSocketListener } from "bun";
import { type Bad, closing, ownAnswer, readAnswerHead, readRequestHead } from "../http/heads.ts";
import { TOO_LONG } from "../http/stream.ts";
import type { Attempt, Refusal, Target } from "../state.ts";
import { tune } from "./connections.ts";
import { countFailure, countRefusal } from "./figures.ts";
import { Link, Links } from "./links.ts";
import type { Desk, Traffic } from "./proxy.ts";
import { drained, finish, type Owner, PUMP, put, type Side } from "./pump.ts";
import { listen } from "./sockets.ts";
import { Errand, WebClient } from "./web.ts";

const [CR, LF] = [13, 10];
const SWITCHING = 101;
const LOST = "The node ended the connection before it answered; whether it did what was asked is not known";

export class Http implements Traffic, Owner {
  readonly #desk: Desk;
  readonly #listener: TCPSocketListener<Side>;
  readonly #links: Links;
  readonly #clients = new Set<WebClient>();
  /** By the id of the running request. */
  readonly #errands = new Map<number, WebClient>();
  #ids = 0;
  #stopping = false;

  constructor(desk: Desk) {
    this.#desk = desk;
    const handlers = {
      close: (socket: Socket<Side>, error?: Error) => this.#closed(socket, error),
      error: PUMP.error,
    };
    this.#links = new Links(this, desk, {
      ...handlers,
      drain: drained,
      data: (socket, bytes) => this.#answered(socket, bytes),
      end: (socket) => this.#linkEnded(socket),
    });
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
    this.#stopping = true;
    this.#listener.stop();
    for (const { socket, errand, pending, heads } of this.#clients)
      if (socket !== undefined && errand === undefined && pending === undefined && !heads.begun) finish(socket, "end");
  }

  end(): void {
    this.#listener.stop(true);
    for (const { socket } of this.#clients) socket?.terminate();
    this.#links.cut();
  }

  drain(address: string): void {
    this.#links.drain(address);
  }

  /** Every request is placed anew. */
  spread(): void {}

  cut(address: string): void {
    this.#links.cut(address);
  }

  tick(): void {
    this.#links.tick(performance.now());
  }

  #opened(socket: Socket<Side>): void {
    const { figures, options } = this.#desk;
    const client = new WebClient(this, { bytes: 0 });
    client.socket = socket;
    socket.data = client;
    figures.clients += 1;
    this.#clients.add(client);
    tune(socket);
    if (this.#clients.size <= options.clientsMax) return;
    countRefusal(figures, "too_many_clients");
    this.#dismiss(client, ownAnswer(503, `No backend: there are ${options.clientsMax} clients, the limit`));
  }

  /** Bytes of a client. */
  #asked(socket: Socket<Side>, bytes: Uint8Array): void {
    const client = socket.data;
    if (!(client instanceof WebClient) || client.dismissed) return;
    if (client.isRaw) PUMP.data(socket, bytes);
    else if (client.pending !== undefined || client.behind || (client.errand !== undefined && client.body.done)) {
      client.pending = Buffer.concat([client.pending ?? new Uint8Array(), bytes]);
      socket.pause();
    } else if (client.errand === undefined) this.#begin(client, socket, bytes);
    else this.#continue(client, client.errand, socket, bytes);
  }

  /** Takes of the bytes what belongs to one request; what comes after it waits. */
  #begin(client: WebClient, socket: Socket<Side>, bytes: Uint8Array): void {
    let from = 0;
    // Empty lines before a request are tolerated.
    if (!client.heads.begun) while (bytes[from] === CR || bytes[from] === LF) from += 1;
    if (from === bytes.length) return;
    const read = client.heads.read(bytes, from);
    if (read === "tooLong") this.#wrong(client, TOO_LONG);
    if (read === "tooLong" || read.type === "more") return;
    const head = readRequestHead(read.head.toString("latin1"));
    if ("why" in head) {
      this.#wrong(client, head);
      return;
    }
    client.body.begin(head.body);
    const end = this.#bodyEnd(client, bytes, read.next);
    if (end === undefined) return;
    // In most cases all came in one piece, and goes on as it is.
    const isWhole = read.next - read.head.length === from;
    const own = isWhole ? bytes.subarray(from, end) : Buffer.concat([read.head, bytes.subarray(read.next, end)]);
    this.#ids += 1;
    client.errand = new Errand(this.#ids, head, own);
    this.#errands.set(this.#ids, client);
    this.#hold(client, socket, bytes, end);
    if (!client.body.done) socket.pause();
    this.#desk.tell({ type: "arrived", client: this.#ids });
  }

  /** More of the running request's body. */
  #continue(client: WebClient, errand: Errand, socket: Socket<Side>, bytes: Uint8Array): void {
    const end = this.#bodyEnd(client, bytes, 0);
    if (end === undefined) return;
    const own = end === bytes.length ? bytes : bytes.subarray(0, end);
    const linkSocket = client.link?.socket;
    errand.keep(own);
    this.#hold(client, socket, bytes, end);
    if (linkSocket === undefined) {
      socket.pause();
      return;
    }
    errand.forgetLong();
    client.count(own.length);
    if (!put(linkSocket, own)) socket.pause();
  }

  #bodyEnd(client: WebClient, bytes: Uint8Array, from: number): number | undefined {
    const end = client.body.read(bytes, from);
    if (end === undefined) this.#wrong(client, { status: 400, why: "a chunked body that is none" });
    return end;
  }

  /** Keeps what came after a request. */
  #hold(client: WebClient, socket: Socket<Side>, bytes: Uint8Array, end: number): void {
    if (end === bytes.length) return;
    client.pending = bytes.slice(end);
    socket.pause();
  }

  /** Where its next request begins cannot be known any more. */
  #wrong(client: WebClient, { status, why }: Bad): void {
    countRefusal(this.#desk.figures, "bad_frame");
    const { link, errand } = client;
    this.#forget(client);
    if (link !== undefined) {
      this.#part(client, link);
      link.socket?.terminate();
      this.#desk.tell({ type: "closed", address: link.address, outcome: "unasked" });
    } else if (errand !== undefined) this.#desk.tell({ type: "left", client: errand.id });
    // Half an answer is under way: another cannot be put after it.
    if (errand?.answered === true) client.socket?.terminate();
    else this.#dismiss(client, ownAnswer(status, `Cannot read the request: found ${why}`));
  }

  /** Says the last word to a client. */
  #dismiss(client: WebClient, bytes: Uint8Array): void {
    const { socket } = client;
    client.dismissed = true;
    client.pending = undefined;
    if (socket === undefined) return;
    put(socket, bytes);
    finish(socket, "end");
    socket.resume();
  }

  connect(attempt: Attempt, target: Target): void {
    const { address } = target;
    const errand = this.#errands.get(attempt.client)?.errand;
    if (errand === undefined) {
      this.#desk.tell({ type: "closed", address, outcome: "unasked" });
      return;
    }
    const figures = this.#desk.figuresAt(address);
    figures.connections += 1;
    figures.lastUsedMs = Date.now();
    errand.attempt = attempt;
    if (attempt.tried.length === 0)
      this.#desk.figures.queueSeconds.observe((performance.now() - errand.startedMs) / 1000);
    this.#links.take(
      target,
      (link) => this.#taken(attempt, link),
      (detail) => {
        if (this.#errands.has(attempt.client)) this.#desk.tell({ type: "refused", attempt, address, detail });
        else this.#desk.tell({ type: "closed", address, outcome: "unasked" });
      },
    );
  }

  #taken(attempt: Attempt, link: Link): void {
    const client = this.#errands.get(attempt.client);
    const { errand, socket } = client ?? {};
    if (client === undefined || errand === undefined || link.socket === undefined) {
      this.#links.rest(link, performance.now());
      this.#desk.tell({ type: "closed", address: link.address, outcome: "unasked" });
      return;
    }
    client.link = link;
    client.meter = this.#desk.figuresAt(link.address).received;
    client.peer = link.socket;
    link.client = client;
    link.peer = socket;
    errand.linkIsOld = link.bytes > 0;
    let isTaken = true;
    for (const bytes of errand.kept ?? []) {
      client.count(bytes.length);
      isTaken = put(link.socket, bytes);
    }
    errand.forgetLong();
    if (isTaken && client.pending === undefined) socket?.resume();
  }

  refuse(id: number, why: Refusal, detail: string): void {
    const client = this.#errands.get(id);
    if (client?.errand === undefined) return;
    const hasBody = client.errand.head.method !== "HEAD";
    this.#forget(client);
    countRefusal(this.#desk.figures, why);
    this.#dismiss(client, ownAnswer(503, `No backend: ${detail}`, hasBody));
  }

  /** Bytes of a backend. */
  #answered(socket: Socket<Side>, bytes: Uint8Array): void {
    const client = clientOf(socket.data);
    if (client?.isRaw === true) {
      PUMP.data(socket, bytes);
      return;
    }
    const errand = client?.errand;
    if (client?.socket === undefined || errand === undefined) {
      // Nobody asked.
      socket.terminate();
      return;
    }
    errand.answered = true;
    const at = this.#passOn(client, client.socket, errand, socket, bytes);
    if (at === undefined || errand.answer === undefined || !errand.body.done) return;
    // More than was asked for: the answers of this connection are out of step.
    this.#over(client, client.socket, errand, at === bytes.length);
  }

  /** Hands on what belongs to the answer; returns where that ended, undefined when it goes no further. */
  #passOn(
    client: WebClient,
    clientSocket: Socket<Side>,
    errand: Errand,
    socket: Socket<Side>,
    bytes: Uint8Array,
  ): number | undefined {
    const side = socket.data;
    let from = 0;
    let at = 0;
    while (errand.answer === undefined && at < bytes.length) {
      const read = errand.heads.read(bytes, at);
      if (read !== "tooLong" && read.type === "more") break;
      const head = read === "tooLong" ? TOO_LONG : readAnswerHead(read.head.toString("latin1"), errand.head.method);
      if (read === "tooLong" || "why" in head) {
        this.#nonsense(client, socket, "why" in head ? head.why : TOO_LONG.why);
        return undefined;
      }
      at = read.next;
      if (head.status === SWITCHING) {
        this.#switch(client, errand, socket, read.head, bytes.subarray(at));
        return undefined;
      }
      if (head.status >= 200) {
        errand.answer = this.#stopping ? { ...head, stays: false } : head;
        errand.body.begin(head.body);
      }
      const isWhole = read.next - read.head.length >= from;
      if (isWhole && !this.#stopping) continue;
      put(clientSocket, this.#stopping && head.status >= 200 ? closing(read.head) : read.head);
      from = at;
    }
    if (errand.answer !== undefined) {
      const end = errand.body.read(bytes, at);
      if (end === undefined) {
        this.#nonsense(client, socket, "a chunked body that is none");
        return undefined;
      }
      at = end;
    }
    side.bytes += bytes.length;
    side.meter.bytes += bytes.length;
    if (at > from && !put(clientSocket, bytes.subarray(from, at))) socket.pause();
    return errand.answer === undefined ? bytes.length : at;
  }

  /** The client and the backend speak something else from now on. */
  #switch(client: WebClient, errand: Errand, socket: Socket<Side>, head: Uint8Array, rest: Uint8Array): void {
    client.isRaw = true;
    client.errand = undefined;
    this.#errands.delete(errand.id);
    const { pending } = client;
    client.pending = undefined;
    if (client.socket !== undefined) {
      put(client.socket, head);
      if (rest.length > 0) put(client.socket, rest);
      client.socket.resume();
    }
    if (pending !== undefined) put(socket, pending);
  }

  /** A backend whose answer cannot be read: the client is told, if it has had nothing of it. */
  #nonsense(client: WebClient, socket: Socket<Side>, why: string): void {
    const { errand, link } = client;
    if (errand === undefined || link === undefined) return;
    const isHead = errand.head.method === "HEAD";
    const isBegun = errand.answer !== undefined;
    this.#desk.options.say("warn", `Backend ${link.address} sent what is no HTTP answer: found ${why}`);
    countFailure(this.#desk.figuresAt(link.address), why);
    this.#forget(client);
    this.#part(client, link);
    socket.terminate();
    this.#desk.tell({ type: "closed", address: link.address, outcome: "failed" });
    if (isBegun) client.socket?.terminate();
    else this.#dismiss(client, ownAnswer(502, `Cannot read the node's answer: found ${why}`, !isHead));
  }

  /** The request is answered. */
  #over(client: WebClient, socket: Socket<Side>, errand: Errand, inStep: boolean): void {
    const { link } = client;
    if (link === undefined || errand.answer === undefined) return;
    const isComplete = client.body.done;
    this.#forget(client);
    this.#part(client, link);
    if (inStep && isComplete && errand.answer.stays) this.#links.rest(link, performance.now());
    else link.socket?.terminate();
    this.#desk.tell({ type: "closed", address: link.address, outcome: "answered" });
    // The rest of a request that was answered early has nowhere to go.
    if (isComplete && errand.answer.stays && errand.head.stays) this.#goOn(client, socket);
    else this.#dismiss(client, new Uint8Array());
  }

  #forget(client: WebClient): void {
    if (client.errand !== undefined) this.#errands.delete(client.errand.id);
    client.errand = undefined;
  }

  #part(client: WebClient, link: Link): void {
    client.link = undefined;
    client.peer = undefined;
    link.client = undefined;
    link.peer = undefined;
  }

  /** The client's next request, once it has taken the answer to the last one. */
  #goOn(client: WebClient, socket: Socket<Side>): void {
    client.behind = client.rest !== undefined;
    if (client.behind) {
      socket.pause();
      return;
    }
    const { pending } = client;
    client.pending = undefined;
    if ((client.ended || this.#stopping) && pending === undefined) finish(socket, "end");
    socket.resume();
    if (pending !== undefined)
      queueMicrotask(() => {
        if (client.socket !== undefined && !client.dismissed) this.#begin(client, socket, pending);
      });
  }

  #caughtUp(socket: Socket<Side>): void {
    const client = socket.data;
    drained(socket);
    if (client instanceof WebClient && client.behind && client.rest === undefined) this.#goOn(client, socket);
  }

  #clientEnded(socket: Socket<Side>): void {
    const client = socket.data;
    if (!(client instanceof WebClient)) return;
    client.ended = true;
    if (client.isRaw) PUMP.end(socket);
    // Half a request is none.
    else if (!client.body.done || client.heads.begun) socket.terminate();
    else if (client.errand === undefined && client.pending === undefined) finish(socket, "end");
  }

  #linkEnded(socket: Socket<Side>): void {
    const client = clientOf(socket.data);
    if (client?.isRaw === true) {
      PUMP.end(socket);
      return;
    }
    const errand = client?.errand;
    if (client?.socket !== undefined && errand?.answer !== undefined && errand.body.untilEnd)
      this.#over(client, client.socket, errand, true);
    socket.end();
  }

  #closed(socket: Socket<Side>, error: Error | undefined): void {
    const side = socket.data;
    const client = side instanceof WebClient ? side : clientOf(side);
    if (client?.isRaw === true) {
      PUMP.close(socket, error);
      return;
    }
    side.peer = undefined;
    side.rest = undefined;
    this.closed(side);
  }

  closed(side: Side): void {
    if (side instanceof WebClient) this.#clientClosed(side);
    else if (side instanceof Link) this.#linkClosed(side);
  }

  #clientClosed(client: WebClient): void {
    const { errand, link } = client;
    client.socket = undefined;
    this.#clients.delete(client);
    this.#forget(client);
    if (link === undefined) {
      // One that is being dialed for it notices by itself.
      if (errand !== undefined) this.#desk.tell({ type: "left", client: errand.id });
      return;
    }
    // An answer to nobody may still be on its way.
    this.#part(client, link);
    if (!client.isRaw) link.socket?.terminate();
    this.#desk.tell({ type: "closed", address: link.address, outcome: link.bytes > 0 ? "answered" : "unasked" });
  }

  #linkClosed(link: Link): void {
    const client = clientOf(link);
    const { address } = link;
    this.#links.forget(link);
    if (client === undefined) return;
    const { errand, socket } = client;
    this.#part(client, link);
    if (errand === undefined || socket === undefined) {
      this.#desk.tell({ type: "closed", address, outcome: "answered" });
      return;
    }
    const detail = "it ended the connection before it answered";
    countFailure(this.#desk.figuresAt(address), detail);
    if (errand.mayBeSentAgain && errand.attempt !== undefined) {
      this.#desk.tell({ type: "refused", attempt: errand.attempt, address, detail });
      return;
    }
    this.#forget(client);
    this.#desk.tell({ type: "closed", address, outcome: "failed" });
    // What was half sent must not look complete.
    if (errand.answered) socket.terminate();
    else this.#dismiss(client, ownAnswer(502, LOST, errand.head.method !== "HEAD"));
  }
}

function clientOf(side: Side): WebClient | undefined {
  const client = side instanceof Link ? side.client : undefined;
  return client instanceof WebClient ? client : undefined;
}
