// Asks the scheduler's API. Whatever is no good answer becomes a Failure.
import type { ZodType } from "zod";
import { Failure } from "../failure.ts";

const TIMEOUT_MS = 60_000;

export type Ask = {
  /** The scheduler's base URL, without a slash at its end. */
  readonly url: string;
  readonly method: "GET" | "POST" | "DELETE";
  /** From `/api` on, encoded. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** How long the answer may take, if less than a minute. */
  readonly timeoutMs?: number;
};

/** A good answer: the API's own JSON, as text and read. `what` names the request in errors. */
export type Answer = { readonly what: string; readonly text: string; readonly json: unknown };

/**
 * Asks, and returns a good answer (2xx). Throws a Failure "unreachable" if there is no answer at all, and "refused", with the
 * problem's faults, for every other status.
 */
export async function ask({ url, method, path, body, timeoutMs = TIMEOUT_MS }: Ask): Promise<Answer> {
  const what = `${method} ${path}`;
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(Math.min(TIMEOUT_MS, timeoutMs)),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    const message = `Cannot reach the scheduler at "${url}": found ${whyText(error)}, wanted a "ringmaster scheduler" there (--url or RINGMASTER_URL says where)`;
    throw new Failure("unreachable", message);
  }
  if (status < 200 || status >= 300) throw await refusal(what, status, text);
  const json = jsonOf(text);
  if (json === undefined) throw noAnswerOfOurs(what, `"${text.slice(0, 80)}"`, "JSON");
  return { what, text: text.trimEnd(), json };
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
