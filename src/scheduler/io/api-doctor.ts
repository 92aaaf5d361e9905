// Routes of the doctor: what does not fit together, and its repair.
import { createRoute, z } from "@hono/zod-openapi";
import { DiagnosisSchema, type FindingView, RepairedSchema } from "../../databases/api.ts";
import type { Finding } from "../findings.ts";
import { type Api, type ApiScheduler, json, leading, order, problem, Refusal } from "./api-answers.ts";

export function addDoctorRoutes(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/doctor",
      summary: "What does not fit together between store, Mesos and databases",
      responses: { 200: json(DiagnosisSchema, "Findings, the worst first"), 503: problem },
    }),
    async (c) => {
      leading(scheduler);
      return c.json({ findings: (await scheduler.examine()).map(viewOf) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/doctor/repairs/{finding}",
      summary: "Repair a finding that has a safe repair",
      request: { params: z.object({ finding: z.string() }) },
      responses: { 202: json(RepairedSchema, "Done, or begun as a plan"), 404: problem, 409: problem },
    }),
    async (c) => {
      leading(scheduler);
      const { finding: id } = c.req.valid("param");
      // It is looked for again: what was found then may be well by now.
      const finding = (await scheduler.examine()).find((found) => found.id === id);
      if (finding === undefined) throw new Refusal(404, `Cannot find "${id}" any more: nothing is left to repair`);
      if (finding.repair === undefined)
        throw new Refusal(409, `Cannot repair "${id}": no repair is safe; ${finding.advice}`);
      const reply = await order(scheduler, finding.repair.command);
      return c.json({ id, does: finding.repair.does, ...(reply.type === "accepted" ? { plan: reply.plan } : {}) }, 202);
    },
  );
}

function viewOf({ repair, ...finding }: Finding): FindingView {
  return { ...finding, ...(repair === undefined ? {} : { repair: repair.does }) };
}
