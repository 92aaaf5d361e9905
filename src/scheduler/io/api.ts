// The scheduler's HTTP API, put together: reads from the present state, commands through the event loop.
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { HealthViewSchema } from "../../databases/api.ts";
import { answerProblem, type Api, type ApiScheduler, json, Refusal } from "./api-answers.ts";
import { addClusterRoutes } from "./api-clusters.ts";
import { addNodeRoutes } from "./api-nodes.ts";
import { addPlanRoutes } from "./api-plans.ts";

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
  addProcessRoutes(app, scheduler);
  addClusterRoutes(app, scheduler);
  addNodeRoutes(app, scheduler);
  addPlanRoutes(app, scheduler);
  return app;
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
