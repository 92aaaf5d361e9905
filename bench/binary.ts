// Figures of the binary itself: how fast it starts, how large it is, what it holds in memory when idle.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cassandraPackage } from "../test/real/cassandra/package.ts";
import { SMALL_PROFILE } from "../test/real/cassandra/small-profile.ts";
import { startMesos } from "../test/real/mesos/mesos.ts";
import { BINARY, startScheduler, until } from "../test/real/ringmaster.ts";
import type { ClusterView } from "../src/databases/api.ts";
import { against, median, type Figure } from "./figure.ts";

const STARTS = 60;
const API_STARTS = 15;

export async function measureBinary(): Promise<readonly Figure[]> {
  const versions: number[] = [];
  const buns: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    versions.push(startMs([BINARY, "--version"]));
    buns.push(startMs([process.execPath, "--version"]));
  }
  const apis: number[] = [];
  for (let i = 0; i < API_STARTS; i++) apis.push(await apiStartMs());
  const version = median(versions);
  return [
    against("binary: --version", version, median(buns), "ms", "<= 2"),
    against("binary: scheduler answers", median(apis), version, "ms", "<= 20"),
    { name: "binary: size as .xz", value: compressedMb(), unit: "MB", goal: "<= 45" },
    ...(await idleMemory()),
  ];
}

function startMs(argv: string[]): number {
  const began = performance.now();
  Bun.spawnSync(argv, { stdout: "ignore", stderr: "ignore" });
  return performance.now() - began;
}

/** From the start of a scheduler with an empty store to its API's first answer. Its Mesos does not exist: the API needs none. */
async function apiStartMs(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-bench-"));
  const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const port = probe.port;
  await probe.stop(true);
  const flags = [
    "--mesos",
    "http://127.0.0.1:1",
    "--store",
    `sqlite:${join(directory, "s")}`,
    "--http",
    `127.0.0.1:${port}`,
  ];
  const began = performance.now();
  const scheduler = Bun.spawn([BINARY, "scheduler", ...flags], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  try {
    for (;;) {
      const ok = await fetch(`http://127.0.0.1:${port}/health`).then(
        (response) => response.ok,
        () => false,
      );
      if (ok) return performance.now() - began;
      if (scheduler.exitCode !== null)
        throw new Error(`Cannot measure: the scheduler ended with ${scheduler.exitCode}`);
      await Bun.sleep(1);
    }
  } finally {
    scheduler.kill("SIGKILL");
    await scheduler.exited;
    await rm(directory, { recursive: true, force: true });
  }
}

function compressedMb(): number {
  const { stdout } = Bun.spawnSync(["sh", "-c", `xz -6 -T2 -c '${BINARY}' | wc -c`]);
  return Number(stdout.toString()) / 1e6;
}

/** Resident memory of a scheduler with one node, and of that node's executor, when nothing has happened for a while. */
async function idleMemory(): Promise<readonly Figure[]> {
  const { archive } = await cassandraPackage();
  const directory = await mkdtemp(join(tmpdir(), "ringmaster-bench-"));
  try {
    await using mesos = await startMesos({ agents: 1 });
    await using scheduler = await startScheduler({ mesos: mesos.url, directory });
    const body = {
      name: "one",
      database: "cassandra",
      version: "5.0.4",
      package: `file://${archive}`,
      nodes: 1,
      resources: { cpus: 0.5, memMb: 768, diskMb: 1024 },
      settings: SMALL_PROFILE,
    };
    await fetch(`${scheduler.url()}/api/v1/clusters`, { method: "POST", body: JSON.stringify(body) });
    await until(
      "the node runs",
      120_000,
      async () => (await scheduler.json<ClusterView>("cluster", "info", "one")).status === "running",
    );
    await Bun.sleep(30_000);
    const executor = Bun.spawnSync(["pgrep", "-f", "^./ringmaster executor"])
      .stdout.toString()
      .trim()
      .split("\n")
      .map(Number);
    const own = executor.filter((pid) => cwd(pid).startsWith(mesos.work));
    const [first] = own;
    if (first === undefined) throw new Error("Cannot measure: there is no executor process");
    return [
      { name: "binary: idle scheduler", value: residentMb(scheduler.pid()), unit: "MB", goal: "<= 80" },
      { name: "binary: idle executor", value: residentMb(first), unit: "MB", goal: "<= 60" },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function cwd(pid: number): string {
  return Bun.spawnSync(["readlink", `/proc/${pid}/cwd`]).stdout.toString();
}

function residentMb(pid: number): number {
  const { stdout } = Bun.spawnSync(["sed", "-n", "s/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p", `/proc/${pid}/status`]);
  return (Number(stdout.toString()) * 1024) / 1e6;
}
