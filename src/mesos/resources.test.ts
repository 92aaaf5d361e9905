// Sums and cuts over resources: by example, and as laws over any resources.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  asVolume,
  containsPort,
  countPorts,
  free,
  isReserved,
  lowestPorts,
  type Pool,
  type Range,
  reserved,
  type Resource,
  subtractRanges,
  take,
  withoutVolume,
} from "./resources.ts";

const MINE = { owner: "me", node: "1" };
const OTHERS = { owner: "you" };

const scalar = (name: string, value: number, more: Partial<Resource> = {}): Resource => ({
  name,
  scalar: value,
  reservations: [],
  ...more,
});
const ports = (...ranges: (readonly [number, number])[]): Resource => ({
  name: "ports",
  ranges: ranges.map(([begin, end]) => ({ begin, end })),
  reservations: [],
});
const under = (labels: Record<string, string>, ...resources: readonly Resource[]): readonly Resource[] =>
  reserved(resources, { type: "DYNAMIC", role: "r", labels });

const VOLUME = { id: "v", containerPath: "data" };

/** One agent: something of each kind. */
const AGENT: readonly Resource[] = [
  scalar("cpus", 0.1),
  scalar("cpus", 0.2, { allocatedTo: "r" }),
  scalar("mem", 1024),
  scalar("disk", 500),
  scalar("disk", 9000, { source: { type: "MOUNT", root: "/disk1" } }),
  scalar("gpus", 1),
  ports([31000, 31004], [31010, 31010]),
  ...under(MINE, scalar("cpus", 1), scalar("mem", 64), ports([31005, 31006]), {
    ...scalar("disk", 100),
    volume: VOLUME,
  }),
  ...under(OTHERS, scalar("cpus", 4)),
];

describe("What there is", () => {
  test("unreserved: neither others' reservations nor disks that cannot be cut", () => {
    expect(free(AGENT, "unreserved")).toEqual({
      cpus: 0.3,
      memMb: 1024,
      diskMb: 500,
      ports: [
        { begin: 31000, end: 31004 },
        { begin: 31010, end: 31010 },
      ],
    });
  });

  test("under a reservation's labels: without the volume", () => {
    expect(free(AGENT, MINE)).toEqual({ cpus: 1, memMb: 64, diskMb: 0, ports: [{ begin: 31005, end: 31006 }] });
    expect(free(AGENT, { owner: "me" })).toEqual(free(AGENT, MINE));
    expect(free(AGENT, { owner: "nobody" })).toEqual({ cpus: 0, memMb: 0, diskMb: 0, ports: [] });
  });

  test("only the last reservation counts", () => {
    const [refined] = reserved(under(OTHERS, scalar("cpus", 1)), { type: "DYNAMIC", role: "r/s", labels: MINE });
    expect(refined && [isReserved(refined, MINE), isReserved(refined, OTHERS)]).toEqual([true, false]);
  });
});

describe("A cut", () => {
  test("takes amounts, the ports named and the lowest others", () => {
    const cut = take(AGENT, "unreserved", { cpus: 0.3, memMb: 24, diskMb: 500, ports: [31010, 31001], morePorts: 2 });
    expect(cut?.taken).toEqual([
      scalar("cpus", 0.1),
      scalar("cpus", 0.2, { allocatedTo: "r" }),
      scalar("mem", 24),
      scalar("disk", 500),
      ports([31000, 31002], [31010, 31010]),
    ]);
    expect(cut?.rest).toEqual([scalar("mem", 1000), ...AGENT.slice(4, 6), ports([31003, 31004]), ...AGENT.slice(7)]);
  });

  test("keeps the reservation of what it was cut from", () => {
    const cut = take(AGENT, MINE, { cpus: 0.25, memMb: 0, diskMb: 0, ports: [31006] });
    expect(cut?.taken).toEqual(under(MINE, scalar("cpus", 0.25), ports([31006, 31006])));
    expect(free(cut?.rest ?? [], MINE)).toEqual({
      cpus: 0.75,
      memMb: 64,
      diskMb: 0,
      ports: [{ begin: 31005, end: 31005 }],
    });
  });

  const NOTHING = { cpus: 0, memMb: 0, diskMb: 0, ports: [] };

  test.each([
    ["cpus", { ...NOTHING, cpus: 0.301 }],
    ["mem", { ...NOTHING, memMb: 1025 }],
    ["disk", { ...NOTHING, diskMb: 501 }],
    ["a port", { ...NOTHING, ports: [31005] }],
    ["a port twice", { ...NOTHING, ports: [31000, 31000] }],
    ["ports", { ...NOTHING, morePorts: 7 }],
    ["ports besides those named", { ...NOTHING, ports: [31000], morePorts: 6 }],
  ])("of more %s than there is does not come about", (_, amounts) => {
    expect(take(AGENT, "unreserved", amounts)).toBeUndefined();
  });
});

