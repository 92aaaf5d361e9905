// The state as the API shows it. Reasons are worked out here, when somebody asks.
import type { ClusterView, EndpointsView, FrameworkView, NodeView, PlanView, StepView } from "../databases/api.ts";
import type { Reason } from "../std/reason.ts";
import { adminReasons } from "./admin.ts";
import { databaseOf, nodesInOrder, startReasons, stopReasons } from "./members.ts";
import { framelessReason } from "./framework.ts";
import { isBlocked, isRolling } from "./plans.ts";
import { agentsToldOf, refusedOf } from "./refusals.ts";
import { heldBy, replaceDueMs, replaceReasons } from "./replace.ts";
import {
  activePlans,
  type ClusterState,
  type Explanation,
  type NodeRecord,
  type PlanRecord,
  type State,
  type Step,
  type Window,
} from "./state.ts";
import { isDrainedBy } from "./status-words.ts";

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}

export function frameworkView(state: State): FrameworkView {
  const { framework, settings, connected, clusters, leftovers } = state;
  const { removed, uninstall, frameworkId } = framework;
  const status =
    removed === undefined
      ? uninstall === undefined
        ? "active"
        : "uninstalling"
      : uninstall === undefined
        ? "removed"
        : "uninstalled";
  return {
    name: framework.name,
    role: framework.role ?? settings.role,
    status,
    mesos: connected ? "connected" : "disconnected",
    formerIds: [...(framework.formerIds ?? [])],
    ...(frameworkId === undefined ? {} : { frameworkId }),
    ...(removed === undefined ? {} : { removed: { at: iso(removed.atMs), message: removed.message } }),
    clusters: [...clusters.keys()].map((name) => ({ name, activePlans: activePlans(state, name).map(({ id }) => id) })),
    leftovers: [...leftovers.values()].map(({ node, place, sinceMs, operation }) => ({
      node,
      hostname: place.hostname,
      reservation: place.reservation,
      since: iso(sinceMs),
      waitsFor:
        operation === undefined
          ? `an offer of agent "${place.hostname}" with it`
          : "Mesos to say that it is given back",
    })),
  };
}

export function clusterView(state: State, cluster: ClusterState): ClusterView {
  const { spec, createdMs } = cluster.record;
  const nodes = [...cluster.nodes.values()];
  const running = nodes.filter(({ phase, healthy }) => phase === "running" && healthy).length;
  const plans = activePlans(state, spec.name);
  return {
    name: spec.name,
    database: spec.database,
    version: spec.version,
    status: clusterStatus(cluster, plans, running),
    created: iso(createdMs),
    nodesWanted: spec.nodes,
    nodesRunning: running,
    activePlans: plans.map(({ id }) => id),
    spec,
  };
}

function clusterStatus(cluster: ClusterState, plans: readonly PlanRecord[], running: number): ClusterView["status"] {
  if (cluster.record.goal === "removed") return "removing";
  if (plans.some(({ kind }) => kind === "deploy")) return "deploying";
  return running < cluster.record.spec.nodes ? "degraded" : "running";
}

export function nodeView(state: State, node: NodeRecord): NodeView {
  const { place, task, rack, lastFailure } = node;
  const window = place === undefined ? undefined : state.maintenance.get(place.agentId);
  const cluster = state.clusters.get(node.cluster);
  const dueMs = cluster === undefined ? undefined : replaceDueMs(state, cluster, node);
  return {
    id: node.id,
    cluster: node.cluster,
    phase: node.phase,
    since: iso(node.sinceMs),
    healthy: node.healthy,
    joined: node.joined && node.outside === undefined,
    ports: place?.footprint.ports ?? {},
    failures: node.failures,
    ...(place === undefined ? {} : { hostname: place.hostname, agentId: place.agentId }),
    ...(rack === undefined ? {} : { rack }),
    ...(task === undefined ? {} : { taskId: task.taskId }),
    ...(lastFailure === undefined
      ? {}
      : { lastFailure: { at: iso(lastFailure.atMs), state: lastFailure.state, message: lastFailure.message } }),
    ...(dueMs === undefined ? {} : { replaceDue: iso(dueMs) }),
    ...(node.replaces === undefined ? {} : { replaces: node.replaces.node }),
    ...(node.replacedBy === undefined ? {} : { replacedBy: node.replacedBy }),
    ...(window === undefined ? {} : { maintenance: windowView(window) }),
  };
}

function windowView({ startMs, durationMs, isAccepted, reasons }: Window): NonNullable<NodeView["maintenance"]> {
  return {
    start: iso(startMs),
    ...(durationMs === undefined ? {} : { end: iso(startMs + durationMs) }),
    accepted: isAccepted,
    reasons: [...reasons],
  };
}

