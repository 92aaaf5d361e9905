// `bun test/real/soak-server.ts`: a backend for thousands of connections, in a process of its own since each has only so many
// descriptors. Prints its ports. A PB ping gets its answer, a get a megabyte; CQL requests get READY, SUPPORTED, or a result.
import type { Socket } from "bun";

type Peer = { held: Buffer; rest: Buffer | undefined };
type Answer = { readonly length: number; readonly bytes: Buffer };

const MEGABYTE = 1024 * 1024;
/** An object, and a result, of a megabyte. */
const OBJECT = Buffer.alloc(MEGABYTE);
OBJECT.writeUInt32BE(MEGABYTE - 4);
OBJECT[4] = 10;
const RESULT = Buffer.alloc(MEGABYTE);
RESULT.set([0x84, 0, 0, 1, 8]);
RESULT.writeUInt32BE(MEGABYTE - 9, 5);
const PONG = Buffer.from([0, 0, 0, 1, 2]);
/** READY for STARTUP, SUPPORTED with nothing for OPTIONS, a void result for all else: opcode, length, body. */
const ANSWERS = new Map([
  [1, [2, 0, 0, 0, 0]],
  [5, [6, 0, 0, 0, 2, 0, 0]],
]);
const VOID = [8, 0, 0, 0, 4, 0, 0, 0, 1];

/** Listens; `answer` gives what is answered to the message at `at`, and its length; undefined: it is not complete. */
function listen(answer: (bytes: Buffer, at: number) => Answer | undefined): number {
  const work = (socket: Socket<Peer>): void => {
    const { data } = socket;
    if (data.rest !== undefined) {
      const written = Math.max(0, socket.write(data.rest));
      data.rest = written < data.rest.length ? data.rest.subarray(written) : undefined;
    }
    let at = 0;
    while (data.rest === undefined) {
      const next = answer(data.held, at);
      if (next === undefined) break;
      at += next.length;
      const written = Math.max(0, socket.write(next.bytes));
      if (written < next.bytes.length) data.rest = next.bytes.subarray(written);
    }
    data.held = Buffer.from(data.held.subarray(at));
    if (data.rest === undefined) socket.resume();
    else socket.pause();
  };
  return Bun.listen<Peer>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { held: Buffer.alloc(0), rest: undefined };
      },
      data: (socket, chunk) => {
        socket.data.held = Buffer.concat([socket.data.held, chunk]);
        work(socket);
      },
      drain: work,
      error: (socket) => {
        socket.terminate();
      },
    },
  }).port;
}

const pb = listen((bytes, at) => {
  if (bytes.length - at < 5) return undefined;
  const length = 4 + bytes.readUInt32BE(at);
  if (bytes.length - at < length) return undefined;
  return { length, bytes: bytes[at + 4] === 9 ? OBJECT : PONG };
});
const cql = listen((bytes, at) => {
  if (bytes.length - at < 9) return undefined;
  const length = 9 + bytes.readUInt32BE(at + 5);
  if (bytes.length - at < length) return undefined;
  // A query that begins with "B" is for something big.
  if (bytes[at + 13] === 66 && bytes[at + 4] === 7) return { length, bytes: RESULT };
  const head = [0x84, 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
  return { length, bytes: Buffer.from([...head, ...(ANSWERS.get(bytes[at + 4] ?? 0) ?? VOID)]) };
});
console.log(JSON.stringify({ pb, cql }));
