// Operators' commands: checked whole, then taken over whole or refused with every fault.
import type { Change, StepSketch } from "../databases/database.ts";
import { readClusterSpec } from "../databases/spec.ts";
import type { ClusterSpec } from "../databases/cluster.ts";
import type { Fault } from "../std/reason.ts";
import { unreachable } from "../std/assert.ts";
import type { Draft } from "./draft.ts";
import type { Command, Reply } from "./events.ts";
import { framelessReason, registerFramework, uninstallFramework } from "./framework.ts";
import { databaseOf, mayBeMember, membersOf, nodesInOrder } from "./members.ts";
import { forgetHeir, hasBegun, heirOf, isLast, makeHeir, makeNodes } from "./nodes.ts";
import { abortPlan, beginPlan, beginRemoval, countNodes, step, stepsOf } from "./plans.ts";
import { carryOutRepair } from "./repair.ts";
import { giveUpRemoval, giveUpReplacement } from "./recovery.ts";
import { giveUpRestart } from "./silence.ts";
import { isWaitingReplacement } from "./replace.ts";
import {
  activePlans,
  SCHEMA,
  type ClusterRecord,
  type ClusterState,
  type NodeRecord,
  type PlanKind,
  type PlanRecord,
  type Step,
} from "./state.ts";

/** Nodes of one cluster. Its plans and its nodes must fit into one transaction of the store. */
const NODES_MAX = 500;

/** What of a cluster may be changed; the rest belongs to its data or its reservations. */
const CHANGEABLE = ["version", "package", "jre", "env", "settings", "constraints"];

/** Carries a command out; the reply is sent once everything is saved. */
export function runCommand(draft: Draft, id: number, command: Command): void {
  draft.act({ type: "reply", id, reply: attempted(draft, () => replyTo(draft, command)) });
}

/** A command that its database refuses has changed nothing, however far it came. */
function attempted(draft: Draft, run: () => Reply): Reply {
  try {
    return draft.attempt(run);
  } catch (error) {
    if (error instanceof Unplannable) return conflict(error.message);
    throw error;
  }
}

/** The database cannot make a change, in its own words. */
class Unplannable extends Error {
  override readonly name = "Unplannable";
}

function replyTo(draft: Draft, command: Command): Reply {
  if (command.type === "registerFramework") return registerFramework(draft);
  if (command.type === "uninstallFramework") return uninstallFramework(draft, command.force);
  if (command.type === "repair") return carryOutRepair(draft, command.repair);
  const frameless = framelessReason(draft.state.framework);
  if (command.type === "createCluster") {
    return frameless === undefined
      ? createCluster(draft, command.body)
      : conflict(`Cannot create a cluster: ${frameless}`);
  }
  if (command.type === "abortPlan") return abort(draft, command.plan);
  const cluster = draft.state.clusters.get(command.cluster);
  if (cluster === undefined) return unknown("cluster", command.cluster, [...draft.state.clusters.keys()]);
  if (cluster.record.goal === "removed")
    return conflict(`Cannot change cluster "${command.cluster}": it is being destroyed`);
  if (command.type === "destroyCluster") return destroyCluster(draft, cluster);
  // Who starts a node, or has one do something, need not wait for another that fails to come back.
  const isBesideRecovery = command.type === "startNode" || command.type === "operate";
  const ended = command.type === "stopNode" ? plansUp(draft, command) : [];
  const busy = activePlans(draft.state, command.cluster).find(
    (plan) =>
      !isWaitingReplacement(plan) &&
      !(plan.kind === "recover" && isBesideRecovery) &&
      !ended.some(({ id }) => id === plan.id),
  );
  const forced = (command.type === "removeNode" && command.force) || command.type === "replaceNode";
  if (busy !== undefined && !forced) return atWork(command.cluster, busy);
  for (const plan of ended) abortPlan(draft, plan);
  switch (command.type) {
    case "updateCluster":
      return updateCluster(draft, cluster, command.change);
    case "restartCluster":
      return change(draft, cluster, "restart", { type: "restart", nodes: placedNodes(cluster) });
    case "addNodes":
      return addNodes(draft, cluster, command.count);
    default:
      return nodeCommand(draft, cluster, command);
  }
}

/** Plans that are there to bring this one node up: who stops it wants none of them. */
function plansUp(
  draft: Draft,
  { cluster, node }: { readonly cluster: string; readonly node: string },
): readonly PlanRecord[] {
  const kinds = ["restart", "start", "recover"];
  const isUp = ({ kind, steps }: PlanRecord): boolean =>
    kinds.includes(kind) && steps.every((step) => step.node === node);
  return activePlans(draft.state, cluster).filter(isUp);
}

