// Waits for something to be as it shall be, and makes an exit code of how that went.
import type { NodeView, PlanView } from "../../databases/api.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Page } from "../page.ts";
import { planSummary } from "../plan-text.ts";
import type { Request, TaskOf } from "../request.ts";
import { transfersText } from "../transfers.ts";
import { findPath } from "./find.ts";
import { followCluster, followNode, followPlan, followTransfers, isReady } from "./follow.ts";
import { pageText, type Terminal } from "./terminal.ts";

/** Follows a plan and shows how it stands at the end. */
export async function waitForPlan(
  request: Request,
  plan: string,
  timeoutMs: number,
  terminal: Terminal,
  page: (plan: PlanView) => Page,
): Promise<number> {
  const { view, text, over } = await followPlan(terminal, request.url, plan, timeoutMs);
  terminal.out(request.json ? text : pageText(page(view)));
  if (view.status === "done") return EXIT.ok;
  const summary = planSummary(view);
  if (over) throw new Failure("refused", summary);
  throw new Failure(
    "timeout",
    `${waited(timeoutMs)}. ${summary}. Go on with: ${request.program} plan show ${plan} --follow`,
  );
}

export async function waitForService(
  request: Request,
  task: TaskOf<"waitForService">,
  terminal: Terminal,
): Promise<number> {
  const { view, text, over } = await followCluster(terminal, request.url, task.cluster, task.nodes, task.timeoutMs);
  if (request.json) terminal.out(text);
  const summary = `${view.nodesRunning} of ${view.nodesWanted} nodes run`;
  if (isReady(view, task.nodes)) {
    if (!request.json) terminal.out(`Cluster "${view.name}" is ready: ${summary}`);
    return EXIT.ok;
  }
  if (over)
    throw new Failure(
      "refused",
      `Cannot wait for cluster "${view.name}": found it ${view.status}, wanted it to be kept`,
    );
  const [plan] = view.activePlans;
  const hint = plan === undefined ? "" : `. What it waits for: ${request.program} plan show ${plan}`;
  throw new Failure(
    "timeout",
    `${waited(task.timeoutMs)}. Cluster "${view.name}" is ${view.status}: ${summary}${hint}`,
  );
}

export async function waitForNode(request: Request, task: TaskOf<"waitForNode">, terminal: Terminal): Promise<number> {
  const path = await findPath(request.url, task.path);
  const { view, text, over } = await followNode(terminal, request.url, path, task.timeoutMs);
  if (request.json) terminal.out(text);
  if (view.phase === "running" && over) {
    if (!request.json) terminal.out(pageText([`Node "${view.id}" is ready on ${view.hostname ?? "its agent"}`]));
    return EXIT.ok;
  }
  if (over)
    throw new Failure("refused", `Cannot wait for node "${view.id}": found it ${view.phase}, wanted it to be kept`);
  throw new Failure("timeout", `${waited(task.timeoutMs)}. Node "${view.id}" is ${view.phase}${failureText(view)}`);
}

function failureText({ healthy, phase, failures, lastFailure }: NodeView): string {
  if (phase === "running" && !healthy) return ", its probes fail";
  if (lastFailure === undefined || failures === 0) return "";
  return `, failures in a row: ${failures}, the last: ${lastFailure.message}`;
}

export async function waitForTransfers(
  request: Request,
  task: TaskOf<"waitForTransfers">,
  terminal: Terminal,
): Promise<number> {
  const path = await findPath(request.url, task.path);
  const { view, text, over } = await followTransfers(terminal, request.url, path, task.node, task.timeoutMs);
  if (request.json) terminal.out(text);
  if (over) {
    if (!request.json) terminal.out(`Node "${task.node}" says that no transfer waits and none is active`);
    return EXIT.ok;
  }
  throw new Failure("timeout", `${waited(task.timeoutMs)}. Node "${task.node}" says: ${transfersText(view)}`);
}

function waited(timeoutMs: number): string {
  return `Waited ${timeoutMs / 1000} s`;
}
