// A million broken messages for the readers of both protocols, all from one seed: whatever comes, they answer or give up, and
// hold little.
import { describe, expect, test } from "bun:test";
import { intBytes, shortBytes, stringBytes, stringListBytes } from "./cql/body.ts";
import { type Compression, lz4Literals } from "./cql/compression.ts";
import { Conversation } from "./cql/conversation.ts";
import { envelope, type Head, joined, OPCODES } from "./cql/envelopes.ts";
import { addressBytes, hostIdOf } from "./cql/rows.ts";
import { segmentsOf } from "./cql/segments.ts";
import type { Server, Taken } from "./cql/server.ts";
import { Statements } from "./cql/statements.ts";
import { FRAME_MAX_BYTES, isStream, readAnswers, readRequest } from "./riak/exchange.ts";
import { FrameReader } from "./riak/frames.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_122);
const CQL_INPUTS = 150_000;
const PB_INPUTS = 500_000;
/** What a process may have grown by at the end; the collector is in no hurry. */
const GROWTH_MAX_BYTES = 200 * 1024 * 1024;

/** Numbers below a limit, quick ones: xorshift. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  of<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined) throw new Error("Cannot choose of nothing");
    return found;
  }

  /** The bytes with a few of them changed, cut off, doubled, or put in elsewhere. */
  broken(bytes: Uint8Array): Uint8Array {
    let broken: Uint8Array = bytes.slice();
    for (let left = this.below(4); left > 0 && broken.length > 0; left -= 1) {
      const at = this.below(broken.length);
      switch (this.below(6)) {
        case 0:
          broken[at] = this.below(256);
          break;
        case 1:
          broken[at] = (broken[at] ?? 0) ^ (1 << this.below(8));
          break;
        case 2:
          broken[at] = this.of([0, 1, 0x7f, 0x80, 0xff]);
          break;
        case 3:
          broken = broken.slice(0, at);
          break;
        case 4:
          broken = joined([broken, broken.subarray(at)]);
          break;
        default:
          broken = joined([
            broken.subarray(0, at),
            Uint8Array.of(this.below(256), this.below(256)),
            broken.subarray(at),
          ]);
      }
    }
    return broken;
  }

  /** In one piece or in two. */
  pieces(bytes: Uint8Array): readonly Uint8Array[] {
    const at = this.below(2) === 0 ? 0 : this.below(bytes.length + 1);
    return at === 0 ? [bytes] : [bytes.slice(0, at), bytes.slice(at)];
  }
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const longly = (bytes: Uint8Array): Uint8Array => joined([intBytes(bytes.length), bytes]);
const shortly = (bytes: Uint8Array): Uint8Array => joined([shortBytes(bytes.length), bytes]);

function startupBody(compression?: Compression | "zstd"): Uint8Array {
  if (compression === undefined) return joined([shortBytes(1), stringBytes("CQL_VERSION"), stringBytes("3.0.0")]);
  return joined([shortBytes(1), stringBytes("COMPRESSION"), stringBytes(compression)]);
}

