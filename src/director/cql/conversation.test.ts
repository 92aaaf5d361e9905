// A CQL conversation as the director changes it, in protocol versions 4 and 5 and in every chunking.
import { describe, expect, test } from "bun:test";
import { BodyReader, intBytes, shortBytes, stringBytes, stringListBytes } from "./body.ts";
import { lz4Literals } from "./compression.ts";
import { Conversation } from "./conversation.ts";
import { envelope, HEAD_BYTES, joined, OPCODES, readHead } from "./envelopes.ts";
import { addressBytes, hostIdOf } from "./rows.ts";
import { PAYLOAD_MAX_BYTES, segmentsOf } from "./segments.ts";
import type { Server, Taken } from "./server.ts";
import { Statements } from "./statements.ts";

const IDENTITY = { address: addressBytes("127.0.0.1"), port: 9042, hostId: hostIdOf("director") };
const INET = 0x10;
const INT = 0x09;
const UUID = 0x0c;
const VARCHAR = 0x0d;
const EXECUTE = 0x0a;

/** OPTIONS in a segment, and the head of a first full one of several, as the Python driver encodes them. */
const PYTHON_SEGMENT = "090002a4c8c1050000010500000000b5557486";
const PYTHON_LONG_HEAD = "ffff013891fe";

/** The same with LZ4: OPTIONS, which does not become shorter, and 300 bytes that are all the same. */
const PYTHON_PLAIN_SEGMENT = "0900000004c2b895050000010500000000b5557486";
const PYTHON_LZ4_SEGMENT = "15006a0204ca91a6af050000010c0000012c710100ff1450717171717192fd90fa";
/** OPTIONS as a block of literals; the Python driver reads it. */
const LITERAL_SEGMENT = "0a0012000412265390050000010500000000eb1c9cf1";

type Filter = { readonly take: (bytes: Uint8Array) => Taken };
type Cell = { readonly name: string; readonly type: number; readonly value: Uint8Array };

const hex = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, "hex"));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function ask(version: number, stream: number, opcode: number, body: Uint8Array = new Uint8Array()): Uint8Array {
  return envelope({ version, flags: 0, stream, opcode }, body, false);
}

function answer(version: number, stream: number, opcode: number, body: Uint8Array = new Uint8Array()): Uint8Array {
  return envelope({ version, flags: 0, stream, opcode }, body, true);
}

function query(version: number, stream: number, cql: string): Uint8Array {
  const flags = version >= 5 ? intBytes(0) : Uint8Array.of(0);
  return ask(version, stream, OPCODES.query, joined([intBytes(cql.length), text(cql), shortBytes(1), flags]));
}

function startup(version: number, compression?: string): Uint8Array {
  const options = [stringBytes("CQL_VERSION"), stringBytes("3")];
  if (compression !== undefined) options.push(stringBytes("COMPRESSION"), stringBytes(compression));
  return ask(version, 0, OPCODES.startup, joined([shortBytes(options.length / 2), ...options]));
}

/** A RESULT with rows that all have these cells. */
function rows(version: number, stream: number, cells: readonly Cell[], count = 1): Uint8Array {
  const columns = cells.flatMap(({ name, type }) => [stringBytes(name), shortBytes(type)]);
  const row = cells.flatMap(({ value }) => [intBytes(value.length), value]);
  const head = [intBytes(2), intBytes(1), intBytes(cells.length), stringBytes("system"), stringBytes("local")];
  const all = Array.from({ length: count }, () => row).flat();
  return answer(version, stream, OPCODES.result, joined([...head, ...columns, intBytes(count), ...all]));
}

function schemaChanged(version: number, stream: number): Uint8Array {
  const words = ["CREATED", "TABLE", "ks", "t"].map(stringBytes);
  return answer(version, stream, OPCODES.result, joined([intBytes(5), ...words]));
}

const LOCAL = {
  key: { name: "key", type: VARCHAR, value: text("local") },
  rpc: { name: "rpc_address", type: INET, value: Uint8Array.of(10, 0, 0, 7) },
  port: { name: "rpc_port", type: INT, value: intBytes(1234) },
  id: { name: "host_id", type: UUID, value: new Uint8Array(16) },
} as const;
const AS_DIRECTOR = {
  rpc: { ...LOCAL.rpc, value: IDENTITY.address },
  port: { ...LOCAL.port, value: intBytes(9042) },
  id: { ...LOCAL.id, value: IDENTITY.hostId },
} as const;

