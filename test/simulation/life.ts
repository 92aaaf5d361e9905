// What becomes of the framework itself: operators of Mesos remove it, ours register it again or uninstall it, at wrong moments
// too. And what may be expected of it after that, by the truth of agents.
import type { State } from "../../src/scheduler/state.ts";
import { frameworkView } from "../../src/scheduler/views.ts";
import type { World } from "./world.ts";

/** So long nobody forces an uninstallation in the calm: what was perhaps reserved is looked for that long. */
const PATIENCE_MS = 4_500_000;
const GHOST = "ghost";

/** `isCertain`: whether it was answered. */
type Uninstallation = { readonly isForced: boolean; readonly isCertain: boolean };

export class Life {
  readonly #world: World;
  /** What operators have asked for, and not taken back by registering the framework again. */
  #uninstall: Uninstallation | undefined;
  #calmMs: number | undefined;
  /** How many removals were answered by registering the framework again. */
  #registered = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get isForced(): boolean {
    return this.#uninstall?.isForced === true;
  }

  /** One thing that somebody does now and then. */
  act(): void {
    const { faults, master, timeline } = this.#world;
    const chance = faults.stream("life of the framework");
    switch (faults.life()) {
      case "framework removed": {
        const laterMs = chance.between(500, 600_000);
        if (master.frameworks.id === undefined) return;
        master.removeFramework(master.frameworks.id);
        return timeline.at(laterMs, () => (faults.active ? this.#register() : undefined));
      }
      case "framework registered":
        return this.#register();
      case "framework uninstalled":
        return this.#uninstallAll(chance.hit(0.2));
      default:
    }
  }

  #register(): void {
    const { operator, master, checks, timeline } = this.#world;
    timeline.say("operator: registers the framework");
    operator.leader?.submit({ type: "registerFramework" }, (outcome) => {
      const { told } = master.frameworks;
      // Who has no answer cannot tell whether the uninstallation was taken back by it.
      if (outcome.type === "unknown" && this.#uninstall !== undefined)
        this.#uninstall = { ...this.#uninstall, isCertain: false };
      if (outcome.type !== "done") return;
      if (told.size <= this.#registered) checks.fail("register", "it is begun anew, and Mesos has not removed it");
      this.#registered = told.size;
      this.#uninstall = undefined;
    });
  }

  #uninstallAll(isForced: boolean): void {
    const { operator, timeline } = this.#world;
    const { leader } = operator;
    if (leader === undefined) return;
    timeline.say(`operator: uninstalls the framework${isForced ? " by force" : ""}`);
    const before = this.#uninstall;
    // It may work before it is answered.
    this.#uninstall = { isForced: isForced || this.isForced, isCertain: before?.isCertain === true };
    operator.submit(leader, { type: "uninstallFramework", force: isForced }, true, (how) => {
      if (how === "refused") this.#uninstall = before;
      // The last word counts.
      else if (how === "given") this.#uninstall = { isForced, isCertain: true };
    });
  }

  /** The scheduler ends the framework: only when that was asked for, and nothing of it is left. */
  checkTeardown(): void {
    const { checks } = this.#world;
    if (this.#uninstall === undefined) checks.fail("teardown", "nobody has asked for it");
    const [left] = this.isForced ? [] : this.#left();
    if (left !== undefined) checks.fail("teardown", `${left.what} is left on ${left.hostname}`);
  }

  /** What there is of ours on agents that may come back. What no store ever knew may stay. */
  #left(): readonly { readonly what: string; readonly hostname: string; readonly reservation: string }[] {
    const { agents, master } = this.#world;
    const found = agents.flatMap(({ id, hostname, total, containers }) => {
      if (master.isGone(id)) return [];
      const executors = [...containers.values()].flatMap(({ executor, isEnding }) =>
        isEnding === true || executor.labels["ringmaster.cluster"] === GHOST ? [] : [executor.executorId],
      );
      const reserved = total.list().flatMap(({ name, reservations }) => {
        const { "ringmaster.framework": owner = "", "ringmaster.reservation": reservation = "" } =
          reservations.at(-1)?.labels ?? {};
        return master.frameworks.given.has(owner) ? [{ what: `${name} of ${reservation}`, hostname, reservation }] : [];
      });
      return [...executors.map((what) => ({ what: `executor ${what}`, hostname, reservation: "" })), ...reserved];
    });
    return found;
  }

  /** What is not as wanted about the framework, once all has come to rest. */
  open(view: State): readonly string[] {
    const { status, leftovers } = frameworkView(view);
    if (status === "active" && this.#uninstall?.isCertain !== true)
      return view.connected ? [] : ["scheduler: nobody leads"];
    if (status !== "uninstalled") return [`framework: is ${status}`];
    if (this.#uninstall === undefined) return ["framework: is uninstalled, and nobody has asked for it"];
    const shown = new Set(this.isForced ? leftovers.map(({ reservation }) => reservation) : []);
    return this.#left()
      .filter(({ reservation }) => !shown.has(reservation))
      .map(({ what, hostname }) => `framework: is uninstalled, and ${what} is left on ${hostname}`);
  }

  /** In the calm: what people would do who see that nothing goes on. */
  tend(): void {
    const { operator, master, agents, nowMs } = this.#world;
    const { view } = operator;
    this.#calmMs ??= nowMs;
    // A master that came to lead after the removal takes what agents still run of the framework for its own.
    for (const agent of agents)
      for (const id of agent.frameworks()) if (id !== master.frameworks.id) master.removeFramework(id);
    const status = view === undefined ? undefined : frameworkView(view).status;
    if (status === "removed") return this.#register();
    const isStuck = status === "uninstalling" && nowMs - this.#calmMs > PATIENCE_MS;
    if (isStuck && !this.isForced) this.#uninstallAll(true);
  }
}
