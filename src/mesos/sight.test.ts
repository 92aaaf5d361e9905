// The master's operator API as Mesos 1.11 answers it in JSON, read.
import { expect, test } from "bun:test";
import { readAgents, readFrameworks, readTasks } from "./sight.ts";

const LABELS = { labels: [{ key: "ringmaster.framework", value: "f-1" }] };
const HELD = [{ type: "DYNAMIC", role: "ringmaster", labels: LABELS }];

test("resources of an agent are summed up by reservation; static and open ones are none of ours", () => {
  const total = [
    { name: "cpus", type: "SCALAR", scalar: { value: 0.1 }, reservations: HELD },
    { name: "cpus", type: "SCALAR", scalar: { value: 0.2 }, reservations: HELD },
    { name: "ports", type: "RANGES", ranges: { range: [{ begin: 1, end: 2 }] }, reservations: HELD },
    { name: "disk", scalar: { value: 9 }, disk: { persistence: { id: "v" } }, reservations: HELD },
    { name: "mem", type: "SCALAR", scalar: { value: 64 } },
    { name: "mem", type: "SCALAR", scalar: { value: 64 }, reservations: [{ type: "STATIC", role: "ringmaster" }] },
  ];
  const info = { id: { value: "a-1" }, hostname: "h1" };
  const drained = { active: true, deactivated: true, drain_info: { state: "DRAINED" } };
  const agents = [
    { agent_info: info, ...drained, total_resources: total },
    { agent_info: info, active: true },
  ];
  const held = { cpus: 0.3, memMb: 0, diskMb: 9, ports: [{ begin: 1, end: 2 }], volumes: ["v"] };
  expect(readAgents({ type: "GET_AGENTS", get_agents: { agents } })).toEqual([
    {
      id: "a-1",
      hostname: "h1",
      active: false,
      draining: "DRAINED",
      reservations: [{ role: "ringmaster", labels: { "ringmaster.framework": "f-1" }, ...held }],
    },
    { id: "a-1", hostname: "h1", active: true, reservations: [] },
  ]);
});

test("tasks are those that may live, frameworks those that Mesos still knows; what is empty is left out by Mesos", () => {
  const task = (id: string, state: string): object => ({
    task_id: { value: id },
    framework_id: { value: "f-1" },
    agent_id: { value: "a-1" },
    state,
  });
  const get_tasks = {
    tasks: [task("t-1", "TASK_RUNNING")],
    unreachable_tasks: [task("t-2", "TASK_UNREACHABLE")],
    completed_tasks: [task("t-3", "TASK_FAILED")],
  };
  const same = { frameworkId: "f-1", agentId: "a-1" };
  expect(readTasks({ get_tasks })).toEqual([
    { id: "t-1", ...same, state: "TASK_RUNNING" },
    { id: "t-2", ...same, state: "TASK_UNREACHABLE" },
  ]);
  const framework_info = { id: { value: "f-1" }, name: "ringmaster" };
  const get_frameworks = { frameworks: [{ framework_info, active: true }], completed_frameworks: [{ framework_info }] };
  expect(readFrameworks({ get_frameworks })).toEqual([{ id: "f-1", name: "ringmaster", active: true }]);
  expect([readAgents({}), readTasks({ get_tasks: {} }), readFrameworks(null)]).toEqual([[], [], []]);
});
