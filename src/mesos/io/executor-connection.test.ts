// The executor's connection with a stand-in for an agent, for what a real one cannot be made to do: ask for a token, refuse,
// stay away. All else is shown on a real Mesos in test/real/.
import { afterEach, expect, test } from "bun:test";
import { createLog } from "../../std/io/log.ts";
import type { ExecutorUpdate } from "../executor-api.ts";
import type { ExecutorEnvironment } from "../executor-environment.ts";
import { v1 } from "../wire/protobuf.ts";
import { connectExecutor, type ExecutorConnectionEvent } from "./executor-connection.ts";

const { Call, Event } = v1.executor;
const SUBSCRIBED = {
  type: Event.Type.SUBSCRIBED,
  subscribed: {
    executor_info: { executor_id: { value: "executor-1" } },
    framework_info: { user: "u", name: "f" },
    agent_info: { hostname: "h", id: { value: "agent-1" } },
  },
};

class StandIn {
  readonly calls: v1.executor.Call[] = [];
  readonly authorizations: (string | null)[] = [];
  stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  refusal: (() => Response) | undefined;
  answer: () => Promise<Response> = async () => new Response(null, { status: 202 });
  readonly server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: (request) => this.#fetch(request),
  });

  async #fetch(request: Request): Promise<Response> {
    const call = Call.decode(new Uint8Array(await request.arrayBuffer()));
    this.calls.push(call);
    this.authorizations.push(request.headers.get("authorization"));
    if (call.type !== Call.Type.SUBSCRIBE) return await this.answer();
    if (this.refusal !== undefined) return this.refusal();
    return new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.stream = controller;
          const bytes = Event.encode(SUBSCRIBED).finish();
          controller.enqueue(Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes]));
        },
      }),
    );
  }

  /** Types and, of updates, messages: "SUBSCRIBE [a, b]", "UPDATE a", "MESSAGE". */
  story(): readonly string[] {
    return this.calls.map(({ type, subscribe, update }) => {
      const carried = subscribe?.unacknowledged_updates?.map(({ status }) => status.message).join(", ");
      return `${Call.Type[type]} ${carried === undefined ? (update?.status.message ?? "") : `[${carried}]`}`.trim();
    });
  }
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

function update(message: string): ExecutorUpdate {
  return {
    taskId: "t",
    state: "TASK_RUNNING",
    message,
    uuid: crypto.getRandomValues(new Uint8Array(16)),
    timestampMs: 0,
    labels: {},
  };
}

function connect(standIn: StandIn, change: Partial<ExecutorEnvironment> = {}) {
  const updates: ExecutorUpdate[] = [];
  const events: ExecutorConnectionEvent[] = [];
  let wake = Promise.withResolvers<void>();
  const connection = connectExecutor({
    environment: {
      url: `http://127.0.0.1:${standIn.server.port}/slave(1)/api/v1/executor`,
      executorId: "executor-1",
      frameworkId: "framework-1",
      checkpoint: true,
      recoveryTimeoutMs: 60_000,
      subscriptionBackoffMaxMs: 2_000,
      shutdownGraceMs: 5_000,
      ...change,
    },
    unacknowledged: () => ({ tasks: [], updates }),
    log: createLog("test", "fatal", false),
    onEvent: async (event) => {
      events.push(event);
      wake.resolve();
      wake = Promise.withResolvers();
    },
  });
  const until = async (type: ExecutorConnectionEvent["type"]): Promise<ExecutorConnectionEvent> => {
    for (;;) {
      const event = events.shift();
      if (event?.type === type) return event;
      if (event === undefined) await wake.promise;
    }
  };
  const report = (message: string): void => {
    const made = update(message);
    updates.push(made);
    connection.send({ type: "update", update: made });
  };
  closing.push(connection.close, () => standIn.server.stop(true));
  return { connection, until, report };
}

test("An agent that wants one gets the token with every call", async () => {
  const standIn = new StandIn();
  const { connection, until, report } = connect(standIn, { token: "abc" });
  expect(await until("subscribed")).toEqual({
    type: "subscribed",
    agentId: "agent-1",
    hostname: "h",
    frameworkName: "f",
  });
  report("a");
  await connection.close();
  expect(standIn.authorizations).toEqual(["Bearer abc", "Bearer abc"]);
});

