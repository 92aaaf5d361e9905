// The databases that Ringmaster can run.
import { cassandra } from "./cassandra/cassandra.ts";
import type { Database } from "./database.ts";
import { riak } from "./riak/riak.ts";

const DATABASES: readonly Database[] = [cassandra, riak];

export const DATABASE_NAMES: readonly string[] = DATABASES.map((database) => database.name);

/** The database of that name, or undefined. */
export function findDatabase(name: string): Database | undefined {
  return DATABASES.find((database) => database.name === name);
}
