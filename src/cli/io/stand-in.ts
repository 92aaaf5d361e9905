// For tests of the commands: a stand-in for the scheduler that answers in the shapes of its API, and a terminal that keeps
// what is printed.
import {
  type Accepted,
  AcceptedSchema,
  type ClusterView,
  ClusterViewSchema,
  NodeReadSchema,
  NodesViewSchema,
  type NodeView,
  NodeViewSchema,
  type PlanView,
  PlanViewSchema,
  type Problem,
  ProblemSchema,
  type StepView,
} from "../../databases/api.ts";
import { main } from "../main.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** What was asked: method and path, and the body, JSON read. */
type Call = { readonly route: string; readonly body: unknown };

/** A server that answers each route with its answers in turn, the last one again and again, and notes what was asked. */
class SchedulerStandIn {
  readonly calls: Call[] = [];
  readonly #answers: Map<string, Response[]>;
  #server: Bun.Server<undefined>;

  constructor(answers: Readonly<Record<string, Response | readonly Response[]>>) {
    this.#answers = new Map(
      Object.entries(answers).map(([route, some]) => [route, some instanceof Response ? [some] : [...some]]),
    );
    this.#server = this.#serve(0);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  /** Goes away and comes back on its port; `during` runs in between. */
  async restart(during: () => Promise<void>): Promise<void> {
    const { port } = this.#server;
    await this.stop();
    await during();
    this.#server = this.#serve(port ?? 0);
  }

  #serve(port: number): Bun.Server<undefined> {
    return Bun.serve({
      port,
      hostname: "127.0.0.1",
      development: false,
      fetch: async (request) => await this.#answer(request),
    });
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const route = `${request.method} ${pathname}${search}`;
    const text = await request.text();
    const isText = request.headers.get("content-type") === "text/plain";
    this.calls.push({ route, body: isText ? text : text === "" ? undefined : JSON.parse(text) });
    const left = this.#answers.get(route);
    if (left === undefined) return problem(404, `Cannot find "${pathname}"`);
    const [next] = left.length > 1 ? left.splice(0, 1) : left;
    return (
      (next?.clone() as Response | undefined) ?? problem(500, `Cannot answer ${route}: the stand-in has no answers`)
    );
  }
}

const standIns: SchedulerStandIn[] = [];

/** To be called after each test. */
export async function stopStandIns(): Promise<void> {
  for (const standIn of standIns.splice(0)) await standIn.stop();
}

export function standIn(answers: Readonly<Record<string, Response | readonly Response[]>>): SchedulerStandIn {
  const made = new SchedulerStandIn(answers);
  standIns.push(made);
  return made;
}

export function problem(status: number, detail: string, faults: Problem["faults"] = []): Response {
  const body = ProblemSchema.parse({ type: "about:blank", title: "Refused", status, detail, faults });
  return Response.json(body, { status, headers: { "content-type": "application/problem+json" } });
}

type Ended = { readonly code: number; readonly out: string; readonly err: string };

/** Runs a command on a terminal that keeps what is printed. `onErr` hears every line of stderr as it comes. */
export async function run(
  scheduler: { readonly url: string },
  args: readonly string[],
  { answer, onErr = () => {} }: { readonly answer?: string; readonly onErr?: (line: string) => void } = {},
): Promise<Ended> {
  const printed = { out: "", err: "" };
  const terminal: Terminal = {
    env: { RINGMASTER_URL: scheduler.url },
    attended: answer !== undefined,
    out: (text) => void (printed.out += `${text}\n`),
    err: (text) => {
      printed.err += `${text}\n`;
      onErr(text);
    },
    // Asked where nobody is, it must not wait.
    ask: async (question) => {
      printed.err += `${question}\n`;
      return await Promise.resolve(answer ?? "");
    },
    read: async (file) => await processTerminal.read(file),
    write: async (file, text) => await processTerminal.write(file, text),
  };
  const code = await main(args, terminal);
  return { code, ...printed };
}

const CREATED = "2026-01-02T03:04:05.000Z";

const NODE: NodeView = {
  id: "ringmaster-demo-1",
  cluster: "demo",
  phase: "running",
  since: CREATED,
  healthy: true,
  joined: true,
  hostname: "agent-1",
  ports: {},
  failures: 0,
};

export function clusterView(change: Partial<ClusterView> = {}): Response {
  const view: ClusterView = {
    name: "demo",
    database: "cassandra",
    version: "5.0.4",
    status: "running",
    created: CREATED,
    nodesWanted: 3,
    nodesRunning: 3,
    activePlans: [],
    spec: { nodes: 3 },
    ...change,
  };
  return Response.json(ClusterViewSchema.parse(view));
}

export function nodeView(change: Partial<NodeView> = {}): Response {
  return Response.json(NodeViewSchema.parse({ ...NODE, ...change }));
}

/** The nodes of a cluster, by their ids. */
export function nodesView(...ids: readonly string[]): Response {
  return Response.json(NodesViewSchema.parse({ nodes: ids.map((id) => ({ ...NODE, id })) }));
}

/** What a node answered. */
export function nodeRead(read: string, answer: unknown, status = 200): Response {
  return Response.json(NodeReadSchema.parse({ node: NODE.id, read, status, answer }));
}

export function planView(status: PlanView["status"], steps: readonly Partial<StepView>[], ended?: string): Response {
  const full = steps.map((step, index) => ({
    name: `start ringmaster-demo-${index + 1}`,
    type: "start",
    status: "pending",
    waitsFor: [],
    agents: [],
    ...step,
  }));
  const view = { id: "demo-deploy-1", kind: "deploy", cluster: "demo", status, created: CREATED, steps: full, ended };
  return Response.json(PlanViewSchema.parse(view));
}

export const ACCEPTED: Accepted = AcceptedSchema.parse({ cluster: "demo", plan: "demo-deploy-1" });
export const accepted = (): Response => Response.json(ACCEPTED, { status: 202 });
export const PLAN = "GET /api/v1/plans/demo-deploy-1";
