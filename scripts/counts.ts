// What `bun test` said: how many tests passed and failed, and what the failed ones printed.

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number };

export function sumCounts(all: readonly Counts[]): Counts {
  const sum = (of: (counts: Counts) => number): number => all.reduce((total, counts) => total + of(counts), 0);
  return { passed: sum((c) => c.passed), failed: sum((c) => c.failed), skipped: sum((c) => c.skipped) };
}

/** The line that a run ends with: `3 passed, 0 failed`, and `, 1 skipped` if any were. */
export function countsText({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/**
 * Counts of one `bun test`, from what it printed and its exit code. A run that ended without its closing lines, without any
 * test, or badly with no failed test, has one failure: it is never taken for a good one. (Bun itself counts a file that
 * throws while it loads as one failed test.)
 */
export function closingCounts(printed: string, exitCode: number): Counts {
  const lines = Bun.stripANSI(printed).split("\n");
  const end = lines.findLastIndex((line) => /^Ran \d+ tests? across \d+ files?\./.test(line));
  const closing = end === -1 ? [] : lines.slice(Math.max(0, end - 10), end);
  const count = (kind: RegExp): number => {
    const found = closing.findLast((line) => kind.test(line));
    return found === undefined ? 0 : Number.parseInt(found, 10);
  };
  const passed = count(/^ *\d+ pass$/);
  const failed = count(/^ *\d+ fail$/);
  const skipped = count(/^ *\d+ skip$/) + count(/^ *\d+ todo$/);
  const bad = exitCode !== 0 || passed + failed + skipped === 0;
  return { passed, failed: failed === 0 && bad ? 1 : failed, skipped };
}

/** Of a failed test at most these many lines and characters are said again. */
const REPEATED = { lines: 30, characters: 1500 };

/**
 * What of `printed` explains each failed test: its file, the lines between the test before and its own, shortened from the
 * front, and its own line.
 */
export function failuresIn(printed: string): readonly string[] {
  const failures: string[] = [];
  let file = "";
  let since: string[] = [];
  for (const line of Bun.stripANSI(printed).split("\n")) {
    if (/^\S+\.test\.ts:$/.test(line)) file = line;
    if (line.startsWith("(fail) ")) {
      const said = since.filter((text) => text.trim() !== "").slice(-REPEATED.lines);
      failures.push([file, said.join("\n").slice(-REPEATED.characters), line].filter((text) => text !== "").join("\n"));
    }
    if (/^\((pass|fail|skip|todo)\) /.test(line) || line === file) since = [];
    else since.push(line);
  }
  return failures;
}
