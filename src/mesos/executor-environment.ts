// What an agent tells its executor in environment variables.

/** How an executor reaches its agent, and how patient it is to be. */
export type ExecutorEnvironment = {
  /** The executor API's URL. */
  readonly url: string;
  readonly executorId: string;
  readonly frameworkId: string;
  /** Does the executor outlive its agent's restart? */
  readonly checkpoint: boolean;
  /** How long a checkpointing executor waits for its agent to come back. */
  readonly recoveryTimeoutMs: number;
  /** The longest wait between two tries to subscribe. */
  readonly subscriptionBackoffMaxMs: number;
  /** How long the executor may take to stop before its agent kills it. */
  readonly shutdownGraceMs: number;
  /** Where the agent wants its executors to authenticate. */
  readonly token?: string;
};

type Variables = Readonly<Record<string, string | undefined>>;

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  secs: 1_000,
  mins: 60_000,
  hrs: 3_600_000,
  days: 86_400_000,
  weeks: 604_800_000,
};

/** Reads the variables that an agent sets. Throws one error that names everything that is missing or wrong. */
export function parseExecutorEnvironment(variables: Variables): ExecutorEnvironment {
  const faults: string[] = [];
  const required = (name: string): string => {
    const value = variables[name];
    if (!value) faults.push(`no ${name}`);
    return value ?? "";
  };
  const duration = (name: string, byDefault: string): number => {
    const ms = durationMs(variables[name] ?? byDefault);
    if (ms === undefined) faults.push(`${name} "${variables[name]}", which is no duration like "15mins"`);
    return ms ?? 0;
  };
  const endpoint = required("MESOS_AGENT_ENDPOINT");
  const pid = required("MESOS_SLAVE_PID");
  const [process = "", address] = pid.split("@");
  if (pid !== "" && (process === "" || !address))
    faults.push(`MESOS_SLAVE_PID "${pid}", which is not like "slave(1)@127.0.0.1:5051"`);
  if (endpoint !== "" && !URL.canParse(`http://${endpoint}`))
    faults.push(`MESOS_AGENT_ENDPOINT "${endpoint}", which is not like "127.0.0.1:5051"`);
  const token = variables["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"];
  const environment: ExecutorEnvironment = {
    url: `http://${endpoint}/${process}/api/v1/executor`,
    executorId: required("MESOS_EXECUTOR_ID"),
    frameworkId: required("MESOS_FRAMEWORK_ID"),
    checkpoint: variables["MESOS_CHECKPOINT"] === "1",
    recoveryTimeoutMs: duration("MESOS_RECOVERY_TIMEOUT", "15mins"),
    subscriptionBackoffMaxMs: duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
    shutdownGraceMs: duration("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
    ...(token ? { token } : {}),
  };
  if (faults.length > 0)
    throw new Error(
      `Cannot start as a Mesos executor: found ${faults.join(", ")}; wanted the environment that an agent gives its executors`,
    );
  return environment;
}

/** Mesos' spelling of a duration, e.g. "15mins" or "1.5hrs". */
function durationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([a-z]+)$/u.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}
