// Routes of the framework itself: what it is at Mesos, its new beginning and its end.
import { createRoute, z } from "@hono/zod-openapi";
import { FrameworkViewSchema } from "../../databases/api.ts";
import { frameworkView } from "../views.ts";
import { type Api, type ApiScheduler, bodyOf, json, leading, order, problem, Refusal } from "./api-answers.ts";

const UninstallSchema = z.object({ force: z.boolean().default(false) });

export function addFrameworkRoutes(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/framework",
      summary: "The framework, and what is left of it while it is uninstalled",
      responses: { 200: json(FrameworkViewSchema, "The framework"), 503: problem },
    }),
    (c) => c.json(frameworkView(leading(scheduler)), 200),
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/framework/register",
      summary: "Start again, on the volumes that there are, after Mesos has removed the framework",
      responses: { 202: json(FrameworkViewSchema, "It subscribes under a new id"), 409: problem },
    }),
    async (c) => {
      await order(scheduler, { type: "registerFramework" });
      return c.json(frameworkView(leading(scheduler)), 202);
    },
  );
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/api/v1/framework/uninstall",
    summary: "Destroy all clusters, give every reservation back, then tear the framework down",
    request: { body: { content: { "application/json": { schema: UninstallSchema } } } },
    responses: { 202: json(FrameworkViewSchema, "What is left of it"), 409: problem },
  });
  app.post("/api/v1/framework/uninstall", async (c) => {
    const asked = UninstallSchema.safeParse((await bodyOf(c)) ?? {});
    if (!asked.success) throw new Refusal(400, 'Cannot uninstall the framework: wanted {"force":true} or no body');
    await order(scheduler, { type: "uninstallFramework", force: asked.data.force });
    return c.json(frameworkView(leading(scheduler)), 202);
  });
}
