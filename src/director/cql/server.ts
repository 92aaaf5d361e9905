// One server's side of a CQL conversation: what it was asked and has not answered yet, and what becomes of its answers.
import { BodyReader, intBytes, shortBytes, stringBytes, stringListBytes } from "./body.ts";
import { Direction } from "./direction.ts";
import { BadBytes, envelope, HEAD_BYTES, type Head, joined, NOTHING, onStream, OPCODES } from "./envelopes.ts";
import type { Kind } from "./queries.ts";
import { isSchemaChange, keyspaceSet, onlyColumn, preparedId, rewriteRows } from "./rows.ts";
import { canBeReplayed, FRAMED_SINCE, question, type Replay, type Session } from "./session.ts";

/** Longer answers are not held back: a thousand nodes with 256 tokens each come to 6 MB. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
/** How often the nodes are asked whether they agree on a schema before the driver is answered anyhow, and how soon again. */
const AGREEMENT_TRIES = 20;
const AGREEMENT_EVERY_MS = 200;
const OWN_VERSION = "SELECT schema_version FROM system.local WHERE key='local'";
const OTHER_VERSIONS = "SELECT schema_version FROM system.peers";
/** Statements that are prepared for one request: a batch may have many. */
const PREPARES_MAX = 32;
const SERVER_ERROR = 0x0000;
const UNPREPARED = 0x2500;
const LOST = "The node ended the connection before it answered; whether it did what was asked is not known";

/** What becomes of bytes that came in. */
export type Taken = {
  readonly forward: readonly Uint8Array[];
  /** For who sent them. */
  readonly reply?: Uint8Array;
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
  readonly change?: Change;
  /** The server's word that it does not know a statement, in hex, while that is prepared. */
  readonly unprepared?: { readonly id: string; readonly answer: Uint8Array };
  /** Statements that were prepared for it. */
  readonly prepared?: number;
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
    return (
      canBeReplayed(this.#around.session) && ![...this.#open.values()].some(({ about }) => SETTLING.includes(about))
    );
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
      const more = { ...(reply.length === 0 ? {} : { reply }), ...(later === undefined ? {} : { later }) };
      return { forward, ...more };
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
      if (open?.change !== undefined) answers.push(open.change.answer);
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

  #begins({ stream, opcode, length }: Head): boolean {
    const open = this.#open.get(stream);
    const wanted =
      this.replay?.state === "more" ||
      open?.unprepared !== undefined ||
      (open?.about === "execute" ? opcode === OPCODES.error : open?.about !== undefined);
    if (!wanted && !this.#around.holds()) {
      this.#close(stream);
      return false;
    }
    if (length > ANSWER_MAX_BYTES)
      throw new BadBytes(`found an answer of ${length} bytes to be held back, wanted at most ${ANSWER_MAX_BYTES}`);
    return true;
  }

  #replayed(head: Head, whole: Uint8Array): Uint8Array {
    const { replay } = this;
    if (replay === undefined || head.stream !== 0) return NOTHING;
    replay.hear(head, whole);
    this.#direction.framed = head.version >= FRAMED_SINCE;
    if (replay.state === "more") this.#questions.push(replay.next());
    return NOTHING;
  }

  #answered(head: Head, whole: Uint8Array): Uint8Array {
    const open = this.#close(head.stream);
    const body = whole.subarray(HEAD_BYTES);
    if (open === undefined) return whole;
    if (open.change !== undefined) return this.#agreed(head, body, open, open.change);
    if (open.unprepared !== undefined) return this.#preparedFor(head, body, open, open.unprepared);
    const isResult = head.opcode === OPCODES.result;
    switch (open.about) {
      case undefined:
        return whole;
      case "startup":
      case "login":
        this.#settled(head, body, open.about);
        return whole;
      case "options":
        return head.opcode === OPCODES.supported ? envelope(head, withoutCompression(body), true) : whole;
      case "register":
        if (head.opcode === OPCODES.ready) this.#around.session.listens = true;
        return whole;
      case "use":
        if (isResult) this.#around.session.keyspace = keyspaceSet(head, body) ?? this.#around.session.keyspace;
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

  /** An answer to STARTUP, or to who the driver is. */
  #settled({ version, opcode }: Head, body: Uint8Array, about: "startup" | "login"): void {
    const { session, client } = this.#around;
    if (opcode === OPCODES.authChallenge) session.login = { type: "other" };
    if (opcode === OPCODES.authenticate) session.authenticator = new BodyReader(body).string();
    if (opcode === OPCODES.ready || opcode === OPCODES.authSuccess) session.established = true;
    if (about !== "startup" || version < FRAMED_SINCE) return;
    const accepted = opcode === OPCODES.ready || opcode === OPCODES.authenticate;
    this.#direction.framed = accepted;
    client.framed = accepted;
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

/** The body of SUPPORTED with no compression to choose, since whole envelopes could not be read any more. */
function withoutCompression(body: Uint8Array): Uint8Array {
  const reader = new BodyReader(body);
  const count = reader.short();
  const parts: Uint8Array[] = [shortBytes(count)];
  for (let left = count; left > 0; left -= 1) {
    const name = reader.string();
    const values = reader.stringList();
    parts.push(stringBytes(name), stringListBytes(name.toUpperCase() === "COMPRESSION" ? [] : values));
  }
  return joined(parts);
}
