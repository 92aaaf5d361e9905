// A plan for people: as it stands, and as lines of what has changed since it was looked at last.
import type { PlanView, StepView } from "../databases/api.ts";
import { reasonText } from "../std/reason.ts";
import type { Page } from "./page.ts";
import { timeText } from "./tables.ts";

/** Agents that are shown for one step; a large Mesos has thousands of them. */
const AGENTS_SHOWN = 20;

/** Unfinished steps, in their order, of which progress says what they wait for. */
const OPEN_STEPS_SHOWN = 3;

/** A step that goes on and on is told of again after so many seconds. */
const STILL_SECONDS = 15;

/** The plan with every step, what each unfinished one waits for, and why each agent will not do for it. */
export function planPage(plan: PlanView): Page {
  const end = plan.ended === undefined ? "" : `, ended ${timeText(plan.ended)}`;
  return [
    `plan ${plan.id}: ${plan.kind} of cluster ${plan.cluster}`,
    `${plan.status}, ${doneText(plan)}, created ${timeText(plan.created)}${end}`,
    "",
    "STATUS    SECONDS  STEP",
    ...plan.steps.flatMap((step) => [stepLine(step), ...detailLines(step)]),
    ...(plan.next === undefined ? [] : ["", `next: ${plan.next}`]),
  ];
}

function stepLine(step: StepView): string {
  const seconds = step.seconds === undefined ? "-" : step.seconds.toFixed(1);
  return `${step.status.padEnd(8)} ${seconds.padStart(8)}  ${step.name}`;
}

function detailLines(step: StepView): readonly string[] {
  if (step.status === "done") return [];
  const agents = step.agents
    .slice(0, AGENTS_SHOWN)
    .map((agent) => `agent ${agent.hostname}: ${agent.reasons.map(reasonText).join("; ") || "no reason given"}`);
  const more = refusedCount(step) - agents.length;
  const lines = [...step.waitsFor.map((reason) => `waits for ${reasonText(reason)}`), ...agents];
  if (more > 0) lines.push(`and ${countText(more)} more; in all:`, ...sumLines(step));
  return lines.map((line) => `${" ".repeat(21)}${line}`);
}

function sumLines({ refused }: StepView): readonly string[] {
  return (refused?.reasons ?? []).map((reason) => `${countText(reason.agents)}: ${reasonText(reason)}`);
}

/** How many agents will not do for the step. */
function refusedCount(step: StepView): number {
  return step.refused?.agents ?? step.agents.length;
}

function countText(agents: number): string {
  return `${agents} ${agents === 1 ? "agent" : "agents"}`;
}

/** How the plan ended or stands, in one sentence. */
export function planSummary(plan: PlanView): string {
  const what = `Plan ${plan.id} (${plan.kind} of cluster "${plan.cluster}")`;
  if (plan.status === "running") return `${what} goes on: ${doneText(plan)}${firstWait(plan)}`;
  if (plan.ended === undefined) return `${what} is ${plan.status}`;
  const seconds = (Date.parse(plan.ended) - Date.parse(plan.created)) / 1000;
  const next = plan.next === undefined ? "" : `; ${plan.next}`;
  return `${what} is ${plan.status} after ${seconds.toFixed(1)} s${next}`;
}

function firstWait(plan: PlanView): string {
  const open = plan.steps.find((step) => step.status !== "done");
  const text = open === undefined ? undefined : waitText(open);
  return open === undefined || text === undefined ? "" : `, "${open.name}" waits for ${text}`;
}

function doneText(plan: PlanView): string {
  return `${plan.steps.filter((step) => step.status === "done").length} of ${plan.steps.length} steps done`;
}

/**
 * Lines for what has happened between two looks at one plan: steps begun and done with their seconds, and what the first
 * unfinished ones wait for, when that has changed or the step has gone on for another while. `before` is undefined at the
 * first look.
 */
export function planProgress(before: PlanView | undefined, after: PlanView): readonly string[] {
  const lines: string[] = [];
  if (before === undefined)
    lines.push(`plan   ${after.id}: ${after.kind} of cluster ${after.cluster}, ${doneText(after)}`);
  let open = 0;
  for (const [index, step] of after.steps.entries()) {
    const old = before?.steps[index];
    const changed = step.status !== (old?.status ?? "pending");
    if (step.status === "done") {
      // What was over before the first look is counted above.
      if (changed && before !== undefined) lines.push(`done   ${step.name}${inText(step)}`);
      continue;
    }
    open += 1;
    if (changed) lines.push(`begun  ${step.name}`);
    if (open > OPEN_STEPS_SHOWN) continue;
    const wait = waitText(step);
    const anew = wait !== (old === undefined ? undefined : waitText(old));
    const still = stretch(step) > (old === undefined ? 0 : stretch(old));
    if (wait !== undefined && (anew || still))
      lines.push(`waits  ${step.name}${forText(step)}: ${wait}${agentsText(after, step)}`);
    else if (still) lines.push(`runs   ${step.name}${forText(step)}`);
  }
  return lines;
}

function waitText(step: StepView): string | undefined {
  return step.waitsFor.length === 0 ? undefined : step.waitsFor.map(reasonText).join("; ");
}

function agentsText(plan: PlanView, step: StepView): string {
  const count = refusedCount(step);
  if (count === 0) return "";
  return ` (${countText(count)} ${count === 1 ? "says" : "say"} why: plan show ${plan.id})`;
}

/** The stretch of STILL_SECONDS that the step is in, from 0. */
function stretch(step: StepView): number {
  return Math.floor((step.seconds ?? 0) / STILL_SECONDS);
}

function inText(step: StepView): string {
  return step.seconds === undefined ? "" : ` in ${step.seconds.toFixed(1)} s`;
}

function forText(step: StepView): string {
  return step.seconds === undefined || step.seconds < 1 ? "" : ` for ${Math.floor(step.seconds)} s`;
}
