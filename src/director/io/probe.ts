// Asks one backend whether it serves.
import { probeBytes, probeVerdict } from "../words.ts";
import type { Protocol, Target } from "../state.ts";

/** More of an answer is not looked at. */
const ANSWER_MAX_BYTES = 4096;

/** Resolves with what is wrong, undefined when all is well; never rejects. */
export async function probe(protocol: Protocol, target: Target, timeoutMs: number): Promise<string | undefined> {
  const verdict = Promise.withResolvers<string | undefined>();
  const timer = setTimeout(() => verdict.resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
  let answer = Buffer.alloc(0);
  const connecting = Bun.connect({
    hostname: target.host,
    port: target.port,
    socket: {
      open: (socket) => {
        socket.write(probeBytes(protocol, target.address));
      },
      data: (_socket, bytes) => {
        answer = Buffer.concat([answer, bytes]);
        const said = probeVerdict(protocol, answer);
        if (said.type === "good") verdict.resolve(undefined);
        else if (said.type === "bad") verdict.resolve(said.error);
        else if (answer.length > ANSWER_MAX_BYTES) verdict.resolve("an answer without an end");
      },
      close: () => verdict.resolve("it closed the connection"),
      error: (_socket, error) => verdict.resolve(error.message),
      connectError: (_socket, error) => verdict.resolve(connectFailure(error)),
    },
  });
  // Whoever is late is let go.
  connecting.then(
    (socket) => verdict.promise.then(() => socket.terminate()),
    (error: unknown) => verdict.resolve(String(error)),
  );
  const error = await verdict.promise;
  clearTimeout(timer);
  return error;
}

/** The error of a failed connection in few words, e.g. "ECONNREFUSED". */
export function connectFailure(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
