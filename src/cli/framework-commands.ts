// The commands below `ringmaster framework`.
import type { Command } from "@commander-js/extra-typings";
import { type Ask, examples, PLAN_SECONDS, secondsAsMs, show, waitOf } from "./arguments.ts";

/** Adds the commands below `framework`. */
export function addFrameworkCommands(framework: Command, ask: Ask): void {
  framework
    .summary("look at the framework at Mesos, register it again, uninstall it")
    .description("Looks at the framework at Mesos. Registers it again after an operator removed it, or uninstalls it.");
  framework.addHelpText("after", examples("ringmaster framework info", "ringmaster framework uninstall --wait"));
  framework
    .command("info")
    .summary("show the framework's id, role and what is left to be given back")
    .description("Shows the framework's ids and role at Mesos, and what is left of it while it is uninstalled.")
    .addHelpText("after", examples("ringmaster framework info", "ringmaster framework info --json"))
    .action(() => show(ask, "framework", "framework"));
  framework
    .command("register")
    .summary("start again on the volumes that there are, after Mesos has removed the framework")
    .description(
      "Starts the framework again under a new id, after an operator of Mesos has removed it or its failover timeout ran out. Nodes start on their volumes.",
    )
    .addHelpText("after", examples("ringmaster framework register"))
    .action(() => ask({ type: "register" }));
  framework
    .command("uninstall")
    .alias("teardown")
    .summary("destroy all clusters, give everything back, tear the framework down")
    .description(
      "Destroys all clusters and their data, gives every reservation back to Mesos, then tears the framework down. What is left it shows while it waits.",
    )
    .option("--yes", "do not ask for the framework's name first")
    .option("--force", "do not wait for reservations on agents that do not come back")
    .option("--wait", "tell on stderr what is left, until nothing is")
    .option("--timeout <seconds>", `wait no longer than this (default: ${PLAN_SECONDS}); implies --wait`, secondsAsMs)
    .addHelpText(
      "after",
      examples("ringmaster framework uninstall --wait", "ringmaster framework uninstall --force --yes"),
    )
    .action(({ yes = false, force = false, wait, timeout }) =>
      ask({ type: "uninstall", yes, force, ...waitOf(wait, timeout) }),
    );
}
