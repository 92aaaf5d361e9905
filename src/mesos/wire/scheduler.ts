// The scheduler API's bytes: calls from plain data to protobuf, events from protobuf to plain data.
import type { FrameworkInfo, SchedulerCall, SchedulerEvent } from "../scheduler-api.ts";
import { inverseOfferFromWire, offerFromWire } from "./offer.ts";
import { durationToWire, maybe, own, present, readEvent, type Unreadable, v1 } from "./protobuf.ts";
import { operationStatusFromWire, operationToWire, statusFromWire } from "./task.ts";

type WireCall = v1.scheduler.Call.$Properties;
type WireEvent = v1.scheduler.Event.$Properties;

const { Call, Event } = v1.scheduler;

const id = (value: string): { value: string } => ({ value });
const ids = (values: readonly string[]): { value: string }[] => values.map(id);

/** Mesos' own default, where a master does not say (before 1.0). */
const DEFAULT_HEARTBEAT_MS = 15_000;

function frameworkToWire(framework: FrameworkInfo): v1.FrameworkInfo.$Properties {
  return {
    user: framework.user,
    name: framework.name,
    id: maybe(framework.id, id),
    failover_timeout: framework.failoverTimeoutMs / 1000,
    checkpoint: true,
    roles: [...framework.roles],
    hostname: framework.hostname ?? null,
    principal: framework.principal ?? null,
    webui_url: framework.webuiUrl ?? null,
    capabilities: framework.capabilities.map((name) => ({ type: v1.FrameworkInfo.Capability.Type[name] })),
  };
}

/** The body of a SUBSCRIBE. The framework asks for checkpointing always: without it an agent's restart kills its tasks. */
export function encodeSubscribe(framework: FrameworkInfo, suppressedRoles: readonly string[]): Uint8Array {
  return Call.encode({
    type: Call.Type.SUBSCRIBE,
    framework_id: maybe(framework.id, id),
    subscribe: { framework_info: frameworkToWire(framework), suppressed_roles: [...suppressedRoles] },
  }).finish();
}

/** The body of any other call. */
export function encodeCall(call: SchedulerCall, frameworkId: string): Uint8Array {
  return Call.encode({ framework_id: id(frameworkId), ...callToWire(call) }).finish();
}

function callToWire(call: SchedulerCall): WireCall {
  switch (call.type) {
    case "accept":
      return {
        type: Call.Type.ACCEPT,
        accept: {
          offer_ids: ids(call.offerIds),
          operations: call.operations.map(operationToWire),
          filters: { refuse_seconds: call.refuseSeconds },
        },
      };
    case "decline":
      return {
        type: Call.Type.DECLINE,
        decline: { offer_ids: ids(call.offerIds), filters: { refuse_seconds: call.refuseSeconds } },
      };
    case "acceptInverseOffers":
      return {
        type: Call.Type.ACCEPT_INVERSE_OFFERS,
        accept_inverse_offers: {
          inverse_offer_ids: ids(call.inverseOfferIds),
          filters: { refuse_seconds: call.refuseSeconds },
        },
      };
    case "declineInverseOffers":
      return {
        type: Call.Type.DECLINE_INVERSE_OFFERS,
        decline_inverse_offers: {
          inverse_offer_ids: ids(call.inverseOfferIds),
          filters: { refuse_seconds: call.refuseSeconds },
        },
      };
    case "suppress":
      return { type: Call.Type.SUPPRESS };
    case "revive":
      return { type: Call.Type.REVIVE };
    case "teardown":
      return { type: Call.Type.TEARDOWN };
    default:
      return aimedCallToWire(call);
  }
}

