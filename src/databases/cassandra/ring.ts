// The order in which Cassandra nodes may start, and by which nodes each finds its ring.
import type { Reason } from "../../std/reason.ts";
import { remembered } from "../../std/remembered.ts";
import type { ClusterSpec } from "../cluster.ts";
import type { Member } from "../node.ts";
import { settingsOf } from "./settings.ts";

/**
 * Undefined, or why `node` has to wait. Cassandra's rules: the first seed alone founds the ring; after that one node joins
 * at a time, seeds before others, and only while every member serves (a join streams from all replicas). One that takes a
 * dead member's place waits for no others: two that are dead would wait for each other. A node that has joined before only
 * comes back: it needs no turn.
 */
export function mayStart(spec: ClusterSpec, members: readonly Member[], node: Member): Reason | undefined {
  if (node.joined) return undefined;
  const { all, isFounded, joining: allJoining, away } = standingOf(members);
  if (!isFounded) {
    const founder = all[0];
    if (founder === undefined || founder.node === node.node) return undefined;
    return { check: "seeds", found: `first seed node ${described(founder)}`, wanted: "it has founded the ring" };
  }
  const joining = allJoining.find((member) => member.node !== node.node);
  if (joining !== undefined)
    return { check: "joining", found: `node "${joining.node}" is joining`, wanted: "one joining node at a time" };
  // It streams what the dead one had from whoever serves: Cassandra asks for no more of a replacement.
  const old = members.find((member) => member.node === node.replaces);
  if (old?.joined === true && old.outside !== true) return undefined;
  const seeds = seedMembers(spec, all);
  // A seed in the place of one that never joined may wait for this one as well.
  const isFree = node.replaces !== undefined || seeds.some((seed) => seed.node === node.node);
  const missingSeed = isFree ? undefined : seeds.find((seed) => !seed.joined || seed.state !== "serving");
  if (missingSeed !== undefined)
    return { check: "seeds", found: `seed node ${described(missingSeed)}`, wanted: "every seed node serves" };
  const down = away.find((member) => member.node !== node.node);
  if (down !== undefined)
    return { check: "members", found: `node ${described(down)}`, wanted: "every member serves while a node joins" };
  return undefined;
}

/**
 * host:port of the nodes that `node` finds its ring by. A node that stands in its own list does not bootstrap: it would
 * take its part of the ring without its data. So only the founder of a ring names itself before it has joined.
 */
export function seedsFor(spec: ClusterSpec, members: readonly Member[], node: Member): readonly string[] {
  const { all } = standingOf(members);
  const isKnown = (member: Member): boolean => member.joined && member.hostname !== "";
  const joined = all.filter((member) => isKnown(member) && (node.joined || member.node !== node.node));
  const seeds = seedMembers(spec, all).filter((seed) => joined.includes(seed));
  const chosen = seeds.length > 0 ? seeds : joined.slice(0, settingsOf(spec.settings).seeds);
  const founder = all[0] ?? node;
  return (chosen.length > 0 ? chosen : [founder]).map((seed) => `${seed.hostname}:${seed.ports["storage"]}`);
}

/** Without nodes whose place another is taking: nobody waits for them, and they are no seeds any more. */
function withoutReplaced(members: readonly Member[]): readonly Member[] {
  const replaced = new Set(members.map(({ replaces }) => replaces));
  return members.filter(({ node }) => !replaced.has(node));
}

function seedMembers(spec: ClusterSpec, inOrder: readonly Member[]): readonly Member[] {
  const inside = inOrder.filter(({ outside, lost, joined }) => outside !== true && (joined || lost !== true));
  return inside.slice(0, Math.min(settingsOf(spec.settings).seeds, spec.nodes));
}

/** What a node's turn depends on; every node of a cluster that waits asks for the same. */
const standingOf = remembered((members: readonly Member[]) => {
  const all = inOrder(withoutReplaced(members));
  return {
    all,
    isFounded: all.some(({ joined }) => joined),
    joining: all.filter(({ joined, state }) => !joined && state !== "absent"),
    away: all.filter(({ joined, state }) => joined && state !== "serving"),
  };
});

/** By the node's number: the lower ones are the seeds. One that has left is no member. */
const inOrder = remembered((members: readonly Member[]): readonly Member[] =>
  members
    .map((member) => (member.outside === true ? { ...member, joined: false } : member))
    .sort((a, b) => numberOf(a) - numberOf(b)),
);

function numberOf(member: Member): number {
  return Number(/\d+$/.exec(member.node)?.[0] ?? 0);
}

function described(member: Member): string {
  const doing = { absent: "has no process", starting: "is starting", serving: "serves but has not joined" };
  return `"${member.node}" ${doing[member.state]}`;
}
