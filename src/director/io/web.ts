// A client of HTTP by requests, and its request on the way.
import { type AnswerHead, isIdempotent, isSafe, type RequestHead } from "../http/heads.ts";
import { BodyReader, HeadReader } from "../http/stream.ts";
import { Client, Errand } from "./client.ts";

/** A request on its way. */
export class WebErrand extends Errand {
  readonly hold = "free";
  readonly head: RequestHead;
  /** The head of its last answer, once it is there. */
  answer: AnswerHead | undefined;

  constructor(id: number, head: RequestHead, bytes: Uint8Array) {
    super(id, bytes);
    this.head = head;
  }

  /** An old link may have ended before it saw the request. */
  get isSafe(): boolean {
    const { method } = this.head;
    return isSafe(method) || (this.linkIsOld && isIdempotent(method));
  }
}

/** A client's connection, and where it is in its request and in the answer to it. */
export class WebClient extends Client<WebErrand> {
  readonly heads = new HeadReader();
  readonly body = new BodyReader();
  /** Of the answer: the heads, also those of interim ones, and the body of the last. */
  readonly answerHeads = new HeadReader();
  readonly answerBody = new BodyReader();
}
