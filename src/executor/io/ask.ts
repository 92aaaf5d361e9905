// Puts a Question to the database.
import type { Answer, Question } from "../../databases/database.ts";

/** More text than this in one answer is an error. */
const ANSWER_MAX_BYTES = 8 * 1024 * 1024;

/** Never rejects: what went wrong is the answer's `error`. `timeoutMs` may only make the question's own shorter. */
export async function ask(question: Question, timeoutMs = Infinity): Promise<Answer> {
  const limitMs = Math.max(1, Math.min(question.timeoutMs, timeoutMs));
  try {
    return question.type === "http" ? await askHttp(question, limitMs) : await askCommand(question, limitMs);
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError") return { error: `no answer within ${limitMs} ms` };
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

async function askHttp(question: Extract<Question, { type: "http" }>, limitMs: number): Promise<Answer> {
  const response = await fetch(question.url, {
    method: question.method,
    headers: { ...question.headers },
    ...(question.body === undefined ? {} : { body: question.body }),
    redirect: "error",
    signal: AbortSignal.timeout(limitMs),
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

async function askCommand(question: Extract<Question, { type: "command" }>, limitMs: number): Promise<Answer> {
  const { argv, env, cwd } = question.command;
  const child = Bun.spawn([...argv], {
    cwd,
    env: { ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    timeout: limitMs,
  });
  const text = await boundedText(child.stdout);
  const code = await child.exited;
  return child.signalCode === null ? { status: code, text } : { error: `no answer within ${limitMs} ms` };
}
