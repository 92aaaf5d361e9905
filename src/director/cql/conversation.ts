// One connection of a CQL driver as the director listens in on it: what asks for the cluster's nodes is answered so that the
// driver stays with the director, and all else passes untouched. Versions 3 to 5. The conversation can go on with another
// server: what was asked before is answered by the old one, all that comes after goes to the new one.
import { type BodyReader, intBytes, requestBody, stringBytes, stringListBytes } from "./body.ts";
import { isCompression, plainEnvelope } from "./compression.ts";
import { Direction } from "./direction.ts";
import { BadBytes, envelope, FRAMED_SINCE, type Head, joined, NOTHING, OPCODES } from "./envelopes.ts";
import { kindOf, onlyReads } from "./queries.ts";
import type { Identity } from "./rows.ts";
import { type Again, type Around, type Open, Server, type Taken } from "./server.ts";
import { canBeReplayed, EVENTS, newSession, Replay, type Session } from "./session.ts";
import { Statements } from "./statements.ts";

/** Longer requests are neither looked at nor kept. */
const LOOK_MAX_BYTES = 64 * 1024;
/** As much of a query is looked at. */
const QUERY_LOOK_BYTES = 4096;
/** Requests of one connection that are kept until they are answered. */
const KEPT_MAX_BYTES = 1024 * 1024;
/** A request that may have to be held back for a moment while its connection moves. */
const HELD_MAX_BYTES = 64 * 1024 * 1024;
const PROTOCOL_ERROR = 0x000a;

/** Requests that are looked at. */
const LOOKED_AT: ReadonlySet<number> = new Set([
  ...[OPCODES.startup, OPCODES.options, OPCODES.query, OPCODES.prepare, OPCODES.execute],
  ...[OPCODES.register, OPCODES.batch, OPCODES.authResponse],
]);
const PASSING: Open = { safe: false };

export class Conversation {
  readonly #session: Session;
  readonly #client: Direction;
  readonly #around: Around;
  #refusal: Uint8Array = NOTHING;
  /** Who gets what the client says; none while the next one is looked for. */
  #present: Server | undefined;
  /** Who is to take its place. */
  #next: Server | undefined;
  /** Who still has something to answer. */
  #former: Server | undefined;
  /** Requests for the next server. */
  #again: readonly Again[] = [];
  /** For the present server, of what another one said. */
  #onward: Uint8Array = NOTHING;

