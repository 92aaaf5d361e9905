// The scheduler mode's flags.
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";

const EXAMPLES = `
Examples:
  A first try on one machine (state in a file, artifact served by the scheduler itself):
    ringmaster scheduler --mesos http://127.0.0.1:5050 --store sqlite:ringmaster.sqlite

  On a cluster, as Marathon runs it:
    ringmaster scheduler --mesos zk://zk1:2181,zk2:2181/mesos --store zk://zk1:2181,zk2:2181/ --http 0.0.0.0:$PORT0 \\
      --artifact-uri https://artifacts.example/ringmaster --mesos-principal ringmaster --mesos-secret-file secret
`;

export type SchedulerFlags = ReturnType<typeof readFlags>;

function listenAddress(text: string): { readonly hostname: string; readonly port: number } {
  const match = /^(?<host>[A-Za-z0-9.-]+):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.port);
  if (match === null || port > 65_535)
    throw new InvalidArgumentError(`found "${text}", wanted HOST:PORT such as 0.0.0.0:8080`);
  return { hostname: match.groups?.host ?? "", port };
}

function frameworkName(text: string): string {
  if (!/^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(text)) {
    throw new InvalidArgumentError(
      `found "${text}", wanted at most 40 lower-case letters, digits and dashes, a letter first`,
    );
  }
  return text;
}

function role(text: string): string {
  if (text === "*" || /[\s\\]/.test(text) || text === "." || text === ".." || /^[-/]|\/$/.test(text)) {
    throw new InvalidArgumentError(
      `found "${text}", wanted a role of its own, such as "ringmaster": only reserved resources keep data`,
    );
  }
  return text;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError(`found "${text}", wanted a number of seconds above 0`);
  return value;
}

/** Seconds that may be 0. */
function patience(text: string): number {
  return text === "0" ? 0 : seconds(text);
}

/** Seconds; for "never" and 0 there are infinitely many. */
function secondsOrNever(text: string): number {
  if (text === "never" || text === "0") return Infinity;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError(`found "${text}", wanted a number of seconds above 0, or "never"`);
  return value;
}

/** Reads the flags; a wrong one ends the process with code 2, --help with 0. */
export function readFlags(args: readonly string[]) {
  const program = new Command("ringmaster scheduler")
    .description(
      "Runs the Mesos framework: clusters, plans, HTTP API. Any number with one --name: one leads, the others stand by.",
    )
    .requiredOption("--mesos <url>", "Mesos masters: zk://host:port,.../path, or URLs separated by commas")
    .option(
      "--store <url>",
      "where the state is: sqlite:FILE or zk://[user:password@]host:port,.../path",
      "sqlite:ringmaster.sqlite",
    )
    .option(
      "--session-timeout <seconds>",
      "how long the store waits for a leader that is silent before another leads (ZooKeeper grants 2 to 20 of its ticks)",
      seconds,
      4,
    )
    .option("--name <name>", "framework name: owner of everything in the store under it", frameworkName, "ringmaster")
    .option("--role <role>", "Mesos role to reserve for (default: the name)", role)
    .option("--http <host:port>", "where the API listens", listenAddress, { hostname: "127.0.0.1", port: 8080 })
    .option("--advertise <host>", "host name under which agents and people reach the API (default: the listening one)")
    .option(
      "--artifact-uri <uri>",
      "where agents fetch this binary from (default: the scheduler's own /static/ringmaster)",
    )
    .option("--mesos-principal <principal>", "principal for framework authentication")
    .option("--mesos-secret-file <file>", "file with that principal's secret")
    .option(
      "--mesos-timeout <seconds>",
      "how long a framework that Mesos does not know yet tries to subscribe before it gives up",
      seconds,
      30,
    )
    .option("--failover-timeout <seconds>", "how long Mesos keeps nodes running without a scheduler", seconds, 604_800)
    .option("--drain <seconds>", "how long clients of a node may finish before a plan stops it", patience, 10)
    .option(
      "--permanent-after <seconds>",
      'how long an agent may be out of sight before its nodes are replaced elsewhere; 0 or "never": for ever',
      secondsOrNever,
      3600,
    )
    .option("--user <user>", "user that executors run as (default: the user of the scheduler)")
    .option(
      "--record <file>",
      "add every event and what was decided to this file, without secrets, at most 256 MiB (docs/OPERATING.md)",
    )
    .option("--log-level <level>", "debug, info, warn or error", "info")
    .option("--log-json", "JSON lines even on a terminal")
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows all flags with examples)")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  program.parse([...args], { from: "user" });
  return program.opts();
}
