// Routes of nodes: what they are, what is done to them, and what their executors answer.
import { createRoute, z } from "@hono/zod-openapi";
import { NodeReadSchema, NodesViewSchema, NodeViewSchema } from "../../databases/api.ts";
import type { Command } from "../events.ts";
import { nodeView } from "../views.ts";
import {
  type Api,
  type ApiScheduler,
  bodyOf,
  changed,
  ClusterParam,
  command,
  findCluster,
  findNodeOf,
  json,
  NodeParam,
  problem,
  Refusal,
} from "./api-answers.ts";
import { askExecutor } from "./node-api.ts";

const read = { 200: json(NodeReadSchema, "What the node answered"), 404: problem, 502: problem };

const ArgsSchema = z.record(z.string(), z.string());

/** Riak Mesos' names of reads, and ours. */
const READ_ALIASES: Readonly<Record<string, string>> = { aae: "aae-status", types: "bucket-types" };

export function addNodeRoutes(app: Api, scheduler: ApiScheduler): void {
  addViews(app, scheduler);
  addChanges(app, scheduler);
  addExecutorReads(app, scheduler);
}

function addViews(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes",
      summary: "A cluster's nodes",
      request: { params: ClusterParam },
      responses: { 200: json(NodesViewSchema, "Nodes"), 404: problem },
    }),
    (c) => {
      const { state, cluster } = findCluster(scheduler, c.req.valid("param").cluster);
      return c.json({ nodes: [...cluster.nodes.values()].map((node) => nodeView(state, node)) }, 200);
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
      const found = findNodeOf(scheduler, cluster, node);
      return c.json(nodeView(found.state, found.node), 200);
    },
  );
}

function addChanges(app: Api, scheduler: ApiScheduler): void {
  const CountSchema = z.object({ count: z.int().min(1).default(1) });
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/api/v1/clusters/{cluster}/nodes",
    summary: "Add nodes",
    request: { params: ClusterParam, body: { content: { "application/json": { schema: CountSchema } } } },
    responses: changed,
  });
  app.post("/api/v1/clusters/:cluster/nodes", async (c) => {
    const asked = CountSchema.safeParse((await bodyOf(c)) ?? {});
    if (!asked.success) throw new Refusal(400, `Cannot add nodes: wanted a whole number "count" from 1`);
    return c.json(
      await command(scheduler, { type: "addNodes", cluster: c.req.param("cluster"), count: asked.data.count }),
      202,
    );
  });
  app.openapi(
    createRoute({
      method: "delete",
      path: "/api/v1/clusters/{cluster}/nodes/{node}",
      summary: "Remove a node: it hands its data over first, unless forced",
      request: { params: NodeParam, query: z.object({ force: z.stringbool().default(false) }) },
      responses: changed,
    }),
    async (c) => {
      const { force } = c.req.valid("query");
      return c.json(await command(scheduler, { type: "removeNode", ...c.req.valid("param"), force }), 202);
    },
  );
  const actions: readonly [Extract<Command, { node: string }>["type"], string, string][] = [
    ["restartNode", "restart", "Restart a node on its volume"],
    ["stopNode", "stop", "Stop a node, keeping its volume"],
    ["startNode", "start", "Start a stopped node"],
    ["replaceNode", "replace", "Put a new node into the place of one whose data is gone"],
  ];
  for (const [type, action, summary] of actions) {
    app.openapi(
      createRoute({
        method: "post",
        path: `/api/v1/clusters/{cluster}/nodes/{node}/${action}`,
        summary,
        request: { params: NodeParam },
        responses: changed,
      }),
      async (c) => c.json(await command(scheduler, { type, ...c.req.valid("param") } as Command), 202),
    );
  }
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/api/v1/clusters/{cluster}/nodes/{node}/operations/{operation}",
    summary: "Run one of the database's operations on a node",
    request: {
      params: NodeParam.extend({ operation: z.string() }),
      body: { content: { "application/json": { schema: ArgsSchema } } },
    },
    responses: changed,
  });
  app.post("/api/v1/clusters/:cluster/nodes/:node/operations/:operation", async (c) => {
    const args = ArgsSchema.safeParse((await bodyOf(c)) ?? {});
    if (!args.success) throw new Refusal(400, "Cannot run an operation: wanted an object of texts as its arguments");
    return c.json(await command(scheduler, { type: "operate", ...c.req.param(), args: args.data }), 202);
  });
}

function addExecutorReads(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes/{node}/reads/{read}",
      summary: "Ask the database through the node's executor",
      request: { params: NodeParam.extend({ read: z.string() }) },
      responses: read,
    }),
    async (c) => {
      const { cluster, node, read: name } = c.req.valid("param");
      return c.json(await ask(scheduler, cluster, node, name, `read/${encodeURIComponent(name)}`), 200);
    },
  );
  for (const name of ["status", "ringready", "transfers", "aae", "types", "stats"]) {
    app.openapi(
      createRoute({
        method: "get",
        path: `/api/v1/clusters/{cluster}/nodes/{node}/${name}`,
        summary: `Read "${READ_ALIASES[name] ?? name}" of the node's database`,
        request: { params: NodeParam },
        responses: read,
      }),
      async (c) => {
        const { cluster, node } = c.req.valid("param");
        const asked = READ_ALIASES[name] ?? name;
        return c.json(await ask(scheduler, cluster, node, asked, `read/${asked}`), 200);
      },
    );
  }
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes/{node}/logs",
      summary: "The node's log files",
      request: { params: NodeParam },
      responses: read,
    }),
    async (c) => {
      const { cluster, node } = c.req.valid("param");
      return c.json(await ask(scheduler, cluster, node, "logs", "logs"), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes/{node}/logs/{log}",
      summary: "The end of a log file",
      request: {
        params: NodeParam.extend({ log: z.string() }),
        query: z.object({ lines: z.coerce.number().int().min(1).max(5000).default(200) }),
      },
      responses: read,
    }),
    async (c) => {
      const { cluster, node, log } = c.req.valid("param");
      const path = `logs/${encodeURIComponent(log)}?lines=${c.req.valid("query").lines}`;
      return c.json(await ask(scheduler, cluster, node, `log ${log}`, path), 200);
    },
  );
}

/** Asks the node's executor; throws a Refusal where it cannot. */
export async function ask(
  scheduler: ApiScheduler,
  cluster: string,
  id: string,
  name: string,
  path: string,
): Promise<{ node: string; read: string; status: number; answer: unknown }> {
  const { state, node } = findNodeOf(scheduler, cluster, id);
  const answer = await askExecutor(node, path, state.framework.token);
  if ("error" in answer) throw new Refusal(answer.status, answer.error);
  return { node: id, read: name, ...answer };
}
