// The scheduler's connection with a stand-in for a master, for what a real one cannot be made to do: fall silent, send
// rubbish, be slow, refuse. All else is shown on a real Mesos in test/real/.
import { afterEach, expect, test } from "bun:test";
import { createLog } from "../../std/io/log.ts";
import { parseMasters } from "../leader.ts";
import { v1 } from "../wire/protobuf.ts";
import { type ConnectionEvent, connectScheduler, type SchedulerConnection } from "./scheduler-connection.ts";

const { Call, Event } = v1.scheduler;
const HEARTBEAT_MS = 40;

type Arrived = { readonly call: v1.scheduler.Call; readonly headers: Headers };

/** One stand-in: it takes every subscription, until a test says otherwise. */
class StandIn {
  readonly arrived: Arrived[] = [];
  stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  heartbeatMs = 3_600_000;
  refusal: (() => Response) | undefined;
  answer: (call: v1.scheduler.Call) => Promise<Response> = async () => new Response(null, { status: 202 });
  readonly server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: (request) => this.#fetch(request),
  });

  async #fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === "/version") return Response.json({ version: "1.11.0" });
    const call = Call.decode(new Uint8Array(await request.arrayBuffer()));
    this.arrived.push({ call, headers: request.headers });
    if (call.type !== Call.Type.SUBSCRIBE) return await this.answer(call);
    if (this.refusal !== undefined) return this.refusal();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.stream = controller;
        const subscribed = {
          framework_id: { value: "framework-1" },
          heartbeat_interval_seconds: this.heartbeatMs / 1000,
        };
        this.send({ type: Event.Type.SUBSCRIBED, subscribed });
      },
    });
    return new Response(body, { headers: { "mesos-stream-id": `stream-${this.subscriptions().length}` } });
  }

  send(event: v1.scheduler.Event.$Properties): void {
    const bytes = Event.encode(event).finish();
    this.stream?.enqueue(Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes]));
  }

  subscriptions(): readonly Arrived[] {
    return this.arrived.filter(({ call }) => call.type === Call.Type.SUBSCRIBE);
  }
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** Connects with the stand-in. `until` waits for an event after those it gave before. */
function connect(
  standIn: StandIn,
  onEvent: (event: ConnectionEvent) => Promise<void> = async () => {},
  mayCall: () => boolean = () => true,
) {
  let id: string | undefined;
  const events: ConnectionEvent[] = [];
  let wake = Promise.withResolvers<void>();
  const connection: SchedulerConnection = connectScheduler({
    masters: parseMasters(`127.0.0.1:${standIn.server.port}`),
    credential: { principal: "me", secret: "geheim" },
    framework: () => ({
      ...(id === undefined ? {} : { id }),
      name: "test",
      user: "root",
      roles: ["r"],
      failoverTimeoutMs: 0,
      capabilities: [],
    }),
    suppressedRoles: () => ["r"],
    mayCall,
    log: createLog("test", "fatal", false),
    onEvent: async (event) => {
      if (event.type === "subscribed") id = event.frameworkId;
      events.push(event);
      wake.resolve();
      wake = Promise.withResolvers();
      await onEvent(event);
    },
  });
  const until = async (type: ConnectionEvent["type"]): Promise<ConnectionEvent> => {
    for (;;) {
      const event = events.shift();
      if (event?.type === type) return event;
      if (event === undefined) await wake.promise;
    }
  };
  closing.push(connection.close, () => standIn.server.stop(true));
  return { connection, until };
}

test("A master that misses three heartbeats is left, and subscribed with again under the same id", async () => {
  const standIn = new StandIn();
  standIn.heartbeatMs = HEARTBEAT_MS;
  const { connection, until } = connect(standIn);
  await until("subscribed");
  expect(await until("disconnected")).toEqual({ type: "disconnected", reason: "nothing was heard for 120 ms" });
  standIn.heartbeatMs = 3_600_000;
  await until("subscribed");
  expect(standIn.subscriptions().map(({ call }) => call.framework_id?.value)).toEqual([undefined, "framework-1"]);
  expect(standIn.subscriptions()[1]?.call.subscribe?.suppressed_roles).toEqual(["r"]);
  expect(connection.state().type).toBe("subscribed");
});

test("A slow handler is no silent master", async () => {
  const standIn = new StandIn();
  standIn.heartbeatMs = HEARTBEAT_MS;
  let heartbeats = 0;
  const handled = Promise.withResolvers<void>();
  connect(standIn, async (event) => {
    if (event.type === "subscribed") await Bun.sleep(HEARTBEAT_MS * 6);
    if (event.type === "heartbeat" && ++heartbeats === 3) handled.resolve();
  });
  while (standIn.stream === undefined) await Bun.sleep(1);
  for (let i = 0; i < 3; i++) standIn.send({ type: Event.Type.HEARTBEAT });
  await handled.promise;
  expect(standIn.subscriptions()).toHaveLength(1);
});

test.each([
  ["a stream that ends clean", (stream: StandIn["stream"]) => stream?.close(), "the master ended the stream"],
  [
    "a stream that ends within an event",
    (stream: StandIn["stream"]) => {
      stream?.enqueue(Buffer.from("10\nabc"));
      stream?.close();
    },
    "the stream ended within an event",
  ],
  [
    "a stream that is no RecordIO",
    (stream: StandIn["stream"]) => stream?.enqueue(Buffer.from("<html>")),
    'Cannot read the event stream: found "<" in a frame\'s length after 0 digits, wanted 1 to 10 digits and a newline',
  ],
])("After %s there is a new subscription", async (_, end, reason) => {
  const standIn = new StandIn();
  const { until } = connect(standIn);
  await until("subscribed");
  end(standIn.stream);
  expect(await until("disconnected")).toEqual({ type: "disconnected", reason });
  await until("subscribed");
});

