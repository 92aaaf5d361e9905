// Routes of clusters. The names of Riak Mesos' own API are kept beside ours.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { ClustersViewSchema, ClusterViewSchema, EndpointsViewSchema } from "../../databases/api.ts";
import { ClusterBodySchema } from "../../databases/spec.ts";
import { faultText } from "../../std/reason.ts";
import { endpointsOf } from "../endpoints.ts";
import { clusterView, endpointsView } from "../views.ts";
import {
  type Api,
  type ApiScheduler,
  bodyOf,
  changed,
  ClusterParam,
  command,
  findCluster,
  json,
  leading,
  problem,
  Refusal,
} from "./api-answers.ts";

export function addClusterRoutes(app: Api, scheduler: ApiScheduler): void {
  addReads(app, scheduler);
  addEndpointEvents(app, scheduler);
  addChanges(app, scheduler);
  addConfigText(app, scheduler, "config", "riak.conf");
  addConfigText(app, scheduler, "advancedConfig", "advanced.config");
}

function addReads(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters",
      summary: "All clusters",
      responses: { 200: json(ClustersViewSchema, "Clusters"), 503: problem },
    }),
    (c) => {
      const state = leading(scheduler);
      return c.json({ clusters: [...state.clusters.values()].map((cluster) => clusterView(state, cluster)) }, 200);
    },
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
      method: "get",
      path: "/api/v1/clusters/{cluster}/endpoints",
      summary: "Where clients connect",
      request: { params: ClusterParam },
      responses: { 200: json(EndpointsViewSchema, "Addresses"), 404: problem },
    }),
    (c) => c.json(endpointsView(findCluster(scheduler, c.req.valid("param").cluster).cluster), 200),
  );
}

/** Streams of endpoints that may be open at once. */
const STREAMS_MAX = 1000;
/** A quiet stream says something now and then, or somebody between would end it. */
const COMMENT_MS = 15_000;

/** Server-Sent Events: the cluster's endpoints as a JSON list, now and after every change. */
function addEndpointEvents(app: Api, scheduler: ApiScheduler): void {
  let open = 0;
  app.get("/api/v1/clusters/:cluster/endpoints/events", (c) => {
    const name = c.req.param("cluster");
    findCluster(scheduler, name);
    if (open >= STREAMS_MAX) throw new Refusal(503, `Cannot stream endpoints: ${STREAMS_MAX} streams are open`);
    c.env.server?.timeout(c.req.raw, 0);
    return streamSSE(c, async (stream) => {
      open++;
      const ended = Promise.withResolvers<void>();
      let said = "";
      const say = (): void => {
        const cluster = scheduler.state()?.clusters.get(name);
        const data = JSON.stringify(cluster === undefined ? [] : endpointsOf(cluster));
        if (data === said) return;
        said = data;
        stream.writeSSE({ event: "endpoints", data }).catch(() => ended.resolve());
      };
      const comment = setInterval(() => {
        // A scheduler that leads no longer hears of no change: its clients find the leader by asking again.
        if (scheduler.standby() !== undefined) ended.resolve();
        else void stream.write(": still here\n\n").catch(() => ended.resolve());
      }, COMMENT_MS);
      const stop = scheduler.changes(say);
      stream.onAbort(() => ended.resolve());
      say();
      await ended.promise;
      stop();
      clearInterval(comment);
      open--;
    });
  });
}

function addChanges(app: Api, scheduler: ApiScheduler): void {
  // Bodies are described, not checked here: the scheduler's core checks them whole and tells every fault at once.
  const body = { content: { "application/json": { schema: ClusterBodySchema } } };
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/api/v1/clusters",
    summary: "Create a cluster",
    request: { body },
    responses: changed,
  });
  const create = async (c: Context, asked: unknown): Promise<Response> =>
    c.json(await command(scheduler, { type: "createCluster", body: asked }), 202);
  app.post("/api/v1/clusters", async (c) => create(c, await bodyOf(c)));
  app.post("/api/v1/clusters/:cluster/create", async (c) => {
    const asked = await bodyOf(c);
    if (typeof asked !== "object" || asked === null)
      throw new Refusal(400, "Cannot create a cluster: wanted a JSON object");
    return create(c, { ...asked, name: c.req.param("cluster") });
  });
  addRestore(app, scheduler);
  app.openAPIRegistry.registerPath({
    method: "patch",
    path: "/api/v1/clusters/{cluster}",
    summary: "Change version, package, jre, env, settings or constraints; nodes take it over by a rolling restart",
    request: {
      params: ClusterParam,
      body: { content: { "application/json": { schema: ClusterBodySchema.partial() } } },
    },
    responses: changed,
  });
  app.patch("/api/v1/clusters/:cluster", async (c) =>
    c.json(
      await command(scheduler, { type: "updateCluster", cluster: c.req.param("cluster"), change: await bodyOf(c) }),
      202,
    ),
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/api/v1/clusters/{cluster}",
      summary: "Destroy a cluster and its data",
      request: { params: ClusterParam },
      responses: changed,
    }),
    async (c) =>
      c.json(await command(scheduler, { type: "destroyCluster", cluster: c.req.valid("param").cluster }), 202),
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/clusters/{cluster}/restart",
      summary: "Restart all nodes, one after the other",
      request: { params: ClusterParam },
      responses: changed,
    }),
    async (c) =>
      c.json(await command(scheduler, { type: "restartCluster", cluster: c.req.valid("param").cluster }), 202),
  );
}

