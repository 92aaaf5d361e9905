// One database cluster as its operator asks for it.

/** Resources of one node's `server` task; what the executor itself needs comes on top. */
export type NodeResources = { readonly cpus: number; readonly memMb: number; readonly diskMb: number };

/** Something the Mesos fetcher brings into the sandbox. Archives (.tar.gz, .tar.xz, .zip, …) are unpacked there. */
export type Package = { readonly uri: string };

/** What a cluster shall be. Stored as it was checked; every default is filled in. */
export type ClusterSpec = {
  /** A DNS label of at most 40 characters. */
  readonly name: string;
  /** Name of a `Database`: "cassandra", "riak". */
  readonly database: string;
  /** The database's version, e.g. "5.0.4". */
  readonly version: string;
  readonly nodes: number;
  readonly resources: NodeResources;
  /** The database itself, e.g. the official tarball. */
  readonly package: Package;
  /** A Java runtime to unpack and use; without one, the agent's own JAVA_HOME or `java`. */
  readonly jre?: Package;
  /** Fixed ports by name; a port that is not named here is taken from the offer and reserved with the node. */
  readonly ports: Readonly<Record<string, number>>;
  /** Placement constraints, each [field, operator] or [field, operator, parameter]. All must hold. */
  readonly constraints: readonly Constraint[];
  readonly datacenter: string;
  /** The agent attribute ("@zone", "@region": the agent's fault domain) whose value is a node's rack; without it all are in "rack1". */
  readonly rackAttribute?: string;
  /** Environment of the database process. */
  readonly env: Readonly<Record<string, string>>;
  /** The database's own settings, free-form: which keys there are is the database's business. */
  readonly settings: Readonly<Record<string, unknown>>;
};

export type ConstraintOperator = "UNIQUE" | "CLUSTER" | "GROUP_BY" | "LIKE" | "UNLIKE" | "MAX_PER" | "IS" | "IS_NOT";

/** `field`: "hostname" (or "@hostname"), "@region", "@zone", or the name of an agent attribute. */
export type Constraint = { readonly field: string; readonly operator: ConstraintOperator; readonly parameter?: string };
