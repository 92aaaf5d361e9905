// The order in which a Riak ring changes: who starts when, and the steps of every change.
import type { Reason } from "../../std/reason.ts";
import { remembered } from "../../std/remembered.ts";
import type { ClusterSpec } from "../cluster.ts";
import type { Change, Moved, StepSketch } from "../database.ts";
import type { Member } from "../node.ts";

/** Undefined, or why `node` has to wait: the first node of a ring starts alone, so that there is one ring to join. */
export function mayStart(_spec: ClusterSpec, members: readonly Member[], node: Member): Reason | undefined {
  if (members.some(({ joined }) => joined)) return undefined;
  const founder = inOrder(members)[0];
  if (founder === undefined || founder.node === node.node) return undefined;
  const doing = { absent: "has no process", starting: "is starting", serving: "serves" }[founder.state];
  return { check: "founder", found: `first node "${founder.node}" ${doing}`, wanted: "it has founded the ring" };
}

/** A Riak that serves is a ring of its own until it is joined: so only one that has nobody to join is in the ring by that. */
export function joinsByServing(members: readonly Member[], node: Member): boolean {
  return !members.some(({ node: other, joined, lost }) => other !== node.node && joined && lost !== true);
}

/** What the end of one of `adminAsks` means for the ring. */
export function moved(operation: string, node: string, args: Readonly<Record<string, string>>): Moved {
  switch (operation) {
    // Whoever others have joined is what the ring is from then on.
    case "join":
      return { joined: [args["to"] ?? ""], left: [] };
    case "commit":
      return { joined: [node, ...(args["nodes"]?.split(",") ?? [])], left: [] };
    case "force-replace":
      return { joined: [node, args["node"] ?? ""], left: [args["old"] ?? ""] };
    case "leave":
    case "force-remove":
      return { joined: [], left: [args["node"] ?? node] };
    default:
      return { joined: [], left: [] };
  }
}

/** Node names and addresses come from cEPMD and from the ring: a start needs no others. */
export function seedsFor(): readonly string[] {
  return [];
}

/** The steps of a change. */
export function planFor(change: Change, _spec: ClusterSpec, members: readonly Member[]): readonly StepSketch[] {
  const steps = new Steps();
  switch (change.type) {
    case "add":
      planAdd(steps, change.nodes, members);
      break;
    case "leave":
      planLeave(steps, change.nodes, members);
      break;
    case "restart":
      planRestart(steps, change.nodes, members);
      break;
    case "replace":
      planReplace(steps, change, members);
      break;
    case "forceRemove":
      planForceRemove(steps, change.node, members);
      break;
  }
  return steps.all;
}

/** Steps as they are added; each add returns the new one's index. */
class Steps {
  readonly all: StepSketch[] = [];

  add(type: "start" | "stop" | "release", node: string, after: readonly number[]): number {
    this.all.push({ type, node, after });
    return this.all.length - 1;
  }

  admin(node: string, operation: string, args: Readonly<Record<string, string>>, after: readonly number[]): number {
    this.all.push({ type: "admin", node, operation, args, after });
    return this.all.length - 1;
  }
}

/** Joins are staged one after the other and committed at once: so every partition moves at most once. */
function planAdd(steps: Steps, nodes: readonly string[], members: readonly Member[]): void {
  const seed = servingMember(members, nodes);
  const [first, ...others] = nodes;
  if (first === undefined) return;
  // A second ring would be founded beside the one that only does not serve now.
  if (seed === undefined) refuseIfRing("add nodes", members, nodes);
  const founds = seed === undefined;
  const host = seed ?? first;
  const ready = founds ? steps.add("start", first, []) : steps.admin(host, "settle", {}, []);
  const joining = founds ? others : nodes;
  const starts = joining.map((node) => steps.add("start", node, founds ? [ready] : []));
  if (joining.length === 0) return;
  let last = ready;
  for (const [index, node] of joining.entries())
    last = steps.admin(node, "join", { to: host }, [starts[index] ?? ready, last]);
  last = steps.admin(host, "commit", { nodes: joining.join(",") }, [last]);
  steps.admin(host, "settle", {}, [last]);
}

/**
 * One after the other: each hands its partitions to those that stay. One beside the ring would say that all is done, and the
 * last member of the ring would go with everything it has.
 */
