// The commands below `ringmaster cluster`; those that change one that is there are in cluster-changes.ts.
import type { Command } from "@commander-js/extra-typings";
import {
  type Ask,
  collected,
  collectedPair,
  collectedPort,
  decimalNumber,
  examples,
  FOLLOW,
  secondsAsMs,
  SERVICE_SECONDS,
  show,
  TIMEOUT,
  waitOf,
  wholeNumber,
} from "./arguments.ts";
import { addChangeCommands } from "./cluster-changes.ts";
import type { ClusterFlags } from "./request.ts";
import { settingFilesOf, withSettingFiles } from "./setting-files.ts";

const CREATE_EXAMPLES = [
  "ringmaster cluster create demo --version 5.0.4 --package https://host/apache-cassandra-5.0.4-bin.tar.gz --wait",
  "ringmaster cluster create --file demo.yaml --nodes 5",
  "ringmaster cluster create demo --file demo.yaml --constraint hostname:UNIQUE --constraint 'rack:LIKE:r-[12]'",
  "ringmaster cluster create kv --database riak --version 3.2.3 --package https://host/riak.tar.gz --riak-conf riak.conf",
  "ringmaster cluster create demo --file demo.yaml --set cassandra.yaml.num_tokens=8 --set 'jvm.options=[-Xmx2G]'",
];

/** Adds the commands below `cluster`. */
export function addClusterCommands(cluster: Command, ask: Ask): void {
  cluster
    .summary("create, look at, change and destroy clusters")
    .description("Creates, looks at, changes and destroys clusters.");
  cluster.addHelpText("after", examples("ringmaster cluster list", "ringmaster cluster endpoints demo"));
  addCreate(cluster.command("create"), ask);
  cluster
    .command("list")
    .summary("list the clusters")
    .description("Lists the clusters.")
    .option("-o, --output-file <file>", "write them to a file, from which `cluster set` makes them again")
    .addHelpText("after", examples("ringmaster cluster list", "ringmaster cluster list --output-file clusters.json"))
    .action(({ outputFile: file }) => {
      if (file === undefined) show(ask, "clusters", "clusters");
      else ask({ type: "backup", file });
    });
  cluster
    .command("set")
    .summary("make the clusters of a file again, empty")
    .description(
      "Makes the clusters again that `cluster list --output-file` wrote, as they were asked for. Their data is not in the file.",
    )
    .argument("<file>", "the file")
    .addHelpText("after", examples("ringmaster cluster set clusters.json"))
    .action((file) => ask({ type: "restore", file }));
  cluster
    .command("info")
    .summary("show one cluster and what was asked for")
    .description("Shows one cluster: its state, its plans and what was asked for.")
    .argument("<name>", "name of the cluster")
    .addHelpText("after", examples("ringmaster cluster info demo"))
    .action((name) => show(ask, "cluster", "clusters", name));
  cluster
    .command("endpoints")
    .summary("show where clients connect")
    .description("Shows host and port of every node that serves, by kind of client.")
    .argument("<name>", "name of the cluster")
    .addHelpText("after", examples("ringmaster cluster endpoints demo", "ringmaster cluster endpoints demo --json"))
    .action((name) => show(ask, "endpoints", "clusters", name, "endpoints"));
  addWaitForService(cluster.command("wait-for-service"), ask);
  addChangeCommands(cluster, ask);
  addDestroy(cluster.command("destroy"), ask);
}

/** The name and the options that make a ClusterFlags. Defaults are the scheduler's: it fills in what is not sent. */
function withFlags(command: Command) {
  const described = command
    .argument("[name]", "name of the cluster: lower-case letters, digits and dashes")
    .option("--file <file>", "YAML or JSON with all of this, as the API takes it; flags win over it")
    .option("--database <name>", "which database, cassandra or riak (default: cassandra)")
    .option("--version <version>", "its version, e.g. 5.0.4")
    .option("--package <uri>", "where agents fetch the database from")
    .option("--nodes <count>", "how many nodes (default: 3)", wholeNumber)
    .option("--cpus <cpus>", "processors of one node (default: 1)", decimalNumber)
    .option("--mem <mb>", "memory of one node, MB (default: 4096)", wholeNumber)
    .option("--disk <mb>", "volume of one node, MB (default: 20480)", wholeNumber)
    .option("--jre <uri>", "a Java runtime to use instead of the agents' own")
    .option("--constraint <constraint>", "where nodes may run, e.g. hostname:UNIQUE; may be repeated", collected)
    .option("--datacenter <name>", "the datacenter's name (default: dc1)")
    .option("--rack-attribute <name>", "agent attribute, or @zone or @region, that names a node's rack")
    .option("--port <name=port>", "a fixed port, e.g. native=9042; may be repeated", collectedPort)
    .option("--env <name=value>", "environment of the database; may be repeated", collectedPair);
  return withSettingFiles(described);
}

function addCreate(command: Command, ask: Ask): void {
  withFlags(command)
    .summary("create a cluster")
    .description("Creates a cluster. Prints the id of the plan that deploys it.")
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText("after", examples(...CREATE_EXAMPLES))
    .action((name, options) => {
      const { file, settingFile, riakConf, advancedConfig, wait, timeout, mem, disk, ...rest } = options;
      const { constraint: constraints = [], port: ports = {}, env = {}, set: sets = [], ...same } = rest;
      const flags: ClusterFlags = {
        ...same,
        ...(name === undefined ? {} : { name }),
        ...(mem === undefined ? {} : { memMb: mem }),
        ...(disk === undefined ? {} : { diskMb: disk }),
        constraints,
        ports,
        env,
        sets,
      };
      if (name === undefined && file === undefined)
        command.error("error: cannot create a cluster: found no name, wanted one on the command line or in a --file");
      ask({
        type: "create",
        flags,
        ...(file === undefined ? {} : { file }),
        settingFiles: settingFilesOf(options),
        ...waitOf(wait, timeout),
      });
    });
}

function addWaitForService(command: Command, ask: Ask): void {
  command
    .summary("wait until all nodes of a cluster run")
    .description("Waits until all nodes of a cluster run, and tells on stderr how many do.")
    .argument("<name>", "name of the cluster")
    .option("--nodes <count>", "wait only until so many run (default: all that were asked for)", wholeNumber)
    .option("--timeout <seconds>", `wait no longer than this (default: ${SERVICE_SECONDS})`, secondsAsMs)
    .addHelpText("after", examples("ringmaster cluster wait-for-service demo --nodes 2 --timeout 600"))
    .action((name, { nodes, timeout }) =>
      ask({
        ...{ type: "waitForService", cluster: name, timeoutMs: timeout ?? SERVICE_SECONDS * 1000 },
        ...(nodes === undefined ? {} : { nodes }),
      }),
    );
}

function addDestroy(command: Command, ask: Ask): void {
  command
    .summary("destroy a cluster and all its data")
    .description(
      "Destroys a cluster and all its data: stops its nodes, destroys their volumes, gives the resources back.",
    )
    .argument("<name>", "name of the cluster")
    .option("--yes", "do not ask for the cluster's name first")
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText("after", examples("ringmaster cluster destroy demo", "ringmaster cluster destroy demo --yes --wait"))
    .action((name, { yes = false, wait, timeout }) =>
      ask({ type: "destroy", cluster: name, yes, ...waitOf(wait, timeout) }),
    );
}
