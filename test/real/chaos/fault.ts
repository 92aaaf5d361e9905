// What a fault of a chaos run is.
import type { Chance } from "../../simulation/chance.ts";
import type { World } from "./world.ts";
import type { Writer } from "./writer.ts";

/** A fault that has struck. `undo` is called after `lastsMs`. */
export type Struck = { readonly text: string; readonly lastsMs: number; readonly undo: () => Promise<void> };

/** A part of what runs here; never two faults of one part at once. */
export type Part = "database" | "scheduler" | "zookeeper" | "mesos" | "agent";

export type Fault = {
  readonly name: string;
  readonly parts: readonly Part[];
  readonly weight: number;
  /** Parts that must have no fault when it strikes, and may have one while it lasts. */
  readonly needs?: readonly Part[];
  /** A node may have to be replaced, which takes a minute: not shortly before a run's end. */
  readonly isLong?: true;
  /** Undefined: there is nothing to strike now. */
  readonly strike: (world: World, chance: Chance, writer: Writer) => Promise<Struck | undefined>;
};

export const nothing = async (): Promise<void> => undefined;
