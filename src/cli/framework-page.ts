// The framework as a page for people.
import type { FrameworkView } from "../databases/api.ts";
import type { Page } from "./page.ts";
import { timeText } from "./tables.ts";

export function frameworkPage(view: FrameworkView): Page {
  const { removed, clusters, leftovers } = view;
  const rows = leftovers.map((left) => [
    left.node,
    left.hostname,
    left.reservation,
    timeText(left.since),
    left.waitsFor,
  ]);
  const hint =
    view.status === "removed"
      ? ['Mesos has ended all its tasks; volumes are kept. "ringmaster framework register" starts it again on them.']
      : [];
  return [
    `framework ${view.name}`,
    `status: ${view.status}`,
    `mesos: ${view.mesos}`,
    `role: ${view.role}`,
    `id: ${view.frameworkId ?? "-"}`,
    `former ids: ${view.formerIds.join(", ") || "-"}`,
    ...(removed === undefined ? [] : [`removed: ${timeText(removed.at)} "${removed.message}"`]),
    `clusters: ${clusters.map(({ name, activePlans }) => [name, ...activePlans].join(" ")).join(", ") || "none"}`,
    ...(rows.length === 0
      ? ["to be given back: nothing"]
      : [[["NODE", "HOSTNAME", "RESERVATION", "SINCE", "WAITS FOR"], ...rows]]),
    ...hint,
  ];
}

/** What is left while the framework is uninstalled, in one line. */
export function leftText({ status, clusters, leftovers }: FrameworkView): string {
  if (status === "uninstalled") return "the framework is uninstalled";
  const names = clusters.map(({ name }) => name).join(", ");
  const hosts = [...new Set(leftovers.map(({ hostname }) => hostname))].join(", ");
  const reservations = leftovers.length === 0 ? "no reservation" : `${leftovers.length} reservations on ${hosts}`;
  return `left: ${names === "" ? "no cluster" : `clusters ${names}`}, ${reservations}`;
}
