// What the scheduler knows: the records that it keeps in the store, and what it may forget at a restart.
import type { ClusterSpec } from "../databases/cluster.ts";
import type { StepSketch } from "../databases/database.ts";
import type { NodeFailure } from "../databases/node.ts";
import type { ExecutorInfo } from "../mesos/task.ts";
import type { Seed } from "../std/random.ts";
import type { Reason } from "../std/reason.ts";
import { remembered } from "../std/remembered.ts";
import type { Kill } from "./kills.ts";

/** Schema version of every record below. */
export const SCHEMA = 1;

/** Record `framework`. */
export type FrameworkRecord = {
  readonly schema: number;
  readonly name: string;
  /** Given by Mesos at the first subscription, and at the first one after the framework was registered again. */
  readonly frameworkId?: string;
  /** Ids that Mesos has removed; reservations that carry one of them are still ours. */
  readonly formerIds?: readonly string[];
  /** Set when Mesos has removed the framework, until it is registered again. */
  readonly removed?: { readonly atMs: number; readonly message: string };
  /** Set when all is to go: the clusters, then their reservations, then the framework. */
  readonly uninstall?: { readonly sinceMs: number; readonly force: boolean };
  /** The Mesos role that everything is reserved for. */
  readonly role?: string;
  /** No launch had this number or a greater one yet. Numbers are parts of task, executor and reservation ids, which so never repeat. */
  readonly launches: number;
  /** Secret that executors want to hear before they answer. */
  readonly token: string;
};

/** Record `clusters/<name>`. */
export type ClusterRecord = {
  readonly schema: number;
  readonly spec: ClusterSpec;
  readonly createdMs: number;
  /** Number of the next node; a number is never used twice. */
  readonly nextNode: number;
  /** No plan had this number or a greater one yet. */
  readonly nextPlan: number;
  /** Grows with every change of the spec that nodes take over by a restart. */
  readonly config: number;
  /** "removed": a remove plan is at work, nothing is started any more. */
  readonly goal: "running" | "removed";
};

/**
 * Our state of a node.
 * - "waiting": has no place yet.
 * - "launching": the launch is saved and sent; Mesos has not said anything.
 * - "starting", "running": as its task. "unreachable": its agent is out of sight, the process may well live.
 * - "stopping": killed by a plan, not ended yet. "stopped": ended by a plan, its volume is kept.
 * - "down": ended by itself; to be launched again on its volume.
 * - "lost": its data is gone (agent gone, volume empty): only a replacement helps.
 * - "releasing": its volume and reservation are being given back.
 */
export type NodePhase =
  | "waiting"
  | "launching"
  | "starting"
  | "running"
  | "unreachable"
  | "stopping"
  | "stopped"
  | "down"
  | "lost"
  | "releasing";

/** What is reserved on an agent for one node, the executor's and the admin tasks' share included. */
export type Footprint = {
  readonly cpus: number;
  readonly memMb: number;
  readonly diskMb: number;
  readonly ports: Readonly<Record<string, number>>;
};

/** Where a node's reservation and volume are. */
export type Place = {
  readonly agentId: string;
  readonly hostname: string;
  /** Reservation id: the label that marks every resource of this reservation. */
  readonly reservation: string;
  /** Persistence id of the volume. */
  readonly volume: string;
  readonly footprint: Footprint;
  /** What constraints are about: "hostname", "@region", "@zone" and every attribute of the agent. */
  readonly fields: Readonly<Record<string, string>>;
};

export type Failure = {
  readonly atMs: number;
  readonly state: string;
  readonly message: string;
  readonly kind?: NodeFailure;
};

