// Looks at a plan or a cluster again and again, and tells what has changed.
import type { ClusterView, PlanView } from "../../databases/api.ts";
import { Failure } from "../failure.ts";
import { planProgress } from "../plan-text.ts";
import { type Answer, ask, readAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

/** Between two looks. */
const LOOK_MS = 500;

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

/** Waits until all nodes of a cluster run, and tells on stderr how many do. */
export async function followCluster(
  terminal: Terminal,
  url: string,
  cluster: string,
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
    return { view, over: view.status === "running" || view.status === "removing" };
  });
}

async function follow<View>(
  terminal: Terminal,
  url: string,
  path: string,
  waitMs: number,
  look: (answer: Answer) => { readonly view: View; readonly over: boolean },
): Promise<Followed<View>> {
  const endMs = performance.now() + waitMs;
  let last: Followed<View> | undefined;
  let awaySinceMs: number | undefined;
  for (;;) {
    const timeoutMs = Math.max(SHORTEST_ANSWER_MS, endMs - performance.now());
    try {
      const answer = await ask({ url, method: "GET", path, timeoutMs });
      if (awaySinceMs !== undefined) terminal.err("the scheduler is back");
      awaySinceMs = undefined;
      last = { ...look(answer), text: answer.text };
    } catch (error) {
      const nowMs = performance.now();
      // A scheduler that has never answered is not waited for: its URL may be wrong.
      if (!isAway(error) || last === undefined || nowMs - (awaySinceMs ?? nowMs) > AWAY_MS) throw error;
      if (awaySinceMs === undefined) terminal.err(`the scheduler is away, trying again: ${error.message}`);
      awaySinceMs ??= nowMs;
    }
    const nowMs = performance.now();
    if (last !== undefined && (last.over || nowMs >= endMs)) return last;
    await Bun.sleep(Math.min(LOOK_MS, Math.max(1, endMs - nowMs)));
  }
}

/** Whether the scheduler is only not there at the moment. */
function isAway(error: unknown): error is Failure {
  if (!(error instanceof Failure)) return false;
  return error.kind === "unreachable" || (error.status !== undefined && error.status >= 502 && error.status <= 504);
}
