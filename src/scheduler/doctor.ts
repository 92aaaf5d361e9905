// What does not fit together: the store's records, what Mesos has, and what the databases say of their rings. Looks only.
import { checkFramework, checkLeftovers, checkPlaces, checkReservations, checkTasks } from "./doctor-mesos.ts";
import { nodesOf, repairing, type Check, type Evidence, type Finding } from "./findings.ts";
import { databaseOf, memberOf, nodesInOrder } from "./members.ts";
import { isSilent } from "./silence.ts";
import { activePlans, type ClusterState } from "./state.ts";

/** Findings that are told; more are worth no reading. */
const FINDINGS_MAX = 500;

const CHECKS: readonly Check[] = [
  checkFramework,
  checkTasks,
  checkPlaces,
  checkReservations,
  checkLeftovers,
  checkIdleNodes,
  checkSilentNodes,
  checkConfigurations,
  checkRings,
  checkEndpoints,
];

/** Everything that does not fit, the worst first. */
export function diagnose(evidence: Evidence): readonly Finding[] {
  const rank = { error: 0, warning: 1, info: 2 };
  const found = CHECKS.flatMap((check) => check(evidence));
  return found.sort((a, b) => rank[a.severity] - rank[b.severity] || (a.id < b.id ? -1 : 1)).slice(0, FINDINGS_MAX);
}

/** Nodes whose executors hang. */
function checkSilentNodes({ state, nowMs }: Evidence): readonly Finding[] {
  return nodesOf(state).flatMap((node): readonly Finding[] => {
    if (!isSilent(state, node, nowMs)) return [];
    return [
      {
        id: `silent:${node.id}`,
        severity: "error",
        what: `The executor of node "${node.id}" says nothing any more`,
        why: "it hangs: nobody watches the database or can operate it; a plan restarts the node while all others serve",
        advice: `where others do not serve either: ringmaster node stop ${node.id}, then node start; plans of other nodes are aborted first`,
      },
    ];
  });
}

/** Nodes that do not run, and that no plan is at. */
function checkIdleNodes({ state }: Evidence): readonly Finding[] {
  return [...state.clusters.values()].flatMap((cluster) => {
    if (cluster.record.goal !== "running" || activePlans(state, cluster.record.spec.name).length > 0) return [];
    return nodesInOrder(cluster).flatMap((node): readonly Finding[] => {
      const isRestful = node.phase === "stopped" && node.expelled !== true;
      if (node.phase === "running" || isRestful || node.phase === "unreachable") return [];
      const about = {
        id: `idle:${node.id}`,
        what: `Node "${node.id}" is ${node.phase}, and no plan brings it back`,
      };
      if (node.phase === "lost") {
        const why = node.lastFailure?.message ?? "its data is gone";
        return [{ ...about, severity: "error", why, advice: `ringmaster node replace ${node.id}` }];
      }
      if (node.expelled === true) {
        const why = "its ring was told to go on without it, so it never starts again";
        const advice = `ringmaster node replace ${node.id}, or ringmaster node remove ${node.id} --force`;
        return [{ ...about, severity: "error", why, advice }];
      }
      const start = { type: "startNode" as const, cluster: node.cluster, node: node.id };
      const why = "its cluster has one replica less";
      const repair = { does: "start it on its own volume", command: start };
      return [{ ...about, severity: "warning", why, advice: `ringmaster node start ${node.id}`, repair }];
    });
  });
}

/** Nodes that run with an older configuration than their cluster's. */
function checkConfigurations({ state }: Evidence): readonly Finding[] {
  return [...state.clusters.values()].flatMap((cluster) => {
    const { spec, config, goal } = cluster.record;
    if (goal !== "running" || activePlans(state, spec.name).length > 0) return [];
    const behind = nodesInOrder(cluster).filter((node) => node.task !== undefined && node.config < config);
    return behind.map((node): Finding => ({
      id: `config:${node.id}`,
      severity: "warning",
      what: `Node "${node.id}" runs with configuration ${node.config}, its cluster has ${config}`,
      why: "the plan that was to restart it was aborted; it takes the change over at its next start, whenever that is",
      advice: `ringmaster node restart ${node.id}`,
      repair: {
        does: "restart it, once all others serve",
        command: { type: "restartNode", cluster: spec.name, node: node.id },
      },
    }));
  });
}

/** Whether the databases' rings have our nodes, and nobody else. */
function checkRings({ state, rings }: Evidence): readonly Finding[] {
  return [...state.clusters.values()].flatMap((cluster): readonly Finding[] => {
    const { spec, goal } = cluster.record;
    const ring = rings.get(spec.name);
    if (ring === undefined || goal !== "running") return [];
    if ("error" in ring) {
      return [
        {
          id: `ring:${spec.name}`,
          severity: "warning",
          what: `No node of cluster "${spec.name}" says who is in its ring: ${ring.error}`,
          why: "whether the ring has all nodes is not known",
          advice: `ringmaster node list ${spec.name}`,
        },
      ];
    }
    // While a plan changes the ring, both differ for good reason.
    return activePlans(state, spec.name).length > 0 ? [] : ringFindings(cluster, ring.names);
  });
}

function ringFindings(cluster: ClusterState, names: readonly string[]): readonly Finding[] {
  const database = databaseOf(cluster);
  const nodes = nodesInOrder(cluster);
  const witness = nodes.find((node) => memberOf(node).state === "serving" && node.joined);
  const strangers = names.filter((name) => !nodes.some((node) => database.isNamed(name, memberOf(node))));
  const missing = nodes.filter(
    (node) => node.phase === "running" && node.joined && !names.some((name) => database.isNamed(name, memberOf(node))),
  );
  return [
    ...strangers.map((name): Finding => ({
      id: `stranger:${cluster.record.spec.name}:${name}`,
      severity: "error",
      what: `The ring of cluster "${cluster.record.spec.name}" has member "${name}", which is no node of it`,
      why: "it owns a part of the data; a dead one keeps every further change of the ring waiting",
      advice: `if it is gone for good: ringmaster node run ${witness?.id ?? "<a node that serves>"} remove-stranger --arg member=${name}`,
    })),
    ...missing.map((node): Finding => ({
      id: `outside:${node.id}`,
      severity: "error",
      what: `Node "${node.id}" runs, and is not in the ring of cluster "${node.cluster}"`,
      why: "it serves its own data beside that of the ring",
      advice: `take it out and add another: ringmaster node remove ${node.id} --force, then cluster add-node`,
    })),
  ];
}

/** Endpoint records of nodes that are none. */
function checkEndpoints({ state, endpoints }: Evidence): readonly Finding[] {
  const known = new Set(nodesOf(state).map(({ id }) => id));
  return endpoints
    .filter((id) => !known.has(id))
    .map((id) => ({
      id: `endpoint:${id}`,
      severity: "warning",
      what: `The store has an endpoint of "${id}", which is no node`,
      why: "directors send clients there",
      advice: "remove the record",
      repair: { does: "remove the record", command: repairing({ type: "forgetEndpoint", node: id }) },
    }));
}
