// Routes of plans.
import { createRoute, z } from "@hono/zod-openapi";
import { AcceptedSchema, PlansViewSchema, PlanViewSchema } from "../../databases/api.ts";
import { planView } from "../views.ts";
import { type Api, type ApiScheduler, command, json, leading, problem, Refusal } from "./api-answers.ts";

export function addPlanRoutes(app: Api, scheduler: ApiScheduler): void {
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
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/plans/{plan}/abort",
      summary: "End a plan before its end; its nodes stay as they are",
      request: { params: z.object({ plan: z.string() }) },
      responses: { 202: json(AcceptedSchema, "Ended"), 404: problem, 409: problem },
    }),
    async (c) => c.json(await command(scheduler, { type: "abortPlan", plan: c.req.valid("param").plan }), 202),
  );
}
