// Clusters, nodes, endpoints and what a node answers, as pages for people.
import type { ClusterView, EndpointsView, NodeView, PlanView } from "../databases/api.ts";
import type { Page, Table } from "./page.ts";

export function clustersPage(clusters: readonly ClusterView[]): Page {
  if (clusters.length === 0) return ["No clusters"];
  const rows = clusters.map((cluster) => [
    cluster.name,
    cluster.database,
    cluster.version,
    `${cluster.nodesRunning}/${cluster.nodesWanted}`,
    cluster.status,
    timeText(cluster.created),
    listText(cluster.activePlans),
  ]);
  return [[["CLUSTER", "DATABASE", "VERSION", "NODES", "STATUS", "CREATED", "ACTIVE PLANS"], ...rows]];
}

export function clusterPage(cluster: ClusterView): Page {
  const { name: _name, database: _database, version: _version, nodes: _nodes, ...rest } = cluster.spec;
  return [
    `cluster ${cluster.name}`,
    `database: ${cluster.database} ${cluster.version}`,
    `status: ${cluster.status}`,
    `nodes: ${cluster.nodesRunning} of ${cluster.nodesWanted} run`,
    `created: ${timeText(cluster.created)}`,
    `active plans: ${listText(cluster.activePlans)}`,
    ...valuePage(rest),
  ];
}

export function nodesPage(nodes: readonly NodeView[]): Page {
  if (nodes.length === 0) return ["No nodes"];
  const rows = nodes.map((node) => [
    node.id,
    node.phase,
    yesNo(node.healthy),
    yesNo(node.joined),
    node.hostname ?? "-",
    node.rack ?? "-",
    timeText(node.since),
    String(node.failures),
  ]);
  return [[["NODE", "PHASE", "HEALTHY", "JOINED", "HOSTNAME", "RACK", "SINCE", "FAILURES"], ...rows]];
}

export function nodePage(node: NodeView): Page {
  const failure = node.lastFailure;
  return [
    `node ${node.id}`,
    `cluster: ${node.cluster}`,
    `phase: ${node.phase} since ${timeText(node.since)}`,
    `healthy: ${yesNo(node.healthy)}`,
    `joined: ${yesNo(node.joined)}`,
    `hostname: ${node.hostname ?? "-"}`,
    `agent: ${node.agentId ?? "-"}`,
    `rack: ${node.rack ?? "-"}`,
    `ports: ${portsText(node.ports)}`,
    `task: ${node.taskId ?? "-"}`,
    `failures in a row: ${node.failures}`,
    ...replacementLines(node),
    ...maintenanceLines(node),
    ...(failure === undefined ? [] : [`last failure: ${timeText(failure.at)} ${failure.state}: ${failure.message}`]),
  ];
}

function replacementLines({ replaceDue, replaces, replacedBy }: NodeView): Page {
  return [
    ...(replaces === undefined ? [] : [`takes the place of: ${replaces}`]),
    ...(replacedBy === undefined ? [] : [`its place takes: ${replacedBy}`]),
    ...(replaceDue === undefined || replacedBy !== undefined ? [] : [`is replaced from: ${timeText(replaceDue)}`]),
  ];
}

function maintenanceLines({ maintenance }: NodeView): Page {
  if (maintenance === undefined) return [];
  const { start, end, accepted, reasons } = maintenance;
  const until = end === undefined ? "" : ` to ${timeText(end)}`;
  const window = `maintenance of its agent: ${timeText(start)}${until}, ${accepted ? "accepted" : "refused"}`;
  return [window, ...reasons.map(({ check, found, wanted }) => `  ${check}: found ${found}, wanted ${wanted}`)];
}

/** One line of host:port for each kind of client, ready to be pasted as contact points; then every node. */
export function endpointsPage(view: EndpointsView): Page {
  const lines = Object.entries(view.endpoints).map(([name, addresses]) => `${name}: ${addresses.join(",") || "none"}`);
  if (view.nodes.length === 0) return [...lines, "No nodes"];
  const rows = view.nodes.map((node) => [node.node, node.hostname, yesNo(node.serving), portsText(node.ports)]);
  return [...lines, [["NODE", "HOSTNAME", "SERVING", "PORTS"], ...rows]];
}

export function plansPage(plans: readonly PlanView[]): Page {
  if (plans.length === 0) return ["No plans"];
  const rows = plans.map((plan) => [
    plan.id,
    plan.kind,
    plan.cluster,
    plan.status,
    `${plan.steps.filter((step) => step.status === "done").length}/${plan.steps.length}`,
    timeText(plan.created),
    plan.ended === undefined ? "-" : timeText(plan.ended),
  ]);
  return [[["PLAN", "KIND", "CLUSTER", "STATUS", "STEPS DONE", "CREATED", "ENDED"], ...rows]];
}

/** Any JSON: `key: value` lines, what is inside and long texts two columns deeper, a list of flat objects as a table. */
export function valuePage(value: unknown, indent = ""): Page {
  if (Array.isArray(value)) return listPage(value, indent);
  if (!isObject(value)) return [`${indent}${scalarText(value)}`];
  return Object.entries(value).flatMap(([key, inner]): Page => {
    if (typeof inner === "string" && inner.includes("\n"))
      return [`${indent}${key}:`, ...textLines(inner, `${indent}  `)];
    if (isScalar(inner)) return [`${indent}${key}: ${scalarText(inner)}`];
    if (Object.keys(inner as object).length === 0) return [`${indent}${key}: none`];
    if (Array.isArray(inner) && inner.every(isScalar)) return [`${indent}${key}: ${inner.map(scalarText).join(", ")}`];
    return [`${indent}${key}:`, ...valuePage(inner, `${indent}  `)];
  });
}

/** A text of several lines, such as a riak.conf. */
function textLines(text: string, indent: string): Page {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `${indent}${line}`);
}

function listPage(list: readonly unknown[], indent: string): Page {
  if (list.length === 0) return [`${indent}none`];
  const objects = list.filter((item) => isObject(item) && Object.values(item).every(isScalar));
  if (objects.length === list.length) return [tableOf(objects as readonly Readonly<Record<string, unknown>>[], indent)];
  return list.flatMap((item): Page => {
    if (isScalar(item)) return [`${indent}- ${scalarText(item)}`];
    if (Array.isArray(item) && item.every(isScalar)) return [`${indent}- ${item.map(scalarText).join(", ")}`];
    return [`${indent}-`, ...valuePage(item, `${indent}  `)];
  });
}

function tableOf(objects: readonly Readonly<Record<string, unknown>>[], indent: string): Table {
  const keys = [...new Set(objects.flatMap((object) => Object.keys(object)))];
  const rows = objects.map((object) => keys.map((key) => (key in object ? scalarText(object[key]) : "-")));
  const head = keys.map((key) => key.replace(/([a-z])([A-Z])/g, "$1 $2").toUpperCase());
  return [head, ...rows].map(([first, ...rest]) => [`${indent}${first ?? ""}`, ...rest]);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

function scalarText(value: unknown): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function listText(items: readonly string[]): string {
  return items.join(", ") || "-";
}

function portsText(ports: Readonly<Record<string, number>>): string {
  return listText(Object.entries(ports).map(([name, port]) => `${name}=${port}`));
}

function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}

/** A time of the API to the second, still ISO 8601 in UTC. */
export function timeText(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}