type NodeCommand = Exclude<Extract<Command, { node: string }>, { type: "createCluster" }>;

function nodeCommand(draft: Draft, cluster: ClusterState, command: NodeCommand): Reply {
  const node = cluster.nodes.get(command.node);
  if (node === undefined) return unknown("node", command.node, [...cluster.nodes.keys()]);
  switch (command.type) {
    case "removeNode":
      return removeNode(draft, cluster, node, command.force);
    case "restartNode":
      return change(draft, cluster, "restart", { type: "restart", nodes: [node.id] });
    case "stopNode":
      return begin(draft, cluster, "stop", [step("stop", node.id)]);
    case "startNode":
      return startNode(draft, cluster, node);
    case "replaceNode":
      return replaceNode(draft, cluster, node);
    case "operate":
      return operate(draft, cluster, node, command.operation, command.args);
    default:
      return unreachable(command);
  }
}

function invalid(message: string, faults: readonly Fault[]): Reply {
  return { type: "refused", why: "invalid", message, faults };
}

function conflict(message: string): Reply {
  return { type: "refused", why: "conflict", message, faults: [] };
}

function unknown(what: string, name: string, known: readonly string[]): Reply {
  const there = known.length === 0 ? "none" : known.map((other) => `"${other}"`).join(", ");
  return { type: "refused", why: "unknown", message: `Cannot find ${what} "${name}"; there are ${there}`, faults: [] };
}

function begin(draft: Draft, cluster: ClusterState, kind: PlanKind, steps: readonly Step[]): Reply {
  const { name } = cluster.record.spec;
  return { type: "accepted", plan: beginPlan(draft, kind, name, steps), cluster: name };
}

/** Begins the plan that the cluster's database makes of a change; refuses the change that the database cannot make. */
function change(draft: Draft, before: ClusterState, kind: PlanKind, asked: Change): Reply {
  const cluster = draft.state.clusters.get(before.record.spec.name) ?? before;
  return begin(draft, cluster, kind, stepsOf(planned(cluster, asked)));
}

/** What the cluster's database makes of a change. Throws `Unplannable`. */
function planned(cluster: ClusterState, asked: Change): readonly StepSketch[] {
  try {
    return databaseOf(cluster).plan(asked, cluster.record.spec, membersOf(cluster));
  } catch (error) {
    throw new Unplannable(error instanceof Error ? error.message : String(error));
  }
}

/** Why the database cannot make a change, in its own words; undefined: it can. Asked before anything is changed. */
function refusal(cluster: ClusterState, asked: Change): Reply | undefined {
  try {
    planned(cluster, asked);
    return undefined;
  } catch (error) {
    if (error instanceof Unplannable) return conflict(error.message);
    throw error;
  }
}

function createCluster(draft: Draft, body: unknown): Reply {
  const read = readClusterSpec(body);
  if ("faults" in read) {
    return invalid(`Cannot create the cluster: ${read.faults.length} of its settings will not do`, read.faults);
  }
  const { spec } = read;
  if (draft.state.clusters.has(spec.name)) {
    const message = `Cannot create cluster "${spec.name}": there is one of that name`;
    return { type: "refused", why: "exists", message, faults: [] };
  }
  const record: ClusterRecord = {
    schema: SCHEMA,
    spec,
    createdMs: draft.nowMs,
    nextNode: 1,
    nextPlan: 1,
    config: 1,
    goal: "running",
  };
  const names = namesFault(draft, { record, nodes: new Map() });
  if (names !== undefined) return invalid(`Cannot create cluster "${spec.name}"`, [names]);
  draft.putCluster(record);
  const nodes = makeNodes(draft, spec.name, spec.nodes).map(({ id }) => id);
  return change(draft, { record, nodes: new Map() }, "deploy", { type: "add", nodes });
}

/** Nodes that find each other by name need names that all agents can read. */
function namesFault(draft: Draft, cluster: ClusterState): Fault | undefined {
  if (!databaseOf(cluster).wantsNames || draft.state.settings.sharedStore !== undefined) return undefined;
  const { database } = cluster.record.spec;
  return {
    path: "database",
    found: `"${database}" with a store that only this machine can reach`,
    wanted: "a scheduler with --store zk://…, where agents find the names of nodes",
  };
}

function setCount(draft: Draft, clusterName: string, nodes: number): void {
  const record = draft.state.clusters.get(clusterName)?.record;
  if (record !== undefined) draft.putCluster({ ...record, spec: { ...record.spec, nodes } });
}