export function endpointsView(cluster: ClusterState): EndpointsView {
  const { name, database } = cluster.record.spec;
  const placed = nodesInOrder(cluster).filter(({ place }) => place !== undefined);
  const nodes = placed.map((node) => ({
    node: node.id,
    hostname: node.place?.hostname ?? "",
    serving: node.phase === "running" && node.healthy && node.outside === undefined,
    ports: node.place?.footprint.ports ?? {},
  }));
  const serving = nodes.filter((node) => node.serving);
  const endpoints = databaseOf(cluster).ports.map(
    (port) => [port, serving.map((node) => `${node.hostname}:${node.ports[port]}`)] as const,
  );
  return { cluster: name, database, endpoints: Object.fromEntries(endpoints), nodes };
}

export function planView(state: State, plan: PlanRecord, nowMs: number): PlanView {
  const told = agentsToldOf(plan.steps.filter((step) => explanationOf(state, plan, step) !== undefined).length);
  return {
    id: plan.id,
    kind: plan.kind,
    cluster: plan.cluster,
    status: plan.status,
    created: iso(plan.createdMs),
    ...(plan.endedMs === undefined ? {} : { ended: iso(plan.endedMs) }),
    steps: plan.steps.map((step) => stepView(state, plan, step, nowMs, told)),
    ...nextOf(state, plan),
  };
}

/**
 * A replacement has what one replica of each range had: what that one missed while the old node was away, and the hints for
 * it are gone, only a repair brings. It may take days, so it is for people to begin.
 */
function nextOf(state: State, { kind, status, cluster: name, steps }: PlanRecord): Pick<PlanView, "next"> {
  const cluster = state.clusters.get(name);
  const heir = steps.find(({ type }) => type === "start")?.node;
  if (kind !== "replace" || status !== "done" || cluster === undefined || heir === undefined) return {};
  if (!cluster.nodes.has(heir) || !databaseOf(cluster).operations.includes("repair")) return {};
  const when = "if the old node was away for longer than hints are kept";
  return { next: `repair the new node ${when}: ringmaster node run ${heir} repair` };
}

function stepName(plan: PlanRecord, step: Step): string {
  return `${step.operation ?? step.type} ${step.node ?? plan.cluster}`;
}

function isWaiting(plan: PlanRecord, step: Step): boolean {
  return plan.status === "running" && step.status !== "done";
}

function explanationOf(state: State, plan: PlanRecord, step: Step): Explanation | undefined {
  return isWaiting(plan, step) && step.type === "start" ? state.explanations.get(step.node ?? "") : undefined;
}

/** `told`: how many agents are shown one by one. */
function stepView(state: State, plan: PlanRecord, step: Step, nowMs: number, told: number): StepView {
  const isOpen = isWaiting(plan, step);
  const explanation = explanationOf(state, plan, step);
  const { startedMs, endedMs } = step;
  return {
    name: stepName(plan, step),
    type: step.type,
    status: step.status,
    waitsFor: isOpen ? [...stepWaits(state, plan, step, nowMs)] : [],
    agents: [...(explanation?.agents ?? [])].slice(0, told).map(([agentId, { hostname, reasons }]) => ({
      agentId,
      hostname,
      reasons: [...reasons],
    })),
    ...(explanation === undefined ? {} : { refused: refusedOf(explanation) }),
    ...(step.node === undefined ? {} : { node: step.node }),
    ...(step.operation === undefined ? {} : { operation: step.operation }),
    ...(startedMs === undefined
      ? {}
      : { started: iso(startedMs), seconds: seconds((endedMs ?? plan.endedMs ?? nowMs) - startedMs) }),
    ...(endedMs === undefined ? {} : { ended: iso(endedMs) }),
  };
}

/** Why an open step of a running plan is not done. Never empty: somebody is always waited for. */
function stepWaits(state: State, plan: PlanRecord, step: Step, nowMs: number): readonly Reason[] {
  const cluster = state.clusters.get(plan.cluster);
  const node = step.node === undefined ? undefined : cluster?.nodes.get(step.node);
  if (isBlocked(plan.steps, step)) {
    const open = step.after.flatMap((index) => plan.steps[index] ?? []).filter(({ status }) => status !== "done");
    const found = open.slice(0, 3).map((earlier) => `"${stepName(plan, earlier)}" ${earlier.status}`);
    const more = open.length > found.length ? ` and ${open.length - found.length} more` : "";
    return [{ check: "order", found: `${found.join(", ")}${more}`, wanted: "done" }];
  }
  const frameless = framelessReason(state.framework);
  if (!state.connected && frameless !== undefined)
    return [{ check: "framework", found: frameless, wanted: "a framework that Mesos knows" }];
  if (!state.connected)
    return [{ check: "Mesos", found: "no connection to a leading master", wanted: "a subscription" }];
  if (cluster === undefined || node === undefined) return [];
  if (step.type === "release") return releaseWaits(state, node);
  if (step.type === "replace") return replaceReasons(state, cluster, plan, node);
  if (step.type === "admin") return adminWaits(state, plan, node, step, nowMs);
  if (step.type === "stop" && isRolling(plan)) {
    const unsure = reconciliationReason(state, "a node is stopped");
    if (unsure !== undefined) return [unsure];
    const reasons = stopReasons(cluster, node);
    if (reasons.length > 0) return reasons;
  }
  if (node.task !== undefined) return [taskWait(state, node)];
  const reasons = startReasons(cluster, node, nowMs);
  return reasons.length > 0 ? reasons : [offerWait(state, node)];
}

