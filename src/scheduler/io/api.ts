// The scheduler's HTTP API, put together: reads from the present state, commands through the event loop.
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { HealthViewSchema } from "../../databases/api.ts";
import { answerProblem, type Api, type ApiScheduler, json, Refusal } from "./api-answers.ts";
import { addClusterRoutes } from "./api-clusters.ts";
import { addDoctorRoutes } from "./api-doctor.ts";
import { addFrameworkRoutes } from "./api-framework.ts";
import { addNodeRoutes } from "./api-nodes.ts";
import { addPlanRoutes } from "./api-plans.ts";
import { addRiakRoutes } from "./api-riak.ts";

/** The API as an application without a socket: `app.fetch(request)`. */
export function createApi(scheduler: ApiScheduler): Api {
  const app: Api = new OpenAPIHono();
  app.onError((error, c) => {
    if (error instanceof Refusal) return answerProblem(c, error.status, error.message, error.faults);
    if (error instanceof HTTPException) return answerProblem(c, error.status, error.message);
    return answerProblem(c, 500, `The scheduler failed to answer: ${error.message}`);
  });
  app.notFound((c) =>
    answerProblem(c, 404, `Cannot find ${c.req.method} ${c.req.path}; /openapi.json lists what there is`),
  );
  addStandby(app, scheduler);
  addProcessRoutes(app, scheduler);
  addClusterRoutes(app, scheduler);
  addNodeRoutes(app, scheduler);
  addRiakRoutes(app, scheduler);
  addPlanRoutes(app, scheduler);
  addFrameworkRoutes(app, scheduler);
  addDoctorRoutes(app, scheduler);
  return app;
}

/** Streams, and what only the leader knows. */
const LEADERS_OWN = /\/events$|^\/api\/v1\/doctor\b/;

/** A scheduler that does not lead answers reads from the store and sends everything else to the leader. */
function addStandby(app: Api, scheduler: ApiScheduler): void {
  app.use("/api/*", async (c, next) => {
    const standby = scheduler.standby();
    if (standby === undefined) return await next();
    const isRead = c.req.method === "GET" || c.req.method === "HEAD";
    if (isRead && !LEADERS_OWN.test(c.req.path)) {
      await standby.look().catch((error: unknown) => {
        throw new Refusal(503, `Cannot read the store: ${error instanceof Error ? error.message : String(error)}`);
      });
      return await next();
    }
    const leader = standby.leader();
    if (leader !== undefined) return c.redirect(leader + c.req.path + new URL(c.req.url).search, 307);
    c.header("retry-after", "1");
    throw new Refusal(503, "No scheduler of this name leads at this moment; try again in a few seconds");
  });
}

function addProcessRoutes(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/health",
      summary: "Is the process well? Green while Mesos is away",
      responses: { 200: json(HealthViewSchema, "It is") },
    }),
    (c) => {
      const state = scheduler.state();
      const standby = scheduler.standby();
      const leaderUrl = standby?.leader();
      const frameworkId = state?.framework.frameworkId;
      const mesos = state?.connected === true ? ("connected" as const) : ("disconnected" as const);
      return c.json(
        {
          status: "ok" as const,
          mesos,
          leader: standby === undefined,
          instance: scheduler.instance,
          ...(leaderUrl === undefined ? {} : { leaderUrl }),
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
