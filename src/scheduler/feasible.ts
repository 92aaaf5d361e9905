// May this node go to this agent? An ordered list of one-screen checks, cheap first; all run, so that every reason is known.
import type { ClusterSpec, Constraint } from "../databases/cluster.ts";
import { constraintText } from "../databases/constraints.ts";
import type { Offer } from "../mesos/offer.ts";
import { countPorts, containsPort, type Free } from "../mesos/resources.ts";
import type { Reason } from "../std/reason.ts";
import { remembered } from "../std/remembered.ts";
import { unreachable } from "../std/assert.ts";
import type { Fields } from "./tally.ts";

/** What one agent offers in one round: Mesos may split it over several offers. */
export type AgentOffer = {
  readonly agentId: string;
  readonly hostname: string;
  readonly offers: readonly Offer[];
  /** Unreserved resources. */
  readonly free: Free;
  /** What constraints are about; see `Place.fields`. */
  readonly fields: Fields;
};

/** What a new node needs of an agent. */
export type Need = {
  readonly cpus: number;
  readonly memMb: number;
  readonly diskMb: number;
  readonly fixedPorts: Readonly<Record<string, number>>;
  /** How many ports it takes besides. */
  readonly morePorts: number;
};

/** What the checks look at besides the offer: a cluster just before one more node of it gets a place. */
export type Scene = {
  readonly spec: ClusterSpec;
  readonly need: Need;
  /** How many places of the cluster have each value of a field. */
  readonly placed: (field: string) => ReadonlyMap<string, number>;
  /** Values of a field that agents have which still take a node. */
  readonly offered: (field: string) => Iterable<string>;
  /** The rack that the node has to be in, if it has to. */
  readonly rack?: string;
  readonly nowMs: number;
};

type Check = (agent: AgentOffer, scene: Scene) => readonly Reason[];

const CHECKS: readonly Check[] = [checkScalars, checkPorts, checkMaintenance, checkRack, checkConstraints];

/** Whether the node may go to this agent. */
export function isFeasible(agent: AgentOffer, scene: Scene): boolean {
  return CHECKS.every((check) => check(agent, scene).length === 0);
}

/** Every reason why the node cannot go to this agent; empty: it can. */
export function infeasible(agent: AgentOffer, scene: Scene): readonly Reason[] {
  return CHECKS.flatMap((check) => check(agent, scene));
}

function checkScalars(agent: AgentOffer, { need }: Scene): readonly Reason[] {
  const rows = [
    ["cpus", agent.free.cpus, need.cpus, ""],
    ["mem", agent.free.memMb, need.memMb, " MB"],
    ["disk", agent.free.diskMb, need.diskMb, " MB"],
  ] as const;
  return rows
    .filter(([, found, wanted]) => found < wanted)
    .map(([check, found, wanted, unit]) => ({
      check,
      found: `${found}${unit} unreserved`,
      wanted: `at least ${wanted}${unit}`,
    }));
}

function checkPorts(agent: AgentOffer, { need }: Scene): readonly Reason[] {
  const fixed = Object.entries(need.fixedPorts);
  const missing = fixed.filter(([, port]) => !containsPort(agent.free.ports, port));
  const reasons = missing.map(([name, port]) => ({
    check: `port ${name}`,
    found: "not in the offer",
    wanted: String(port),
  }));
  const wanted = fixed.length + need.morePorts;
  const found = countPorts(agent.free.ports);
  return found < wanted
    ? [...reasons, { check: "ports", found: String(found), wanted: `at least ${wanted}` }]
    : reasons;
}

/** An agent that is to go down gets nothing new, however far off the day is. */
function checkMaintenance(agent: AgentOffer, { nowMs }: Scene): readonly Reason[] {
  for (const { unavailability } of agent.offers) {
    if (unavailability === undefined) continue;
    const endMs =
      unavailability.durationMs === undefined ? Infinity : unavailability.startMs + unavailability.durationMs;
    if (endMs <= nowMs) continue;
    const startText = `maintenance in ${Math.max(0, Math.round((unavailability.startMs - nowMs) / 1000))} s`;
    return [{ check: "maintenance", found: startText, wanted: "an agent with none planned" }];
  }
  return [];
}