function adminWaits(state: State, plan: PlanRecord, node: NodeRecord, step: Step, nowMs: number): readonly Reason[] {
  if (step.task !== undefined) {
    const found = state.messages.get(step.task.taskId) ?? "sent to its executor";
    return [{ check: step.operation ?? "operation", found, wanted: "the end of the operation" }];
  }
  const reasons = adminReasons(node, step, nowMs);
  if (reasons.length > 0) return reasons;
  const holder = heldBy(state, plan);
  if (holder !== undefined) return [{ check: "turn", found: `plan ${holder.id} replaces a node`, wanted: "its end" }];
  const wanted = `an offer of agent "${node.place?.hostname}" with what is kept for operations`;
  return [{ check: "offer", found: "none with its reservation", wanted }];
}

/** Since when is a time of day, not a count of seconds: who follows a plan sees a reason once, not every second. */
function taskWait(state: State, node: NodeRecord): Reason {
  const since = `since ${iso(node.sinceMs)}`;
  const said = state.messages.get(node.id);
  switch (node.phase) {
    case "launching":
      return { check: "launch", found: `sent, no answer ${since}`, wanted: "a fetched and started executor" };
    case "stopping":
      return { check: "stop", found: `killed ${since}`, wanted: "the end of its task" };
    case "running":
      if (node.drainUntilMs === undefined) break;
      return {
        check: "drain",
        found: "clients may finish",
        wanted: `their time to be over at ${iso(node.drainUntilMs)}`,
      };
    case "unreachable":
      return {
        check: "agent",
        found: `"${node.place?.hostname}" unreachable ${since}`,
        wanted: `the agent back, or${replacementText(state, node)}`,
      };
    default:
  }
  return { check: "ready", found: said ?? "starting", wanted: "a node that serves" };
}

/** When another node takes its place by itself, or what an operator may do. */
function replacementText(state: State, node: NodeRecord): string {
  const cluster = state.clusters.get(node.cluster);
  const dueMs = cluster === undefined ? undefined : replaceDueMs(state, cluster, node);
  return dueMs === undefined ? `: ringmaster node replace ${node.id}` : ` another in its place from ${iso(dueMs)} on`;
}

/** Why what has to know of every task does not happen yet. */
function reconciliationReason({ unreconciled: { size } }: State, what: string): Reason | undefined {
  if (size === 0) return undefined;
  const found = `${size} tasks of unknown state`;
  return { check: "reconciliation", found, wanted: `Mesos' word on every task before ${what}` };
}

function offerWait(state: State, node: NodeRecord): Reason {
  const { place } = node;
  const unsure = reconciliationReason(state, "offers are used");
  if (unsure !== undefined) return unsure;
  const window = place === undefined ? undefined : state.maintenance.get(place.agentId);
  if (place !== undefined && window?.isAccepted === true) {
    const end = window.durationMs === undefined ? "its end" : `its end at ${iso(window.startMs + window.durationMs)}`;
    return { check: "maintenance", found: `agent "${place.hostname}" from ${iso(window.startMs)} on`, wanted: end };
  }
  if (place !== undefined && node.lastFailure !== undefined && isDrainedBy(node.lastFailure)) {
    const found = `"${place.hostname}" drained by operators of Mesos`;
    return { check: "agent", found, wanted: `REACTIVATE_AGENT, or: ringmaster node replace ${node.id}` };
  }
  if (place !== undefined)
    return {
      check: "offer",
      found: `none with its reservation${offersText(state)}`,
      wanted: `an offer of agent "${place.hostname}" with volume "${place.volume}"`,
    };
  const agents = state.explanations.get(node.id)?.agents.size ?? 0;
  return {
    check: "offer",
    found: agents === 0 ? `none yet${offersText(state)}` : `${agents} agents, none of which will do`,
    wanted: "an agent with room that meets all constraints",
  };
}

/** When the role was offered anything: a quota that is used up, or another weight, looks like this. */
function offersText({ offers, settings, framework }: State): string {
  const role = `role "${framework.role ?? settings.role}"`;
  return offers.lastOfferMs === undefined
    ? `; ${role} was offered nothing so far`
    : `; ${role} had its last offer at ${iso(offers.lastOfferMs)}`;
}

function releaseWaits(state: State, node: NodeRecord): readonly Reason[] {
  const leftover = node.place === undefined ? undefined : state.leftovers.get(node.place.reservation);
  if (leftover === undefined) return [];
  const { hostname } = leftover.place;
  if (leftover.operation !== undefined) {
    const found = `DESTROY and UNRESERVE sent at ${iso(leftover.operation.sentMs)}`;
    return [{ check: "release", found, wanted: `agent "${hostname}" to say that they are done` }];
  }
  return [
    {
      check: "offer",
      found: "none with its reservation",
      wanted: `an offer of agent "${hostname}" with volume "${leftover.place.volume}"`,
    },
  ];
}
