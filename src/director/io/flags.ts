// The director mode's flags.
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { parseStoreUrl } from "../../store/url.ts";
import { DEFAULTS } from "../decide.ts";
import type { Protocol } from "../state.ts";

const EXAMPLES = `
Examples:
  In front of a Riak cluster that the scheduler at zk://zk1 runs:
    ringmaster director --cluster sessions --store zk://zk1:2181,zk2:2181/ --http-listen 0.0.0.0:8098 \\
      --pb-listen 0.0.0.0:8087

  In front of a Cassandra cluster, following the scheduler's API, with nodes of the own rack first:
    ringmaster director --cluster demo --scheduler http://scheduler:8080 --cql-listen 127.0.0.1:9042 --rack rack1

  In front of nodes named by hand:
    ringmaster director --cql-listen 127.0.0.1:9042 --backend 10.0.0.1:9042 --backend 10.0.0.2:9042

  TLS to clients, which must show a certificate, and to the nodes, which share one that names the cluster:
    ringmaster director --cluster demo --scheduler http://scheduler:8080 --cql-listen 0.0.0.0:9142 \\
      --tls-cert director.pem --tls-key director.key --tls-client-ca clients.pem \\
      --backend-tls --backend-tls-ca nodes.pem --backend-tls-name cassandra.example

Operators' commands beside it, each with its own --help:
  status, nodes, clusters, frameworks, configure (of a director that runs); config, install, uninstall, wait-for-service,
  endpoints (of its application at Marathon)
`;

export type Address = { readonly host: string; readonly port: number };
export type StaticBackend = Address & { readonly protocol?: Protocol };
export type DirectorFlags = ReturnType<typeof readFlags>;

function address(text: string): Address {
  const match = /^(?<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.port);
  if (match === null || port > 65_535)
    throw new InvalidArgumentError(`found "${text}", wanted HOST:PORT such as 127.0.0.1:8087`);
  return { host: (match.groups?.host ?? "").replace(/^\[|\]$/g, ""), port };
}

function backend(text: string, before: readonly StaticBackend[]): readonly StaticBackend[] {
  const match = /^(?:(http|pb|cql)=)?(.+)$/.exec(text);
  const found = address(match?.[2] ?? text);
  if (found.port === 0) throw new InvalidArgumentError(`found "${text}", wanted a port from 1 to 65535`);
  return [...before, match?.[1] === undefined ? found : { ...found, protocol: match[1] as Protocol }];
}

