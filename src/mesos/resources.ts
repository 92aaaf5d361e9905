// Mesos resources as plain data, and the arithmetic over them that placement needs.
import { assert } from "../std/assert.ts";

/** Both ends included. */
export type Range = { readonly begin: number; readonly end: number };

export type Labels = Readonly<Record<string, string>>;

/** One level of a reservation (Mesos' reservation refinement keeps a stack of them). */
export type Reservation = {
  readonly type: "STATIC" | "DYNAMIC";
  readonly role: string;
  readonly principal?: string;
  readonly labels: Labels;
};

/** Where a disk comes from when it is not the agent's root disk. */
export type DiskSource = {
  readonly type: "PATH" | "MOUNT" | "BLOCK" | "RAW";
  readonly root?: string;
  readonly id?: string;
  readonly profile?: string;
  readonly vendor?: string;
  readonly metadata?: Labels;
};

export type Volume = { readonly id: string; readonly principal?: string; readonly containerPath: string };

/** A resource as an offer has it and an operation names it. Exactly one of `scalar` and `ranges` is set. */
export type Resource = {
  readonly name: string;
  readonly scalar?: number;
  readonly ranges?: readonly Range[];
  /** Outermost first, as Mesos stacks them. Empty: unreserved. */
  readonly reservations: readonly Reservation[];
  /** Role that the offer's resources are allocated to. */
  readonly allocatedTo?: string;
  readonly volume?: Volume;
  readonly source?: DiskSource;
  readonly providerId?: string;
};

/**
 * Which resources are meant: the unreserved ones, or those whose last reservation carries all of these labels. Neither
 * volumes nor disks with a source of their own: they cannot be cut to size.
 */
export type Pool = "unreserved" | Labels;

/** How much there is in a pool. */
export type Free = {
  readonly cpus: number;
  readonly memMb: number;
  readonly diskMb: number;
  readonly ports: readonly Range[];
};

/** How much to take out of a pool: amounts, these very ports, and the lowest `morePorts` others. */
export type Amounts = {
  readonly cpus: number;
  readonly memMb: number;
  readonly diskMb: number;
  readonly ports: readonly number[];
  readonly morePorts?: number;
};

/** Mesos counts scalars in thousandths; so do we, or 0.1 + 0.2 would not fit into 0.3. */
function thousandths(value: number): number {
  return Math.round(value * 1000);
}

/** a - b as Mesos computes it: to three decimals. */
function minus(a: number, b: number): number {
  return (thousandths(a) - thousandths(b)) / 1000;
}

/** The same numbers in as few ranges as possible, ascending. */
function mergeRanges(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const last = merged.at(-1);
    if (last === undefined || range.begin > last.end + 1) merged.push(range);
    else merged[merged.length - 1] = { begin: last.begin, end: Math.max(last.end, range.end) };
  }
  return merged;
}

/** What is in `ranges` and not in `gone`. */
export function subtractRanges(ranges: readonly Range[], gone: readonly Range[]): readonly Range[] {
  return gone.reduce(
    (left, hole) =>
      left.flatMap((range) => {
        if (hole.end < range.begin || hole.begin > range.end) return [range];
        return [
          { begin: range.begin, end: hole.begin - 1 },
          { begin: hole.end + 1, end: range.end },
        ].filter(({ begin, end }) => begin <= end);
      }),
    mergeRanges(ranges),
  );
}

/** How many numbers the ranges hold. */
export function countPorts(ranges: readonly Range[]): number {
  return mergeRanges(ranges).reduce((sum, { begin, end }) => sum + end - begin + 1, 0);
}

export function containsPort(ranges: readonly Range[], port: number): boolean {
  return ranges.some(({ begin, end }) => begin <= port && port <= end);
}

/** The lowest `count` ports that are not `used`, fewer where there are not as many. */
export function lowestPorts(
  ranges: readonly Range[],
  count: number,
  used: ReadonlySet<number> = new Set(),
): readonly number[] {
  const ports: number[] = [];
  for (const { begin, end } of mergeRanges(ranges)) {
    for (let port = begin; port <= end && ports.length < count; port++) if (!used.has(port)) ports.push(port);
  }
  return ports;
}

