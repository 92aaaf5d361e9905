// Riak KV 2.0 to 2.2, 2.9 and 3.0 to 3.2 as a Database.
import type { Database } from "../database.ts";
import { adminAsks, OPERATIONS } from "./admin.ts";
import { drainQuestion, healthOf, probes } from "./health.ts";
import { riakReads, ringNames } from "./reads.ts";
import { companions, EPMD_MODULE, preparation, R16_MODULE, renderedFiles, startCommand } from "./release.ts";
import { joinsByServing, mayStart, moved, planFor, seedsFor } from "./ring.ts";
import { checkRiak } from "./settings.ts";

export const riak: Database = {
  name: "riak",
  ports: ["dist", "http", "pb", "handoff", "cluster_manager", "epmd"],
  // Riak 3 has a second bin/riak below usr.
  packageMarkers: ["bin/riak-admin"],
  packageFolders: [],
  carries: [`${EPMD_MODULE}.erl`, `${R16_MODULE}.erl`],
  javaVersions: [],
  wantsNames: true,
  keepsRack: false,
  keepsPort: false,
  check: checkRiak,
  mayStart,
  seeds: seedsFor,
  plan: planFor,
  joinsByServing,
  moved,
  // A claimant that goes away forgets what was staged.
  redo: (operation) => (operation === "commit" || operation === "force-replace" ? ["join"] : []),
  files: renderedFiles,
  prepare: preparation,
  companions,
  command: startCommand,
  probes,
  health: healthOf,
  drain: drainQuestion,
  operations: OPERATIONS,
  admin: adminAsks,
  reads: riakReads,
  ringNames,
  isNamed: (name, { node }) => name.startsWith(`${node}@`),
};
