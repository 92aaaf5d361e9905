// Asks the scheduler's API. Whatever is no good answer becomes a Failure.
import type { z, ZodType } from "zod";
import type { NodeReadSchema } from "../../databases/api.ts";
import { Failure } from "../failure.ts";

const TIMEOUT_MS = 60_000;
/** From a scheduler that stands by to the leader, and on when that has changed meanwhile. */
const MAX_REDIRECTS = 3;

export type Ask = {
  /** The scheduler's base URL, without a slash at its end. */
  readonly url: string;
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** From `/api` on, encoded. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as plain text instead. */
  readonly text?: string;
  /** How long the answer may take, if less than a minute. */
  readonly timeoutMs?: number;
  /** Whom the URL names, if not the scheduler. */
  readonly server?: Server;
};

/** A server as errors tell of it: what it is, and what says where it is. */
export type Server = { readonly name: string; readonly hint: string };

const SCHEDULER: Server = { name: "the scheduler", hint: "--url or RINGMASTER_URL" };

type NodeRead = z.infer<typeof NodeReadSchema>;

/** A good answer: the API's own JSON, as text and read. `what` names the request in errors. */
export type Answer = { readonly what: string; readonly text: string; readonly json: unknown };

/**
 * Asks, and returns a good answer (2xx). Throws a Failure "unreachable" if there is no answer at all, and "refused", with the
 * problem's faults, for every other status.
 */
export async function ask(request: Ask): Promise<Answer> {
  const text = await askText(request);
  const what = whatOf(request);
  const json = jsonOf(text);
  if (json === undefined) throw noAnswerOfOurs(what, `"${text.slice(0, 80)}"`, "JSON");
  return { what, text: text.trimEnd(), json };
}

/** The same for what need not be JSON: the good answer's text. */
export async function askText(request: Ask): Promise<string> {
  const { url, method, path, body, text: plain, timeoutMs = TIMEOUT_MS, server = SCHEDULER } = request;
  const type = plain === undefined ? "application/json" : "text/plain";
  const sent = plain ?? (body === undefined ? undefined : JSON.stringify(body));
  let status: number;
  let text: string;
  let at = `${url}${path}`;
  try {
    const init: RequestInit = {
      method,
      headers: { accept: "application/json, text/plain", ...(sent === undefined ? {} : { "content-type": type }) },
      ...(sent === undefined ? {} : { body: sent }),
      redirect: "manual",
      signal: AbortSignal.timeout(Math.min(TIMEOUT_MS, timeoutMs)),
    };
    let response = await fetch(at, init);
    // A scheduler that stands by sends what it cannot answer to the one that leads.
    for (let hops = 0; response.status === 307 && hops < MAX_REDIRECTS; hops++) {
      at = new URL(response.headers.get("location") ?? "", at).href;
      response = await fetch(at, init);
    }
    status = response.status;
    text = await response.text();
  } catch (error) {
    const sentTo = at.startsWith(url) ? url : new URL(at).origin;
    const wanted = server === SCHEDULER ? 'a "ringmaster scheduler"' : "it";
    const message = `Cannot reach ${server.name} at "${sentTo}": found ${whyText(error)}, wanted ${wanted} there (${server.hint} says where)`;
    throw new Failure("unreachable", message);
  }
  if (status >= 200 && status < 300) return text;
  throw server === SCHEDULER
    ? await refusal(whatOf(request), status, text)
    : othersRefusal(request, server, status, text);
}

function whatOf({ method, path }: Ask): string {
  return `${method} ${path}`;
}

/** A good answer in its shape; what the shape does not name is left out. */
export function readAnswer<View>(schema: ZodType<View>, { what, json }: Answer): View {
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw noAnswerOfOurs(
    what,
    issue?.message ?? "another shape",
    `the shape of /openapi.json at "${issue?.path.join(".") ?? ""}"`,
  );
}

/**
 * What a node answered. Throws a Failure with the status of a node that cannot be asked if it could not, which it says in an
 * object with nothing but an `error`. `text` is the API's own answer.
 */
export function readNodeAnswer({ node, read, status, answer }: NodeRead, text: string): unknown {
  const error = typeof answer === "object" && answer !== null && "error" in answer ? answer.error : undefined;
  const good = status >= 200 && status < 300;
  if (good && typeof error !== "string") return answer;
  const found = good ? String(error) : `status ${status} ${JSON.stringify(answer)}`;
  const message = `Cannot read "${read}" of node "${node}": found ${found}, wanted an answer of its database`;
  throw new Failure("refused", message, { answer: text, status: 502 });
}

async function refusal(what: string, status: number, text: string): Promise<Failure> {
  const { ProblemSchema } = await import("../../databases/api.ts");
  const problem = ProblemSchema.safeParse(jsonOf(text));
  if (!problem.success)
    return noAnswerOfOurs(
      what,
      `status ${status} and "${text.slice(0, 80)}"`,
      "an answer of a Ringmaster scheduler",
      status,
    );
  const { title, detail, faults } = problem.data;
  return new Failure("refused", detail === "" ? title : detail, { faults, answer: text, status });
}

/** Marathon and directors say why in a field of their own. */
function othersRefusal(request: Ask, { name }: Server, status: number, text: string): Failure {
  const said = (jsonOf(text) ?? {}) as { readonly error?: unknown; readonly message?: unknown };
  const why = [said.error, said.message].find((one) => typeof one === "string") ?? text.slice(0, 200);
  const message = `Cannot ${whatOf(request)}: ${name} refused it with status ${status}: ${String(why)}`;
  return new Failure("refused", message, { answer: text, status });
}

function noAnswerOfOurs(what: string, found: string, wanted: string, status?: number): Failure {
  const message = `Cannot understand the answer to ${what}: found ${found}, wanted ${wanted}`;
  return new Failure("refused", message, status === undefined ? {} : { status });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function whyText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  switch ((error as { code?: unknown }).code) {
    case "ECONNREFUSED":
      return "the connection refused";
    case "ENOTFOUND":
      return "no host of that name";
    default:
      return error.message;
  }
}
