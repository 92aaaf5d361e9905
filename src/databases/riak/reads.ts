// What operators read of a Riak node through the executor: the ring, its transfers, its types, the node's own figures.
import type { Json } from "../../std/json.ts";
import type { Place, Read } from "../database.ts";
import type { NodeTask } from "../node.ts";
import {
  type MemberStatus,
  readAaeStatus,
  readBucketTypes,
  readClusterStatus,
  readMemberStatus,
  readRingReady,
  readTransfers,
  said,
} from "./printed.ts";
import { adminCommand } from "./release.ts";

const READ_TIMEOUT_MS = 30_000;

/** By name; "status" is the member status. What cannot be read comes back as `error`, in Riak's words. */
export function riakReads(task: NodeTask, place: Place): Readonly<Record<string, Read>> {
  const admin = (args: readonly string[], read: (text: string) => Json | undefined): Read => ({
    question: { type: "command", command: adminCommand(task, place, args), timeoutMs: READ_TIMEOUT_MS },
    shape: (text) => read(text) ?? { error: said(text) },
  });
  const url = `http://${place.address}:${task.ports["http"]}/stats`;
  return {
    status: admin(["member-status"], readMemberStatus),
    "cluster-status": admin(["cluster", "status"], readClusterStatus),
    ringready: admin(["ringready"], readRingReady),
    transfers: admin(["transfers"], readTransfers),
    "aae-status": admin(["aae-status"], readAaeStatus),
    "bucket-types": admin(["bucket-type", "list"], (text) => {
      const types = readBucketTypes(text);
      return types && { bucket_types: types };
    }),
    stats: { question: { type: "http", url, method: "GET", timeoutMs: READ_TIMEOUT_MS }, shape: stats },
  };
}

function stats(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return { error: text.slice(0, 300) };
  }
}

/** Ids of the members in a member status. */
export function ringNames(status: Json): readonly string[] | undefined {
  const { nodes } = (status ?? {}) as Partial<MemberStatus>;
  return Array.isArray(nodes) ? (nodes as MemberStatus["nodes"]).map(({ id }) => id) : undefined;
}
