// Gives Marathon applications, looks at them there, and finds a scheduler among their tasks.
import { EXIT, Failure } from "../failure.ts";
import { DATABASES, marathonApp } from "../marathon.ts";
import type { AtMarathon, Request, TaskOf } from "../request.ts";
import { valuePage } from "../tables.ts";
import { ask, readAnswer, type Server } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

const MARATHON: Server = { name: "Marathon", hint: "--marathon or RINGMASTER_MARATHON" };
/** Between two looks. */
const LOOK_MS = 1000;
/** How long a scheduler may take to say that it is there. */
const ALIVE_MS = 5000;

/** What of Marathon's answer is looked at; all of it may be missing. */
type App = {
  readonly portDefinitions?: readonly { readonly name?: string }[];
  readonly tasksHealthy?: number;
  readonly tasks?: readonly { readonly host?: string; readonly ports?: readonly number[]; readonly state?: string }[];
};

/** What Marathon adds to an application that it was given. */
const MARATHONS_OWN: readonly string[] = [
  ...["version", "versionInfo", "deployments", "readinessCheckResults", "lastTaskFailure", "taskStats"],
  ...["tasks", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"],
];

export async function makeApp(request: Request, task: TaskOf<"app">, terminal: Terminal): Promise<number> {
  const { app, marathon: url } = task;
  const made = marathonApp(app, request.url, app.mode === "director" ? await databaseOf(request, app) : "");
  if (url === undefined) {
    terminal.out(JSON.stringify(made, undefined, 2));
    return EXIT.ok;
  }
  const answer = await ask({ url, method: "POST", path: "/v2/apps", body: made, server: MARATHON });
  terminal.out(request.json ? answer.text : `Marathon runs application "${String(made["id"])}"`);
  return EXIT.ok;
}

async function databaseOf(
  { url }: Request,
  { cluster, database }: { readonly cluster: string; readonly database?: string },
): Promise<string> {
  if (database !== undefined) return database;
  const { ClusterViewSchema } = await import("../../databases/api.ts");
  const path = `/api/v1/clusters/${encodeURIComponent(cluster)}`;
  const found = readAnswer(ClusterViewSchema, await ask({ url, method: "GET", path })).database;
  if (DATABASES.includes(found)) return found;
  const wanted = DATABASES.join(" or ");
  throw new Failure(
    "refused",
    `Cannot run a director of cluster "${cluster}": found database "${found}", wanted ${wanted}`,
  );
}

async function appOf({ marathon: url, id }: AtMarathon, timeoutMs?: number): Promise<App> {
  const path = `/v2/apps/${encodeURIComponent(id)}`;
  const late = timeoutMs === undefined ? {} : { timeoutMs };
  const { json } = await ask({ url, method: "GET", path, server: MARATHON, ...late });
  const { app } = (json ?? {}) as { readonly app?: App };
  if (app === undefined)
    throw new Failure("refused", `Cannot understand Marathon's answer to GET ${path}: found no "app"`);
  return app;
}

export async function showApp(request: Request, task: TaskOf<"appShow">, terminal: Terminal): Promise<number> {
  const app = await appOf(task);
  if (task.as === "settings") {
    const given = Object.entries(app).filter(([key]) => !MARATHONS_OWN.includes(key));
    terminal.out(JSON.stringify(Object.fromEntries(given), undefined, 2));
  } else terminal.out(request.json ? JSON.stringify(app) : pageText(valuePage(app)));
  return EXIT.ok;
}

export async function removeApp(
  { json }: Request,
  { marathon: url, id }: TaskOf<"appRemove">,
  terminal: Terminal,
): Promise<number> {
  const answer = await ask({ url, method: "DELETE", path: `/v2/apps/${encodeURIComponent(id)}`, server: MARATHON });
  terminal.out(json ? answer.text : `Application "${id}" is taken out of Marathon`);
  return EXIT.ok;
}

export async function waitForApp(request: Request, task: TaskOf<"appWait">, terminal: Terminal): Promise<number> {
  const healthy = await wait(task.timeoutMs, async (leftMs) => {
    const { tasksHealthy = 0 } = await appOf(task, leftMs);
    return tasksHealthy > 0 ? tasksHealthy : undefined;
  });
  if (healthy === undefined)
    throw new Failure("timeout", `Waited ${task.timeoutMs / 1000} s. Application "${task.id}" has no healthy task`);
  terminal.out(request.json ? JSON.stringify({ healthy }) : `Application "${task.id}" is ready: ${healthy} healthy`);
  return EXIT.ok;
}

/** In the original's words, as far as there are listeners for them. */
const PORT_WORDS: Readonly<Record<string, string>> = { http: "riak_http", pb: "riak_pb", admin: "director_http" };

export async function appEndpoints(
  request: Request,
  task: TaskOf<"appEndpoints">,
  terminal: Terminal,
): Promise<number> {
  const { portDefinitions = [], tasks = [] } = await appOf(task);
  const addresses = portDefinitions.map(({ name = "" }, index): readonly [string, string] => {
    const found = tasks.flatMap(({ host, ports }) =>
      host === undefined || ports?.[index] === undefined ? [] : [`${host}:${ports[index]}`],
    );
    return [PORT_WORDS[name] ?? name, found.join(",")];
  });
  const view = { ...task.about, ...Object.fromEntries(addresses) };
  terminal.out(request.json ? JSON.stringify(view) : pageText(valuePage(view)));
  return EXIT.ok;
}

/** The URL of a scheduler that answers; undefined: none does. */
async function aliveScheduler(request: Request, at: AtMarathon | undefined): Promise<string | undefined> {
  const urls = at === undefined ? [request.url] : await urlsAt(at);
  for (const url of urls) {
    const alive = await ask({ url, method: "GET", path: "/healthcheck", timeoutMs: ALIVE_MS }).catch(
      (error: unknown) => {
        if (error instanceof Failure) return undefined;
        throw error;
      },
    );
    if (alive !== undefined) return url;
  }
  return undefined;
}

async function urlsAt(at: AtMarathon): Promise<readonly string[]> {
  const { tasks = [] } = await appOf(at);
  return tasks.flatMap(({ host, ports, state = "TASK_RUNNING" }) =>
    host === undefined || ports?.[0] === undefined || state !== "TASK_RUNNING" ? [] : [`http://${host}:${ports[0]}`],
  );
}

export async function waitForScheduler(
  request: Request,
  task: TaskOf<"waitForScheduler">,
  terminal: Terminal,
): Promise<number> {
  const url = await wait(task.timeoutMs, async () => await aliveScheduler(request, task.at));
  if (url === undefined)
    throw new Failure(
      "timeout",
      `Waited ${task.timeoutMs / 1000} s. No scheduler answers at ${placeText(request, task.at)}`,
    );
  terminal.out(request.json ? JSON.stringify({ url }) : `The scheduler is ready at ${url}`);
  return EXIT.ok;
}

export async function schedulerEndpoints(
  request: Request,
  task: TaskOf<"schedulerEndpoints">,
  terminal: Terminal,
): Promise<number> {
  const url = await aliveScheduler(request, task.at);
  if (url === undefined)
    throw new Failure(
      "unreachable",
      `Cannot find the scheduler: found nobody who answers at ${placeText(request, task.at)}`,
    );
  terminal.out(request.json ? JSON.stringify({ url }) : `Framework HTTP API: ${url}`);
  return EXIT.ok;
}

function placeText({ url }: Request, at: AtMarathon | undefined): string {
  return at === undefined ? url : `a task of application "${at.id}" at ${at.marathon}`;
}

/** Looks until there is something, or time runs out. What is refused or away now may be there soon. */
async function wait<Found>(
  timeoutMs: number,
  look: (leftMs: number) => Promise<Found | undefined>,
): Promise<Found | undefined> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const leftMs = endMs - performance.now();
    const found = await look(Math.max(LOOK_MS, leftMs)).catch((error: unknown) => {
      if (error instanceof Failure && (error.kind === "unreachable" || error.status === 404)) return undefined;
      throw error;
    });
    if (found !== undefined || leftMs <= LOOK_MS) return found;
    await Bun.sleep(LOOK_MS);
  }
}