function planLeave(steps: Steps, nodes: readonly string[], members: readonly Member[]): void {
  let last: number | undefined;
  const host = servingMember(members.filter(isInside), nodes);
  if (host === undefined)
    throw new Error(`Cannot let ${nodes.join(", ")} leave: found no other that serves in the ring`);
  for (const node of nodes) {
    const settled = steps.admin(host, "settle", {}, last === undefined ? [] : [last]);
    const left = steps.admin(host, "leave", { node }, [settled]);
    last = steps.add("release", node, [steps.add("stop", node, [left])]);
  }
}

/**
 * A node only goes down while the ring is whole, so that at most one replica of anything is away. Those that are down already
 * come first: the ring gets whole by them.
 */
function planRestart(steps: Steps, nodes: readonly string[], members: readonly Member[]): void {
  const serving = members.filter(({ state }) => state === "serving").map(({ node }) => node);
  const down = nodes.filter((node) => !serving.includes(node));
  const gate = servingMember(members, nodes) ?? servingMember(members, []);
  let last = gate === undefined || down.length > 0 ? undefined : steps.admin(gate, "settle", {}, []);
  for (const node of [...down, ...nodes.filter((other) => serving.includes(other))]) {
    const stopped = steps.add("stop", node, last === undefined ? [] : [last]);
    last = steps.admin(node, "settle", {}, [steps.add("start", node, [stopped])]);
  }
}

/**
 * Marked down first: a ring with a member that does not answer makes no plans, and only a dead one can be marked, so that
 * nothing is begun while the old node lives. It clears what is staged when the dead node was the claimant.
 */
function planReplace(steps: Steps, { node, old }: { node: string; old: string }, members: readonly Member[]): void {
  const host = servingMember(members, [node, old]);
  if (host === undefined) {
    refuseIfRing(`replace ${old}`, members, [node, old]);
    steps.add("release", old, [steps.add("start", node, [])]);
    return;
  }
  refuseFromBeside(`replace ${old}`, host, old, members);
  const marked = steps.admin(host, "down", { node: old }, []);
  const started = steps.add("start", node, [marked]);
  const joined = steps.admin(node, "join", { to: host }, [started]);
  const replaced = steps.admin(host, "force-replace", { old, node }, [joined]);
  const settled = steps.admin(host, "settle", {}, [replaced]);
  steps.add("release", old, [settled]);
}

function planForceRemove(steps: Steps, node: string, members: readonly Member[]): void {
  const host = servingMember(members, [node]);
  if (host === undefined) refuseIfRing(`remove ${node}`, members, [node]);
  const lives = members.some((member) => member.node === node && member.state !== "absent");
  const stopped = lives ? [steps.add("stop", node, [])] : [];
  const removed = host === undefined ? stopped : [steps.admin(host, "force-remove", { node }, stopped)];
  steps.add("release", node, removed);
}

/** Only a member that serves can change a ring of more than these `nodes`. */
function refuseIfRing(what: string, members: readonly Member[], nodes: readonly string[]): void {
  const rest = members.filter((member) => member.joined && member.lost !== true && !nodes.includes(member.node));
  const names = rest.map(({ node }) => node).join(", ");
  if (rest.length > 0) throw new Error(`Cannot ${what}: found none of ${names} serving, wanted one`);
}

/** A node beside the ring would begin another one, with nothing in it, while the ring's last member may come back with everything. */
function refuseFromBeside(what: string, host: string, last: string, members: readonly Member[]): void {
  const inside = members.filter(isInside).map(({ node }) => node);
  if (!inside.includes(host) && inside.includes(last))
    throw new Error(`Cannot ${what}: found no other that serves in the ring, and its own data is not lost`);
}

/**
 * The first that serves in the ring and is none of `besides`. What a node beside the ring is asked to do to the ring it does
 * to nobody, and says that it is done. Only where nobody in the ring can come back, those beside it are all that is left: then
 * always the same one is asked, or there would be two rings.
 */
function servingMember(members: readonly Member[], besides: readonly string[]): string | undefined {
  const others = inOrder(members).filter(({ node, joined }) => joined && !besides.includes(node));
  const inside = others.filter(isInside);
  const beside = others.filter(({ lost }) => lost !== true).slice(0, 1);
  return (inside.length > 0 ? inside : beside).find(({ state }) => state === "serving")?.node;
}

/** Whether the node is in the ring and may serve there, now or later. */
function isInside({ joined, outside, lost }: Member): boolean {
  return joined && outside !== true && lost !== true;
}

const inOrder = remembered((members: readonly Member[]): readonly Member[] =>
  members.toSorted((a, b) => numberOf(a) - numberOf(b)),
);

function numberOf(member: Member): number {
  return Number(/\d+$/.exec(member.node)?.[0] ?? 0);
}
