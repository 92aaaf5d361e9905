// The scheduler: a pure function from its state and an event to the next state and the actions to carry out.
import type { SchedulerCall } from "../mesos/scheduler-api.ts";
import type { Decision } from "../std/decision.ts";
import { backoffMs, type Backoff } from "../std/backoff.ts";
import { unreachable } from "../std/assert.ts";
import { runCommand } from "./commands.ts";
import { Draft } from "./draft.ts";
import type { Action, Event } from "./events.ts";
import { finishUninstall, frameworkRemoved, isRemoval } from "./framework.ts";
import { repeatKills } from "./kills.ts";
import { serverTaskOf } from "./launch.ts";
import { answerInverseOffers, awaitWindows, forgetInverseOffer, stopForMaintenance } from "./maintenance.ts";
import { answerOffers, declineAgain, steerOffers } from "./offers.ts";
import { advancePlans, prunePlans } from "./plans.ts";
import { advanceReplacements, replaceOverdue } from "./recovery.ts";
import { expireLeftovers, operationStatus } from "./release.ts";
import { findNode, nodeOfTask, runningPlans, type State } from "./state.ts";
import { listen, restartSilent } from "./silence.ts";
import { taskStatus } from "./status.ts";

const RECONCILE_BACKOFF: Backoff = { initialMs: 1000, factor: 2, maxMs: 30_000, jitter: 0.1 };
/** How often all tasks are asked for: those we know by name, and whatever else Mesos runs for us. */
const RECONCILE_ALL_MS = 900_000;

/** Takes one event in. */
export function decide(state: State, event: Event): Decision<State, Action> {
  const draft = new Draft(state, event.nowMs);
  takeIn(draft, event);
  expireLeftovers(draft);
  stopForMaintenance(draft);
  advanceReplacements(draft);
  advancePlans(draft);
  finishUninstall(draft);
  repeatKills(draft);
  repeatReconcile(draft);
  steerOffers(draft);
  return draft.decision();
}

function takeIn(draft: Draft, event: Event): void {
  switch (event.type) {
    case "subscribed":
      return subscribed(draft, event.frameworkId, event.masterVersion);
    case "disconnected":
      return draft.set({ connected: false });
    case "offers":
      return answerOffers(draft, event.offers);
    case "status":
      return taskStatus(draft, event.status);
    case "operation":
      return operationStatus(draft, event.status);
    case "command":
      return runCommand(draft, event.id, event.command);
    case "callFailed":
      return callFailed(draft, event.call, event.message);
    case "error":
      if (isRemoval(event.message)) return frameworkRemoved(draft, event.message);
      return draft.act({ type: "end", message: `Mesos refused the framework: ${event.message}` });
    case "inverseOffers":
      return answerInverseOffers(draft, event.inverseOffers);
    case "inverseOfferRescinded":
      return forgetInverseOffer(draft, event.inverseOfferId);
    case "tick":
      replaceOverdue(draft);
      restartSilent(draft);
      prunePlans(draft);
      return declineAgain(draft);
    case "rescinded":
    case "failure":
    case "message":
    case "heartbeat":
      return;
    default:
      return unreachable(event);
  }
}

/**
 * A call that Mesos perhaps never took. Launches are asked for, so that their nodes do not wait for ever; offers are declined
 * again, which does no harm to one that is gone; kills, reconciliation and releases repeat anyway; Mesos repeats what was not acknowledged.
 */
function callFailed(draft: Draft, call: SchedulerCall, message: string): void {
  draft.act({ type: "note", level: "warn", text: `Call ${call.type} failed: ${message}` });
  if (call.type === "accept" || call.type === "decline") {
    const unanswered = [...draft.state.offers.unanswered, ...call.offerIds];
    draft.set({ offers: { ...draft.state.offers, unanswered } });
  }
  if (call.type === "accept") {
    const launched = call.operations.flatMap((operation) => (operation.type === "launch" ? operation.tasks : []));
    if (launched.length === 0) return;
    const unreconciled = new Set([...draft.state.unreconciled, ...launched.map(({ taskId }) => taskId)]);
    draft.set({ unreconciled, reconcile: { attempt: 0, nextMs: draft.nowMs + RECONCILE_BACKOFF.initialMs } });
  } else if (call.type === "revive" || call.type === "suppress") {
    draft.set({ offers: { ...draft.state.offers, suppressed: false, revivedFor: new Set() } });
  }
}

