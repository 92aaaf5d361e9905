// Reads what an operator asks for into a ClusterSpec: defaults filled in, every fault told at once.
import { z } from "zod";
import type { Fault } from "../std/reason.ts";
import { DATABASE_NAMES, findDatabase } from "./all.ts";
import type { ClusterSpec } from "./cluster.ts";
import { readConstraints } from "./constraints.ts";

const UriSchema = z
  .string()
  .regex(
    /^(?:(?:https?|hdfs|ftps?|s3):\/\/[^\s/]+\/|file:\/\/\/|\/)\S+$/,
    'a URI for the Mesos fetcher, e.g. "https://host/apache-cassandra-5.0.4-bin.tar.gz"',
  );
const PackageSchema = z.union([UriSchema.transform((uri) => ({ uri })), z.strictObject({ uri: UriSchema })], {
  error: 'a URI for the Mesos fetcher, e.g. "https://host/apache-cassandra-5.0.4-bin.tar.gz"',
});
const PortSchema = z.int().min(1).max(65535);

/** The body of `POST /api/v1/clusters`. */
export const ClusterBodySchema = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
      "at most 40 lower-case letters, digits and dashes, a letter first, no dash last",
    )
    .describe("Name of the cluster, a DNS label"),
  database: z.enum(DATABASE_NAMES as [string, ...string[]]).describe("Which database"),
  version: z
    .string()
    .regex(/^\d+\.\d+(?:\.\d+)?[A-Za-z0-9.+~-]*$/, 'a version such as "5.0.4"')
    .describe("Its version"),
  nodes: z.int().min(1).max(500).default(3).describe("How many nodes"),
  resources: z
    .strictObject({
      cpus: z.number().min(0.1).max(1024).default(1),
      memMb: z.int().min(1).max(16_777_216).default(4096),
      diskMb: z.int().min(64).max(1_073_741_824).default(20_480),
    })
    .prefault({})
    .describe("Resources of one node"),
  package: PackageSchema.describe("Where agents fetch the database from"),
  jre: PackageSchema.optional().describe("A Java runtime to use instead of the agent's own"),
  ports: z.record(z.string(), PortSchema).default({}).describe("Fixed ports by name; the others come from offers"),
  constraints: z.unknown().optional().describe("Placement constraints, e.g. hostname:UNIQUE"),
  datacenter: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, "letters, digits, _ . -")
    .default("dc1"),
  rackAttribute: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe("Agent attribute (or @zone, @region) that names a node's rack"),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a name of letters, digits and _"), z.string())
    .default({}),
  settings: z.record(z.string(), z.unknown()).default({}).describe("The database's own settings"),
});

/** Stand in for what is wrong itself, so that the rest can be checked all the same. */
const PLACEHOLDERS: Readonly<Record<string, unknown>> = { name: "placeholder", package: "https://placeholder/package" };

/** The spec, or everything that is wrong with it. */
export function readClusterSpec(body: unknown): { readonly spec: ClusterSpec } | { readonly faults: readonly Fault[] } {
  const parsed = ClusterBodySchema.safeParse(body);
  const raw = isRecord(body) ? body : {};
  const placement = readConstraints(raw["constraints"], "constraints");
  const shape = parsed.success ? [] : parsed.error.issues.flatMap((issue) => issueFaults(issue, body));
  const wrong = new Set(shape.map(({ path }) => path.split(".")[0] ?? ""));
  const checked = parsed.success ? parsed : ClusterBodySchema.safeParse(mended(raw, wrong));
  if (!checked.success) return { faults: [...shape, ...placement.faults] };

  const { jre, rackAttribute, constraints: _read, ...rest } = checked.data;
  const spec: ClusterSpec = {
    ...rest,
    constraints: placement.constraints,
    ...(jre === undefined ? {} : { jre }),
    ...(rackAttribute === undefined ? {} : { rackAttribute }),
  };
  const deeper = databaseFaults(spec).filter(({ path }) => !wrong.has(path.split(".")[0] ?? ""));
  const faults = [...shape, ...placement.faults, ...deeper];
  return faults.length > 0 ? { faults } : { spec };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The body without its wrong parts. */
function mended(raw: Readonly<Record<string, unknown>>, wrong: ReadonlySet<string>): Readonly<Record<string, unknown>> {
  const right = Object.entries(raw).filter(([key]) => !wrong.has(key));
  const stand = Object.entries(PLACEHOLDERS).filter(([key]) => wrong.has(key));
  return Object.fromEntries([...right, ...stand]);
}

/** What only the database can tell: its ports, versions and settings. */
function databaseFaults(spec: ClusterSpec): readonly Fault[] {
  const database = findDatabase(spec.database);
  if (database === undefined)
    throw new Error(`Cannot check cluster "${spec.name}": there is no database "${spec.database}"`);
  const names = [...database.ports, "api"];
  const faults: Fault[] = [];
  for (const [name, port] of Object.entries(spec.ports)) {
    const path = `ports.${name}`;
    if (!names.includes(name)) faults.push({ path, found: `"${name}"`, wanted: `one of ${names.join(", ")}` });
    const twin = Object.keys(spec.ports).find((other) => other < name && spec.ports[other] === port);
    if (twin !== undefined) faults.push({ path, found: `${port}, the port of "${twin}"`, wanted: "a port of its own" });
  }
  return [...faults, ...database.check(spec)];
}

function issueFaults(issue: z.core.$ZodIssue, body: unknown): readonly Fault[] {
  const path = issue.path.map(String).join(".") || "body";
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: [...issue.path.map(String), key].join("."),
      found: "an unknown key",
      wanted: "a key of the API's description (/openapi.json)",
    }));
  }
  let value: unknown = body;
  for (const key of issue.path) value = (value as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key];
  return [{ path, found: value === undefined ? "nothing" : JSON.stringify(value), wanted: wantedText(issue) }];
}

function wantedText(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "too_small":
      return `at least ${String(issue.minimum)}`;
    case "too_big":
      return `at most ${String(issue.maximum)}`;
    case "invalid_value":
      return `one of ${issue.values.map((value) => `"${String(value)}"`).join(", ")}`;
    case "invalid_type":
      return issue.expected === "int"
        ? "a whole number"
        : `${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}`;
    default:
      return issue.message;
  }
}
