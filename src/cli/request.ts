// What a command line asks for: plain data, made by program.ts, carried out by io/run.ts.

/** What the flags of `cluster create` say. Only what was given is there: the scheduler has the defaults. */
export type ClusterFlags = {
  readonly name?: string;
  readonly database?: string;
  readonly version?: string;
  readonly nodes?: number;
  readonly cpus?: number;
  readonly memMb?: number;
  readonly diskMb?: number;
  readonly package?: string;
  readonly jre?: string;
  /** Each as it was written: one constraint or several, in any of the three spellings. */
  readonly constraints: readonly string[];
  readonly datacenter?: string;
  readonly rackAttribute?: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly env: Readonly<Record<string, string>>;
  /** `PATH=VALUE`, each as it was written. */
  readonly sets: readonly string[];
};

/** What a `show` task prints, and so which shape of the API its answer has. */
export type View = "clusters" | "cluster" | "endpoints" | "nodes" | "node" | "read" | "plans" | "plan";

export type Task =
  | { readonly type: "show"; readonly view: View; readonly path: string }
  | {
      readonly type: "create";
      readonly flags: ClusterFlags;
      /** A file with the body of the request; flags win over it. */
      readonly file?: string;
      /** Files with settings, later ones win. */
      readonly settingFiles: readonly string[];
      /** How long to follow the plan; undefined: not at all. */
      readonly waitMs?: number;
    }
  | { readonly type: "destroy"; readonly cluster: string; readonly yes: boolean; readonly waitMs?: number }
  | { readonly type: "waitForService"; readonly cluster: string; readonly timeoutMs: number }
  | { readonly type: "follow"; readonly plan: string; readonly timeoutMs: number };

export type Request = {
  /** The scheduler's base URL, without a slash at its end. */
  readonly url: string;
  /** Whether the API's own JSON goes to stdout instead of text. */
  readonly json: boolean;
  /** How hints call this program so that it reaches the same scheduler. */
  readonly program: string;
  readonly task: Task;
};
