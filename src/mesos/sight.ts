// What the master's operator API (v1, as JSON) tells of agents, tasks and frameworks, as plain data.
import type { Labels, Range } from "./resources.ts";

/** All that one reservation holds on an agent. */
export type ReservationSight = {
  readonly role: string;
  readonly labels: Labels;
  readonly cpus: number;
  readonly memMb: number;
  readonly diskMb: number;
  readonly ports: readonly Range[];
  /** Ids of its persistent volumes. */
  readonly volumes: readonly string[];
};

export type AgentSight = {
  readonly id: string;
  readonly hostname: string;
  /** Whether it takes part: connected, and not deactivated by an operator. */
  readonly active: boolean;
  /** "DRAINING" or "DRAINED" where an operator drains it. */
  readonly draining?: string;
  /** Dynamic ones, by the labels of their last level. */
  readonly reservations: readonly ReservationSight[];
};

export type TaskSight = {
  readonly id: string;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly state: string;
};

export type FrameworkSight = { readonly id: string; readonly name: string; readonly active: boolean };

/** One look at a master. Tasks and frameworks that have ended are not in it. */
export type Sight = {
  readonly agents: readonly AgentSight[];
  readonly tasks: readonly TaskSight[];
  readonly frameworks: readonly FrameworkSight[];
};

/** The answer to GET_AGENTS. */
export function readAgents(answer: unknown): readonly AgentSight[] {
  return list(at(answer, "get_agents", "agents")).map((agent) => {
    const draining = at(agent, "drain_info", "state");
    return {
      id: text(agent, "agent_info", "id", "value"),
      hostname: text(agent, "agent_info", "hostname"),
      active: at(agent, "active") === true && at(agent, "deactivated") !== true,
      ...(typeof draining === "string" ? { draining } : {}),
      reservations: readReservations(list(at(agent, "total_resources"))),
    };
  });
}

/** The answer to GET_TASKS: those that run, and those whose agent is out of sight. */
export function readTasks(answer: unknown): readonly TaskSight[] {
  const found = at(answer, "get_tasks");
  return [...list(at(found, "tasks")), ...list(at(found, "unreachable_tasks"))].map((task) => ({
    id: text(task, "task_id", "value"),
    frameworkId: text(task, "framework_id", "value"),
    agentId: text(task, "agent_id", "value"),
    state: text(task, "state"),
  }));
}

/** The answer to GET_FRAMEWORKS. */
export function readFrameworks(answer: unknown): readonly FrameworkSight[] {
  return list(at(answer, "get_frameworks", "frameworks")).map((framework) => ({
    id: text(framework, "framework_info", "id", "value"),
    name: text(framework, "framework_info", "name"),
    active: at(framework, "active") === true,
  }));
}

function readReservations(resources: readonly unknown[]): readonly ReservationSight[] {
  const found = new Map<string, ReservationSight>();
  for (const resource of resources) {
    const last = list(at(resource, "reservations")).at(-1);
    if (last === undefined || at(last, "type") !== "DYNAMIC") continue;
    const entries = list(at(last, "labels", "labels")).map(
      (label) => [text(label, "key"), text(label, "value")] as const,
    );
    const labels = Object.fromEntries(entries);
    const role = text(last, "role");
    const key = JSON.stringify([role, entries]);
    const before = found.get(key) ?? { role, labels, cpus: 0, memMb: 0, diskMb: 0, ports: [], volumes: [] };
    found.set(key, withResource(before, resource));
  }
  return [...found.values()];
}

function withResource(before: ReservationSight, resource: unknown): ReservationSight {
  const value = Number(at(resource, "scalar", "value") ?? 0);
  const add = (had: number): number => Math.round((had + value) * 1000) / 1000;
  switch (text(resource, "name")) {
    case "cpus":
      return { ...before, cpus: add(before.cpus) };
    case "mem":
      return { ...before, memMb: add(before.memMb) };
    case "disk": {
      const id = at(resource, "disk", "persistence", "id");
      const volumes = typeof id === "string" ? [...before.volumes, id] : before.volumes;
      return { ...before, diskMb: add(before.diskMb), volumes };
    }
    case "ports": {
      const ranges = list(at(resource, "ranges", "range")).map((range) => ({
        begin: Number(at(range, "begin")),
        end: Number(at(range, "end")),
      }));
      return { ...before, ports: [...before.ports, ...ranges] };
    }
    default:
      return before;
  }
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Reflect.get(found, name);
  }
  return found;
}

function text(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === "string" ? found : "";
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
