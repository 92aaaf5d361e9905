// Looks at a plan, a cluster or a node again and again, and tells what has changed.
import type { ClusterView, FrameworkView, NodeView, PlanView } from "../../databases/api.ts";
import { Failure } from "../failure.ts";
import { leftText } from "../framework-page.ts";
import { planProgress } from "../plan-text.ts";
import { readTransfers, type Transfers, transfersText } from "../transfers.ts";
import { type Answer, ask, readAnswer, readNodeAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

/** Between two looks. */
const LOOK_MS = 500;

/** Between two looks at a ring's transfers: each starts a command on the node's agent. */
const TRANSFERS_LOOK_MS = 1000;

/** Riak shows no transfers for moments between two batches, so that one quiet look says nothing yet. */
const QUIET_LOOKS = 3;

/** How long the scheduler may be away while something is followed: it restarts, or another one takes over. */
const AWAY_MS = 120_000;

/** What an answer may take when the time to wait is nearly over. */
const SHORTEST_ANSWER_MS = 2000;

/** What is followed, as it was seen last: `text` is the API's own JSON. `over` is false if time ran out. */
type Followed<View> = { readonly view: View; readonly text: string; readonly over: boolean };

/** Follows a plan until it is over, and tells on stderr what happens. */
export async function followPlan(
  terminal: Terminal,
  url: string,
  plan: string,
  timeoutMs: number,
): Promise<Followed<PlanView>> {
  const { PlanViewSchema } = await import("../../databases/api.ts");
  const path = `/api/v1/plans/${encodeURIComponent(plan)}`;
  let before: PlanView | undefined;
  return await follow(terminal, url, path, timeoutMs, (answer) => {
    const view = readAnswer(PlanViewSchema, answer);
    for (const line of planProgress(before, view)) terminal.err(pageText([line]));
    before = view;
    return { view, over: view.status !== "running" };
  });
}

/** Waits until all nodes of a cluster run, or so many, and tells on stderr how many do. */
export async function followCluster(
  terminal: Terminal,
  url: string,
  cluster: string,
  nodes: number | undefined,
  timeoutMs: number,
): Promise<Followed<ClusterView>> {
  const { ClusterViewSchema } = await import("../../databases/api.ts");
  const path = `/api/v1/clusters/${encodeURIComponent(cluster)}`;
  let before = "";
  return await follow(terminal, url, path, timeoutMs, (answer) => {
    const view = readAnswer(ClusterViewSchema, answer);
    const now = `cluster ${view.name} is ${view.status}: ${view.nodesRunning} of ${view.nodesWanted} nodes run`;
    if (now !== before) terminal.err(pageText([now]));
    before = now;
    return { view, over: isReady(view, nodes) || view.status === "removing" };
  });
}

/** Whether so many nodes of a cluster run; without a number, all that were asked for. */
export function isReady({ status, nodesRunning }: ClusterView, nodes: number | undefined): boolean {
  return nodes === undefined ? status === "running" : status !== "removing" && nodesRunning >= nodes;
}

/** Waits until the framework is uninstalled, or removed by others before, and tells on stderr what is left. */
export async function followFramework(
  terminal: Terminal,
  url: string,
  timeoutMs: number,
): Promise<Followed<FrameworkView>> {
  const { FrameworkViewSchema } = await import("../../databases/api.ts");
  let before = "";
  return await follow(terminal, url, "/api/v1/framework", timeoutMs, (answer) => {
    const view = readAnswer(FrameworkViewSchema, answer);
    const now = leftText(view);
    if (now !== before) terminal.err(pageText([now]));
    before = now;
    return { view, over: view.status === "uninstalled" || view.status === "removed" };
  });
}

/** Waits until a node runs and its probes are well, and tells on stderr how far it is. `path` is the node's. */
export async function followNode(
  terminal: Terminal,
  url: string,
  path: string,
  timeoutMs: number,
): Promise<Followed<NodeView>> {
  const { NodeViewSchema } = await import("../../databases/api.ts");
  let before = "";
  return await follow(terminal, url, path, timeoutMs, (answer) => {
    const view = readAnswer(NodeViewSchema, answer);
    const isNodeReady = view.phase === "running" && view.healthy;
    const now = `node ${view.id} is ${view.phase}${view.phase === "running" && !isNodeReady ? ", its probes fail" : ""}`;
    if (now !== before) terminal.err(pageText([now]));
    before = now;
    return { view, over: isNodeReady || view.phase === "releasing" };
  });
}

/** Waits until a node has said for some looks that its ring is quiet, and tells on stderr what goes on. `path` is the read's. */
export async function followTransfers(
  terminal: Terminal,
  url: string,
  path: string,
  node: string,
  timeoutMs: number,
): Promise<Followed<Transfers>> {
  const { NodeReadSchema } = await import("../../databases/api.ts");
  let before = "";
  let quiet = 0;
  const look = (answer: Answer): { readonly view: Transfers; readonly over: boolean } => {
    const view = readTransfers(readNodeAnswer(readAnswer(NodeReadSchema, answer), answer.text));
    if (view === undefined)
      throw new Failure(
        "refused",
        `Cannot wait for transfers: found none in the answer of node "${node}", wanted Riak's`,
      );
    const now = transfersText(view);
    if (now !== before) terminal.err(pageText([`node ${node} says: ${now}`]));
    before = now;
    quiet = view.waiting === 0 && view.active === 0 ? quiet + 1 : 0;
    return { view, over: quiet >= QUIET_LOOKS };
  };
  return await follow(terminal, url, path, timeoutMs, look, { who: `node ${node}`, lookMs: TRANSFERS_LOOK_MS });
}

async function follow<View>(
  terminal: Terminal,
  url: string,
  path: string,
  waitMs: number,
  look: (answer: Answer) => { readonly view: View; readonly over: boolean },
  { who = "the scheduler", lookMs = LOOK_MS }: { readonly who?: string; readonly lookMs?: number } = {},
): Promise<Followed<View>> {
  const endMs = performance.now() + waitMs;
  let last: Followed<View> | undefined;
  let awaySinceMs: number | undefined;
  for (;;) {
    const timeoutMs = Math.max(SHORTEST_ANSWER_MS, endMs - performance.now());
    try {
      const answer = await ask({ url, method: "GET", path, timeoutMs });
      last = { ...look(answer), text: answer.text };
      if (awaySinceMs !== undefined) terminal.err(`${who} is back`);
      awaySinceMs = undefined;
    } catch (error) {
      const nowMs = performance.now();
      // A scheduler that has never answered is not waited for: its URL may be wrong.
      if (!isAway(error) || last === undefined || nowMs - (awaySinceMs ?? nowMs) > AWAY_MS) throw error;
      if (awaySinceMs === undefined) terminal.err(`${who} is away, trying again: ${error.message}`);
      awaySinceMs ??= nowMs;
    }
    const nowMs = performance.now();
    if (last !== undefined && (last.over || nowMs >= endMs)) return last;
    await Bun.sleep(Math.min(lookMs, Math.max(1, endMs - nowMs)));
  }
}

/** Whether the scheduler, or the node that it asked, is only not there at the moment. */
function isAway(error: unknown): error is Failure {
  if (!(error instanceof Failure)) return false;
  return error.kind === "unreachable" || (error.status !== undefined && error.status >= 502 && error.status <= 504);
}
