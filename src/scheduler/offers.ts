// The offer conversation: every offer is answered at once; SUPPRESS when nothing is wanted, REVIVE when something new is.
import type { Offer } from "../mesos/offer.ts";
import type { Operation } from "../mesos/operations.ts";
import { free } from "../mesos/resources.ts";
import type { Draft } from "./draft.ts";
import { launchAdmin } from "./admin.ts";
import type { AgentOffer } from "./feasible.ts";
import { placeNode, relaunchNode, releaseLeftover, reservationOf, type Launch } from "./launch.ts";
import { forgetWindows, isClosed } from "./maintenance.ts";
import { startReasons } from "./members.ts";
import { countLaunch } from "./numbers.ts";
import { Placement } from "./placement.ts";
import { isSought, leavePlace, releaseId } from "./release.ts";
import { findNode, REVIVE_TOKENS, type ClusterState, type NodeRecord, type PlanRecord, type Step } from "./state.ts";
import { wants, type Want } from "./wants.ts";

/** Refusal of what nobody needs; an agent that gets more room, and a REVIVE, come through all the same. */
const LONG_REFUSAL_S = 3600;
/** Refusal while something is wanted that this offer does not do for. */
const RETRY_REFUSAL_S = 20;
/** Refusal of a part of a reservation whose rest Mesos has not given back yet, and of offers that come too early. */
const SHORT_REFUSAL_S = 1;
/** One revive comes back into the bucket in this time. */
const TOKEN_MS = 1000;
/** A wish that stays unmet asks for all offers again after this. */
const REVIVE_AGAIN_MS = 300_000;

/** Answers a batch of offers. */
export function answerOffers(draft: Draft, offers: readonly Offer[]): void {
  draft.set({ offers: { ...draft.state.offers, lastOfferMs: draft.nowMs } });
  forgetWindows(draft, offers);
  if (!draft.state.connected || draft.state.unreconciled.size > 0) {
    decline(draft, offers, SHORT_REFUSAL_S);
    return;
  }
  const agents = byAgent(offers);
  const round = new Round(draft, agents);
  for (const want of wants(draft.state, draft.nowMs)) round.serve(want);
  round.answer();
}

/** Declines what a failed call may have left open. */
export function declineAgain(draft: Draft): void {
  const { connected, offers } = draft.state;
  if (!connected || offers.unanswered.length === 0) return;
  draft.act({ type: "decline", offerIds: offers.unanswered, refuseSeconds: SHORT_REFUSAL_S });
  draft.set({ offers: { ...offers, unanswered: [] } });
}

function decline(draft: Draft, offers: readonly Offer[], refuseSeconds: number): void {
  if (offers.length > 0) draft.act({ type: "decline", offerIds: offers.map(({ id }) => id), refuseSeconds });
}

/** Offers of one agent belong together: Mesos splits them, an ACCEPT may join them. */
function byAgent(offers: readonly Offer[]): ReadonlyMap<string, AgentOffer> {
  const groups = Map.groupBy(offers, ({ agentId }) => agentId);
  return new Map(
    [...groups].map(([agentId, group]) => {
      const [first] = group;
      const fields: Record<string, string> = { ...first?.attributes, hostname: first?.hostname ?? "" };
      if (first?.region !== undefined) fields["@region"] = first.region;
      if (first?.zone !== undefined) fields["@zone"] = first.zone;
      const resources = group.flatMap((offer) => offer.resources);
      return [
        agentId,
        { agentId, hostname: first?.hostname ?? "", offers: group, free: free(resources, "unreserved"), fields },
      ];
    }),
  );
}

/** One batch of offers being dealt out. An agent's offers serve any number of releases and at most one launch. */
class Round {
  readonly #draft: Draft;
  readonly #agents: ReadonlyMap<string, AgentOffer>;
  readonly #operations = new Map<string, Operation[]>();
  readonly #placement: Placement;
  readonly #partial = new Set<string>();
  /** Nodes that got an admin task: what is kept for such tasks does for one at a time. */
  readonly #asked = new Set<string>();
  #unmet = false;

