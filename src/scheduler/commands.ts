// Operators' commands: checked whole, then taken over whole or refused with every fault.
import { readClusterSpec } from "../databases/spec.ts";
import type { Draft } from "./draft.ts";
import type { Command, Reply } from "./events.ts";
import { abortPlans, beginPlan, step } from "./plans.ts";
import { SCHEMA, type ClusterRecord, type NodeRecord } from "./state.ts";

/** Carries a command out; the reply is sent once everything is saved. */
export function runCommand(draft: Draft, id: number, command: Command): void {
  draft.act({ type: "reply", id, reply: replyTo(draft, command) });
}

function replyTo(draft: Draft, command: Command): Reply {
  switch (command.type) {
    case "createCluster":
      return createCluster(draft, command.body);
    case "destroyCluster":
      return destroyCluster(draft, command.cluster);
  }
}

function refuse(why: Extract<Reply, { type: "refused" }>["why"], message: string): Reply {
  return { type: "refused", why, message, faults: [] };
}

function createCluster(draft: Draft, body: unknown): Reply {
  const read = readClusterSpec(body);
  if ("faults" in read) {
    const message = `Cannot create the cluster: ${read.faults.length} of its settings will not do`;
    return { type: "refused", why: "invalid", message, faults: read.faults };
  }
  const { spec } = read;
  if (draft.state.clusters.has(spec.name))
    return refuse("exists", `Cannot create cluster "${spec.name}": there is one of that name`);
  const record: ClusterRecord = {
    schema: SCHEMA,
    spec,
    createdMs: draft.nowMs,
    nextNode: spec.nodes + 1,
    nextPlan: 1,
    goal: "running",
  };
  draft.putCluster(record);
  const nodes = Array.from({ length: spec.nodes }, (_, index) => newNode(draft, spec.name, index + 1));
  for (const node of nodes) draft.putNode(node);
  const plan = beginPlan(
    draft,
    "deploy",
    spec.name,
    nodes.map((node) => step("start", node.id)),
  );
  return { type: "accepted", plan, cluster: spec.name };
}

function newNode(draft: Draft, cluster: string, number: number): NodeRecord {
  return {
    schema: SCHEMA,
    id: `${draft.state.framework.name}-${cluster}-${number}`,
    cluster,
    number,
    phase: "waiting",
    sinceMs: draft.nowMs,
    generation: 1,
    joined: false,
    healthy: false,
    failures: 0,
    retryAtMs: 0,
  };
}

function destroyCluster(draft: Draft, name: string): Reply {
  const cluster = draft.state.clusters.get(name);
  if (cluster === undefined) {
    const known = [...draft.state.clusters.keys()].map((other) => `"${other}"`).join(", ");
    return refuse(
      "unknown",
      `Cannot destroy cluster "${name}": there is none of that name; there are ${known === "" ? "none" : known}`,
    );
  }
  if (cluster.record.goal === "removed")
    return refuse("conflict", `Cannot destroy cluster "${name}": it is being destroyed already`);
  abortPlans(draft, name);
  draft.putCluster({ ...cluster.record, goal: "removed" });
  const nodes = [...cluster.nodes.keys()];
  const steps = [
    ...nodes.map((node) => step("stop", node)),
    ...nodes.map((node) => step("release", node)),
    step("forget"),
  ];
  return { type: "accepted", plan: beginPlan(draft, "remove", name, steps), cluster: name };
}
