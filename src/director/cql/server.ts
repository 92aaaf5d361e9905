// One server's side of a CQL conversation: what it was asked and has not answered yet, and what becomes of its answers.
import { BodyReader, intBytes, shortBytes, stringBytes, stringListBytes } from "./body.ts";
import { isCompression, type Plain, plainEnvelope } from "./compression.ts";
import { Direction } from "./direction.ts";
import {
  BadBytes,
  envelope,
  FRAMED_SINCE,
  HEAD_BYTES,
  type Head,
  joined,
  NOTHING,
  onStream,
  OPCODES,
} from "./envelopes.ts";
import type { Kind } from "./queries.ts";
import { isSchemaChange, keyspaceSet, onlyColumn, preparedId, rewriteRows } from "./rows.ts";
import { canBeReplayed, question, type Replay, type Session, use } from "./session.ts";

/** Longer answers are not held back: a thousand nodes with 256 tokens each come to 6 MB. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
/** How often the nodes are asked whether they agree on a schema before the driver is answered anyhow, and how soon again. */
const AGREEMENT_TRIES = 20;
const AGREEMENT_EVERY_MS = 200;
const OWN_VERSION = "SELECT schema_version FROM system.local WHERE key='local'";
const OTHER_VERSIONS = "SELECT schema_version FROM system.peers";
/** Statements that are prepared for one request: a batch may have many. */
const PREPARES_MAX = 32;
/** A result that tells a keyspace is not longer, with warnings and all. */
const KEYSPACE_ANSWER_MAX_BYTES = 2048;
const SERVER_ERROR = 0x0000;
const UNPREPARED = 0x2500;
const LOST = "The node ended the connection before it answered; whether it did what was asked is not known";

/** What becomes of bytes that came in. */
export type Taken = {
  readonly forward: readonly Uint8Array[];
  /** For who sent them. */
  readonly reply?: Uint8Array;
  /** For the present server, if that is not who sent them. */
  readonly onward?: Uint8Array;
  /** After so long, what `bytes` returns is for who sent them. */
  readonly later?: { readonly afterMs: number; readonly bytes: () => Uint8Array };
  /** The connection cannot go on. */
  readonly error?: string;
};

/** A change of the schema whose answer is held back until all nodes know of it. */
type Change = {
  readonly answer: Uint8Array;
  readonly tries: number;
  /** The asked node's own version. */
  readonly version?: string;
};

/** A request that has no answer yet. */
export type Open = {
  readonly about?: Kind | "startup" | "login" | "options" | "register" | "use" | "schema" | "prepare" | "execute";
  /** The whole request, where it may have to be sent again. */
  readonly request?: Uint8Array;
  /** Doing it twice is as doing it once. */
  readonly safe: boolean;
  /** It is a statement that is known to set the keyspace. */
  readonly settles?: boolean;
  readonly change?: Change;
  /** The server's word that it does not know a statement, in hex, while that is prepared. */
  readonly unprepared?: { readonly id: string; readonly answer: Uint8Array };
  /** Statements that were prepared for it. */
  readonly prepared?: number;
  /** It is a question of ours: what the client is answered once the server has answered it. */
  readonly held?: Uint8Array;
};

/** What settles something about the connection: meanwhile it cannot move. */
const SETTLING: readonly Open["about"][] = ["startup", "login", "register", "use"];

/** What a server must know of the rest of its conversation. */
export type Around = {
  readonly session: Session;
  /** The client's bytes on their way to the present server. */
  readonly client: Direction;
  isPresent(server: Server): boolean;
  /** Whether envelopes go on in one piece only, since two servers speak. */
  holds(): boolean;
  /** Lets the present server answer a question of ours on this stream. False: there is none. */
  settle(question: Uint8Array, stream: number, open: Open): boolean;
  /** What is to be sent to the present server because of that. */
  onward(): Uint8Array;
};

export class Server {
  readonly #around: Around;
  readonly #direction: Direction;
  readonly #open = new Map<number, Open>();
  readonly replay: Replay | undefined;
  /** Questions of our own for the server. */
  #questions: Uint8Array[] = [];
  #later: Taken["later"];

