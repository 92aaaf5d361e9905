// A simulated Mesos master: agents, offers, tasks and one framework, as far as a framework can tell it from a real one.
import type { Resource } from "../../src/mesos/resources.ts";
import type { SchedulerCall, SchedulerEvent } from "../../src/mesos/scheduler-api.ts";
import {
  type ExecutorInfo,
  isTerminal,
  type OperationStatus,
  type TaskInfo,
  type TaskState,
  type TaskStatus,
} from "../../src/mesos/task.ts";
import { Accepting, type Books, type Known, type Task } from "./accepting.ts";
import type { Agent } from "./agent.ts";
import { Allocator } from "./allocator.ts";
import { Frameworks } from "./frameworks.ts";
import type { World } from "./world.ts";

const UNREACHABLE_MS = 75_000;
const REREGISTER_MS = 600_000;

/** One subscription as the master has it. */
export type Stream = { open: boolean; readonly send: (event: SchedulerEvent) => void };

export class Master {
  readonly #world: World;
  /** Grows with every failover. */
  epoch = 0;
  up = true;
  readonly frameworks = new Frameworks();
  stream: Stream | undefined;
  readonly #books: Books = { agents: new Map(), tasks: new Map(), launched: new Map(), operations: new Map() };
  readonly #recovered = new Set<string>();
  readonly #unreachable = new Set<string>();
  readonly #gone = new Set<string>();
  readonly allocator: Allocator;
  readonly #accepting: Accepting;

