// Resources between protobuf and plain data. What comes out of an offer goes back into an operation byte by byte the same,
// because Mesos finds the resources of an operation in the offer by comparing all of their fields.
import type { DiskSource, Labels, Reservation, Resource } from "../resources.ts";
import { enumName, maybe, own, present, v1 } from "./protobuf.ts";

type WireResource = v1.Resource.$Properties;
type WireSource = v1.Resource.DiskInfo.Source.$Properties;

const { RW } = v1.Volume.Mode;

export function labelsToWire(labels: Labels): v1.Labels.$Properties | null {
  const entries = Object.entries(labels);
  return entries.length === 0 ? null : { labels: entries.map(([key, value]) => ({ key, value })) };
}

/** Of labels with the same key the last one stays. */
export function labelsFromWire(labels: v1.Labels.$Properties | null | undefined): Labels {
  return Object.fromEntries((labels?.labels ?? []).map((label) => [label.key, label.value ?? ""]));
}

function reservationToWire(reservation: Reservation): v1.Resource.ReservationInfo.$Properties {
  return {
    type: v1.Resource.ReservationInfo.Type[reservation.type],
    role: reservation.role,
    principal: reservation.principal ?? null,
    labels: labelsToWire(reservation.labels),
  };
}

function reservationFromWire(reservation: v1.Resource.ReservationInfo.$Properties): Reservation {
  return present({
    type: reservation.type === v1.Resource.ReservationInfo.Type.STATIC ? ("STATIC" as const) : ("DYNAMIC" as const),
    role: reservation.role ?? "",
    principal: own(reservation, "principal"),
    labels: labelsFromWire(reservation.labels),
  });
}

function sourceToWire(source: DiskSource): WireSource {
  const root = source.root === undefined ? null : { root: source.root };
  return {
    type: v1.Resource.DiskInfo.Source.Type[source.type],
    path: source.type === "PATH" ? root : null,
    mount: source.type === "MOUNT" ? root : null,
    vendor: source.vendor ?? null,
    id: source.id ?? null,
    metadata: maybe(source.metadata, labelsToWire),
    profile: source.profile ?? null,
  };
}

function sourceFromWire(source: WireSource): DiskSource | undefined {
  const type = enumName(v1.Resource.DiskInfo.Source.Type, source.type);
  if (type === "UNKNOWN") return undefined;
  const rooted = own(source, "path") ?? own(source, "mount");
  const metadata = own(source, "metadata");
  return present({
    type,
    root: rooted && own(rooted, "root"),
    vendor: own(source, "vendor"),
    id: own(source, "id"),
    profile: own(source, "profile"),
    metadata: metadata && labelsFromWire(metadata),
  });
}

function diskToWire({ volume, source }: Resource): v1.Resource.DiskInfo.$Properties | null {
  if (volume === undefined && source === undefined) return null;
  return {
    persistence: maybe(volume, ({ id, principal }) => ({ id, principal: principal ?? null })),
    volume: maybe(volume, ({ containerPath }) => ({ mode: RW, container_path: containerPath })),
    source: maybe(source, sourceToWire),
  };
}

/**
 * A resource as an operation, a task or an executor carries it, in the format of frameworks with RESERVATION_REFINEMENT:
 * the stack of `reservations`, never `role` and `reservation`.
 */
export function resourceToWire(resource: Resource): WireResource {
  const { SCALAR, RANGES } = v1.Value.Type;
  return {
    provider_id: maybe(resource.providerId, (value) => ({ value })),
    name: resource.name,
    type: resource.scalar === undefined ? RANGES : SCALAR,
    scalar: maybe(resource.scalar, (value) => ({ value })),
    ranges: maybe(resource.ranges, (range) => ({ range: [...range] })),
    allocation_info: maybe(resource.allocatedTo, (role) => ({ role })),
    reservations: resource.reservations.map(reservationToWire),
    disk: diskToWire(resource),
  };
}

/**
 * The resource, or undefined for one that we leave alone: a revocable or shared one, a set, and whatever plain data cannot
 * hold exactly (host volumes, labels without a value, fields of a newer Mesos).
 */
function resourceFromWire(wire: WireResource): Resource | undefined {
  const disk = own(wire, "disk");
  const persistence = disk && own(disk, "persistence");
  const resource: Resource = present({
    name: wire.name,
    scalar: own(wire, "scalar")?.value,
    ranges: own(wire, "ranges")?.range?.map(({ begin, end }) => ({ begin, end })),
    reservations: (wire.reservations ?? []).map(reservationFromWire),
    allocatedTo: maybe(own(wire, "allocation_info"), (info) => own(info, "role")) ?? undefined,
    volume:
      persistence &&
      present({
        id: persistence.id,
        principal: own(persistence, "principal"),
        containerPath: disk.volume?.container_path ?? "",
      }),
    source: disk?.source ? sourceFromWire(disk.source) : undefined,
    providerId: own(wire, "provider_id")?.value,
  });
  const before = v1.Resource.encode(wire).finish();
  const after = v1.Resource.encode(resourceToWire(resource)).finish();
  return Buffer.compare(before, after) === 0 ? resource : undefined;
}

/** Those of the resources that we can use. */
export function resourcesFromWire(resources: readonly WireResource[] | null | undefined): readonly Resource[] {
  return (resources ?? []).map(resourceFromWire).filter((resource) => resource !== undefined);
}