function storeUrl(text: string): string {
  try {
    parseStoreUrl(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
  return text;
}

function httpUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:\/\//.test(text))
    throw new InvalidArgumentError(`found "${text}", wanted a URL such as http://scheduler:8080`);
  return text;
}

function name(text: string): string {
  if (!/^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError(
      `found "${text}", wanted at most 40 lower-case letters, digits and dashes, a letter first`,
    );
  return text;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError(`found "${text}", wanted a number of seconds above 0`);
  return value;
}

function count(text: string): number {
  if (!/^\d{1,7}$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError(`found "${text}", wanted a whole number above 0`);
  return Number(text);
}

/** Reads the flags; a wrong one ends the process with code 2, --help with 0. */
export function readFlags(args: readonly string[]) {
  const program = new Command("ringmaster director")
    .description("Stands beside an application and carries its database connections to the nodes that serve.")
    .option("--cluster <name>", "the cluster to follow", name)
    .option("--store <url>", "take its nodes from the store: zk://host:port,.../path or sqlite:FILE", storeUrl)
    .option("--framework <name>", "name of the framework in the store", name, "ringmaster")
    .option("--scheduler <url>", "take its nodes from a scheduler's API", httpUrl)
    .option(
      "--backend <[protocol=]host:port>",
      "a node named by hand; with several listeners: http=, pb= or cql= before it (repeatable)",
      backend,
      [] as readonly StaticBackend[],
    )
    .option("--http-listen <host:port>", "listen for Riak's HTTP", address)
    .addOption(
      new Option("--http-mode <mode>", "HTTP: balance requests (requests) or connections (raw)")
        .choices(["requests", "raw"] as const)
        .default("requests" as const),
    )
    .option(
      "--http-head-timeout <seconds>",
      "by requests: how long a client may take from the first byte of a head to its end, and to its first byte",
      seconds,
      10,
    )
    .option("--http-idle-timeout <seconds>", "by requests: how long it may rest between two requests", seconds, 300)
    .option("--pb-listen <host:port>", "listen for Riak's protocol buffers", address)
    .addOption(
      new Option("--pb-mode <mode>", "protocol buffers: balance connections (raw) or requests (frames)")
        .choices(["raw", "frames"] as const)
        .default("raw" as const),
    )
    .option("--cql-listen <host:port>", "listen for Cassandra's native protocol", address)
    .addOption(
      new Option(
        "--cql-mode <mode>",
        "CQL: answer what drivers ask of the nodes so that they stay here (stay), or not (raw)",
      )
        .choices(["stay", "raw"] as const)
        .default("stay" as const),
    )
    .option("--admin <host:port>", "listen for /status, /ready, /metrics and the like", address, {
      host: "127.0.0.1",
      port: 9000,
    })
    .option("--tls-cert <file>", "speak TLS with clients, with this certificate (PEM; read again when it changes)")
    .option("--tls-key <file>", "its key")
    .option("--tls-client-ca <file>", "ask clients for certificates of this CA")
    .addOption(
      new Option("--tls-clients <rule>", "whether a client must show one; a wrong one is refused in any case")
        .choices(["required", "optional"] as const)
        .default("required" as const),
    )
    .option("--backend-tls", "speak TLS with the nodes")
    .option("--backend-tls-ca <file>", "the CA of the nodes' certificates (default: those that Mozilla trusts)")
    .option("--backend-tls-cert <file>", "the certificate shown to nodes that ask for one")
    .option("--backend-tls-key <file>", "its key")
    .option("--backend-tls-name <name>", "the name in the nodes' certificates (default: each node's host)")
    .addOption(
      new Option("--backend-tls-check <what>", "check CA and name (host), or only the CA (ca)")
        .choices(["host", "ca"] as const)
        .default("host" as const),
    )
    .option("--rack <name>", "the director's rack: nodes there come first")
    .option("--zone <name>", "the director's zone: nodes there come first, after those of the rack")
    .option(
      "--max-clients <count>",
      "clients at a time on each listener (at most, and by default: what the open files' limit allows)",
      count,
    )
    .option("--max-connections <count>", "connections to one node on each listener", count, DEFAULTS.connectionsMax)
    .option("--queue <count>", "clients that may wait for a node on each listener", count, DEFAULTS.queueMax)
    .option("--queue-timeout <seconds>", "how long they may wait", seconds, DEFAULTS.queueTimeoutMs / 1000)
    .option("--connect-timeout <seconds>", "how long a node may take to accept", seconds, 2)
    .option("--probe-interval <seconds>", "how often each node is probed", seconds, DEFAULTS.probeIntervalMs / 1000)
    .option("--probe-timeout <seconds>", "how long a node may take to answer a probe", seconds, 2)
    .option(
      "--drain-timeout <seconds>",
      "how long connections may go on to a node that is to stop, and all when the director stops",
      seconds,
      DEFAULTS.drainTimeoutMs / 1000,
    )
    .option("--processes <count>", "processes that share the listeners' ports, each with limits of its own", count, 1)
    .addOption(new Option("--part", "this is one of several processes").hideHelp())
    .option("--log-level <level>", "debug, info, warn or error", "info")
    .option("--log-json", "JSON lines even on a terminal")
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows all flags with examples)")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  program.parse([...args], { from: "user" });
  return program.opts();
}