test("What is made while the agent is away goes with the next subscription, once; messages follow it", async () => {
  const standIn = new StandIn();
  const { connection, until, report } = connect(standIn);
  await until("subscribed");
  report("a");
  while (standIn.calls.length < 2) await Bun.sleep(1);
  standIn.refusal = () => new Response("Agent has not finished recovery", { status: 503 });
  standIn.stream?.close();
  expect(await until("disconnected")).toEqual({ type: "disconnected", reason: "the agent ended the stream" });
  connection.send({ type: "message", data: new Uint8Array() });
  report("b");
  const tries = standIn.calls.length;
  while (standIn.calls.length === tries) await Bun.sleep(1);
  standIn.refusal = undefined;
  await until("subscribed");
  report("c");
  await connection.close();
  const story = standIn.story();
  expect(story.slice(0, 2)).toEqual(["SUBSCRIBE []", "UPDATE a"]);
  expect(story.slice(-3)).toEqual(["SUBSCRIBE [a, b]", "MESSAGE", "UPDATE c"]);
});

test("An agent that comes back has two tries within its two seconds", async () => {
  const standIn = new StandIn();
  const { until } = connect(standIn);
  await until("subscribed");
  standIn.refusal = () => new Response("Agent has not finished recovery", { status: 503 });
  standIn.stream?.close();
  await until("disconnected");
  const awayMs = performance.now();
  const before = standIn.calls.length;
  while (standIn.calls.length < before + 8) await Bun.sleep(1);
  expect((performance.now() - awayMs) / 8).toBeLessThan(1_000);
});

test("An update that finds the agent unable makes the executor subscribe again, with the update", async () => {
  const standIn = new StandIn();
  const { connection, until, report } = connect(standIn);
  await until("subscribed");
  standIn.answer = async () => new Response("Executor is not subscribed", { status: 403 });
  report("a");
  expect(await until("disconnected")).toEqual({
    type: "disconnected",
    reason: "the agent did not take a call: 403: Executor is not subscribed",
  });
  await until("subscribed");
  await connection.close();
  expect(standIn.story()).toEqual(["SUBSCRIBE []", "UPDATE a", "SUBSCRIBE [a]"]);
});

test("An update that the agent refuses for good comes back, and is not repeated", async () => {
  const standIn = new StandIn();
  const { until, report } = connect(standIn);
  await until("subscribed");
  standIn.answer = async () => new Response("Not a valid UUID", { status: 400 });
  report("a");
  expect(await until("callFailed")).toMatchObject({
    call: { type: "update", update: { message: "a" } },
    status: 400,
    message: "400: Not a valid UUID",
  });
  expect(standIn.story()).toEqual(["SUBSCRIBE []", "UPDATE a"]);
});

test("Without a checkpoint, the agent's end is the executor's", async () => {
  const standIn = new StandIn();
  const { connection, until } = connect(standIn, { checkpoint: false });
  await until("subscribed");
  standIn.stream?.close();
  const url = `http://127.0.0.1:${standIn.server.port}/slave(1)/api/v1/executor`;
  const reason = `Cannot stay with the agent at "${url}": the agent ended the stream, and there is no checkpoint to wait for`;
  expect(await until("lost")).toEqual({ type: "lost", reason });
  expect(await connection.ended).toEqual(new Error(reason));
});

test("An agent that stays away for longer than the recovery time-out is given up", async () => {
  const standIn = new StandIn();
  const { until } = connect(standIn, { recoveryTimeoutMs: 300 });
  await until("subscribed");
  await standIn.server.stop(true);
  expect(await until("lost")).toEqual({
    type: "lost",
    reason: expect.stringMatching(/^Cannot subscribe with the agent at ".*" within 300 ms: ECONNREFUSED$/),
  });
});

test("An agent that refuses the token is not asked again", async () => {
  const standIn = new StandIn();
  standIn.refusal = () => new Response("", { status: 401 });
  const { until } = connect(standIn);
  expect(await until("lost")).toEqual({
    type: "lost",
    reason: expect.stringMatching(/^Cannot subscribe with the agent at ".*": 401 Unauthorized$/),
  });
  expect(standIn.calls).toHaveLength(1);
});
