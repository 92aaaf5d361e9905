// Finds the master to subscribe with: a list that the operator gave, or what ZooKeeper says at this moment.
import type { Client, Exception } from "node-zookeeper-client";
import { leaderNode, type Masters, masterUrl } from "../leader.ts";

/** How long one look into ZooKeeper may take, connecting included. */
const ZOOKEEPER_DEADLINE_MS = 10_000;

/** The masters to try, in order; one that does not lead redirects. Rejects with a reason when there is none. */
export async function findMasters(masters: Masters, signal: AbortSignal): Promise<readonly URL[]> {
  return masters.type === "urls" ? masters.urls : [await findLeader(masters, signal)];
}

/** One look into ZooKeeper with a client of its own: it is needed for a moment, hours apart. */
async function findLeader(
  { servers, path, digest }: Extract<Masters, { type: "zookeeper" }>,
  signal: AbortSignal,
): Promise<URL> {
  const zookeeper = await import("node-zookeeper-client");
  const client = zookeeper.createClient(servers, { sessionTimeout: ZOOKEEPER_DEADLINE_MS, spinDelay: 200, retries: 0 });
  if (digest !== undefined) client.addAuthInfo("digest", Buffer.from(digest));
  const stop = AbortSignal.any([signal, AbortSignal.timeout(ZOOKEEPER_DEADLINE_MS)]);
  const stopped = new Promise<never>((_, reject) => {
    stop.addEventListener("abort", () => reject(new Error(`no answer within ${ZOOKEEPER_DEADLINE_MS} ms`)), {
      once: true,
    });
  });
  try {
    // What is asked before this event overtakes the digest.
    const connected = new Promise<void>((resolve) => client.once("connected", resolve));
    client.connect();
    await Promise.race([connected, stopped]);
    return await Promise.race([readLeader(client, path), stopped]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot find the leading master in "${path}" of ZooKeeper "${servers}": ${reason}`, {
      cause: error,
    });
  } finally {
    close(client);
  }
}

async function readLeader(client: Client, path: string): Promise<URL> {
  const children = await answer<readonly string[]>((done) => client.getChildren(path, done));
  const leader = leaderNode(children);
  if (leader === undefined) throw new Error("there is no json.info_*, so no master leads");
  const data = await answer<Buffer>((done) => client.getData(`${path === "/" ? "" : path}/${leader}`, done));
  return masterUrl(data.toString());
}

function answer<T>(ask: (done: (error: Error | Exception | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    ask((error, value) => (error === null ? resolve(value) : reject(new Error(error.toString()))));
  });
}

/** The client alone waits for the answer to its good-bye, which a frozen server never gives. */
function close(client: Client): void {
  client.removeAllListeners();
  client.close();
  const { connectionManager } = client as unknown as { connectionManager: { socket?: { destroySoon(): void } } };
  connectionManager.socket?.destroySoon();
}
