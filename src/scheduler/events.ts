// What happens to the scheduler, and what it wants done: the two sides of `decide`.
import type { SchedulerCall, SchedulerEvent } from "../mesos/scheduler-api.ts";
import type { Json } from "../std/json.ts";
import type { Fault } from "../std/reason.ts";
import type { LeftoverRecord } from "./state.ts";

/** An operator's command, as the API hands it on. */
export type Command =
  | { readonly type: "createCluster"; readonly body: unknown }
  | { readonly type: "destroyCluster"; readonly cluster: string }
  /** `change`: the parts of the body that shall change. */
  | { readonly type: "updateCluster"; readonly cluster: string; readonly change: unknown }
  | { readonly type: "restartCluster"; readonly cluster: string }
  | { readonly type: "addNodes"; readonly cluster: string; readonly count: number }
  /** `force`: without handing its data over. */
  | { readonly type: "removeNode"; readonly cluster: string; readonly node: string; readonly force: boolean }
  | {
      readonly type: "restartNode" | "stopNode" | "startNode" | "replaceNode";
      readonly cluster: string;
      readonly node: string;
    }
  /** One of `Database.operations`, on one node. */
  | {
      readonly type: "operate";
      readonly cluster: string;
      readonly node: string;
      readonly operation: string;
      readonly args: Readonly<Record<string, string>>;
    }
  | { readonly type: "abortPlan"; readonly plan: string }
  /** After Mesos has removed the framework: starts it again, under a new id. */
  | { readonly type: "registerFramework" }
  /** `force`: without waiting for agents that do not come back. */
  | { readonly type: "uninstallFramework"; readonly force: boolean }
  | { readonly type: "repair"; readonly repair: Repair };

/** A repair that cannot touch a volume. */
export type Repair =
  /** Asks Mesos for the state of every task. */
  | { readonly type: "reconcile" }
  | { readonly type: "forgetLeftover"; readonly reservation: string }
  | { readonly type: "forgetEndpoint"; readonly node: string }
  /** Gives a reservation back that has no volume and that nobody keeps. */
  | { readonly type: "giveBack"; readonly leftover: LeftoverRecord };

/** The answer to a command. A refused one has changed nothing. */
export type Reply =
  | { readonly type: "accepted"; readonly plan: string; readonly cluster: string }
  | { readonly type: "done" }
  | {
      readonly type: "refused";
      readonly why: "invalid" | "exists" | "unknown" | "conflict";
      readonly message: string;
      readonly faults: readonly Fault[];
    };

/** Time is part of every event: the core has no clock. */
export type Event = { readonly nowMs: number } & (
  | SchedulerEvent
  | { readonly type: "disconnected" }
  | { readonly type: "callFailed"; readonly call: SchedulerCall; readonly message: string }
  | { readonly type: "command"; readonly id: number; readonly command: Command }
  | { readonly type: "tick" }
);

/**
 * What `io/run` carries out, in this order: all `save` and `forget` as one transaction, awaited; then the rest. A transaction
 * that fails ends the process: nothing was sent, and a restart reconciles.
 */
export type Action =
  | { readonly type: "save"; readonly path: string; readonly record: Json }
  | { readonly type: "forget"; readonly path: string }
  | SchedulerCall
  | { readonly type: "reply"; readonly id: number; readonly reply: Reply }
  /** Mesos will have nothing to do with us any more: the process ends with this message. */
  | { readonly type: "end"; readonly message: string }
  /** Something an operator should find in the log. */
  | { readonly type: "note"; readonly level: "info" | "warn"; readonly text: string };