  constructor(draft: Draft, agents: ReadonlyMap<string, AgentOffer>) {
    this.#draft = draft;
    this.#agents = agents;
    this.#placement = new Placement(agents);
  }

  serve(want: Want): void {
    // What an earlier want of this round has changed is another want now.
    if ("node" in want && findNode(this.#draft.state, want.node.id) !== want.node) return;
    switch (want.type) {
      case "release": {
        const agent = this.#agents.get(want.leftover.place.agentId);
        const { state, nowMs } = this.#draft;
        if (agent === undefined && !isSought(want.leftover, nowMs)) return;
        const operations = agent === undefined ? undefined : releaseLeftover(state, want.leftover, agent, nowMs);
        if (operations === undefined) return this.#missed(agent, want.leftover.place.reservation);
        this.#add(want.leftover.place.agentId, operations);
        const operation = { id: releaseId(want.leftover, nowMs), sentMs: nowMs };
        return this.#draft.putLeftover({ ...want.leftover, certain: true, operation });
      }
      case "relaunch": {
        const agent = this.#agents.get(want.node.place?.agentId ?? "");
        if (!this.#mayStart(want.node)) return;
        if (agent !== undefined && isClosed(this.#draft.state, agent.agentId, agent.offers, this.#draft.nowMs)) {
          this.#unmet = true;
          return;
        }
        const started =
          agent === undefined || !this.#placement.isOpen(agent.agentId)
            ? undefined
            : this.#relaunch(want.cluster, want.node, agent);
        if (started !== undefined) return this.#launch(started);
        this.#missed(agent, want.node.place?.reservation ?? "");
        if (agent !== undefined && isNotThere(want.node, this.#partial.has(agent.agentId)))
          this.#draft.putNode({ ...leavePlace(this.#draft, want.node), phase: "waiting" });
        return;
      }
      case "admin":
        return this.#admin(want.plan, want.index);
      case "place":
        return this.#place(want.node);
    }
  }

  #relaunch(cluster: ClusterState, node: NodeRecord, agent: AgentOffer): Launch | undefined {
    return relaunchNode(this.#draft.state, cluster, node, agent, this.#draft.nowMs);
  }

  #admin(plan: PlanRecord, index: number): void {
    const { state } = this.#draft;
    const cluster = state.clusters.get(plan.cluster);
    const step = plan.steps[index];
    const node = step?.node === undefined ? undefined : cluster?.nodes.get(step.node);
    const agent = this.#agents.get(node?.place?.agentId ?? "");
    if (cluster === undefined || step === undefined || node === undefined) return;
    if (agent !== undefined && this.#asked.has(node.id)) return;
    const launched = agent === undefined ? undefined : launchAdmin(state, cluster, node, step, agent);
    if (agent === undefined || launched === undefined) return this.#missed(agent, node.place?.reservation ?? "");
    const current = state.plans.get(plan.id) ?? plan;
    const begun: Step = { ...launched.step, startedMs: step.startedMs ?? this.#draft.nowMs };
    countLaunch(this.#draft);
    this.#draft.putPlan({ ...current, steps: current.steps.with(index, begun) });
    this.#asked.add(node.id);
    this.#add(agent.agentId, launched.operations);
  }

  /** An earlier want of this round may have taken the turn of a later one. */
  #mayStart(node: NodeRecord): boolean {
    const cluster = this.#draft.state.clusters.get(node.cluster);
    if (cluster?.nodes.get(node.id)?.task !== undefined) return false;
    return cluster !== undefined && startReasons(cluster, node, this.#draft.nowMs).length === 0;
  }

  #place(node: NodeRecord): void {
    const { state, nowMs } = this.#draft;
    const cluster = state.clusters.get(node.cluster);
    if (cluster === undefined || !this.#mayStart(node)) return;
    const best = this.#placement.find(state, cluster, node, nowMs);
    if (best === undefined) {
      this.#unmet = true;
      const { explanations } = state;
      const explanation = this.#placement.explain(state, cluster, node, nowMs, explanations.get(node.id));
      this.#draft.set({ explanations: new Map(explanations).set(node.id, explanation) });
      return;
    }
    const launched = placeNode(state, cluster, node, best, this.#placement.ports(state), nowMs);
    this.#launch(launched);
    this.#placement.add(launched.node);
  }

  #launch(launch: Launch): void {
    const { node, operations } = launch;
    if (node.place === undefined) throw new Error(`Cannot launch node "${node.id}": it has no place`);
    countLaunch(this.#draft);
    this.#draft.putNode(node);
    if (this.#draft.state.explanations.has(node.id)) {
      const explanations = new Map(this.#draft.state.explanations);
      explanations.delete(node.id);
      this.#draft.set({ explanations });
    }
    this.#placement.close(node.place.agentId);
    this.#add(node.place.agentId, operations);
  }

  #add(agentId: string, operations: readonly Operation[]): void {
    this.#operations.set(agentId, [...(this.#operations.get(agentId) ?? []), ...operations]);
  }

  /** Notes that a want got nothing, and whether the agent offered a part of its reservation. */
  #missed(agent: AgentOffer | undefined, reservation: string): void {
    this.#unmet = true;
    const { framework } = this.#draft.state;
    const resources = agent?.offers.flatMap((offer) => offer.resources) ?? [];
    if (agent !== undefined && resources.some((resource) => reservationOf(resource, framework) === reservation))
      this.#partial.add(agent.agentId);
  }

  /** Accepts what is used, declines the rest. */
  answer(): void {
    const unused: Offer[] = [];
    const partial: Offer[] = [];
    for (const agent of this.#agents.values()) {
      const operations = this.#operations.get(agent.agentId);
      if (operations !== undefined) {
        const offerIds = agent.offers.map(({ id }) => id);
        this.#draft.act({ type: "accept", offerIds, operations, refuseSeconds: SHORT_REFUSAL_S });
      } else if (this.#partial.has(agent.agentId)) partial.push(...agent.offers);
      else unused.push(...agent.offers);
    }
    decline(this.#draft, partial, SHORT_REFUSAL_S);
    decline(this.#draft, unused, this.#unmet ? RETRY_REFUSAL_S : LONG_REFUSAL_S);
  }
}

/** Whether a place is none: its launch was never heard of, and its agent offers nothing of its reservation. */
function isNotThere({ unheard, joined }: NodeRecord, isPartial: boolean): boolean {
  return unheard === true && !joined && !isPartial;
}

/** Asks for offers when something new is wanted, and for none when nothing is. */
export function steerOffers(draft: Draft): void {
  const { offers, connected, unreconciled } = draft.state;
  if (!connected || unreconciled.size > 0) return;
  const sought = wants(draft.state, draft.nowMs).filter(
    (want) => want.type !== "release" || isSought(want.leftover, draft.nowMs),
  );
  const keys = new Set(sought.map(({ key }) => key));
  if (keys.size === 0) {
    if (!offers.suppressed) draft.act({ type: "suppress" });
    if (!offers.suppressed || offers.revivedFor.size > 0)
      draft.set({ offers: { ...offers, suppressed: true, revivedFor: new Set() } });
    return;
  }
  const gained = Math.floor((draft.nowMs - offers.tokensMs) / TOKEN_MS);
  const full = offers.tokens + gained >= REVIVE_TOKENS;
  const tokens = full ? REVIVE_TOKENS : offers.tokens + gained;
  const tokensMs = full ? draft.nowMs : offers.tokensMs + gained * TOKEN_MS;
  const isNew = [...keys].some((key) => !offers.revivedFor.has(key));
  const isStale = draft.nowMs >= Math.max(offers.lastOfferMs ?? 0, offers.revivedMs) + REVIVE_AGAIN_MS;
  if ((!isNew && !isStale) || tokens === 0) return;
  draft.act({ type: "revive" });
  draft.set({
    offers: { ...offers, suppressed: false, revivedFor: keys, revivedMs: draft.nowMs, tokens: tokens - 1, tokensMs },
  });
}
