// Whether a change of a Riak bucket type can be done at all: one that cannot would be a plan that is tried again for ever.

/** Why not, from what the read "bucket-types" answers; undefined: Riak may be asked. */
export function bucketTypeRefusal(change: string, type: string, answer: unknown): string | undefined {
  const { bucket_types: list } = (answer ?? {}) as { readonly bucket_types?: unknown };
  if (!Array.isArray(list)) return `Cannot ${change} bucket type "${type}": found no list of types, wanted Riak's`;
  const types = list.map((each: unknown) => (each ?? {}) as { readonly id?: unknown; readonly active?: unknown });
  const found = types.find(({ id }) => id === type);
  if (change === "create") {
    // Riak takes another creation of one that is not active yet: its properties were not what was meant.
    if (found?.active !== true) return undefined;
    return `Cannot create bucket type "${type}": found it active already, wanted a new name (bucket-type update changes one)`;
  }
  if (found !== undefined) return undefined;
  const names = types.map(({ id }) => `"${String(id)}"`).join(", ");
  return `Cannot ${change} bucket type "${type}": found no such type, wanted one of ${names} (bucket-type create makes one)`;
}
