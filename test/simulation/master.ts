// A simulated Mesos master: agents, offers, tasks and one framework, as far as a framework can tell it from a real one.
import type { Operation } from "../../src/mesos/operations.ts";
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
import { type Agent, afterOf, beforeOf } from "./agent.ts";
import { Allocator } from "./allocator.ts";
import { Bag } from "./bag.ts";
import type { World } from "./world.ts";

const UNREACHABLE_MS = 75_000;
const REREGISTER_MS = 600_000;

/** One subscription as the master has it. */
export type Stream = { open: boolean; readonly send: (event: SchedulerEvent) => void };

type Known = {
  readonly agent: Agent;
  readonly id: string;
  total: Bag;
  readonly executors: Map<string, ExecutorInfo>;
  connected: boolean;
};
type Task = { readonly task: TaskInfo; latest: TaskState; sent: TaskState; unreachable: boolean };

export class Master {
  readonly #world: World;
  /** Grows with every failover. */
  epoch = 0;
  up = true;
  #frameworkId: string | undefined;
  #frameworks = 0;
  stream: Stream | undefined;
  readonly agents = new Map<string, Known>();
  readonly #recovered = new Set<string>();
  readonly #unreachable = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #tasks = new Map<string, Task>();
  /** Every task there ever was: what a TaskInfo said is a fact. */
  readonly #launched = new Map<string, TaskInfo>();
  readonly allocator: Allocator;
  readonly #operations = new Map<string, string>();

  constructor(world: World) {
    this.#world = world;
    this.allocator = new Allocator(world, {
      agents: () => (this.up && this.stream?.open === true ? [...this.agents.values()] : []),
      used: (agentId) => this.#used(agentId),
      send: (event) => this.#send(event),
    });
  }

