// What all routes of the API share: finding things, running commands, and errors as problem+json.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AcceptedSchema, type Problem, ProblemSchema } from "../../databases/api.ts";
import type { Fault } from "../../std/reason.ts";
import type { Finding } from "../findings.ts";
import type { Command, Reply } from "../events.ts";
import type { ClusterState, NodeRecord, State } from "../state.ts";
import { Overloaded } from "./run.ts";

/** A scheduler that does not lead. */
export type StandbyView = {
  /** The leader's URL, where one is known. */
  readonly leader: () => string | undefined;
  /** Brings `state` up to date with the store. */
  readonly look: () => Promise<void>;
};

/** What the API needs of the running scheduler. */
export type ApiScheduler = {
  /** What is answered from: the leader's state, or what a standby has read of the store. Undefined: nothing is known yet. */
  readonly state: () => State | undefined;
  /** Undefined while this scheduler leads. */
  readonly standby: () => StandbyView | undefined;
  /** Tells this run of the process from all others. */
  readonly instance: string;
  /** Rejects with `Overloaded` when too many commands wait, and when the scheduler ends before it could decide. */
  readonly submit: (command: Command) => Promise<Reply>;
  /** Calls back after every change of clusters and nodes, until the returned function is called. */
  readonly changes: (listener: () => void) => () => void;
  /** The doctor's findings. */
  readonly examine: () => Promise<readonly Finding[]>;
  readonly metrics: () => Promise<string>;
  readonly nowMs: () => number;
  readonly version: string;
};

/** The application; `server` is Bun's, where there is a socket. */
export type Api = OpenAPIHono<{ Bindings: { readonly server?: Bun.Server<undefined> } }>;

/** Largest body of a request that is read. */
export const MAX_BODY_BYTES = 1_048_576;

export const problem = {
  description: "What was wrong",
  content: { "application/problem+json": { schema: ProblemSchema } },
};
export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema } },
});
/** What a change may be answered with: it is saved, and a plan does it. */
export const changed = {
  202: json(AcceptedSchema, "Saved; the plan does it"),
  400: problem,
  404: problem,
  409: problem,
  503: problem,
};
export const ClusterParam = z.object({ cluster: z.string() });
export const NodeParam = z.object({ cluster: z.string(), node: z.string() });

/** An error that is answered as it is. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  readonly faults: readonly Fault[];

  constructor(status: number, message: string, faults: readonly Fault[] = []) {
    super(message);
    this.status = status;
    this.faults = faults;
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

export function answerProblem(c: Context, status: number, detail: string, faults: readonly Fault[] = []): Response {
  const body: Problem = { type: "about:blank", title: TITLES[status] ?? "Error", status, detail, faults: [...faults] };
  return c.body(JSON.stringify(body), {
    status: status as 400,
    headers: { "content-type": "application/problem+json" },
  });
}

const REFUSAL_STATUS = { invalid: 400, exists: 409, conflict: 409, unknown: 404 } as const;

export function leading(scheduler: ApiScheduler): State {
  const state = scheduler.state();
  if (state === undefined) throw new Refusal(503, "Nothing is known yet: no scheduler of this name has led so far");
  return state;
}

export function findCluster(
  scheduler: ApiScheduler,
  name: string,
): { readonly state: State; readonly cluster: ClusterState } {
  const state = leading(scheduler);
  const cluster = state.clusters.get(name);
  if (cluster === undefined) throw new Refusal(404, `Cannot find cluster "${name}"`);
  return { state, cluster };
}

export function findNodeOf(
  scheduler: ApiScheduler,
  clusterName: string,
  nodeId: string,
): { readonly state: State; readonly node: NodeRecord } {
  const { state, cluster } = findCluster(scheduler, clusterName);
  const node = cluster.nodes.get(nodeId);
  if (node === undefined) throw new Refusal(404, `Cannot find node "${nodeId}" in cluster "${clusterName}"`);
  return { state, node };
}

/** Carries out a command that becomes a plan. */
export async function command(scheduler: ApiScheduler, asked: Command): Promise<{ cluster: string; plan: string }> {
  const reply = await order(scheduler, asked);
  if (reply.type !== "accepted") throw new Refusal(500, `The scheduler made no plan of ${asked.type}`);
  return { cluster: reply.cluster, plan: reply.plan };
}

/** Carries a command out; a refused one is thrown. */
export async function order(scheduler: ApiScheduler, asked: Command): Promise<Exclude<Reply, { type: "refused" }>> {
  leading(scheduler);
  const reply = await scheduler.submit(asked).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    const text =
      error instanceof Overloaded ? `The scheduler is overloaded: ${why}` : `The scheduler ended meanwhile: ${why}`;
    throw new Refusal(503, text);
  });
  if (reply.type === "refused") throw new Refusal(REFUSAL_STATUS[reply.why], reply.message, reply.faults);
  return reply;
}

/** JSON of a body, whatever its content type says (operators send it with curl); undefined when there is none. */
export async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, `Cannot read the body as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