function addNodes(draft: Draft, cluster: ClusterState, count: number): Reply {
  const { name, nodes } = cluster.record.spec;
  const most = NODES_MAX - nodes;
  if (!Number.isInteger(count) || count < 1 || count > most) {
    return invalid(`Cannot add nodes to cluster "${name}"`, [
      { path: "count", found: String(count), wanted: `a whole number from 1 to ${most}` },
    ]);
  }
  const no = refusal(cluster, {
    type: "add",
    nodes: [`${draft.state.framework.name}-${name}-${cluster.record.nextNode}`],
  });
  if (no !== undefined) return no;
  setCount(draft, name, nodes + count);
  return change(draft, cluster, "add", { type: "add", nodes: makeNodes(draft, name, count).map(({ id }) => id) });
}

function removeNode(draft: Draft, cluster: ClusterState, node: NodeRecord, force: boolean): Reply {
  const { name } = cluster.record.spec;
  if (cluster.nodes.size <= 1)
    return conflict(`Cannot remove node "${node.id}": it is the last one; destroy cluster "${name}" instead`);
  if (!force && (node.phase !== "running" || !node.healthy)) {
    return conflict(
      `Cannot remove node "${node.id}": it is ${node.phase} and cannot hand its data over; replace it, or force the removal`,
    );
  }
  const heir = heirOf(cluster, node);
  if (heir !== undefined && hasBegun(heir) && !heir.joined)
    return conflict(
      `Cannot remove node "${node.id}": node "${heir.id}" takes its place; wait for it, or remove it first`,
    );
  const asked: Change = force ? { type: "forceRemove", node: node.id } : { type: "leave", nodes: [node.id] };
  const other = otherSwap(draft, cluster, node);
  if (other !== undefined) return atWork(name, other);
  const no = mayBeMember(node) ? refusal(cluster, asked) : undefined;
  if (no !== undefined) return no;
  abortPlansOf(draft, node);
  if (heir !== undefined && !hasBegun(heir)) forgetHeir(draft, heir);
  countNodes(draft, name, heir !== undefined && hasBegun(heir) ? 0 : 1);
  // A node that never was a member has nothing to hand over and no place in the ring.
  if (!mayBeMember(node)) {
    const steps: readonly Step[] = [step("stop", node.id), { ...step("release", node.id), after: [0] }];
    return begin(draft, cluster, "leave", steps);
  }
  const leaving = draft.state.clusters.get(name)?.nodes.get(node.id);
  if (force && leaving !== undefined) draft.putNode({ ...leaving, expelled: true });
  return change(draft, cluster, "leave", asked);
}

/** A node that never came into its ring is brought there, if it can be now: its first join was perhaps given up. */
function startNode(draft: Draft, cluster: ClusterState, node: NodeRecord): Reply {
  if (node.expelled === true)
    return conflict(`Cannot start node "${node.id}": its ring goes on without it; replace it, or force its removal`);
  const asked: Change = { type: "add", nodes: [node.id] };
  const isInside = node.joined && node.outside === undefined;
  if (isInside || refusal(cluster, asked) !== undefined)
    return begin(draft, cluster, "start", [step("start", node.id)]);
  return change(draft, cluster, "start", asked);
}

function replaceNode(draft: Draft, cluster: ClusterState, old: NodeRecord): Reply {
  // Of a stopped node's agent nothing is heard: only the operator knows that it never comes back.
  if (!["lost", "unreachable", "down", "stopped"].includes(old.phase)) {
    return conflict(
      `Cannot replace node "${old.id}": it is ${old.phase}; only a node that is lost, unreachable, down or stopped is replaced`,
    );
  }
  if (old.phase !== "lost" && old.joined && isLast(cluster, old))
    return conflict(
      `Cannot replace node "${old.id}": nobody else has its data, which may be there again when its agent is; otherwise mark the agent as gone in Mesos`,
    );
  const other = otherSwap(draft, cluster, old);
  if (other !== undefined) return atWork(old.cluster, other);
  const known = heirOf(cluster, old);
  const asked = { type: "replace", node: known?.id ?? old.id, old: old.id, byItself: false } as const;
  const no = refusal(cluster, asked);
  if (no !== undefined) return no;
  abortPlansOf(draft, old);
  const heir = makeHeir(draft, cluster, old);
  return change(draft, cluster, "replace", { ...asked, node: heir.id });
}

function atWork(cluster: string, { id }: PlanRecord): Reply {
  return conflict(`Cannot change cluster "${cluster}": plan "${id}" is at work; wait for it, or abort it`);
}

