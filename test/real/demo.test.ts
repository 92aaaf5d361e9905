// The README's first command: two demos side by side, one that stops by itself and one that is interrupted.
import { expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { until } from "./ringmaster.ts";

const MINUTE = 60_000;
const DEMO = resolve(import.meta.dir, "../../scripts/demo");

/** Processes that carry the mark in their environment. */
async function marked(mark: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = await readFile(`/proc/${entry}/environ`, "utf8").catch(() => "");
    if (environment.includes(`DEMO_TEST=${mark}`)) found.push(Number(entry));
  }
  return found;
}

/** Starts a demo whose processes can be told by a mark. */
function demo(
  mark: string,
  ...flags: readonly string[]
): { readonly process: Bun.Subprocess; readonly said: () => string; readonly read: Promise<void> } {
  let text = "";
  const running = Bun.spawn([DEMO, ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, DEMO_TEST: mark },
  });
  const read = (async () => {
    for await (const chunk of running.stdout) text += new TextDecoder().decode(chunk);
  })();
  return { process: running, said: () => text, read };
}

function expectDeployed(text: string): void {
  expect(text.split("\n").filter((line) => /\sUN\s.*rack-\d/.test(line))).toHaveLength(3);
  expect(text).toContain('wrote "hello from ringmaster" through ringmaster-demo-1');
  expect(text).toContain('read  "hello from ringmaster" through ringmaster-demo-3');
  expect(text).toMatch(/CQL: 127\.0\.0\.1:\d+, 127\.0\.0\.2:\d+, 127\.0\.0\.3:\d+/);
  expect(text).toMatch(/API: http:\/\/127\.0\.0\.1:\d+/);
}

test(
  "two demos run side by side; one ends by itself, the other at Ctrl-C, and neither leaves a process behind",
  async () => {
    const mark = crypto.randomUUID();
    const first = demo(mark, "--exit");
    const second = demo(mark);
    try {
      expect(await first.process.exited).toBe(0);
      await first.read;
      expectDeployed(first.said());
      await until("the second demo is up", 10 * MINUTE, async () => second.said().includes("Ctrl-C stops everything"));
      expectDeployed(second.said());
      second.process.kill("SIGINT");
      expect(await second.process.exited).toBe(0);
      await until("all processes are gone", MINUTE, async () => (await marked(mark)).length === 0);
    } finally {
      for (const pid of await marked(mark)) process.kill(pid, "SIGKILL");
    }
  },
  15 * MINUTE,
);