test("An event that cannot be read is passed over", async () => {
  const standIn = new StandIn();
  const { until } = connect(standIn);
  await until("subscribed");
  standIn.stream?.enqueue(Buffer.from("2\n\u0008\u0063"));
  standIn.stream?.enqueue(Buffer.from("3\nxyz"));
  standIn.send({ type: Event.Type.RESCIND, rescind: { offer_id: { value: "o" } } });
  expect(await until("rescinded")).toEqual({ type: "rescinded", offerId: "o" });
});

test("A master that cannot serve yet is asked again, and an operator can read why", async () => {
  const standIn = new StandIn();
  standIn.refusal = () => new Response("Master has not finished recovery", { status: 503 });
  const { connection, until } = connect(standIn);
  while (connection.state().type !== "waiting") await Bun.sleep(1);
  const url = `http://127.0.0.1:${standIn.server.port}/master/api/v1/scheduler`;
  expect(connection.state()).toEqual({
    type: "waiting",
    reason: `Cannot subscribe at "${url}": 503: Master has not finished recovery`,
    retryMs: expect.any(Number),
  });
  standIn.refusal = undefined;
  await until("subscribed");
});

test("Calls go out in order, with the stream's id, the framework's id and the credential", async () => {
  const standIn = new StandIn();
  const { connection, until } = connect(standIn);
  await until("subscribed");
  connection.send({ type: "revive" });
  connection.send({ type: "kill", taskId: "t" });
  connection.send({ type: "suppress" });
  await connection.close();
  const { REVIVE, KILL, SUPPRESS } = Call.Type;
  const authorization = `Basic ${btoa("me:geheim")}`;
  expect(
    standIn.arrived.slice(1).map(({ call, headers }) => ({
      type: call.type,
      id: call.framework_id?.value,
      stream: headers.get("mesos-stream-id"),
      contentType: headers.get("content-type"),
      authorization: headers.get("authorization"),
    })),
  ).toEqual(
    [REVIVE, KILL, SUPPRESS].map((type) => ({
      type,
      id: "framework-1",
      stream: "stream-1",
      contentType: "application/x-protobuf",
      authorization,
    })),
  );
});

test("What is not taken comes back: refused, waiting when the stream ends, or sent without a subscription", async () => {
  const standIn = new StandIn();
  const late = Promise.withResolvers<Response>();
  standIn.answer = async (call) =>
    call.type === Call.Type.REVIVE ? new Response("Not now", { status: 403 }) : await late.promise;
  const { connection, until } = connect(standIn);
  await until("subscribed");
  connection.send({ type: "revive" });
  expect(await until("callFailed")).toEqual({
    type: "callFailed",
    call: { type: "revive" },
    status: 403,
    message: "403: Not now",
  });
  connection.send({ type: "suppress" });
  connection.send({ type: "kill", taskId: "t" });
  while (standIn.arrived.length < 3) await Bun.sleep(1);
  standIn.refusal = () => new Response("Go away", { status: 503 });
  standIn.stream?.close();
  expect(await until("callFailed")).toEqual({
    type: "callFailed",
    call: { type: "kill", taskId: "t" },
    message: "the master ended the stream",
  });
  await until("disconnected");
  connection.send({ type: "revive" });
  expect(await until("callFailed")).toEqual({
    type: "callFailed",
    call: { type: "revive" },
    message: "there is no subscription",
  });
  late.resolve(new Response(null, { status: 202 }));
});

test("What the handler throws ends the connection", async () => {
  const standIn = new StandIn();
  const { connection } = connect(standIn, async (event) => {
    if (event.type === "subscribed") throw new Error("Broken assumption: test");
  });
  expect(await connection.ended).toEqual(new Error("Broken assumption: test"));
  expect(connection.state()).toEqual({ type: "ended", reason: "Broken assumption: test" });
});

test("While another scheduler may lead, nothing is sent: no call, and no new subscription", async () => {
  const standIn = new StandIn();
  standIn.heartbeatMs = HEARTBEAT_MS;
  let mayCall = true;
  const { connection, until } = connect(
    standIn,
    async () => {},
    () => mayCall,
  );
  await until("subscribed");
  mayCall = false;
  connection.send({ type: "revive" });
  const failed = { type: "callFailed" as const, call: { type: "revive" as const } };
  expect(await until("callFailed")).toEqual({ ...failed, message: "another scheduler may lead" });
  await until("disconnected");
  const { promise: waiting, resolve } = Promise.withResolvers<void>();
  const look = setInterval(() => connection.state().type === "waiting" && resolve(), 5);
  await waiting;
  clearInterval(look);
  expect(standIn.arrived.map(({ call }) => call.type)).toEqual([Call.Type.SUBSCRIBE]);
  mayCall = true;
  await until("subscribed");
  connection.drop();
  connection.send({ type: "revive" });
  expect(await connection.ended).toBeUndefined();
  expect(standIn.subscriptions()).toHaveLength(2);
});
