// What a command line asks for: plain data, made by program.ts, carried out by io/run.ts.
import type { AppFlags } from "./marathon.ts";

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

/** What the flags of `cluster update` say. */
export type ChangeFlags = Pick<ClusterFlags, "version" | "package" | "jre" | "constraints" | "env" | "sets"> & {
  /** Names to take out of the environment. */
  readonly unsetEnv: readonly string[];
};

/** Files with settings, by name. */
export type SettingFiles = {
  /** Each has settings as YAML or JSON; later ones win. */
  readonly trees: readonly string[];
  /** Each is one setting as it stands: "riak.conf" to the name of the file. */
  readonly texts: Readonly<Record<string, string>>;
};

/** Where in the API: a path from `/api` on, encoded; or what is below a node of which nobody said the cluster. */
export type Place = string | { readonly node: string; readonly below: string };

/** How long to follow the plan that a command becomes; undefined: not at all. */
type Wait = { readonly waitMs?: number };

/** What a `show` task prints, and so which shape of the API its answer has. */
export type View =
  "clusters" | "cluster" | "endpoints" | "nodes" | "node" | "read" | "plans" | "plan" | "framework" | "value";

export type Task =
  | { readonly type: "show"; readonly view: View; readonly path: Place }
  | ({
      readonly type: "create";
      readonly flags: ClusterFlags;
      /** A file with the body of the request; flags win over it. */
      readonly file?: string;
      readonly settingFiles: SettingFiles;
    } & Wait)
  | ({
      readonly type: "update";
      readonly cluster: string;
      readonly flags: ChangeFlags;
      readonly settingFiles: SettingFiles;
    } & Wait)
  | ({ readonly type: "destroy"; readonly cluster: string; readonly yes: boolean } & Wait)
  | ({
      readonly type: "removeNode";
      readonly node: string;
      readonly path: Place;
      readonly force: boolean;
      readonly yes: boolean;
    } & Wait)
  /** A POST. `begun` tells what it began: `Node "ringmaster-demo-1" is being restarted`. */
  | ({ readonly type: "post"; readonly path: Place; readonly body?: unknown; readonly begun: string } & Wait)
  /** The operation `bucket-type-<change>` of a node, after a look at which types there are (`list`). */
  | ({
      readonly type: "bucketType";
      readonly change: string;
      readonly bucketType: string;
      readonly list: Place;
      readonly path: Place;
      readonly body: Readonly<Record<string, string>>;
      readonly begun: string;
    } & Wait)
  | { readonly type: "abort"; readonly plan: string }
  | { readonly type: "doctor"; readonly repair: boolean; readonly yes: boolean }
  /** Of the framework. */
  | { readonly type: "register" }
  | ({ readonly type: "uninstall"; readonly yes: boolean; readonly force: boolean } & Wait)
  /** Of a director that runs, at the URL of its admin API. */
  | { readonly type: "directorRead"; readonly director: string; readonly read: string }
  | {
      readonly type: "directorConfigure";
      readonly director: string;
      readonly framework: string;
      readonly cluster: string;
    }
  /** Prints the application, or gives it to Marathon. */
  | { readonly type: "app"; readonly app: AppFlags; readonly marathon?: string }
  | ({ readonly type: "appShow"; readonly as: "status" | "settings" } & AtMarathon)
  | ({ readonly type: "appRemove" } & AtMarathon)
  | ({ readonly type: "appWait"; readonly timeoutMs: number } & AtMarathon)
  /** `about` is shown with the addresses. */
  | ({ readonly type: "appEndpoints"; readonly about: Readonly<Record<string, string>> } & AtMarathon)
  /** `at`: of the application's tasks instead of --url. */
  | { readonly type: "waitForScheduler"; readonly at?: AtMarathon; readonly timeoutMs: number }
  | { readonly type: "schedulerEndpoints"; readonly at?: AtMarathon }
  | { readonly type: "local" }
  | { readonly type: "readConfig"; readonly config: Config }
  /** Without a file the setting is taken away. */
  | ({ readonly type: "writeConfig"; readonly config: Config; readonly file?: string } & Wait)
  /** Writes the clusters to a file, and makes those of one again. */
  | { readonly type: "backup"; readonly file: string }
  | { readonly type: "restore"; readonly file: string }
  /** Without `nodes`: until all run that were asked for. */
  | { readonly type: "waitForService"; readonly cluster: string; readonly nodes?: number; readonly timeoutMs: number }
  | { readonly type: "waitForNode"; readonly node: string; readonly path: Place; readonly timeoutMs: number }
  | { readonly type: "waitForTransfers"; readonly node: string; readonly path: Place; readonly timeoutMs: number }
  | { readonly type: "follow"; readonly plan: string; readonly timeoutMs: number };

/** An application: Marathon's URL, and its id there without the slash before it. */
export type AtMarathon = { readonly marathon: string; readonly id: string };

export type TaskOf<Type extends Task["type"]> = Extract<Task, { readonly type: Type }>;

/** A setting that is one text: the cluster's, its name, and its path in the API. */
export type Config = { readonly cluster: string; readonly setting: string; readonly path: string };

export type Request = {
  /** The scheduler's base URL, without a slash at its end. */
  readonly url: string;
  /** Whether the API's own JSON goes to stdout instead of text. */
  readonly json: boolean;
  /** How hints call this program so that it reaches the same scheduler. */
  readonly program: string;
  readonly task: Task;
};
