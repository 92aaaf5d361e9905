// What the scheduler's HTTP API answers: the contract between scheduler, CLI and dashboard. Times are ISO 8601 in UTC.
import { z } from "zod";

const ReasonSchema = z
  .object({ check: z.string(), found: z.string(), wanted: z.string() })
  .describe("Why something is not done yet");

const FaultSchema = z
  .object({ path: z.string(), found: z.string(), wanted: z.string() })
  .describe("One wrong thing in an input");

/** Every error is one of these (RFC 9457, application/problem+json). */
export const ProblemSchema = z.object({
  type: z.literal("about:blank"),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  faults: z.array(FaultSchema),
});
export type Problem = z.infer<typeof ProblemSchema>;

export const NodeViewSchema = z.object({
  id: z.string(),
  cluster: z.string(),
  phase: z
    .string()
    .describe("waiting, launching, starting, running, unreachable, stopping, stopped, down, lost or releasing"),
  since: z.string(),
  healthy: z.boolean(),
  joined: z.boolean().describe("Whether it is a member of its ring, as far as is known"),
  hostname: z.string().optional(),
  agentId: z.string().optional(),
  rack: z.string().optional(),
  ports: z.record(z.string(), z.int()),
  taskId: z.string().optional(),
  failures: z.int().describe("Failures in a row"),
  replaceDue: z.string().optional().describe("From when on another node takes its place, as things are"),
  replaces: z.string().optional().describe("The node whose place it takes or took"),
  replacedBy: z.string().optional().describe("The node that takes its place"),
  lastFailure: z.object({ at: z.string(), state: z.string(), message: z.string() }).optional(),
  maintenance: z
    .object({
      start: z.string(),
      end: z.string().optional(),
      accepted: z.boolean(),
      reasons: z.array(ReasonSchema).describe("Why it was refused"),
    })
    .optional()
    .describe("A time in which operators of Mesos want the node's agent"),
});
export type NodeView = z.infer<typeof NodeViewSchema>;

export const NodesViewSchema = z.object({ nodes: z.array(NodeViewSchema) });

export const ClusterViewSchema = z.object({
  name: z.string(),
  database: z.string(),
  version: z.string(),
  status: z
    .enum(["deploying", "running", "degraded", "removing"])
    .describe("deploying: a plan starts nodes for the first time. degraded: not all nodes run"),
  created: z.string(),
  nodesWanted: z.int(),
  nodesRunning: z.int(),
  activePlans: z.array(z.string()),
  spec: z.record(z.string(), z.unknown()).describe("What was asked for, defaults filled in"),
});
export type ClusterView = z.infer<typeof ClusterViewSchema>;

export const ClustersViewSchema = z.object({ clusters: z.array(ClusterViewSchema) });

const StepViewSchema = z.object({
  name: z.string().describe('What it does, e.g. "start ringmaster-demo-1"'),
  type: z.string(),
  operation: z.string().optional(),
  node: z.string().optional(),
  status: z.enum(["pending", "running", "done"]),
  started: z.string().optional(),
  ended: z.string().optional(),
  seconds: z.number().optional().describe("How long it took, or takes so far"),
  waitsFor: z.array(ReasonSchema).describe("Empty: nothing, it is being worked on or done"),
  agents: z
    .array(z.object({ agentId: z.string(), hostname: z.string(), reasons: z.array(ReasonSchema) }))
    .describe(
      "Why agents that offered of late will not do, one by one; at most 200 in one answer, shared among its steps",
    ),
  refused: z
    .object({
      agents: z.int(),
      reasons: z.array(ReasonSchema.extend({ agents: z.int() })).describe("Of each, one example of what was found"),
    })
    .optional()
    .describe("How many agents that offered of late will not do, and how many of them for which reason"),
});

export const PlanViewSchema = z.object({
  id: z.string(),
  kind: z
    .string()
    .describe("deploy, recover, remove, add, leave, restart, configure, stop, start, replace, maintain or operate"),
  cluster: z.string(),
  status: z.enum(["running", "done", "aborted"]),
  created: z.string(),
  ended: z.string().optional(),
  steps: z.array(StepViewSchema),
  next: z.string().optional().describe("What a person may want to do after it"),
});
export type PlanView = z.infer<typeof PlanViewSchema>;
export type StepView = PlanView["steps"][number];

export const PlansViewSchema = z.object({ plans: z.array(PlanViewSchema) });

export const EndpointsViewSchema = z.object({
  cluster: z.string(),
  database: z.string(),
  endpoints: z.record(z.string(), z.array(z.string())).describe("host:port of the nodes that serve, by port name"),
  nodes: z.array(
    z.object({ node: z.string(), hostname: z.string(), serving: z.boolean(), ports: z.record(z.string(), z.int()) }),
  ),
});
export type EndpointsView = z.infer<typeof EndpointsViewSchema>;

export const AcceptedSchema = z.object({
  cluster: z.string(),
  plan: z.string().describe("Id of the plan that does it"),
});
export type Accepted = z.infer<typeof AcceptedSchema>;

export const FrameworkViewSchema = z.object({
  name: z.string(),
  role: z.string().describe("Mesos role that everything is reserved for"),
  status: z
    .enum(["active", "removed", "uninstalling", "uninstalled"])
    .describe("removed: by an operator of Mesos; register starts it again. uninstalled: all was given back before"),
  mesos: z.enum(["connected", "disconnected"]),
  frameworkId: z.string().optional(),
  formerIds: z.array(z.string()).describe("Ids that Mesos has removed; what they reserved is still ours"),
  removed: z.object({ at: z.string(), message: z.string() }).optional(),
  clusters: z.array(z.object({ name: z.string(), activePlans: z.array(z.string()) })),
  leftovers: z
    .array(
      z.object({
        node: z.string(),
        hostname: z.string(),
        reservation: z.string(),
        since: z.string(),
        waitsFor: z.string(),
      }),
    )
    .describe("Reservations that no node keeps, to be given back"),
});
export type FrameworkView = z.infer<typeof FrameworkViewSchema>;

const FindingViewSchema = z.object({
  id: z.string(),
  severity: z.enum(["error", "warning", "info"]),
  what: z.string(),
  why: z.string().describe("Why it matters"),
  advice: z.string().describe("What to do about it"),
  repair: z.string().optional().describe("What a repair would do; absent: none is safe"),
});
export type FindingView = z.infer<typeof FindingViewSchema>;

export const DiagnosisSchema = z.object({ findings: z.array(FindingViewSchema) });

export const RepairedSchema = z.object({
  id: z.string(),
  does: z.string(),
  plan: z.string().optional().describe("The plan that does it"),
});

export const HealthViewSchema = z.object({
  status: z.literal("ok"),
  mesos: z.enum(["connected", "disconnected"]),
  leader: z.boolean().describe("Whether this scheduler leads; others of its name stand by"),
  leaderUrl: z.string().optional().describe("Where a standby sends writes"),
  instance: z.string().describe("Tells this run of the process from all others"),
  frameworkId: z.string().optional(),
});

export const NodeReadSchema = z.object({ node: z.string(), read: z.string(), status: z.int(), answer: z.unknown() });
