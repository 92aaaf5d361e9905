// One node of a cluster: what the scheduler tells the executor that runs it, and what the executor tells back.

/**
 * Everything an executor needs to run one node: the data of its Mesos task (as JSON), or the FILE of
 * `ringmaster executor --task FILE`. Paths are relative to the sandbox.
 */
export type NodeTask = {
  readonly schema: 1;
  readonly framework: string;
  readonly cluster: string;
  /** Node id: `<framework>-<cluster>-<n>`, n never used twice. */
  readonly node: string;
  readonly database: string;
  readonly version: string;
  /** Which volume of this node this is, from 1; a replaced node gets the next. Written in the volume's marker file. */
  readonly generation: number;
  /** Whether the volume must already hold this node's data: then an empty one is refused, never filled anew. */
  readonly expectData: boolean;
  /** Whether a process of this node may have been on the volume: then one without its marker is refused as well. */
  readonly expectMarker?: boolean;
  /** The agent's host name, as Mesos says it; other nodes reach this one there. */
  readonly hostname: string;
  readonly datacenter: string;
  readonly rack: string;
  /** Whether the whole cluster is in one rack; unknown: no. */
  readonly oneRack?: boolean;
  readonly cpus: number;
  readonly memMb: number;
  /** By name: the database's own (`Database.ports`) and "api", the executor's. */
  readonly ports: Readonly<Record<string, number>>;
  /** host:port of the cluster port of the dead node whose place this one takes; only until it has joined. */
  readonly replaces?: string;
  /** Nodes to find the cluster by, as host:port of the database's cluster port; what `Database.seeds` says. */
  readonly seeds: readonly string[];
  /** Container path of the persistent volume. */
  readonly volume: string;
  readonly env: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** How long the database may take to stop, draining included, before SIGKILL. */
  readonly graceMs: number;
  /** Asked for as `Authorization: Bearer …` by the executor's HTTP API. */
  readonly token: string;
  /** The scheduler's store, for databases that want names; agents must reach it. */
  readonly store?: string;
};

/** What a cluster's nodes look like to its database's rules. */
export type Member = {
  readonly node: string;
  readonly hostname: string;
  /** What the host name resolved to on its agent, as far as its executor has said so. */
  readonly address?: string;
  readonly rack: string;
  readonly ports: Readonly<Record<string, number>>;
  /** The node whose place it takes or took. */
  readonly replaces?: string;
  /** Whether it has been a full member of its ring once, with the volume that it has now. */
  readonly joined: boolean;
  /** It has served, and as far as is known it is not in the ring, or not any more. */
  readonly outside?: true;
  /** Its data is gone, so that it never serves again. */
  readonly lost?: true;
  /** "absent": has no process. "starting": has one that does not serve yet. "serving": serves. */
  readonly state: "absent" | "starting" | "serving";
};

/** The data of an admin task, which runs on the executor of the node's `server` task. */
export type AdminTask = {
  readonly schema: 1;
  readonly node: string;
  readonly operation: string;
  readonly args: Readonly<Record<string, string>>;
  /** The cluster's nodes when the task was launched. */
  readonly members: readonly Member[];
};

/** The marker file in a volume's root: whose data this is. */
export type Marker = {
  readonly schema: 1;
  readonly framework: string;
  readonly cluster: string;
  readonly node: string;
  readonly generation: number;
};

/** Name of the marker file. */
export const MARKER_FILE = "ringmaster.json";

/**
 * Why a node failed, where the scheduler must act on more than "it failed". Travels as label `ringmaster.failure` of the
 * status update.
 * - "empty-volume": data was expected and the volume has none: the node goes the replacement way.
 * - "foreign-volume": the volume's marker names another node or generation: nothing was touched.
 */
export type NodeFailure = "empty-volume" | "foreign-volume";

/** Labels of the executor's status updates. */
export const FAILURE_LABEL = "ringmaster.failure";
/** The address that other nodes reach this one at. */
export const ADDRESS_LABEL = "ringmaster.address";

/** How a database process is doing, as its probes tell. */
export type Health = {
  /** "starting": not yet a member. "serving": member, and clients are served. "leaving"/"left": its ring lets it go. "failing": was serving, now is not. */
  readonly phase: "starting" | "serving" | "leaving" | "left" | "failing";
  /** For people: "OperationMode JOINING, native transport off". */
  readonly detail: string;
};
