// The steps of a cluster's changes, in Cassandra's order.
import type { Change, Moved, StepSketch } from "../database.ts";
import type { Member } from "../node.ts";

/**
 * New nodes have no order here: `mayStart` lets one join at a time. A leave streams a node's data to the others, so only one node leaves at a time; the process of a
 * node that has left goes on living and is stopped by us.
 */
export function planChange(change: Change, members: readonly Member[]): readonly StepSketch[] {
  switch (change.type) {
    case "add":
      return change.nodes.map((node) => ({ type: "start", node, after: [] }));
    case "restart":
      return planRestart(change.nodes, members);
    case "leave":
      return change.nodes.flatMap((node, index): readonly StepSketch[] => [
        { type: "admin", node, operation: "decommission", args: {}, after: index === 0 ? [] : [3 * index - 1] },
        { type: "stop", node, after: [3 * index] },
        { type: "release", node, after: [3 * index + 1] },
      ]);
    case "replace":
      return planReplace(change, members);
    case "forceRemove":
      return planForceRemove(change.node, members);
  }
}

/**
 * One after the other, those that are down first. Each that serves looks itself whether its ring is whole before it goes down:
 * Mesos may tell of another's end minutes late.
 */
function planRestart(nodes: readonly string[], members: readonly Member[]): readonly StepSketch[] {
  const isServing = (id: string): boolean => members.some(({ node, state }) => node === id && state === "serving");
  const steps: StepSketch[] = [];
  const add = (step: Omit<StepSketch, "after">): void => {
    steps.push({ ...step, after: steps.length === 0 ? [] : [steps.length - 1] });
  };
  const down = nodes.filter((node) => !isServing(node));
  for (const node of [...down, ...nodes.filter(isServing)]) {
    if (isServing(node)) add({ type: "admin", node, operation: "settle", args: {} });
    add({ type: "stop", node });
    add({ type: "start", node });
  }
  return steps;
}

/**
 * The new node streams what the dead one had from the others, under the same tokens; the ring itself has to say before that
 * the old one is dead. Where nobody else has data, the new node founds a ring anew; where it is a member already, all that is
 * left is to give back what the old one had.
 */
function planReplace(
  { node, old, byItself }: Extract<Change, { type: "replace" }>,
  members: readonly Member[],
): readonly StepSketch[] {
  if (members.some((member) => member.node === node && node !== old && member.joined))
    return [{ type: "release", node: old, after: [] }];
  const host = witness(`replace node "${old}"`, members, [node, old]);
  const args = { old, quorum: byItself ? "wanted" : "not asked for" };
  // One that was never heard to join has perhaps no tokens that another could take: if it has, they are given up.
  const isMember = members.some((member) => member.node === old && member.joined && member.outside !== true);
  const operation = isMember ? { operation: "check-replace", args } : { operation: "removenode", args: { node: old } };
  const check: readonly StepSketch[] =
    host === undefined ? [] : [{ type: "admin", node: host, ...operation, after: [] }];
  const start = check.length;
  return [
    ...check,
    { type: "start", node, after: check.map((_, index) => index) },
    { type: "release", node: old, after: [start] },
  ];
}

/** The others take over what the dead node had, from the replicas that are left. */
function planForceRemove(node: string, members: readonly Member[]): readonly StepSketch[] {
  const host = witness(`force node "${node}" out of its ring`, members, [node]);
  const steps: StepSketch[] = [];
  const add = (step: Omit<StepSketch, "after">): void => {
    steps.push({ ...step, after: steps.length === 0 ? [] : [steps.length - 1] });
  };
  if (members.some((member) => member.node === node && member.state !== "absent")) add({ type: "stop", node });
  if (host !== undefined) add({ type: "admin", node: host, operation: "removenode", args: { node } });
  add({ type: "release", node });
  return steps;
}

/** The first member besides these that serves. Undefined: there is no other that could ever. */
function witness(what: string, members: readonly Member[], besides: readonly string[]): string | undefined {
  const others = members.filter(
    ({ node, joined, outside, lost }) => joined && outside !== true && lost !== true && !besides.includes(node),
  );
  const serving = others.find(({ state }) => state === "serving");
  if (serving === undefined && others.length > 0)
    throw new Error(`Cannot ${what}: found none of ${others.map(({ node }) => node).join(", ")} serving, wanted one`);
  return serving?.node;
}

/** Whom a finished operation has taken out of the ring. */
export function moved(operation: string, node: string, args: Readonly<Record<string, string>>): Moved {
  const left = { decommission: node, removenode: args["node"] }[operation];
  return { joined: [], left: left === undefined ? [] : [left] };
}
