// Mesos' v1 scheduler API as plain data: what the master tells a framework, and what a framework may ask.
import type { InverseOffer, Offer } from "./offer.ts";
import type { Operation } from "./operations.ts";
import type { OperationStatus, TaskStatus } from "./task.ts";

export type FrameworkInfo = {
  readonly id?: string;
  readonly name: string;
  readonly user: string;
  readonly roles: readonly string[];
  readonly principal?: string;
  readonly hostname?: string;
  readonly webuiUrl?: string;
  readonly failoverTimeoutMs: number;
  readonly capabilities: readonly FrameworkCapability[];
};

export type FrameworkCapability = "MULTI_ROLE" | "RESERVATION_REFINEMENT" | "PARTITION_AWARE" | "REGION_AWARE";

export type SchedulerEvent =
  | {
      readonly type: "subscribed";
      readonly frameworkId: string;
      readonly heartbeatMs: number;
      readonly masterVersion?: string;
      readonly masterId?: string;
    }
  | { readonly type: "offers"; readonly offers: readonly Offer[] }
  | { readonly type: "rescinded"; readonly offerId: string }
  | { readonly type: "inverseOffers"; readonly inverseOffers: readonly InverseOffer[] }
  | { readonly type: "inverseOfferRescinded"; readonly inverseOfferId: string }
  | { readonly type: "status"; readonly status: TaskStatus }
  | { readonly type: "operation"; readonly status: OperationStatus }
  | { readonly type: "message"; readonly agentId: string; readonly executorId: string; readonly data: Uint8Array }
  /** An agent was removed (no executorId), or an executor ended (with `status`, its wait status). */
  | { readonly type: "failure"; readonly agentId?: string; readonly executorId?: string; readonly status?: number }
  | { readonly type: "error"; readonly message: string }
  | { readonly type: "heartbeat" };

export type SchedulerCall =
  | {
      readonly type: "accept";
      readonly offerIds: readonly string[];
      readonly operations: readonly Operation[];
      readonly refuseSeconds: number;
    }
  | { readonly type: "decline"; readonly offerIds: readonly string[]; readonly refuseSeconds: number }
  | {
      readonly type: "acceptInverseOffers";
      readonly inverseOfferIds: readonly string[];
      /** Mesos asks again after this. */
      readonly refuseSeconds: number;
    }
  | {
      readonly type: "declineInverseOffers";
      readonly inverseOfferIds: readonly string[];
      readonly refuseSeconds: number;
    }
  | { readonly type: "suppress" }
  | { readonly type: "revive" }
  | { readonly type: "kill"; readonly taskId: string; readonly agentId?: string; readonly graceMs?: number }
  | { readonly type: "shutdown"; readonly executorId: string; readonly agentId: string }
  | { readonly type: "acknowledge"; readonly agentId: string; readonly taskId: string; readonly uuid: Uint8Array }
  | {
      readonly type: "acknowledgeOperation";
      readonly agentId?: string;
      readonly operationId: string;
      readonly uuid: Uint8Array;
    }
  /** Explicit for the tasks named; with none, implicit: all tasks. */
  | { readonly type: "reconcile"; readonly tasks: readonly { readonly taskId: string; readonly agentId?: string }[] }
  | {
      readonly type: "reconcileOperations";
      readonly operations: readonly { readonly operationId: string; readonly agentId?: string }[];
    }
  | { readonly type: "message"; readonly agentId: string; readonly executorId: string; readonly data: Uint8Array }
  | { readonly type: "teardown" };
