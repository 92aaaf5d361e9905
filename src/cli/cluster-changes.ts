// The commands below `ringmaster cluster` that change a cluster which is there.
import type { Command } from "@commander-js/extra-typings";
import {
  type Ask,
  collected,
  collectedPair,
  examples,
  FOLLOW,
  secondsAsMs,
  TIMEOUT,
  waitOf,
  wholeNumber,
} from "./arguments.ts";
import { settingFilesOf, withSettingFiles } from "./setting-files.ts";

const NAME = "name of the cluster";
const ROLLING = "Nodes take it over by a rolling restart.";

/** Adds the commands to those below `cluster`. */
export function addChangeCommands(cluster: Command, ask: Ask): void {
  addUpdate(cluster.command("update"), ask);
  addConfig(cluster.command("config"), ask, "riak.conf", "config");
  addConfig(cluster.command("config-advanced"), ask, "advanced.config", "advancedConfig");
  cluster
    .command("restart")
    .summary("restart all nodes, one after the other")
    .description("Restarts all nodes of a cluster, one after the other. Prints the id of the plan that does it.")
    .argument("<name>", NAME)
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText("after", examples("ringmaster cluster restart demo --wait"))
    .action((name, { wait, timeout }) => {
      const begun = `Cluster "${name}" is being restarted`;
      ask({ type: "post", path: pathOf(name, "restart"), begun, ...waitOf(wait, timeout) });
    });
  cluster
    .command("add-node")
    .summary("add nodes to a cluster")
    .description("Adds nodes to a cluster. Prints the id of the plan that does it.")
    .argument("<name>", NAME)
    .option("--nodes <count>", "how many (default: 1)", wholeNumber)
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText(
      "after",
      examples("ringmaster cluster add-node demo", "ringmaster cluster add-node demo --nodes 2 --wait"),
    )
    .action((name, { nodes: count = 1, wait, timeout }) => {
      const begun = `Cluster "${name}" is being given ${count === 1 ? "1 node" : `${count} nodes`} more`;
      ask({ type: "post", path: pathOf(name, "nodes"), body: { count }, begun, ...waitOf(wait, timeout) });
    });
}

function pathOf(cluster: string, below: string): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}/${below}`;
}

function addUpdate(command: Command, ask: Ask): void {
  const described = command
    .summary("change a cluster's version, environment or settings")
    .description(
      `Changes what is given, and nothing else. ${ROLLING} Prints the id of the plan that does it.\n` +
        "A file replaces the settings that it names, --set one key of a setting; --set PATH=null takes it away.",
    )
    .argument("<name>", NAME)
    .option("--version <version>", "the database's version, e.g. 5.0.5; its --package changes with it")
    .option("--package <uri>", "where agents fetch the database from")
    .option("--jre <uri>", "a Java runtime to use instead of the agents' own")
    .option(
      "--constraint <constraint>",
      "where new nodes may run, replaces all; may be repeated, '' is none",
      collected,
    )
    .option("--env <name=value>", "a variable of the database's environment; may be repeated", collectedPair)
    .option("--unset-env <name>", "a variable to take away; may be repeated", collected)
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs);
  withSettingFiles(described)
    .addHelpText(
      "after",
      examples(
        "ringmaster cluster update demo --version 5.0.5 --package https://host/apache-cassandra-5.0.5-bin.tar.gz --wait",
        "ringmaster cluster update demo --set cassandra.yaml.concurrent_reads=64 --env TZ=UTC",
      ),
    )
    .action((name, options) => {
      const { version, package: uri, jre, constraint = [], env = {}, unsetEnv = [], set = [], wait, timeout } = options;
      const given = {
        ...(version === undefined ? {} : { version }),
        ...(uri === undefined ? {} : { package: uri }),
        ...(jre === undefined ? {} : { jre }),
      };
      const settingFiles = settingFilesOf(options);
      const lists = [constraint, unsetEnv, set, settingFiles.trees, Object.keys(env), Object.keys(settingFiles.texts)];
      if (Object.keys(given).length + lists.flat().length === 0)
        command.error(`error: nothing to change in cluster "${name}": wanted an option that says what`);
      ask({
        type: "update",
        cluster: name,
        flags: { ...given, constraints: constraint, env, unsetEnv, sets: set },
        settingFiles,
        ...waitOf(wait, timeout),
      });
    });
}

/** A setting that is one text: read, put and taken away by itself. */
function addConfig(command: Command, ask: Ask, setting: string, route: string): void {
  const words = `ringmaster cluster ${command.name()} kv`;
  command
    .summary(`print or change a Riak cluster's ${setting}`)
    .description(
      `Prints the ${setting} of a Riak cluster (with --json as a JSON text), or changes it. ${ROLLING} ` +
        "A change prints the id of the plan that does it.",
    )
    .argument("<name>", NAME)
    .option("--file <file>", `the new ${setting}`)
    .option("-d, --delete", `go back to the default ${setting}`)
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText("after", examples(`${words} > ${setting}`, `${words} --file ${setting} --wait`, `${words} --delete`))
    .action((name, { file, delete: isDelete, wait, timeout }) => {
      const config = { cluster: name, setting, path: pathOf(name, route) };
      if (file !== undefined && isDelete === true)
        command.error("error: option '--file <file>' cannot be used with option '-d, --delete'");
      const follow = waitOf(wait, timeout);
      if (file !== undefined) ask({ type: "writeConfig", config, file, ...follow });
      else if (isDelete === true) ask({ type: "writeConfig", config, ...follow });
      else if (follow.waitMs === undefined) ask({ type: "readConfig", config });
      else command.error("error: nothing to wait for: wanted --file or --delete beside --wait");
    });
}
