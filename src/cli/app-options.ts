// Options of the commands that make Marathon applications, and of those that look at them there.
import type { Command, OptionValues } from "@commander-js/extra-typings";
import { type Env, collected, collectedPair, decimalNumber, urlOf, wholeNumber } from "./arguments.ts";
import { Failure } from "./failure.ts";

export const FRAMEWORK = "name of the framework (default: ringmaster)";
export const DEFAULT_FRAMEWORK = "ringmaster";
const MARATHON = "Marathon's URL (default: RINGMASTER_MARATHON)";

/** What applications of both modes have. */
export function withAppOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .option("--framework <name>", FRAMEWORK)
    .option("--artifact-uri <uri>", "where agents fetch this binary from (default: the scheduler's own)")
    .option("--cpus <cpus>", "processors (default: 0.5)", decimalNumber)
    .option("--mem <mb>", "memory, MB (default: 512)", wholeNumber)
    .option("--instances <count>", "how many of it (default: 1)", wholeNumber)
    .option("--user <name>", "the user it runs as")
    .option("--constraint <constraint>", "Marathon's own, e.g. hostname:UNIQUE; may be repeated", collected)
    .option("--arg <flag=value>", "a further flag of the mode, e.g. drain-timeout=30; may be repeated", collectedPair);
}

export type AppOptions = {
  readonly framework?: string;
  readonly artifactUri?: string;
  readonly cpus?: number;
  readonly mem?: number;
  readonly instances?: number;
  readonly user?: string;
  readonly constraint?: readonly string[];
  readonly arg?: Readonly<Record<string, string>>;
};

export function appFlagsOf(options: AppOptions) {
  const { framework = DEFAULT_FRAMEWORK, artifactUri, cpus = 0.5, mem = 512, instances = 1, user } = options;
  return {
    ...{ framework, cpus, memMb: mem, instances, constraints: options.constraint ?? [], args: options.arg ?? {} },
    ...(artifactUri === undefined ? {} : { artifactUri }),
    ...(user === undefined ? {} : { user }),
  };
}

export function withMarathon<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command.option("--marathon <url>", MARATHON);
}

/** Throws a usage Failure where nobody says which Marathon. */
export function marathonOf(flag: string | undefined, env: Env): string {
  if (flag !== undefined) return urlOf(flag, "--marathon");
  const { RINGMASTER_MARATHON: known = "" } = env;
  if (known !== "") return urlOf(known, "RINGMASTER_MARATHON");
  throw new Failure("usage", "Cannot ask Marathon: found no URL of it, wanted --marathon or RINGMASTER_MARATHON");
}
