// A measured figure, and how it is printed: a table for people, a line of JSON each for programs.

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same measured on what we compare with, in the same run. */
  readonly peer?: number;
  /** `value / peer`. */
  readonly ratio?: number;
  /** The bound on the ratio, or on the value where there is no peer: "<= 1.15". */
  readonly goal: string;
};

/** A figure beside its peer's. */
export function against(name: string, value: number, peer: number, unit: string, goal: string): Figure {
  return { name, value, unit, peer, ratio: value / peer, goal };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? Number.NaN)) / 2 : upper;
}

/** Whether the figure keeps within its goal. */
function isMet({ value, ratio, goal }: Figure): boolean {
  const [, sign, bound] = /^(<=|>=) ([\d.]+)$/.exec(goal) ?? [];
  if (sign === undefined) throw new Error(`Cannot read goal "${goal}": wanted "<= NUMBER" or ">= NUMBER"`);
  const measured = ratio ?? value;
  return sign === "<=" ? measured <= Number(bound) : measured >= Number(bound);
}

function rounded(value: number | undefined): string {
  return value === undefined ? "-" : Number(value.toPrecision(4)).toString();
}

/** The figures as aligned columns. */
export function table(figures: readonly Figure[]): string {
  const head = ["FIGURE", "VALUE", "UNIT", "PEER", "RATIO", "GOAL", "MET"];
  const rows = figures.map((figure) => [
    figure.name,
    rounded(figure.value),
    figure.unit,
    rounded(figure.peer),
    rounded(figure.ratio),
    figure.goal,
    isMet(figure) ? "yes" : "NO",
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
