// Apache Cassandra 4.1 and 5.0 as a Database.
import type { Database } from "../database.ts";
import { adminAsks, OPERATIONS } from "./admin.ts";
import { renderedFiles } from "./files.ts";
import { drainQuestion, healthOf, probeQuestions } from "./health.ts";
import { JOLOKIA_JAR } from "./jolokia.ts";
import { commandLine } from "./jvm.ts";
import { moved, planChange } from "./plan.ts";
import { cassandraReads, isNamed, ringNames } from "./reads.ts";
import { mayStart, seedsFor } from "./ring.ts";
import { checkCassandra } from "./settings.ts";

export const cassandra: Database = {
  name: "cassandra",
  ports: ["storage", "native", "jmx", "jolokia"],
  // The official tarball names its own jar one way, Maven Central the other.
  packageMarkers: ["lib/apache-cassandra-*.jar", "lib/cassandra-all-*.jar"],
  packageFolders: ["lib"],
  carries: [JOLOKIA_JAR],
  javaVersions: [11, 17],
  check: checkCassandra,
  mayStart,
  seeds: seedsFor,
  plan: (change, _spec, members) => planChange(change, members),
  joinsByServing: () => true,
  moved,
  redo: () => [],
  wantsNames: false,
  keepsRack: true,
  // A node that replaces another tells its ring the old address twice, once without the port: whoever reads that puts its own
  // port there, and the node itself ends over the contradiction (5.0.4).
  keepsPort: true,
  files: renderedFiles,
  prepare: () => [],
  companions: () => [],
  command: commandLine,
  probes: probeQuestions,
  health: healthOf,
  drain: drainQuestion,
  operations: OPERATIONS,
  admin: adminAsks,
  reads: cassandraReads,
  ringNames,
  isNamed,
};
