// The scheduler API's events out of their bytes, and bytes that are none.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { SchedulerEvent } from "../scheduler-api.ts";
import { v1 } from "./protobuf.ts";
import { decodeSchedulerEvent } from "./scheduler.ts";

const { Event } = v1.scheduler;
const UUID = Buffer.from("0123456789abcdef");
const { SCALAR, RANGES, SET, TEXT } = v1.Value.Type;
const ID = { value: "x" };

const OFFER: v1.Offer.$Properties = {
  id: { value: "o1" },
  framework_id: ID,
  agent_id: { value: "a1" },
  hostname: "h1",
  url: { scheme: "http", address: { hostname: "h1", ip: "10.0.0.1", port: 5051 }, path: "/slave(1)" },
  domain: { fault_domain: { region: { name: "eu" }, zone: { name: "eu-1" } } },
  resources: [
    { name: "cpus", type: SCALAR, scalar: { value: 1.5 } },
    { name: "cpus", type: SCALAR, scalar: { value: 9 }, revocable: {} },
  ],
  attributes: [
    { name: "rack", type: TEXT, text: { value: "r1" } },
    { name: "rack", type: TEXT, text: { value: "r2" } },
    { name: "level", type: SCALAR, scalar: { value: 2.50049 } },
    {
      name: "floors",
      type: RANGES,
      ranges: {
        range: [
          { begin: 1, end: 3 },
          { begin: 7, end: 7 },
        ],
      },
    },
    { name: "tags", type: SET, set: { item: ["ssd", "big"] } },
  ],
  unavailability: { start: { nanoseconds: 1.7e18 }, duration: { nanoseconds: 6e10 } },
};

describe("An event becomes plain data:", () => {
  const { Type } = Event;
  const bare = { task_id: { value: "t" }, state: v1.TaskState.TASK_LOST };
  test.each<readonly [string, v1.scheduler.Event.$Properties, SchedulerEvent]>([
    [
      "subscribed",
      {
        type: Type.SUBSCRIBED,
        subscribed: {
          framework_id: { value: "f" },
          heartbeat_interval_seconds: 15,
          master_info: { id: "m", ip: 1, port: 5050, version: "1.11.0" },
        },
      },
      { type: "subscribed", frameworkId: "f", heartbeatMs: 15_000, masterVersion: "1.11.0", masterId: "m" },
    ],
    [
      "subscribed, saying little",
      { type: Type.SUBSCRIBED, subscribed: { framework_id: { value: "f" } } },
      { type: "subscribed", frameworkId: "f", heartbeatMs: 15_000 },
    ],
    [
      "offers",
      {
        type: Type.OFFERS,
        offers: {
          offers: [OFFER, { id: { value: "o2" }, framework_id: ID, agent_id: { value: "a2" }, hostname: "h2" }],
        },
      },
      {
        type: "offers",
        offers: [
          {
            id: "o1",
            agentId: "a1",
            hostname: "h1",
            address: { ip: "10.0.0.1", port: 5051 },
            region: "eu",
            zone: "eu-1",
            attributes: { rack: "r1", level: "2.5", floors: "[1-3, 7-7]", tags: "{ssd, big}" },
            resources: [{ name: "cpus", scalar: 1.5, reservations: [] }],
            unavailability: { startMs: 1.7e12, durationMs: 60_000 },
          },
          { id: "o2", agentId: "a2", hostname: "h2", attributes: {}, resources: [] },
        ],
      },
    ],
    ["rescinded", { type: Type.RESCIND, rescind: { offer_id: { value: "o" } } }, { type: "rescinded", offerId: "o" }],
    [
      "inverseOffers",
      {
        type: Type.INVERSE_OFFERS,
        inverse_offers: {
          inverse_offers: [
            {
              id: { value: "i" },
              framework_id: ID,
              agent_id: { value: "a" },
              unavailability: { start: { nanoseconds: 5e6 } },
            },
          ],
        },
      },
      { type: "inverseOffers", inverseOffers: [{ id: "i", agentId: "a", unavailability: { startMs: 5 } }] },
    ],
    [
      "inverseOfferRescinded",
      { type: Type.RESCIND_INVERSE_OFFER, rescind_inverse_offer: { inverse_offer_id: { value: "i" } } },
      { type: "inverseOfferRescinded", inverseOfferId: "i" },
    ],
    [
      "status",
      {
        type: Type.UPDATE,
        update: {
          status: {
            ...bare,
            state: v1.TaskState.TASK_UNREACHABLE,
            source: v1.TaskStatus.Source.SOURCE_MASTER,
            reason: v1.TaskStatus.Reason.REASON_AGENT_REMOVED,
            message: "gone",
            agent_id: { value: "a" },
            executor_id: { value: "e" },
            timestamp: 1_700_000_000.5,
            uuid: UUID,
            healthy: false,
            labels: { labels: [{ key: "k", value: "v" }, { key: "bare" }] },
            unreachable_time: { nanoseconds: 1.6e18 },
          },
        },
      },
      {
        type: "status",
        status: {
          taskId: "t",
          state: "TASK_UNREACHABLE",
          source: "MASTER",
          reason: "AGENT_REMOVED",
          message: "gone",
          agentId: "a",
          executorId: "e",
          timestampMs: 1_700_000_000_500,
          uuid: UUID,
          healthy: false,
          labels: { k: "v", bare: "" },
          unreachableMs: 1.6e12,
        },
      },
    ],
    [
      "status, saying little",
      { type: Type.UPDATE, update: { status: { ...bare, uuid: new Uint8Array() } } },
      { type: "status", status: { taskId: "t", state: "TASK_LOST", labels: {} } },
    ],
    [
      "operation",
      {
        type: Type.UPDATE_OPERATION_STATUS,
        update_operation_status: {
          status: {
            operation_id: { value: "o" },
            state: v1.OperationState.OPERATION_FINISHED,
            message: "done",
            uuid: { value: UUID },
            agent_id: { value: "a" },
            resource_provider_id: { value: "r" },
          },
        },
      },
      {
        type: "operation",
        status: {
          operationId: "o",
          state: "OPERATION_FINISHED",
          message: "done",
          uuid: UUID,
          agentId: "a",
          resourceProviderId: "r",
        },
      },
    ],
    [
      "message",
      { type: Type.MESSAGE, message: { agent_id: { value: "a" }, executor_id: { value: "e" }, data: UUID } },
      { type: "message", agentId: "a", executorId: "e", data: UUID },
    ],
    [
      "failure of an executor",
      { type: Type.FAILURE, failure: { agent_id: { value: "a" }, executor_id: { value: "e" }, status: 9 } },
      { type: "failure", agentId: "a", executorId: "e", status: 9 },
    ],
    [
      "failure of an agent",
      { type: Type.FAILURE, failure: { agent_id: { value: "a" } } },
      { type: "failure", agentId: "a" },
    ],
    ["error", { type: Type.ERROR, error: { message: "no" } }, { type: "error", message: "no" }],
    ["heartbeat", { type: Type.HEARTBEAT }, { type: "heartbeat" }],
  ])("%s", (_, wire, event) => {
    expect(decodeSchedulerEvent(Event.encode(wire).finish())).toStrictEqual(event);
  });
});

