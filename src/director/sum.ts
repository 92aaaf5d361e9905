// What several processes of one director say of themselves, as one.

/** 0 and 1 for yes and no, of which a sum would say nothing: yes is what all say. */
const ALL = new Set(["ringmaster_director_source_connected"]);

/** Metrics in Prometheus' text format: equal series are added up, what is said of them is said once. */
export function sumMetrics(texts: readonly string[]): string {
  const [first = ""] = texts;
  const sums = new Map<string, number>();
  for (const line of texts.flatMap((text) => text.split("\n"))) {
    const { series, value } = sampleOf(line) ?? {};
    if (series === undefined || value === undefined) continue;
    const before = sums.get(series);
    sums.set(series, before === undefined ? value : ALL.has(series) ? Math.min(before, value) : before + value);
  }
  const families = [...groups(texts)].map(([head, series]) =>
    [head, ...[...series].map((name) => `${name} ${sums.get(name)}`)].filter((line) => line !== "").join("\n"),
  );
  return first === "" ? "" : `${families.join("\n")}\n`;
}

function sampleOf(line: string): { readonly series: string; readonly value: number } | undefined {
  const at = line.lastIndexOf(" ");
  return line.startsWith("#") || at < 0 ? undefined : { series: line.slice(0, at), value: Number(line.slice(at + 1)) };
}

/** The series of each family, by the comments before them. */
function groups(texts: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const text of texts) {
    let comments: string[] = [];
    let group = new Set<string>();
    for (const line of text.split("\n")) {
      const sample = sampleOf(line);
      if (line.startsWith("#")) {
        if (comments.length === 0) group = new Set();
        comments.push(line);
      } else if (sample !== undefined) {
        if (comments.length > 0) {
          const head = comments.join("\n");
          group = found.get(head) ?? new Set();
          found.set(head, group);
          comments = [];
        }
        group.add(sample.series);
      }
    }
  }
  return found;
}

/** Numbers of these names are added up in /status; all else is the first process' word. */
const COUNTS = new Set(["actconn", "act_count", "pendconn", "waiting", "bound"]);

/** Answers of /status. Lists go by their order, which is the backends' in every process. */
export function sumStatus(answers: readonly unknown[]): unknown {
  return answers.length === 0 ? undefined : answers.reduce((sum, answer) => added(sum, answer, ""));
}

function added(one: unknown, other: unknown, name: string): unknown {
  if (typeof one === "number" && typeof other === "number") return COUNTS.has(name) ? one + other : one;
  if (Array.isArray(one) && Array.isArray(other)) {
    const others: readonly unknown[] = other;
    return one.map((each: unknown, index) => added(each, others[index], ""));
  }
  if (!isObject(one) || !isObject(other) || one.id !== other.id) return one;
  return Object.fromEntries(Object.entries(one).map(([key, value]) => [key, added(value, other[key], key)]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
