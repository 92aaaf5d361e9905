// The order of starts and the seed lists of a ring.
import { describe, expect, test } from "bun:test";
import type { ClusterSpec } from "../cluster.ts";
import type { Member } from "../node.ts";
import { mayStart, seedsFor } from "./ring.ts";

const SPEC: ClusterSpec = {
  name: "demo",
  database: "cassandra",
  version: "5.0.4",
  nodes: 4,
  resources: { cpus: 1, memMb: 4096, diskMb: 20_480 },
  package: { uri: "file:///cassandra.tar.gz" },
  ports: {},
  constraints: [],
  datacenter: "dc1",
  env: {},
  settings: {},
};

/** `text`: a letter for each node from 1. Capital: has joined. a: absent, s: starting, v: serving. */
function ring(text: string): readonly Member[] {
  return text.split("").map((letter, index) => ({
    node: `ringmaster-demo-${index + 1}`,
    hostname: `host${index + 1}`,
    rack: "rack1",
    ports: { storage: 7000 + index },
    joined: letter === letter.toUpperCase(),
    state: ({ a: "absent", s: "starting", v: "serving" } as const)[letter.toLowerCase() as "a" | "s" | "v"],
  }));
}

function wait(text: string, number: number, spec: ClusterSpec = SPEC): string | undefined {
  const members = ring(text);
  const reason = mayStart(spec, members, members[number - 1]!);
  return reason && `${reason.check}: ${reason.found} (${reason.wanted})`;
}

function seeds(text: string, number: number, spec: ClusterSpec = SPEC): readonly string[] {
  const members = ring(text);
  return seedsFor(spec, members.toReversed(), members[number - 1]!);
}

describe("a node may start", () => {
  test.each<readonly [string, number, string | undefined]>([
    ["aaaa", 1, undefined],
    ["aaaa", 2, 'seeds: first seed node "ringmaster-demo-1" has no process (it has founded the ring)'],
    ["saaa", 2, 'seeds: first seed node "ringmaster-demo-1" is starting (it has founded the ring)'],
    ["Vaaa", 2, undefined],
    ["Vaaa", 3, 'seeds: seed node "ringmaster-demo-2" has no process (every seed node serves)'],
    ["Vsaa", 3, 'joining: node "ringmaster-demo-2" is joining (one joining node at a time)'],
    ["VSaa", 3, 'seeds: seed node "ringmaster-demo-2" is starting (every seed node serves)'],
    ["VVaa", 3, undefined],
    ["VVaa", 4, undefined],
    ["VVsa", 4, 'joining: node "ringmaster-demo-3" is joining (one joining node at a time)'],
    ["VVAa", 4, 'members: node "ringmaster-demo-3" has no process (every member serves while a node joins)'],
    // A seed that lost its volume joins anew: it waits for the members, not for itself.
    ["aVVV", 1, undefined],
    ["aVSV", 1, 'members: node "ringmaster-demo-3" is starting (every member serves while a node joins)'],
    // What has joined before only comes back, whatever the others do.
    ["AAAA", 3, undefined],
    ["SVsA", 4, undefined],
  ])("ring %s, node %i: %p", (text, number, expected) => {
    expect(wait(text, number)).toEqual(expected);
  });

  test("in a ring of three seeds only when all three serve", () => {
    const spec = { ...SPEC, settings: { seeds: 3 } };
    expect(wait("VVaa", 4, spec)).toEqual(
      'seeds: seed node "ringmaster-demo-3" has no process (every seed node serves)',
    );
    expect(wait("VVVa", 4, spec)).toBeUndefined();
    // One that can never serve is no seed.
    const lost = ring("VaVa").map((member, index) => (index === 1 ? { ...member, lost: true as const } : member));
    expect(mayStart(SPEC, lost, lost[3]!)).toBeUndefined();
    expect(seedsFor(SPEC, lost, lost[3]!)).toEqual(["host1:7000", "host3:7002"]);
    // One that has left is no seed any more.
    const members = ring("AVVVa").map((member, index) =>
      index === 0 ? { ...member, outside: true as const } : member,
    );
    expect(mayStart({ ...SPEC, nodes: 4, settings: { seeds: 3 } }, members, members[4]!)).toBeUndefined();
  });

  test("in the order of the numbers, not of the letters", () => {
    const members = ring("aaaaaaaaaa");
    expect(
      mayStart(
        { ...SPEC, nodes: 10 },
        members.toSorted((a, b) => (a.node < b.node ? 1 : -1)),
        members[0]!,
      ),
    ).toBeUndefined();
  });
});

describe("a node finds its ring by", () => {
  test.each<readonly [string, number, readonly string[]]>([
    ["aaaa", 1, ["host1:7000"]],
    // A seed in its own list would not bootstrap.
    ["Vaaa", 2, ["host1:7000"]],
    ["VVaa", 3, ["host1:7000", "host2:7001"]],
    ["VVVA", 4, ["host1:7000", "host2:7001"]],
    ["VAaa", 2, ["host1:7000", "host2:7001"]],
    ["aVVV", 1, ["host2:7001"]],
    ["aaVV", 1, ["host3:7002", "host4:7003"]],
  ])("ring %s, node %i: %p", (text, number, expected) => {
    expect(seeds(text, number)).toEqual(expected);
  });

  test("never by one that has lost its place", () => {
    const members = ring("VVVa").map((member, index) =>
      index === 0 ? { ...member, hostname: "", ports: {} } : member,
    );
    expect(seedsFor(SPEC, members, members[3]!)).toEqual(["host2:7001"]);
  });
});

describe("a node that takes another's place", () => {
  /** `ring`, the last node of which takes the place of this one. */
  function replacing(text: string, number: number): readonly Member[] {
    return ring(text).map((member, index, all) =>
      index === all.length - 1 ? { ...member, replaces: `ringmaster-demo-${number}` } : member,
    );
  }

  test("waits for no other to serve, since those who do have what it needs; only for its turn to join", () => {
    const wanted = (members: readonly Member[]): string | undefined => mayStart(SPEC, members, members.at(-1)!)?.found;
    expect(wanted(replacing("AVVa", 1))).toBeUndefined();
    expect(wanted(replacing("AVAa", 1))).toBeUndefined();
    expect(wanted(replacing("VVAVa", 4))).toBeUndefined();
    expect(wanted(replacing("Aa", 1))).toBeUndefined();
    // A seed that has never joined waits for every member to serve, the dead one included.
    expect(wanted(replacing("VaAVa", 3))).toBeUndefined();
    expect(wanted(replacing("VsAVa", 3))).toBe('node "ringmaster-demo-2" is joining');
    // One that never joined had nothing that could be taken over.
    expect(wanted(replacing("VVAaa", 4))).toBe('node "ringmaster-demo-3" has no process');
  });

  test("is no seed of its own, nor is the dead one, also when that was a seed", () => {
    const members = replacing("AVVa", 1);
    expect(seedsFor(SPEC, members, members[3]!)).toEqual(["host2:7001", "host3:7002"]);
    // Others take the new seeds over when they start.
    expect(seedsFor(SPEC, members, members[2]!)).toEqual(["host2:7001", "host3:7002"]);
  });

  test("founds a ring anew where there is nobody else", () => {
    const members = replacing("Aa", 1);
    expect(seedsFor(SPEC, members, members[1]!)).toEqual(["host2:7001"]);
  });
});
