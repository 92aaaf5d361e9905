// Tasks, executors and their states between protobuf and plain data.
import type { Operation } from "../operations.ts";
import type { ExecutorInfo, OperationStatus, TaskInfo, TaskStatus } from "../task.ts";
import { durationToWire, enumName, maybe, msFromWire, own, present, v1 } from "./protobuf.ts";
import { labelsFromWire, labelsToWire, resourceToWire } from "./resources.ts";

function executorToWire(executor: ExecutorInfo): v1.ExecutorInfo.$Properties {
  const { command } = executor;
  const variables = Object.entries(command.environment).map(([name, value]) => ({ name, value }));
  return {
    type: v1.ExecutorInfo.Type.CUSTOM,
    executor_id: { value: executor.executorId },
    framework_id: { value: executor.frameworkId },
    name: executor.name,
    source: executor.source,
    resources: executor.resources.map(resourceToWire),
    command: {
      uris: command.uris.map((uri) => ({
        value: uri.value,
        executable: uri.executable ?? null,
        extract: uri.extract ?? null,
        cache: uri.cache ?? null,
        output_file: uri.outputFile ?? null,
      })),
      environment: variables.length === 0 ? null : { variables },
      shell: true,
      value: command.value,
      user: command.user ?? null,
    },
    labels: labelsToWire(executor.labels),
    shutdown_grace_period: durationToWire(executor.shutdownGraceMs),
  };
}

function discoveryToWire(discovery: NonNullable<TaskInfo["discovery"]>): v1.DiscoveryInfo.$Properties {
  const ports = Object.entries(discovery.ports).map(([name, number]) => ({ name, number, protocol: "tcp" }));
  return { visibility: v1.DiscoveryInfo.Visibility.CLUSTER, name: discovery.name, ports: { ports } };
}

function taskToWire(task: TaskInfo): v1.TaskInfo.$Properties {
  return {
    name: task.name,
    task_id: { value: task.taskId },
    agent_id: { value: task.agentId },
    resources: task.resources.map(resourceToWire),
    executor: executorToWire(task.executor),
    kill_policy: { grace_period: durationToWire(task.killGraceMs) },
    data: task.data,
    labels: labelsToWire(task.labels),
    discovery: maybe(task.discovery, discoveryToWire),
  };
}

export function operationToWire(operation: Operation): v1.Offer.Operation.$Properties {
  const { Type } = v1.Offer.Operation;
  if (operation.type === "launch")
    return { type: Type.LAUNCH, launch: { task_infos: operation.tasks.map(taskToWire) } };
  const id = maybe(operation.id, (value) => ({ value }));
  switch (operation.type) {
    case "reserve":
      return { type: Type.RESERVE, id, reserve: { resources: operation.resources.map(resourceToWire) } };
    case "unreserve":
      return { type: Type.UNRESERVE, id, unreserve: { resources: operation.resources.map(resourceToWire) } };
    case "create":
      return { type: Type.CREATE, id, create: { volumes: operation.volumes.map(resourceToWire) } };
    case "destroy":
      return { type: Type.DESTROY, id, destroy: { volumes: operation.volumes.map(resourceToWire) } };
  }
}

const SOURCES = { SOURCE_MASTER: "MASTER", SOURCE_AGENT: "AGENT", SOURCE_EXECUTOR: "EXECUTOR" } as const;

export function statusFromWire(status: v1.TaskStatus.$Properties): TaskStatus {
  const source = own(status, "source");
  const reason = own(status, "reason");
  const timestamp = own(status, "timestamp");
  const unreachable = own(status, "unreachable_time");
  return present({
    taskId: status.task_id.value,
    state: enumName(v1.TaskState, status.state),
    source: source === undefined ? undefined : SOURCES[enumName(v1.TaskStatus.Source, source)],
    reason: reason === undefined ? undefined : enumName(v1.TaskStatus.Reason, reason).replace(/^REASON_/, ""),
    message: own(status, "message"),
    agentId: own(status, "agent_id")?.value,
    executorId: own(status, "executor_id")?.value,
    timestampMs: timestamp === undefined ? undefined : timestamp * 1000,
    // An empty one wants no acknowledgement either.
    uuid: status.uuid?.length ? status.uuid.slice() : undefined,
    healthy: own(status, "healthy"),
    labels: labelsFromWire(status.labels),
    unreachableMs: unreachable && msFromWire(unreachable),
  });
}

export function operationStatusFromWire(status: v1.OperationStatus.$Properties): OperationStatus {
  return present({
    operationId: own(status, "operation_id")?.value,
    state: enumName(v1.OperationState, status.state),
    message: own(status, "message"),
    agentId: own(status, "agent_id")?.value,
    resourceProviderId: own(status, "resource_provider_id")?.value,
    uuid: own(status, "uuid")?.value.slice(),
  });
}
