// The doctor's findings as a page for people.
import type { FindingView } from "../databases/api.ts";
import type { Page } from "./page.ts";

export function doctorPage(findings: readonly FindingView[]): Page {
  if (findings.length === 0) return ["Store, Mesos and databases agree"];
  return findings.flatMap((finding) => [...findingLines(finding), ""]).slice(0, -1);
}

/** What it is, why it matters, what to do. */
export function findingLines({ severity, id, what, why, advice, repair }: FindingView): readonly string[] {
  return [
    `${severity}: ${what}`,
    `  why it matters: ${why}`,
    `  what to do: ${advice}`,
    ...(repair === undefined ? [] : [`  --repair would: ${repair}`]),
    `  (${id})`,
  ];
}

/** Whether nothing but notes is left. */
export function isWell(findings: readonly FindingView[]): boolean {
  return findings.every(({ severity }) => severity === "info");
}
