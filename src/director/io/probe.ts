// Asks one backend whether it serves.
import type { Socket } from "bun";
import { probeBytes, probeVerdict } from "../words.ts";
import type { Protocol, Target } from "../state.ts";
import { type BackendTls, dial } from "./sockets.ts";

/** More of an answer is not looked at. */
const ANSWER_MAX_BYTES = 4096;

/** Resolves with what is wrong, undefined when all is well; never rejects. */
export async function probe(
  protocol: Protocol,
  target: Target,
  timeoutMs: number,
  tls: BackendTls | undefined,
): Promise<string | undefined> {
  const verdict = Promise.withResolvers<string | undefined>();
  const timer = setTimeout(() => verdict.resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
  let answer = Buffer.alloc(0);
  let connection: Socket | undefined;
  let over = false;
  const handlers = {
    data: (_socket: Socket, bytes: Uint8Array) => {
      answer = Buffer.concat([answer, bytes]);
      const said = probeVerdict(protocol, answer);
      if (said.type === "good") verdict.resolve(undefined);
      else if (said.type === "bad") verdict.resolve(said.error);
      else if (answer.length > ANSWER_MAX_BYTES) verdict.resolve("an answer without an end");
    },
    end: () => verdict.resolve("it closed the connection"),
    close: () => verdict.resolve("it closed the connection"),
    error: (_socket: Socket, error: Error) => verdict.resolve(error.message),
  };
  const connected = (socket: Socket): void => {
    connection = socket;
    // Whoever is late is let go.
    if (over) socket.terminate();
    else socket.write(probeBytes(protocol, target.address));
  };
  dial(target, undefined, handlers, tls, connected, verdict.resolve);
  const error = await verdict.promise;
  over = true;
  clearTimeout(timer);
  connection?.terminate();
  return error;
}