/** Does `labels` have all of `wanted`? */
function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** Is the resource's last reservation one with these labels (and perhaps others)? */
export function isReserved(resource: Resource, labels: Labels): boolean {
  const last = resource.reservations.at(-1);
  return last !== undefined && hasLabels(last.labels, labels);
}

function inPool(resource: Resource, pool: Pool): boolean {
  if (resource.volume !== undefined || resource.source !== undefined) return false;
  return pool === "unreserved" ? resource.reservations.length === 0 : isReserved(resource, pool);
}

/** What `resources` (of one agent, from any number of its offers) hold in the pool. */
export function free(resources: readonly Resource[], pool: Pool): Free {
  const mine = resources.filter((resource) => inPool(resource, pool));
  const scalar = (name: string): number =>
    mine.reduce((sum, r) => sum + (r.name === name ? thousandths(r.scalar ?? 0) : 0), 0) / 1000;
  const ports = mine.flatMap((r) => (r.name === "ports" ? (r.ranges ?? []) : []));
  return { cpus: scalar("cpus"), memMb: scalar("mem"), diskMb: scalar("disk"), ports: mergeRanges(ports) };
}

/**
 * Cuts the amounts out of the pool. `taken` keeps reservations and allocation of what it was cut from; `rest` is all that
 * remains, other pools and volumes included. Undefined when the pool does not hold as much.
 */
export function take(
  resources: readonly Resource[],
  pool: Pool,
  amounts: Amounts,
): { readonly taken: readonly Resource[]; readonly rest: readonly Resource[] } | undefined {
  const all = free(resources, pool).ports;
  const fixed = amounts.ports.map((port) => ({ begin: port, end: port }));
  const more = lowestPorts(subtractRanges(all, fixed), amounts.morePorts ?? 0);
  if (countPorts(fixed) !== fixed.length || more.length < (amounts.morePorts ?? 0)) return undefined;

  const scalars: Record<string, number> = { cpus: amounts.cpus, mem: amounts.memMb, disk: amounts.diskMb };
  let ports = mergeRanges([...fixed, ...more.map((port) => ({ begin: port, end: port }))]);
  const taken: Resource[] = [];
  const rest: Resource[] = [];
  for (const resource of resources) {
    if (!inPool(resource, pool)) {
      rest.push(resource);
    } else if (resource.name === "ports" && resource.ranges !== undefined) {
      const left = subtractRanges(resource.ranges, ports);
      const cut = subtractRanges(resource.ranges, left);
      ports = subtractRanges(ports, cut);
      if (cut.length > 0) taken.push({ ...resource, ranges: cut });
      if (left.length > 0) rest.push({ ...resource, ranges: left });
    } else {
      const cut = Math.min(resource.scalar ?? 0, scalars[resource.name] ?? 0);
      scalars[resource.name] = minus(scalars[resource.name] ?? 0, cut);
      const left = minus(resource.scalar ?? 0, cut);
      if (cut > 0) taken.push({ ...resource, scalar: cut });
      if (left > 0 || cut === 0) rest.push(cut > 0 ? { ...resource, scalar: left } : resource);
    }
  }
  const missing = Object.values(scalars).some((amount) => amount > 0) || ports.length > 0;
  return missing ? undefined : { taken, rest };
}

/** The resources with one more reservation on top. */
export function reserved(resources: readonly Resource[], reservation: Reservation): readonly Resource[] {
  return resources.map((resource) => ({ ...resource, reservations: [...resource.reservations, reservation] }));
}

/** A reserved disk as the persistent volume that a CREATE makes of it. */
export function asVolume(disk: Resource, volume: Volume): Resource {
  assert(
    disk.name === "disk" && disk.volume === undefined,
    () => `volume "${volume.id}" needs a disk that is none yet`,
  );
  return { ...disk, volume };
}

/** The disk that remains of a volume after a DESTROY; any other resource as it is. */
export function withoutVolume(resource: Resource): Resource {
  const { volume: _gone, ...disk } = resource;
  return disk;
}