  /** What the live executors and tasks of an agent hold. */
  #used(agentId: string): readonly Resource[] {
    const executors = [...(this.agents.get(agentId)?.executors.values() ?? [])];
    const tasks = [...this.#tasks.values()].filter(
      ({ task, latest }) => task.agentId === agentId && !isTerminal(latest),
    );
    return [...executors, ...tasks.map(({ task }) => task)].flatMap(({ resources }) => resources);
  }

  taskInfo(taskId: string): TaskInfo | undefined {
    return this.#launched.get(taskId);
  }

  nodeOf(taskId: string): { readonly node: string; readonly cluster: string } | undefined {
    const labels = this.#launched.get(taskId)?.labels;
    return labels === undefined
      ? undefined
      : { node: labels["ringmaster.node"] ?? "", cluster: labels["ringmaster.cluster"] ?? "" };
  }

  /** Whether the master has the task as one that may live. */
  hasLive(taskId: string): boolean {
    const known = this.#tasks.get(taskId);
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

  /** False: there is no master to subscribe with. */
  subscribe(stream: Stream, frameworkId: string | undefined): boolean {
    if (!this.up) return false;
    if (frameworkId === undefined) this.#frameworks += 1;
    this.#frameworkId = frameworkId ?? `f-${this.#frameworks}`;
    if (this.stream?.open === true) {
      this.stream.send({ type: "error", message: "Framework failed over" });
      this.allocator.rescindAll(() => true);
    }
    this.stream = stream;
    this.allocator.revive();
    this.#send({ type: "subscribed", frameworkId: this.#frameworkId, heartbeatMs: 15_000, masterVersion: "1.11.0" });
    this.allocator.allocate();
    return true;
  }

  /** The subscription is over: its offers go. */
  unsubscribe(stream: Stream): void {
    stream.open = false;
    if (this.stream !== stream) return;
    this.stream = undefined;
    this.allocator.offers.clear();
  }

  call(call: SchedulerCall): void {
    switch (call.type) {
      case "accept":
        return this.#accept(call);
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
        this.#operations.delete(call.operationId);
        return agent?.deliver(() => agent.acknowledgeOperation(call.operationId));
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
    else for (const taskId of this.#tasks.keys()) this.#answer(taskId, undefined);
  }

  #answer(taskId: string, agentId: string | undefined): void {
    const known = this.#tasks.get(taskId);
    const reason = "RECONCILIATION";
    if (known !== undefined)
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
    const known = this.#tasks.get(taskId);
    if (known === undefined) return this.#answer(taskId, agentId);
    const agent = this.agents.get(known.task.agentId)?.agent;
    agent?.deliver(() => agent.kill(taskId));
  }

  #shutdown(executorId: string, agentId: string): void {
    this.#world.checks.kill(`${executorId}.server`);
    const agent = this.agents.get(agentId)?.agent;
    agent?.deliver(() => agent.shutdown(executorId));
  }

  #acknowledge(agentId: string, taskId: string, uuid: Uint8Array): void {
    const task = this.#tasks.get(taskId);
    const agent = this.agents.get(agentId)?.agent;
    if (task !== undefined && isTerminal(task.sent)) this.#tasks.delete(taskId);
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

  #accept(call: Extract<SchedulerCall, { type: "accept" }>): void {
    const taken = call.offerIds.map((id) => this.allocator.take(id, 0));
    const [first] = taken;
    const known = first === undefined ? undefined : this.agents.get(first.agentId);
    const isValid = known?.connected === true && taken.every((offer) => offer?.agentId === first?.agentId);
    if (!isValid || first === undefined || known === undefined) {
      this.#world.timeline.say(`master: ACCEPT of offers that are gone: ${call.offerIds.join(", ")}`);
      for (const operation of call.operations) this.#drop(operation, "INVALID_OFFERS");
      return this.allocator.allocate();
    }
    const bag = new Bag();
    for (const offer of taken) bag.add(offer?.bag.list() ?? []);
    for (const operation of call.operations) {
      this.#world.checks.operation(operation, this.#frameworkId ?? "");
      if (operation.type === "launch") this.#launch(known, bag, operation.tasks);
      else if (!this.#operate(known, bag, operation)) this.#drop(operation, "INVALID");
    }
    this.allocator.refuse(known.id, bag, call.refuseSeconds);
    this.allocator.allocate();
  }

  #drop(operation: Operation, reason: string): void {
    if (operation.type === "launch") {
      for (const task of operation.tasks)
        this.#tell(task.taskId, "TASK_DROPPED", task.agentId, reason, "the offers are no longer valid");
    } else if (operation.id !== undefined) {
      this.#send({ type: "operation", status: { operationId: operation.id, state: "OPERATION_DROPPED" } });
    }
  }

  #operate(known: Known, bag: Bag, operation: Exclude<Operation, { type: "launch" }>): boolean {
    const resources = "volumes" in operation ? operation.volumes : operation.resources;
    const before = beforeOf(operation.type, resources);
    if (!bag.has(before)) return false;
    const after = afterOf(operation.type, resources);
    for (const each of [bag, known.total]) {
      each.remove(before);
      each.add(after);
    }
    if (operation.id !== undefined) this.#operations.set(operation.id, known.id);
    known.agent.deliver(() => known.agent.apply(operation));
    return true;
  }

  #launch(known: Known, bag: Bag, tasks: readonly TaskInfo[]): void {
    for (const task of tasks) {
      const { executor, taskId } = task;
      this.#launched.set(taskId, task);
      const running = known.executors.get(executor.executorId);
      const wanted = [...task.resources, ...(running === undefined ? executor.resources : [])];
      const isOther = running !== undefined && JSON.stringify(running) !== JSON.stringify(executor);
      if (this.#tasks.has(taskId) || isOther || !bag.has(wanted)) {
        this.#world.timeline.say(`master: task ${taskId} is invalid`);
        this.#tell(
          taskId,
          "TASK_ERROR",
          task.agentId,
          "TASK_INVALID",
          isOther ? "another ExecutorInfo" : "more than was offered",
        );
        continue;
      }
      bag.remove(wanted);
      known.executors.set(executor.executorId, executor);
      this.#tasks.set(taskId, { task, latest: "TASK_STAGING", sent: "TASK_STAGING", unreachable: false });
      this.#world.timeline.say(`master: launches ${taskId} on ${known.agent.hostname}`);
      known.agent.deliver(() => known.agent.runTask(task));
    }
  }

  // Agents.

  statusUpdate(agent: Agent, status: TaskStatus, latest: TaskState): void {
    const known = this.#tasks.get(status.taskId);
    if (known !== undefined) {
      const wasLive = !isTerminal(known.latest);
      known.latest = latest;
      known.sent = status.state;
      if (wasLive && isTerminal(latest)) this.allocator.allocate();
    }
    this.#send({ type: "status", status });
    if (this.#world.faults.hit("update twice")) this.#send({ type: "status", status });
    if (agent.id !== status.agentId) throw new Error("an update of another agent");
  }

  executorEnded(agent: Agent, { executorId }: ExecutorInfo): void {
    if (this.agents.get(agent.id)?.executors.delete(executorId) !== true) return;
    this.#send({ type: "failure", agentId: agent.id, executorId, status: 9 });
    this.allocator.allocate();
  }

  operationUpdate(agent: Agent, status: OperationStatus): void {
    if (agent.id === status.agentId) this.#send({ type: "operation", status });
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
    const executors = new Map([...agent.containers].map(([id, { executor }]) => [id, executor] as const));
    this.allocator.rescindAll(({ agentId }) => agentId === agent.id);
    this.agents.set(agent.id, { agent, id: agent.id, total: agent.total.copy(), executors, connected: true });
    const told = new Set<string>();
    for (const { task, latest, sent } of agent.tasks()) {
      told.add(task.taskId);
      this.#tasks.set(task.taskId, { task, latest, sent, unreachable: false });
      if (wasUnreachable) this.#tell(task.taskId, sent, agent.id, "AGENT_REREGISTERED");
    }
    for (const [taskId, { task, latest, unreachable }] of this.#tasks) {
      if (task.agentId !== agent.id || told.has(taskId)) continue;
      if (unreachable || isTerminal(latest)) this.#tasks.delete(taskId);
      else agent.deliver(() => agent.dropUnknown(taskId));
    }
    for (const [id, agentId] of this.#operations)
      if (agentId === agent.id && !agent.knowsOperation(id))
        agent.deliver(() => agent.outcome(id, "OPERATION_DROPPED"));
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
    for (const [taskId, task] of this.#tasks) {
      if (task.task.agentId !== known.id) continue;
      if (isTerminal(task.latest)) this.#tasks.delete(taskId);
      else {
        task.unreachable = true;
        this.#tell(taskId, "TASK_UNREACHABLE", known.id, "AGENT_REMOVED");
      }
    }
    for (const [operationId, agentId] of this.#operations)
      if (agentId === known.id)
        this.#send({ type: "operation", status: { operationId, state: "OPERATION_UNREACHABLE", agentId } });
  }

  #removeAgent(known: Known, state: "TASK_GONE" | "TASK_GONE_BY_OPERATOR"): void {
    this.agents.delete(known.id);
    this.#send({ type: "failure", agentId: known.id });
    this.allocator.rescindAll(({ agentId }) => agentId === known.id);
    for (const [taskId, { task, latest }] of this.#tasks) {
      if (task.agentId !== known.id) continue;
      this.#tasks.delete(taskId);
      if (!isTerminal(latest)) this.#tell(taskId, state, known.id, "AGENT_REMOVED");
    }
    for (const [operationId, agentId] of this.#operations) {
      if (agentId !== known.id) continue;
      this.#operations.delete(operationId);
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
    for (const [taskId, { task }] of this.#tasks) {
      if (task.agentId !== agent.id) continue;
      this.#tasks.delete(taskId);
      this.#tell(taskId, "TASK_GONE_BY_OPERATOR", agent.id, "AGENT_REMOVED_BY_OPERATOR");
    }
  }

  /** Another master leads. `forgets`: its registry is empty too. */
  failOver(forgets: boolean): void {
    this.#world.timeline.say(`master: fails over${forgets ? ", with an empty registry" : ""}`);
    this.epoch += 1;
    this.up = false;
    if (forgets) {
      this.#unreachable.clear();
      this.#gone.clear();
    }
    this.#recovered.clear();
    if (!forgets) for (const id of this.agents.keys()) this.#recovered.add(id);
    this.agents.clear();
    this.#tasks.clear();
    this.#operations.clear();
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
