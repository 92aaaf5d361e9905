// The operator's commands below `ringmaster director`: of a director that runs, and of its application at Marathon.
import { Option, type Command, type OptionValues } from "@commander-js/extra-typings";
import {
  appFlagsOf,
  type AppOptions,
  DEFAULT_FRAMEWORK,
  FRAMEWORK,
  marathonOf,
  withAppOptions,
  withMarathon,
} from "./app-options.ts";
import { type Ask, type Env, examples, SERVICE_SECONDS, secondsAsMs, urlOf } from "./arguments.ts";
import type { DIRECTOR_WORDS } from "./mode-words.ts";
import { type AppFlags, appId, DATABASES } from "./marathon.ts";

type Word = (typeof DIRECTOR_WORDS)[number];
type Add = (director: Command, word: Word) => Command;

const DEFAULT_DIRECTOR = "http://127.0.0.1:9000";
const DIRECTOR = `its admin API (default: RINGMASTER_DIRECTOR_URL or ${DEFAULT_DIRECTOR})`;
const CLUSTER = "name of the cluster";

/** What can be read of a running director: name, summary, description. */
const READS = [
  [
    "status",
    "show a director's listeners and their backends",
    "Shows a running director's listeners, their backends and how they are.",
  ],
  ["nodes", "list the nodes that a director knows", "Lists the nodes that a running director knows, and their ports."],
  [
    "clusters",
    "list the clusters of a director's framework",
    "Lists the clusters of the framework that a running director follows.",
  ],
  ["frameworks", "list the frameworks that a director knows", "Lists the frameworks that a running director knows."],
] as const;

/** Adds them below the mode's own command. */
export function addDirectorCommands(director: Command, ask: Ask, env: Env): void {
  const add: Add = (parent, word) => parent.command(word);
  for (const [word, summary, description] of READS)
    add(director, word)
      .summary(summary)
      .description(description)
      .option("--director <url>", DIRECTOR)
      .addHelpText(
        "after",
        examples(`ringmaster director ${word}`, `ringmaster director ${word} --director http://host:9000 --json`),
      )
      .action(({ director: url }) => ask({ type: "directorRead", director: directorOf(url, env), read: word }));
  add(director, "configure")
    .summary("let a director follow another cluster")
    .description(
      "Lets a running director follow another cluster from now on. Its backends stay until that one's are known.",
    )
    .requiredOption("-c, --cluster <name>", CLUSTER)
    .option("-f, --framework <name>", FRAMEWORK)
    .option("--director <url>", DIRECTOR)
    .addHelpText("after", examples("ringmaster director configure -f ringmaster -c sessions"))
    .action(({ cluster, framework = DEFAULT_FRAMEWORK, director: url }) =>
      ask({ type: "directorConfigure", director: directorOf(url, env), framework, cluster }),
    );
  addApp(director, add, ask, env);
  addAtMarathon(director, add, ask, env);
}

function directorOf(flag: string | undefined, env: Env): string {
  if (flag !== undefined) return urlOf(flag, "--director");
  const { RINGMASTER_DIRECTOR_URL: known = "" } = env;
  return known === "" ? DEFAULT_DIRECTOR : urlOf(known, "RINGMASTER_DIRECTOR_URL");
}

function withDirectorOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return withAppOptions(command)
    .addOption(
      new Option("--database <name>", "which listeners it has (default: those of the cluster's database)").choices(
        DATABASES,
      ),
    )
    .option("--store <url>", "take the nodes from the store (default: from the scheduler)")
    .option("--public", "run on agents for the public: role slave_public");
}

type DirectorOptions = AppOptions & { readonly database?: string; readonly store?: string; readonly public?: true };

function directorApp(cluster: string, options: DirectorOptions): AppFlags {
  const { database, store } = options;
  return {
    ...{ mode: "director", cluster, isPublic: options.public === true },
    ...appFlagsOf(options),
    ...(database === undefined ? {} : { database }),
    ...(store === undefined ? {} : { store }),
  };
}

function addApp(director: Command, add: Add, ask: Ask, env: Env): void {
  withDirectorOptions(add(director, "config").argument("<cluster>", CLUSTER))
    .summary("print a Marathon application for a director")
    .description("Prints a Marathon application that runs a director of the cluster.")
    .addHelpText("after", examples("ringmaster director config sessions > director.json"))
    .action((cluster, options) => ask({ type: "app", app: directorApp(cluster, options) }));
  withMarathon(withDirectorOptions(add(director, "install").argument("<cluster>", CLUSTER)))
    .summary("run a director by Marathon")
    .description("Gives Marathon the application that `director config` prints.")
    .addHelpText(
      "after",
      examples("ringmaster director install sessions --marathon http://marathon:8080 --arg rack=r1"),
    )
    .action((cluster, { marathon, ...options }) =>
      ask({ type: "app", app: directorApp(cluster, options), marathon: marathonOf(marathon, env) }),
    );
}

function addAtMarathon(director: Command, add: Add, ask: Ask, env: Env): void {
  const named = (word: Word) =>
    withMarathon(add(director, word).argument("<cluster>", CLUSTER).option("--framework <name>", FRAMEWORK));
  named("uninstall")
    .summary("take a director's application out of Marathon")
    .description("Takes a director's application out of Marathon.")
    .addHelpText("after", examples("ringmaster director uninstall sessions --marathon http://marathon:8080"))
    .action((cluster, { framework = DEFAULT_FRAMEWORK, marathon }) =>
      ask({ type: "appRemove", marathon: marathonOf(marathon, env), id: appId(framework, cluster) }),
    );
  named("wait-for-service")
    .summary("wait until a director at Marathon is healthy")
    .description("Waits until Marathon finds a director of the cluster healthy.")
    .option("--timeout <seconds>", `wait no longer than this (default: ${SERVICE_SECONDS})`, secondsAsMs)
    .addHelpText("after", examples("ringmaster director wait-for-service sessions --timeout 120"))
    .action((cluster, { framework = DEFAULT_FRAMEWORK, marathon, timeout: timeoutMs = SERVICE_SECONDS * 1000 }) =>
      ask({ type: "appWait", marathon: marathonOf(marathon, env), id: appId(framework, cluster), timeoutMs }),
    );
  named("endpoints")
    .summary("show where a director at Marathon listens")
    .description("Shows host and port of each listener of a director at Marathon.")
    .addHelpText("after", examples("ringmaster director endpoints sessions --json"))
    .action((cluster, { framework = DEFAULT_FRAMEWORK, marathon }) => {
      const id = appId(framework, cluster);
      ask({ type: "appEndpoints", marathon: marathonOf(marathon, env), id, about: { framework, cluster } });
    });
}