/** A conversation after its handshake; `say` and `hear` carry envelopes both ways, in pieces of `size`. */
class Talk {
  readonly #conversation = new Conversation(IDENTITY);
  readonly #server = this.#conversation.begin();
  readonly #version: number;
  readonly #size: number;
  later: (() => Uint8Array) | undefined;
  /** What the director asked the server on its own. */
  readonly asked: string[] = [];

  constructor(version: number, size: number) {
    this.#version = version;
    this.#size = size;
    expect(this.#pass(this.#conversation, startup(version))).toEqual(startup(version));
    const ready = answer(version, 0, OPCODES.ready);
    expect(this.#pass(this.#server, ready)).toEqual(ready);
  }

  say(envelopes: Uint8Array): Uint8Array {
    return this.#unframed(this.#pass(this.#conversation, this.#framed(envelopes)));
  }

  hear(envelopes: Uint8Array): Uint8Array {
    return this.#unframed(this.#pass(this.#server, this.#framed(envelopes)));
  }

  #framed(envelopes: Uint8Array): Uint8Array {
    return this.#version >= 5 ? segmentsOf(envelopes) : envelopes;
  }

  #unframed(bytes: Uint8Array): Uint8Array {
    return this.#version >= 5 ? payloadsOf(bytes) : bytes;
  }

  #pass(filter: Filter, bytes: Uint8Array): Uint8Array {
    return inPieces(filter, bytes, this.#size, ({ reply, later }) => {
      if (reply !== undefined) this.note(reply);
      this.later = later?.bytes ?? this.later;
    });
  }

  /** Reads a question of the director's own. */
  note(bytes: Uint8Array): void {
    const whole = this.#unframed(bytes);
    if (whole.length > 0) this.asked.push(new BodyReader(whole, HEAD_BYTES).longString(1000));
  }
}

/** What goes on of bytes that come in pieces of this size. */
function inPieces(filter: Filter, bytes: Uint8Array, size: number, hear?: (taken: Taken) => void): Uint8Array {
  const forward: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const taken = filter.take(bytes.slice(at, at + size));
    if (taken.error !== undefined) throw new Error(taken.error);
    forward.push(...taken.forward);
    hear?.(taken);
  }
  return joined(forward);
}

/** The payloads of whole segments, one after the other. */
function payloadsOf(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)) & PAYLOAD_MAX_BYTES;
    parts.push(bytes.subarray(at + 6, at + 6 + length));
    at += 6 + length + 4;
  }
  return joined(parts);
}

test("segments are those of the Python driver", () => {
  const options = Buffer.from("050000010500000000", "hex");
  expect(Buffer.from(segmentsOf(options)).toString("hex")).toBe(PYTHON_SEGMENT);
  const long = segmentsOf(ask(5, 1, EXECUTE, new Uint8Array(2 * PAYLOAD_MAX_BYTES)));
  expect(Buffer.from(long.subarray(0, 6)).toString("hex")).toBe(PYTHON_LONG_HEAD);
});

