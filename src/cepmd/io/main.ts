// `ringmaster cepmd`: an EPMD that shares its names with those of other agents, or stands in for Erlang's epmd alone.
import { parseStoreUrl } from "../../store/url.ts";
import { type CepmdOptions, startCepmd } from "./run.ts";

const HELP = `Usage: ringmaster cepmd [--port PORT] [--address IP,...] [--store URL --framework NAME --host NAME]

Answers Erlang nodes as Erlang's own epmd does. With --store it shares the names with the cEPMDs of other
agents, so that nodes find each other wherever they listen. Runs until Ctrl-C or until "epmd -kill".

Options:
  --port PORT               where to listen; 0: any free port, which is printed (default: 4369)
  --address IP,...          addresses to listen on, and the loopback one (default: all; with --store: 127.0.0.1)
  --store URL               share names: zk://[user:password@]host:port,.../path or sqlite:FILE
  --framework NAME          whose names they are (default: ringmaster)
  --host NAME               host name or address of this agent, as other agents reach it (default: its host name)
  --relaxed-command-check   let "epmd -kill" and "epmd -stop" work in spite of registered nodes
  --help                    print this text

Examples:
  In the place of epmd:
    ringmaster cepmd
  On an agent, for nodes started with ERL_EPMD_PORT=4400 and -epmd_module ringmaster_epmd:
    ringmaster cepmd --port 4400 --store zk://zk1:2181,zk2:2181/ --framework ringmaster --host agent-1
`;

const EPMD_PORT = 4369;
const STOP_MS = 2000;
const FRAMEWORK = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
const HOST = /^[A-Za-z0-9._:-]{1,253}$/;
const IP = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/;

const TEXTS = ["port", "address", "store", "framework", "host"] as const;
const FLAGS = ["relaxed-command-check", "help"] as const;
type Values = { [Name in (typeof TEXTS)[number]]?: string } & { [Name in (typeof FLAGS)[number]]?: boolean };

/** Returns the exit code: 0 when it was asked to end. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const values = readArguments(args);
    if (values.help === true) {
      console.log(HELP);
      return 0;
    }
    return await run(await readOptions(values));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function run(options: CepmdOptions): Promise<number> {
  const cepmd = await startCepmd(options);
  const { store } = options;
  const shared = store === undefined ? "" : `, as "${store.host}" of ${store.root}`;
  say(`cEPMD listens on ${options.addresses.join(", ")} port ${cepmd.port}${shared}`);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.resolve());
  await Promise.race([cepmd.ended, stopped.promise]);
  // A store that is away cannot be told; our names go when the session ends.
  await Promise.race([cepmd.stop(), Bun.sleep(STOP_MS)]);
  return 0;
}

/** Not node:util's reader, which would be an eighth of the memory. */
function readArguments(args: readonly string[]): Values {
  const values: Values = {};
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, name, given] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argument === "-h" ? "--help" : argument) ?? [];
    const text = TEXTS.find((known) => known === name);
    const flag = FLAGS.find((known) => known === name);
    if (flag !== undefined && given === undefined) values[flag] = true;
    else if (text === undefined) throw misread(`found "${argument}", which is no option`);
    else {
      const value = given ?? rest.shift();
      if (value === undefined) throw misread(`found --${text} at the end, wanted a value after it`);
      values[text] = value;
    }
  }
  return values;
}

function misread(why: string): Error {
  return new Error(`Cannot read the arguments: ${why}; see ringmaster cepmd --help`);
}

async function readOptions(values: Values): Promise<CepmdOptions> {
  const { store } = values;
  const port = checked("--port", values.port ?? String(EPMD_PORT), /^\d{1,5}$/, "a number from 0 to 65535");
  if (Number(port) > 65_535) throw refusal("--port", port, "a number from 0 to 65535");
  const listed = values.address?.split(",") ?? (store === undefined ? ["::"] : ["127.0.0.1"]);
  const addresses = listed.map((address) =>
    checked("--address", address.trim(), IP, "IP addresses with commas between"),
  );
  const options = {
    addresses: withLoopback(addresses),
    port: Number(port),
    relaxed: values["relaxed-command-check"] === true,
    say,
  };
  if (store === undefined) {
    for (const name of ["framework", "host"] as const)
      if (values[name] !== undefined) throw new Error(`Cannot use --${name}: found no --store, wanted both`);
    return options;
  }
  // A malformed URL is told at once; one that does not answer is waited for.
  parseStoreUrl(store);
  const framework = checked(
    "--framework",
    values.framework ?? "ringmaster",
    FRAMEWORK,
    "the framework's name: at most 40 lower-case letters, digits and dashes, a letter first",
  );
  const host = checked("--host", values.host ?? (await hostName()), HOST, "a host name or an IP address");
  return { ...options, store: { url: store, root: `/ringmaster/${framework}`, host } };
}

/** Local clients come by the loopback address, whatever else is listened on. */
function withLoopback(addresses: readonly string[]): readonly string[] {
  const covered = addresses.some((address) => address.startsWith("127.") || address === "0.0.0.0" || address === "::");
  return covered ? addresses : [...addresses, "127.0.0.1"];
}

async function hostName(): Promise<string> {
  const { hostname } = await import("node:os");
  return hostname();
}

function checked(flag: string, value: string, pattern: RegExp, wanted: string): string {
  if (!pattern.test(value)) throw refusal(flag, value, wanted);
  return value;
}

function refusal(flag: string, found: string, wanted: string): Error {
  return new Error(`Cannot use ${flag}: found "${found}", wanted ${wanted}`);
}

/** cEPMD's log: a line with its time for each thing that happens. A logging library would be a quarter of its memory. */
function say(text: string): void {
  console.log(`${new Date().toISOString()} ${text}`);
}
