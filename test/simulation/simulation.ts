// One run: a world from a seed, events with faults, then calm, and the question whether all is as it was asked for.
import type { Resource } from "../../src/mesos/resources.ts";
import { Agent } from "./agent.ts";
import { waitsOf } from "./caretaker.ts";
import { Violation } from "./checks.ts";
import { strike } from "./strikes.ts";
import { type Options, World } from "./world.ts";

/** What became of a run. `kind` groups failures of one sort. */
export type Result = {
  readonly seed: number;
  readonly outcome: "good" | "crash" | "safety" | "liveness";
  readonly kind: string;
  readonly message: string;
  readonly events: number;
  readonly minutes: number;
  readonly hash: number;
  readonly lines: readonly string[];
  /** What was not as asked for, and why that is in order. */
  readonly waits: readonly string[];
};

/** How long the calm may last. */
const CALM_MS = 4 * 3_600_000;
const LOOK_MS = 20_000;

/** Runs one seed. */
export async function simulate(options: Options): Promise<Result> {
  const world = new World(options);
  setUp(world);
  const result = (
    outcome: Result["outcome"],
    kind: string,
    message: string,
    waits: readonly string[] = [],
  ): Result => ({
    seed: options.seed,
    outcome,
    kind,
    message,
    events: world.timeline.events,
    minutes: world.timeline.minutes,
    hash: world.timeline.hash,
    lines: world.timeline.last(200),
    waits,
  });
  try {
    const open = await runToCalm(world);
    if (open.unexplained.length > 0)
      return result("liveness", open.unexplained[0]?.split(":")[0] ?? "", open.unexplained.join("\n"), open.explained);
    return result("good", "", "", open.explained);
  } catch (error) {
    if (error instanceof Violation) return result("safety", error.kind, error.message);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return result("crash", error instanceof Error ? error.message.slice(0, 60) : "thrown", text);
  }
}

function setUp(world: World): void {
  world.store.apply(
    [
      {
        type: "put",
        path: "framework",
        value: { schema: 1, name: "ringmaster", launches: 1, token: "token-of-16-letters" },
      },
    ],
    undefined,
  );
  const chance = world.faults.stream("set-up");
  const count = world.options.agents ?? chance.between(4, 6);
  for (let number = 1; number <= count; number++) {
    const zone = `z${number % 3}`;
    world.agents.push(new Agent(world, `h${number}.example`, { zone }, hardware(number)));
  }
  for (const agent of world.agents) agent.register();
  for (const scheduler of world.schedulers.slice(0, chance.hit(0.5) ? 1 : 2)) scheduler.start();
  const again = (delayMs: () => number, run: () => void, counts: boolean): void =>
    world.timeline.at(
      delayMs(),
      () => {
        run();
        if (world.faults.active) again(delayMs, run, counts);
      },
      counts,
    );
  const { strikeMs, commandMs, plannedMs, lifeMs } = world.faults;
  again(
    () => world.delay("strikes", 0, 2 * strikeMs),
    () => (world.faults.active ? strike(world) : undefined),
    true,
  );
  if (plannedMs > 0)
    again(
      () => world.delay("Mesos' operators come", 0, 2 * plannedMs),
      () => (world.faults.active ? world.maintenance.act() : undefined),
      true,
    );
  if (lifeMs > 0)
    again(
      () => world.delay("turns in the framework's life", 0, 2 * lifeMs),
      () => (world.faults.active ? world.life.act() : undefined),
      true,
    );
  const firstMs = 5000;
  world.timeline.at(firstMs, () => world.operator.act());
  if (commandMs > 0)
    again(
      () => world.delay("commands", firstMs, 2 * commandMs),
      () => (world.faults.active ? world.operator.act() : undefined),
      true,
    );
  again(
    () => world.delay("writes", 200, 8000),
    () => {
      for (const ring of world.rings.values()) ring.write();
    },
    true,
  );
}

/** Some of an agent belongs to another framework of the same role: it is offered to us, and none of ours. */
function hardware(number: number): readonly Resource[] {
  const scalar = (name: string, value: number): Resource => ({ name, scalar: value, reservations: [] });
  const foreign = {
    type: "DYNAMIC" as const,
    role: "ringmaster",
    labels: { "ringmaster.framework": "f-other", "ringmaster.reservation": "ringmaster-demo-1.1" },
  };
  const own = [
    scalar("cpus", 4),
    scalar("mem", 8192),
    scalar("disk", 8192),
    { name: "ports", ranges: [{ begin: 31_000, end: 31_029 }], reservations: [] },
  ];
  if (number % 2 === 0) return own;
  return [
    ...own,
    { ...scalar("cpus", 1), reservations: [foreign] },
    { ...scalar("disk", 512), reservations: [foreign], volume: { id: "ringmaster-demo-1.1", containerPath: "data" } },
  ];
}

type Open = { readonly unexplained: readonly string[]; readonly explained: readonly string[] };

