// A CQL client that talks to one node only, at quorum.
import { Client } from "cassandra-driver";
import type { EndpointsView } from "../../../src/databases/api.ts";

const QUORUM = 4;

/** Runs `use` with a client of this node. */
export async function throughNode<T>(
  node: EndpointsView["nodes"][number],
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    contactPoints: [`${node.hostname}:${node.ports["native"]}`],
    localDataCenter: "dc1",
    queryOptions: { consistency: QUORUM },
  });
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.shutdown();
  }
}
