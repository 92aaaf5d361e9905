// The scheduler API's calls, as Mesos reads their bytes.
import { describe, expect, test } from "bun:test";
import type { FrameworkInfo, SchedulerCall } from "../scheduler-api.ts";
import type { TaskInfo } from "../task.ts";
import { v1 } from "./protobuf.ts";
import { encodeCall, encodeSubscribe } from "./scheduler.ts";

const { Call } = v1.scheduler;
const UUID = Buffer.from("0123456789abcdef");
const { SCALAR } = v1.Value.Type;

const FRAMEWORK: FrameworkInfo = {
  name: "ringmaster",
  user: "nobody",
  roles: ["databases"],
  failoverTimeoutMs: 604_800_000,
  capabilities: ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "REGION_AWARE"],
};

const TASK: TaskInfo = {
  name: "server",
  taskId: "task-1",
  agentId: "agent-1",
  resources: [{ name: "cpus", scalar: 1, reservations: [] }],
  executor: {
    executorId: "executor-1",
    frameworkId: "framework-1",
    name: "executor",
    source: "demo",
    resources: [{ name: "mem", scalar: 64, reservations: [] }],
    command: {
      uris: [
        { value: "http://host/ringmaster", executable: true, cache: true },
        { value: "file:///a.tgz", extract: false, outputFile: "b" },
      ],
      environment: { A: "1", B: "" },
      value: "./ringmaster executor",
      user: "db",
    },
    labels: { cluster: "demo" },
    shutdownGraceMs: 1_500,
  },
  data: Buffer.from("data"),
  labels: { node: "1" },
  killGraceMs: 60_000,
  discovery: { name: "demo-1", ports: { native: 9042 } },
};

/** What Mesos reads of a SUBSCRIBE or another call. */
function read(bytes: Uint8Array): object {
  return Call.decode(bytes);
}

describe("SUBSCRIBE", () => {
  const info = {
    user: "nobody",
    name: "ringmaster",
    failover_timeout: 604_800,
    checkpoint: true,
    roles: ["databases"],
    capabilities: [6, 7, 5, 8].map((type) => ({ type })),
  };

  test("of a new framework has no id", () => {
    expect(read(encodeSubscribe(FRAMEWORK, []))).toEqual({
      type: Call.Type.SUBSCRIBE,
      subscribe: { framework_info: info, suppressed_roles: [] },
    });
  });

  test("of a known one has its id twice", () => {
    const known = { ...FRAMEWORK, id: "framework-1", principal: "p", hostname: "h", webuiUrl: "http://h" };
    expect(read(encodeSubscribe(known, ["databases"]))).toEqual({
      type: Call.Type.SUBSCRIBE,
      framework_id: { value: "framework-1" },
      subscribe: {
        framework_info: { ...info, id: { value: "framework-1" }, principal: "p", hostname: "h", webui_url: "http://h" },
        suppressed_roles: ["databases"],
      },
    });
  });
});