/** A body in blocks that begin with it as it is and go on with a copy of its last byte. */
function compressedBody(compression: Compression, body: Uint8Array, copies: number): Uint8Array {
  const length = body.length + copies;
  if (compression === "lz4") {
    const block = lz4Literals(body);
    // The first sequence's match, then a last one without literals.
    if (copies < 4 || copies > 18 || body.length === 0) return joined([intBytes(body.length), block]);
    block[0] = (block[0] ?? 0) | (copies - 4);
    return joined([intBytes(length), block, Uint8Array.of(1, 0, 0)]);
  }
  const declared = Uint8Array.of((length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, (length >> 14) & 0x7f);
  const literals = [Uint8Array.of(61 << 2, (body.length - 1) & 0xff, ((body.length - 1) >> 8) & 0xff), body];
  if (body.length === 0) return Uint8Array.of(0);
  return joined([declared, ...literals, ...(copies > 0 ? [Uint8Array.of(((copies - 1) << 2) | 2, 1, 0)] : [])]);
}

type Message = { readonly opcode: number; readonly body: Uint8Array; readonly flags?: number };

const QUERIES = [
  "SELECT * FROM system.local WHERE key='local'",
  "SELECT * FROM system.peers_v2",
  "SELECT peer, schema_version FROM system.peers",
  "USE ks",
  "CREATE TABLE ks.t (id int PRIMARY KEY)",
  "INSERT INTO ks.t (id) VALUES (1)",
];
const QUESTIONS: readonly Message[] = [
  { opcode: OPCODES.startup, body: startupBody() },
  { opcode: OPCODES.startup, body: startupBody("zstd") },
  { opcode: OPCODES.options, body: new Uint8Array() },
  { opcode: OPCODES.authResponse, body: longly(text("\0user\0password")) },
  { opcode: OPCODES.register, body: stringListBytes(["SCHEMA_CHANGE", "STATUS_CHANGE"]) },
  { opcode: OPCODES.execute, body: joined([shortly(text("one")), shortBytes(1), Uint8Array.of(0)]) },
  { opcode: OPCODES.batch, body: joined([Uint8Array.of(0), shortBytes(1), Uint8Array.of(1), shortly(text("one"))]) },
  { opcode: 0xff, body: text("nobody knows this") },
  ...QUERIES.map((query) => ({
    opcode: OPCODES.query,
    body: joined([longly(text(query)), shortBytes(1), intBytes(0)]),
  })),
  ...QUERIES.map((query) => ({ opcode: OPCODES.prepare, body: joined([longly(text(query)), intBytes(0)]) })),
  {
    opcode: OPCODES.query,
    flags: 4,
    body: joined([shortBytes(1), stringBytes("key"), longly(text("v")), longly(text("USE k"))]),
  },
];
const COLUMNS = [
  ...stringBytes("rpc_address"),
  ...shortBytes(0x10),
  ...stringBytes("tokens"),
  ...shortBytes(0x22),
  ...shortBytes(0x0d),
];
const ROWS = joined([
  ...[intBytes(2), intBytes(1), intBytes(2), stringBytes("system"), stringBytes("local"), Uint8Array.from(COLUMNS)],
  ...[intBytes(1), longly(Uint8Array.of(10, 0, 0, 1)), longly(joined([intBytes(1), longly(text("12"))]))],
]);
const VERSIONS = joined([
  ...[
    intBytes(2),
    intBytes(1),
    intBytes(1),
    stringBytes("system"),
    stringBytes("local"),
    stringBytes("schema_version"),
  ],
  ...[shortBytes(0x0c), intBytes(1), longly(new Uint8Array(16))],
]);
const ANSWERS: readonly Message[] = [
  { opcode: OPCODES.ready, body: new Uint8Array() },
  { opcode: OPCODES.authenticate, body: stringBytes("PasswordAuthenticator") },
  { opcode: OPCODES.authChallenge, body: longly(text("?")) },
  { opcode: OPCODES.authSuccess, body: longly(new Uint8Array()) },
  { opcode: OPCODES.supported, body: joined([shortBytes(1), stringBytes("COMPRESSION"), stringListBytes(["lz4"])]) },
  { opcode: OPCODES.result, body: intBytes(1) },
  { opcode: OPCODES.result, body: ROWS },
  { opcode: OPCODES.result, body: VERSIONS },
  { opcode: OPCODES.result, flags: 8, body: joined([stringListBytes(["careful"]), ROWS]) },
  { opcode: OPCODES.result, body: joined([intBytes(3), stringBytes("ks")]) },
  { opcode: OPCODES.result, body: joined([intBytes(4), shortly(text("one")), intBytes(0)]) },
  { opcode: OPCODES.result, body: joined([intBytes(5), ...["CREATED", "TABLE", "ks", "t"].map(stringBytes)]) },
  { opcode: OPCODES.error, body: joined([intBytes(0x2500), stringBytes("unprepared"), shortly(text("one"))]) },
  { opcode: OPCODES.error, body: joined([intBytes(10), stringBytes("no")]) },
];

const IDENTITY = { address: addressBytes("127.0.0.1"), port: 9042, hostId: hostIdOf("director") };

/** A conversation that hears garbage from both sides, and moves now and then. */
class Talk {
  readonly #dice: Dice;
  readonly #version: number;
  readonly #compression: Compression | undefined;
  readonly #statements: Statements;
  #conversation: Conversation;
  #server: Server;
  #next: Server | undefined;

  constructor(dice: Dice, version: number, compression: Compression | undefined, statements: Statements) {
    this.#dice = dice;
    this.#version = version;
    this.#compression = compression;
    this.#statements = statements;
    this.#conversation = new Conversation(IDENTITY, statements);
    this.#server = this.#conversation.begin();
    this.anew();
  }

  /** After a good beginning. */
  anew(): void {
    this.#conversation = new Conversation(IDENTITY, this.#statements);
    this.#server = this.#conversation.begin();
    this.#next = undefined;
    if (this.#dice.below(8) === 0) return;
    const head = { version: this.#version, flags: 0, stream: 1, opcode: OPCODES.startup };
    this.#conversation.take(envelope(head, startupBody(this.#compression), false));
    this.#server.take(envelope({ ...head, opcode: OPCODES.ready }, new Uint8Array(), true));
  }

  step(): void {
    const side = this.#dice.below(this.#next === undefined ? 2 : 3);
    const { opcode, body, flags = 0 } = this.#dice.of(side === 0 ? QUESTIONS : ANSWERS);
    const stream = this.#dice.below(4);
    const [head, answers] = [{ version: this.#version, flags, stream, opcode }, side > 0];
    const packs = this.#compression !== undefined && this.#version < 5 && this.#dice.below(4) > 0;
    const whole = packs ? this.#packed(head, body, answers) : envelope(head, body, answers);
    const bytes = this.#framed(whole, side === 2);
    let given = 0;
    let went = 0;
    for (const piece of this.#dice.pieces(bytes)) {
      const target = side === 0 ? this.#conversation : side === 1 ? this.#server : (this.#next ?? this.#server);
      const taken = target.take(piece);
      given += piece.length;
      went += lengthOf(taken);
      taken.later?.bytes();
      if (taken.error !== undefined) {
        this.anew();
        return;
      }
    }
    // What is held back of before, answers that are remembered and questions of our own come to little.
    if (went > given + 4_000_000) throw new Error(`Found ${went} bytes for ${given}, seed ${SEED}`);
    this.#move();
  }

  /** Compressed, or garbage compressed, or the block made garbage. */
  #packed(head: Omit<Head, "length">, body: Uint8Array, answers: boolean): Uint8Array {
    const kind = this.#dice.below(3);
    const inside = kind === 0 ? this.#dice.broken(body) : body;
    const block = compressedBody(this.#compression ?? "lz4", inside, this.#dice.below(20));
    const flags = head.flags | 1;
    return envelope({ ...head, flags }, kind === 1 ? this.#dice.broken(block) : block, answers);
  }

  /** Garbage inside of whole segments, or whole segments made garbage. */
  #framed(whole: Uint8Array, plain: boolean): Uint8Array {
    const inside = this.#dice.below(2) === 0;
    const bytes = inside ? this.#dice.broken(whole) : whole;
    let framed = bytes;
    if (this.#version >= 5 && !plain && bytes.length > 0) framed = this.#segments(bytes);
    return inside ? framed : this.#dice.broken(framed);
  }

  #segments(bytes: Uint8Array): Uint8Array {
    return segmentsOf(bytes, this.#compression !== undefined);
  }

  /** Answers what the next server is told as a good one does, as far as it can be understood. */
  #tell(next: Server): void {
    let said = next.say();
    for (let step = 0; said.length > 0; step += 1) {
      const framed = this.#version >= 5 && step > 0;
      const message = ACCEPTED.get(said[framed ? (this.#compression === undefined ? 10 : 13) : 4]);
      if (message === undefined) return;
      const whole = envelope(
        { version: this.#version, flags: 0, stream: 0, opcode: message.opcode },
        message.body,
        true,
      );
      said = next.take(framed ? this.#segments(whole) : whole).reply ?? new Uint8Array();
    }
  }

  #move(): void {
    if (this.#conversation.moved() !== undefined && this.#next !== undefined) {
      this.#server = this.#next;
      this.#next = undefined;
    }
    this.#conversation.formerIsDone();
    const chance = this.#dice.below(60);
    // One that waits for the rest of something learns nothing new.
    if (chance === 59) this.anew();
    if (chance < 4 && this.#next === undefined && this.#conversation.movable) {
      this.#next = this.#conversation.replayed();
      if (this.#dice.below(4) > 0) this.#tell(this.#next);
    } else if (chance < 30 && this.#next?.replay?.state === "done") this.#conversation.moveTo(this.#next);
    else if (chance === 30) {
      this.#conversation.lost(this.#server);
      this.anew();
    }
  }
}

/** What a server says to each step of what was settled before. */
const ACCEPTED: ReadonlyMap<number | undefined, Message> = new Map([
  [OPCODES.startup, { opcode: OPCODES.ready, body: new Uint8Array() }],
  [OPCODES.register, { opcode: OPCODES.ready, body: new Uint8Array() }],
  [OPCODES.authResponse, { opcode: OPCODES.authSuccess, body: longly(new Uint8Array()) }],
  [OPCODES.query, { opcode: OPCODES.result, body: joined([intBytes(3), stringBytes("ks")]) }],
]);

function lengthOf({ forward, reply }: Taken): number {
  return forward.reduce((sum, { length }) => sum + length, reply?.length ?? 0);
}

/** Frames of Riak: puts, gets, lists, pings, errors, and what nobody knows. */
const FRAMES = [1, 2, 5, 9, 11, 15, 17, 18, 23, 25, 40, 255, 0, 77].flatMap((code) =>
  ["", "\n\x01b\x12\x01k", "\x10\x01", "\n\x04text\x18\x01", "\x0a\xff\xff\xff\xff\x0f"].map((body) => {
    const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
    return joined([intBytes(bytes.length + 1), Uint8Array.of(code), bytes]);
  }),
);

describe(`garbage of seed ${SEED}`, () => {
  test.each<[number, Compression | undefined]>([
    [3, undefined],
    [4, undefined],
    [5, undefined],
    [3, "snappy"],
    [4, "lz4"],
    [5, "lz4"],
  ])(
    "of CQL's version %d with compression %p ends a connection or passes, and no more",
    (version, compression) => {
      const before = process.memoryUsage.rss();
      const talk = new Talk(new Dice(SEED + version), version, compression, new Statements());
      for (let input = 0; input < CQL_INPUTS; input += 1) talk.step();
      expect(process.memoryUsage.rss() - before).toBeLessThan(GROWTH_MAX_BYTES);
    },
    120_000,
  );

  test("of Riak's frames is refused or passes, and no byte is lost or doubled", () => {
    const dice = new Dice(SEED);
    const before = process.memoryUsage.rss();
    let reader = new FrameReader();
    for (let input = 0; input < PB_INPUTS; input += 1) {
      const bytes = dice.broken(dice.of(FRAMES));
      if (dice.below(2) === 0) {
        const read = readRequest(reader, false, bytes);
        if (read.type === "bad") {
          if (read.length > 0 && read.length <= FRAME_MAX_BYTES) throw new Error(`Found ${read.length} refused`);
          reader = new FrameReader();
        } else if (read.type === "request") {
          const length = read.own.length + (read.after?.length ?? 0);
          if (length < bytes.length || length > bytes.length + 4)
            throw new Error(`Found ${length} of ${bytes.length} bytes`);
          if (reader.complete) isStream(read.rule, reader);
          else reader = new FrameReader();
        }
      } else {
        const answers = new FrameReader();
        for (const piece of dice.pieces(bytes)) {
          const { at, over } = readAnswers(answers, dice.below(2) === 0, piece);
          if (at > piece.length || (!over && at < piece.length))
            throw new Error(`Found ${at} of ${piece.length} bytes read`);
          if (over) break;
        }
      }
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(GROWTH_MAX_BYTES);
  }, 120_000);
});
