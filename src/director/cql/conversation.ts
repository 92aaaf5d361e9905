// One connection of a CQL driver as the director listens in on it: what asks for the cluster's nodes is answered so that the
// driver stays with the director, and all else passes untouched. Versions 3 to 5.
import { BodyReader, intBytes, shortBytes, stringBytes, stringListBytes } from "./body.ts";
import { BadBytes, envelope, Envelopes, HEAD_BYTES, type Head, joined, OPCODES, type Reader } from "./envelopes.ts";
import { type Kind, kindOf } from "./queries.ts";
import { type Identity, isSchemaChange, onlyColumn, rewriteRows } from "./rows.ts";
import { Segments } from "./segments.ts";

/** Longer queries are neither a driver's own questions nor changes of a schema. */
const QUERY_MAX_BYTES = 64 * 1024;
/** As much of a query is looked at. */
const QUERY_LOOK_BYTES = 4096;
/** Longer answers to those are not known: a thousand nodes with 256 tokens each come to 6 MB. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
/** Answers that a driver waits for at a time; it has 32768 streams. */
const EXPECTED_MAX = 1024;
const FRAMED_SINCE = 5;
const PROTOCOL_ERROR = 0x000a;
/** Events of nodes would lead a driver to them. */
const EVENTS = ["SCHEMA_CHANGE"];

/** How often the nodes are asked whether they agree on a schema before the driver is answered anyhow, and how soon again. */
const AGREEMENT_TRIES = 20;
const AGREEMENT_EVERY_MS = 200;
const CONSISTENCY_ONE = 1;
const OWN_VERSION = "SELECT schema_version FROM system.local WHERE key='local'";
const OTHER_VERSIONS = "SELECT schema_version FROM system.peers";

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
  readonly head: Head;
  readonly answer: Uint8Array;
  readonly tries: number;
  /** The asked node's own version. */
  readonly version?: string;
};
type About = Kind | "startup" | "options" | "schema" | Change;

const NOTHING = new Uint8Array();

/** One direction of a connection. */
export interface Filter {
  take(bytes: Uint8Array): Taken;
}

export class Conversation {
  readonly #identity: Identity;
  /** By stream: what the answer to it is about. */
  readonly #expected = new Map<number, About>();
  #refusal: Uint8Array | undefined;
  /** Questions of our own for the server. */
  #questions: Uint8Array[] = [];
  #later: Taken["later"];
  readonly #client: Direction;
  readonly #server: Direction;

  constructor(identity: Identity) {
    this.#identity = identity;
    const asked = {
      wants: ({ opcode, length }: Head): boolean => {
        if (opcode === OPCODES.query) return length <= QUERY_MAX_BYTES;
        return opcode === OPCODES.startup || opcode === OPCODES.options || opcode === OPCODES.register;
      },
      rewrite: (head: Head, whole: Uint8Array) => this.#asked(head, whole),
    };
    const answered = {
      wants: ({ stream, length }: Head): boolean => {
        if (!this.#expected.has(stream)) return false;
        if (length > ANSWER_MAX_BYTES) throw new BadBytes(`found ${length} bytes of nodes, wanted ${ANSWER_MAX_BYTES}`);
        return true;
      },
      rewrite: (head: Head, whole: Uint8Array) => this.#answered(head, whole),
    };
    this.#client = new Direction(asked, () => true);
    this.#server = new Direction(answered, () => this.#expected.size > 0);
  }

  /** What the client's bytes become for the server, and what the client is told at once. */
  readonly fromClient: Filter = {
    take: (bytes) => {
      const taken = this.#client.take(bytes);
      const reply = this.#refusal;
      this.#refusal = undefined;
      return reply === undefined ? taken : { ...taken, reply };
    },
  };

  /** What the server's bytes become for the client. */
  readonly fromServer: Filter = {
    take: (bytes) => {
      const taken = this.#server.take(bytes);
      const later = this.#later;
      this.#later = undefined;
      const reply = this.#insertQuestions();
      return {
        ...taken,
        ...(reply.length === 0 ? {} : { reply }),
        ...(later === undefined ? {} : { later }),
      };
    },
  };

  #insertQuestions(): Uint8Array {
    return joined(this.#questions.splice(0).map((question) => this.#client.insert(question)));
  }

  #expect(head: Head, about: About): void {
    if (this.#expected.size >= EXPECTED_MAX) throw new BadBytes(`found ${EXPECTED_MAX} questions without an answer`);
    this.#expected.set(head.stream, about);
  }

  #asked(head: Head, whole: Uint8Array): Uint8Array {
    const body = new BodyReader(whole, HEAD_BYTES);
    switch (head.opcode) {
      case OPCODES.options:
        this.#expect(head, "options");
        return whole;
      case OPCODES.startup:
        return this.#started(head, whole, body);
      case OPCODES.register: {
        const events = body.stringList().filter((event) => EVENTS.includes(event));
        return envelope(head, stringListBytes(events), false);
      }
      default: {
        const kind = kindOf(body.longString(QUERY_LOOK_BYTES));
        if (kind !== undefined) this.#expect(head, kind);
        return whole;
      }
    }
  }

