// The offers of the simulated master: what is free, to whom it is offered, and what was refused for a while.
import type { Offer } from "../../src/mesos/offer.ts";
import type { Resource } from "../../src/mesos/resources.ts";
import type { SchedulerEvent } from "../../src/mesos/scheduler-api.ts";
import type { Agent } from "./agent.ts";
import type { Bag } from "./bag.ts";
import type { World } from "./world.ts";

export type OpenOffer = { readonly agentId: string; readonly bag: Bag; readonly sentMs: number };

type Offering = { readonly agent: Agent; readonly id: string; readonly total: Bag; readonly connected: boolean };

/** What the allocator asks its master for. */
type Source = {
  /** Agents whose resources may be offered now; none while nobody is subscribed. */
  readonly agents: () => readonly Offering[];
  readonly used: (agentId: string) => readonly Resource[];
  readonly send: (event: SchedulerEvent) => void;
};

export class Allocator {
  readonly #world: World;
  readonly #source: Source;
  /** Open offers by id. */
  readonly offers = new Map<string, OpenOffer>();
  suppressed = false;
  #allocating = false;
  readonly #filters = new Map<string, { readonly bag: Bag; readonly untilMs: number }[]>();
  /** Grows with every failover: filters of before are forgotten. */
  #epoch = 0;

  constructor(world: World, source: Source) {
    this.#world = world;
    this.#source = source;
  }

  /** A new subscription, or a REVIVE: everything is offered again. */
  revive(): void {
    this.suppressed = false;
    this.#filters.clear();
  }

  /** The master fails over. */
  forget(): void {
    this.#epoch += 1;
    this.offers.clear();
    this.#filters.clear();
  }

  /** An offer is answered: what it holds is free again, and refused for a while. */
  take(id: string, refuseSeconds: number): OpenOffer | undefined {
    const offer = this.offers.get(id);
    if (offer === undefined) return undefined;
    this.offers.delete(id);
    this.refuse(offer.agentId, offer.bag, refuseSeconds);
    return offer;
  }

  refuse(agentId: string, bag: Bag, refuseSeconds: number): void {
    if (refuseSeconds <= 0 || bag.isEmpty) return;
    const filters = this.#filters.get(agentId) ?? [];
    this.#filters.set(agentId, [...filters, { bag, untilMs: this.#world.nowMs + refuseSeconds * 1000 }]);
    const epoch = this.#epoch;
    this.#world.timeline.at(
      refuseSeconds * 1000 + 1,
      () => (this.#epoch === epoch ? this.allocate() : undefined),
      false,
    );
  }

  /** Offers what is free to whoever wants it, once a second at most. */
  allocate(): void {
    if (this.#allocating) return;
    this.#allocating = true;
    this.#world.timeline.at(
      this.#world.delay("allocate", 100, 1000),
      () => {
        this.#allocating = false;
        if (this.suppressed) return;
        const offers = this.#source
          .agents()
          .flatMap((known) =>
            known.connected && !this.#world.maintenance.isDrained(known.id) ? (this.#offer(known) ?? []) : [],
          );
        if (offers.length === 0) return;
        this.#world.timeline.say(
          `master: offers ${offers.map(({ id, hostname }) => `${id} of ${hostname}`).join(", ")}`,
        );
        this.#source.send({ type: "offers", offers });
      },
      false,
    );
  }

  #offer({ agent, id, total }: Offering): Offer | undefined {
    const free = total.copy();
    free.remove(this.#source.used(id));
    for (const { agentId, bag } of this.offers.values()) if (agentId === id) free.remove(bag.list());
    const resources = free.list();
    if (resources.length === 0) return undefined;
    const filters = (this.#filters.get(id) ?? []).filter(({ untilMs }) => untilMs > this.#world.nowMs);
    this.#filters.set(id, filters);
    if (filters.some(({ bag }) => bag.has(resources))) return undefined;
    const offerId = `o${this.#world.nextId()}`;
    this.offers.set(offerId, { agentId: id, bag: free, sentMs: this.#world.nowMs });
    const allocated = resources.map((resource) => ({ ...resource, allocatedTo: "ringmaster" }));
    const unavailability = this.#world.maintenance.spanOf(id);
    return {
      ...{ id: offerId, agentId: id, hostname: agent.hostname, attributes: agent.attributes, resources: allocated },
      ...(unavailability === undefined ? {} : { unavailability }),
    };
  }

  rescindAll(isMeant: (offer: OpenOffer) => boolean): void {
    for (const [id, offer] of this.offers) {
      if (!isMeant(offer)) continue;
      this.offers.delete(id);
      this.#source.send({ type: "rescinded", offerId: id });
    }
  }
}
