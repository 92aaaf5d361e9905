// Carries a Request out: asks the API, prints what it answers.
import type * as Shapes from "../../databases/api.ts";
import { EXIT, Failure } from "../failure.ts";
import { frameworkPage } from "../framework-page.ts";
import type { Page } from "../page.ts";
import { planPage } from "../plan-text.ts";
import type { Request, TaskOf, View } from "../request.ts";
import { clusterPage, clustersPage, endpointsPage, nodePage, nodesPage, plansPage, valuePage } from "../tables.ts";
import { backup, restore } from "./backup.ts";
import { abort, changeBucketType, create, destroy, post, removeNode, update, writeConfig } from "./change.ts";
import { configureDirector, readDirector, showLocal } from "./director.ts";
import { examine } from "./doctor.ts";
import { findPath } from "./find.ts";
import { register, uninstall } from "./framework.ts";
import { type Answer, ask, askText, readAnswer, readNodeAnswer } from "./http.ts";
import {
  appEndpoints,
  makeApp,
  removeApp,
  schedulerEndpoints,
  showApp,
  waitForApp,
  waitForScheduler,
} from "./marathon.ts";
import { pageText, type Terminal } from "./terminal.ts";
import { waitForNode, waitForPlan, waitForService, waitForTransfers } from "./wait.ts";

/** Does what was asked for and returns the exit code; throws a Failure if it comes to none of it. */
export async function carryOut(request: Request, terminal: Terminal): Promise<number> {
  const { task } = request;
  switch (task.type) {
    case "show":
      return await showView(request, task, terminal);
    case "create":
      return await create(request, task, terminal);
    case "update":
      return await update(request, task, terminal);
    case "destroy":
      return await destroy(request, task, terminal);
    case "removeNode":
      return await removeNode(request, task, terminal);
    case "post":
      return await post(request, task, terminal);
    case "bucketType":
      return await changeBucketType(request, task, terminal);
    case "doctor":
      return await examine(request, task, terminal);
    case "register":
      return await register(request, terminal);
    case "uninstall":
      return await uninstall(request, task, terminal);
    case "abort":
      return await abort(request, task, terminal);
    case "readConfig":
      return await readConfig(request, task, terminal);
    case "writeConfig":
      return await writeConfig(request, task, terminal);
    case "backup":
      return await backup(request, task, terminal);
    case "restore":
      return await restore(request, task, terminal);
    case "waitForService":
      return await waitForService(request, task, terminal);
    case "waitForNode":
      return await waitForNode(request, task, terminal);
    case "waitForTransfers":
      return await waitForTransfers(request, task, terminal);
    case "directorRead":
      return await readDirector(request, task, terminal);
    case "directorConfigure":
      return await configureDirector(request, task, terminal);
    case "app":
      return await makeApp(request, task, terminal);
    case "appShow":
      return await showApp(request, task, terminal);
    case "appRemove":
      return await removeApp(request, task, terminal);
    case "appWait":
      return await waitForApp(request, task, terminal);
    case "appEndpoints":
      return await appEndpoints(request, task, terminal);
    case "waitForScheduler":
      return await waitForScheduler(request, task, terminal);
    case "schedulerEndpoints":
      return await schedulerEndpoints(request, task, terminal);
    case "local":
      return showLocal(request, terminal);
    case "follow":
      return await waitForPlan(request, task.plan, task.timeoutMs, terminal, planPage);
  }
}

async function showView(request: Request, task: TaskOf<"show">, terminal: Terminal): Promise<number> {
  // The shapes bring zod: they are loaded while the answer is on its way, and not at all for plain JSON.
  const path = await findPath(request.url, task.path);
  // A node's answer is read all the same: it may be an error.
  const isPlain = request.json && task.view !== "read";
  const [answer, shapes] = await Promise.all([
    ask({ url: request.url, method: "GET", path }),
    isPlain ? undefined : import("../../databases/api.ts"),
  ]);
  const page = shapes === undefined ? [] : viewPage(shapes, task.view, answer);
  terminal.out(request.json ? answer.text : pageText(page));
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
      return readPage(readNodeAnswer(readAnswer(api.NodeReadSchema, answer), answer.text));
    case "plans":
      return plansPage(readAnswer(api.PlansViewSchema, answer).plans);
    case "value":
      return valuePage(answer.json);
    case "framework":
      return frameworkPage(readAnswer(api.FrameworkViewSchema, answer));
    case "plan":
      return planPage(readAnswer(api.PlanViewSchema, answer));
  }
}

function readPage(answer: unknown): Page {
  return typeof answer === "string" ? linesOf(answer) : valuePage(answer);
}

/** A text of the node's, such as the end of a log. */
function linesOf(text: string): Page {
  return text.replace(/\n$/, "").split("\n");
}

async function readConfig({ url, json }: Request, task: TaskOf<"readConfig">, terminal: Terminal): Promise<number> {
  const { cluster, setting, path } = task.config;
  let text: string;
  try {
    text = await askText({ url, method: "GET", path });
  } catch (error) {
    if (!(error instanceof Failure) || error.status !== 404) throw error;
    // Is it the setting that is not there, or the cluster? If the latter, this is refused as well, and says so.
    await ask({ url, method: "GET", path: `/api/v1/clusters/${encodeURIComponent(cluster)}` });
    const { answer } = error;
    throw new Failure("refused", `No ${setting} set for cluster "${cluster}"`, {
      status: 404,
      ...(answer === undefined ? {} : { answer }),
    });
  }
  // As it is, to the byte but for the line's end that printing adds: it goes into a file.
  terminal.out(json ? JSON.stringify(text) : text.replace(/\n$/, ""));
  return EXIT.ok;
}
