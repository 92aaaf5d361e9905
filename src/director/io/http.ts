// Traffic by requests, for HTTP: every request of a client goes to the next backend. Heads are read and passed on as they came;
// bodies pass through.
import type { Socket } from "bun";
import { type Bad, closing, ownAnswer, readAnswerHead, readRequestHead } from "../http/heads.ts";
import { TOO_LONG } from "../http/stream.ts";
import { Errands } from "./errands.ts";
import { countFailure, countRefusal } from "./figures.ts";
import type { Link } from "./links.ts";
import type { Desk } from "./proxy.ts";
import { finish, pause, put, type Side } from "./pump.ts";
import { WebClient, WebErrand } from "./web.ts";

const [CR, LF] = [13, 10];
const SWITCHING = 101;
const NOT_CHUNKED = "a chunked body that is none";

/** How long clients may take. */
export type HttpTimes = {
  /** From the first byte of a head to its end, and until the first byte of all. */
  readonly headMs: number;
  /** Between two requests. */
  readonly idleMs: number;
};

export class Http extends Errands<WebErrand, WebClient> {
  readonly #times: HttpTimes;

  constructor(desk: Desk, times: HttpTimes) {
    super(desk);
    this.#times = times;
  }

  protected newClient(): WebClient {
    return new WebClient(this, { bytes: 0 });
  }

  protected tooMany(text: string): Uint8Array {
    return ownAnswer(503, text);
  }

  protected isAsked({ body }: WebClient): boolean {
    return body.done;
  }

  protected isHalfAsked({ body, heads }: WebClient): boolean {
    return !body.done || heads.begun;
  }

  protected canBeTold({ answered }: WebErrand): boolean {
    return !answered;
  }

  protected fail(
    client: WebClient,
    _socket: Socket<Side>,
    { head }: WebErrand,
    why: "unplaced" | "lost",
    text: string,
  ): void {
    this.dismiss(client, ownAnswer(why === "lost" ? 502 : 503, text, head.method !== "HEAD"));
  }

  override close(): void {
    super.close();
    for (const { socket, errand, pending, heads } of this.clients())
      if (socket !== undefined && errand === undefined && pending === undefined && !heads.begun) finish(socket, "end");
  }

  /** Only between two requests: as long as one is under way nothing is cut. */
  protected override late(client: WebClient): void {
    const { heads, errand, pending, behind, hold } = client;
    if (errand !== undefined || pending !== undefined || behind || hold === "raw") return;
    const forMs = this.nowMs - client.sinceMs;
    const isNew = heads.begun || client.bytes === 0;
    if (forMs < (isNew ? this.#times.headMs : this.#times.idleMs)) return;
    if (isNew) countRefusal(this.desk.figures, "head_timeout");
    const detail = `Cannot wait any longer for the request: found half a head after ${Math.round(forMs)} ms`;
    this.dismiss(client, heads.begun ? ownAnswer(408, detail) : new Uint8Array());
  }

  protected read(client: WebClient, socket: Socket<Side>, bytes: Uint8Array): void {
    const { errand } = client;
    if (errand === undefined) {
      this.#begin(client, socket, bytes);
      return;
    }
    const end = this.#bodyEnd(client, bytes, 0);
    if (end === undefined) return;
    this.keepRest(client, socket, bytes, end);
    this.goOnWith(client, socket, errand, end === bytes.length ? bytes : bytes.subarray(0, end));
  }

  #begin(client: WebClient, socket: Socket<Side>, bytes: Uint8Array): void {
    const { heads, body } = client;
    let from = 0;
    // Empty lines before a request are tolerated.
    if (!heads.begun) while (bytes[from] === CR || bytes[from] === LF) from += 1;
    if (from === bytes.length) return;
    if (!heads.begun) client.sinceMs = this.nowMs;
    const found = heads.read(bytes, from);
    if (found === "tooLong") this.#wrong(client, TOO_LONG);
    if (found !== "head") return;
    const head = readRequestHead(heads.bytes, heads.from, heads.to);
    if ("why" in head) {
      this.#wrong(client, head);
      return;
    }
    body.begin(head.body);
    const { next } = heads;
    const end = this.#bodyEnd(client, bytes, next);
    if (end === undefined) return;
    // In most cases all came in one piece, and goes on as it is.
    const isWhole = heads.bytes === bytes;
    const own = isWhole ? bytes.subarray(from, end) : Buffer.concat([heads.bytes, bytes.subarray(next, end)]);
    this.keepRest(client, socket, bytes, end);
    this.begin(client, socket, new WebErrand(this.nextId(), head, own));
  }

  #bodyEnd(client: WebClient, bytes: Uint8Array, from: number): number | undefined {
    const end = client.body.read(bytes, from);
    if (end === undefined) this.#wrong(client, { status: 400, why: NOT_CHUNKED });
    return end;
  }

