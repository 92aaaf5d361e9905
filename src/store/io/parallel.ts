// The same work on many things, a limited number of them at a time.

/** `work` of every item in the items' order, at most `limit` of them under way. The first failure ends it. */
export async function mapParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < items.length; from += limit) {
    results.push(...(await Promise.all(items.slice(from, from + limit).map(work))));
  }
  return results;
}
