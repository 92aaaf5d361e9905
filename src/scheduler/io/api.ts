// The scheduler's HTTP API: reads from the present state, commands through the event loop. Errors are problem+json.
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import {
  AcceptedSchema,
  ClustersViewSchema,
  ClusterViewSchema,
  EndpointsViewSchema,
  HealthViewSchema,
  NodeReadSchema,
  NodesViewSchema,
  NodeViewSchema,
  PlansViewSchema,
  PlanViewSchema,
  ProblemSchema,
  type Problem,
} from "../../databases/api.ts";
import { ClusterBodySchema } from "../../databases/spec.ts";
import type { Fault } from "../../std/reason.ts";
import type { Command, Reply } from "../events.ts";
import type { ClusterState, NodeRecord, State } from "../state.ts";
import { clusterView, endpointsView, nodeView, planView } from "../views.ts";
import { readNode } from "./node-api.ts";

/** What the API needs of the running scheduler. */
export type ApiScheduler = {
  /** Undefined while another scheduler leads. */
  readonly state: () => State | undefined;
  /** Rejects with `Overloaded` when too many commands wait. */
  readonly submit: (command: Command) => Promise<Reply>;
  readonly metrics: () => Promise<string>;
  readonly nowMs: () => number;
  readonly version: string;
};

/** Largest body of a request that is read. */
export const MAX_BODY_BYTES = 1_048_576;

const problem = { description: "What was wrong", content: { "application/problem+json": { schema: ProblemSchema } } };
const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema } },
});
const ClusterParam = z.object({ cluster: z.string() });
const NodeParam = z.object({ cluster: z.string(), node: z.string() });

