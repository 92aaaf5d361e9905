// What a database must tell so that Ringmaster can run it. Riak and Cassandra implement this; nothing outside databases/
// knows which one it has. All pure: words, files, questions and the reading of answers; the executor does them.
import type { Json } from "../std/json.ts";
import type { Fault, Reason } from "../std/reason.ts";
import type { ClusterSpec } from "./cluster.ts";
import type { AdminTask, Health, Member, NodeTask } from "./node.ts";

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
  /** This very binary, for companions. */
  readonly self: string;
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
  | { readonly type: "command"; readonly command: CommandLine; readonly timeoutMs: number }
  /** Connects, sends bytes (in hex) and takes what comes until `bytes` of it are there. */
  | {
      readonly type: "tcp";
      readonly host: string;
      readonly port: number;
      readonly sendHex: string;
      readonly bytes: number;
      readonly timeoutMs: number;
    };

/**
 * Its answer: `text` is the body, the output (stdout and stderr), or the bytes in hex; `status` the HTTP status, the exit code,
 * or 0. `error`: there was none.
 */
export type Answer = { readonly status: number; readonly text: string } | { readonly error: string };

/** A read for operators: what to ask, and what its answer's text says, in the database's own words. */
export type Read = { readonly question: Question; readonly shape: (text: string) => Json };

/** What an answer means for who has to go on with it. `detail`: a line for people. */
export type Verdict =
  | { readonly type: "done"; readonly detail: string; readonly result?: Json }
  | { readonly type: "again"; readonly afterMs: number; readonly detail: string }
  | { readonly type: "failed"; readonly detail: string };

/** One thing to ask or do, until its answer says that it is done. */
export type Ask = {
  /** What is being done: "staging the join". */
  readonly say: string;
  /** A function when it depends on what was found before: the last `result` of the asks before it, null without one. */
  readonly question: Question | ((found: Json) => Question);
  readonly read: (answer: Answer) => Verdict;
  /** "again" for longer than this is a failure. */
  readonly patienceMs: number;
  /**
   * The database's process may end because of it: that counts as done, and its node has left the ring. `read` says "again"
   * to the answers of a process that is about to end.
   */
  readonly endsNode?: true;
};

/** A process that runs beside the database: started before it, ended after it, started again when it ends by itself. */
export type Companion = {
  readonly name: string;
  readonly command: CommandLine;
  /** It is there once this port takes connections. */
  readonly host: string;
  readonly port: number;
};

/** A change of a cluster, as its database puts it into steps. Nodes by id. */
export type Change =
  /** Bring these nodes, which have never been members, up and into the ring. */
  | { readonly type: "add"; readonly nodes: readonly string[] }
  /** Take the nodes out of the ring with their data handed over, stop them and give their volumes back. */
  | { readonly type: "leave"; readonly nodes: readonly string[] }
  /** Stop and start each of the nodes, one after the other, as far as the ring allows. */
  | { readonly type: "restart"; readonly nodes: readonly string[] }
  /**
   * `node` takes the place of `old`, whose data is gone. `byItself`: nobody has asked for it, so it waits until the database
   * itself sees that every replica set has a quorum without `old`.
   */
  | { readonly type: "replace"; readonly node: string; readonly old: string; readonly byItself: boolean }
  /** Throw a dead node out of the ring without its data. */
  | { readonly type: "forceRemove"; readonly node: string };

/** A step of a plan. `after`: indexes of the steps that must be done before it. */
export type StepSketch = {
  readonly type: "start" | "stop" | "release" | "admin";
  readonly node: string;
  /** Of "admin": what `Database.admin` is asked for. */
  readonly operation?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly after: readonly number[];
};

/** Nodes that have come into the ring or left it, by id. */
export type Moved = { readonly joined: readonly string[]; readonly left: readonly string[] };

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
  /** Whether `node`, which serves for the first time, is in the ring by that alone, given all `members` of its cluster. */
  joinsByServing(members: readonly Member[], node: Member): boolean;
  /** Whom a finished operation on `node` has brought into the ring, and whom it has taken out; by id. */
  moved(operation: string, node: string, args: Readonly<Record<string, string>>): Moved;
  /** Operations of the same plan that are to be done again before this one, which has failed: their effect may be lost. */
  redo(operation: string): readonly string[];
  /** What `NodeTask.seeds` is for a start of `node` now, as host:port. */
  seeds(spec: ClusterSpec, members: readonly Member[], node: Member): readonly string[];
  /** The steps of a change. Throws an Error in words for the operator where Ringmaster cannot make it of this database. */
  plan(change: Change, spec: ClusterSpec, members: readonly Member[]): readonly StepSketch[];
  /** Whether a replacement must be in the rack of the node whose place it takes, since the rack says where replicas are. */
  readonly keepsRack: boolean;
  /** Whether a replacement must have the same cluster port as the node whose place it takes. */
  readonly keepsPort: boolean;
  /** Whether its nodes find each other by names that Ringmaster keeps (cEPMD): then agents must reach the store. */
  readonly wantsNames: boolean;
  files(task: NodeTask, place: Place): readonly RenderedFile[];
  /** Done in this order after the files are written and before anything is started. */
  prepare(task: NodeTask, place: Place): readonly Ask[];
  companions(task: NodeTask, place: Place): readonly Companion[];
  command(task: NodeTask, place: Place): CommandLine;
  /** Asked one after the other all the time while the process lives; `serving`: whether it has served before. */
  probes(task: NodeTask, place: Place, serving: boolean): readonly Question[];
  /** What the answers, in the order of the probes, say. Probing ends with the first that has an `error`. */
  health(answers: readonly Answer[], serving: boolean): Health;
  /** Asked before SIGTERM, so that clients and the ring notice nothing; undefined: SIGTERM is enough. */
  drain(task: NodeTask, place: Place): Question | undefined;
  /** Operations of `admin` that an operator may ask for by name; the others are steps of plans only. */
  readonly operations: readonly string[];
  /**
   * What changes a running node or its ring, run by the executor of `task` as a Mesos task of its own. `admin.args` name nodes
   * by id, as `plan` put them there before any node had a place; `admin.members` tells where each is now. Undefined: unknown
   * operation.
   */
  admin(admin: AdminTask, task: NodeTask, place: Place): readonly Ask[] | undefined;
  /** Names of the ring's members, dead ones included, out of the answer to read "status"; undefined: it does not tell. */
  ringNames(status: Json): readonly string[] | undefined;
  /** Whether a member of the ring with that name is this node. */
  isNamed(name: string, member: Member): boolean;
  /** Reads for operators through the executor's API, by name ("status", …). */
  reads(task: NodeTask, place: Place): Readonly<Record<string, Read>>;
}
