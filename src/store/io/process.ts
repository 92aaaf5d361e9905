// Who a process is, so that another process on the same machine can tell that it died without waiting for its lease.
import { readFileSync, readlinkSync } from "node:fs";

const SELF = identity("self");

/**
 * "boot/namespace/pid/start" of this process: kernel boot id, pid namespace, pid, start in clock ticks. Undefined where the
 * kernel does not tell (no Linux): then only the lease speaks.
 */
export function thisProcess(): string | undefined {
  return SELF;
}

/** Whether the process with that identity is known to be gone: another boot or namespace is not known. */
export function isDead(other: string): boolean {
  const [boot, namespace, pid = ""] = other.split("/");
  const [ownBoot, ownNamespace] = SELF?.split("/") ?? [];
  if (SELF === undefined || boot !== ownBoot || namespace !== ownNamespace) return false;
  return identity(pid) !== other;
}

function identity(pid: string): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const namespace = readlinkSync("/proc/self/ns/pid");
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name stands in brackets and may hold spaces and brackets itself; field 3 (state) follows it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return [boot, namespace, stat.slice(0, stat.indexOf(" ")), fields[19]].join("/");
  } catch {
    return undefined;
  }
}
