// Carries out what changes something: sends it, asks a person first where data goes, tells of the plan that does it.
import type { PlanView } from "../../databases/api.ts";
import { bucketTypeRefusal } from "../bucket-types.ts";
import type { InputFile, SettingTexts } from "../cluster-body.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Page } from "../page.ts";
import { planPage, planSummary } from "../plan-text.ts";
import type { Request, SettingFiles, TaskOf } from "../request.ts";
import { findPath } from "./find.ts";
import { type Answer, ask, readAnswer, readNodeAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";
import { waitForPlan } from "./wait.ts";

export async function create(request: Request, task: TaskOf<"create">, terminal: Terminal): Promise<number> {
  // Loaded only here and below: it brings the YAML reader.
  const { clusterBody } = await import("../cluster-body.ts");
  const base = task.file === undefined ? undefined : await inputFile(terminal, task.file);
  const body = clusterBody(task.flags, base, await settingTexts(terminal, task.settingFiles));
  const answer = await ask({ url: request.url, method: "POST", path: "/api/v1/clusters", body });
  return await accepted(request, answer, (cluster) => `Cluster "${cluster}" is being created`, task.waitMs, terminal);
}

export async function update(request: Request, task: TaskOf<"update">, terminal: Terminal): Promise<number> {
  const { cluster, flags, waitMs } = task;
  const { url } = request;
  const path = clusterPath(cluster);
  const files = await settingTexts(terminal, task.settingFiles);
  const [{ clusterChange }, { ClusterViewSchema }] = await Promise.all([
    import("../cluster-body.ts"),
    import("../../databases/api.ts"),
  ]);
  const { spec } = readAnswer(ClusterViewSchema, await ask({ url, method: "GET", path }));
  const answer = await ask({ url, method: "PATCH", path, body: clusterChange(flags, files, spec) });
  return await accepted(request, answer, () => `Cluster "${cluster}" is being changed`, waitMs, terminal);
}

async function inputFile(terminal: Terminal, name: string): Promise<InputFile> {
  return { name, text: await terminal.read(name) };
}

async function settingTexts(terminal: Terminal, { trees, texts }: SettingFiles): Promise<SettingTexts> {
  const read = Object.entries(texts).map(
    async ([setting, file]) => [setting, await settingText(terminal, file)] as const,
  );
  return {
    trees: await Promise.all(trees.map((name) => inputFile(terminal, name))),
    texts: Object.fromEntries(await Promise.all(read)),
  };
}

/** A file that is one setting. */
async function settingText(terminal: Terminal, file: string): Promise<string> {
  const text = await terminal.read(file);
  if (text.trim() !== "") return text;
  throw new Failure("usage", `Cannot read "${file}": found nothing in it, wanted the setting's text`);
}

export async function writeConfig(
  request: Request,
  { config, file, waitMs }: TaskOf<"writeConfig">,
  terminal: Terminal,
): Promise<number> {
  const { cluster, setting, path } = config;
  const { url } = request;
  const answer =
    file === undefined
      ? await ask({ url, method: "DELETE", path })
      : await ask({ url, method: "PUT", path, text: await settingText(terminal, file) });
  const begun = `${setting} of cluster "${cluster}" is being ${file === undefined ? "taken away" : "changed"}`;
  return await accepted(request, answer, () => begun, waitMs, terminal);
}

export async function post(request: Request, task: TaskOf<"post">, terminal: Terminal): Promise<number> {
  const path = await findPath(request.url, task.path);
  const answer = await ask({ url: request.url, method: "POST", path, body: task.body });
  return await accepted(request, answer, () => task.begun, task.waitMs, terminal);
}

export async function changeBucketType(
  request: Request,
  task: TaskOf<"bucketType">,
  terminal: Terminal,
): Promise<number> {
  const { url } = request;
  const { NodeReadSchema } = await import("../../databases/api.ts");
  const answer = await ask({ url, method: "GET", path: await findPath(url, task.list) });
  const list = readNodeAnswer(readAnswer(NodeReadSchema, answer), answer.text);
  const refusal = bucketTypeRefusal(task.change, task.bucketType, list);
  if (refusal !== undefined) throw new Failure("refused", refusal);
  return await post(request, { ...task, type: "post" }, terminal);
}

export async function abort(request: Request, { plan }: TaskOf<"abort">, terminal: Terminal): Promise<number> {
  const path = `/api/v1/plans/${encodeURIComponent(plan)}/abort`;
  const answer = await ask({ url: request.url, method: "POST", path });
  terminal.out(request.json ? answer.text : pageText([`Plan ${plan} is aborted`]));
  return EXIT.ok;
}

export async function destroy(request: Request, task: TaskOf<"destroy">, terminal: Terminal): Promise<number> {
  const { cluster: name, yes, waitMs } = task;
  const { url } = request;
  const path = clusterPath(name);
  if (!yes) {
    await confirm(terminal, `destroy cluster "${name}" and its data`, "cluster's name", name, async () => {
      const { ClusterViewSchema } = await import("../../databases/api.ts");
      const cluster = readAnswer(ClusterViewSchema, await ask({ url, method: "GET", path }));
      const nodes = cluster.nodesWanted === 1 ? "1 node" : `${cluster.nodesWanted} nodes`;
      return `This destroys ${nodes} of ${cluster.database} cluster "${name}" and all their data.`;
    });
  }
  const answer = await ask({ url, method: "DELETE", path });
  return await accepted(request, answer, () => `Cluster "${name}" is being destroyed`, waitMs, terminal);
}

export async function removeNode(request: Request, task: TaskOf<"removeNode">, terminal: Terminal): Promise<number> {
  const { node, force, yes, waitMs } = task;
  const { url } = request;
  if (force && !yes) {
    await confirm(terminal, `remove node "${node}" by force`, "node's id", node, async () => {
      const { NodeViewSchema } = await import("../../databases/api.ts");
      const path = (await findPath(url, task.path)).replace(/\?.*$/, "");
      const { cluster, phase } = readAnswer(NodeViewSchema, await ask({ url, method: "GET", path }));
      return `Node "${node}" of cluster "${cluster}" is ${phase}. By force its data is destroyed, and not handed over first.`;
    });
  }
  const answer = await ask({ url, method: "DELETE", path: await findPath(url, task.path) });
  return await accepted(request, answer, () => `Node "${node}" is being removed`, waitMs, terminal);
}

function clusterPath(cluster: string): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}`;
}

/** Returns only if a person has typed the name, after a look at what is there. */
export async function confirm(
  terminal: Terminal,
  action: string,
  what: string,
  name: string,
  look: () => Promise<string>,
): Promise<void> {
  if (!terminal.attended)
    throw new Failure("usage", `Cannot ${action} unasked: found no terminal to ask at, wanted --yes`);
  const answer = await terminal.ask(`${await look()}\nType the ${what} to go on: `);
  if (answer !== name) throw new Failure("refused", `Cannot ${action}: found the answer "${answer}", wanted "${name}"`);
}

/** Tells of the plan that an accepted command became, and follows it if wanted. */
async function accepted(
  request: Request,
  answer: Answer,
  begun: (cluster: string) => string,
  waitMs: number | undefined,
  terminal: Terminal,
): Promise<number> {
  if (request.json && waitMs === undefined) {
    terminal.out(answer.text);
    return EXIT.ok;
  }
  const { AcceptedSchema } = await import("../../databases/api.ts");
  const { cluster, plan } = readAnswer(AcceptedSchema, answer);
  const line = `${begun(cluster)} by plan ${plan}`;
  if (waitMs === undefined) {
    terminal.out(pageText([line, `Follow it: ${request.program} plan show ${plan} --follow`]));
    return EXIT.ok;
  }
  terminal.err(pageText([`${line}; Ctrl-C ends the waiting, not the plan`]));
  const page = (view: PlanView): Page => (view.status === "done" ? [planSummary(view)] : planPage(view));
  return await waitForPlan(request, plan, waitMs, terminal, page);
}
