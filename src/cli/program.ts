// The command line: every command with its options, help and examples, read into a Request. Nothing is carried out here.
import { Argument, Command, CommanderError } from "@commander-js/extra-typings";
import { type Ask, type Env, examples, urlOf } from "./arguments.ts";
import { addClusterCommands } from "./cluster-commands.ts";
import { completionScript, MODES_GROUP, SHELLS } from "./completion.ts";
import { addDirectorCommands } from "./director-commands.ts";
import { EXIT } from "./failure.ts";
import { addConfigCommands, addFrameworkApps } from "./framework-apps.ts";
import { addFrameworkCommands } from "./framework-commands.ts";
import { addNodeCommands } from "./node-commands.ts";
import { addPlanCommands } from "./plan-commands.ts";
import { CLEAN } from "./mode-words.ts";
import type { Request, Task } from "./request.ts";

const DEFAULT_URL = "http://127.0.0.1:8080";

/** What a command line comes to: something to do, or a text that is all there is to it. */
export type Reading =
  | { readonly type: "request"; readonly request: Request }
  | { readonly type: "text"; readonly out: string; readonly err: string; readonly code: number };

const MODES: Readonly<Record<string, string>> = {
  scheduler: "run the Mesos framework: HTTP API and dashboard",
  executor: "run one database node on an agent; Mesos starts it, or you with --task FILE",
  cepmd: "run an Erlang port mapper without a fixed port",
  director: "run the proxy beside client applications",
};

const ABOUT = `
Environment:
  RINGMASTER_URL           the scheduler's URL where --url is not given
  RINGMASTER_DIRECTOR_URL  a director's admin API where --director is not given
  RINGMASTER_MARATHON      Marathon's URL where --marathon is not given

Exit codes:
  0  done
  1  the request failed or was refused
  2  the command line, or a file that it names, is wrong; nothing was sent
  3  the scheduler cannot be reached
  4  the time to wait ran out; what was asked for goes on
`;

/** Reads the words after the program's name. Throws a usage Failure for a URL that is none. */
export function readArguments(args: readonly string[], env: Env): Reading {
  const said = { out: "", err: "" };
  const asked: Task[] = [];
  const program = programOf(said, (task) => void asked.push(task), env);
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { type: "text", ...said, code: error.exitCode === 0 ? EXIT.ok : EXIT.usage };
  }
  const [task] = asked;
  if (task === undefined) return { type: "text", ...said, code: EXIT.ok };
  const { url, json = false } = program.opts();
  return { type: "request", request: { ...schedulerOf(url, env.RINGMASTER_URL), json, task } };
}

/** The scheduler to ask, and how hints name it. */
function schedulerOf(flag: string | undefined, env: string | undefined): Pick<Request, "url" | "program"> {
  if (flag !== undefined) {
    const url = urlOf(flag, "--url");
    return { url, program: `ringmaster --url ${url}` };
  }
  const url = env === undefined || env === "" ? DEFAULT_URL : urlOf(env, "RINGMASTER_URL");
  return { url, program: "ringmaster" };
}

/** The commands. What commander prints goes to `said`, what a command asks for to `ask`. */
function programOf(said: { out: string; err: string }, ask: Ask, env: Env) {
  const program = new Command("ringmaster")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void (said.out += text),
      writeErr: (text) => void (said.err += text),
      outputError: (text, write) =>
        write(text.replace(/^error: (.)/, (_, first: string) => `ringmaster: ${first.toUpperCase()}`)),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: true, subcommandTerm: termOf })
    .showHelpAfterError("Add --help to see what there is, with examples.")
    .description("Runs Cassandra and Riak clusters on Apache Mesos: one binary for scheduler, executors and operators.")
    .option("--url <url>", `the scheduler's URL (default: RINGMASTER_URL or ${DEFAULT_URL})`)
    .option("--json", "the API's own JSON on stdout, a refusal's too, and nothing else there")
    .addHelpText(
      "after",
      ABOUT + examples("ringmaster cluster create --help", "ringmaster cluster list --json", "ringmaster --version"),
    );
  addClusterCommands(program.command("cluster"), ask);
  addNodeCommands(program.command("node"), ask);
  addPlanCommands(program.command("plan"), ask);
  const framework = program.command("framework");
  addFrameworkCommands(framework, ask);
  addFrameworkApps(framework, ask, env);
  addMode(
    framework.command(CLEAN),
    "forget a framework that is gone: takes its records out of the store",
    `framework ${CLEAN}`,
  );
  addConfigCommands(program.command("config"), ask, env);
  program
    .command("doctor")
    .summary("show what does not fit together, repair what is safe")
    .description(
      "Compares the scheduler's records with Mesos and the databases, and shows what does not fit: orphans, stale records, foreign reservations, nodes at odds with their configuration or their ring. Ends with 1 while there is more than notes.",
    )
    .option("--repair", "repair what cannot touch any data, each once you have said yes")
    .option("--yes", "do not ask")
    .addHelpText("after", examples("ringmaster doctor", "ringmaster doctor --repair"))
    .action(({ repair = false, yes = false }) => ask({ type: "doctor", repair, yes }));
  program
    .command("completion")
    .summary("print the completion script of a shell")
    .description("Prints the completion script of a shell.")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .addHelpText("after", examples("source <(ringmaster completion bash)", "ringmaster completion fish | source"))
    .action((shell) => void (said.out += completionScript(shell, program)));
  for (const [mode, about] of Object.entries(MODES)) {
    const command = program.command(mode);
    addMode(command, about);
    if (mode === "director") addDirectorCommands(command, ask, env);
  }
  return program;
}

/** How a command stands in the list of its parent's: with its own words for its arguments (node-arguments.ts). */
function termOf(command: { name(): string; usage(): string }): string {
  return `${command.name()} ${command.usage().replace(/^\[options\] ?|\[command\]/g, "")}`.trimEnd();
}

/** src/main.ts runs the modes; here they are shown, and told apart from what is no command at all. */
function addMode(command: Command, about: string, words = command.name()): void {
  command
    .summary(about)
    .description(`A mode: ${about}. Its own help: ringmaster ${words} --help`)
    .configureHelp({ showGlobalOptions: false })
    .helpGroup(MODES_GROUP)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() =>
      command.error(
        `error: cannot run mode "${words}": found it after other words, or not in this build, wanted "ringmaster ${words}"`,
      ),
    );
}