/** Record `nodes/<id>`. */
export type NodeRecord = {
  readonly schema: number;
  /** `<framework>-<cluster>-<number>`. */
  readonly id: string;
  readonly cluster: string;
  readonly number: number;
  readonly phase: NodePhase;
  readonly sinceMs: number;
  readonly place?: Place;
  /** The task that may be alive: set before the launch is sent, gone with the terminal status. */
  readonly task?: {
    readonly taskId: string;
    readonly executor: ExecutorInfo;
    /** Its executor says again and again that the node runs; those of earlier releases did not. */
    readonly repeats?: true;
  };
  /** Set with a launch until its executor is heard of: before that nothing of the node need be at its place. */
  readonly unheard?: true;
  /** The cluster's `config` that the present or last task was launched with. */
  readonly config: number;
  /** Fixed with the first place; a database's data belongs to its rack. */
  readonly rack?: string;
  /** Its address, as its executor has said it. */
  readonly address?: string;
  /** The node whose place it takes: its id, where its cluster port was in the ring, and the rack that it has to be in. */
  readonly replaces?: { readonly node: string; readonly at?: string; readonly rack?: string };
  /** The node that takes its place. */
  readonly replacedBy?: string;
  /** Its ring goes on without it, or is about to: it never starts again, since it would take its part of the ring back. */
  readonly expelled?: true;
  /** An operator ended its replacement: it does not begin again by itself. */
  readonly keep?: true;
  /** Which volume of this node the present one is, from 1. */
  readonly generation: number;
  /** Whether the node was a full member once, so that its volume holds data. */
  readonly joined: boolean;
  /** Set while the node, which has served, is not known to be in its ring: its join has not ended, or it has left it. */
  readonly outside?: "joining" | "left";
  /** Set when a task has ended that may have marked the present volume, heard of or not: data is expected there from then on. */
  readonly begun?: true;
  /** False while the running node's probes fail. */
  readonly healthy: boolean;
  /** Set while a plan is about to stop the running node: until then its clients may finish, and no new ones come. */
  readonly drainUntilMs?: number;
  /** Failures in a row; the next start waits until `retryAtMs`. */
  readonly failures: number;
  readonly retryAtMs: number;
  readonly lastFailure?: Failure;
};

/** "replace" waits until a node may be replaced; the steps that do it are added then. */
export type StepType = StepSketch["type"] | "replace" | "forget";
export type StepStatus = "pending" | "running" | "done";

export type Step = {
  readonly type: StepType;
  /** Node id; "forget" has none: it is about the cluster. */
  readonly node?: string;
  /** Of "admin": what the database is asked for. */
  readonly operation?: string;
  readonly args?: Readonly<Record<string, string>>;
  /** Indexes of the steps that must be done before this one. */
  readonly after: readonly number[];
  readonly status: StepStatus;
  readonly startedMs?: number;
  readonly endedMs?: number;
  /** Of "admin": the task that may be at work; set before its launch is sent. */
  readonly task?: { readonly taskId: string; readonly agentId: string };
  /** Of "admin": how often its task failed in a row, and when the next is due. */
  readonly trouble?: { readonly failures: number; readonly retryAtMs: number; readonly last: Failure };
};

export type PlanKind =
  | "deploy"
  | "recover"
  | "remove"
  | "add"
  | "leave"
  | "restart"
  | "configure"
  | "stop"
  | "start"
  | "replace"
  | "maintain"
  | "operate";

/** Record `plans/<id>`: an operator's command or a failure, as steps that survive the scheduler. */
export type PlanRecord = {
  readonly schema: number;
  /** `<cluster>-<kind>-<number>`. */
  readonly id: string;
  readonly kind: PlanKind;
  readonly cluster: string;
  readonly status: "running" | "done" | "aborted";
  readonly createdMs: number;
  readonly endedMs?: number;
  readonly steps: readonly Step[];
};