describe.each([4, 5])("in version %d", (version) => {
  test("what is no business of the director's passes untouched, in every chunking", () => {
    const big = ask(version, 3, EXECUTE, new Uint8Array(300_000).fill(7));
    const requests = joined([
      query(version, 1, "SELECT * FROM ks.t"),
      ask(version, 2, EXECUTE, joined([shortBytes(1), text("x")])),
      big,
    ]);
    const answers = joined([answer(version, 1, OPCODES.result, intBytes(1)), rows(version, 2, [LOCAL.rpc]), big]);
    for (const size of [1, 2, 7, 100, 4096, 65_536, 1_000_000]) {
      const talk = new Talk(version, size);
      expect(Bun.deepEquals(talk.say(requests), requests)).toBe(true);
      expect(Bun.deepEquals(talk.hear(answers), answers)).toBe(true);
    }
  });

  test("the node looks like the director, and others are not there", () => {
    for (const size of [1, 5, 64, 1_000_000]) {
      const talk = new Talk(version, size);
      const asked = joined([
        query(version, 1, "SELECT * FROM system.local WHERE key='local'"),
        query(version, 2, "select * from system.peers_v2"),
        query(version, 3, "SELECT peer, rpc_address, schema_version FROM system.peers"),
        query(version, 4, "SELECT * FROM ks.t"),
      ]);
      expect(talk.say(asked)).toEqual(asked);
      const heard = talk.hear(
        joined([
          rows(version, 4, [LOCAL.rpc]),
          rows(version, 2, [LOCAL.rpc, LOCAL.id], 3),
          rows(version, 1, [LOCAL.key, LOCAL.rpc, LOCAL.port, LOCAL.id]),
          rows(version, 3, [LOCAL.rpc, LOCAL.key], 2),
          rows(version, 1, [LOCAL.rpc]),
        ]),
      );
      expect(heard).toEqual(
        joined([
          rows(version, 4, [LOCAL.rpc]),
          rows(version, 2, [LOCAL.rpc, LOCAL.id], 0),
          rows(version, 1, [LOCAL.key, AS_DIRECTOR.rpc, AS_DIRECTOR.port, AS_DIRECTOR.id]),
          rows(version, 3, [AS_DIRECTOR.rpc, LOCAL.key], 2),
          rows(version, 1, [LOCAL.rpc]),
        ]),
      );
    }
  });

  test("only events of the schema are asked for", () => {
    const talk = new Talk(version, 1_000_000);
    const all = ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"];
    const asked = talk.say(ask(version, 1, OPCODES.register, stringListBytes(all)));
    expect(asked).toEqual(ask(version, 1, OPCODES.register, stringListBytes(["SCHEMA_CHANGE"])));
  });

  test("a change of the schema is answered once all nodes know of it", () => {
    const versionCell = (byte: number): Cell => ({
      name: "schema_version",
      type: UUID,
      value: new Uint8Array(16).fill(byte),
    });
    for (const size of [1, 1_000_000]) {
      const talk = new Talk(version, size);
      talk.say(query(version, 7, "CREATE TABLE ks.t (id int PRIMARY KEY)"));
      expect(talk.hear(schemaChanged(version, 7))).toEqual(new Uint8Array());
      expect(talk.hear(rows(version, 7, [versionCell(1)]))).toEqual(new Uint8Array());
      expect(talk.hear(rows(version, 7, [versionCell(2)], 2))).toEqual(new Uint8Array());
      talk.note(talk.later?.() ?? new Uint8Array());
      talk.hear(rows(version, 7, [versionCell(1)]));
      expect(talk.hear(rows(version, 7, [versionCell(1)], 2))).toEqual(schemaChanged(version, 7));
      const own = "SELECT schema_version FROM system.local WHERE key='local'";
      const others = "SELECT schema_version FROM system.peers";
      expect(talk.asked).toEqual([own, others, own, others]);
    }
  });
});

test("of compressions LZ4 and Snappy are offered, and another one that is asked for all the same is refused", () => {
  const talk = new Conversation(IDENTITY);
  const server = talk.begin();
  talk.take(ask(4, 1, OPCODES.options));
  const supported = (compression: readonly string[]): Uint8Array => {
    const parts = [stringBytes("CQL_VERSION"), stringListBytes(["3.4.7"]), stringBytes("COMPRESSION")];
    return answer(4, 1, OPCODES.supported, joined([shortBytes(2), ...parts, stringListBytes(compression)]));
  };
  expect(server.take(supported(["zstd", "lz4", "snappy"])).forward).toEqual([supported(["lz4", "snappy"])]);
  for (const [version, name] of [
    [4, "zstd"],
    [5, "snappy"],
  ] as const) {
    const { forward, reply } = talk.take(startup(version, name));
    expect(forward).toEqual([]);
    const message = stringBytes(`Compression "${name}" is not supported by the director in version ${version}`);
    expect(reply).toEqual(answer(version, 0, OPCODES.error, joined([intBytes(10), message])));
  }
});

