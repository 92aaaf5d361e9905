// A scheduler core on a table: feeds events to the real `decide`, keeps the state and what was saved, checks the invariants.
import type { NodeTask } from "../../src/databases/node.ts";
import type { Offer } from "../../src/mesos/offer.ts";
import { reserved, type Resource } from "../../src/mesos/resources.ts";
import type { TaskInfo, TaskStatus } from "../../src/mesos/task.ts";
import { decide } from "../../src/scheduler/decide.ts";
import type { Action, Command, Event, Reply } from "../../src/scheduler/events.ts";
import { brokenInvariants } from "../../src/scheduler/invariants.ts";
import { initialState, type NodeRecord, type State } from "../../src/scheduler/state.ts";

type Happening = Event extends infer E ? (E extends { readonly nowMs: number } ? Omit<E, "nowMs"> : never) : never;
type Accept = Extract<Action, { type: "accept" }>;

const FRAMEWORK_ID = "f-1";

/** Body of a small cluster that every test may change. */
export const BODY = {
  name: "demo",
  database: "cassandra",
  version: "5.0.4",
  nodes: 3,
  resources: { cpus: 1, memMb: 1024, diskMb: 1024 },
  package: "https://artifacts.example/apache-cassandra-5.0.4-bin.tar.gz",
};

function freshState(): State {
  const settings = {
    role: "ringmaster",
    artifactUri: "https://artifacts.example/ringmaster",
    drainMs: 10_000,
    permanentAfterMs: 3_600_000,
  };
  const framework = { schema: 1, name: "ringmaster", launches: 1, token: "t" };
  return initialState(settings, 1, {
    framework,
    clusters: new Map(),
    plans: new Map(),
    leftovers: new Map(),
    maintenance: new Map(),
  });
}

/** An offer of an agent, all of it unreserved unless `resources` says otherwise. */
export function offerOf(agent: string, more: Partial<Offer> = {}): Offer {
  const scalar = (name: string, value: number): Resource => ({
    name,
    scalar: value,
    reservations: [],
    allocatedTo: "ringmaster",
  });
  return {
    id: `o-${agent}-${offerCount++}`,
    agentId: agent,
    hostname: `${agent}.example`,
    attributes: {},
    resources: [
      scalar("cpus", 4),
      scalar("mem", 8192),
      scalar("disk", 10_000),
      { name: "ports", ranges: [{ begin: 31_000, end: 31_099 }], reservations: [], allocatedTo: "ringmaster" },
    ],
    ...more,
  };
}
let offerCount = 0;

/** The core with a clock of its own. */
export class Scene {
  state: State;
  nowMs = 1_000_000;
  /** What the last event led to. */
  actions: readonly Action[] = [];

  constructor(state: State = freshState()) {
    this.state = state;
  }

  /** Feeds one event; throws when an invariant breaks or a save comes after a call. */
  feed(event: Happening): readonly Action[] {
    const decision = decide(this.state, { ...event, nowMs: this.nowMs });
    const broken = brokenInvariants(this.state, decision);
    if (broken.length > 0) throw new Error(broken.join("; "));
    const firstCall = decision.actions.findIndex(({ type }) => type !== "save" && type !== "forget");
    const lastSave = decision.actions.findLastIndex(({ type }) => type === "save" || type === "forget");
    if (firstCall !== -1 && firstCall < lastSave) throw new Error("A call comes before a save");
    this.state = decision.state;
    this.actions = decision.actions;
    return decision.actions;
  }

  subscribe(): readonly Action[] {
    return this.feed({ type: "subscribed", frameworkId: FRAMEWORK_ID, heartbeatMs: 15_000, masterVersion: "1.11.0" });
  }

  create(body: object = BODY): readonly Action[] {
    return this.feed({ type: "command", id: 1, command: { type: "createCluster", body } });
  }

  offer(...offers: readonly Offer[]): readonly Action[] {
    return this.feed({ type: "offers", offers });
  }

  status(task: string, state: TaskStatus["state"], more: Partial<TaskStatus> = {}): readonly Action[] {
    const agentId = "agentId" in more ? {} : { agentId: this.nodeOf(task)?.place?.agentId ?? "a1" };
    return this.feed({
      type: "status",
      status: { taskId: task, state, labels: {}, source: "EXECUTOR", ...agentId, ...more },
    });
  }

  nodeOf(task: string): NodeRecord | undefined {
    return [...this.nodes()].find((node) => node.task?.taskId === task);
  }

  nodes(): readonly NodeRecord[] {
    return [...this.state.clusters.values()].flatMap(({ nodes }) => [...nodes.values()]);
  }

