// Puts a Question to the database.
import type { Answer, Question } from "../../databases/database.ts";
import { cleanEnvironment } from "./process.ts";

/** More text than this in one answer is an error. */
const ANSWER_MAX_BYTES = 8 * 1024 * 1024;

/** Never rejects: what went wrong is the answer's `error`. `stop` ends the question before its `timeoutMs`. */
export async function ask(question: Question, stop?: AbortSignal): Promise<Answer> {
  const limit = AbortSignal.timeout(question.timeoutMs);
  const signal = stop === undefined ? limit : AbortSignal.any([stop, limit]);
  try {
    return await put(question, signal);
  } catch (error) {
    if (limit.aborted) return { error: `no answer within ${question.timeoutMs} ms` };
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function put(question: Question, signal: AbortSignal): Promise<Answer> {
  switch (question.type) {
    case "http":
      return askHttp(question, signal);
    case "command":
      return askCommand(question, signal);
    case "tcp":
      return askTcp(question, signal);
  }
}

async function askHttp(question: Extract<Question, { type: "http" }>, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(question.url, {
    method: question.method,
    headers: { ...question.headers },
    ...(question.body === undefined ? {} : { body: question.body }),
    redirect: "error",
    signal,
    // Without it Bun gives up after five minutes; a cleanup may take hours.
    timeout: false,
  });
  return { status: response.status, text: await boundedText(response.body) };
}

async function boundedText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_MAX_BYTES) throw new Error(`an answer of more than ${ANSWER_MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The shell makes one stream of the two outputs, so that the lines keep their order. */
async function askCommand(question: Extract<Question, { type: "command" }>, signal: AbortSignal): Promise<Answer> {
  const { argv, env, cwd } = question.command;
  const child = Bun.spawn(["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", ...argv], {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    // A group of its own: a script's children end with it, and do not hold its output open.
    detached: true,
  });
  const end = (): void => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(new Error("the question was given up"));
  signal.addEventListener("abort", stop);
  try {
    if (signal.aborted) stop();
    const answered = boundedText(child.stdout).then(async (text) => ({ text, code: await child.exited }));
    const { text, code } = await Promise.race([answered, stopped.promise]);
    return child.signalCode === null ? { status: code, text } : { error: `the command ended by ${child.signalCode}` };
  } finally {
    signal.removeEventListener("abort", stop);
    end();
  }
}

async function askTcp(question: Extract<Question, { type: "tcp" }>, signal: AbortSignal): Promise<Answer> {
  const { host, port, sendHex, bytes } = question;
  const answered = Promise.withResolvers<Answer>();
  const fail = (error: Error): void => answered.reject(error);
  const stop = (): void => fail(new Error("the question was given up"));
  signal.addEventListener("abort", stop);
  let taken = Buffer.alloc(0);
  const finish = (): void => answered.resolve({ status: 0, text: taken.subarray(0, bytes).toString("hex") });
  const connecting = Bun.connect({
    hostname: host,
    port,
    socket: {
      open: (socket) => {
        socket.write(Buffer.from(sendHex, "hex"));
        if (bytes === 0) finish();
      },
      data: (_socket, chunk) => {
        taken = Buffer.concat([taken, chunk]);
        if (taken.length >= bytes) finish();
      },
      close: () => fail(new Error(`the connection ended after ${taken.length} of ${bytes} bytes`)),
      error: (_socket, error) => fail(error),
      connectError: (_socket, error) => fail(error),
    },
  });
  connecting.catch(fail);
  try {
    if (signal.aborted) stop();
    return await answered.promise;
  } finally {
    signal.removeEventListener("abort", stop);
    void connecting.then(
      (socket) => socket.terminate(),
      () => undefined,
    );
  }
}
