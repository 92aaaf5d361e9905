// The commands below `ringmaster plan`.
import type { Command } from "@commander-js/extra-typings";
import { type Ask, examples, PLAN_SECONDS, secondsAsMs, show } from "./arguments.ts";

/** Adds the commands below `plan`. */
export function addPlanCommands(plan: Command, ask: Ask): void {
  plan
    .summary("look at plans and what they wait for, end one")
    .description("Looks at plans: what is done, and what waits for what. Ends one that shall not go on.");
  plan.addHelpText("after", examples("ringmaster plan list", "ringmaster plan show demo-deploy-1 --follow"));
  plan
    .command("list")
    .summary("list plans")
    .description("Lists the plans of one cluster or of all, those that are over too.")
    .argument("[cluster]", "name of the cluster")
    .addHelpText("after", examples("ringmaster plan list", "ringmaster plan list demo"))
    .action((cluster) => {
      const query = cluster === undefined ? "" : `?cluster=${encodeURIComponent(cluster)}`;
      ask({ type: "show", view: "plans", path: `/api/v1/plans${query}` });
    });
  plan
    .command("show")
    .summary("show a plan's steps and what they wait for")
    .description("Shows a plan's steps, what each waits for, and why each agent will not do.")
    .argument("<plan>", "id of the plan, as plan list shows it")
    .option("--follow", "tell on stderr what happens, until the plan is over")
    .option(
      "--timeout <seconds>",
      `follow no longer than this (default: ${PLAN_SECONDS}); implies --follow`,
      secondsAsMs,
    )
    .addHelpText("after", examples("ringmaster plan show demo-deploy-1", "ringmaster plan show demo-deploy-1 --follow"))
    .action((id, { follow, timeout }) => {
      if (follow === true || timeout !== undefined)
        ask({ type: "follow", plan: id, timeoutMs: timeout ?? PLAN_SECONDS * 1000 });
      else show(ask, "plan", "plans", id);
    });
  plan
    .command("abort")
    .summary("end a plan before its end")
    .description("Ends a plan before its end. Its nodes stay as they are; a destruction cannot be ended.")
    .argument("<plan>", "id of the plan, as plan list shows it")
    .addHelpText("after", examples("ringmaster plan abort demo-configure-4"))
    .action((id) => ask({ type: "abort", plan: id }));
}