describe("A call is read by Mesos as it was meant:", () => {
  const { Type } = Call;
  const cpus = { name: "cpus", scalar: 1, reservations: [] };
  const wireCpus = { name: "cpus", type: SCALAR, scalar: { value: 1 }, reservations: [] };
  const { Type: Operation } = v1.Offer.Operation;
  test.each<readonly [string, SchedulerCall, object]>([
    [
      "accept",
      {
        type: "accept",
        offerIds: ["o1", "o2"],
        operations: [
          { type: "reserve", resources: [cpus] },
          { type: "create", volumes: [cpus], id: "c" },
          { type: "destroy", volumes: [cpus], id: "d" },
          { type: "unreserve", resources: [cpus] },
        ],
        refuseSeconds: 2.5,
      },
      {
        type: Type.ACCEPT,
        accept: {
          offer_ids: [{ value: "o1" }, { value: "o2" }],
          operations: [
            { type: Operation.RESERVE, reserve: { source: [], resources: [wireCpus] } },
            { type: Operation.CREATE, id: { value: "c" }, create: { volumes: [wireCpus] } },
            { type: Operation.DESTROY, id: { value: "d" }, destroy: { volumes: [wireCpus] } },
            { type: Operation.UNRESERVE, unreserve: { resources: [wireCpus] } },
          ],
          filters: { refuse_seconds: 2.5 },
        },
      },
    ],
    [
      "decline",
      { type: "decline", offerIds: ["o1"], refuseSeconds: 0 },
      { type: Type.DECLINE, decline: { offer_ids: [{ value: "o1" }], filters: { refuse_seconds: 0 } } },
    ],
    [
      "acceptInverseOffers",
      { type: "acceptInverseOffers", inverseOfferIds: ["i"], refuseSeconds: 60 },
      {
        type: Type.ACCEPT_INVERSE_OFFERS,
        accept_inverse_offers: { inverse_offer_ids: [{ value: "i" }], filters: { refuse_seconds: 60 } },
      },
    ],
    [
      "declineInverseOffers",
      { type: "declineInverseOffers", inverseOfferIds: ["i"], refuseSeconds: 9 },
      {
        type: Type.DECLINE_INVERSE_OFFERS,
        decline_inverse_offers: { inverse_offer_ids: [{ value: "i" }], filters: { refuse_seconds: 9 } },
      },
    ],
    ["suppress", { type: "suppress" }, { type: Type.SUPPRESS }],
    ["revive", { type: "revive" }, { type: Type.REVIVE }],
    ["teardown", { type: "teardown" }, { type: Type.TEARDOWN }],
    ["kill", { type: "kill", taskId: "t" }, { type: Type.KILL, kill: { task_id: { value: "t" } } }],
    [
      "kill with grace",
      { type: "kill", taskId: "t", agentId: "a", graceMs: 1_500 },
      {
        type: Type.KILL,
        kill: {
          task_id: { value: "t" },
          agent_id: { value: "a" },
          kill_policy: { grace_period: { nanoseconds: 1.5e9 } },
        },
      },
    ],
    [
      "shutdown",
      { type: "shutdown", executorId: "e", agentId: "a" },
      { type: Type.SHUTDOWN, shutdown: { executor_id: { value: "e" }, agent_id: { value: "a" } } },
    ],
    [
      "acknowledge",
      { type: "acknowledge", agentId: "a", taskId: "t", uuid: UUID },
      { type: Type.ACKNOWLEDGE, acknowledge: { agent_id: { value: "a" }, task_id: { value: "t" }, uuid: UUID } },
    ],
    [
      "acknowledgeOperation",
      { type: "acknowledgeOperation", agentId: "a", operationId: "o", uuid: UUID },
      {
        type: Type.ACKNOWLEDGE_OPERATION_STATUS,
        acknowledge_operation_status: { agent_id: { value: "a" }, operation_id: { value: "o" }, uuid: UUID },
      },
    ],
    [
      "reconcile",
      { type: "reconcile", tasks: [{ taskId: "t", agentId: "a" }, { taskId: "u" }] },
      {
        type: Type.RECONCILE,
        reconcile: { tasks: [{ task_id: { value: "t" }, agent_id: { value: "a" } }, { task_id: { value: "u" } }] },
      },
    ],
    [
      "reconcileOperations",
      { type: "reconcileOperations", operations: [{ operationId: "o", agentId: "a" }] },
      {
        type: Type.RECONCILE_OPERATIONS,
        reconcile_operations: { operations: [{ operation_id: { value: "o" }, agent_id: { value: "a" } }] },
      },
    ],
    [
      "message",
      { type: "message", agentId: "a", executorId: "e", data: UUID },
      { type: Type.MESSAGE, message: { agent_id: { value: "a" }, executor_id: { value: "e" }, data: UUID } },
    ],
  ])("%s", (_, call, wire) => {
    expect(read(encodeCall(call, "framework-1"))).toEqual({ framework_id: { value: "framework-1" }, ...wire });
  });

  test("launch", () => {
    const bytes = encodeCall(
      { type: "accept", offerIds: [], operations: [{ type: "launch", tasks: [TASK] }], refuseSeconds: 5 },
      "f",
    );
    expect(Call.decode(bytes).accept?.operations?.[0]?.launch?.task_infos).toEqual([
      {
        name: "server",
        task_id: { value: "task-1" },
        agent_id: { value: "agent-1" },
        resources: [wireCpus],
        executor: {
          type: v1.ExecutorInfo.Type.CUSTOM,
          executor_id: { value: "executor-1" },
          framework_id: { value: "framework-1" },
          name: "executor",
          source: "demo",
          resources: [{ ...wireCpus, name: "mem", scalar: { value: 64 } }],
          command: {
            uris: [
              { value: "http://host/ringmaster", executable: true, cache: true },
              { value: "file:///a.tgz", extract: false, output_file: "b" },
            ],
            environment: {
              variables: [
                { name: "A", value: "1" },
                { name: "B", value: "" },
              ],
            },
            shell: true,
            value: "./ringmaster executor",
            user: "db",
            arguments: [],
          },
          labels: { labels: [{ key: "cluster", value: "demo" }] },
          shutdown_grace_period: { nanoseconds: 1.5e9 },
        },
        kill_policy: { grace_period: { nanoseconds: 6e10 } },
        data: TASK.data,
        labels: { labels: [{ key: "node", value: "1" }] },
        discovery: {
          visibility: v1.DiscoveryInfo.Visibility.CLUSTER,
          name: "demo-1",
          ports: { ports: [{ name: "native", number: 9042, protocol: "tcp" }] },
        },
      },
    ] as v1.TaskInfo[]);
  });
});
