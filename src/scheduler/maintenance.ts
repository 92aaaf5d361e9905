// Maintenance that operators of Mesos have planned: inverse offers ask for an agent, and are accepted or refused with a reason.
// A node on an agent that is promised stops by a plan before the window, keeps its volume, and starts when the window is over. Of
// a machine that goes for ever it is replaced elsewhere (`replace.ts`).
import type { InverseOffer, Offer } from "../mesos/offer.ts";
import type { Reason } from "../std/reason.ts";
import type { Draft } from "./draft.ts";
import { awayReasons, databaseOf, membersOf, stopReasons } from "./members.ts";
import { beginPlan, stepsOf } from "./plans.ts";
import { activePlans, type ClusterState, type NodeRecord, type State, type Window } from "./state.ts";

/** Mesos asks again after this, whatever the answer was. */
const ASK_AGAIN_S = 60;
/** A window that Mesos has not asked for in so long was called off. */
const FORGOTTEN_MS = 2.5 * ASK_AGAIN_S * 1000;
/** What a node gets, besides the time to drain, to be down when its window begins. */
const STOP_MS = 300_000;
const AGENTS_MAX = 1000;

type Span = InverseOffer["unavailability"];

/** Answers inverse offers, each by itself. */
export function answerInverseOffers(draft: Draft, inverseOffers: readonly InverseOffer[]): void {
  for (const { id, agentId, unavailability } of inverseOffers) {
    const reasons = agentId === undefined ? [] : refusals(draft.state, agentId, unavailability, draft.nowMs);
    const isAccepted = agentId !== undefined && reasons.length === 0;
    if (agentId !== undefined && nodesOn(draft.state, agentId).length > 0) {
      const before = draft.state.maintenance.get(agentId);
      const window: Window = { id, ...unavailability, isAccepted, reasons, askedMs: draft.nowMs };
      if (before !== undefined || draft.state.maintenance.size < AGENTS_MAX) draft.putWindow(agentId, window);
      if (before?.isAccepted !== isAccepted || before.startMs !== window.startMs) note(draft, agentId, window);
    }
    draft.act(
      isAccepted
        ? { type: "acceptInverseOffers", inverseOfferIds: [id], refuseSeconds: ASK_AGAIN_S }
        : { type: "declineInverseOffers", inverseOfferIds: [id], refuseSeconds: ASK_AGAIN_S },
    );
  }
}

function note(draft: Draft, agentId: string, { startMs, isAccepted, reasons }: Window): void {
  const [reason] = reasons;
  const why = reason === undefined ? "" : `: ${reason.check} found ${reason.found}, wanted ${reason.wanted}`;
  const text = `Maintenance of agent "${agentId}" from ${new Date(startMs).toISOString()} is ${isAccepted ? "accepted" : "refused"}${why}`;
  draft.act({ type: "note", level: isAccepted ? "info" : "warn", text });
}

/** The operator has called the inverse offer back. */
export function forgetInverseOffer(draft: Draft, id: string): void {
  for (const [agentId, window] of draft.state.maintenance) if (window.id === id) draft.forgetWindow(agentId);
}

/** An agent that is offered without a window has none any more: Mesos says so of no inverse offer that was answered. */
export function forgetWindows(draft: Draft, offers: readonly Offer[]): void {
  if (draft.state.maintenance.size === 0) return;
  const open = new Set(
    offers.flatMap(({ agentId, unavailability }) => (unavailability === undefined ? [agentId] : [])),
  );
  for (const agentId of draft.state.maintenance.keys()) if (open.has(agentId)) draft.forgetWindow(agentId);
}

/** A new subscription: Mesos may ask for every window again, a promise of an earlier scheduler holds until then. */
export function awaitWindows(draft: Draft): void {
  for (const [agentId, window] of draft.state.maintenance)
    draft.putWindow(agentId, { ...window, askedMs: draft.nowMs });
}

