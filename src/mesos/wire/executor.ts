// The executor API's bytes: calls from plain data to protobuf, events from protobuf to plain data.
import type { ExecutorCall, ExecutorEvent, ExecutorUpdate, LaunchedTask } from "../executor-api.ts";
import { msFromWire, own, present, readEvent, type Unreadable, v1 } from "./protobuf.ts";
import { labelsToWire } from "./resources.ts";

type WireEvent = v1.executor.Event.$Properties;

const { Call, Event } = v1.executor;

/** Mesos' own default for a task without a kill policy. */
const DEFAULT_KILL_GRACE_MS = 5_000;

/** The body of a call. */
export function encodeExecutorCall(call: ExecutorCall, executorId: string, frameworkId: string): Uint8Array {
  return Call.encode({
    executor_id: { value: executorId },
    framework_id: { value: frameworkId },
    ...callToWire(call, executorId),
  }).finish();
}

function callToWire(
  call: ExecutorCall,
  executorId: string,
): Omit<v1.executor.Call.$Properties, "executor_id" | "framework_id"> {
  switch (call.type) {
    case "subscribe":
      return {
        type: Call.Type.SUBSCRIBE,
        subscribe: {
          unacknowledged_tasks: call.unacknowledgedTasks.map((task) => v1.TaskInfo.decode(task.raw)),
          unacknowledged_updates: call.unacknowledgedUpdates.map((update) => updateToWire(update, executorId)),
        },
      };
    case "update":
      return { type: Call.Type.UPDATE, update: updateToWire(call.update, executorId) };
    case "message":
      return { type: Call.Type.MESSAGE, message: { data: call.data } };
  }
}

function updateToWire(update: ExecutorUpdate, executorId: string): v1.executor.Call.Update.$Properties {
  return {
    status: {
      task_id: { value: update.taskId },
      state: v1.TaskState[update.state],
      source: v1.TaskStatus.Source.SOURCE_EXECUTOR,
      executor_id: { value: executorId },
      message: update.message ?? null,
      timestamp: update.timestampMs / 1000,
      uuid: update.uuid,
      healthy: update.healthy ?? null,
      labels: labelsToWire(update.labels),
    },
  };
}

/** The event in one RecordIO frame of the agent's stream. Never throws. */
export function decodeExecutorEvent(bytes: Uint8Array): ExecutorEvent | Unreadable {
  return readEvent("agent", bytes, (frame) => Event.decode(frame), eventFromWire, Event.Type);
}

function eventFromWire(event: WireEvent): ExecutorEvent | undefined {
  const { Type } = Event;
  switch (own(event, "type")) {
    case Type.SUBSCRIBED:
      return event.subscribed ? subscribedFromWire(event.subscribed) : undefined;
    case Type.LAUNCH:
      return event.launch ? { type: "launch", task: taskFromWire(event.launch.task) } : undefined;
    case Type.KILL:
      return event.kill ? killFromWire(event.kill) : undefined;
    case Type.ACKNOWLEDGED:
      return event.acknowledged
        ? { type: "acknowledged", taskId: event.acknowledged.task_id.value, uuid: event.acknowledged.uuid.slice() }
        : undefined;
    case Type.MESSAGE:
      return event.message ? { type: "message", data: event.message.data.slice() } : undefined;
    case Type.SHUTDOWN:
      return { type: "shutdown" };
    case Type.ERROR:
      return { type: "error", message: event.error?.message ?? "" };
    case Type.HEARTBEAT:
      return { type: "heartbeat" };
    default:
      return undefined;
  }
}

function subscribedFromWire(subscribed: v1.executor.Event.Subscribed.$Properties): ExecutorEvent {
  const { agent_info: agent, framework_info: framework } = subscribed;
  return {
    type: "subscribed",
    agentId: agent.id?.value ?? "",
    hostname: agent.hostname,
    frameworkName: framework.name,
  };
}

function taskFromWire(task: v1.TaskInfo.$Properties): LaunchedTask {
  const grace = task.kill_policy?.grace_period;
  return {
    name: task.name,
    taskId: task.task_id.value,
    agentId: task.agent_id.value,
    data: own(task, "data")?.slice() ?? new Uint8Array(),
    killGraceMs: grace ? msFromWire(grace) : DEFAULT_KILL_GRACE_MS,
    raw: v1.TaskInfo.encode(task).finish(),
  };
}

function killFromWire(kill: v1.executor.Event.Kill.$Properties): ExecutorEvent {
  const grace = kill.kill_policy?.grace_period;
  return present({ type: "kill" as const, taskId: kill.task_id.value, graceMs: grace ? msFromWire(grace) : undefined });
}
