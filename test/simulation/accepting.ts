// An ACCEPT as the simulated master takes it: operations and launches on what was offered, or the word that they are dropped.
import type { Operation } from "../../src/mesos/operations.ts";
import type { SchedulerCall, SchedulerEvent } from "../../src/mesos/scheduler-api.ts";
import type { ExecutorInfo, TaskInfo, TaskState } from "../../src/mesos/task.ts";
import type { Agent } from "./agent.ts";
import type { Allocator } from "./allocator.ts";
import { Bag } from "./bag.ts";
import { afterOf, beforeOf } from "./operations.ts";
import type { World } from "./world.ts";

/** An agent as the master has it. */
export type Known = {
  readonly agent: Agent;
  readonly id: string;
  total: Bag;
  readonly executors: Map<string, ExecutorInfo>;
  connected: boolean;
};

export type Task = { readonly task: TaskInfo; latest: TaskState; sent: TaskState; unreachable: boolean };

/** What the master knows. */
export type Books = {
  /** Agents that are registered. */
  readonly agents: Map<string, Known>;
  readonly tasks: Map<string, Task>;
  /** Every task there ever was: what a TaskInfo said is a fact. */
  readonly launched: Map<string, TaskInfo>;
  /** Agent ids by operation id. */
  readonly operations: Map<string, string>;
};

/** How the framework is told. */
type Tell = {
  readonly send: (event: SchedulerEvent) => void;
  readonly tell: (taskId: string, state: TaskState, agentId: string | undefined, reason: string, text?: string) => void;
};

export class Accepting {
  readonly #world: World;
  readonly #books: Books;
  readonly #allocator: Allocator;
  readonly #tell: Tell;

  constructor(world: World, books: Books, allocator: Allocator, tell: Tell) {
    this.#world = world;
    this.#books = books;
    this.#allocator = allocator;
    this.#tell = tell;
  }

  accept(call: Extract<SchedulerCall, { type: "accept" }>): void {
    const taken = call.offerIds.map((id) => this.#allocator.take(id, 0));
    const [first] = taken;
    const known = first === undefined ? undefined : this.#books.agents.get(first.agentId);
    const isValid = known?.connected === true && taken.every((offer) => offer?.agentId === first?.agentId);
    if (!isValid || first === undefined || known === undefined) {
      this.#world.timeline.say(`master: ACCEPT of offers that are gone: ${call.offerIds.join(", ")}`);
      for (const operation of call.operations) this.#drop(operation, "INVALID_OFFERS");
      return this.#allocator.allocate();
    }
    const bag = new Bag();
    for (const offer of taken) bag.add(offer?.bag.list() ?? []);
    for (const operation of call.operations) {
      this.#world.checks.operation(operation);
      if (operation.type === "launch") this.#launch(known, bag, operation.tasks);
      else if (!this.#operate(known, bag, operation)) this.#drop(operation, "INVALID");
    }
    this.#allocator.refuse(known.id, bag, call.refuseSeconds);
    this.#allocator.allocate();
  }

  #drop(operation: Operation, reason: string): void {
    if (operation.type === "launch") {
      for (const task of operation.tasks)
        this.#tell.tell(task.taskId, "TASK_DROPPED", task.agentId, reason, "the offers are no longer valid");
    } else if (operation.id !== undefined) {
      this.#tell.send({ type: "operation", status: { operationId: operation.id, state: "OPERATION_DROPPED" } });
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
    if (operation.id !== undefined) this.#books.operations.set(operation.id, known.id);
    known.agent.deliver(() => known.agent.operations.apply(operation));
    return true;
  }

  #launch(known: Known, bag: Bag, tasks: readonly TaskInfo[]): void {
    for (const task of tasks) {
      const { executor, taskId } = task;
      this.#books.launched.set(taskId, task);
      const running = known.executors.get(executor.executorId);
      const wanted = [...task.resources, ...(running === undefined ? executor.resources : [])];
      const isOther = running !== undefined && JSON.stringify(running) !== JSON.stringify(executor);
      if (this.#books.tasks.has(taskId) || isOther || !bag.has(wanted)) {
        this.#world.timeline.say(`master: task ${taskId} is invalid`);
        this.#tell.tell(
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
      this.#books.tasks.set(taskId, { task, latest: "TASK_STAGING", sent: "TASK_STAGING", unreachable: false });
      this.#world.timeline.say(`master: launches ${taskId} on ${known.agent.hostname}`);
      known.agent.deliver(() => known.agent.runTask(task));
    }
  }
}
