// Figures of the scheduler's core with many agents and nodes: the real `decide` with its invariants, on made-up events. No
// Mesos and no wire; a store only where a scheduler reads its records. Every scenario runs in a process of its own, so that its memory is its own.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Offer } from "../src/mesos/offer.ts";
import type { TaskStatus } from "../src/mesos/task.ts";
import { loadRecords } from "../src/scheduler/io/load.ts";
import { initialState, type NodeRecord, type State } from "../src/scheduler/state.ts";
import type { Json } from "../src/std/json.ts";
import { openStore } from "../src/store/io/open.ts";
import type { Write } from "../src/store/store.ts";
import { offerOf, Scene } from "../test/cases/scene.ts";
import { against, median, type Figure } from "./figure.ts";

const ROOT = "/ringmaster/bench";
const AGENTS = 10_000;
/** Racks and small agents have no common divisor: every rack has large agents. */
const RACKS = 41;
/** Of five agents one is too small for a node. */
const SMALL_EVERY = 5;
/** Lives of a node that are measured, after as many that are not. */
const ROUNDS = 120;
/** A node that ran this long has no failures behind it. */
const STABLE_MS = 700_000;

/** A shape of clusters: so many, of so many nodes each. 500 is the most that one cluster may have. */
type Shape = { readonly clusters: number; readonly nodes: number; readonly database: "cassandra" | "riak" };

const LARGE: readonly Shape[] = [
  { clusters: 2, nodes: 500, database: "riak" },
  { clusters: 1, nodes: 3, database: "riak" },
];

const SCENARIOS: Readonly<Record<string, () => readonly Figure[] | Promise<readonly Figure[]>>> = {
  // Riak's nodes may all start once the first one runs: 100 clusters of 11, two of 500 and one of 3 want 1,000 at once.
  "place-many": () => [place("1,000 new nodes of 100 clusters", [{ clusters: 100, nodes: 11, database: "riak" }], {})],
  "place-large": () => [place("1,000 new nodes of 3 clusters", LARGE, {})],
  "place-spread": () => [
    place("1,000 new nodes, UNIQUE and GROUP_BY", LARGE, {
      constraints: "hostname:UNIQUE,rack:GROUP_BY",
      rackAttribute: "rack",
    }),
  ],
  "place-nowhere": () => [place("1,000 new nodes, no agent will do", LARGE, { constraints: "gpu:LIKE:yes" })],
  relaunch: () => [relaunch("1,000 nodes back on their volumes")],
  "failover-many": async () => [
    await failover("100 clusters of 10", { clusters: 100, nodes: 10, database: "cassandra" }),
  ],
  "failover-large": async () => [await failover("2 clusters of 500", { clusters: 2, nodes: 500, database: "riak" })],
  "events-many": () =>
    events("clusters of 10", { clusters: 10, nodes: 10, database: "cassandra" }, (shape) => ({
      ...shape,
      clusters: 100,
    })),
  "events-large": () =>
    events("clusters of 100 and 500", { clusters: 1, nodes: 100, database: "riak" }, (shape) => ({
      ...shape,
      clusters: 2,
      nodes: 500,
    })),
};

/** Runs every scenario in its own process. */
export async function measureScale(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const name of Object.keys(SCENARIOS)) {
    console.error(`bench: scale ${name}`);
    const child = Bun.spawn([process.execPath, import.meta.path, name], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    if (code !== 0) throw new Error(`Cannot measure scenario "${name}": its process ended with ${code}`);
    const measured = JSON.parse(text) as readonly Figure[];
    const residentMb = (child.resourceUsage()?.maxRSS ?? Number.NaN) / 1e6;
    figures.push(...measured, {
      name: `scale: memory of ${name}`,
      value: residentMb,
      unit: "MB",
      goal: "<= 500",
    });
  }
  return figures;
}

function freshScene(): Scene {
  const settings = {
    role: "ringmaster",
    artifactUri: "https://artifacts.example/ringmaster",
    drainMs: 0,
    sharedStore: "zk://zk.example:2181",
  };
  const framework = { schema: 1, name: "ringmaster", launches: 1, token: "t" };
  const scene = new Scene(
    initialState(settings, 1, {
      framework,
      clusters: new Map(),
      plans: new Map(),
      leftovers: new Map(),
      maintenance: new Map(),
    }),
  );
  scene.subscribe();
  return scene;
}

/** Creates clusters; their first nodes are up at the end, all others wait for offers. */
function create(scene: Scene, shapes: readonly Shape[], more: object): void {
  let created = 0;
  for (const { clusters, nodes, database } of shapes) {
    for (let i = 0; i < clusters; i++) {
      const version = database === "riak" ? "3.2.3" : "5.0.4";
      const uri = `https://artifacts.example/${database}-${version}.tar.gz`;
      const resources = { cpus: 1, memMb: 1024, diskMb: 1024 };
      scene.create({ name: `c${created++}`, database, version, nodes, resources, package: uri, ...more });
    }
  }
}