  constructor(around: Around, replay: Replay | undefined) {
    this.#around = around;
    this.replay = replay;
    this.#direction = new Direction({
      begins: (head) => this.#begins(head),
      rewrite: (head, whole) => (replay?.state === "more" ? this.#replayed(head, whole) : this.#answered(head, whole)),
    });
  }

  /** Whether nothing is under way: no request without an answer, and no answer half sent. */
  get quiet(): boolean {
    return this.#open.size === 0 && this.between;
  }

  get asked(): boolean {
    return this.#open.size > 0;
  }

  /** Whether what it said so far ends with the end of an envelope. */
  get between(): boolean {
    return this.#direction.between;
  }

  /** Whether it could give its place to another server. */
  get movable(): boolean {
    const settling = ({ about, settles }: Open): boolean => settles === true || SETTLING.includes(about);
    return canBeReplayed(this.#around.session) && ![...this.#open.values()].some(settling);
  }

  /** A request is on its way to it. */
  expect(stream: number, open: Open): void {
    this.#close(stream);
    this.#around.session.keptBytes += open.request?.length ?? 0;
    this.#open.set(stream, open);
  }

  #close(stream: number): Open | undefined {
    const open = this.#open.get(stream);
    if (open === undefined) return undefined;
    this.#open.delete(stream);
    this.#around.session.keptBytes -= open.request?.length ?? 0;
    return open;
  }

  take(bytes: Uint8Array): Taken {
    try {
      const forward = this.#direction.take(bytes);
      const reply = this.#insertQuestions();
      const later = this.#later;
      this.#later = undefined;
      const onward = this.#around.onward();
      const more = { ...(reply.length === 0 ? {} : { reply }), ...(later === undefined ? {} : { later }) };
      return { forward, ...more, ...(onward.length === 0 ? {} : { onward }) };
    } catch (error) {
      if (error instanceof BadBytes) return { forward: [], error: error.message };
      throw error;
    }
  }

  /** Says the first, or the next, of what was settled with another server. */
  say(): Uint8Array {
    return this.#direction.wrapped(this.replay?.next() ?? NOTHING);
  }

  /**
   * It is gone. `answers`: what the client is told, `again`: requests that another server may be asked instead. Undefined:
   * an answer was half sent, so that the client cannot go on.
   */
  lose(): { readonly answers: Uint8Array; readonly again: readonly Again[] } | undefined {
    if (!this.between) return undefined;
    const answers: Uint8Array[] = [];
    const again: Again[] = [];
    const version = this.#version();
    for (const stream of [...this.#open.keys()]) {
      const open = this.#close(stream);
      const answer = open?.change?.answer ?? open?.held;
      if (answer !== undefined) answers.push(answer);
      else if (open?.safe === true && open.request !== undefined) again.push(anew(stream, open, open.request));
      else {
        const body = joined([intBytes(SERVER_ERROR), stringBytes(LOST)]);
        answers.push(envelope({ version, flags: 0, stream, opcode: OPCODES.error }, body, true));
      }
    }
    return { answers: this.#direction.wrapped(joined(answers)), again };
  }

  #version(): number {
    return (this.#around.session.startup?.[0] ?? 4) & 0x7f;
  }

  #insertQuestions(): Uint8Array {
    const { client } = this.#around;
    const place = this.#around.isPresent(this)
      ? (own: Uint8Array) => client.insert(own)
      : (own: Uint8Array) => this.#direction.wrapped(own);
    return joined(this.#questions.splice(0).map(place));
  }

  #begins(head: Head): boolean {
    const { stream, length } = head;
    const wanted = this.replay?.state === "more" || this.#looksAt(head, this.#open.get(stream));
    if (!wanted && !this.#around.holds()) {
      this.#close(stream);
      return false;
    }
    if (length > ANSWER_MAX_BYTES)
      throw new BadBytes(`found an answer of ${length} bytes to be held back, wanted at most ${ANSWER_MAX_BYTES}`);
    return true;
  }

  /** Whether the answer to this request has to be understood. */
  #looksAt({ opcode, length }: Head, open: Open | undefined): boolean {
    if (open?.held !== undefined || (opcode === OPCODES.result && length <= KEYSPACE_ANSWER_MAX_BYTES)) return true;
    if (open?.about !== "execute" || open.unprepared !== undefined) return open?.about !== undefined;
    return opcode === OPCODES.error;
  }

  #replayed(head: Head, whole: Uint8Array): Uint8Array {
    const { replay } = this;
    if (replay === undefined || head.stream !== 0) return NOTHING;
    const plain = this.#plain(head, whole);
    replay.hear(plain.head, plain.whole);
    if (head.version >= FRAMED_SINCE) this.#direction.frame(this.#around.session.compression);
    if (replay.state === "more") this.#questions.push(replay.next());
    return NOTHING;
  }

  #plain(head: Head, whole: Uint8Array): Plain {
    const plain = plainEnvelope(this.#around.session.compression, head, whole, ANSWER_MAX_BYTES);
    if (plain !== undefined) return plain;
    throw new BadBytes(`found an answer to be held back that is longer, wanted at most ${ANSWER_MAX_BYTES} bytes`);
  }

  #answered(head: Head, whole: Uint8Array): Uint8Array {
    const open = this.#close(head.stream);
    if (!this.#looksAt(head, open)) return whole;
    const plain = this.#plain(head, whole);
    const changed = this.#understood(plain.head, plain.whole, open);
    return changed === plain.whole ? whole : changed;
  }

  #understood(head: Head, whole: Uint8Array, open: Open | undefined): Uint8Array {
    const body = whole.subarray(HEAD_BYTES);
    if (open?.held !== undefined) return open.held;
    const isResult = head.opcode === OPCODES.result;
    const keyspace = isResult ? keyspaceSet(head, body) : undefined;
    if (keyspace !== undefined) return this.#keyspaceIs(keyspace, head, whole);
    if (open === undefined) return whole;
    if (open.change !== undefined) return this.#agreed(head, body, open, open.change);
    if (open.unprepared !== undefined) return this.#preparedFor(head, body, open, open.unprepared);
    switch (open.about) {
      case undefined:
      case "use":
        return whole;
      case "startup":
      case "login":
        this.#settled(head, body, open.about);
        return whole;
      case "options":
        return head.opcode === OPCODES.supported ? envelope(head, withKnownCompression(body), true) : whole;
      case "register":
        if (head.opcode === OPCODES.ready) this.#around.session.listens = true;
        return whole;
      case "prepare": {
        const id = isResult ? preparedId(head, body) : undefined;
        if (id !== undefined && open.request !== undefined)
          this.#around.session.statements.add(head.version, id, open.request);
        return whole;
      }
      case "execute":
        return this.#unprepared(head, whole, open);
      case "schema":
        if (!isResult || !isSchemaChange(head, body)) return whole;
        this.#ask(head, { ...open, change: { answer: whole.slice(), tries: 0 } });
        return NOTHING;
      default: {
        if (!isResult) return whole;
        const changed = rewriteRows(head, body, open.about, this.#around.session.identity);
        return changed === body ? whole : envelope(head, changed, true);
      }
    }
  }

  /** A keyspace is set, in whatever way: the present server must know it before the client goes on. */
  #keyspaceIs(keyspace: string, head: Head, answer: Uint8Array): Uint8Array {
    const { session } = this.#around;
    session.keyspace = keyspace;
    if (this.#around.isPresent(this)) return answer;
    // The client still waits on this stream, and the present server has it free.
    const open: Open = { safe: false, held: answer.slice() };
    return this.#around.settle(use(head, keyspace), head.stream, open) ? NOTHING : answer;
  }

  /** An answer to STARTUP, or to who the driver is. */
  #settled({ version, opcode }: Head, body: Uint8Array, about: "startup" | "login"): void {
    const { session, client } = this.#around;
    if (opcode === OPCODES.authChallenge) session.login = { type: "other" };
    if (opcode === OPCODES.authenticate) session.authenticator = new BodyReader(body).string();
    if (opcode === OPCODES.ready || opcode === OPCODES.authSuccess) session.established = true;
    if (about !== "startup" || version < FRAMED_SINCE) return;
    const accepted = opcode === OPCODES.ready || opcode === OPCODES.authenticate;
    client.framed = accepted;
    if (accepted) this.#direction.frame(session.compression);
  }

  /** An error instead of a statement's result: a statement that the server does not know is prepared, if it is known here. */
  #unprepared(head: Head, whole: Uint8Array, open: Open): Uint8Array {
    const { request, prepared = 0 } = open;
    const body = new BodyReader(whole, HEAD_BYTES);
    if (head.opcode !== OPCODES.error || head.flags !== 0 || request === undefined || prepared >= PREPARES_MAX)
      return whole;
    if (body.int() !== UNPREPARED) return whole;
    body.string();
    const id = body.bytes(body.short());
    const statement = this.#around.session.statements.get(head.version, id);
    if (statement === undefined) return whole;
    const unprepared = { id: Buffer.from(id).toString("hex"), answer: whole.slice() };
    this.expect(head.stream, { ...open, unprepared, prepared: prepared + 1 });
    this.#questions.push(onStream(statement.prepare, head.stream));
    return NOTHING;
  }

  /** A server's answer to a PREPARE of ours: then the request is made again. */
  #preparedFor(head: Head, body: Uint8Array, open: Open, { id, answer }: NonNullable<Open["unprepared"]>): Uint8Array {
    const { unprepared: _done, ...again } = open;
    const found = head.opcode === OPCODES.result ? preparedId(head, body) : undefined;
    // Prepared in another keyspace it is another statement.
    if (open.request === undefined || found === undefined || Buffer.from(found).toString("hex") !== id) return answer;
    this.expect(head.stream, again);
    this.#questions.push(open.request);
    return NOTHING;
  }

  /** Asks the node that made a change for its own version, or for those of the others as it knows them. */
  #ask(head: Head, open: Open): void {
    // The driver still waits on this stream, and the server has it free.
    this.expect(head.stream, open);
    this.#questions.push(question(head, open.change?.version === undefined ? OWN_VERSION : OTHER_VERSIONS));
  }

  /** A node's answer to a question of ours: then the next question, or what the driver waits for. */
  #agreed(head: Head, body: Uint8Array, open: Open, change: Change): Uint8Array {
    if (head.opcode !== OPCODES.result) return change.answer;
    const versions = onlyColumn(head, body);
    if (change.version === undefined) {
      const [version] = versions;
      if (version === undefined) return change.answer;
      this.#ask(head, { ...open, change: { ...change, version } });
      return NOTHING;
    }
    const agreed = versions.every((version) => version === change.version);
    if (agreed || change.tries >= AGREEMENT_TRIES) return change.answer;
    const again: Open = { ...open, change: { answer: change.answer, tries: change.tries + 1 } };
    this.expect(head.stream, again);
    const bytes = (): Uint8Array => {
      if (this.#open.get(head.stream) !== again) return NOTHING;
      this.#ask(head, again);
      return this.#insertQuestions();
    };
    this.#later = { afterMs: AGREEMENT_EVERY_MS, bytes };
    return NOTHING;
  }
}

/** A request that another server may be asked instead. */
export type Again = { readonly stream: number; readonly open: Open; readonly request: Uint8Array };

function anew(stream: number, { about, safe }: Open, request: Uint8Array): Again {
  return { stream, request, open: { ...(about === undefined ? {} : { about }), safe, request } };
}

/** The body of SUPPORTED with no compression to choose but what can be read here. */
function withKnownCompression(body: Uint8Array): Uint8Array {
  const reader = new BodyReader(body);
  const count = reader.short();
  const parts: Uint8Array[] = [shortBytes(count)];
  for (let left = count; left > 0; left -= 1) {
    const name = reader.string();
    const values = reader.stringList();
    const known = name.toUpperCase() === "COMPRESSION" ? values.filter(isCompression) : values;
    parts.push(stringBytes(name), stringListBytes(known));
  }
  return joined(parts);
}
