// Exchanges with an EPMD, step by step: what is sent over which connection, and what then has come back. record.ts writes down
// what Debian's epmd answers; test/real/cepmd.test.ts plays the same steps against ours.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket } from "bun";

/** All bytes are written as characters from U+0000 to U+00FF. */
export type Step = {
  /** Name of the connection; its first step opens it. */
  readonly on: string;
  /** Sent one after the other, each when epmd has had the time to read the one before. */
  readonly send: readonly string[];
  /** Ends our side afterwards. */
  readonly end?: boolean;
};

export type Exchange = {
  readonly name: string;
  /** epmd runs with -relaxed_command_check. */
  readonly relaxed: boolean;
  readonly steps: readonly Step[];
};

/** What came back in a step: port of the EPMD, creations and descriptors are masked. */
export type Answer = { readonly received: string; readonly state: "open" | "closed" };

export type Recorded = Exchange & { readonly answers: readonly Answer[] };

const FILE = join(import.meta.dir, "exchange.json");
export const RECORDING = FILE;

export function readRecording(): readonly Recorded[] {
  return JSON.parse(readFileSync(FILE, "utf8")) as readonly Recorded[];
}

/** Plays an exchange against the EPMD on a loopback port. */
export async function play(exchange: Exchange, port: number): Promise<readonly Answer[]> {
  const connections = new Map<string, Connection>();
  const answers: Answer[] = [];
  try {
    for (const { on, send, end } of exchange.steps) {
      const connection = connections.get(on) ?? (await Connection.open(port));
      connections.set(on, connection);
      const before = connection.received.length;
      for (const text of send) {
        connection.socket.write(Buffer.from(text, "latin1"));
        await settled(port);
      }
      if (end === true) {
        connection.socket.end();
        await settled(port);
      }
      const received = plain(connection.received.slice(before), send.join("").slice(2, 3));
      answers.push({ received, state: connection.closed ? "closed" : "open" });
    }
    return answers;
  } finally {
    for (const { socket } of connections.values()) socket.terminate();
  }
}

class Connection {
  received = "";
  closed = false;
  readonly socket: Socket;
  readonly ended = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  static async open(port: number): Promise<Connection> {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, bytes) => {
          connection.received += bytes.toString("latin1");
        },
        close: () => connection.close(),
        error: () => connection.close(),
      },
    });
    const connection = new Connection(socket);
    return connection;
  }

  close(): void {
    this.closed = true;
    this.ended.resolve();
  }
}

/**
 * Waits until an EPMD has seen everything sent before: it looks at its connections in turn, so when it has answered two new
 * ones, one after the other, it has been at all others in between. One that has ended has seen everything too.
 */
async function settled(port: number): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    const probe = await Connection.open(port).catch(() => undefined);
    if (probe === undefined) break;
    probe.socket.write(Buffer.from("\0\u0001n", "latin1"));
    await probe.ended.promise;
  }
  // What it answered is on its way through our own event loop.
  await Bun.sleep(1);
}

function plain(received: string, tag: string): string {
  if (tag === "n" || tag === "d") return received.replace(/^[^]{4}/, "PORT").replace(/fd = \d+/g, "fd = N");
  return received.replace(
    /^([vy]\0)([^]*)$/,
    (_, head: string, creation: string) => head + "#".repeat(creation.length),
  );
}
