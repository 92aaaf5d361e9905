// Routes of plans.
import { createRoute, z } from "@hono/zod-openapi";
import { AcceptedSchema, PlansViewSchema, type PlanView, PlanViewSchema } from "../../databases/api.ts";
import type { PlanRecord, State } from "../state.ts";
import { planView } from "../views.ts";
import { type Api, type ApiScheduler, command, json, leading, problem, Refusal } from "./api-answers.ts";

export function addPlanRoutes(app: Api, scheduler: ApiScheduler): void {
  const viewOf = (state: State, plan: PlanRecord): PlanView => {
    const view = planView(state, plan, scheduler.nowMs());
    const standby = scheduler.standby();
    return standby === undefined ? view : asStandby(view, standby.leader());
  };
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
      return c.json({ plans: plans.map((plan) => viewOf(state, plan)) }, 200);
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
      return c.json(viewOf(state, plan), 200);
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

/** What an open step waits for only the leader knows. */
function asStandby(view: PlanView, leader: string | undefined): PlanView {
  const found = "a scheduler that stands by and knows only what is stored";
  const reason = {
    check: "leader",
    found,
    wanted: `the word of the one that leads${leader === undefined ? "" : `: ${leader}`}`,
  };
  return {
    ...view,
    steps: view.steps.map((step) => (step.waitsFor.length === 0 ? step : { ...step, waitsFor: [reason] })),
  };
}