  /** Where its next request begins cannot be known any more. */
  #wrong(client: WebClient, { status, why }: Bad): void {
    countRefusal(this.desk.figures, "bad_frame");
    const { link, errand } = client;
    this.forget(client);
    if (link !== undefined) {
      this.part(client, link);
      link.socket?.terminate();
      this.desk.tell({ type: "closed", address: link.address, outcome: "unasked" });
    } else if (errand !== undefined) this.desk.tell({ type: "left", client: errand.id });
    // Half an answer is under way: another cannot be put after it.
    if (errand?.answered === true) client.socket?.terminate();
    else this.dismiss(client, ownAnswer(status, `Cannot read the request: found ${why}`));
  }

  protected pass(client: WebClient, socket: Socket<Side>, errand: WebErrand, link: Link, bytes: Uint8Array): void {
    if (!errand.answered) client.answerHeads.forget();
    errand.answered = true;
    const end = this.#passOn(client, socket, errand, link, bytes);
    // More than was asked for: the answers of this connection are out of step.
    if (end !== undefined && errand.answer !== undefined && client.answerBody.done)
      this.#over(client, socket, errand, link, end === bytes.length);
  }

  /** Hands on what belongs to the answer; returns where that ended, undefined when it goes no further. */
  #passOn(
    client: WebClient,
    socket: Socket<Side>,
    errand: WebErrand,
    link: Link,
    bytes: Uint8Array,
  ): number | undefined {
    const { answerHeads: heads, answerBody: body } = client;
    let from = 0;
    let at = 0;
    while (errand.answer === undefined && at < bytes.length) {
      const found = heads.read(bytes, at);
      if (found === "more") break;
      const head =
        found === "tooLong" ? TOO_LONG : readAnswerHead(heads.bytes, heads.from, heads.to, errand.head.method);
      if ("why" in head) {
        this.#nonsense(client, errand, link, head.why);
        return undefined;
      }
      at = heads.next;
      if (head.status === SWITCHING) {
        this.switchOver(client, socket, link, [heads.head, bytes.subarray(at)]);
        return undefined;
      }
      const isLast = head.status >= 200;
      if (isLast) {
        errand.answer = this.stopping ? { ...head, stays: false } : head;
        body.begin(head.body);
      }
      // In most cases the head goes on with all that came with it.
      if (heads.bytes === bytes && !this.stopping) continue;
      put(socket, this.stopping && isLast ? closing(heads.head) : heads.head);
      from = at;
    }
    if (errand.answer !== undefined) {
      const end = body.read(bytes, at);
      if (end === undefined) {
        this.#nonsense(client, errand, link, NOT_CHUNKED);
        return undefined;
      }
      at = end;
    }
    link.bytes += bytes.length;
    link.meter.bytes += bytes.length;
    const isTaken = at <= from || put(socket, from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at));
    if (!isTaken && link.socket !== undefined) pause(link.socket);
    return errand.answer === undefined ? bytes.length : at;
  }

  /** A backend whose answer cannot be read: the client is told, if it has had nothing of it. */
  #nonsense(client: WebClient, errand: WebErrand, link: Link, why: string): void {
    this.desk.options.say("warn", `Backend ${link.address} sent what is no HTTP answer: found ${why}`);
    countFailure(this.desk.figuresAt(link.address), why);
    this.forget(client);
    this.part(client, link);
    link.socket?.terminate();
    this.desk.tell({ type: "closed", address: link.address, outcome: "failed" });
    if (errand.answer !== undefined) client.socket?.terminate();
    else
      this.dismiss(
        client,
        ownAnswer(502, `Cannot read the node's answer: found ${why}`, errand.head.method !== "HEAD"),
      );
  }

  /** The request is answered. */
  #over(client: WebClient, socket: Socket<Side>, errand: WebErrand, link: Link, inStep: boolean): void {
    const stays = errand.answer?.stays === true;
    const isComplete = client.body.done;
    this.forget(client);
    this.free(client, link, inStep && isComplete && stays);
    // The rest of a request that was answered early has nowhere to go.
    if (isComplete && stays && errand.head.stays) this.goOn(client, socket);
    else this.dismiss(client, new Uint8Array());
  }

  /** An answer that ends with the connection. */
  protected passEnd(client: WebClient, socket: Socket<Side>, errand: WebErrand): void {
    const { link, answerBody } = client;
    if (link !== undefined && errand.answer !== undefined && answerBody.untilEnd)
      this.#over(client, socket, errand, link, true);
  }
}