  constructor(world: World) {
    this.#world = world;
    this.allocator = new Allocator(world, {
      agents: () => (this.up && this.stream?.open === true ? [...this.agents.values()] : []),
      used: (agentId) => this.#used(agentId),
      send: (event) => this.#send(event),
    });
    this.#accepting = new Accepting(world, this.#books, this.allocator, {
      send: (event) => this.#send(event),
      tell: (...said) => this.#tell(...said),
    });
  }

  get agents(): Map<string, Known> {
    return this.#books.agents;
  }

  /** What the live executors and tasks of an agent hold. */
  #used(agentId: string): readonly Resource[] {
    const executors = [...(this.agents.get(agentId)?.executors.values() ?? [])];
    const tasks = [...this.#books.tasks.values()].filter(
      ({ task, latest }) => task.agentId === agentId && !isTerminal(latest),
    );
    return [...executors, ...tasks.map(({ task }) => task)].flatMap(({ resources }) => resources);
  }

  taskInfo(taskId: string): TaskInfo | undefined {
    return this.#books.launched.get(taskId);
  }

  nodeOf(taskId: string): { readonly node: string; readonly cluster: string } | undefined {
    const labels = this.#books.launched.get(taskId)?.labels;
    return labels === undefined
      ? undefined
      : { node: labels["ringmaster.node"] ?? "", cluster: labels["ringmaster.cluster"] ?? "" };
  }

  /** Whether the master has the task as one that may live. */
  hasLive(taskId: string): boolean {
    const known = this.#books.tasks.get(taskId);
    return known !== undefined && !isTerminal(known.latest);
  }

  knows(agent: Agent): boolean {
    return this.up && this.agents.get(agent.id)?.connected === true;
  }

  isGone(agentId: string): boolean {
    return this.#gone.has(agentId);
  }

  #send(event: SchedulerEvent): void {
    if (this.stream?.open === true) this.stream.send(event);
  }

  /** A framework hears of its own tasks. */
  #isOthers({ executor }: TaskInfo): boolean {
    return executor.frameworkId !== this.frameworks.id;
  }

  /** Tells a task's state by the master's own word: once, and nobody acknowledges it. */
  #tell(taskId: string, state: TaskState, agentId: string | undefined, reason: string, message?: string): void {
    const status: TaskStatus = {
      taskId,
      state,
      reason,
      source: "MASTER",
      labels: {},
      ...(agentId === undefined ? {} : { agentId }),
      ...(message === undefined ? {} : { message }),
    };
    this.#send({ type: "status", status });
  }

  // The framework.

  /** Lets a framework in; one that was removed is told so, and nothing else. */
  subscribe(stream: Stream, known: string | undefined): void {
    const frameworkId = this.frameworks.admit(known);
    if (frameworkId === undefined) return stream.send({ type: "error", message: "Framework has been removed" });
    if (this.stream?.open === true) {
      this.stream.send({ type: "error", message: "Framework failed over" });
      this.allocator.rescindAll(() => true);
    }
    this.stream = stream;
    this.allocator.revive();
    this.#send({ type: "subscribed", frameworkId, heartbeatMs: 15_000, masterVersion: "1.11.0" });
    this.allocator.allocate();
  }

  /** The subscription is over: its offers go. */
  unsubscribe(stream: Stream): void {
    stream.open = false;
    if (this.stream !== stream) return;
    this.stream = undefined;
    this.allocator.offers.clear();
  }

  /**
   * Removes a framework for good: its subscription ends, its tasks count as ended. Reservations and volumes stay, and are offered
   * at once, while agents may still be at ending its executors.
   */
  removeFramework(id: string): void {
    if (!this.up || this.frameworks.isRemoved(id)) return;
    this.#world.timeline.say(`master: removes framework ${id}`);
    this.frameworks.remove(id);
    for (const [taskId, { task }] of this.#books.tasks)
      if (task.executor.frameworkId === id) this.#books.tasks.delete(taskId);
    for (const { agent, executors } of this.agents.values()) {
      for (const [executorId, { frameworkId }] of executors) if (frameworkId === id) executors.delete(executorId);
      agent.deliver(() => agent.endFramework(id));
    }
    const { stream } = this;
    if (id === this.frameworks.id) this.#books.operations.clear();
    if (id !== this.frameworks.id || stream === undefined) return this.allocator.allocate();
    this.unsubscribe(stream);
    for (const each of this.#world.schedulers)
      this.#world.timeline.at(10, () => (each.stream === stream ? each.breakStream() : undefined));
  }

  call(call: SchedulerCall): void {
    switch (call.type) {
      case "teardown":
        this.#world.life.checkTeardown();
        return this.removeFramework(this.frameworks.id ?? "");
      case "accept":
        return this.#accepting.accept(call);
      case "decline":
        for (const id of call.offerIds) this.allocator.take(id, call.refuseSeconds);
        return this.allocator.allocate();
      case "suppress":
        this.allocator.suppressed = true;
        return;
      case "revive":
        this.allocator.revive();
        return this.allocator.allocate();
      case "kill":
        return this.#kill(call.taskId, call.agentId);
      case "shutdown":
        return this.#shutdown(call.executorId, call.agentId);
      case "acknowledge":
        return this.#acknowledge(call.agentId, call.taskId, call.uuid);
      case "acknowledgeOperation": {
        const agent = this.agents.get(call.agentId ?? "")?.agent;
        this.#books.operations.delete(call.operationId);
        return agent?.deliver(() => agent.operations.acknowledge(call.operationId));
      }
      case "reconcile":
        return this.#reconcile(call.tasks);
      case "acceptInverseOffers":
      case "declineInverseOffers":
        return this.#world.maintenance.answer(call.inverseOfferIds, call.type === "acceptInverseOffers");
      default:
        throw new Error(`The simulated master knows no call "${call.type}"`);
    }
  }

  #reconcile(tasks: Extract<SchedulerCall, { type: "reconcile" }>["tasks"]): void {
    if (tasks.length > 0) for (const { taskId, agentId } of tasks) this.#answer(taskId, agentId);
    else for (const [taskId, { task }] of this.#books.tasks) if (!this.#isOthers(task)) this.#answer(taskId, undefined);
  }

  #answer(taskId: string, agentId: string | undefined): void {
    const known = this.#books.tasks.get(taskId);
    const reason = "RECONCILIATION";
    if (known !== undefined && !this.#isOthers(known.task))
      return this.#tell(taskId, known.unreachable ? "TASK_UNREACHABLE" : known.sent, known.task.agentId, reason);
    if (agentId === undefined ? this.#recovered.size > 0 : this.#recovered.has(agentId)) return;
    if (agentId !== undefined && this.agents.has(agentId)) return this.#tell(taskId, "TASK_GONE", agentId, reason);
    if (agentId !== undefined && this.#unreachable.has(agentId))
      return this.#tell(taskId, "TASK_UNREACHABLE", agentId, reason);
    if (agentId !== undefined && this.#gone.has(agentId))
      return this.#tell(taskId, "TASK_GONE_BY_OPERATOR", agentId, reason);
    this.#tell(taskId, "TASK_UNKNOWN", agentId, reason);
  }

  #kill(taskId: string, agentId: string | undefined): void {
    this.#world.checks.kill(taskId);
    const known = this.#books.tasks.get(taskId);
    if (known === undefined || this.#isOthers(known.task)) return this.#answer(taskId, agentId);
    const agent = this.agents.get(known.task.agentId)?.agent;
    agent?.deliver(() => agent.kill(taskId));
  }

  #shutdown(executorId: string, agentId: string): void {
    this.#world.checks.kill(`${executorId}.server`);
    const agent = this.agents.get(agentId)?.agent;
    agent?.deliver(() => agent.shutdown(executorId));
  }

  #acknowledge(agentId: string, taskId: string, uuid: Uint8Array): void {
    const task = this.#books.tasks.get(taskId);
    const agent = this.agents.get(agentId)?.agent;
    if (task !== undefined && isTerminal(task.sent)) this.#books.tasks.delete(taskId);
    agent?.deliver(() => agent.acknowledge(taskId, uuid));
  }

  // Offers.

  /** Tells the framework something of which it may or may not hear. */
  tellFramework(event: SchedulerEvent): void {
    if (this.up) this.#send(event);
  }

  /** What an agent's offers say has changed. */
  offerAnew(agentId: string): void {
    this.allocator.rescindAll((offer) => offer.agentId === agentId);
    this.allocator.allocate();
  }

  /** Takes all offers back, for reasons of its own. */
  rescind(): void {
    this.#world.timeline.say("master: rescinds all offers");
    this.allocator.rescindAll(() => true);
    this.allocator.allocate();
  }

  // Agents.

  statusUpdate(agent: Agent, { task }: Pick<Task, "task">, status: TaskStatus, latest: TaskState): void {
    const known = this.#books.tasks.get(status.taskId);
    if (known !== undefined) {
      const wasLive = !isTerminal(known.latest);
      known.latest = latest;
      known.sent = status.state;
      if (wasLive && isTerminal(latest)) this.allocator.allocate();
    }
    if (this.#isOthers(task)) return;
    this.#send({ type: "status", status });
    if (this.#world.faults.hit("update twice")) this.#send({ type: "status", status });
    if (agent.id !== status.agentId) throw new Error("an update of another agent");
  }

  executorEnded(agent: Agent, { executorId }: ExecutorInfo): void {
    if (this.agents.get(agent.id)?.executors.delete(executorId) !== true) return;
    this.#send({ type: "failure", agentId: agent.id, executorId, status: 9 });
    this.allocator.allocate();
  }

  operationUpdate(agent: Agent, frameworkId: string, status: OperationStatus): void {
    if (agent.id === status.agentId && frameworkId === this.frameworks.id) this.#send({ type: "operation", status });
  }

  /** False: the agent is not let in. */
  register(agent: Agent): boolean {
    if (!this.up) return false;
    if (this.#gone.has(agent.id)) {
      this.#world.timeline.say(`master: turns ${agent.hostname} away, it was marked as gone`);
      agent.reimage(this.#world.delay("reimage", 10_000, 60_000));
      return false;
    }
    for (const [id, known] of this.agents)
      if (known.agent === agent && id !== agent.id) this.#removeAgent(known, "TASK_GONE");
    const wasUnreachable = this.#unreachable.delete(agent.id);
    this.#recovered.delete(agent.id);
    const isKept = ({ frameworkId }: ExecutorInfo): boolean => !this.frameworks.isRemoved(frameworkId);
    const tasks = agent.tasks().filter(({ task }) => isKept(task.executor));
    const removed = agent.frameworks().filter((id) => this.frameworks.isRemoved(id));
    for (const id of removed) agent.deliver(() => agent.endFramework(id));
    const containers = [...agent.containers].filter(([, { executor }]) => isKept(executor));
    const executors = new Map(containers.map(([id, { executor }]) => [id, executor] as const));
    this.allocator.rescindAll(({ agentId }) => agentId === agent.id);
    this.agents.set(agent.id, { agent, id: agent.id, total: agent.total.copy(), executors, connected: true });
    const told = new Set<string>();
    for (const { task, latest, sent } of tasks) {
      told.add(task.taskId);
      this.#books.tasks.set(task.taskId, { task, latest, sent, unreachable: false });
      if (wasUnreachable && !this.#isOthers(task)) this.#tell(task.taskId, sent, agent.id, "AGENT_REREGISTERED");
    }
    for (const [taskId, { task, latest, unreachable }] of this.#books.tasks) {
      if (task.agentId !== agent.id || told.has(taskId)) continue;
      if (unreachable || isTerminal(latest)) this.#books.tasks.delete(taskId);
      else agent.deliver(() => agent.dropUnknown(taskId));
    }
    for (const [id, agentId] of this.#books.operations)
      if (agentId === agent.id && !agent.operations.knows(id))
        agent.deliver(() => agent.operations.tell(id, "OPERATION_DROPPED"));
    this.allocator.allocate();
    return true;
  }

  /** The agent's connection is closed: the master sees that at once. */
  disconnected(agent: Agent): void {
    const known = this.agents.get(agent.id);
    if (known === undefined) return;
    known.connected = false;
    this.allocator.rescindAll(({ agentId }) => agentId === agent.id);
    this.silent(agent);
  }

  /** The agent answers no more: after a while it is unreachable. */
  silent(agent: Agent): void {
    const { epoch } = this;
    const known = this.agents.get(agent.id);
    this.#world.timeline.at(UNREACHABLE_MS, () => {
      if (this.epoch !== epoch || known === undefined || this.agents.get(known.id) !== known) return;
      if (agent.id !== known.id || !agent.reachable || !known.connected) this.#markUnreachable(known);
    });
  }

  #markUnreachable(known: Known): void {
    this.#world.timeline.say(`master: ${known.agent.hostname} (${known.id}) is unreachable`);
    this.#unreachable.add(known.id);
    this.agents.delete(known.id);
    this.#send({ type: "failure", agentId: known.id });
    this.allocator.rescindAll(({ agentId }) => agentId === known.id);
    for (const [taskId, task] of this.#books.tasks) {
      if (task.task.agentId !== known.id) continue;
      if (isTerminal(task.latest)) this.#books.tasks.delete(taskId);
      else {
        task.unreachable = true;
        if (!this.#isOthers(task.task)) this.#tell(taskId, "TASK_UNREACHABLE", known.id, "AGENT_REMOVED");
      }
    }
    for (const [operationId, agentId] of this.#books.operations)
      if (agentId === known.id)
        this.#send({ type: "operation", status: { operationId, state: "OPERATION_UNREACHABLE", agentId } });
  }

  #removeAgent(known: Known, state: "TASK_GONE" | "TASK_GONE_BY_OPERATOR"): void {
    this.agents.delete(known.id);
    this.#send({ type: "failure", agentId: known.id });
    this.allocator.rescindAll(({ agentId }) => agentId === known.id);
    for (const [taskId, { task, latest }] of this.#books.tasks) {
      if (task.agentId !== known.id) continue;
      this.#books.tasks.delete(taskId);
      if (!isTerminal(latest) && !this.#isOthers(task)) this.#tell(taskId, state, known.id, "AGENT_REMOVED");
    }
    for (const [operationId, agentId] of this.#books.operations) {
      if (agentId !== known.id) continue;
      this.#books.operations.delete(operationId);
      if (state === "TASK_GONE_BY_OPERATOR")
        this.#send({ type: "operation", status: { operationId, state: "OPERATION_GONE_BY_OPERATOR", agentId } });
    }
  }

  /** An operator says that the agent never comes back. */
  markGone(agent: Agent): void {
    this.#world.timeline.say(`master: ${agent.hostname} (${agent.id}) is marked as gone`);
    this.#gone.add(agent.id);
    this.#unreachable.delete(agent.id);
    this.#recovered.delete(agent.id);
    const known = this.agents.get(agent.id);
    if (known !== undefined) this.#removeAgent(known, "TASK_GONE_BY_OPERATOR");
    for (const [taskId, { task }] of this.#books.tasks) {
      if (task.agentId !== agent.id) continue;
      this.#books.tasks.delete(taskId);
      if (!this.#isOthers(task)) this.#tell(taskId, "TASK_GONE_BY_OPERATOR", agent.id, "AGENT_REMOVED_BY_OPERATOR");
    }
  }

  /** Another master leads. `forgets`: its registry is empty too. */
  failOver(forgets: boolean): void {
    this.#world.timeline.say(`master: fails over${forgets ? ", with an empty registry" : ""}`);
    this.epoch += 1;
    this.up = false;
    this.frameworks.failOver();
    if (forgets) {
      this.#unreachable.clear();
      this.#gone.clear();
    }
    this.#recovered.clear();
    if (!forgets) for (const id of this.agents.keys()) this.#recovered.add(id);
    this.agents.clear();
    this.#books.tasks.clear();
    this.#books.operations.clear();
    this.allocator.forget();
    for (const agent of this.#world.agents) agent.epoch += 1;
    if (this.stream !== undefined) this.stream.open = false;
    this.stream = undefined;
    const { epoch } = this;
    this.#world.timeline.at(this.#world.delay("failover", 1000, 10_000), () => {
      this.up = true;
      for (const agent of this.#world.agents) agent.register();
    });
    this.#world.timeline.at(REREGISTER_MS, () => {
      if (this.epoch !== epoch) return;
      for (const id of this.#recovered) this.#unreachable.add(id);
      this.#recovered.clear();
    });
  }
}
