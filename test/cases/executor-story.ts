// An executor's decisions on a table: plays events to the real `decide`, and keeps what was done in one line each.
import { cassandra } from "../../src/databases/cassandra/cassandra.ts";
import type { Answer, Ask, Database, Place, Question } from "../../src/databases/database.ts";
import type { Health, NodeTask } from "../../src/databases/node.ts";
import { decide, DEFAULT_TIMINGS, initialState } from "../../src/executor/decide.ts";
import type { Action, Event, ExecutorState } from "../../src/executor/state.ts";
import type { LaunchedTask } from "../../src/mesos/executor-api.ts";

export const NODE: NodeTask = {
  schema: 1,
  framework: "ringmaster",
  cluster: "demo",
  node: "ringmaster-demo-1",
  database: "cassandra",
  version: "5.0.4",
  generation: 1,
  expectData: false,
  hostname: "agent-1",
  datacenter: "dc1",
  rack: "rack1",
  cpus: 1,
  memMb: 2048,
  ports: { storage: 31000, native: 31001, jmx: 31002, jolokia: 31003, api: 31004 },
  seeds: ["agent-1:31000"],
  volume: "data",
  env: {},
  settings: {},
  graceMs: 60_000,
  token: "secret-of-16-letters",
};

/** The node's own task, as the agent hands it over. */
export function launched(taskId = "t1", node: unknown = NODE): LaunchedTask {
  const data = new TextEncoder().encode(JSON.stringify(node));
  return { name: "demo", taskId, agentId: "a1", data, killGraceMs: 60_000, raw: data };
}

/** An event whose time the story knows. */
export type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;
export const serving: Health = { phase: "serving", detail: "OperationMode NORMAL, native transport on" };
const PLACE: Place = {
  sandbox: "/sandbox",
  packageRoot: "/sandbox/cassandra",
  packageFiles: {},
  volume: "/sandbox/data",
  carried: "/sandbox/carried",
  address: "10.0.0.1",
  java: "/usr/bin/java",
  self: "/sandbox/ringmaster",
};

/** Volume, package and files are there; of Cassandra, which wants nothing done before its start. */
export const PREPARED = { type: "prepared", database: cassandra, place: PLACE } as const;

/** Prepared for a database that is like Cassandra but for what is given. */
export function preparedFor(database: Partial<Database>): Told {
  return { ...PREPARED, database: { ...cassandra, ...database } };
}

/** An ask by a command; its answer's text is the verdict: "done DETAIL", "again DETAIL" (after 5 s), or the failure. */
export function ask(say: string, command: string, more: Partial<Ask> = {}): Ask {
  return {
    say,
    question: commandOf(command),
    patienceMs: 60_000,
    read: (answer) => {
      if ("error" in answer) return { type: "again", afterMs: 5_000, detail: answer.error };
      const [word, ...rest] = answer.text.split(" ");
      const detail = rest.join(" ");
      if (word === "done") return { type: "done", detail };
      return word === "again" ? { type: "again", afterMs: 5_000, detail } : { type: "failed", detail: answer.text };
    },
    ...more,
  };
}

export function commandOf(command: string): Question {
  return { type: "command", command: { argv: command.split(" "), env: {}, cwd: "/" }, timeoutMs: 60_000 };
}

/** Plays events at their seconds and keeps what was done, in one line each. */
export class Story {
  state: ExecutorState = initialState(7, DEFAULT_TIMINGS, 0);
  done: string[] = [];
  actions: Action[] = [];

  at(second: number, ...events: readonly Told[]): this {
    for (const event of events) {
      const decision = decide(this.state, { ...event, nowMs: second * 1000 });
      this.state = decision.state;
      this.actions.push(...decision.actions);
      for (const action of decision.actions) this.done.push(`${second} ${line(action)}`);
    }
    return this;
  }

  /** The answer to a question of that number: what a command printed, or that there was none. */
  answer(second: number, number: number, answer: string | Extract<Answer, { error: string }>): this {
    const whole = typeof answer === "string" ? { status: 0, text: answer } : answer;
    return this.at(second, { type: "answered", number, answer: whole });
  }

  /** The agent acknowledges everything. */
  acknowledgeAll(second: number): this {
    for (const { taskId, uuid } of this.state.unacknowledgedUpdates)
      this.at(second, { type: "acknowledged", taskId, uuid });
    return this;
  }

  /** A node that serves, and whose agent knows it. */
  served(database: Partial<Database> = {}): this {
    this.at(0, { type: "subscribed", agentId: "a1", hostname: "agent-1", frameworkName: "ringmaster" });
    this.at(0, { type: "launch", task: launched() }).at(1, preparedFor(database));
    this.at(3, { type: "tick" }, { type: "probed", answered: "all", health: serving });
    this.acknowledgeAll(3);
    this.done = [];
    return this;
  }
}

function line(action: Action): string {
  switch (action.type) {
    case "update": {
      const { taskId, state, healthy, message, labels } = action.update;
      const health = healthy === undefined ? "" : healthy ? " healthy" : " unhealthy";
      const whose = taskId === "t1" ? "" : `${taskId} `;
      return `${whose}${state}${health} ${message}${labels["ringmaster.failure"] === undefined ? "" : ` [${labels["ringmaster.failure"]}]`}`;
    }
    case "drain":
      return `drain ${action.timeoutMs}`;
    case "ask":
      return `ask ${action.number}: ${action.question.type === "command" ? action.question.command.argv.join(" ") : action.question.type}`;
    case "giveUp":
      return `give up ${action.number}`;
    case "startCompanion":
      return `start ${action.name}`;
    case "endCompanions":
      return "end companions";
    case "signal":
      return action.signal;
    case "exit":
      return `exit ${action.code}`;
    case "prepare":
    case "start":
    case "probe":
      return action.type;
  }
}
