// Resources of an agent as the simulated master and agents count them, written apart from the product's own arithmetic.
import type { Resource } from "../../src/mesos/resources.ts";

type Amount = { readonly sample: Resource; milli: number; readonly ports: Set<number> | undefined };

/** Resources by what they are: name, reservations, volume. */
export class Bag {
  readonly #amounts = new Map<string, Amount>();

  static of(resources: readonly Resource[]): Bag {
    const bag = new Bag();
    bag.add(resources);
    return bag;
  }

  copy(): Bag {
    const copy = new Bag();
    for (const [key, { sample, milli, ports }] of this.#amounts)
      copy.#amounts.set(key, { sample, milli, ports: ports === undefined ? undefined : new Set(ports) });
    return copy;
  }

  add(resources: readonly Resource[]): void {
    for (const resource of resources) {
      const key = keyOf(resource);
      let amount = this.#amounts.get(key);
      if (amount === undefined) {
        amount = { sample: resource, milli: 0, ports: resource.ranges === undefined ? undefined : new Set() };
        this.#amounts.set(key, amount);
      }
      amount.milli += milliOf(resource);
      for (const port of portsOf(resource)) amount.ports?.add(port);
    }
  }

  /** Whether all of it is here. */
  has(resources: readonly Resource[]): boolean {
    const wanted = Bag.of(resources);
    for (const [key, { milli, ports, sample }] of wanted.#amounts) {
      const found = this.#amounts.get(key);
      if (found === undefined || found.milli < milli) return false;
      if (sample.volume !== undefined && found.milli !== milli) return false;
      for (const port of ports ?? []) if (found.ports?.has(port) !== true) return false;
    }
    return true;
  }

  /** Takes away what is here of it. */
  remove(resources: readonly Resource[]): void {
    for (const resource of resources) {
      const key = keyOf(resource);
      const amount = this.#amounts.get(key);
      if (amount === undefined) continue;
      amount.milli = Math.max(0, amount.milli - milliOf(resource));
      for (const port of portsOf(resource)) amount.ports?.delete(port);
      if (amount.milli === 0 && (amount.ports === undefined || amount.ports.size === 0)) this.#amounts.delete(key);
    }
  }

  get isEmpty(): boolean {
    return this.#amounts.size === 0;
  }

  list(): readonly Resource[] {
    return [...this.#amounts.values()].map(({ sample, milli, ports }) =>
      ports === undefined ? { ...sample, scalar: milli / 1000 } : { ...sample, ranges: rangesOf(ports) },
    );
  }
}

function keyOf({ name, reservations, volume }: Resource): string {
  let key = name;
  for (const { role, labels } of reservations) {
    key += `|${role}`;
    for (const label of Object.keys(labels).sort()) key += `,${label}=${labels[label]}`;
  }
  return volume === undefined ? key : `${key}|${volume.id}`;
}

function milliOf({ scalar }: Resource): number {
  return Math.round((scalar ?? 0) * 1000);
}

function* portsOf({ ranges }: Resource): Generator<number> {
  for (const { begin, end } of ranges ?? []) for (let port = begin; port <= end; port++) yield port;
}

function rangesOf(ports: ReadonlySet<number>): { begin: number; end: number }[] {
  const ranges: { begin: number; end: number }[] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last.end === port - 1) last.end = port;
    else ranges.push({ begin: port, end: port });
  }
  return ranges;
}
