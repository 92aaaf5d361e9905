// Gathers what the doctor compares: the state, the store's endpoints, the master's word, and what the databases say of their rings.
import { lookAtMesos } from "../../mesos/io/operator-api.ts";
import type { Credential } from "../../mesos/leader.ts";
import type { Store } from "../../store/store.ts";
import { diagnose } from "../doctor.ts";
import type { Evidence, Finding } from "../findings.ts";
import { databaseOf, nodesInOrder } from "../members.ts";
import type { ClusterState, State } from "../state.ts";
import { askExecutor } from "./node-api.ts";

/** Nodes of a cluster that are asked about its ring, one after the other, until one answers. */
const ASKED_MAX = 3;
/** How long each may take: who asks the doctor waits for a minute at most. */
const ASK_MS = 15_000;

export type ExamineOptions = {
  readonly state: State;
  readonly store: Store;
  /** The master's URL while there is a subscription. */
  readonly master: string | undefined;
  readonly credential: Credential | undefined;
};

/** Everything that does not fit together at this moment. */
export async function examine({ state, store, master, credential }: ExamineOptions): Promise<readonly Finding[]> {
  const clusters = [...state.clusters.values()].filter(({ record }) => record.goal === "running");
  const [mesos, endpoints, rings] = await Promise.all([
    lookAt(master, credential),
    store.list("endpoints"),
    Promise.all(clusters.map(async (cluster) => [cluster.record.spec.name, await ringOf(state, cluster)] as const)),
  ]);
  return diagnose({
    nowMs: Date.now(),
    state,
    mesos,
    endpoints: [...endpoints.keys()],
    rings: new Map(rings.flatMap(([name, ring]) => (ring === undefined ? [] : [[name, ring] as const]))),
  });
}

async function lookAt(master: string | undefined, credential: Credential | undefined): Promise<Evidence["mesos"]> {
  if (master === undefined) return { error: "there is no subscription with a master" };
  return await lookAtMesos(master, credential).catch((error: unknown) => ({
    error: error instanceof Error ? error.message : String(error),
  }));
}

type Ring = NonNullable<ReturnType<Evidence["rings"]["get"]>>;

/** Undefined: no node of the cluster runs that could tell. */
async function ringOf(state: State, cluster: ClusterState): Promise<Ring | undefined> {
  const running = nodesInOrder(cluster).filter(
    ({ phase, joined, healthy }) => phase === "running" && joined && healthy,
  );
  let error: string | undefined;
  for (const node of running.slice(0, ASKED_MAX)) {
    const answer = await askExecutor(node, "read/status", state.framework.token, ASK_MS);
    if ("error" in answer) {
      error = answer.error;
      continue;
    }
    const names = databaseOf(cluster).ringNames(
      answer.answer as Parameters<ReturnType<typeof databaseOf>["ringNames"]>[0],
    );
    if (names !== undefined) return { names };
    error = `node "${node.id}" answered ${JSON.stringify(answer.answer).slice(0, 200)}`;
  }
  return error === undefined ? undefined : { error };
}
