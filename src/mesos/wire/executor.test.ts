// The executor API's bytes: each call as an agent reads it, each event as we do, and bytes that are neither.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ExecutorCall, ExecutorEvent, ExecutorUpdate, LaunchedTask } from "../executor-api.ts";
import { decodeExecutorEvent, encodeExecutorCall } from "./executor.ts";
import { v1 } from "./protobuf.ts";

const { Call, Event } = v1.executor;
const UUID = Buffer.from("0123456789abcdef");

const TASK: v1.TaskInfo.$Properties = {
  name: "server",
  task_id: { value: "t" },
  agent_id: { value: "a" },
  kill_policy: { grace_period: { nanoseconds: 2.5e9 } },
  data: Buffer.from("data"),
  // A field of a newer Mesos.
  $unknowns: [Buffer.from([0xa2, 0x06, 0x01, 0x78])],
};

const UPDATE: ExecutorUpdate = {
  taskId: "t",
  state: "TASK_RUNNING",
  uuid: UUID,
  timestampMs: 1_500,
  message: "up",
  healthy: true,
  labels: { k: "v" },
};

const WIRE_UPDATE = {
  status: {
    task_id: { value: "t" },
    state: v1.TaskState.TASK_RUNNING,
    source: v1.TaskStatus.Source.SOURCE_EXECUTOR,
    executor_id: { value: "e" },
    message: "up",
    timestamp: 1.5,
    uuid: UUID,
    healthy: true,
    labels: { labels: [{ key: "k", value: "v" }] },
  },
};

function received(event: v1.executor.Event.$Properties): ReturnType<typeof decodeExecutorEvent> {
  return decodeExecutorEvent(Event.encode(event).finish());
}

function launched(task: v1.TaskInfo.$Properties): LaunchedTask {
  const event = received({ type: Event.Type.LAUNCH, launch: { task } });
  if (event.type !== "launch") throw new Error(`This is no launch: ${JSON.stringify(event)}`);
  return event.task;
}

describe("A call is read by the agent as it was meant:", () => {
  test.each<readonly [string, ExecutorCall, object]>([
    [
      "subscribe for the first time",
      { type: "subscribe", unacknowledgedTasks: [], unacknowledgedUpdates: [] },
      { type: Call.Type.SUBSCRIBE, subscribe: { unacknowledged_tasks: [], unacknowledged_updates: [] } },
    ],
    ["update", { type: "update", update: UPDATE }, { type: Call.Type.UPDATE, update: WIRE_UPDATE }],
    [
      "update, saying little",
      { type: "update", update: { taskId: "t", state: "TASK_FAILED", uuid: UUID, timestampMs: 0, labels: {} } },
      {
        type: Call.Type.UPDATE,
        update: {
          status: {
            task_id: { value: "t" },
            state: v1.TaskState.TASK_FAILED,
            source: 2,
            executor_id: { value: "e" },
            timestamp: 0,
            uuid: UUID,
          },
        },
      },
    ],
    ["message", { type: "message", data: UUID }, { type: Call.Type.MESSAGE, message: { data: UUID } }],
  ])("%s", (_, call, wire) => {
    const read: object = Call.decode(encodeExecutorCall(call, "e", "f"));
    expect(read).toEqual({
      executor_id: { value: "e" },
      framework_id: { value: "f" },
      ...wire,
    });
  });

  test("subscribe again, with tasks in the very bytes in which they came", () => {
    const task = launched(TASK);
    const bytes = encodeExecutorCall(
      { type: "subscribe", unacknowledgedTasks: [task], unacknowledgedUpdates: [UPDATE] },
      "e",
      "f",
    );
    const subscribe = Call.decode(bytes).subscribe;
    expect((subscribe?.unacknowledged_tasks ?? []).map((again) => v1.TaskInfo.encode(again).finish())).toEqual([
      v1.TaskInfo.encode(TASK).finish(),
    ]);
    expect(subscribe?.unacknowledged_updates).toEqual([WIRE_UPDATE] as v1.executor.Call.Update[]);
  });
});

describe("An event becomes plain data:", () => {
  const { Type } = Event;
  const task = { name: "server", taskId: "t", agentId: "a", data: Buffer.from("data"), killGraceMs: 2_500 };
  test.each<readonly [string, v1.executor.Event.$Properties, ExecutorEvent]>([
    [
      "subscribed",
      {
        type: Type.SUBSCRIBED,
        subscribed: {
          executor_info: { executor_id: { value: "e" } },
          framework_info: { user: "u", name: "ringmaster" },
          agent_info: { hostname: "h", id: { value: "a" } },
        },
      },
      { type: "subscribed", agentId: "a", hostname: "h", frameworkName: "ringmaster" },
    ],
    [
      "launch",
      { type: Type.LAUNCH, launch: { task: TASK } },
      { type: "launch", task: { ...task, raw: v1.TaskInfo.encode(TASK).finish() } },
    ],
    ["kill", { type: Type.KILL, kill: { task_id: { value: "t" } } }, { type: "kill", taskId: "t" }],
    [
      "kill with grace",
      { type: Type.KILL, kill: { task_id: { value: "t" }, kill_policy: { grace_period: { nanoseconds: 1e9 } } } },
      { type: "kill", taskId: "t", graceMs: 1_000 },
    ],
    [
      "acknowledged",
      { type: Type.ACKNOWLEDGED, acknowledged: { task_id: { value: "t" }, uuid: UUID } },
      { type: "acknowledged", taskId: "t", uuid: UUID },
    ],
    ["message", { type: Type.MESSAGE, message: { data: UUID } }, { type: "message", data: UUID }],
    ["shutdown", { type: Type.SHUTDOWN }, { type: "shutdown" }],
    ["error", { type: Type.ERROR, error: { message: "no" } }, { type: "error", message: "no" }],
    ["heartbeat", { type: Type.HEARTBEAT }, { type: "heartbeat" }],
  ])("%s", (_, wire, event) => {
    expect(received(wire)).toEqual(event);
  });

  test("a task without data and kill policy has none, and Mesos' own grace", () => {
    const { raw: _, ...plain } = launched({ name: "n", task_id: { value: "t" }, agent_id: { value: "a" } });
    expect(plain).toEqual({ name: "n", taskId: "t", agentId: "a", data: new Uint8Array(), killGraceMs: 5_000 });
  });
});

describe("What cannot be read is an event that says so:", () => {
  test.each<readonly [string, Uint8Array, string]>([
    [
      "a group of tasks, which we never launch",
      Event.encode({ type: Event.Type.LAUNCH_GROUP, launch_group: { task_group: {} } }).finish(),
      "The agent sent an event of type LAUNCH_GROUP",
    ],
    [
      "a type of a newer Mesos",
      Buffer.from([0x08, 0x63]),
      "The agent sent an event of type that is not in our protocol",
    ],
    [
      "a frame that was cut",
      Event.encode({ type: Event.Type.ERROR, error: { message: "long" } })
        .finish()
        .subarray(0, 6),
      "Cannot read an event of 6 bytes from the agent: RangeError",
    ],
  ])("%s", (_, bytes, reason) => {
    expect(decodeExecutorEvent(bytes)).toEqual({ type: "unreadable", reason: expect.stringContaining(reason) });
  });

  test("no bytes at all make the reader throw", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeExecutorEvent(bytes)));
  });
});
