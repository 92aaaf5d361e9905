// Runs seeds for the pool on a core of its own: options in, a result out.
import { runSeed, type Seed } from "./pool.ts";

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<Seed>): Promise<void> => {
  self.postMessage(await runSeed(data));
};
