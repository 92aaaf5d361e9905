// What a cEPMD knows, what it is told, and what it does.
import type { Seed } from "../std/random.ts";
import type { Folder, SessionState } from "../store/store.ts";
import type { Names } from "./names.ts";
import type { Owner, SharedName } from "./record.ts";
import type { EpmdNode, Request } from "./wire.ts";

export type Settings = {
  /** Our own port, which NAMES and DUMP tell. */
  readonly port: number;
  /** As epmd's -relaxed_command_check: KILL in spite of names, STOP at all. */
  readonly relaxed: boolean;
  /** Missing when the names are not shared with other cEPMDs. `host`: this agent, as other agents reach it. */
  readonly shared?: { readonly host: string; readonly owner: Owner };
};

/** A name registered over one of our own connections. */
export type Registration = {
  readonly node: EpmdNode;
  readonly connection: number;
  readonly creation: number;
  /** Counts the registrations: the latest has the highest. */
  readonly serial: number;
  /** Until then the answer waits for the store; missing once the node has it. Nobody is told of the name before. */
  readonly answerByMs?: number;
};

/** A name that was registered here: the next registration gets another creation. */
export type Former = { readonly node: EpmdNode; readonly connection: number; readonly creation: number };

/** What became of a name of ours in the store. */
export type Share = {
  readonly name: string;
  /** A claim or a release is under way. */
  readonly busy: boolean;
  /** Serial of the registration that the store holds; "unknown" when a write may or may not have taken effect. */
  readonly held: number | "unknown" | "none";
  /** The store holds the name for somebody else, so that it is served here only. */
  readonly taken: boolean;
};

export type State = {
  readonly settings: Settings;
  readonly seed: Seed;
  readonly serial: number;
  readonly local: Names<Registration>;
  /** By name, the oldest first. */
  readonly former: ReadonlyMap<string, Former>;
  /** By name. */
  readonly shares: Names<Share>;
  /** All shared names as they were last told, ours among them. */
  readonly folder: Folder;
  readonly store: SessionState;
};

export type Event = { readonly nowMs: number } &
  /** `local`: it came from this machine. */
  (
    | { readonly type: "request"; readonly connection: number; readonly local: boolean; readonly request: Request }
    /** A connection has ended that asked to register `name`, whether it got it or not. */
    | { readonly type: "closed"; readonly connection: number; readonly name: string }
    | { readonly type: "folder"; readonly folder: Folder }
    | { readonly type: "store"; readonly store: SessionState }
    /** How a claim ended: held, taken by somebody else, or the store did not say. */
    | {
        readonly type: "claimed";
        readonly name: string;
        readonly serial: number;
        readonly outcome: "held" | "taken" | "unknown";
        /** Who has the name, or why the store did not say. */
        readonly detail: string;
      }
    | { readonly type: "released"; readonly name: string; readonly outcome: "gone" | "unknown" }
    | { readonly type: "tick" }
  );

export type Action =
  /** `after`: close the connection, or keep it: for ever as the sign that its node lives, or as long as any idle one. */
  | {
      readonly type: "answer";
      readonly connection: number;
      readonly bytes: Uint8Array;
      readonly after: "close" | "keep" | "idle";
    }
  /** Without an answer. */
  | { readonly type: "close"; readonly connection: number }
  /** Put the name into the store. */
  | { readonly type: "claim"; readonly key: string; readonly serial: number; readonly mine: SharedName }
  /** Take it out again, if it is still ours. */
  | { readonly type: "release"; readonly key: string; readonly name: string; readonly owner: Owner }
  | { readonly type: "say"; readonly text: string }
  | { readonly type: "exit" };
