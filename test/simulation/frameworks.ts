// The frameworks of a simulated master as far as they are ours: the ids it has given, and those that it has removed.
export class Frameworks {
  /** The one that is, or was last, subscribed. */
  id: string | undefined;
  /** All ids that were ever given. */
  readonly given = new Set<string>();
  /** Ids whose removal a scheduler was told of. */
  readonly told = new Set<string>();
  /** Only in the master's memory: another master that comes to lead knows nothing of them. */
  readonly #removed = new Set<string>();

  /** Lets a framework in, under a new id when it has none. Undefined: it was removed. */
  admit(id: string | undefined): string | undefined {
    if (id !== undefined && this.#removed.has(id)) {
      this.told.add(id);
      return undefined;
    }
    this.id = id ?? `f-${this.given.size + 1}`;
    this.given.add(this.id);
    return this.id;
  }

  remove(id: string): void {
    this.#removed.add(id);
  }

  isRemoved(id: string): boolean {
    return this.#removed.has(id);
  }

  failOver(): void {
    this.#removed.clear();
  }
}
