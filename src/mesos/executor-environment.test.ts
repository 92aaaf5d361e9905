// What an agent tells its executor, and what is said of an environment that no agent made.
import { expect, test } from "bun:test";
import { parseExecutorEnvironment } from "./executor-environment.ts";

const AGENT = {
  MESOS_AGENT_ENDPOINT: "10.0.0.1:5051",
  MESOS_SLAVE_PID: "slave(1)@10.0.0.1:5051",
  MESOS_EXECUTOR_ID: "executor-1",
  MESOS_FRAMEWORK_ID: "framework-1",
};

test("What an agent with checkpointing sets is read", () => {
  const variables = {
    ...AGENT,
    MESOS_CHECKPOINT: "1",
    MESOS_RECOVERY_TIMEOUT: "1.5hrs",
    MESOS_SUBSCRIPTION_BACKOFF_MAX: "300ms",
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: "1mins",
    MESOS_EXECUTOR_AUTHENTICATION_TOKEN: "abc",
  };
  expect(parseExecutorEnvironment(variables)).toEqual({
    url: "http://10.0.0.1:5051/slave(1)/api/v1/executor",
    executorId: "executor-1",
    frameworkId: "framework-1",
    checkpoint: true,
    recoveryTimeoutMs: 5_400_000,
    subscriptionBackoffMaxMs: 300,
    shutdownGraceMs: 60_000,
    token: "abc",
  });
});

test("What an agent does not set has Mesos' defaults", () => {
  expect(parseExecutorEnvironment(AGENT)).toEqual({
    url: "http://10.0.0.1:5051/slave(1)/api/v1/executor",
    executorId: "executor-1",
    frameworkId: "framework-1",
    checkpoint: false,
    recoveryTimeoutMs: 900_000,
    subscriptionBackoffMaxMs: 2_000,
    shutdownGraceMs: 5_000,
  });
});

test("One error names all that is missing or wrong", () => {
  expect(() => parseExecutorEnvironment({})).toThrow(
    "Cannot start as a Mesos executor: found no MESOS_AGENT_ENDPOINT, no MESOS_SLAVE_PID, no MESOS_EXECUTOR_ID, no MESOS_FRAMEWORK_ID; wanted the environment that an agent gives its executors",
  );
  const wrong = { ...AGENT, MESOS_SLAVE_PID: "slave(1)", MESOS_AGENT_ENDPOINT: "a b", MESOS_RECOVERY_TIMEOUT: "soon" };
  expect(() => parseExecutorEnvironment(wrong)).toThrow(
    'found MESOS_SLAVE_PID "slave(1)", which is not like "slave(1)@127.0.0.1:5051", MESOS_AGENT_ENDPOINT "a b", which is not like "127.0.0.1:5051", MESOS_RECOVERY_TIMEOUT "soon", which is no duration like "15mins"',
  );
});