/** Why the agent cannot be spared; empty: it can. What others do is asked for only when the nodes would have to stop now. */
function refusals(state: State, agentId: string, asked: Span, nowMs: number): readonly Reason[] {
  const nodes = nodesOn(state, agentId).filter((node) => state.clusters.get(node.cluster)?.record.goal === "running");
  const isDue = nowMs >= asked.startMs - leadMs(state);
  return [...Map.groupBy(nodes, ({ cluster }) => cluster)].flatMap(([name, mine]): readonly Reason[] => {
    const cluster = state.clusters.get(name);
    const [node] = mine;
    if (cluster === undefined || node === undefined || mine.every(({ joined }) => !joined)) return [];
    if (mine.length > 1) {
      const found = `${mine.length} nodes of it on the agent`;
      return [{ check: `cluster ${name}`, found, wanted: "at most one, so that the other replicas serve" }];
    }
    if (cluster.nodes.size < 2)
      return [
        { check: `cluster ${name}`, found: "its only node on the agent", wanted: "other nodes that serve meanwhile" },
      ];
    const other = promisedElsewhere(state, name, agentId, asked);
    if (other !== undefined) {
      const found = `agent "${other}" promised for the same time`;
      return [{ check: `cluster ${name}`, found, wanted: "one of its agents at a time" }];
    }
    if (!isDue) return [];
    // One that does not serve already would stay away while others are.
    const reasons = node.phase === "unreachable" ? stopReasons(cluster, node) : awayReasons(cluster, node);
    if (node.task === undefined) return reasons;
    const busy = activePlans(state, name).find(({ kind }) => kind !== "maintain");
    return busy === undefined
      ? reasons
      : [...reasons, { check: `cluster ${name}`, found: `plan "${busy.id}" at work`, wanted: "no other change" }];
  });
}

/** Another agent with a node of the cluster that is away at the same time. */
function promisedElsewhere(state: State, cluster: string, agentId: string, asked: Span): string | undefined {
  const meets = (window: Span): boolean => window.startMs < endOf(asked) && asked.startMs < endOf(window);
  const others = [...state.maintenance].filter(
    ([other, window]) => other !== agentId && window.isAccepted && meets(window),
  );
  const node = others
    .flatMap(([other]) => nodesOn(state, other))
    .find((each) => each.cluster === cluster && each.joined);
  return node?.place?.hostname;
}

/** Begins to stop the nodes of agents whose promised window comes near. */
export function stopForMaintenance(draft: Draft): void {
  for (const [agentId, window] of draft.state.maintenance) {
    const isAsked = draft.nowMs < window.askedMs + FORGOTTEN_MS || isAway(draft.state, agentId, window, draft.nowMs);
    if (!isAsked || isOver(window, draft.nowMs)) {
      draft.forgetWindow(agentId);
    } else if (window.isAccepted && draft.nowMs >= window.startMs - leadMs(draft.state)) {
      for (const node of nodesOn(draft.state, agentId)) stopNode(draft, node);
    }
  }
}

/** Whether the agent is with its operators, as it was promised: then Mesos does not ask for it. */
function isAway(state: State, agentId: string, { isAccepted, startMs }: Window, nowMs: number): boolean {
  const nodes = nodesOn(state, agentId);
  return isAccepted && nowMs >= startMs && nodes.length > 0 && nodes.every(({ phase }) => phase !== "running");
}

function stopNode(draft: Draft, node: NodeRecord): void {
  const cluster: ClusterState | undefined = draft.state.clusters.get(node.cluster);
  const isIdle = activePlans(draft.state, node.cluster).length === 0;
  if (cluster?.record.goal !== "running" || node.phase !== "running" || !isIdle) return;
  // The node itself is asked before it goes whether its ring is whole, as before every restart.
  const asked = { type: "restart", nodes: [node.id] } as const;
  const sketches = databaseOf(cluster).plan(asked, cluster.record.spec, membersOf(cluster));
  beginPlan(draft, "maintain", node.cluster, stepsOf(sketches));
}

/** Whether nodes of an agent must not start now, for a window that its offers tell of and that we have not refused. */
export function isClosed(state: State, agentId: string, offers: readonly Offer[], nowMs: number): boolean {
  if (state.maintenance.get(agentId)?.isAccepted === false) return false;
  return offers.some(
    ({ unavailability: window }) =>
      window !== undefined && nowMs >= window.startMs - leadMs(state) && !isOver(window, nowMs),
  );
}

function isOver(window: Span, nowMs: number): boolean {
  return nowMs >= endOf(window);
}

function endOf({ startMs, durationMs }: Span): number {
  return durationMs === undefined ? Infinity : startMs + durationMs;
}

function leadMs(state: State): number {
  return STOP_MS + state.settings.drainMs;
}

function nodesOn(state: State, agentId: string): readonly NodeRecord[] {
  return [...state.clusters.values()].flatMap(({ nodes }) =>
    [...nodes.values()].filter(({ place }) => place?.agentId === agentId),
  );
}
