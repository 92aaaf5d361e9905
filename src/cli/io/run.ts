// Carries a Request out: asks the API, prints what it answers.
import type * as Shapes from "../../databases/api.ts";
import type { PlanView } from "../../databases/api.ts";
import type { InputFile } from "../cluster-body.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Page } from "../page.ts";
import { planPage, planSummary } from "../plan-text.ts";
import type { Request, Task, View } from "../request.ts";
import { clusterPage, clustersPage, endpointsPage, nodePage, nodesPage, plansPage, valuePage } from "../tables.ts";
import { followCluster, followPlan } from "./follow.ts";
import { type Answer, ask, readAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

type TaskOf<Type extends Task["type"]> = Extract<Task, { readonly type: Type }>;

/** Does what was asked for and returns the exit code; throws a Failure if it comes to none of it. */
export async function carryOut(request: Request, terminal: Terminal): Promise<number> {
  const { task } = request;
  switch (task.type) {
    case "show":
      return await showView(request, task, terminal);
    case "create":
      return await create(request, task, terminal);
    case "destroy":
      return await destroy(request, task, terminal);
    case "waitForService":
      return await waitForService(request, task, terminal);
    case "follow":
      return await followToEnd(request, task.plan, task.timeoutMs, terminal, planPage);
  }
}

async function showView(request: Request, task: TaskOf<"show">, terminal: Terminal): Promise<number> {
  // The shapes bring zod: they are loaded while the answer is on its way, and not at all for plain JSON.
  const [answer, shapes] = await Promise.all([
    ask({ url: request.url, method: "GET", path: task.path }),
    request.json ? undefined : import("../../databases/api.ts"),
  ]);
  terminal.out(shapes === undefined ? answer.text : pageText(viewPage(shapes, task.view, answer)));
  return EXIT.ok;
}

function viewPage(api: typeof Shapes, view: View, answer: Answer): Page {
  switch (view) {
    case "clusters":
      return clustersPage(readAnswer(api.ClustersViewSchema, answer).clusters);
    case "cluster":
      return clusterPage(readAnswer(api.ClusterViewSchema, answer));
    case "endpoints":
      return endpointsPage(readAnswer(api.EndpointsViewSchema, answer));
    case "nodes":
      return nodesPage(readAnswer(api.NodesViewSchema, answer).nodes);
    case "node":
      return nodePage(readAnswer(api.NodeViewSchema, answer));
    case "read":
      return readPage(readAnswer(api.NodeReadSchema, answer));
    case "plans":
      return plansPage(readAnswer(api.PlansViewSchema, answer).plans);
    case "plan":
      return planPage(readAnswer(api.PlanViewSchema, answer));
  }
}

/** What the node answered, or a Failure if it could not. */
function readPage(view: {
  readonly node: string;
  readonly read: string;
  readonly status: number;
  readonly answer: unknown;
}): Page {
  const { node, read, status, answer } = view;
  if (status >= 200 && status < 300) return valuePage(answer);
  throw new Failure(
    "refused",
    `Cannot read "${read}" of node "${node}": found status ${status} ${JSON.stringify(answer)}, wanted 200`,
  );
}

async function create(request: Request, task: TaskOf<"create">, terminal: Terminal): Promise<number> {
  // Loaded only here: it brings the YAML reader.
  const { clusterBody } = await import("../cluster-body.ts");
  const file = async (name: string): Promise<InputFile> => ({ name, text: await terminal.read(name) });
  const base = task.file === undefined ? undefined : await file(task.file);
  const body = clusterBody(task.flags, base, await Promise.all(task.settingFiles.map(file)));
  const answer = await ask({ url: request.url, method: "POST", path: "/api/v1/clusters", body });
  return await accepted(request, answer, "created", task.waitMs, terminal);
}

async function destroy(request: Request, task: TaskOf<"destroy">, terminal: Terminal): Promise<number> {
  const path = `/api/v1/clusters/${encodeURIComponent(task.cluster)}`;
  if (!task.yes) await confirm(request.url, path, task.cluster, terminal);
  const answer = await ask({ url: request.url, method: "DELETE", path });
  return await accepted(request, answer, "destroyed", task.waitMs, terminal);
}

/** Returns only if a person has typed the cluster's name. */
async function confirm(url: string, path: string, name: string, terminal: Terminal): Promise<void> {
  const action = `Cannot destroy cluster "${name}" and its data`;
  if (!terminal.attended) throw new Failure("usage", `${action} unasked: found no terminal to ask at, wanted --yes`);
  const { ClusterViewSchema } = await import("../../databases/api.ts");
  const cluster = readAnswer(ClusterViewSchema, await ask({ url, method: "GET", path }));
  const nodes = cluster.nodesWanted === 1 ? "1 node" : `${cluster.nodesWanted} nodes`;
  const question = `This destroys ${nodes} of ${cluster.database} cluster "${name}" and all their data.\nType the cluster's name to go on: `;
  const answer = await terminal.ask(question);
  if (answer !== name) throw new Failure("refused", `${action}: found the answer "${answer}", wanted "${name}"`);
}

/** Tells of the plan that an accepted command became, and follows it if wanted. */
async function accepted(
  request: Request,
  answer: Answer,
  done: "created" | "destroyed",
  waitMs: number | undefined,
  terminal: Terminal,
): Promise<number> {
  if (request.json && waitMs === undefined) {
    terminal.out(answer.text);
    return EXIT.ok;
  }
  const { AcceptedSchema } = await import("../../databases/api.ts");
  const { cluster, plan } = readAnswer(AcceptedSchema, answer);
  const line = `Cluster "${cluster}" is being ${done} by plan ${plan}`;
  if (waitMs === undefined) {
    terminal.out(pageText([line, `Follow it: ${request.program} plan show ${plan} --follow`]));
    return EXIT.ok;
  }
  terminal.err(pageText([`${line}; Ctrl-C ends the waiting, not the plan`]));
  const page = (view: PlanView): Page => (view.status === "done" ? [planSummary(view)] : planPage(view));
  return await followToEnd(request, plan, waitMs, terminal, page);
}

/** Follows a plan and shows how it stands at the end. */
async function followToEnd(
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

async function waitForService(request: Request, task: TaskOf<"waitForService">, terminal: Terminal): Promise<number> {
  const { view, text, over } = await followCluster(terminal, request.url, task.cluster, task.timeoutMs);
  if (request.json) terminal.out(text);
  const summary = `${view.nodesRunning} of ${view.nodesWanted} nodes run`;
  if (view.status === "running") {
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

function waited(timeoutMs: number): string {
  return `Waited ${timeoutMs / 1000} s`;
}
