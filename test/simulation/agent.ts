// A simulated agent and its host: what is reserved, volumes, executors, status updates that are sent until acknowledged.
import type { ExecutorUpdate } from "../../src/mesos/executor-api.ts";
import type { Resource } from "../../src/mesos/resources.ts";
import { type ExecutorInfo, isTerminal, type TaskInfo, type TaskState, type TaskStatus } from "../../src/mesos/task.ts";
import { Bag } from "./bag.ts";
import { ExecutorProcess } from "./executor.ts";
import { Operations } from "./operations.ts";
import type { Volume } from "./ring.ts";
import type { World } from "./world.ts";

const RETRY_MS = 10_000;
const RETRY_MAX_MS = 600_000;
/** How long an executor outlives its agent's absence. */
const RECOVERY_MS = 900_000;

/** Status updates of one task, the oldest first; only that one is on its way. */
type Stream = {
  readonly task: TaskInfo;
  readonly pending: TaskStatus[];
  readonly seen: Set<string>;
  latest: TaskState;
  attempt: number;
};

export type Container = {
  readonly executor: ExecutorInfo;
  readonly tasks: Map<string, TaskInfo>;
  process?: ExecutorProcess;
  subscribed: boolean;
  /** Its framework was removed: it is being shut down, and nobody hears of it any more. */
  isEnding?: true;
};

export type AgentTask = { readonly task: TaskInfo; readonly latest: TaskState; readonly sent: TaskState };

export class Agent {
  readonly #world: World;
  readonly hostname: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly #hardware: readonly Resource[];
  id: string;
  /** Whether the agent's own process lives. */
  running = true;
  /** Whether the network lets it reach the master. */
  linked = true;
  /** Grows whenever messages under way are lost. */
  epoch = 0;
  total: Bag;
  readonly volumes = new Map<string, Volume>();
  readonly containers = new Map<string, Container>();
  readonly #streams = new Map<string, Stream>();
  readonly operations: Operations;

  constructor(
    world: World,
    hostname: string,
    attributes: Readonly<Record<string, string>>,
    hardware: readonly Resource[],
  ) {
    this.#world = world;
    this.hostname = hostname;
    this.attributes = attributes;
    this.#hardware = hardware;
    this.id = `agent-${world.nextId()}`;
    this.total = Bag.of(hardware);
    this.operations = new Operations(world, this, {
      toMaster: (run) => this.#toMaster(run),
      again: (attempt, run) => this.#again(attempt, run),
      uuid: () => this.#uuid(),
    });
  }

  get reachable(): boolean {
    return this.running && this.linked;
  }

