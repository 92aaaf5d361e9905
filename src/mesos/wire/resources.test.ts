// Resources on their way through protobuf: what an offer has goes back into an operation byte by byte the same.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Resource } from "../resources.ts";
import { v1 } from "./protobuf.ts";
import { resourcesFromWire, resourceToWire } from "./resources.ts";

const { SCALAR, RANGES, SET } = v1.Value.Type;

/** As it comes from Mesos: encoded and decoded. */
function received(resource: v1.Resource.$Properties): v1.Resource.$Properties {
  return v1.Resource.decode(v1.Resource.encode(resource).finish());
}

function there(resource: v1.Resource.$Properties): readonly Resource[] {
  return resourcesFromWire([received(resource)]);
}

const anyText = fc.string({ maxLength: 8 });
const anyLabels = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 8 }).filter((key) => key !== "__proto__"),
  anyText,
  { maxKeys: 3 },
);
const optional = { requiredKeys: [] as [] };
const anyReservation = fc
  .tuple(
    fc.constantFrom("STATIC" as const, "DYNAMIC" as const),
    anyText,
    anyLabels,
    fc.record({ principal: anyText }, optional),
  )
  .map(([type, role, labels, more]) => ({ type, role, labels, ...more }));
const someLabels = anyLabels.filter((labels) => Object.keys(labels).length > 0);
const anySource = fc
  .oneof(
    fc.tuple(
      fc.constantFrom("PATH" as const, "MOUNT" as const),
      fc.record({ root: anyText, id: anyText, profile: anyText, vendor: anyText, metadata: someLabels }, optional),
    ),
    fc.tuple(
      fc.constantFrom("BLOCK" as const, "RAW" as const),
      fc.record({ id: anyText, profile: anyText, vendor: anyText, metadata: someLabels }, optional),
    ),
  )
  .map(([type, more]) => ({ type, ...more }));
const anyVolume = fc
  .tuple(anyText, anyText, fc.record({ principal: anyText }, optional))
  .map(([id, containerPath, more]) => ({ id, containerPath, ...more }));
const anyRange = fc.tuple(fc.nat(65_535), fc.nat(1000)).map(([begin, more]) => ({ begin, end: begin + more }));
const anyAmount: fc.Arbitrary<Pick<Resource, "scalar"> | Pick<Resource, "ranges">> = fc.oneof(
  fc.record({ scalar: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }) }),
  fc.record({ ranges: fc.array(anyRange, { maxLength: 3 }) }),
);
const anyResource: fc.Arbitrary<Resource> = fc
  .tuple(
    anyText,
    anyAmount,
    fc.array(anyReservation, { maxLength: 3 }),
    fc.record({ allocatedTo: anyText, volume: anyVolume, source: anySource, providerId: anyText }, optional),
  )
  .map(([name, amount, reservations, more]) => ({ name, reservations, ...amount, ...more }));

test("Any resource comes back as it went, in the same bytes", () => {
  fc.assert(
    fc.property(anyResource, (resource) => {
      const wire = resourceToWire(resource);
      expect(there(wire)).toEqual([resource]);
      expect(v1.Resource.encode(received(wire)).finish()).toEqual(v1.Resource.encode(wire).finish());
    }),
  );
});

test("Only the stack of reservations is written, never role and reservation", () => {
  const resource: Resource = {
    name: "disk",
    scalar: 100.125,
    reservations: [
      { type: "STATIC", role: "a", labels: {} },
      { type: "DYNAMIC", role: "a/b", principal: "p", labels: { k: "v" } },
    ],
    allocatedTo: "a/b",
    volume: { id: "volume-1", principal: "p", containerPath: "data" },
    source: { type: "MOUNT", root: "/disk1" },
  };
  expect(received(resourceToWire(resource))).toEqual({
    name: "disk",
    type: SCALAR,
    scalar: { value: 100.125 },
    allocation_info: { role: "a/b" },
    reservations: [
      { type: v1.Resource.ReservationInfo.Type.STATIC, role: "a" },
      {
        type: v1.Resource.ReservationInfo.Type.DYNAMIC,
        role: "a/b",
        principal: "p",
        labels: { labels: [{ key: "k", value: "v" }] },
      },
    ],
    disk: {
      persistence: { id: "volume-1", principal: "p" },
      volume: { mode: v1.Volume.Mode.RW, container_path: "data" },
      source: { type: v1.Resource.DiskInfo.Source.Type.MOUNT, mount: { root: "/disk1" } },
    },
  } as v1.Resource);
});

describe("An offer's resource is left alone when it is", () => {
  const cpus = { name: "cpus", type: SCALAR, scalar: { value: 1 }, reservations: [], allocation_info: { role: "r" } };
  const dynamic = { type: v1.Resource.ReservationInfo.Type.DYNAMIC, role: "r" };
  const { RO, RW } = v1.Volume.Mode;
  test("(all but these are not)", () => {
    expect(there(cpus)).toEqual([{ name: "cpus", scalar: 1, reservations: [], allocatedTo: "r" }]);
  });
  test.each<readonly [string, v1.Resource.$Properties]>([
    ["revocable", { ...cpus, revocable: {} }],
    ["shared", { ...cpus, shared: {} }],
    ["a set", { name: "zones", type: SET, set: { item: ["a"] } }],
    ["of a type without its value", { name: "ports", type: RANGES, scalar: { value: 1 } }],
    ["reserved in the old format", { ...cpus, role: "r", reservation: { principal: "p" } }],
    [
      "reserved with a label that has no value",
      { ...cpus, reservations: [{ ...dynamic, labels: { labels: [{ key: "k" }] } }] },
    ],
    [
      "reserved with two labels of one key",
      {
        ...cpus,
        reservations: [
          {
            ...dynamic,
            labels: {
              labels: [
                { key: "k", value: "1" },
                { key: "k", value: "2" },
              ],
            },
          },
        ],
      },
    ],
    ["reserved with an empty list of labels", { ...cpus, reservations: [{ ...dynamic, labels: {} }] }],
    ["reserved in an unknown way", { ...cpus, reservations: [{ role: "r" }] }],
    [
      "a read-only volume",
      { ...cpus, name: "disk", disk: { persistence: { id: "v" }, volume: { mode: RO, container_path: "c" } } },
    ],
    [
      "a volume of the host",
      {
        ...cpus,
        name: "disk",
        disk: { persistence: { id: "v" }, volume: { mode: RW, container_path: "c", host_path: "/h" } },
      },
    ],
    [
      "a disk of unknown source",
      { ...cpus, name: "disk", disk: { source: { type: v1.Resource.DiskInfo.Source.Type.UNKNOWN } } },
    ],
    ["more than we know", { ...cpus, $unknowns: [Buffer.from([0xa2, 0x06, 0x01, 0x78])] }],
  ])("%s", (_, resource) => {
    expect(there(resource)).toEqual([]);
  });
});
