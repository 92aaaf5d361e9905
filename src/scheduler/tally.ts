// How often each value of a field occurs among rows that come and go: agents that still take a node, places of a cluster.

/** What constraints are about, of an agent or a place. */
export type Fields = Readonly<Record<string, string>>;

export class Tally {
  readonly #rows: () => Iterable<Fields>;
  readonly #counts = new Map<string, Map<string, number>>();

  /** `rows`: what there is now; asked once for every field that somebody wants to know. */
  constructor(rows: () => Iterable<Fields>) {
    this.#rows = rows;
  }

  /** How many rows have each value of the field. */
  of(field: string): ReadonlyMap<string, number> {
    const known = this.#counts.get(field);
    if (known !== undefined) return known;
    const counts = new Map<string, number>();
    for (const row of this.#rows()) count(counts, row[field], 1);
    this.#counts.set(field, counts);
    return counts;
  }

  /** A row has come (`by` 1) or gone (`by` -1); what `rows` gives has changed by it already. */
  change(row: Fields, by: 1 | -1): void {
    for (const [field, counts] of this.#counts) count(counts, row[field], by);
  }
}

function count(counts: Map<string, number>, value: string | undefined, by: number): void {
  if (value === undefined) return;
  const sum = (counts.get(value) ?? 0) + by;
  if (sum === 0) counts.delete(value);
  else counts.set(value, sum);
}