/** An agent of the made-up data centre. */
function agent(number: number): Offer {
  const mem = number % SMALL_EVERY === 0 ? 512 : 8192 + (number % 64) * 128;
  const offer = offerOf(`a${number}`, { attributes: { rack: `r${number % RACKS}` } });
  const resources = offer.resources.map((resource) =>
    resource.name === "mem" ? { ...resource, scalar: mem } : resource,
  );
  return { ...offer, resources };
}

/** Tells the core that the launched tasks run. */
function run(scene: Scene, launched: readonly { readonly taskId: string; readonly agentId: string }[]): void {
  for (const { taskId, agentId } of launched) {
    scene.nowMs += 100;
    scene.feed({ type: "status", status: running(taskId, agentId) });
  }
}

function running(taskId: string, agentId: string, healthy = true): TaskStatus {
  return { taskId, agentId, state: "TASK_RUNNING", healthy, labels: {}, source: "EXECUTOR", uuid: new Uint8Array(16) };
}

let nextAgent = 1_000_000;

/** Offers fresh agents until nothing is launched any more. */
function deployAll(scene: Scene, shape: Shape): void {
  for (;;) {
    const offers = Array.from({ length: shape.clusters * shape.nodes }, () => {
      const offer = offerOf(`b${nextAgent++}`);
      return { ...offer, attributes: { rack: `r${nextAgent % RACKS}` } };
    });
    scene.nowMs += 60_000;
    scene.offer(...offers);
    const launched = scene.launched();
    if (launched.length === 0) return;
    run(scene, launched);
  }
}

function settled(shape: Shape): Scene {
  const scene = freshScene();
  create(scene, [shape], {});
  deployAll(scene, shape);
  // Joins are admin tasks, which need offers of their own: the plans are ended, the nodes run.
  for (const plan of [...scene.state.plans.values()])
    if (plan.status === "running")
      scene.feed({ type: "command", id: 2, command: { type: "abortPlan", plan: plan.id } });
  scene.feed({ type: "tick" });
  const up = scene.nodes().filter(({ phase }) => phase === "running").length;
  if (up !== shape.clusters * shape.nodes) throw new Error(`Cannot measure: ${up} nodes run`);
  return scene;
}

/** The founders run, and every other node wants a place: 10,000 agents come in one event. */
function place(name: string, shapes: readonly Shape[], more: object): Figure {
  const scene = freshScene();
  create(scene, shapes, more);
  const founders = Array.from({ length: 200 }, (_, i) => {
    const offer = offerOf(`f${i}`);
    return { ...offer, attributes: { rack: `r${i % RACKS}`, gpu: "yes" } };
  });
  scene.offer(...founders);
  run(scene, scene.launched());
  const offers = Array.from({ length: AGENTS }, (_, i) => agent(i));
  const beganMs = performance.now();
  scene.offer(...offers);
  const seconds = (performance.now() - beganMs) / 1000;
  const wanted = "constraints" in more && String(more.constraints).startsWith("gpu") ? 0 : 1000;
  if (scene.launched().length !== wanted)
    throw new Error(`Cannot measure "${name}": found ${scene.launched().length} launches, wanted ${wanted}`);
  return { name: `scale: ${name}`, value: seconds, unit: "s", goal: "<= 1" };
}

/** Every process of 100 clusters of 10 has ended; their agents are among the 10,000 that offer. */
function relaunch(name: string): Figure {
  const scene = settled({ clusters: 100, nodes: 10, database: "cassandra" });
  for (const node of scene.nodes()) {
    if (node.task === undefined) continue;
    const { taskId } = node.task;
    scene.feed({ type: "status", status: { ...running(taskId, node.place?.agentId ?? ""), state: "TASK_FAILED" } });
  }
  scene.nowMs += 60_000;
  const own = scene.nodes().map((node) => scene.ownOffer(node));
  const offers = [...Array.from({ length: AGENTS - own.length }, (_, i) => agent(i)), ...own];
  const beganMs = performance.now();
  scene.offer(...offers);
  const seconds = (performance.now() - beganMs) / 1000;
  if (scene.launched().length !== 1000)
    throw new Error(`Cannot measure "${name}": found ${scene.launched().length} launches, wanted 1000`);
  return { name: `scale: ${name}`, value: seconds, unit: "s", goal: "<= 1" };
}

/**
 * A scheduler that takes over: it reads the records from a SQLite file, subscribes, and hears of every task once. CPU time of the
 * whole process.
 */
