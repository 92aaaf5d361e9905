// For tests of CQL connections on real sockets: drivers, nodes that speak as Cassandra does, and a listener between them.
import { connect, createServer, type Socket } from "node:net";
import { BodyReader, intBytes, shortBytes, stringBytes } from "../cql/body.ts";
import type { Compression } from "../cql/compression.ts";
import { Direction } from "../cql/direction.ts";
import { envelope, HEAD_BYTES, type Head, joined, NOTHING, OPCODES } from "../cql/envelopes.ts";
import type { Settings, Target } from "../state.ts";
import { Conversations } from "./conversations.ts";
import type { Proxy } from "./proxy.ts";
import { listenFor, targetAt } from "./trial.ts";

const AUTHENTICATOR = "org.apache.cassandra.auth.PasswordAuthenticator";
export const PASSWORD = "\0cassandra\0secret";
const UNPREPARED = 0x2500;
const closing: (() => Promise<void>)[] = [];

/** Ends all that was made here. */
export async function endAll(): Promise<void> {
  for (const close of closing.splice(0).toReversed()) await close();
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const shortly = (bytes: Uint8Array): Uint8Array => joined([shortBytes(bytes.length), bytes]);
const longly = (bytes: Uint8Array): Uint8Array => joined([intBytes(bytes.length), bytes]);

/** One end of a CQL connection: reads whole envelopes, and writes some. */
class End {
  readonly #socket: Socket;
  readonly #direction: Direction;
  readonly version: number;
  closed = false;

  constructor(socket: Socket, version: number, hear: (head: Head, body: Uint8Array) => void) {
    this.#socket = socket;
    this.version = version;
    this.#direction = new Direction({
      begins: () => true,
      rewrite: (head, whole) => {
        hear(head, whole.slice(HEAD_BYTES));
        return NOTHING;
      },
    });
    socket.on("data", (chunk: Buffer) => this.#direction.take(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Segments from now on, where the version has them. */
  frame(compression: Compression | undefined): void {
    if (this.version >= 5) this.#direction.frame(compression);
  }

  say(stream: number, opcode: number, body: Uint8Array, answer: boolean): void {
    this.#socket.write(
      this.#direction.wrapped(envelope({ version: this.version, flags: 0, stream, opcode }, body, answer)),
    );
  }
}

export type Node = {
  readonly target: Target;
  /** What it was told and asked, one text each. */
  readonly heard: string[];
  readonly sockets: Set<Socket>;
  readonly prepared: Set<string>;
  /** Answers what it was slow with. */
  readonly release: () => void;
  readonly stop: () => Promise<void>;
};
type NodeOptions = { readonly password?: boolean; readonly challenges?: boolean; readonly hangs?: boolean };

/** A node that answers a query with the query itself; "SLOW" ones when it is told to, "BIG n" with so many bytes. */
export async function node(version: number, options: NodeOptions = {}): Promise<Node> {
  const sockets = new Set<Socket>();
  const heard: string[] = [];
  const prepared = new Set<string>();
  const slow: (() => void)[] = [];
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const end: End = new End(socket, version, (head, body) => answer(end, head, body));
  });
  const answer = (end: End, { stream, opcode }: Head, bytes: Uint8Array): void => {
    const say = (code: number, body: Uint8Array = NOTHING): void => end.say(stream, code, body, true);
    const body = new BodyReader(bytes);
    switch (opcode) {
      case OPCODES.startup:
        heard.push("STARTUP");
        if (options.password === true) say(OPCODES.authenticate, stringBytes(AUTHENTICATOR));
        else say(OPCODES.ready);
        // An option beside the version is the compression.
        end.frame(body.short() > 1 ? "lz4" : undefined);
        return;
      case OPCODES.options:
        if (options.hangs === true) return;
        say(OPCODES.supported, shortBytes(0));
        return;
      case OPCODES.authResponse:
        heard.push(`LOGIN ${textOf(bytes.subarray(4))}`);
        if (options.challenges === true && heard.at(-2) === "STARTUP") say(OPCODES.authChallenge, longly(bytesOf("?")));
        else say(OPCODES.authSuccess, longly(NOTHING));
        return;
      case OPCODES.register:
        heard.push(`REGISTER ${body.stringList().join(" ")}`);
        say(OPCODES.ready);
        return;
      case OPCODES.prepare: {
        const query = body.longString(1000);
        heard.push(`PREPARE ${query}`);
        prepared.add(query);
        say(OPCODES.result, joined([intBytes(4), shortly(bytesOf(query))]));
        return;
      }
      case OPCODES.execute: {
        const id = body.string();
        heard.push(`EXECUTE ${id}`);
        const result = joined([intBytes(1), bytesOf(id)]);
        const unknown = joined([intBytes(UNPREPARED), stringBytes("unprepared"), shortly(bytesOf(id))]);
        if (!prepared.has(id)) say(OPCODES.error, unknown);
        else if (id.includes("SLOW")) slow.push(() => say(OPCODES.result, keyspaceSet(id) ?? result));
        else say(OPCODES.result, keyspaceSet(id) ?? result);
        return;
      }
      case OPCODES.batch:
        heard.push("BATCH");
        say(OPCODES.result, intBytes(1));
        return;
      default: {
        const query = body.longString(100_000_000);
        heard.push(query.slice(0, 100).trimEnd());
        const big = Number(/BIG (\d+)/.exec(query)?.[1] ?? 0);
        const set = keyspaceSet(query);
        if (set !== undefined) say(OPCODES.result, set);
        else if (query.includes("SLOW") || options.hangs === true)
          slow.push(() => say(OPCODES.result, joined([intBytes(1), bytesOf(query)])));
        else say(OPCODES.result, joined([intBytes(1), bytesOf(query.trimEnd()), new Uint8Array(big)]));
      }
    }
  };
  const ready = Promise.withResolvers<void>();
  listener.listen(0, "127.0.0.1", ready.resolve);
  await ready.promise;
  const release = (): void => {
    for (const late of slow.splice(0)) late();
  };
  const stop = async (): Promise<void> => {
    const closed = Promise.withResolvers<void>();
    listener.close(() => closed.resolve());
    for (const socket of sockets) socket.destroy();
    await closed.promise;
  };
  closing.push(stop);
  const { port } = listener.address() as { readonly port: number };
  return { target: targetAt(port), heard, sockets, prepared, stop, release };
}