test("A disk becomes a volume and a disk again", () => {
  const [disk] = under(MINE, scalar("disk", 100));
  const volume = disk && asVolume(disk, VOLUME);
  expect(volume).toEqual({
    name: "disk",
    scalar: 100,
    reservations: [{ type: "DYNAMIC", role: "r", labels: MINE }],
    volume: VOLUME,
  });
  expect(volume && withoutVolume(volume)).toEqual(disk as Resource);
  expect(() => volume && asVolume(volume, VOLUME)).toThrow('volume "v" needs a disk that is none yet');
  expect(() => asVolume(scalar("mem", 1), VOLUME)).toThrow('volume "v" needs a disk that is none yet');
});

const anyRange = fc.tuple(fc.nat(40), fc.nat(6)).map(([begin, more]): Range => ({ begin, end: begin + more }));
const anyRanges = fc.array(anyRange, { maxLength: 6 });
const anyAmount = fc.integer({ min: 1, max: 100_000 }).map((thousandths) => thousandths / 1000);
const anyReservations = fc.constantFrom([], [{ type: "DYNAMIC" as const, role: "r", labels: MINE }]);
const anyResource: fc.Arbitrary<Resource> = fc.oneof(
  fc.record({ name: fc.constantFrom("cpus", "mem", "disk", "gpus"), scalar: anyAmount, reservations: anyReservations }),
  fc.record({
    name: fc.constant("ports"),
    ranges: fc.array(anyRange, { minLength: 1, maxLength: 4 }),
    reservations: anyReservations,
  }),
);

function numbers(ranges: readonly Range[]): ReadonlySet<number> {
  return new Set(ranges.flatMap(({ begin, end }) => Array.from({ length: end - begin + 1 }, (_, i) => begin + i)));
}

describe("Of any ranges", () => {
  test("a difference holds what a set's would, in ascending ranges apart from each other", () => {
    fc.assert(
      fc.property(anyRanges, anyRanges, (ranges, gone) => {
        const left = subtractRanges(ranges, gone);
        expect(numbers(left)).toEqual(numbers(ranges).difference(numbers(gone)));
        expect(left.every(({ begin, end }, i) => begin <= end && begin > (left[i - 1]?.end ?? -2))).toBe(true);
      }),
    );
  });

  test("count, membership and the lowest are those of a set", () => {
    fc.assert(
      fc.property(anyRanges, fc.nat(45), (ranges, port) => {
        const set = numbers(ranges);
        expect([countPorts(ranges), containsPort(ranges, port)]).toEqual([set.size, set.has(port)]);
        expect(lowestPorts(ranges, port)).toEqual([...set].sort((a, b) => a - b).slice(0, port));
      }),
    );
  });
});

test("Whatever is cut from any resources, nothing is lost and nothing is made", () => {
  const anyPool = fc.constantFrom<Pool[]>("unreserved", MINE);
  const disjoint = (resources: readonly Resource[]): readonly Resource[] =>
    resources.filter(({ name }, i) => name !== "ports" || resources.findIndex((r) => r.name === "ports") === i);
  fc.assert(
    fc.property(
      fc.array(anyResource, { maxLength: 8 }),
      anyPool,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
      (some, pool, parts) => {
        const resources = disjoint(some);
        const before = free(resources, pool);
        const part = (value: number, i: number): number => Math.floor(value * 1000 * (parts[i] ?? 0)) / 1000;
        const morePorts = Math.floor(countPorts(before.ports) * (parts[3] ?? 0));
        const amounts = {
          cpus: part(before.cpus, 0),
          memMb: part(before.memMb, 1),
          diskMb: part(before.diskMb, 2),
          ports: [],
          morePorts,
        };
        const cut = take(resources, pool, amounts);
        if (cut === undefined) throw new Error(`${JSON.stringify(amounts)} should fit`);
        const taken = free(cut.taken, pool);
        expect({ ...taken, ports: countPorts(taken.ports) }).toEqual({
          cpus: amounts.cpus,
          memMb: amounts.memMb,
          diskMb: amounts.diskMb,
          ports: morePorts,
        });
        expect(free([...cut.taken, ...cut.rest], pool)).toEqual(before);
        const other = pool === "unreserved" ? MINE : "unreserved";
        expect(free(cut.rest, other)).toEqual(free(resources, other));
        expect(take(resources, pool, { ...amounts, cpus: before.cpus + 0.001 })).toBeUndefined();
      },
    ),
  );
});