async function failover(name: string, shape: Shape): Promise<Figure> {
  const before = settled(shape);
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-bench-"));
  const url = `sqlite:${join(directory, "store")}`;
  try {
    await keep(before.state, url);
    const began = process.cpuUsage();
    const store = await openStore(url, { root: ROOT });
    const records = await loadRecords(store, await store.lock("leader", "bench"), before.state.framework.name);
    const scene = new Scene(initialState(before.state.settings, 2, records));
    scene.nowMs = before.nowMs + 5000;
    scene.subscribe();
    const asked = scene.actions.flatMap((action) => (action.type === "reconcile" ? action.tasks : []));
    for (const { taskId, agentId } of asked) {
      const status: TaskStatus = { ...running(taskId, agentId ?? ""), source: "MASTER", reason: "RECONCILIATION" };
      scene.feed({ type: "status", status });
    }
    scene.feed({ type: "tick" });
    const { user, system } = process.cpuUsage(began);
    await store.close();
    if (asked.length !== 1000 || scene.state.unreconciled.size > 0)
      throw new Error(`Cannot measure "${name}": asked for ${asked.length}, ${scene.state.unreconciled.size} open`);
    return { name: `scale: failover, ${name}`, value: (user + system) / 1e6, unit: "s CPU", goal: "<= 2" };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Writes a state's records as the scheduler does. */
async function keep(state: State, url: string): Promise<void> {
  const store = await openStore(url, { root: ROOT });
  const put = (path: string, record: object): Write => ({ type: "put", path, value: record as Json });
  const writes = [
    put("framework", state.framework),
    ...[...state.clusters].map(([name, { record }]) => put(`clusters/${name}`, record)),
    ...[...state.clusters.values()].flatMap(({ nodes }) => [...nodes].map(([id, node]) => put(`nodes/${id}`, node))),
    ...[...state.plans].map(([id, plan]) => put(`plans/${id}`, plan)),
  ];
  while (writes.length > 0) await store.write(writes.splice(0, 100));
  await store.close();
}

/** One node's ups and downs among few and among many others. */
function events(name: string, small: Shape, grow: (shape: Shape) => Shape): readonly Figure[] {
  const few = settled(small);
  const many = settled(grow(small));
  const costs = { few: new Map<string, number[]>(), many: new Map<string, number[]>() };
  let records = 0;
  let transitions = 0;
  for (let round = 0; round < ROUNDS * 2; round++) {
    const measured = round >= ROUNDS;
    for (const [which, scene] of [
      ["few", few],
      ["many", many],
    ] as const) {
      const all = scene.nodes();
      const node = all[(round * 7919) % all.length];
      if (node === undefined) throw new Error("Cannot measure: there is no node");
      for (const { kind, us, saves } of life(scene, node)) {
        if (!measured) continue;
        costs[which].set(kind, [...(costs[which].get(kind) ?? []), us]);
        if (which === "many" && saves > 0 && kind !== "tick") {
          records += saves;
          transitions += 1;
        }
      }
    }
  }
  const kinds = [...costs.many.keys()];
  const at = (which: "few" | "many", kind: string): number => median(costs[which].get(kind) ?? []);
  const sum = (which: "few" | "many"): number =>
    kinds.reduce((total, kind) => total + at(which, kind), 0) / kinds.length;
  return [
    against(`scale: event, ${name}`, sum("many"), sum("few"), "µs", "<= 1.5"),
    // A decision's records are saved as one transaction; each is a znode or a row of it.
    { name: `scale: records of a transition, ${name}`, value: records / transitions, unit: "", goal: "<= 2" },
  ];
}

type Cost = { readonly kind: string; readonly us: number; readonly saves: number };

/** A node turns unhealthy and healthy, fails, is launched on its volume and runs again. */
function life(scene: Scene, node: NodeRecord): readonly Cost[] {
  const costs: Cost[] = [];
  scene.nowMs += STABLE_MS;
  scene.feed({ type: "tick" });
  const timed = (kind: string, feed: () => unknown): void => {
    scene.nowMs += 1;
    const beganMs = performance.now();
    feed();
    const us = (performance.now() - beganMs) * 1000;
    costs.push({ kind, us, saves: scene.actions.filter(({ type }) => type === "save" || type === "forget").length });
  };
  const taskId = node.task?.taskId ?? "";
  const agentId = node.place?.agentId ?? "";
  const status = (next: TaskStatus) => () => scene.feed({ type: "status", status: next });
  timed("status without news", status(running(taskId, agentId)));
  timed("unhealthy", status(running(taskId, agentId, false)));
  timed("healthy", status(running(taskId, agentId)));
  timed("failure", status({ ...running(taskId, agentId), state: "TASK_FAILED" }));
  const own = scene.ownOffer(node);
  timed("relaunch", () => scene.offer(own));
  const [launched] = scene.launched();
  if (launched === undefined) throw new Error(`Cannot measure: node "${node.id}" was not launched again`);
  timed("starting", status({ ...running(launched.taskId, agentId), state: "TASK_STARTING" }));
  timed("running", status(running(launched.taskId, agentId)));
  const unwanted = agent(1);
  timed("offer of no use", () => scene.offer(unwanted));
  timed("tick", () => scene.feed({ type: "tick" }));
  return costs;
}

if (import.meta.main) {
  const [name = ""] = process.argv.slice(2);
  const scenario = SCENARIOS[name];
  if (scenario === undefined)
    throw new Error(`Cannot measure: found scenario "${name}", wanted ${Object.keys(SCENARIOS).join(", ")}`);
  console.log(JSON.stringify(await scenario()));
}
