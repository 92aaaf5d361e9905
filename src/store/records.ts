// The guard against data of a newer release: every record says which schema it follows, and nobody reads what it does not
// know.
import type { Json } from "../std/json.ts";
import type { Path, Stored } from "./store.ts";

/** A record's value as the rooms write it: a JSON object with the number of its schema, from 1. */
export type SchemaRecord = { readonly schema: number; readonly [field: string]: Json };

/**
 * The value of a record that follows schema `newest` or an older one; the caller brings an older one up to date by its
 * `schema`. Throws an Error that names path, found and wanted for a newer schema and for what is no such record.
 */
export function readRecord(path: Path, stored: Stored, newest: number): SchemaRecord {
  const { value } = stored;
  if (!isSchemaRecord(value)) {
    throw new Error(
      `Cannot read record "${path}": found no schema number, wanted an object with "schema" up to ${newest}`,
    );
  }
  if (value.schema > newest) {
    throw new Error(
      `Cannot read record "${path}": found schema ${value.schema}, wanted at most ${newest}: a newer release wrote it`,
    );
  }
  return value;
}

function isSchemaRecord(value: Json): value is SchemaRecord {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  const schema: unknown = Reflect.get(value, "schema");
  return typeof schema === "number" && Number.isInteger(schema) && schema >= 1;
}
