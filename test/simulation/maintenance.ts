// What operators of Mesos do with agents on purpose: maintenance windows, asked for by inverse offers, and drained agents.
import type { Offer } from "../../src/mesos/offer.ts";
import type { Agent } from "./agent.ts";
import type { World } from "./world.ts";

/** How often the master asks again for an agent. */
const ASK_MS = 60_000;
/** An answer that is older need not hold: the nodes on an agent change. */
const FRESH_MS = ASK_MS + 10_000;

type Window = {
  readonly agent: Agent;
  readonly span: NonNullable<Offer["unavailability"]>;
  /** The inverse offer that was sent last. */
  asked: string;
  /** When the last one that was accepted was; undefined: the last answer was a refusal. */
  acceptedMs?: number;
  /** Whether its time has come, and the framework had let the agent go. */
  isTaken: boolean;
};

export class Maintenance {
  readonly #world: World;
  /** By agent id. */
  readonly #windows = new Map<string, Window>();
  readonly #drained = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The window that offers of an agent tell of. */
  spanOf(agentId: string): Offer["unavailability"] {
    return this.#windows.get(agentId)?.span;
  }

  /** Whether nothing of the agent is offered, and what ran there was killed. */
  isDrained(agentId: string): boolean {
    return this.#drained.has(agentId);
  }

  /** One thing that operators of Mesos do now and then. */
  act(): void {
    const { faults, agents } = this.#world;
    const kind = faults.planned();
    const chance = faults.stream("Mesos' operators");
    const agent = chance.pick(agents);
    if (kind === undefined || agent === undefined) return;
    if (kind === "agent drained") return this.#drain(agent, chance.between(30_000, 1_200_000));
    const startsMs = chance.between(0, 900_000);
    const lastsMs = chance.between(60_000, 1_200_000);
    this.#plan(agent, startsMs, lastsMs, { isForced: chance.hit(0.2), isCalledOff: chance.hit(0.3) });
  }

  /** Faults are over: nobody wants an agent for themselves any more. */
  end(): void {
    for (const id of [...this.#windows.keys()]) this.#callOff(id);
    for (const id of [...this.#drained]) this.#reactivate(id);
  }

  /** The framework's answer to inverse offers. */
  answer(ids: readonly string[], isAccepted: boolean): void {
    for (const [agentId, window] of this.#windows) {
      if (!ids.includes(window.asked)) continue;
      if (isAccepted) window.acceptedMs = this.#world.nowMs;
      else delete window.acceptedMs;
      this.#world.timeline.say(`master: maintenance of ${agentId} is ${isAccepted ? "accepted" : "declined"}`);
    }
  }

  #plan(agent: Agent, startsMs: number, lastsMs: number, how: { isForced: boolean; isCalledOff: boolean }): void {
    const { id } = agent;
    if (this.#windows.has(id) || !agent.reachable) return;
    const { timeline, nowMs, faults } = this.#world;
    // A machine that goes for ever comes back in the calm, as one that its operators changed their mind about.
    const isForEver = faults.stream("machines that go for ever").hit(0.2);
    const span = { startMs: nowMs + startsMs, ...(isForEver ? {} : { durationMs: lastsMs }) };
    const window: Window = { agent, span, asked: "", isTaken: false };
    this.#windows.set(id, window);
    timeline.say(
      `master: maintenance of ${agent.hostname} (${id}) in ${startsMs} ms for ${isForEver ? "ever" : `${lastsMs} ms`}`,
    );
    this.#world.master.offerAnew(id);
    this.#ask(window);
    const whenOpen = (delayMs: number, run: () => void): void =>
      timeline.at(delayMs, () => (this.#windows.get(id) === window ? run() : undefined));
    if (how.isCalledOff) return whenOpen(Math.round((startsMs + lastsMs) / 2), () => this.#callOff(id));
    whenOpen(startsMs, () => this.#begin(window, how.isForced));
    if (!isForEver) whenOpen(startsMs + lastsMs, () => this.#callOff(id));
  }

  #ask(window: Window): void {
    const { agent, span } = window;
    if (this.#windows.get(agent.id) !== window) return;
    this.#world.timeline.at(ASK_MS, () => this.#ask(window), false);
    // Mesos offers nothing of a machine that is away, nor asks for it.
    if (!agent.reachable) return;
    window.asked = `i${this.#world.nextId()}`;
    this.#world.master.tellFramework({
      type: "inverseOffers",
      inverseOffers: [{ id: window.asked, agentId: agent.id, unavailability: span }],
    });
  }

  /** The window's time has come: the machine goes down if the framework lets it go, or its operators do not care. */
  #begin(window: Window, isForced: boolean): void {
    const { agent, span, acceptedMs = -Infinity } = window;
    window.isTaken = this.#world.nowMs - acceptedMs < FRESH_MS;
    if (window.isTaken) this.#checkPromises();
    if ((window.isTaken || isForced) && agent.running) agent.reboot(span.durationMs ?? Infinity);
  }

  /** What the framework has promised at one time leaves every replica set its quorum. */
  #checkPromises(): void {
    // A machine that has registered anew since is another agent, which nobody has asked for.
    const taken = [...this.#windows].filter(([agentId, { agent, isTaken }]) => isTaken && agent.id === agentId);
    const volumes = new Set(taken.flatMap(([, { agent }]) => [...agent.volumes.values()]));
    for (const ring of this.#world.rings.values()) ring.checkPromise(volumes);
  }

  #callOff(agentId: string): void {
    this.#windows.delete(agentId);
    this.#world.timeline.say(`master: no maintenance of ${agentId} any more`);
    this.#world.master.offerAnew(agentId);
  }

  #drain(agent: Agent, lastsMs: number): void {
    const { id } = agent;
    if (!agent.reachable || this.#drained.has(id)) return;
    this.#world.timeline.say(`master: drains ${agent.hostname} (${id})`);
    this.#drained.add(id);
    this.#world.master.offerAnew(id);
    agent.deliver(() => agent.killAll());
    this.#world.timeline.at(lastsMs, () => this.#reactivate(id));
  }

  #reactivate(agentId: string): void {
    if (!this.#drained.delete(agentId)) return;
    this.#world.timeline.say(`master: reactivates ${agentId}`);
    this.#world.master.offerAnew(agentId);
  }
}
