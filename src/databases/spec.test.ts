// What an operator may ask for: defaults filled in, everything wrong told at once.
import { expect, test } from "bun:test";
import { readClusterSpec } from "./spec.ts";

const BODY = { name: "demo", database: "cassandra", version: "5.0.4", package: "https://artifacts.example/c.tar.gz" };

test("the smallest body gets every default", () => {
  expect(readClusterSpec(BODY)).toEqual({
    spec: {
      name: "demo",
      database: "cassandra",
      version: "5.0.4",
      nodes: 3,
      resources: { cpus: 1, memMb: 4096, diskMb: 20_480 },
      package: { uri: "https://artifacts.example/c.tar.gz" },
      ports: {},
      constraints: [],
      datacenter: "dc1",
      env: {},
      settings: {},
    },
  });
});

test("a wrong part does not hide what is wrong with the others, down to the database's own settings", () => {
  const body = {
    ...BODY,
    name: "No",
    nodes: 0,
    package: "nowhere",
    version: "9.9",
    constraints: "hostname:NO",
    ports: { natve: 1, native: 9042, storage: 9042 },
    settings: { "cassandra.yaml": { listen_address: "x" } },
    colour: "red",
  };
  const read = readClusterSpec(body);
  const paths = "faults" in read ? read.faults.map(({ path }) => path) : [];
  expect(paths.toSorted((a, b) => a.localeCompare(b))).toEqual([
    "colour",
    "constraints",
    "name",
    "nodes",
    "package",
    "ports.natve",
    "ports.storage",
    "version",
  ]);
});

test.each([[null], ["demo"], [[]], [7]])("%j is no body", (body) => {
  expect(readClusterSpec(body)).toHaveProperty("faults");
});

test("what a cluster was made of, as the API shows it, makes it again", () => {
  const body = { ...BODY, constraints: "hostname:UNIQUE,rack:LIKE:r-[12]" };
  const first = readClusterSpec(body);
  if ("faults" in first) throw new Error(JSON.stringify(first.faults));
  expect(readClusterSpec(JSON.parse(JSON.stringify(first.spec)))).toEqual(first);
});
