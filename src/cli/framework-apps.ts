// The commands below `ringmaster framework` and `ringmaster config` that are about the scheduler's application at Marathon.
import type { Command } from "@commander-js/extra-typings";
import {
  appFlagsOf,
  type AppOptions,
  DEFAULT_FRAMEWORK,
  FRAMEWORK,
  marathonOf,
  withAppOptions,
  withMarathon,
} from "./app-options.ts";
import { type Ask, type Env, examples, SERVICE_SECONDS, secondsAsMs, show } from "./arguments.ts";
import { Failure } from "./failure.ts";
import { type AppFlags, appId } from "./marathon.ts";

/** Adds those below `framework`. */
export function addFrameworkApps(framework: Command, ask: Ask, env: Env): void {
  withSchedulerOptions(framework.command("config"))
    .summary("print a Marathon application for a scheduler")
    .description("Prints a Marathon application that runs a scheduler.")
    .addHelpText(
      "after",
      examples(
        "ringmaster framework config --mesos zk://zk1:2181/mesos --store zk://zk1:2181/ --artifact-uri https://host/ringmaster",
      ),
    )
    .action((options) => ask({ type: "app", app: schedulerApp(options) }));
  withMarathon(withSchedulerOptions(framework.command("install")))
    .summary("run a scheduler by Marathon")
    .description("Gives Marathon the application that `framework config` prints.")
    .addHelpText(
      "after",
      examples(
        "ringmaster framework install --marathon http://marathon:8080 --mesos zk://zk1:2181/mesos --store zk://zk1:2181/ --artifact-uri https://host/ringmaster",
      ),
    )
    .action(({ marathon, ...options }) =>
      ask({ type: "app", app: schedulerApp(options), marathon: marathonOf(marathon, env) }),
    );
  const named = (word: string) => withMarathon(framework.command(word).option("--framework <name>", FRAMEWORK));
  named("status")
    .summary("show the scheduler's application at Marathon")
    .description("Shows the scheduler's application as Marathon has it.")
    .addHelpText("after", examples("ringmaster framework status --marathon http://marathon:8080"))
    .action(({ framework: name = DEFAULT_FRAMEWORK, marathon }) =>
      ask({ type: "appShow", marathon: marathonOf(marathon, env), id: appId(name), as: "status" }),
    );
  named("uninstall-app")
    .summary("take the scheduler's application out of Marathon")
    .description(
      "Takes the scheduler's application out of Marathon. Nodes run on until the failover timeout of the framework; " +
        "`framework uninstall` before it gives everything back.",
    )
    .addHelpText("after", examples("ringmaster framework uninstall-app --marathon http://marathon:8080"))
    .action(({ framework: name = DEFAULT_FRAMEWORK, marathon }) =>
      ask({ type: "appRemove", marathon: marathonOf(marathon, env), id: appId(name) }),
    );
  named("wait-for-service")
    .summary("wait until the scheduler answers")
    .description(
      "Waits until the scheduler at --url answers, or, with --marathon, one of the application's tasks there.",
    )
    .option("--timeout <seconds>", `wait no longer than this (default: ${SERVICE_SECONDS})`, secondsAsMs)
    .addHelpText("after", examples("ringmaster framework wait-for-service --timeout 120"))
    .action(({ framework: name = DEFAULT_FRAMEWORK, marathon, timeout: timeoutMs = SERVICE_SECONDS * 1000 }) =>
      ask({ type: "waitForScheduler", ...atMarathon(marathon, env, name), timeoutMs }),
    );
  named("endpoints")
    .summary("show the scheduler's URL")
    .description(
      "Shows the scheduler's URL if it answers: that of --url, or, with --marathon, of the application's tasks there.",
    )
    .addHelpText("after", examples("ringmaster framework endpoints", "ringmaster framework endpoints --json"))
    .action(({ framework: name = DEFAULT_FRAMEWORK, marathon }) =>
      ask({ type: "schedulerEndpoints", ...atMarathon(marathon, env, name) }),
    );
}

/** Marathon is asked only where it is named: a scheduler may run without. */
function atMarathon(flag: string | undefined, env: Env, framework: string) {
  if (flag === undefined && (env["RINGMASTER_MARATHON"] ?? "") === "") return {};
  return { at: { marathon: marathonOf(flag, env), id: appId(framework) } };
}

function withSchedulerOptions(command: Command) {
  return withAppOptions(command)
    .requiredOption("--mesos <url>", "Mesos masters: zk://host:port,.../path, or URLs separated by commas")
    .requiredOption("--store <url>", "where the state is: zk://[user:password@]host:port,.../path");
}

function schedulerApp(options: AppOptions & { readonly mesos: string; readonly store: string }): AppFlags {
  const { mesos, store } = options;
  const flags = appFlagsOf(options);
  if (!store.startsWith("zk://"))
    throw new Failure(
      "usage",
      `Cannot run a scheduler by Marathon: found --store "${store}", wanted zk://…: a file is lost with its task`,
    );
  if (flags.artifactUri === undefined)
    throw new Failure(
      "usage",
      "Cannot run a scheduler by Marathon: found no --artifact-uri, wanted where its agent fetches this binary from",
    );
  return { mode: "scheduler", mesos, store, ...flags };
}

/** Adds the commands below `config`. */
export function addConfigCommands(config: Command, ask: Ask, env: Env): void {
  config
    .summary("show what the commands and the framework are set to")
    .description("Shows what the commands and the framework are set to.");
  config.addHelpText("after", examples("ringmaster config local", "ringmaster config riak-versions"));
  config
    .command("local")
    .summary("show which servers the commands ask")
    .description("Shows which scheduler, director and Marathon the commands ask, and what says so.")
    .addHelpText("after", examples("ringmaster config local --json"))
    .action(() => ask({ type: "local" }));
  withMarathon(config.command("marathon").option("--framework <name>", FRAMEWORK))
    .summary("print the scheduler's application as it was given to Marathon")
    .description("Prints the scheduler's application as Marathon has it, without what Marathon says of its state.")
    .addHelpText("after", examples("ringmaster config marathon --marathon http://marathon:8080 > ringmaster.json"))
    .action(({ framework: name = DEFAULT_FRAMEWORK, marathon }) =>
      ask({ type: "appShow", marathon: marathonOf(marathon, env), id: appId(name), as: "settings" }),
    );
  config
    .command("riak-versions")
    .summary("list the versions of Riak that clusters run, with their packages")
    .description("Lists the versions of Riak that clusters run, with their packages.")
    .addHelpText("after", examples("ringmaster config riak-versions"))
    .action(() => show(ask, "value", "riak", "versions"));
}