async function runToCalm(world: World): Promise<Open> {
  const { timeline, options } = world;
  while (timeline.events < options.events) await step(world);
  calm(world);
  const endMs = world.nowMs + CALM_MS;
  let lookMs = world.nowMs + LOOK_MS;
  let goodSinceMs: number | undefined;
  while (world.nowMs < endMs) {
    await step(world);
    if (world.nowMs < lookMs) continue;
    lookMs = world.nowMs + LOOK_MS;
    if (explain(world, unfinished(world)).unexplained.length > 0) {
      goodSinceMs = undefined;
      world.life.tend();
      world.caretaker.tend();
    } else {
      goodSinceMs ??= world.nowMs;
      // What seems finished must stay so.
      if (world.nowMs - goodSinceMs > 120_000) break;
    }
  }
  const open = unfinished(world);
  if (open.length === 0)
    for (const [name, ring] of world.rings) if (world.operator.view?.clusters.has(name) === true) ring.checkWrites();
  return explain(world, open);
}

async function step(world: World): Promise<void> {
  const next = world.timeline.next();
  if (next === undefined) throw new Error("Nothing happens any more");
  const waits = next();
  if (waits !== undefined) await waits;
}

/** Faults are over: everybody who can come back does. */
function calm(world: World): void {
  world.timeline.say("calm");
  world.faults.active = false;
  world.maintenance.end();
  for (const agent of world.agents) {
    agent.heal();
    agent.recover();
  }
}

/** What is not as operators asked for, by the truth of agents, volumes and rings. */
function unfinished(world: World): readonly string[] {
  const open: string[] = [];
  const view = world.operator.view;
  if (view === undefined) return ["scheduler: nobody leads"];
  const about = world.life.open(view);
  if (about.length > 0) return about;
  for (const [name, expected] of world.operator.expected) {
    const ring = world.rings.get(name);
    const serving = [...(ring?.members.keys() ?? [])].filter((node) => ring?.serving(node) !== undefined);
    const processes = [...(ring?.processes.keys() ?? [])];
    const isThere = view.clusters.has(name);
    if (!isThere && expected.mayBeGone) {
      if (processes.length > 0) open.push(`cluster ${name}: destroyed, and ${processes.join(", ")} live`);
      for (const agent of world.life.isForced ? [] : world.agents)
        for (const resource of agent.total.list())
          if (resource.reservations.at(-1)?.labels["ringmaster.cluster"] === name)
            open.push(
              `reservation ${resource.reservations.at(-1)?.labels["ringmaster.reservation"]} of ${resource.name} is left on ${agent.hostname} (${agent.id})`,
            );
      continue;
    }
    if (isThere && expected.isGone) open.push(`cluster ${name}: is to be destroyed, and there`);
    else if (!isThere) open.push(`cluster ${name}: was created, and is unknown`);
    else if (serving.length < expected.least || serving.length > expected.most)
      open.push(
        `cluster ${name}: ${serving.length} members serve (${serving.join(", ")}), wanted ${expected.least} to ${expected.most}`,
      );
    else if (processes.length !== serving.length)
      open.push(`cluster ${name}: ${processes.join(", ")} run, ${serving.join(", ")} serve as members`);
  }
  for (const plan of view.plans.values()) if (plan.status === "running") open.push(`plan ${plan.id}: is at work`);
  if (open.length > 0 || !view.connected) return open;
  for (const [id, { sentMs }] of world.master.allocator.offers)
    if (world.nowMs - sentMs > 60_000)
      open.push(`offer ${id}: unanswered for ${Math.round((world.nowMs - sentMs) / 1000)} s`);
  if (!world.master.allocator.suppressed) open.push("offers: nothing is wanted, and they are not suppressed");
  return open;
}

/**
 * Sorts what is open into what waits for a reason that no scheduler can remove, and the rest. Such a reason is a node whose
 * data or agent is gone, and whose database says that it cannot be replaced yet: nothing of its cluster need come to its end.
 */
function explain(world: World, open: readonly string[]): Open {
  const { view, hopeless } = world.operator;
  if (view === undefined || open.length === 0) return { unexplained: open, explained: [] };
  const stuck = new Set(
    [...view.clusters].flatMap(([name, { nodes }]) =>
      [...nodes.keys()].some((node) => hopeless.has(node)) ? [name] : [],
    ),
  );
  const isExplained = (line: string): boolean =>
    [...stuck].some((name) => line.startsWith(`cluster ${name}:`) || line.startsWith(`plan ${name}-`));
  const unexplained = open.filter((line) => !isExplained(line));
  if (unexplained.length === 0) return { unexplained, explained: open };
  const lines = [...view.plans.keys()].flatMap((plan) => waitsOf(view, plan, world.nowMs));
  const nodes = [...view.clusters.values()].flatMap((cluster) =>
    [...cluster.nodes.values()].map(
      ({ id, phase, outside, place }) =>
        `node ${id}: ${phase}${outside !== undefined ? ", beside its ring" : ""}, agent ${place?.agentId ?? "none"}`,
    ),
  );
  return { unexplained: [...unexplained, ...lines, ...nodes], explained: open.filter(isExplained) };
}
