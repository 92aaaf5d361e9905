// Numbers that are given out once: those of launches and of plans, which are parts of ids. A record has an upper bound of
// those that were ever used, raised by a block at a time, so that few writes are about numbers; who starts skips what was left.
import type { Draft } from "./draft.ts";

const LAUNCHES_A_BLOCK = 100;
const PLANS_A_BLOCK = 10;

/** Marks the number of the launch that is being made, `State.nextLaunch`, as used. */
export function countLaunch(draft: Draft): void {
  const { nextLaunch, framework } = draft.state;
  if (nextLaunch >= framework.launches) draft.putFramework({ ...framework, launches: nextLaunch + LAUNCHES_A_BLOCK });
  draft.set({ nextLaunch: nextLaunch + 1 });
}

/** The number of the cluster's next plan. */
export function takePlanNumber(draft: Draft, cluster: string): number {
  const record = draft.state.clusters.get(cluster)?.record;
  if (record === undefined) throw new Error(`Cannot number a plan: cluster "${cluster}" is unknown`);
  const number = draft.state.nextPlans.get(cluster) ?? record.nextPlan;
  if (number >= record.nextPlan) draft.putCluster({ ...record, nextPlan: number + PLANS_A_BLOCK });
  draft.set({ nextPlans: new Map(draft.state.nextPlans).set(cluster, number + 1) });
  return number;
}