/** A plan that has yet to change the ring for another node: two at once would each count on what the other changes. */
function otherSwap(draft: Draft, cluster: ClusterState, node: NodeRecord): PlanRecord | undefined {
  const changesRing = ({ type, status, operation, node: at = "", args = {} }: Step): boolean => {
    if (status === "done" || type !== "admin") return status !== "done" && type === "start";
    const { joined, left } = databaseOf(cluster).moved(operation ?? "", at, args);
    return joined.length + left.length > 0;
  };
  return activePlans(draft.state, node.cluster).find(
    ({ kind, steps }) =>
      (kind === "replace" || kind === "leave") &&
      steps.some(changesRing) &&
      !steps.some((open) => open.node === node.id && (open.type !== "admin" || open.status !== "done")),
  );
}

/** Ends the plans that still count on a node which is to go. */
function abortPlansOf(draft: Draft, node: NodeRecord): void {
  for (const plan of activePlans(draft.state, node.cluster)) {
    if (plan.steps.some((open) => open.node === node.id && open.status !== "done")) abortPlan(draft, plan);
  }
}

function operate(
  draft: Draft,
  cluster: ClusterState,
  node: NodeRecord,
  operation: string,
  args: Readonly<Record<string, string>>,
): Reply {
  const known = databaseOf(cluster).operations;
  if (!known.includes(operation)) {
    return invalid(`Cannot run an operation on node "${node.id}"`, [
      {
        path: "operation",
        found: `"${operation}"`,
        wanted: known.length === 0 ? "none: this database has none" : `one of ${known.join(", ")}`,
      },
    ]);
  }
  return begin(draft, cluster, "operate", [{ ...step("admin", node.id), operation, args }]);
}

/** Changes the spec; what nodes take over only at their start goes round by a rolling restart. */
function updateCluster(draft: Draft, cluster: ClusterState, asked: unknown): Reply {
  const { spec } = cluster.record;
  const message = `Cannot change cluster "${spec.name}"`;
  if (typeof asked !== "object" || asked === null || Array.isArray(asked)) {
    return invalid(message, [{ path: "body", found: JSON.stringify(asked), wanted: "an object" }]);
  }
  const fixed = Object.keys(asked).filter((key) => !CHANGEABLE.includes(key));
  const faults = fixed.map((key) => ({
    path: key,
    found: "a change",
    wanted: `no change: only ${CHANGEABLE.join(", ")} can change`,
  }));
  const read = readClusterSpec(changedBody(spec, asked));
  if ("faults" in read) faults.push(...read.faults.filter(({ path }) => !fixed.includes(path)));
  if (faults.length > 0 || "faults" in read) return invalid(message, faults);
  const differing = Object.keys(asked).filter(
    (key) => JSON.stringify(Reflect.get(spec, key)) !== JSON.stringify(Reflect.get(read.spec, key)),
  );
  const restarts = differing.some((key) => key !== "constraints");
  const config = cluster.record.config + (restarts ? 1 : 0);
  draft.putCluster({ ...cluster.record, spec: read.spec, config });
  if (!restarts) return begin(draft, cluster, "configure", []);
  return change(draft, cluster, "configure", { type: "restart", nodes: placedNodes(cluster) });
}

/** The body that would create the cluster as it shall be. Settings are replaced one by one; null takes one away. */
function changedBody(spec: ClusterSpec, asked: object): object {
  const constraints = spec.constraints.map(({ field, operator, parameter }) => [
    field,
    operator,
    ...(parameter === undefined ? [] : [parameter]),
  ]);
  const given: unknown = Reflect.get(asked, "settings");
  const settings =
    typeof given === "object" && given !== null
      ? Object.fromEntries(Object.entries({ ...spec.settings, ...given }).filter(([, value]) => value !== null))
      : (given ?? spec.settings);
  return { ...spec, constraints, ...asked, settings };
}

/** Nodes that have run: the others take a new configuration over at their first start. */
function placedNodes(cluster: ClusterState): readonly string[] {
  return nodesInOrder(cluster).flatMap(({ id, place }) => (place === undefined ? [] : [id]));
}

function destroyCluster(draft: Draft, cluster: ClusterState): Reply {
  return { type: "accepted", plan: beginRemoval(draft, cluster), cluster: cluster.record.spec.name };
}

function abort(draft: Draft, id: string): Reply {
  const plan = draft.state.plans.get(id);
  if (plan === undefined) return unknown("plan", id, [...draft.state.plans.keys()].slice(-20));
  if (plan.status !== "running") return conflict(`Cannot abort plan "${id}": it is ${plan.status}`);
  if (plan.kind === "remove") return conflict(`Cannot abort plan "${id}": the cluster's destruction has begun`);
  abortPlan(draft, plan);
  giveUpReplacement(draft, plan);
  giveUpRemoval(draft, plan);
  giveUpRestart(draft, plan);
  return { type: "accepted", plan: id, cluster: plan.cluster };
}
