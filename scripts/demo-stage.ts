// What the demos share.
import type { Scheduler } from "../test/real/ringmaster.ts";

/** One database's part of the demo. */
export type Demo = {
  /** What making the package means, for who waits for it. */
  readonly packageText: string;
  readonly wantsZookeeper: boolean;
  /** Makes the package; resolves with its archive. */
  readonly makePackage: () => Promise<string>;
  /** Deploys a cluster, shows its ring and that it serves. */
  readonly deploy: (scheduler: Scheduler, name: string, archive: string, directory: string) => Promise<void>;
};

const begun = performance.now();

/** Prints a line with the seconds since the start. */
export function say(text: string): void {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${text}`);
}

/** Runs a command that prints for itself; throws when it fails. */
export async function command(argv: readonly string[]): Promise<void> {
  const code = await Bun.spawn([...argv], { stdin: "ignore", stdout: "inherit", stderr: "inherit" }).exited;
  if (code !== 0) throw new Error(`"${argv.slice(0, 3).join(" ")}" ended with ${code}`);
}