/** Calls about one agent, task, executor or operation. */
function aimedCallToWire(
  call: Extract<
    SchedulerCall,
    {
      type:
        "kill" | "shutdown" | "acknowledge" | "acknowledgeOperation" | "reconcile" | "reconcileOperations" | "message";
    }
  >,
): WireCall {
  switch (call.type) {
    case "kill":
      return {
        type: Call.Type.KILL,
        kill: {
          task_id: id(call.taskId),
          agent_id: maybe(call.agentId, id),
          kill_policy: maybe(call.graceMs, (graceMs) => ({ grace_period: durationToWire(graceMs) })),
        },
      };
    case "shutdown":
      return { type: Call.Type.SHUTDOWN, shutdown: { executor_id: id(call.executorId), agent_id: id(call.agentId) } };
    case "acknowledge":
      return {
        type: Call.Type.ACKNOWLEDGE,
        acknowledge: { agent_id: id(call.agentId), task_id: id(call.taskId), uuid: call.uuid },
      };
    case "acknowledgeOperation":
      return {
        type: Call.Type.ACKNOWLEDGE_OPERATION_STATUS,
        acknowledge_operation_status: {
          agent_id: maybe(call.agentId, id),
          operation_id: id(call.operationId),
          uuid: call.uuid,
        },
      };
    case "reconcile": {
      const tasks = call.tasks.map((task) => ({ task_id: id(task.taskId), agent_id: maybe(task.agentId, id) }));
      return { type: Call.Type.RECONCILE, reconcile: { tasks } };
    }
    case "reconcileOperations": {
      const operations = call.operations.map((operation) => ({
        operation_id: id(operation.operationId),
        agent_id: maybe(operation.agentId, id),
      }));
      return { type: Call.Type.RECONCILE_OPERATIONS, reconcile_operations: { operations } };
    }
    case "message":
      return {
        type: Call.Type.MESSAGE,
        message: { agent_id: id(call.agentId), executor_id: id(call.executorId), data: call.data },
      };
  }
}

/** The event in one RecordIO frame of the master's stream. Never throws. */
export function decodeSchedulerEvent(bytes: Uint8Array): SchedulerEvent | Unreadable {
  return readEvent("master", bytes, (frame) => Event.decode(frame), eventFromWire, Event.Type);
}

function eventFromWire(event: WireEvent): SchedulerEvent | undefined {
  const { Type } = Event;
  switch (own(event, "type")) {
    case Type.SUBSCRIBED:
      return event.subscribed ? subscribedFromWire(event.subscribed) : undefined;
    case Type.OFFERS:
      return { type: "offers", offers: (event.offers?.offers ?? []).map(offerFromWire) };
    case Type.INVERSE_OFFERS:
      return {
        type: "inverseOffers",
        inverseOffers: (event.inverse_offers?.inverse_offers ?? []).map(inverseOfferFromWire),
      };
    case Type.RESCIND:
      return event.rescind ? { type: "rescinded", offerId: event.rescind.offer_id.value } : undefined;
    case Type.RESCIND_INVERSE_OFFER:
      return event.rescind_inverse_offer
        ? { type: "inverseOfferRescinded", inverseOfferId: event.rescind_inverse_offer.inverse_offer_id.value }
        : undefined;
    case Type.UPDATE:
      return event.update ? { type: "status", status: statusFromWire(event.update.status) } : undefined;
    case Type.UPDATE_OPERATION_STATUS:
      return event.update_operation_status
        ? { type: "operation", status: operationStatusFromWire(event.update_operation_status.status) }
        : undefined;
    case Type.MESSAGE:
      return event.message ? messageFromWire(event.message) : undefined;
    case Type.FAILURE:
      return event.failure ? failureFromWire(event.failure) : undefined;
    case Type.ERROR:
      return { type: "error", message: event.error?.message ?? "" };
    case Type.HEARTBEAT:
      return { type: "heartbeat" };
    default:
      return undefined;
  }
}

function subscribedFromWire(subscribed: v1.scheduler.Event.Subscribed.$Properties): SchedulerEvent {
  const heartbeat = own(subscribed, "heartbeat_interval_seconds");
  const master = own(subscribed, "master_info");
  return present({
    type: "subscribed" as const,
    frameworkId: subscribed.framework_id.value,
    heartbeatMs: heartbeat === undefined ? DEFAULT_HEARTBEAT_MS : heartbeat * 1000,
    masterVersion: master && own(master, "version"),
    masterId: master?.id,
  });
}

function messageFromWire(message: v1.scheduler.Event.Message.$Properties): SchedulerEvent {
  return {
    type: "message",
    agentId: message.agent_id.value,
    executorId: message.executor_id.value,
    data: message.data.slice(),
  };
}

function failureFromWire(failure: v1.scheduler.Event.Failure.$Properties): SchedulerEvent {
  return present({
    type: "failure" as const,
    agentId: own(failure, "agent_id")?.value,
    executorId: own(failure, "executor_id")?.value,
    status: own(failure, "status"),
  });
}
