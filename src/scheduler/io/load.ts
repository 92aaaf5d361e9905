// Reads the scheduler's records at its start; the first start makes the framework's.
import { readRecord } from "../../store/records.ts";
import type { Lock, Store, Stored } from "../../store/store.ts";
import {
  SCHEMA,
  type ClusterRecord,
  type ClusterState,
  type FrameworkRecord,
  type LeftoverRecord,
  type MaintenanceRecord,
  type NodeRecord,
  type PlanRecord,
  type Records,
} from "../state.ts";

/** All records of a framework, for the scheduler that leads. Throws on one that a newer release wrote. */
export async function loadRecords(store: Store, lock: Lock, name: string): Promise<Records> {
  const framework = (await readFramework(store, name)) ?? (await makeFramework(store, lock, name));
  const { homeless, ...records } = await readFolders(store);
  if (homeless.length > 0)
    throw new Error(`Cannot start: nodes ${homeless.join(", ")} are of clusters that the store does not have`);
  return { framework, ...records };
}

/**
 * The records as a scheduler sees them that does not lead: they may change while they are read, so that a node or a cluster
 * may be missing. Undefined before the first scheduler has led.
 */
export async function readRecords(store: Store, name: string): Promise<Records | undefined> {
  const framework = await readFramework(store, name);
  if (framework === undefined) return undefined;
  const { homeless: _passing, ...records } = await readFolders(store);
  return { framework, ...records };
}

async function readFolders(
  store: Store,
): Promise<Omit<Records, "framework"> & { readonly homeless: readonly string[] }> {
  const nodes = await loadFolder<NodeRecord>(store, "nodes");
  const clusters = new Map<string, ClusterState>();
  const byCluster = Map.groupBy(nodes, ({ cluster }) => cluster);
  for (const record of await loadFolder<ClusterRecord>(store, "clusters")) {
    const mine = byCluster.get(record.spec.name) ?? [];
    clusters.set(record.spec.name, { record, nodes: new Map(mine.map((node) => [node.id, node])) });
  }
  const plans = await loadFolder<PlanRecord>(store, "plans");
  const leftovers = await loadFolder<LeftoverRecord>(store, "leftovers");
  const promises = await loadFolder<MaintenanceRecord>(store, "maintenance");
  return {
    clusters,
    plans: new Map(plans.map((plan) => [plan.id, plan])),
    leftovers: new Map(leftovers.map((leftover) => [leftover.place.reservation, leftover])),
    maintenance: new Map(
      promises.map(({ schema: _known, agentId, ...span }) => [
        agentId,
        { id: "", ...span, isAccepted: true, reasons: [], askedMs: Infinity },
      ]),
    ),
    homeless: nodes.filter(({ cluster }) => !clusters.has(cluster)).map(({ id }) => `"${id}"`),
  };
}

async function readFramework(store: Store, name: string): Promise<FrameworkRecord | undefined> {
  const stored = await store.read("framework");
  if (stored === undefined) return undefined;
  const record = checked<FrameworkRecord>("framework", stored);
  if (record.name !== name)
    throw new Error(`Cannot start framework "${name}": the store is that of framework "${record.name}"`);
  return record;
}

async function makeFramework(store: Store, lock: Lock, name: string): Promise<FrameworkRecord> {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
  const record: FrameworkRecord = { schema: SCHEMA, name, launches: 1, token };
  await store.write([{ type: "put", path: "framework", value: record, expect: "absent" }], { lock });
  return record;
}

/** Only what the schema number says is checked: these are our own words. */
function checked<T>(path: string, stored: Stored): T {
  return readRecord(path, stored, SCHEMA) as unknown as T;
}

async function loadFolder<T>(store: Store, folder: string): Promise<readonly T[]> {
  return [...(await store.list(folder))].map(([name, stored]) => checked<T>(`${folder}/${name}`, stored));
}