  node(number: number): NodeRecord {
    const node = this.nodes().find((candidate) => candidate.number === number);
    if (node === undefined) throw new Error(`no node ${number}`);
    return node;
  }

  /** The phases by node number. */
  phases(): Readonly<Record<number, string>> {
    return Object.fromEntries(this.nodes().map(({ number, phase }) => [number, phase]));
  }

  accepts(): readonly Accept[] {
    return this.actions.filter((action) => action.type === "accept");
  }

  /** Tasks that the last event launched. */
  launched(): readonly TaskInfo[] {
    return this.accepts().flatMap(({ operations }) =>
      operations.flatMap((operation) => (operation.type === "launch" ? operation.tasks : [])),
    );
  }

  /** Subscribed, with the whole cluster of BODY running on agents a1, a2, a3. */
  deployed(): this {
    this.subscribe();
    this.create();
    for (const agent of ["a1", "a2", "a3"]) {
      this.offer(offerOf(agent));
      const [task] = this.launched();
      if (task === undefined) throw new Error(`nothing was launched on ${agent}`);
      this.nowMs += 60_000;
      this.status(task.taskId, "TASK_RUNNING");
    }
    return this;
  }

  /** The offer of a node's own reservation, as Mesos makes it when the node's executor has ended. */
  ownOffer(node: NodeRecord): Offer {
    const { place } = node;
    if (place === undefined) throw new Error(`node ${node.id} has no place`);
    const labels = { "ringmaster.framework": FRAMEWORK_ID, "ringmaster.reservation": place.reservation };
    const { cpus, memMb, diskMb, ports } = place.footprint;
    const ranges = Object.values(ports).map((port) => ({ begin: port, end: port }));
    const plain: Resource[] = [
      { name: "cpus", scalar: cpus, reservations: [] },
      { name: "mem", scalar: memMb, reservations: [] },
      { name: "disk", scalar: diskMb, reservations: [], volume: { id: place.volume, containerPath: "data" } },
      { name: "ports", ranges, reservations: [] },
    ];
    return offerOf(place.agentId, { resources: reserved(plain, { type: "DYNAMIC", role: "ringmaster", labels }) });
  }

  /** A scheduler that was killed and comes back with what was saved. */
  restarted(): Scene {
    const { settings, framework, clusters, plans, leftovers, maintenance } = this.state;
    const promises = [...maintenance].filter(([, { isAccepted }]) => isAccepted);
    const promised = new Map(promises.map(([agent, window]) => [agent, { ...window, id: "", askedMs: Infinity }]));
    const scene = new Scene(
      initialState(settings, 2, { framework, clusters, plans, leftovers, maintenance: promised }),
    );
    scene.nowMs = this.nowMs + 5000;
    return scene;
  }
}

/** What the task's executor is told. */
export function nodeTaskOf(task: TaskInfo): NodeTask {
  return JSON.parse(new TextDecoder().decode(task.data)) as NodeTask;
}

let lastCommand = 100;

/** The answer to an operator's command. */
export function ask(scene: Scene, command: Command): Reply {
  const id = lastCommand++;
  const actions = scene.feed({ type: "command", id, command });
  const reply = actions.find((action) => action.type === "reply" && action.id === id);
  if (reply?.type !== "reply") throw new Error("no reply");
  return reply.reply;
}

/** A plan's steps, a line each: what, the node's number, how far. */
export function steps(scene: Scene, plan: string): readonly string[] {
  const found = scene.state.plans.get(plan);
  return found === undefined
    ? []
    : found.steps.map(({ type, operation, status, node }) => `${operation ?? type} ${node?.at(-1)} ${status}`);
}

/** The offer of what is kept for operations of a running node. */
export function adminOffer(scene: Scene, number: number): Offer {
  const whole = scene.ownOffer(scene.node(number));
  const resources = whole.resources.flatMap((resource) => {
    if (resource.name === "cpus") return [{ ...resource, scalar: 0.1 }];
    return resource.name === "mem" ? [{ ...resource, scalar: 32 }] : [];
  });
  return { ...whole, resources };
}

/** The node says that its ring is whole, which a rolling restart asks of it before it stops it. */
export function settled(scene: Scene, number: number): void {
  scene.offer(adminOffer(scene, number));
  const [admin] = scene.launched();
  scene.status(admin?.taskId ?? "", "TASK_FINISHED", { agentId: scene.node(number).place?.agentId ?? "" });
}

/** Time passes, with a tick at its end. */
export function pass(scene: Scene, ms: number): void {
  scene.nowMs += ms;
  scene.feed({ type: "tick" });
}
