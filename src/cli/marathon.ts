// Applications for Marathon: a scheduler, or a director beside clients, each with the binary as its only artifact.

/** What the flags of `… config` and `… install` say. */
export type AppFlags = {
  readonly framework: string;
  readonly artifactUri?: string;
  readonly cpus: number;
  readonly memMb: number;
  readonly instances: number;
  readonly user?: string;
  /** Marathon's own: `hostname:UNIQUE` or `rack:LIKE:r[12]`. */
  readonly constraints: readonly string[];
  /** Further flags of the mode: name without dashes to value, "" where it has none. */
  readonly args: Readonly<Record<string, string>>;
} & (
  | { readonly mode: "scheduler"; readonly mesos: string; readonly store: string }
  | {
      readonly mode: "director";
      readonly cluster: string;
      /** Which listeners there are; asked of the scheduler where it is not given. */
      readonly database?: string;
      /** Instead of following the scheduler. */
      readonly store?: string;
      /** On agents for the public. */
      readonly isPublic: boolean;
    }
);

type Port = { readonly name: string; readonly flag: string };

/** The director's listeners, by database; its admin API comes last. */
const LISTENERS: Readonly<Record<string, readonly Port[]>> = {
  riak: [
    { name: "http", flag: "--http-listen" },
    { name: "pb", flag: "--pb-listen" },
  ],
  cassandra: [{ name: "cql", flag: "--cql-listen" }],
};

export const DATABASES: readonly string[] = Object.keys(LISTENERS);

/** The application's id at Marathon. */
export function appId(framework: string, cluster?: string): string {
  return cluster === undefined ? framework : `${framework}-${cluster}-director`;
}

/** The application; `scheduler` is its URL, which serves the binary too. */
export function marathonApp(flags: AppFlags, scheduler: string, database: string): Readonly<Record<string, unknown>> {
  const { ports, words } = flags.mode === "scheduler" ? schedulerOf(flags) : directorOf(flags, scheduler, database);
  const further = Object.entries(flags.args).flatMap(([name, value]) => [
    `--${name}`,
    ...(value === "" ? [] : [value]),
  ]);
  const health = ports.findIndex(({ name }) => name === "admin" || name === "api");
  const isDirector = flags.mode === "director";
  return {
    id: `/${appId(flags.framework, isDirector ? flags.cluster : undefined)}`,
    cmd: [`./ringmaster ${flags.mode}`, ...[...words, ...further].map(quoted)].join(" "),
    cpus: flags.cpus,
    mem: flags.memMb,
    instances: flags.instances,
    ...(flags.user === undefined ? {} : { user: flags.user }),
    fetch: [{ uri: flags.artifactUri ?? `${scheduler}/static/ringmaster`, executable: true, extract: false }],
    portDefinitions: ports.map(({ name }) => ({ port: 0, protocol: "tcp", name })),
    requirePorts: false,
    constraints: flags.constraints.map((constraint) => constraint.split(":")),
    ...(isDirector && flags.isPublic ? { acceptedResourceRoles: ["slave_public"] } : {}),
    healthChecks: [
      {
        ...{ protocol: "HTTP", path: "/health", portIndex: health, ignoreHttp1xx: false },
        ...(isDirector
          ? { gracePeriodSeconds: 3, intervalSeconds: 10, timeoutSeconds: 10, maxConsecutiveFailures: 3 }
          : { gracePeriodSeconds: 300, intervalSeconds: 60, timeoutSeconds: 20, maxConsecutiveFailures: 5 }),
      },
    ],
  };
}

type Command = { readonly ports: readonly Port[]; readonly words: readonly string[] };

function schedulerOf(flags: Extract<AppFlags, { mode: "scheduler" }>): Command {
  const own = ["--name", flags.framework, "--mesos", flags.mesos, "--store", flags.store];
  const artifact = flags.artifactUri === undefined ? [] : ["--artifact-uri", flags.artifactUri];
  const ports = [{ name: "api", flag: "--http" }];
  return { ports, words: [...own, ...listening(ports), "--advertise", "$HOST", ...artifact] };
}

function directorOf(flags: Extract<AppFlags, { mode: "director" }>, scheduler: string, database: string): Command {
  const ports = [...(LISTENERS[database] ?? []), { name: "admin", flag: "--admin" }];
  const from = flags.store === undefined ? ["--scheduler", scheduler] : ["--store", flags.store];
  const own = ["--framework", flags.framework, "--cluster", flags.cluster, ...from];
  return { ports, words: [...own, ...listening(ports)] };
}

function listening(ports: readonly Port[]): readonly string[] {
  return ports.flatMap(({ flag }, index) => [flag, `0.0.0.0:$PORT${index}`]);
}

/** A word of the shell's; what Marathon puts into the environment is filled in there. */
function quoted(word: string): string {
  if (/^(?:0\.0\.0\.0:)?\$(?:PORT\d+|HOST)$/.test(word) || /^[A-Za-z0-9_./:=@,+-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