/** What is answered to a USE, whatever stands before it. */
function keyspaceSet(query: string): Uint8Array | undefined {
  const keyspace = /USE (?:SLOW )?"?(\w+)"?$/.exec(query)?.[1];
  return keyspace === undefined ? undefined : joined([intBytes(3), stringBytes(keyspace)]);
}

type Said = { readonly opcode: number; readonly text: string };

/** A driver's connection. */
export class Driver {
  readonly #end: End;
  readonly #compression: Compression | undefined;
  readonly #waiting = new Map<number, (said: Said) => void>();
  #streams = 0;

  constructor(proxy: Proxy, version: number, compression?: Compression) {
    this.#compression = compression;
    const socket = connect({ host: "127.0.0.1", port: proxy.port });
    closing.push(async () => {
      await Promise.resolve(socket.destroy());
    });
    this.#end = new End(socket, version, ({ stream, opcode }, body) => {
      const answer = this.#waiting.get(stream);
      this.#waiting.delete(stream);
      answer?.({ opcode, text: textOf(body.subarray(opcode === OPCODES.result || opcode === OPCODES.error ? 4 : 0)) });
    });
  }

  get closed(): boolean {
    return this.#end.closed;
  }

  async ask(opcode: number, body: Uint8Array): Promise<Said> {
    this.#streams = (this.#streams % 1000) + 1;
    const answer = Promise.withResolvers<Said>();
    this.#waiting.set(this.#streams, answer.resolve);
    this.#end.say(this.#streams, opcode, body, false);
    return await answer.promise;
  }

  async start(...logins: readonly string[]): Promise<void> {
    const options = [stringBytes("CQL_VERSION"), stringBytes("3.0.0")];
    if (this.#compression !== undefined) options.push(stringBytes("COMPRESSION"), stringBytes(this.#compression));
    await this.ask(OPCODES.startup, joined([shortBytes(options.length / 2), ...options]));
    this.#end.frame(this.#compression);
    for (const login of logins) await this.ask(OPCODES.authResponse, longly(bytesOf(login)));
  }

  /** `options`: what follows the consistency; none without it. */
  async query(cql: string, options?: Uint8Array): Promise<string> {
    const flags = options ?? (this.#end.version >= 5 ? intBytes(0) : Uint8Array.of(0));
    const { opcode, text } = await this.ask(OPCODES.query, joined([longly(bytesOf(cql)), shortBytes(1), flags]));
    return opcode === OPCODES.error ? `error: ${text.slice(2)}` : text;
  }

  async prepare(cql: string): Promise<void> {
    const flags = this.#end.version >= 5 ? intBytes(0) : NOTHING;
    await this.ask(OPCODES.prepare, joined([longly(bytesOf(cql)), flags]));
  }

  async execute(id: string): Promise<string> {
    const { opcode, text } = await this.ask(
      OPCODES.execute,
      joined([shortly(bytesOf(id)), shortBytes(1), Uint8Array.of(0)]),
    );
    return opcode === OPCODES.error ? `error: ${text.slice(2)}` : text;
  }
}

export function listen(
  targets: readonly Target[],
  settings: Partial<Settings> = {},
  probeTimeoutMs = 1000,
  clientsMax = 100,
): Proxy {
  const options = { clientsMax, probeTimeoutMs };
  const proxy = listenFor("cql", (desk) => new Conversations(desk), targets, settings, options);
  closing.push(() => proxy.stop(AbortSignal.abort()));
  return proxy;
}

/** How many connections the backends have, fewest first. */
export const connections = (proxy: Proxy): readonly number[] =>
  proxy.state.backends.map((backend) => backend.connections).toSorted((a, b) => a - b);
export const draining = (target: Target): Target => ({ ...target, draining: true });
export const LOST =
  "error: The node ended the connection before it answered; whether it did what was asked is not known";