  #started(head: Head, whole: Uint8Array, body: BodyReader): Uint8Array {
    for (let left = body.short(); left > 0; left -= 1) {
      const [name, value] = [body.string(), body.string()];
      // It was not among what is supported. Whole frames could not be read any more.
      if (name.toUpperCase() === "COMPRESSION" && value !== "") {
        const message = `Compression "${value}" is not supported by the director`;
        this.#refusal = envelope(
          { ...head, flags: 0, opcode: OPCODES.error },
          joined([intBytes(PROTOCOL_ERROR), stringBytes(message)]),
          true,
        );
        return NOTHING;
      }
    }
    this.#expect(head, "startup");
    // What the client sends after this is in segments; it waits for the answer before.
    if (head.version >= FRAMED_SINCE) this.#client.framed = true;
    return whole;
  }

  #answered(head: Head, whole: Uint8Array): Uint8Array {
    const about = this.#expected.get(head.stream);
    this.#expected.delete(head.stream);
    const body = whole.subarray(HEAD_BYTES);
    if (typeof about === "object") return this.#agreed(head, body, about);
    switch (about) {
      case undefined:
        return whole;
      case "startup": {
        const accepted = head.opcode === OPCODES.ready || head.opcode === OPCODES.authenticate;
        if (head.version < FRAMED_SINCE) return whole;
        this.#server.framed = accepted;
        this.#client.framed = accepted;
        return whole;
      }
      case "schema": {
        if (head.opcode !== OPCODES.result || !isSchemaChange(head, body)) return whole;
        this.#ask({ head, answer: whole.slice(), tries: 0 });
        return NOTHING;
      }
      case "options":
        return head.opcode === OPCODES.supported ? envelope(head, withoutCompression(body), true) : whole;
      default: {
        if (head.opcode !== OPCODES.result) return whole;
        const changed = rewriteRows(head, body, about, this.#identity);
        return changed === body ? whole : envelope(head, changed, true);
      }
    }
  }

  /** Asks the node that made a change for its own version, or for those of the others as it knows them. */
  #ask(change: Change): void {
    // The driver still waits on this stream, and the server has it free.
    this.#expected.set(change.head.stream, change);
    this.#questions.push(question(change.head, change.version === undefined ? OWN_VERSION : OTHER_VERSIONS));
  }

  /** A node's answer to a question of ours: then the next question, or what the driver waits for. */
  #agreed(head: Head, body: Uint8Array, change: Change): Uint8Array {
    if (head.opcode !== OPCODES.result) return change.answer;
    const versions = onlyColumn(head, body);
    if (change.version === undefined) {
      const [version] = versions;
      if (version === undefined) return change.answer;
      this.#ask({ ...change, version });
      return NOTHING;
    }
    const agreed = versions.every((version) => version === change.version);
    if (agreed || change.tries >= AGREEMENT_TRIES) return change.answer;
    const { head: asked, answer, tries } = change;
    const again: Change = { head: asked, answer, tries: tries + 1 };
    this.#expected.set(asked.stream, again);
    const bytes = (): Uint8Array => {
      this.#ask(again);
      return this.#insertQuestions();
    };
    this.#later = { afterMs: AGREEMENT_EVERY_MS, bytes };
    return NOTHING;
  }
}

function question(head: Head, query: string): Uint8Array {
  // Flags have four bytes since version 5.
  const flags = head.version >= FRAMED_SINCE ? intBytes(0) : Uint8Array.of(0);
  const body = joined([intBytes(query.length), new TextEncoder().encode(query), shortBytes(CONSISTENCY_ONE), flags]);
  return envelope({ ...head, flags: 0, opcode: OPCODES.query }, body, false);
}

/** One direction: plain envelopes first, segments from some point on. */
class Direction implements Filter {
  readonly #plain: Envelopes;
  readonly #segments: Segments;
  /** What comes next are segments. */
  framed = false;

  constructor(reader: Omit<Reader, "over">, looks: () => boolean) {
    const isFramed = (): boolean => this.framed;
    const plain: Reader = {
      ...reader,
      get over() {
        return isFramed();
      },
    };
    this.#plain = new Envelopes(plain);
    this.#segments = new Segments(new Envelopes({ ...reader, over: false }), looks, (head) => reader.wants(head));
  }

  /** Puts an envelope of our own between those that pass; what this returns can be sent at once. */
  insert(own: Uint8Array): Uint8Array {
    return this.framed ? this.#segments.insert(own) : this.#plain.insert(own);
  }

  take(bytes: Uint8Array): Taken {
    try {
      if (this.framed) return { forward: this.#segments.take(bytes) };
      const { forward, rest } = this.#plain.take(bytes);
      return { forward: rest.length === 0 ? forward : [...forward, ...this.#segments.take(rest)] };
    } catch (error) {
      if (error instanceof BadBytes) return { forward: [], error: error.message };
      throw error;
    }
  }
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
