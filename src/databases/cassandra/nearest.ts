// Finds the known word that an operator probably meant.

/** The word with the fewest single-letter edits from `wrong`, when it is close enough to be worth telling. */
export function nearest(wrong: string, words: Iterable<string>): string | undefined {
  const limit = Math.max(1, Math.floor(wrong.length / 4));
  let best: string | undefined;
  let bestEdits = limit + 1;
  for (const word of words) {
    if (Math.abs(word.length - wrong.length) >= bestEdits) continue;
    const edits = editsBetween(wrong.toLowerCase(), word.toLowerCase());
    if (edits < bestEdits) [best, bestEdits] = [word, edits];
  }
  return best;
}

/** Levenshtein's distance, row by row. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