const RestoredSchema = z.array(z.object({ name: z.string(), success: z.boolean(), reason: z.string().optional() }));

/** Clusters made again as they were asked for, empty: of what GET told of them. */
function addRestore(app: Api, scheduler: ApiScheduler): void {
  const restore = async (asked: unknown): Promise<z.infer<typeof RestoredSchema>[number]> => {
    const spec = specIn(asked);
    const name = typeof spec === "object" && spec !== null && "name" in spec ? String(spec.name) : "";
    try {
      await command(scheduler, { type: "createCluster", body: spec });
      return { name, success: true };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const faults = error.faults.map((fault) => `; ${faultText(fault)}`).join("");
      return { name, success: false, reason: error.message + faults };
    }
  };
  app.openAPIRegistry.registerPath({
    method: "put",
    path: "/api/v1/clusters",
    summary: "Make clusters again as they were asked for, empty; the body is what GET told of them",
    request: { body: { content: { "application/json": { schema: ClustersViewSchema } } } },
    responses: { 200: json(RestoredSchema, "How each fared"), 400: problem, 503: problem },
  });
  app.put("/api/v1/clusters", async (c) => {
    const asked = await bodyOf(c);
    const list = typeof asked === "object" && asked !== null && "clusters" in asked ? asked.clusters : asked;
    if (!Array.isArray(list))
      throw new Refusal(400, 'Cannot restore clusters: wanted {"clusters":[…]}, as GET tells them');
    const fared: z.infer<typeof RestoredSchema> = [];
    for (const one of list as readonly unknown[]) fared.push(await restore(one));
    return c.json(fared, 200);
  });
  app.openAPIRegistry.registerPath({
    method: "put",
    path: "/api/v1/clusters/{cluster}",
    summary: "Make one cluster again as it was asked for, empty; the body is what GET told of it",
    request: { params: ClusterParam, body: { content: { "application/json": { schema: ClusterViewSchema } } } },
    responses: changed,
  });
  app.put("/api/v1/clusters/:cluster", async (c) => {
    const spec = specIn(await bodyOf(c));
    if (typeof spec !== "object" || spec === null)
      throw new Refusal(400, "Cannot restore a cluster: wanted a JSON object, as GET tells it");
    const body = { ...spec, name: c.req.param("cluster") };
    return c.json(await command(scheduler, { type: "createCluster", body }), 202);
  });
}

/** What was asked for, of a cluster as it is told; anything else as it is. */
function specIn(told: unknown): unknown {
  return typeof told === "object" && told !== null && "spec" in told ? told.spec : told;
}

/** A setting as the text of its file: a map is kept as lines of `key = value`. */
function configText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, one]) => `${key} = ${String(one)}\n`)
    .join("");
}

/** A setting that is one text, to read, put and take away by itself. */
function addConfigText(app: Api, scheduler: ApiScheduler, route: string, setting: string): void {
  const path = `/api/v1/clusters/{cluster}/${route}`;
  const params = ClusterParam;
  const text = { description: `The cluster's ${setting}`, content: { "text/plain": { schema: z.string() } } };
  app.openapi(
    createRoute({
      method: "get",
      path,
      summary: `Read ${setting}`,
      request: { params },
      responses: { 200: text, 404: problem },
    }),
    (c) => {
      const { cluster } = c.req.valid("param");
      const value = findCluster(scheduler, cluster).cluster.record.spec.settings[setting];
      if (value === undefined) throw new Refusal(404, `Cluster "${cluster}" has no ${setting} of its own`);
      return c.text(configText(value), 200);
    },
  );
  const change = (cluster: string, value: string | null): Promise<{ cluster: string; plan: string }> =>
    command(scheduler, { type: "updateCluster", cluster, change: { settings: { [setting]: value } } });
  for (const method of ["put", "post"] as const) {
    app.openapi(
      createRoute({
        method,
        path,
        summary: `Change ${setting}: its text is the body`,
        request: { params },
        responses: changed,
      }),
      async (c) => c.json(await change(c.req.valid("param").cluster, await c.req.text()), 202),
    );
  }
  app.openapi(
    createRoute({
      method: "delete",
      path,
      summary: `Go back to the default ${setting}`,
      request: { params },
      responses: changed,
    }),
    async (c) => c.json(await change(c.req.valid("param").cluster, null), 202),
  );
}