/** Record `leftovers/<reservation>`: a reservation of ours that no node keeps; given back as soon as its agent offers it. */
export type LeftoverRecord = {
  readonly schema: number;
  readonly node: string;
  readonly cluster: string;
  readonly place: Place;
  readonly sinceMs: number;
  /** False: whether Mesos ever made the reservation is unknown; forgotten when it does not show up. */
  readonly certain: boolean;
  /** It has no volume: should there be one all the same, it is left alone. */
  readonly bare?: true;
  /** The release under way: its operation id, when it was sent. */
  readonly operation?: { readonly id: string; readonly sentMs: number };
};

/** Record `maintenance/<agent id>`: a window that operators of Mesos were promised the agent for. */
export type MaintenanceRecord = Pick<Window, "startMs" | "durationMs"> & {
  readonly schema: number;
  readonly agentId: string;
};

/** A time in which operators of Mesos want an agent for themselves, and what they were told. */
export type Window = {
  /** Id of the inverse offer. */
  readonly id: string;
  readonly startMs: number;
  /** Absent: for ever. */
  readonly durationMs?: number;
  readonly isAccepted: boolean;
  /** Why it was refused. */
  readonly reasons: readonly Reason[];
  /** When Mesos asked last; `Infinity` for a promise of an earlier scheduler, until Mesos may ask again. */
  readonly askedMs: number;
};

export type ClusterState = { readonly record: ClusterRecord; readonly nodes: ReadonlyMap<string, NodeRecord> };

/** Why the offers of late did not do for a node: by agent id, bounded. */
export type Explanation = {
  readonly agents: ReadonlyMap<string, { readonly hostname: string; readonly reasons: readonly Reason[] }>;
};

/** What the operator fixed by flags; constant while the scheduler runs. */
export type Settings = {
  readonly role: string;
  readonly principal?: string;
  /** Where agents fetch this binary from. */
  readonly artifactUri: string;
  /** How long clients of a node may finish before a plan stops it. */
  readonly drainMs: number;
  /** How long an agent may be out of sight before its nodes are replaced; undefined: for ever. */
  readonly permanentAfterMs?: number;
  /** The store's URL, where agents can reach the store too. */
  readonly sharedStore?: string;
};

export type State = {
  readonly settings: Settings;
  readonly framework: FrameworkRecord;
  readonly clusters: ReadonlyMap<string, ClusterState>;
  readonly plans: ReadonlyMap<string, PlanRecord>;
  readonly leftovers: ReadonlyMap<string, LeftoverRecord>;
  /** Windows that Mesos has asked for on agents with nodes of ours, by agent id; only those that were accepted are stored. */
  readonly maintenance: ReadonlyMap<string, Window>;
  // From here on: not stored, rebuilt after a restart.
  /** The number of the next launch. */
  readonly nextLaunch: number;
  /** The number of the next plan by cluster, once there was one; before that its record has it. */
  readonly nextPlans: ReadonlyMap<string, number>;
  readonly seed: Seed;
  readonly connected: boolean;
  /** When the present subscription began. */
  readonly subscribedMs: number;
  /** Whether agents report the outcome of operations (Mesos 1.8 and later). */
  readonly operationFeedback: boolean;
  /** Tasks whose state Mesos has not told since the subscription, by task id. While any is left no offer is used. */
  readonly unreconciled: ReadonlySet<string>;
  readonly reconcile: { readonly attempt: number; readonly nextMs: number };
  /** Kills to repeat until the task has ended, by task id. */
  readonly kills: ReadonlyMap<string, Kill>;
  readonly offers: OfferFlow;
  readonly explanations: ReadonlyMap<string, Explanation>;
  /** Since when everything that executors say is heard here, and when time passed last. */
  readonly listening: { readonly sinceMs: number; readonly tickMs: number };
  /** When a node's executor said something last, by node id. */
  readonly heard: ReadonlyMap<string, number>;
  /** What a node's executor said last while it was starting, by node id. */
  readonly messages: ReadonlyMap<string, string>;
  /** When the last TEARDOWN was sent. */
  readonly teardownMs: number;
  /** Tasks and reservations with our mark that no record knows: shown, never touched. By id. */
  readonly orphans: ReadonlyMap<
    string,
    { readonly type: "task" | "reservation"; readonly hostname: string; readonly seenMs: number }
  >;
};