describe("with compression", () => {
  /** A conversation after a start with it. */
  function begun(version: number, name: string): readonly [Conversation, Server] {
    const talk = new Conversation(IDENTITY);
    const server = talk.begin();
    expect(talk.take(startup(version, name)).forward).toEqual([startup(version, name)]);
    expect(server.take(answer(version, 0, OPCODES.ready)).forward).toEqual([answer(version, 0, OPCODES.ready)]);
    return [talk, server];
  }
  /** The same envelope with its body as a block of literals. */
  function compressed(whole: Uint8Array, name: string): Uint8Array {
    const body = whole.subarray(HEAD_BYTES);
    const bodyBytes =
      name === "lz4"
        ? joined([intBytes(body.length), lz4Literals(body)])
        : // Snappy: the length in three bytes of seven bits, then one element whose length has two bytes.
          joined([
            Uint8Array.of((body.length & 0x7f) | 0x80, ((body.length >> 7) & 0x7f) | 0x80, body.length >> 14),
            Uint8Array.of(61 << 2, (body.length - 1) & 0xff, (body.length - 1) >> 8),
            body,
          ]);
    const { version, stream, opcode } = readHead(whole, 0);
    return envelope({ version, flags: 1, stream, opcode }, bodyBytes, (whole[0] ?? 0) >= 0x80);
  }

  test.each(["lz4", "snappy", "LZ4"])(
    "%s of version 4, what is to be changed is, and the rest passes as it is",
    (name) => {
      const [talk, server] = begun(4, name);
      const pack = (whole: Uint8Array): Uint8Array => compressed(whole, name.toLowerCase());
      const asked = joined([
        pack(query(4, 1, "SELECT * FROM system.local WHERE key='local'")),
        query(4, 2, "SELECT * FROM system.peers"),
        pack(query(4, 3, "INSERT INTO t (a) VALUES (1)")),
      ]);
      expect(joined(talk.take(asked).forward)).toEqual(asked);
      const other = pack(rows(4, 3, [LOCAL.rpc], 500));
      const heard = joined([pack(rows(4, 1, [LOCAL.key, LOCAL.rpc])), pack(rows(4, 2, [LOCAL.rpc], 3)), other]);
      const wanted = joined([rows(4, 1, [LOCAL.key, AS_DIRECTOR.rpc]), rows(4, 2, [LOCAL.rpc], 0), other]);
      expect(joined(server.take(heard).forward)).toEqual(wanted);
      const events = pack(ask(4, 5, OPCODES.register, stringListBytes(["TOPOLOGY_CHANGE", "SCHEMA_CHANGE"])));
      const register = ask(4, 5, OPCODES.register, stringListBytes(["SCHEMA_CHANGE"]));
      expect(joined(talk.take(events).forward)).toEqual(register);
    },
  );

  test("of version 5 segments of both kinds are read in every chunking, and changed ones are made anew", () => {
    expect(Buffer.from(segmentsOf(ask(5, 1, OPCODES.options), true)).toString("hex")).toBe(LITERAL_SEGMENT);
    const asked = joined([
      hex(PYTHON_PLAIN_SEGMENT),
      hex(PYTHON_LZ4_SEGMENT),
      segmentsOf(query(5, 2, "SELECT * FROM system.local"), true),
      segmentsOf(ask(5, 3, EXECUTE, new Uint8Array(150_000)), true),
      segmentsOf(query(5, 4, "SELECT * FROM system.peers"), true),
    ]);
    const long = segmentsOf(rows(5, 3, [LOCAL.rpc], 20_000), true);
    const heard = joined([
      segmentsOf(joined([rows(5, 2, [LOCAL.rpc]), rows(5, 7, [LOCAL.rpc])]), true),
      long,
      segmentsOf(rows(5, 4, [LOCAL.rpc], 20_000), true),
    ]);
    const wanted = joined([
      segmentsOf(joined([rows(5, 2, [AS_DIRECTOR.rpc]), rows(5, 7, [LOCAL.rpc])]), true),
      long,
      segmentsOf(rows(5, 4, [LOCAL.rpc], 0), true),
    ]);
    for (const size of [3, 1000, 65_536, 1_000_000]) {
      const [talk, server] = begun(5, "lz4");
      expect(Bun.deepEquals(inPieces(talk, asked, size), asked)).toBe(true);
      expect(Bun.deepEquals(inPieces(server, heard, size), wanted)).toBe(true);
    }
  });

  test("a block that is none ends the connection, and a request that says it is too long is the node's business", () => {
    const bad = envelope({ version: 4, flags: 1, stream: 1, opcode: OPCODES.query }, hex("0000000a3061"), false);
    expect(begun(4, "lz4")[0].take(bad)).toEqual({
      forward: [],
      error: "found a compressed block that ends too early",
    });
    const long = envelope({ version: 4, flags: 1, stream: 1, opcode: OPCODES.query }, hex("ffffffff3061"), false);
    expect(begun(4, "lz4")[0].take(long).forward).toEqual([long]);
    const [talk, server] = begun(4, "lz4");
    talk.take(query(4, 1, "SELECT * FROM system.peers"));
    const answered = envelope({ version: 4, flags: 1, stream: 1, opcode: OPCODES.result }, hex("ffffffff3061"), true);
    expect(server.take(answered)).toEqual({
      forward: [],
      error: "found an answer to be held back that is longer, wanted at most 67108864 bytes",
    });
    const segment = segmentsOf(ask(5, 1, OPCODES.options), true);
    segment[8] = 0xa0;
    expect(begun(5, "lz4")[0].take(segment).error).toBe("found a compressed block that ends too early");
  });

  test("a statement is prepared elsewhere as it is without", () => {
    const statements = new Statements();
    const driver = (name: string): readonly [Conversation, Server] => {
      const talk = new Conversation(IDENTITY, statements);
      const server = talk.begin();
      talk.take(startup(4, name));
      server.take(answer(4, 0, OPCODES.ready));
      return [talk, server];
    };
    const prepare = ask(4, 1, OPCODES.prepare, joined([intBytes(8), text("SELECT 1")]));
    const id = joined([shortBytes(1), text("x")]);
    const [one, first] = driver("lz4");
    one.take(compressed(prepare, "lz4"));
    first.take(compressed(answer(4, 1, OPCODES.result, joined([intBytes(4), id])), "lz4"));
    const [other, second] = driver("snappy");
    const execute = ask(4, 9, EXECUTE, joined([id, shortBytes(1)]));
    other.take(compressed(execute, "snappy"));
    const unprepared = answer(4, 9, OPCODES.error, joined([intBytes(0x2500), stringBytes("what?"), id]));
    expect(second.take(compressed(unprepared, "snappy"))).toEqual({
      forward: [],
      reply: ask(4, 9, OPCODES.prepare, joined([intBytes(8), text("SELECT 1")])),
    });
    expect(second.take(answer(4, 9, OPCODES.result, joined([intBytes(4), id]))).reply).toEqual(execute);
  });
});