describe("What cannot be read is an event that says so:", () => {
  test.each<readonly [string, Uint8Array, string]>([
    [
      "a type of a newer Mesos",
      Buffer.from([0x08, 0x63]),
      "The master sent an event of type that is not in our protocol",
    ],
    ["UNKNOWN", Buffer.from([0x08, 0x00]), "The master sent an event of type UNKNOWN"],
    ["nothing", new Uint8Array(), "The master sent an event of type that is not in our protocol"],
    [
      "a type without its content",
      Event.encode({ type: Event.Type.RESCIND }).finish(),
      "The master sent an event of type RESCIND",
    ],
    [
      "a frame that was cut",
      Event.encode({ type: Event.Type.ERROR, error: { message: "long" } })
        .finish()
        .subarray(0, 6),
      "Cannot read an event of 6 bytes from the master: RangeError",
    ],
    ["an update without its state", Buffer.from([0x08, 0x04, 0x2a, 0x02, 0x0a, 0x00]), "missing required 'task_id'"],
    ["HTML", Buffer.from("<html>"), "Cannot read an event of 6 bytes from the master"],
  ])("%s", (_, bytes, reason) => {
    expect(decodeSchedulerEvent(bytes)).toEqual({ type: "unreadable", reason: expect.stringContaining(reason) });
  });

  test("no bytes at all make the reader throw", () => {
    const offers = Event.encode({ type: Event.Type.OFFERS, offers: { offers: [OFFER] } }).finish();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeSchedulerEvent(bytes)));
    fc.assert(
      fc.property(
        fc.nat(offers.length - 1),
        fc.nat(255),
        (at, byte) => void decodeSchedulerEvent(offers.with(at, byte)),
      ),
    );
  });
});