/** Our side of the offer conversation. */
export type OfferFlow = {
  /** Whether Mesos was asked to send none. */
  readonly suppressed: boolean;
  /** Keys of the wants that the last revive was for: a new one is a reason for another. */
  readonly revivedFor: ReadonlySet<string>;
  readonly revivedMs: number;
  /** Revives left, and since when they are counted: a bucket that fills slowly. */
  readonly tokens: number;
  readonly tokensMs: number;
  readonly lastOfferMs?: number;
  /** Offers whose answer Mesos perhaps never got: declined again with the next tick, or they would be held for ever. */
  readonly unanswered: readonly string[];
};

/** The part of the state that is in the store. */
export type Records = Pick<State, "framework" | "clusters" | "plans" | "leftovers" | "maintenance">;

/** State of a scheduler that starts with what the store has. */
export function initialState(settings: Settings, seed: Seed, records: Records): State {
  return {
    settings,
    ...records,
    nextLaunch: records.framework.launches,
    nextPlans: new Map(),
    seed,
    connected: false,
    subscribedMs: 0,
    operationFeedback: false,
    unreconciled: new Set(),
    reconcile: { attempt: 0, nextMs: 0 },
    kills: new Map(),
    listening: { sinceMs: 0, tickMs: 0 },
    heard: new Map(),
    offers: {
      suppressed: false,
      revivedFor: new Set(),
      revivedMs: 0,
      tokens: REVIVE_TOKENS,
      tokensMs: 0,
      unanswered: [],
    },
    explanations: new Map(),
    messages: new Map(),
    teardownMs: -Infinity,
    orphans: new Map(),
  };
}

/** Revives that may come in a burst. */
export const REVIVE_TOKENS = 100;

/** Every id that the framework has had, the present one first: what carries one of them is ours. */
export function frameworkIds({ frameworkId, formerIds = [] }: FrameworkRecord): readonly string[] {
  return frameworkId === undefined ? formerIds : [frameworkId, ...formerIds];
}

/** The cluster's name in a node id; node ids are `<framework>-<cluster>-<number>`. */
function clusterOf(framework: string, nodeId: string): string | undefined {
  const end = nodeId.lastIndexOf("-");
  if (!nodeId.startsWith(`${framework}-`) || end <= framework.length) return undefined;
  return nodeId.slice(framework.length + 1, end);
}

/** The node that a task id belongs to: task ids are `<node>.<launch>.<name>`. */
export function nodeOfTask(taskId: string): string | undefined {
  const match = /^(.+)\.\d+\.[^.]+$/.exec(taskId);
  return match?.[1];
}

/** The node record, looked up by its id. */
export function findNode(state: State, nodeId: string): NodeRecord | undefined {
  const cluster = clusterOf(state.framework.name, nodeId);
  return cluster === undefined ? undefined : state.clusters.get(cluster)?.nodes.get(nodeId);
}

/** The running plan and step that an admin task works for. */
export function findAdminStep(
  state: State,
  taskId: string,
): { readonly plan: PlanRecord; readonly index: number } | undefined {
  for (const plan of runningPlans(state)) {
    const index = plan.steps.findIndex(({ task }) => task?.taskId === taskId);
    if (index !== -1) return { plan, index };
  }
  return undefined;
}

/** All plans that are not finished. */
export function runningPlans({ plans }: State): readonly PlanRecord[] {
  return runningOf(plans);
}

const runningOf = remembered((plans: State["plans"]): readonly PlanRecord[] =>
  [...plans.values()].filter(({ status }) => status === "running"),
);

/** Plans of a cluster that are not finished. */
export function activePlans(state: State, cluster: string): readonly PlanRecord[] {
  return runningPlans(state).filter((plan) => plan.cluster === cluster);
}
