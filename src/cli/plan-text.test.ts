// Plans as people read them: as they stand, and what has changed since the last look.
import { expect, test } from "bun:test";
import type { PlanView, StepView } from "../databases/api.ts";
import { planPage, planProgress, planSummary } from "./plan-text.ts";

function step(name: string, change: Partial<StepView> = {}): StepView {
  return { name, type: "start", node: name, status: "pending", waitsFor: [], agents: [], ...change };
}

function plan(steps: readonly StepView[], change: Partial<PlanView> = {}): PlanView {
  return {
    id: "demo-deploy-1",
    kind: "deploy",
    cluster: "demo",
    status: "running",
    created: "2026-01-02T03:04:05.678Z",
    steps: [...steps],
    ...change,
  };
}

const JOINING = { check: "joining", found: '"demo-1" starting', wanted: "nobody joining" };
const CPUS = { check: "cpus", found: "0.5 unreserved", wanted: "at least 1.2" };
const MEM = { check: "mem", found: "512 MB unreserved", wanted: "at least 1024 MB" };

function agents(count: number): StepView["agents"] {
  return Array.from({ length: count }, (_, index) => ({
    agentId: `S${index}`,
    hostname: `127.0.0.${index + 1}`,
    reasons: index === 0 ? [CPUS, MEM] : [CPUS],
  }));
}

test("a plan shows each step, what it waits for and why each agent will not do", () => {
  const steps = [
    step("start demo-1", { status: "done", seconds: 42.13, waitsFor: [JOINING], agents: agents(1) }),
    step("start demo-2", { status: "running", seconds: 7 }),
    step("start demo-3", { waitsFor: [JOINING], agents: agents(2) }),
  ];
  expect(planPage(plan(steps))).toEqual([
    "plan demo-deploy-1: deploy of cluster demo",
    "running, 1 of 3 steps done, created 2026-01-02T03:04:05Z",
    "",
    "STATUS    SECONDS  STEP",
    "done         42.1  start demo-1",
    "running       7.0  start demo-2",
    "pending         -  start demo-3",
    '                     waits for joining: found "demo-1" starting, wanted nobody joining',
    "                     agent 127.0.0.1: cpus: found 0.5 unreserved, wanted at least 1.2; mem: found 512 MB unreserved, wanted at least 1024 MB",
    "                     agent 127.0.0.2: cpus: found 0.5 unreserved, wanted at least 1.2",
  ]);
});

test("no more than 20 agents are shown for a step; the others are summed up", () => {
  const reasons = [
    { ...CPUS, agents: 9000 },
    { ...MEM, agents: 1 },
  ];
  const page = planPage(plan([step("start demo-1", { agents: agents(21), refused: { agents: 9000, reasons } })]));
  expect(page.filter((line) => String(line).includes("agent 127."))).toHaveLength(20);
  expect(page.slice(-3)).toEqual([
    "                     and 8980 agents more; in all:",
    "                     9000 agents: cpus: found 0.5 unreserved, wanted at least 1.2",
    "                     1 agent: mem: found 512 MB unreserved, wanted at least 1024 MB",
  ]);
});

test("a summary says how long a finished plan took, and what an unfinished one waits for", () => {
  const done = plan([step("start demo-1", { status: "done" })], { status: "done", ended: "2026-01-02T03:05:06.178Z" });
  expect(planSummary(done)).toBe('Plan demo-deploy-1 (deploy of cluster "demo") is done after 60.5 s');
  expect(planSummary(plan([step("start demo-1", { waitsFor: [JOINING, CPUS] })]))).toBe(
    'Plan demo-deploy-1 (deploy of cluster "demo") goes on: 0 of 1 steps done, "start demo-1" waits for joining: found "demo-1" starting, wanted nobody joining; cpus: found 0.5 unreserved, wanted at least 1.2',
  );
});

test("what a person may want to do after a plan is said at its end", () => {
  const next = "repair the new node: ringmaster node run demo-4 repair";
  const done = plan([step("start demo-4", { status: "done" })], {
    status: "done",
    ended: "2026-01-02T03:05:06.178Z",
    next,
  });
  expect(planPage(done).at(-1)).toBe(`next: ${next}`);
  expect(planSummary(done)).toEndWith(`is done after 60.5 s; ${next}`);
});

test("the first look counts what is done and tells what is going on", () => {
  const steps = [
    step("start demo-1", { status: "done", seconds: 40 }),
    step("start demo-2", { status: "running", seconds: 3.9, waitsFor: [{ ...CPUS, check: "ready" }] }),
  ];
  expect(planProgress(undefined, plan(steps))).toEqual([
    "plan   demo-deploy-1: deploy of cluster demo, 1 of 2 steps done",
    "begun  start demo-2",
    "waits  start demo-2 for 3 s: ready: found 0.5 unreserved, wanted at least 1.2",
  ]);
});

test("what has not changed is not told again", () => {
  const look = plan([step("start demo-1", { status: "running", seconds: 3, waitsFor: [JOINING] })]);
  const later = plan([step("start demo-1", { status: "running", seconds: 14.9, waitsFor: [JOINING] })]);
  expect(planProgress(look, later)).toEqual([]);
});

test("a step that begins, goes on for long and ends is told of each time", () => {
  const looks = [
    step("start demo-1"),
    step("start demo-1", { status: "running", seconds: 0.2 }),
    step("start demo-1", { status: "running", seconds: 15.1 }),
    step("start demo-1", { status: "running", seconds: 15.6, waitsFor: [CPUS], agents: agents(2) }),
    step("start demo-1", { status: "running", seconds: 30.2, waitsFor: [CPUS], agents: agents(1) }),
    step("start demo-1", { status: "done", seconds: 31.25 }),
  ].map((look) => plan([look]));
  expect(looks.slice(1).flatMap((look, index) => planProgress(looks[index], look))).toEqual([
    "begun  start demo-1",
    "runs   start demo-1 for 15 s",
    "waits  start demo-1 for 15 s: cpus: found 0.5 unreserved, wanted at least 1.2 (2 agents say why: plan show demo-deploy-1)",
    "waits  start demo-1 for 30 s: cpus: found 0.5 unreserved, wanted at least 1.2 (1 agent says why: plan show demo-deploy-1)",
    "done   start demo-1 in 31.3 s",
  ]);
});

test("of many waiting steps only the first three are told of", () => {
  const many = Array.from({ length: 1000 }, (_, index) => step(`start demo-${index + 1}`, { waitsFor: [JOINING] }));
  const lines = planProgress(undefined, plan(many));
  expect(lines.map((line) => line.replace(/:.*/, ""))).toEqual([
    "plan   demo-deploy-1",
    "waits  start demo-1",
    "waits  start demo-2",
    "waits  start demo-3",
  ]);
});
