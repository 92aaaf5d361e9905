// The executor's own HTTP API, on the node's port "api": what only reads. Everything that changes a node is a Mesos task.
import { timingSafeEqual } from "node:crypto";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Answer, Read } from "../../databases/database.ts";
import type { NodeTask } from "../../databases/node.ts";
import type { Json } from "../../std/json.ts";

const LINES_DEFAULT = 200;
const LINES_MAX = 5_000;
const TAIL_MAX_BYTES = 1024 * 1024;

export type ApiSource = {
  readonly node: NodeTask;
  readonly sandbox: string;
  readonly address: string;
  readonly status: () => { readonly healthy: boolean } & Readonly<Record<string, Json>>;
  readonly reads: Readonly<Record<string, Read>>;
  readonly ask: (read: Read) => Promise<Answer>;
};

export type Api = { readonly url: string; readonly stop: () => Promise<void> };

/** Serves until `stop`. Throws when the port is taken. */
export function serveApi(source: ApiSource): Api {
  const server = Bun.serve({
    hostname: source.address,
    port: source.node.ports["api"] ?? 0,
    development: false,
    maxRequestBodySize: 64 * 1024,
    idleTimeout: 30,
    fetch: (request) => answer(source, request),
    error: () => problem(500, "The request failed"),
  });
  return { url: server.url.href, stop: () => server.stop(true) };
}

async function answer(source: ApiSource, request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (!isAllowed(request.headers.get("authorization"), source.node.token))
    return problem(401, "Authorization: Bearer with the framework's token is wanted", { "www-authenticate": "Bearer" });
  if (request.method !== "GET") return problem(405, `Found ${request.method}, wanted GET`, { allow: "GET" });
  const [first, second, third, ...more] = url.pathname.slice(1).split("/");
  if (first === "health" && second === undefined) {
    const status = source.status();
    return Response.json(status, { status: status.healthy ? 200 : 503 });
  }
  if (first === "v1" && more.length === 0) {
    if (second === "status" && third === undefined) return Response.json(source.status());
    if (second === "read" && third !== undefined) return answerRead(source, third);
    if (second === "logs" && third === undefined) return Response.json({ logs: await logFiles(source.sandbox) });
    if (second === "logs" && third !== undefined)
      return answerLog(source.sandbox, third, url.searchParams.get("lines"));
  }
  return problem(
    404,
    `Found no "${url.pathname}", wanted /health, /v1/status, /v1/read/NAME, /v1/logs or /v1/logs/NAME`,
  );
}

/** Compared in constant time, so that no one learns the token letter by letter. */
function isAllowed(header: string | null, token: string): boolean {
  const hash = (text: string): Uint8Array => new Bun.CryptoHasher("sha256").update(text).digest();
  return timingSafeEqual(hash(header ?? ""), hash(`Bearer ${token}`));
}

function problem(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Response {
  const body = JSON.stringify({ type: "about:blank", status, title: detail });
  return new Response(body, { status, headers: { "content-type": "application/problem+json", ...headers } });
}

async function answerRead(source: ApiSource, name: string): Promise<Response> {
  const read = Object.hasOwn(source.reads, name) ? source.reads[name] : undefined;
  if (read === undefined)
    return problem(404, `Found no read "${name}", wanted one of ${Object.keys(source.reads).join(", ")}`);
  const said = await source.ask(read);
  if ("error" in said) return problem(503, `The database did not answer: ${said.error}`);
  return Response.json(read.shape(said.text));
}

/** The sandbox' own two and what lies in its logs folder. */
async function logFiles(sandbox: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
  const names = [...["stdout", "stderr"], ...(await readdir(join(sandbox, "logs")).catch(() => []))];
  const files: { name: string; bytes: number }[] = [];
  for (const name of names.sort()) {
    const found = await stat(logPath(sandbox, name)).catch(() => undefined);
    if (found?.isFile() === true) files.push({ name, bytes: found.size });
  }
  return files;
}

function logPath(sandbox: string, name: string): string {
  return name === "stdout" || name === "stderr" ? join(sandbox, name) : join(sandbox, "logs", name);
}

async function answerLog(sandbox: string, name: string, asked: string | null): Promise<Response> {
  const lines = asked === null ? LINES_DEFAULT : Number(asked);
  if (!Number.isInteger(lines) || lines < 1 || lines > LINES_MAX)
    return problem(400, `Found lines "${asked}", wanted a whole number from 1 to ${LINES_MAX}`);
  const log = (await logFiles(sandbox)).find((one) => one.name === name);
  if (log === undefined) return problem(404, `Found no log "${name}", wanted one of /v1/logs`);
  const file = await open(logPath(sandbox, name), "r");
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - TAIL_MAX_BYTES);
    const buffer = new Uint8Array(size - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    const text = new TextDecoder().decode(buffer.subarray(0, bytesRead));
    const last = text.replace(/\n$/, "").split("\n").slice(-lines).join("\n");
    return new Response(`${last}\n`, { headers: { "content-type": "text/plain; charset=utf-8" } });
  } finally {
    await file.close();
  }
}
