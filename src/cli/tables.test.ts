// What the API answers, as pages for people.
import { expect, test } from "bun:test";
import type { ClusterView, NodeView } from "../databases/api.ts";
import { clusterPage, clustersPage, endpointsPage, nodePage, nodesPage, plansPage, valuePage } from "./tables.ts";

const CLUSTER: ClusterView = {
  name: "demo",
  database: "cassandra",
  version: "5.0.4",
  status: "deploying",
  created: "2026-01-02T03:04:05.678Z",
  nodesWanted: 3,
  nodesRunning: 1,
  activePlans: ["demo-deploy-1"],
  spec: {
    name: "demo",
    database: "cassandra",
    version: "5.0.4",
    nodes: 3,
    resources: { cpus: 1, memMb: 4096 },
    constraints: [{ field: "hostname", operator: "UNIQUE" }],
    ports: {},
    settings: { "jvm.options": ["-Xmx1G", "-Xms1G"] },
  },
};

const NODE: NodeView = {
  id: "ringmaster-demo-1",
  cluster: "demo",
  phase: "running",
  since: "2026-01-02T03:04:05.678Z",
  healthy: true,
  joined: true,
  hostname: "127.0.0.1",
  agentId: "S0",
  rack: "rack1",
  ports: { native: 31000, storage: 31001 },
  taskId: "ringmaster-demo-1.server.1",
  failures: 0,
};

test("clusters are a row each", () => {
  expect(clustersPage([])).toEqual(["No clusters"]);
  expect(
    clustersPage([CLUSTER, { ...CLUSTER, name: "b", status: "running", nodesRunning: 3, activePlans: [] }]),
  ).toEqual([
    [
      ["CLUSTER", "DATABASE", "VERSION", "NODES", "STATUS", "CREATED", "ACTIVE PLANS"],
      ["demo", "cassandra", "5.0.4", "1/3", "deploying", "2026-01-02T03:04:05Z", "demo-deploy-1"],
      ["b", "cassandra", "5.0.4", "3/3", "running", "2026-01-02T03:04:05Z", "-"],
    ],
  ]);
});

test("a cluster shows its state and what was asked for", () => {
  expect(clusterPage(CLUSTER)).toEqual([
    "cluster demo",
    "database: cassandra 5.0.4",
    "status: deploying",
    "nodes: 1 of 3 run",
    "created: 2026-01-02T03:04:05Z",
    "active plans: demo-deploy-1",
    "resources:",
    "  cpus: 1",
    "  memMb: 4096",
    "constraints:",
    [
      ["  FIELD", "OPERATOR"],
      ["  hostname", "UNIQUE"],
    ],
    "ports: none",
    "settings:",
    "  jvm.options: -Xmx1G, -Xms1G",
  ]);
});

test("nodes are a row each, with - for what they do not have yet", () => {
  const { hostname: _hostname, rack: _rack, ...homeless } = NODE;
  expect(nodesPage([])).toEqual(["No nodes"]);
  expect(nodesPage([NODE, { ...homeless, phase: "waiting", healthy: false, joined: false, failures: 2 }])).toEqual([
    [
      ["NODE", "PHASE", "HEALTHY", "JOINED", "HOSTNAME", "RACK", "SINCE", "FAILURES"],
      ["ringmaster-demo-1", "running", "yes", "yes", "127.0.0.1", "rack1", "2026-01-02T03:04:05Z", "0"],
      ["ringmaster-demo-1", "waiting", "no", "no", "-", "-", "2026-01-02T03:04:05Z", "2"],
    ],
  ]);
});

test("a node shows its place, ports and last failure", () => {
  const lastFailure = { at: "2026-01-02T03:00:00.000Z", state: "TASK_FAILED", message: "exit code 137" };
  expect(nodePage({ ...NODE, failures: 1, lastFailure })).toEqual([
    "node ringmaster-demo-1",
    "cluster: demo",
    "phase: running since 2026-01-02T03:04:05Z",
    "healthy: yes",
    "joined: yes",
    "hostname: 127.0.0.1",
    "agent: S0",
    "rack: rack1",
    "ports: native=31000, storage=31001",
    "task: ringmaster-demo-1.server.1",
    "failures in a row: 1",
    "last failure: 2026-01-02T03:00:00Z TASK_FAILED: exit code 137",
  ]);
});

test("a node whose agent is out of sight shows when another takes its place, and which does", () => {
  const replaceDue = "2026-01-02T04:04:05.000Z";
  expect(nodePage({ ...NODE, phase: "unreachable", replaceDue }).at(-1)).toBe("is replaced from: 2026-01-02T04:04:05Z");
  expect(nodePage({ ...NODE, phase: "lost", replaceDue, replacedBy: "ringmaster-demo-4" }).at(-1)).toBe(
    "its place takes: ringmaster-demo-4",
  );
  expect(nodePage({ ...NODE, replaces: "ringmaster-demo-0" }).at(-1)).toBe("takes the place of: ringmaster-demo-0");
});

test("endpoints begin with contact points that can be pasted", () => {
  const nodes = [{ node: "ringmaster-demo-1", hostname: "a", serving: true, ports: { native: 1, storage: 2 } }];
  const endpoints = { native: ["a:1", "b:1"], storage: [] };
  expect(endpointsPage({ cluster: "demo", database: "cassandra", endpoints, nodes })).toEqual([
    "native: a:1,b:1",
    "storage: none",
    [
      ["NODE", "HOSTNAME", "SERVING", "PORTS"],
      ["ringmaster-demo-1", "a", "yes", "native=1, storage=2"],
    ],
  ]);
});

test("plans are a row each", () => {
  expect(plansPage([])).toEqual(["No plans"]);
  const steps = [{ name: "start a", type: "start", status: "done" as const, waitsFor: [], agents: [] }];
  const created = "2026-01-02T03:04:05.678Z";
  const plan = {
    id: "a-deploy-1",
    kind: "deploy",
    cluster: "a",
    status: "done" as const,
    created,
    ended: created,
    steps,
  };
  expect(plansPage([plan])).toEqual([
    [
      ["PLAN", "KIND", "CLUSTER", "STATUS", "STEPS DONE", "CREATED", "ENDED"],
      ["a-deploy-1", "deploy", "a", "done", "1/1", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"],
    ],
  ]);
});

test("any JSON is shown as lines, and lists of flat objects as tables", () => {
  expect(valuePage("text")).toEqual(["text"]);
  expect(valuePage([])).toEqual(["none"]);
  expect(
    valuePage({
      mode: "NORMAL",
      load: null,
      live: [1, 2],
      ring: [
        { host: "a", up: true },
        { host: "b", hostId: 4 },
      ],
    }),
  ).toEqual([
    "mode: NORMAL",
    "load: -",
    "live: 1, 2",
    "ring:",
    [
      ["  HOST", "UP", "HOST ID"],
      ["  a", "true", "-"],
      ["  b", "-", "4"],
    ],
  ]);
  expect(valuePage([1, ["a", "b"], { a: { b: 1 } }])).toEqual(["- 1", "- a, b", "-", "  a:", "    b: 1"]);
});

test("a text of several lines stands below its key, line by line", () => {
  expect(valuePage({ settings: { "riak.conf": "# mine\nring_size = 16\n", "advanced.config": "[]." } })).toEqual([
    "settings:",
    "  riak.conf:",
    "    # mine",
    "    ring_size = 16",
    "  advanced.config: [].",
  ]);
});