  /** All tasks that Mesos has not done with. */
  tasks(): readonly AgentTask[] {
    return [...this.#streams.values()].map(({ task, latest, pending }) => ({
      task,
      latest,
      sent: pending[0]?.state ?? latest,
    }));
  }

  hasLive(taskId: string): boolean {
    for (const { tasks } of this.containers.values()) if (tasks.has(taskId)) return true;
    return false;
  }

  /** The live server task of a node, by the framework that there is now: what it ran under a former id ends by itself. */
  liveServer(node: string): string | undefined {
    const { id } = this.#world.master.frameworks;
    for (const { tasks, executor } of this.containers.values()) {
      if (executor.labels["ringmaster.node"] !== node || executor.frameworkId !== id) continue;
      for (const taskId of tasks.keys()) if (taskId.endsWith(".server")) return taskId;
    }
    return undefined;
  }

  /** A message of the master: lost when the agent cannot be reached, or cannot any more when it arrives. */
  deliver(run: () => void): void {
    if (!this.reachable) return;
    const { epoch } = this;
    this.#world.timeline.at(20, () => (this.epoch === epoch && this.reachable ? run() : undefined));
  }

  #toMaster(run: () => void): void {
    if (!this.reachable) return;
    const { epoch } = this;
    this.#world.timeline.at(20, () =>
      this.epoch === epoch && this.reachable && this.#world.master.knows(this) ? run() : undefined,
    );
  }

  /** Retries carry on only in the same life of the agent. */
  #again(attempt: number, run: () => void): void {
    const { epoch } = this;
    this.#world.timeline.at(Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** attempt), () =>
      this.epoch === epoch ? run() : undefined,
    );
  }

  runTask(task: TaskInfo): void {
    this.#streams.set(task.taskId, { task, pending: [], seen: new Set(), latest: "TASK_STAGING", attempt: 0 });
    const { executor } = task;
    const running = this.containers.get(executor.executorId);
    if (running !== undefined) {
      running.tasks.set(task.taskId, task);
      if (running.subscribed) running.process?.launch(task);
      return;
    }
    const container: Container = { executor, tasks: new Map([[task.taskId, task]]), subscribed: false };
    this.containers.set(executor.executorId, container);
    this.#world.timeline.say(`${this.hostname}: fetches for ${executor.executorId}`);
    this.#world.timeline.at(this.#world.delay("fetch", 500, 15_000), () => this.#fetched(container));
  }

  #fetched(container: Container): void {
    const { executorId, resources } = container.executor;
    if (this.containers.get(executorId) !== container) return;
    const id = resources.find(({ volume }) => volume !== undefined)?.volume?.id;
    const volume = id === undefined ? undefined : this.volumes.get(id);
    if (volume === undefined || this.#world.faults.hit("fetch fails"))
      return this.executorEnded(container, "before it began: the fetcher failed", "CONTAINER_LAUNCH_FAILED");
    const process = new ExecutorProcess(this.#world, this, container, volume);
    container.process = process;
    this.#subscribe(container, process);
  }

  /** The executor subscribes, at first and after every restart of the agent. */
  #subscribe(container: Container, process: ExecutorProcess): void {
    const { epoch } = this;
    this.#world.timeline.at(this.#world.delay("subscribe", 100, 1500), () => {
      if (!this.running || !process.alive || container.subscribed) return;
      if (epoch !== this.epoch && !this.running) return;
      if (process.hangs) return process.end("as it did not subscribe in time");
      container.subscribed = true;
      const { tasks, updates } = process.unacknowledged;
      process.tell({ type: "subscribed", agentId: this.id, hostname: this.hostname, frameworkName: "ringmaster" });
      if (container.isEnding === true) return this.#end(container);
      for (const update of updates) this.updated(container, update);
      const known = new Set([...tasks, ...updates.map(({ taskId }) => taskId)]);
      for (const task of container.tasks.values())
        if (!known.has(task.taskId) && this.#streams.get(task.taskId)?.latest === "TASK_STAGING") process.launch(task);
    });
  }

  kill(taskId: string): void {
    const container = [...this.containers.values()].find(({ tasks }) => tasks.has(taskId));
    const task = container?.tasks.get(taskId);
    if (container === undefined || task === undefined) {
      const stream = this.#streams.get(taskId);
      if (stream === undefined) this.#say(taskId, "TASK_DROPPED", "the agent does not know it");
      return;
    }
    if (container.process !== undefined) {
      if (container.subscribed) container.process.tell({ type: "kill", taskId, graceMs: task.killGraceMs });
      return;
    }
    this.#say(taskId, "TASK_KILLED", "killed during the launch", "TASK_KILLED_DURING_LAUNCH");
    container.tasks.delete(taskId);
    if (container.tasks.size === 0) this.executorEnded(container, "unused");
  }

  /** The executor is asked to end; when its grace is over its container is destroyed. */
  shutdown(executorId: string): void {
    const container = this.containers.get(executorId);
    if (container === undefined) return;
    const end = (): void =>
      container.process === undefined
        ? this.executorEnded(container, "as it was shut down")
        : container.process.end("as it did not end when it was shut down");
    if (container.process === undefined) return end();
    if (container.subscribed) container.process.tell({ type: "shutdown" });
    const { epoch } = this;
    this.#world.timeline.at(container.executor.shutdownGraceMs, () =>
      this.epoch === epoch && this.containers.get(executorId) === container ? end() : undefined,
    );
  }

  /** Whose executors and updates are here. */
  frameworks(): readonly string[] {
    const executors = [...this.containers.values(), ...[...this.#streams.values()].map(({ task }) => task)];
    return [...new Set(executors.map(({ executor }) => executor.frameworkId))];
  }

  /** The framework is removed: its executors end, and nobody is told of anything of it any more. */
  endFramework(frameworkId: string): void {
    for (const [taskId, { task }] of this.#streams)
      if (task.executor.frameworkId === frameworkId) this.#streams.delete(taskId);
    this.operations.clear(frameworkId);
    for (const container of [...this.containers.values()]) {
      if (container.executor.frameworkId !== frameworkId || container.isEnding === true) continue;
      container.isEnding = true;
      container.tasks.clear();
      if (container.process === undefined) this.executorEnded(container, "unused: its framework was removed");
      else this.#end(container);
    }
  }

  /** Asks an executor to end, and kills it at the end of its grace. */
  #end({ executor, process, subscribed }: Container): void {
    if (subscribed) process?.tell({ type: "shutdown" });
    this.#world.timeline.at(executor.shutdownGraceMs, () =>
      this.running && process?.alive === true ? process.end("at the end of its grace") : undefined,
    );
  }

  /** Operators of Mesos want the agent empty. */
  killAll(): void {
    for (const { tasks } of [...this.containers.values()]) for (const taskId of [...tasks.keys()]) this.kill(taskId);
  }

  /** An executor's update: kept, acknowledged to it, then sent on in its turn. */
  updated(container: Container, update: ExecutorUpdate): void {
    const process = container.process;
    if (!this.running || process === undefined || !container.subscribed || container.isEnding === true) return;
    const { taskId, uuid, state, message, healthy, labels } = update;
    this.#world.timeline.at(5, () => process.tell({ type: "acknowledged", taskId, uuid }), false);
    const stream = this.#streams.get(taskId);
    const key = uuid.join();
    if (stream === undefined || stream.seen.has(key) || isTerminal(stream.latest)) return;
    stream.seen.add(key);
    this.#world.timeline.say(`${this.hostname}: ${taskId} is ${state}${message === undefined ? "" : ` (${message})`}`);
    if (isTerminal(state)) container.tasks.delete(taskId);
    this.#push(stream, {
      taskId,
      state,
      uuid,
      labels,
      source: "EXECUTOR",
      agentId: this.id,
      ...(message === undefined ? {} : { message }),
      ...(healthy === undefined ? {} : { healthy }),
      ...(state === "TASK_KILLED" && this.#world.maintenance.isDrained(this.id) ? { reason: "AGENT_DRAINING" } : {}),
    });
  }

  /** The agent's own word on a task. */
  #say(taskId: string, state: TaskState, message: string, reason?: string): void {
    let stream = this.#streams.get(taskId);
    if (stream === undefined) {
      const task = this.#world.master.taskInfo(taskId);
      if (task === undefined) return;
      stream = { task, pending: [], seen: new Set(), latest: "TASK_STAGING", attempt: 0 };
      this.#streams.set(taskId, stream);
    }
    if (isTerminal(stream.latest)) return;
    this.#world.timeline.say(`${this.hostname}: says ${taskId} is ${state} (${message})`);
    this.#push(stream, {
      taskId,
      state,
      message,
      labels: {},
      uuid: this.#uuid(),
      source: "AGENT",
      agentId: this.id,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #push(stream: Stream, status: TaskStatus): void {
    stream.latest = status.state;
    stream.pending.push(status);
    if (stream.pending.length === 1) this.#send(stream);
  }

  #send(stream: Stream): void {
    const [status] = stream.pending;
    if (status === undefined) return;
    this.#toMaster(() => this.#world.master.statusUpdate(this, stream, status, stream.latest));
    const attempt = stream.attempt++;
    this.#again(attempt, () => (stream.pending[0] === status ? this.#send(stream) : undefined));
  }

  acknowledge(taskId: string, uuid: Uint8Array): void {
    const stream = this.#streams.get(taskId);
    const [status] = stream?.pending ?? [];
    if (stream === undefined || status === undefined || status.uuid?.join() !== uuid.join()) return;
    stream.pending.shift();
    stream.attempt = 0;
    if (isTerminal(status.state)) this.#streams.delete(taskId);
    else this.#send(stream);
  }

  /** The master knows tasks of ours that never arrived. */
  dropUnknown(taskId: string): void {
    if (!this.#streams.has(taskId)) this.#say(taskId, "TASK_DROPPED", "the agent does not know it", "RECONCILIATION");
  }

  executorEnded(container: Container, how: string, reason = "EXECUTOR_TERMINATED"): void {
    const { executorId } = container.executor;
    if (this.containers.get(executorId) !== container) return;
    this.#world.timeline.say(`${this.hostname}: executor ${executorId} ended ${how}`);
    // While the agent is down nobody sees it; the agent finds out when it is back.
    if (!this.running) return;
    this.containers.delete(executorId);
    for (const taskId of container.tasks.keys()) this.#say(taskId, "TASK_FAILED", `executor ended ${how}`, reason);
    this.#toMaster(() => this.#world.master.executorEnded(this, container.executor));
  }

  /** A task of the framework that no store knows any more comes back with its agent: it may have somebody's data. */
  plantOrphan(): void {
    const executorId = `ringmaster-ghost-1.${this.#world.nextId()}`;
    const labels = { "ringmaster.node": "ringmaster-ghost-1", "ringmaster.cluster": "ghost" };
    const command = { uris: [], environment: {}, value: "exec ./ringmaster executor" };
    const executor: ExecutorInfo = {
      ...{ executorId, frameworkId: this.#world.master.frameworks.id ?? "f-1", name: executorId, source: "ringmaster" },
      ...{ resources: [], command, labels, shutdownGraceMs: 1000 },
    };
    const taskId = `${executorId}.server`;
    const task: TaskInfo = {
      ...{ name: "ringmaster-ghost-1", taskId, agentId: this.id, resources: [], executor },
      ...{ data: new Uint8Array(), labels, killGraceMs: 1000 },
    };
    this.#world.timeline.say(`${this.hostname}: orphan ${taskId} appears`);
    this.containers.set(executorId, { executor, tasks: new Map([[taskId, task]]), subscribed: false });
    this.#streams.set(taskId, { task, pending: [], seen: new Set(), latest: "TASK_RUNNING", attempt: 0 });
    this.cut();
    this.heal();
  }

  /** The agent's process dies and comes back; its executors live on. */
  restart(downMs: number): void {
    this.crash();
    this.#world.timeline.at(downMs, () => this.recover());
  }

  crash(): void {
    if (!this.running) return;
    this.#world.timeline.say(`${this.hostname}: agent ${this.id} is down`);
    this.running = false;
    this.epoch += 1;
    this.#world.master.disconnected(this);
    for (const container of this.containers.values()) {
      container.subscribed = false;
      container.process?.tell({ type: "disconnected" });
      const { process } = container;
      const { epoch } = this;
      this.#world.timeline.at(RECOVERY_MS, () =>
        this.epoch === epoch ? process?.tell({ type: "lost", reason: "the agent did not come back" }) : undefined,
      );
    }
  }

  recover(): void {
    if (this.running) return;
    this.running = true;
    this.epoch += 1;
    this.#world.timeline.say(`${this.hostname}: agent ${this.id} is back`);
    for (const container of [...this.containers.values()]) {
      if (container.process?.alive === true) this.#subscribe(container, container.process);
      else this.executorEnded(container, "while the agent was down");
    }
    this.register();
  }

  /** The machine goes down with everything on it, and boots again: the agent finds none of its executors. */
  reboot(downMs: number): void {
    this.crash();
    for (const { process } of this.containers.values()) process?.end("with the host");
    this.containers.clear();
    for (const [taskId, { latest }] of this.#streams) if (!isTerminal(latest)) this.#streams.delete(taskId);
    this.#world.timeline.at(downMs, () => this.recover());
  }

  /** The host is set up anew: another agent, nothing of the old one. */
  reimage(downMs: number): void {
    this.crash();
    for (const { process } of this.containers.values()) process?.end("with the host");
    for (const volume of this.volumes.values()) this.#world.rings.get(volume.cluster ?? "")?.harmed(volume);
    this.containers.clear();
    this.#streams.clear();
    this.operations.clear();
    this.volumes.clear();
    this.total = Bag.of(this.#hardware);
    this.id = `agent-${this.#world.nextId()}`;
    this.linked = true;
    this.#world.timeline.at(downMs, () => this.recover());
  }

  cut(): void {
    if (!this.linked) return;
    this.#world.timeline.say(`${this.hostname}: cut off from the master`);
    this.linked = false;
    this.epoch += 1;
    this.#world.master.silent(this);
  }

  heal(): void {
    if (this.linked) return;
    this.#world.timeline.say(`${this.hostname}: reaches the master again`);
    this.linked = true;
    this.epoch += 1;
    this.register();
  }

  /** Registers with the master there is, and goes on with what is not acknowledged. */
  register(): void {
    if (!this.reachable) return;
    this.epoch += 1;
    const { epoch } = this;
    this.#world.timeline.at(this.#world.delay("register", 50, 2000), () => {
      if (this.epoch !== epoch || !this.reachable) return;
      if (!this.#world.master.register(this)) return;
      for (const stream of this.#streams.values()) {
        stream.attempt = 0;
        this.#send(stream);
      }
      this.operations.tellAll();
    });
  }

  #uuid(): Uint8Array {
    const uuid = new Uint8Array(16);
    new DataView(uuid.buffer).setUint32(0, this.#world.nextId());
    return uuid;
  }
}
