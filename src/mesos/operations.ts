// Offer operations as plain data.
import type { Resource } from "./resources.ts";
import type { TaskInfo } from "./task.ts";

/** `id`: asks the agent to report the operation's outcome (agents of Mesos 1.8 and later). */
export type Operation =
  | { readonly type: "reserve"; readonly resources: readonly Resource[]; readonly id?: string }
  | { readonly type: "unreserve"; readonly resources: readonly Resource[]; readonly id?: string }
  | { readonly type: "create"; readonly volumes: readonly Resource[]; readonly id?: string }
  | { readonly type: "destroy"; readonly volumes: readonly Resource[]; readonly id?: string }
  | { readonly type: "launch"; readonly tasks: readonly TaskInfo[] };