/** An error that is answered as it is. */
class Refusal extends Error {
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

function answerProblem(c: Context, status: number, detail: string, faults: readonly Fault[] = []): Response {
  const body: Problem = { type: "about:blank", title: TITLES[status] ?? "Error", status, detail, faults: [...faults] };
  return c.body(JSON.stringify(body), {
    status: status as 400,
    headers: { "content-type": "application/problem+json" },
  });
}

const REFUSAL_STATUS = { invalid: 400, exists: 409, conflict: 409, unknown: 404 } as const;

/** The API as an application without a socket: `app.fetch(request)`. */
export function createApi(scheduler: ApiScheduler): OpenAPIHono {
  const app = new OpenAPIHono();
  app.onError((error, c) => {
    if (error instanceof Refusal) return answerProblem(c, error.status, error.message, error.faults);
    if (error instanceof HTTPException) return answerProblem(c, error.status, error.message);
    return answerProblem(c, 500, `The scheduler failed to answer: ${error.message}`);
  });
  app.notFound((c) =>
    answerProblem(c, 404, `Cannot find ${c.req.method} ${c.req.path}; /openapi.json lists what there is`),
  );
  addProcessRoutes(app, scheduler);
  addClusterRoutes(app, scheduler);
  addNodeRoutes(app, scheduler);
  addPlanRoutes(app, scheduler);
  return app;
}

function leading(scheduler: ApiScheduler): State {
  const state = scheduler.state();
  if (state === undefined) throw new Refusal(503, "This scheduler waits for its turn: another of the same name leads");
  return state;
}

function findCluster(scheduler: ApiScheduler, name: string): { readonly state: State; readonly cluster: ClusterState } {
  const state = leading(scheduler);
  const cluster = state.clusters.get(name);
  if (cluster === undefined) throw new Refusal(404, `Cannot find cluster "${name}"`);
  return { state, cluster };
}

function findNodeOf(
  scheduler: ApiScheduler,
  clusterName: string,
  nodeId: string,
): { readonly state: State; readonly node: NodeRecord } {
  const { state, cluster } = findCluster(scheduler, clusterName);
  const node = cluster.nodes.get(nodeId);
  if (node === undefined) throw new Refusal(404, `Cannot find node "${nodeId}" in cluster "${clusterName}"`);
  return { state, node };
}

async function command(scheduler: ApiScheduler, asked: Command): Promise<{ cluster: string; plan: string }> {
  leading(scheduler);
  const reply = await scheduler.submit(asked);
  if (reply.type === "refused") throw new Refusal(REFUSAL_STATUS[reply.why], reply.message, reply.faults);
  return { cluster: reply.cluster, plan: reply.plan };
}

/** JSON of a body, whatever its content type says: operators send it with curl. */
async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, `Cannot read the body as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function addProcessRoutes(app: OpenAPIHono, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/health",
      summary: "Is the process well? Green while Mesos is away",
      responses: { 200: json(HealthViewSchema, "It is") },
    }),
    (c) => {
      const state = scheduler.state();
      const frameworkId = state?.framework.frameworkId;
      const mesos = state?.connected === true ? ("connected" as const) : ("disconnected" as const);
      return c.json(
        {
          status: "ok" as const,
          mesos,
          leader: state !== undefined,
          ...(frameworkId === undefined ? {} : { frameworkId }),
        },
        200,
      );
    },
  );
  app.get("/healthcheck", (c) => c.json({ success: true }));
  app.get("/metrics", async (c) =>
    c.text(await scheduler.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  app.doc31("/openapi.json", { openapi: "3.1.0", info: { title: "Ringmaster scheduler", version: scheduler.version } });
}

function addClusterRoutes(app: OpenAPIHono, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters",
      summary: "All clusters",
      responses: { 200: json(ClustersViewSchema, "Clusters by name"), 503: problem },
    }),
    (c) => {
      const state = leading(scheduler);
      return c.json({ clusters: [...state.clusters.values()].map((cluster) => clusterView(state, cluster)) }, 200);
    },
  );
  const creation = {
    method: "post",
    path: "/api/v1/clusters",
    summary: "Create a cluster",
    responses: { 202: json(AcceptedSchema, "Saved; the plan brings it up"), 400: problem, 409: problem, 503: problem },
  } as const;
  // The body is described, not checked here: the scheduler's core checks it whole and tells every fault at once.
  app.openAPIRegistry.registerPath({
    ...creation,
    request: { body: { content: { "application/json": { schema: ClusterBodySchema } } } },
  });
  app.post("/api/v1/clusters", async (c) =>
    c.json(await command(scheduler, { type: "createCluster", body: await bodyOf(c) }), 202),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}",
      summary: "One cluster",
      request: { params: ClusterParam },
      responses: { 200: json(ClusterViewSchema, "The cluster"), 404: problem },
    }),
    (c) => {
      const { state, cluster } = findCluster(scheduler, c.req.valid("param").cluster);
      return c.json(clusterView(state, cluster), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/api/v1/clusters/{cluster}",
      summary: "Destroy a cluster and its data",
      request: { params: ClusterParam },
      responses: { 202: json(AcceptedSchema, "Saved; the plan takes it down"), 404: problem, 409: problem },
    }),
    async (c) =>
      c.json(await command(scheduler, { type: "destroyCluster", cluster: c.req.valid("param").cluster }), 202),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/endpoints",
      summary: "Where clients connect",
      request: { params: ClusterParam },
      responses: { 200: json(EndpointsViewSchema, "Addresses"), 404: problem },
    }),
    (c) => c.json(endpointsView(findCluster(scheduler, c.req.valid("param").cluster).cluster), 200),
  );
}

function addNodeRoutes(app: OpenAPIHono, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes",
      summary: "A cluster's nodes",
      request: { params: ClusterParam },
      responses: { 200: json(NodesViewSchema, "Nodes"), 404: problem },
    }),
    (c) => {
      const { cluster } = findCluster(scheduler, c.req.valid("param").cluster);
      return c.json({ nodes: [...cluster.nodes.values()].map(nodeView) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes/{node}",
      summary: "One node",
      request: { params: NodeParam },
      responses: { 200: json(NodeViewSchema, "The node"), 404: problem },
    }),
    (c) => {
      const { cluster, node } = c.req.valid("param");
      return c.json(nodeView(findNodeOf(scheduler, cluster, node).node), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes/{node}/reads/{read}",
      summary: "Ask the node's executor",
      request: { params: NodeParam.extend({ read: z.string() }) },
      responses: { 200: json(NodeReadSchema, "What the database answered"), 404: problem, 502: problem },
    }),
    async (c) => {
      const { cluster, node: id, read } = c.req.valid("param");
      const { state, node } = findNodeOf(scheduler, cluster, id);
      const answer = await readNode(node, read, state.framework.token);
      if ("error" in answer) throw new Refusal(answer.status, answer.error);
      return c.json({ node: id, read, ...answer }, 200);
    },
  );
}

function addPlanRoutes(app: OpenAPIHono, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/plans",
      summary: "Plans, newest first",
      request: { query: z.object({ cluster: z.string().optional() }) },
      responses: { 200: json(PlansViewSchema, "Plans") },
    }),
    (c) => {
      const state = leading(scheduler);
      const { cluster } = c.req.valid("query");
      const plans = [...state.plans.values()].filter((plan) => cluster === undefined || plan.cluster === cluster);
      plans.sort((a, b) => b.createdMs - a.createdMs);
      return c.json({ plans: plans.map((plan) => planView(state, plan, scheduler.nowMs())) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/plans/{plan}",
      summary: "One plan with its steps",
      request: { params: z.object({ plan: z.string() }) },
      responses: { 200: json(PlanViewSchema, "The plan"), 404: problem },
    }),
    (c) => {
      const state = leading(scheduler);
      const { plan: id } = c.req.valid("param");
      const plan = state.plans.get(id);
      if (plan === undefined) throw new Refusal(404, `Cannot find plan "${id}"`);
      return c.json(planView(state, plan, scheduler.nowMs()), 200);
    },
  );
}