/** A rack attribute that an agent lacks leaves the rack of its nodes open; data must not lie where nobody knows. */
function checkRack(agent: AgentOffer, { spec, rack }: Scene): readonly Reason[] {
  const attribute = spec.rackAttribute;
  if (attribute === undefined) return [];
  const found = agent.fields[attribute];
  if (found !== undefined && rack !== undefined && found !== rack)
    return [{ check: "rack", found: `"${found}"`, wanted: `"${rack}", that of the node whose place it takes` }];
  if (found !== undefined) return [];
  return [{ check: "rack", found: `no ${attribute}`, wanted: `an agent with ${attribute}` }];
}

function checkConstraints(agent: AgentOffer, scene: Scene): readonly Reason[] {
  return scene.spec.constraints.flatMap((constraint) => {
    const reason = violated(constraint, agent, scene);
    return reason === undefined ? [] : [{ check: constraintText(constraint), ...reason }];
  });
}

/** Host names are spelled "hostname" and "@hostname". */
function fieldOf(constraint: Constraint): string {
  return constraint.field === "@hostname" ? "hostname" : constraint.field;
}

/** How a constraint fails on an agent; Marathon's meaning of each operator. */
function violated(constraint: Constraint, agent: AgentOffer, scene: Scene): Omit<Reason, "check"> | undefined {
  const field = fieldOf(constraint);
  const value = agent.fields[field];
  const parameter = constraint.parameter ?? "";
  if (value === undefined)
    return constraint.operator === "UNLIKE" || constraint.operator === "IS_NOT"
      ? undefined
      : { found: `no ${field}`, wanted: `an agent with ${field}` };
  const placed = scene.placed(field);
  const same = placed.get(value) ?? 0;
  const found = `"${value}"`;
  switch (constraint.operator) {
    case "UNIQUE":
      return same === 0
        ? undefined
        : { found: `${found}, which has a node already`, wanted: `a ${field} without a node of this cluster` };
    case "CLUSTER": {
      const [first] = placed.keys();
      const home = constraint.parameter ?? first;
      return home === undefined || home === value ? undefined : { found, wanted: `"${home}"` };
    }
    case "MAX_PER":
      return same < Number(parameter)
        ? undefined
        : { found: `${found}, which has ${same} nodes`, wanted: `fewer than ${parameter} there` };
    case "GROUP_BY": {
      const limit = groupLimits(scene).get(constraint) ?? 0;
      return same <= limit
        ? undefined
        : { found: `${found}, which has ${same} nodes`, wanted: `a ${field} with at most ${limit}` };
    }
    case "LIKE":
      return patternOf(constraint).test(value) ? undefined : { found, wanted: `one like /${parameter}/` };
    case "UNLIKE":
      return patternOf(constraint).test(value) ? { found, wanted: `one unlike /${parameter}/` } : undefined;
    case "IS":
      return value === parameter ? undefined : { found, wanted: `"${parameter}"` };
    case "IS_NOT":
      return value === parameter ? { found, wanted: `another than "${parameter}"` } : undefined;
    default:
      return unreachable(constraint.operator);
  }
}

const patternOf = remembered(({ parameter }: Constraint) => new RegExp(`^(?:${parameter ?? ""})$`, "u"));

const groupLimits = remembered((scene: Scene): ReadonlyMap<Constraint, number> => {
  const groupings = scene.spec.constraints.filter(({ operator }) => operator === "GROUP_BY");
  return new Map(groupings.map((constraint) => [constraint, groupLimit(constraint, scene)]));
});

/** Nodes that a group may have already and still get one more: the emptiest known group's; 0 until the wanted groups exist. */
function groupLimit(constraint: Constraint, scene: Scene): number {
  const field = fieldOf(constraint);
  const placed = scene.placed(field);
  const emptiest = (values: Iterable<string>): number =>
    [...values].reduce((least, value) => Math.min(least, placed.get(value) ?? 0), Infinity);
  if (constraint.parameter !== undefined)
    return placed.size < Number(constraint.parameter) ? 0 : emptiest(placed.keys());
  return Math.min(emptiest(placed.keys()), emptiest(scene.offered(field)));
}