/** A new subscription: everything that may live is asked for before any offer is used. */
function subscribed(draft: Draft, frameworkId: string, masterVersion: string | undefined): void {
  const { framework, offers } = draft.state;
  if (framework.frameworkId !== undefined && framework.frameworkId !== frameworkId) {
    return draft.act({
      type: "end",
      message: `Cannot go on: Mesos subscribed us as framework "${frameworkId}", our tasks and volumes belong to "${framework.frameworkId}"`,
    });
  }
  const { role } = draft.state.settings;
  if (framework.frameworkId === undefined || framework.role !== role)
    draft.putFramework({ ...framework, frameworkId, role });
  draft.set({
    connected: true,
    subscribedMs: draft.nowMs,
    operationFeedback: masterVersion !== undefined && isAtLeast(masterVersion, 1, 8),
    unreconciled: new Set(tasksOf(draft.state)),
    reconcile: { attempt: 0, nextMs: draft.nowMs },
    // A master that failed over knows neither our suppression nor our filters.
    offers: { ...offers, suppressed: false, revivedFor: new Set(), unanswered: [] },
  });
  awaitWindows(draft);
  listen(draft);
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [foundMajor = 0, foundMinor = 0] = version.split(".").map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}

/** Asks for the tasks that Mesos has not told about until it has; then, now and then, for all there are. */
function repeatReconcile(draft: Draft): void {
  const { connected, unreconciled, reconcile } = draft.state;
  if (!connected || draft.nowMs < reconcile.nextMs) return;
  const named = unreconciled.size > 0 ? [...unreconciled] : tasksOf(draft.state);
  const tasks = named.map((taskId) => ({ taskId, ...agentOf(draft.state, taskId) }));
  const asked = unreconciled.size > 0 ? tasks : [...tasks, ...emptyPlaces(draft.state)];
  if (asked.length > 0) draft.act({ type: "reconcile", tasks: asked });
  if (unreconciled.size === 0) draft.act({ type: "reconcile", tasks: [] });
  const delayMs =
    unreconciled.size > 0 ? backoffMs(RECONCILE_BACKOFF, reconcile.attempt, draft.random()) : RECONCILE_ALL_MS;
  draft.set({
    reconcile: { attempt: unreconciled.size > 0 ? reconcile.attempt + 1 : 0, nextMs: draft.nowMs + delayMs },
  });
}

/** Ids of all tasks that may be alive: nodes' and admin ones. */
function tasksOf(state: State): readonly string[] {
  const nodes = [...state.clusters.values()].flatMap((cluster) => [...cluster.nodes.values()]);
  const steps = runningPlans(state).flatMap((plan) => plan.steps);
  return [...nodes, ...steps].flatMap(({ task }) => task?.taskId ?? []);
}

/**
 * Places without a task, each by the id of the task that was there first: Mesos then says so when an operator has marked the
 * agent as gone. It has no other way to tell.
 */
function emptyPlaces(state: State): readonly { readonly taskId: string; readonly agentId: string }[] {
  const nodes = [...state.clusters.values()].flatMap((cluster) => [...cluster.nodes.values()]);
  const idle = nodes.filter(({ task }) => task === undefined);
  return [...idle, ...state.leftovers.values()].flatMap(({ place }) =>
    place === undefined ? [] : { taskId: serverTaskOf(place.reservation), agentId: place.agentId },
  );
}

function agentOf(state: State, taskId: string): { readonly agentId?: string } {
  const nodeId = nodeOfTask(taskId);
  const place = nodeId === undefined ? undefined : findNode(state, nodeId)?.place;
  return place === undefined ? {} : { agentId: place.agentId };
}
