// Traffic by requests, for Riak's protocol buffers: every request of a client goes to the backend that has least to do. Frames
// pass through as they come; only their heads are read.
import type { Socket } from "bun";
import { errorFrame, type Request } from "../riak/codes.ts";
import { FRAME_MAX_BYTES, isServiceGone, isStream, readAnswers, readRequest } from "../riak/exchange.ts";
import { FrameReader } from "../riak/frames.ts";
import { Client, Errand } from "./client.ts";
import { Errands } from "./errands.ts";
import { countRefusal } from "./figures.ts";
import type { Link } from "./links.ts";
import { pause, put, type Side } from "./pump.ts";

/** A request on its way. */
class FrameErrand extends Errand {
  readonly #rule: Request;
  /** Its answers go on until one says that it is the last. */
  stream = false;

  constructor(id: number, rule: Request, bytes: Uint8Array) {
    super(id, bytes);
    this.#rule = rule;
  }

  get hold(): Request["hold"] {
    return this.#rule.hold;
  }

  get isSafe(): boolean {
    return this.#rule.safe;
  }
}

/** A client's connection. */
class FrameClient extends Client<FrameErrand> {
  readonly reader = new FrameReader();
}

export class Requests extends Errands<FrameErrand, FrameClient> {
  protected newClient(): FrameClient {
    return new FrameClient(this, { bytes: 0 });
  }

  protected tooMany(text: string): Uint8Array {
    return errorFrame(text);
  }

  protected isAsked({ reader }: FrameClient): boolean {
    return reader.complete;
  }

  protected isHalfAsked({ reader, pending }: FrameClient): boolean {
    return !reader.between && pending === undefined;
  }

  protected read(client: FrameClient, socket: Socket<Side>, bytes: Uint8Array): void {
    const { reader, errand } = client;
    const read = readRequest(reader, errand !== undefined, bytes);
    if (read.type === "more") return;
    if (read.type === "bad") {
      // Its lengths cannot be trusted any more.
      countRefusal(this.desk.figures, "bad_frame");
      this.dismiss(client, errorFrame(`Cannot read a frame of ${read.length} bytes: wanted 1 to ${FRAME_MAX_BYTES}`));
      return;
    }
    if (read.after !== undefined) {
      client.pending = read.after;
      pause(socket);
    }
    if (errand === undefined) this.begin(client, socket, new FrameErrand(this.nextId(), read.rule, read.own));
    else if (read.own.length > 0) this.goOnWith(client, socket, errand, read.own);
    if (client.errand !== undefined && reader.complete) client.errand.stream = isStream(read.rule, reader);
  }

  protected pass(client: FrameClient, socket: Socket<Side>, errand: FrameErrand, link: Link, bytes: Uint8Array): void {
    const end = readAnswers(link.reader, errand.stream, bytes);
    if (!errand.answered && end.over && this.#isGone(client, errand, link, bytes)) return;
    errand.answered = true;
    link.bytes += end.at;
    link.meter.bytes += end.at;
    const isTaken = put(socket, end.at < bytes.length ? bytes.subarray(0, end.at) : bytes);
    if (!isTaken && link.socket !== undefined) pause(link.socket);
    if (!end.over) return;
    this.forget(client);
    // More than was asked for: the frames of this connection are out of step.
    if (client.hold === "free") this.free(client, link, end.at === bytes.length);
    else if (end.at < bytes.length) link.socket?.terminate();
    this.goOn(client, socket);
  }

  protected passEnd(): void {}

  /** A backend that has taken its services away: then another one is asked, if that is allowed. */
  #isGone(client: FrameClient, errand: FrameErrand, link: Link, bytes: Uint8Array): boolean {
    if (errand.kept === undefined || client.hold !== "free" || !isServiceGone(link.reader, bytes)) return false;
    this.again(client, errand, link, "it has taken its service away");
    link.socket?.terminate();
    return true;
  }

  /** Between two frames. */
  protected canBeTold(_errand: FrameErrand, { reader }: Link): boolean {
    return reader.between;
  }

  protected fail(client: FrameClient, socket: Socket<Side>, _errand: FrameErrand, _why: string, text: string): void {
    const message = errorFrame(text);
    // The rest of a request that is still to come has nowhere to go.
    if (!client.reader.complete) this.dismiss(client, message);
    else {
      put(socket, message);
      this.goOn(client, socket);
    }
  }
}
