// What Jolokia's answers say about a node.
import { describe, expect, test } from "bun:test";
import type { Place } from "../database.ts";
import type { NodeTask } from "../node.ts";
import { drainQuestion, healthOf, probeQuestions } from "./health.ts";
import { cassandraReads } from "./reads.ts";

function storage(mode: string, native: boolean, gossip = true): string {
  const value = { OperationMode: mode, NativeTransportRunning: native, GossipRunning: gossip };
  return JSON.stringify([{ status: 200, value }]);
}

describe("health", () => {
  test.each<readonly [string, string, string]>([
    [storage("NORMAL", true), "serving", "OperationMode NORMAL, native transport on"],
    [storage("NORMAL", false), "starting", "OperationMode NORMAL, native transport off"],
    [storage("NORMAL", true, false), "starting", "OperationMode NORMAL, native transport on, gossip off"],
    [storage("STARTING", false, false), "starting", "OperationMode STARTING, native transport off, gossip off"],
    [storage("JOINING", false), "starting", "OperationMode JOINING, native transport off"],
    [storage("JOINING_FAILED", false), "failing", "OperationMode JOINING_FAILED, native transport off"],
    [storage("MOVING", true), "serving", "OperationMode MOVING, native transport on"],
    [storage("LEAVING", true), "leaving", "OperationMode LEAVING, native transport on"],
    [storage("DECOMMISSION_FAILED", true), "serving", "OperationMode DECOMMISSION_FAILED, native transport on"],
    [storage("DECOMMISSIONED", false, false), "left", "OperationMode DECOMMISSIONED, native transport off, gossip off"],
    [storage("DRAINED", false, false), "failing", "OperationMode DRAINED, native transport off, gossip off"],
    ['[{"status":404,"error":"no MBean"}]', "starting", "Cassandra has not registered its MBeans yet"],
    ["<html>", "starting", "Cassandra has not registered its MBeans yet"],
  ])("of %s is %s", (text, phase, detail) => {
    expect(healthOf([{ status: 200, text }])).toEqual({ phase: phase as "serving", detail });
  });

  test("without an answer is a start that goes on", () => {
    expect(healthOf([{ error: "connection refused" }])).toEqual({ phase: "starting", detail: "connection refused" });
    expect(healthOf([{ status: 401, text: "" }])).toEqual({
      phase: "starting",
      detail: "Jolokia answered with HTTP status 401",
    });
  });
});

describe("questions", () => {
  const task = { ports: { jolokia: 8778 }, token: "secret-of-16-letters" } as unknown as NodeTask;
  const place = (address: string): Place => ({ address }) as Place;

  test("go to the loopback address alone, with the password", () => {
    expect(probeQuestions(task, place("10.1.2.3"))).toEqual([
      {
        type: "http",
        method: "POST",
        url: "http://127.0.0.1:8778/jolokia/",
        headers: {
          authorization: `Basic ${btoa("ringmaster:secret-of-16-letters")}`,
          "content-type": "application/json",
        },
        body: '[{"type":"read","mbean":"org.apache.cassandra.db:type=StorageService","attribute":["OperationMode","NativeTransportRunning","GossipRunning"]}]',
        timeoutMs: 5000,
      },
    ]);
    expect(drainQuestion(task, place("127.0.0.3"))).toMatchObject({
      url: "http://127.0.0.3:8778/jolokia/",
      timeoutMs: 60_000,
    });
  });

  test("for the ring's status are told as nodetool tells them", () => {
    const shape = cassandraReads(task, place("10.1.2.3"))["status"]!.shape;
    const value = {
      OperationMode: "NORMAL",
      LiveNodesWithPort: ["10.0.0.1:7000", "10.0.0.2:7000"],
      UnreachableNodesWithPort: ["10.0.0.3:7000"],
      JoiningNodesWithPort: ["10.0.0.2:7000"],
      LeavingNodesWithPort: [],
      MovingNodesWithPort: [],
      EndpointWithPortToHostId: { "10.0.0.1:7000": "id-1", "10.0.0.3:7000": "id-3" },
      LoadMapWithPort: { "10.0.0.1:7000": "1 KiB" },
      OwnershipWithPort: { "node1/10.0.0.1:7000": 0.75, "/10.0.0.3:7000": 0.25 },
      TokenToEndpointWithPortMap: { "-5": "10.0.0.1:7000", "7": "10.0.0.3:7000", "9": "10.0.0.1:7000" },
    };
    const states =
      "/10.0.0.1:7000\n  generation:1\n  DC:8:dc1\n  RACK:9:r1\nnode2/10.0.0.2:7000\n  DC:8:dc1\n  RACK:9:r2\n";
    const answer = [
      { status: 200, value },
      { status: 200, value: { AllEndpointStatesWithPort: states } },
    ];
    const none = { load: null, tokens: 0, owns: null, hostId: null, datacenter: null, rack: null };
    expect(shape(JSON.stringify(answer))).toEqual({
      mode: "NORMAL",
      nodes: [
        {
          address: "10.0.0.1:7000",
          state: "UN",
          load: "1 KiB",
          tokens: 2,
          owns: 0.75,
          hostId: "id-1",
          datacenter: "dc1",
          rack: "r1",
        },
        { ...none, address: "10.0.0.2:7000", state: "UJ", datacenter: "dc1", rack: "r2" },
        { ...none, address: "10.0.0.3:7000", state: "DN", tokens: 1, owns: 0.25, hostId: "id-3" },
      ],
    });
    expect(shape("nonsense")).toEqual({ error: "Cassandra has not registered its MBeans yet" });
  });
});