test("a keyspace that is set after the next server was told all is told it before it takes over", () => {
  const talk = new Conversation(IDENTITY);
  const server = talk.begin();
  talk.take(startup(4));
  server.take(answer(4, 0, OPCODES.ready));
  talk.take(ask(4, 1, EXECUTE, joined([shortBytes(1), text("x"), shortBytes(1)])));
  const next = talk.replayed();
  expect(next.say()).toEqual(startup(4));
  const long = ask(4, 2, EXECUTE, new Uint8Array(100_000));
  talk.take(long.subarray(0, 50_000));
  next.take(answer(4, 0, OPCODES.ready));
  expect(next.replay?.state).toBe("done");
  talk.moveTo(next);
  expect([talk.settledSince(), talk.moved()]).toEqual([new Uint8Array(), undefined]);
  const set = answer(4, 1, OPCODES.result, joined([intBytes(3), stringBytes("ks")]));
  expect(server.take(set)).toEqual({ forward: [set] });
  expect(talk.settledSince()).toEqual(query(4, 0, 'USE "ks"'));
  expect([next.replay?.state, talk.moved()]).toEqual(["more", undefined]);
  next.take(answer(4, 0, OPCODES.result, joined([intBytes(3), stringBytes("ks")])));
  talk.moveTo(next);
  talk.take(long.subarray(50_000));
  expect([talk.settledSince(), talk.moved()]).toEqual([new Uint8Array(), { first: new Uint8Array() }]);
});

test("a refused start leaves the connection as it was", () => {
  const talk = new Conversation(IDENTITY);
  const server = talk.begin();
  talk.take(ask(5, 1, OPCODES.startup, shortBytes(0)));
  const error = answer(5, 1, OPCODES.error, intBytes(10));
  expect(server.take(error).forward).toEqual([error]);
  const options = ask(5, 2, OPCODES.options);
  expect(talk.take(options).forward).toEqual([options]);
});

test("an envelope of four gigabytes ends the connection", () => {
  const huge = Buffer.from("0400000107ffffffff", "hex");
  expect(new Conversation(IDENTITY).take(huge)).toEqual({
    forward: [],
    error: "found an envelope of 4294967295 bytes, wanted at most 268435456",
  });
});

test("addresses have four or sixteen bytes", () => {
  expect(addressBytes("10.1.2.255")).toEqual(Uint8Array.of(10, 1, 2, 255));
  expect(addressBytes("::ffff:10.1.2.3")).toEqual(Uint8Array.of(10, 1, 2, 3));
  expect(Buffer.from(addressBytes("fe80::1:2%eth0")).toString("hex")).toBe("fe800000000000000000000000010002");
  expect(() => addressBytes("host")).toThrow('Cannot use "host" as an address: wanted an IP address');
});
