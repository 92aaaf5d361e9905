// Reads a NodeTask: the data of a Mesos task, or the FILE of `ringmaster executor --task FILE`.
import { DATABASE_NAMES, findDatabase } from "../databases/all.ts";
import type { AdminTask, NodeTask } from "../databases/node.ts";
import type { Fault } from "../std/reason.ts";

type Check = readonly [wanted: string, holds: (value: unknown) => boolean];

function text(wanted: string, form: RegExp): Check {
  return [wanted, (value) => typeof value === "string" && form.test(value)];
}

function number(wanted: string, min: number, max: number, whole = true): Check {
  return [
    wanted,
    (value) => typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value)),
  ];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
}

const NAME = text("letters, digits, . _ -", /^[A-Za-z0-9._-]{1,200}$/);

const NODE_CHECKS: Readonly<Record<keyof NodeTask, Check>> = {
  schema: ["1, the only one that this binary knows", (value) => value === 1],
  framework: NAME,
  cluster: NAME,
  node: NAME,
  database: [`one of ${DATABASE_NAMES.join(", ")}`, (value) => DATABASE_NAMES.includes(String(value))],
  version: text('a version such as "5.0.4"', /^\d[\w.+-]{0,40}$/),
  generation: number("a whole number from 1", 1, 1e9),
  expectData: ["true or false", (value) => typeof value === "boolean"],
  expectMarker: ["true or false", (value) => typeof value === "boolean"],
  hostname: text("a host name or address", /^[A-Za-z0-9._:-]{1,255}$/),
  datacenter: text("a name", /^[^\n]{1,200}$/),
  rack: text("a name", /^[^\n]{1,200}$/),
  oneRack: ["true or false", (value) => typeof value === "boolean"],
  cpus: number("a number above 0", Number.MIN_VALUE, 1e6, false),
  memMb: number("a whole number of megabytes", 1, 1e9),
  ports: ["a map of names and ports from 1 to 65535", (value) => isMap(value) && Object.values(value).every(isPort)],
  seeds: [
    "a list of host:port",
    (value) => Array.isArray(value) && value.every((one) => /^\S+:\d+$/.test(String(one))),
  ],
  replaces: text("host:port", /^\S+:\d+$/),
  volume: text("a path relative to the sandbox, without ..", /^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\0\n]+$/),
  env: [
    "a map of names and texts",
    (value) => isMap(value) && Object.values(value).every((one) => typeof one === "string"),
  ],
  settings: ["a map", isMap],
  graceMs: number("milliseconds from 1000 to 86400000", 1_000, 86_400_000),
  store: text("a store URL", /^\S{1,2000}$/),
  token: text("at least 16 letters, digits and . _ ~ + / = -", /^[A-Za-z0-9._~+/=-]{16,512}$/),
};

const OPTIONAL: ReadonlySet<string> = new Set<keyof NodeTask>(["expectMarker", "oneRack", "replaces", "store"]);
/** Not shown when they are wrong: a store's URL may have a password. */
const SECRET: ReadonlySet<string> = new Set<keyof NodeTask>(["token", "store"]);

const ADMIN_CHECKS: Readonly<Record<keyof AdminTask, Check>> = {
  schema: NODE_CHECKS.schema,
  node: NAME,
  operation: text("letters, digits and -", /^[A-Za-z0-9-]{1,64}$/),
  args: NODE_CHECKS.env,
  members: ["a list of maps", (value) => Array.isArray(value) && value.every(isMap)],
};

/** The task, or everything that is wrong with it. */
export function readNodeTask(json: string): { readonly task: NodeTask } | { readonly faults: readonly Fault[] } {
  const { value, faults } = readMap(json, NODE_CHECKS);
  if (faults.length > 0) return { faults };
  const task = value as NodeTask;
  const database = findDatabase(task.database);
  for (const name of [...(database?.ports ?? []), "api"]) {
    if (task.ports[name] === undefined) faults.push({ path: `ports.${name}`, found: "nothing", wanted: "a port" });
  }
  return faults.length > 0 ? { faults } : { task };
}

/** The admin task, or everything that is wrong with it. */
export function readAdminTask(json: string): { readonly task: AdminTask } | { readonly faults: readonly Fault[] } {
  const { value, faults } = readMap(json, ADMIN_CHECKS);
  return faults.length > 0 ? { faults } : { task: value as AdminTask };
}

function readMap(json: string, checks: Readonly<Record<string, Check>>): { readonly value: unknown; faults: Fault[] } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { value, faults: [{ path: "task", found, wanted: "JSON" }] };
  }
  if (!isMap(value)) return { value, faults: [{ path: "task", found: shown(value), wanted: "a map" }] };
  const faults: Fault[] = [];
  for (const [name, [wanted, holds]] of Object.entries(checks)) {
    const part = value[name];
    if (part === undefined && OPTIONAL.has(name)) continue;
    if (part === undefined) faults.push({ path: name, found: "nothing", wanted });
    else if (!holds(part)) faults.push({ path: name, found: SECRET.has(name) ? "another value" : shown(part), wanted });
  }
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(checks, name))
      faults.push({ path: name, found: "an unknown key", wanted: `one of ${Object.keys(checks).join(", ")}` });
  }
  return { value, faults };
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