  constructor(identity: Identity, statements = new Statements()) {
    this.#session = newSession(identity, statements);
    this.#client = new Direction({
      begins: (head) => this.#begins(head),
      rewrite: (head, whole) => this.#asked(head, whole),
    });
    this.#around = {
      session: this.#session,
      client: this.#client,
      isPresent: (server) => server === this.#present,
      holds: () => this.#next !== undefined || this.#former !== undefined,
      settle: (question, stream, open) => {
        if (this.#present === undefined) return false;
        this.#present.expect(stream, open);
        this.#onward = joined([this.#onward, this.#client.insert(question)]);
        return true;
      },
      onward: () => {
        const onward = this.#onward;
        this.#onward = NOTHING;
        return onward;
      },
    };
  }

  /** Whether it has had no server yet. */
  isNew = true;

  /** The server for a driver that has said nothing yet. */
  begin(): Server {
    this.isNew = false;
    this.#present = new Server(this.#around, undefined);
    return this.#present;
  }

  /** Whether another server could take the present one's place now. */
  get movable(): boolean {
    return this.#former === undefined && this.#next === undefined && this.#present?.movable === true;
  }

  /** Whether it can never move: nobody can prove again who the driver is. */
  get isBound(): boolean {
    return this.#session.established && !canBeReplayed(this.#session);
  }

  /** Whether nothing is under way. */
  get quiet(): boolean {
    return this.#client.between && this.#former === undefined && this.#present?.quiet === true;
  }

  /** A server that is told first what was settled with the present one: `say` it. */
  replayed(): Server {
    return new Server(this.#around, new Replay(this.#session, (this.#session.startup?.[0] ?? 0) & 0x7f));
  }

  /** The server, which knows all now, takes the present one's place as soon as `moved` says so. */
  moveTo(server: Server): void {
    this.#next = server;
  }

  /**
   * What the next server must be told before it may take the present one's place, since that has settled something after the next
   * one was told all: it is told again as it was before `moveTo`. Empty: nothing.
   */
  settledSince(): Uint8Array {
    const next = this.#next;
    if (next?.replay?.goesOn() !== true) return NOTHING;
    this.#next = undefined;
    return next.say();
  }

  /**
   * Whether the next server has the present one's place from now on. To be asked after everything that was taken, and done
   * before more is: what the client is told to go on with until then belongs to the former one. `first`: what is said to it.
   */
  moved(): { readonly first: Uint8Array } | undefined {
    const [present, next] = [this.#present, this.#next];
    if (next === undefined || !this.#client.between) return undefined;
    if (present !== undefined && !(present.between && present.movable)) return undefined;
    this.#former = present;
    this.#present = next;
    this.#next = undefined;
    const first = this.#askAgain(this.#again);
    this.#again = [];
    return { first };
  }

  /** Whether the former server has answered everything; then it is forgotten. */
  formerIsDone(): boolean {
    if (this.#former?.quiet !== true) return false;
    this.#former = undefined;
    return true;
  }

  /**
   * The server is gone. Undefined: the client cannot go on. `answers` are for the client, `first` for the present server. If it
   * was the present one, another one has to be found, and nothing can be taken from the client before it has `moved` there.
   */
  lost(server: Server): { readonly answers: Uint8Array; readonly first: Uint8Array } | undefined {
    if (server === this.#next) {
      this.#next = undefined;
      return { answers: NOTHING, first: NOTHING };
    }
    const goesOn = server === this.#former || (server.movable && this.#client.between && this.#former === undefined);
    const left = goesOn ? server.lose() : undefined;
    if (left === undefined) return undefined;
    if (server === this.#former) {
      this.#former = undefined;
      return { answers: left.answers, first: this.#askAgain(left.again) };
    }
    this.#present = undefined;
    this.#again = left.again;
    return { answers: left.answers, first: NOTHING };
  }

  #askAgain(requests: readonly Again[]): Uint8Array {
    return joined(
      requests.map(({ stream, open, request }) => {
        this.#present?.expect(stream, open);
        return this.#client.insert(request);
      }),
    );
  }

  /** What the client's bytes become for the present server, and what the client is told at once. */
  take(bytes: Uint8Array): Taken {
    try {
      const forward = this.#client.take(bytes);
      const reply = this.#refusal;
      this.#refusal = NOTHING;
      return reply.length === 0 ? { forward } : { forward, reply };
    } catch (error) {
      if (error instanceof BadBytes) return { forward: [], error: error.message };
      throw error;
    }
  }

  #begins({ stream, opcode, length }: Head): boolean {
    if (LOOKED_AT.has(opcode) && length <= LOOK_MAX_BYTES) return true;
    if (this.#next !== undefined && length <= HELD_MAX_BYTES) return true;
    this.#present?.expect(stream, PASSING);
    return false;
  }

  #asked(head: Head, whole: Uint8Array): Uint8Array {
    const looks = LOOKED_AT.has(head.opcode) && head.length <= LOOK_MAX_BYTES;
    const plain = looks ? plainEnvelope(this.#session.compression, head, whole, LOOK_MAX_BYTES) : undefined;
    if (plain === undefined) {
      this.#expect(head, PASSING);
      return whole;
    }
    const changed = this.#understood(plain.head, plain.whole);
    return changed === plain.whole ? whole : changed;
  }

  #understood(head: Head, whole: Uint8Array): Uint8Array {
    const body = requestBody(head, whole);
    switch (head.opcode) {
      case OPCODES.startup:
        return this.#started(head, whole, body);
      case OPCODES.options:
        this.#expect(head, this.#kept({ about: "options", safe: true }, whole));
        return whole;
      case OPCODES.authResponse: {
        const session = this.#session;
        const first = session.login.type === "none";
        const { authenticator } = session;
        session.login = first ? { type: "token", authenticator, response: whole.slice() } : { type: "other" };
        this.#expect(head, { about: "login", safe: false });
        return whole;
      }
      case OPCODES.register: {
        this.#expect(head, { about: "register", safe: false });
        const events = body.stringList().filter((event) => EVENTS.includes(event));
        return envelope(head, stringListBytes(events), false);
      }
      case OPCODES.prepare:
        this.#expect(head, this.#kept(head.flags === 0 ? { about: "prepare", safe: true } : { safe: true }, whole));
        return whole;
      case OPCODES.query:
        this.#expect(head, this.#query(body.longString(QUERY_LOOK_BYTES), whole));
        return whole;
      default:
        this.#expect(head, this.#kept({ about: "execute", ...this.#executed(head, body) }, whole));
        return whole;
    }
  }

  #expect({ stream }: Head, open: Open): void {
    this.#present?.expect(stream, open);
  }

  #query(query: string, whole: Uint8Array): Open {
    const about = kindOf(query);
    const open: Open = { ...(about === undefined ? {} : { about }), safe: onlyReads(query) };
    return open.safe ? this.#kept(open, whole) : open;
  }

  /** What is known of what is executed. */
  #executed({ version, opcode }: Head, body: BodyReader): Pick<Open, "safe" | "settles"> {
    if (opcode !== OPCODES.execute) return { safe: false };
    const { safe = false, settles = false } = this.#session.statements.get(version, body.bytes(body.short())) ?? {};
    return { safe, settles };
  }

  /** With the request itself, while there are not too many. */
  #kept(open: Open, whole: Uint8Array): Open {
    if (this.#session.keptBytes + whole.length > KEPT_MAX_BYTES) return open;
    return { ...open, request: whole.slice() };
  }

  #started(head: Head, whole: Uint8Array, body: BodyReader): Uint8Array {
    const session = this.#session;
    session.compression = undefined;
    for (let left = body.short(); left > 0; left -= 1) {
      const [name, value] = [body.string().toUpperCase(), body.string().toLowerCase()];
      if (name !== "COMPRESSION" || value === "") continue;
      // What follows could not be read any more. It was not among what is supported, and segments know LZ4 alone.
      if (!isCompression(value) || (head.version >= FRAMED_SINCE && value !== "lz4")) {
        const message = `Compression "${value}" is not supported by the director in version ${head.version}`;
        const error = joined([intBytes(PROTOCOL_ERROR), stringBytes(message)]);
        this.#refusal = envelope({ ...head, flags: 0, opcode: OPCODES.error }, error, true);
        return NOTHING;
      }
      session.compression = value;
    }
    session.startup = whole.slice();
    this.#expect(head, { about: "startup", safe: false });
    // What the client sends after this is in segments; it waits for the answer before.
    if (head.version >= FRAMED_SINCE) this.#client.frame(session.compression);
    return whole;
  }
}
