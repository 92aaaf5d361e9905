// What a database must tell so that Ringmaster can run it. Riak and Cassandra implement this; nothing outside databases/
// knows which one it has. All pure: words, files, questions and the reading of answers; the executor does them.
import type { Json } from "../std/json.ts";
import type { Fault, Reason } from "../std/reason.ts";
import type { ClusterSpec } from "./cluster.ts";
import type { Health, NodeTask } from "./node.ts";

/** A file to write before the start. `path` is relative to the sandbox. */
export type RenderedFile = { readonly path: string; readonly content: string; readonly mode?: number };

/** What the executor found on the agent, for rendering: absolute paths. `logs` and `tmp` in the sandbox exist and are ours. */
export type Place = {
  readonly sandbox: string;
  /** The unpacked package: the folder that one of `Database.packageMarkers` lies in. */
  readonly packageRoot: string;
  /** File names in the package's folders that `Database.packageFolders` asks for, by folder. */
  readonly packageFiles: Readonly<Record<string, readonly string[]>>;
  readonly volume: string;
  /** Folder with the files that the binary carries for databases (`Database.carries`). */
  readonly carried: string;
  /** The address that `task.hostname` resolves to on the agent. */
  readonly address: string;
  /** `java` to use, for databases that want one; otherwise empty. */
  readonly java: string;
};

export type CommandLine = {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
};

/** A question to a running node. */
export type Question =
  | {
      readonly type: "http";
      readonly url: string;
      readonly method: "GET" | "POST";
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly timeoutMs: number;
    }
  | { readonly type: "command"; readonly command: CommandLine; readonly timeoutMs: number };

/** Its answer: `text` is the body or the output, `status` the HTTP status or the exit code. `error`: there was none. */
export type Answer = { readonly status: number; readonly text: string } | { readonly error: string };

/** A read for operators: what to ask, and what its answer's text says, in the database's own words. */
export type Read = { readonly question: Question; readonly shape: (text: string) => Json };

/** What a cluster's nodes look like to the rules below. */
export type Member = {
  readonly node: string;
  readonly hostname: string;
  readonly rack: string;
  readonly ports: Readonly<Record<string, number>>;
  /** Whether it has been a full member of its ring once, with the volume that it has now. */
  readonly joined: boolean;
  /** "absent": has no process. "starting": has one that does not serve yet. "serving": serves. */
  readonly state: "absent" | "starting" | "serving";
};

export interface Database {
  readonly name: string;
  /** Names of the ports that a node needs, the cluster port first, the clients' port second. */
  readonly ports: readonly string[];
  /** Paths of which only a package's root folder has one, e.g. "lib/apache-cassandra-*.jar" (`*` in the last segment). */
  readonly packageMarkers: readonly string[];
  /** Folders of the package whose file names `Place.packageFiles` shall have. */
  readonly packageFolders: readonly string[];
  /** Files that the executor's binary carries for it, by name; they lie in `Place.carried`. */
  readonly carries: readonly string[];
  /** Java releases of which the executor must find one; empty: it wants no Java. */
  readonly javaVersions: readonly number[];
  /** All that is wrong with a cluster's version, size and settings; the framework's own keys are refused here. */
  check(spec: ClusterSpec): readonly Fault[];
  /** Why `node` must not start now, given all `members` of its cluster (itself included); undefined: it may. */
  mayStart(spec: ClusterSpec, members: readonly Member[], node: Member): Reason | undefined;
  /** What `NodeTask.seeds` is for a start of `node` now, as host:port. */
  seeds(spec: ClusterSpec, members: readonly Member[], node: Member): readonly string[];
  files(task: NodeTask, place: Place): readonly RenderedFile[];
  command(task: NodeTask, place: Place): CommandLine;
  /** Asked all the time while the process lives. */
  probe(task: NodeTask, place: Place): Question;
  health(answer: Answer): Health;
  /** Asked before SIGTERM, so that clients and the ring notice nothing; undefined: SIGTERM is enough. */
  drain(task: NodeTask, place: Place): Question | undefined;
  /** Reads for operators through the executor's API, by name ("status", …). */
  reads(task: NodeTask, place: Place): Readonly<Record<string, Read>>;
}
