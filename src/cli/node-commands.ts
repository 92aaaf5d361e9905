// The commands below `ringmaster node` that look at a node or change it as a whole.
import type { Command } from "@commander-js/extra-typings";
import { type Ask, examples, FOLLOW, SERVICE_SECONDS, secondsAsMs, show, TIMEOUT, waitOf } from "./arguments.ts";
import { nodePlace, readNode, withNode } from "./node-arguments.ts";
import { addBucketTypeCommands, addLogCommands, addRun } from "./node-operations.ts";

/** What can be read of a running node: name, the API's name, summary, description. */
const READS = [
  [
    "status",
    "status",
    "ask a node how it sees itself and its ring",
    "Asks a running node how it sees itself and its ring.",
  ],
  [
    "member-status",
    "status",
    "ask a node for the members of its ring",
    "Asks a running node for the members of its ring: status by Riak's own name.",
  ],
  [
    "ringready",
    "ringready",
    "ask a node whether all agree on the ring",
    "Asks a Riak node whether all nodes agree on the ring.",
  ],
  [
    "aae-status",
    "aae-status",
    "ask a node for its anti-entropy",
    "Asks a Riak node how its active anti-entropy is doing.",
  ],
  ["stats", "stats", "ask a node for its figures", "Asks a Riak node for its figures, all of them."],
] as const;

/** What can be done to a node: name, summary, description, and how to tell that it began. */
const CHANGES = [
  [
    "restart",
    "stop a node and start it on its volume",
    "Stops a node and starts it again on its own volume.",
    "restarted",
  ],
  ["stop", "stop a node, keeping its data", "Stops a node. It keeps its place and its data.", "stopped"],
  ["start", "start a node that was stopped", "Starts a node that was stopped, on its own volume.", "started"],
  [
    "replace",
    "put a new node into the place of one whose data is gone",
    "Puts a new node into the place of one that is lost, unreachable, down or stopped, by the database's own procedure. The old one's data is given up, and it is killed if it shows up again. What is lost is replaced by itself when a quorum lives without it.",
    "replaced",
  ],
] as const;

/** Adds the commands below `node`. */
export function addNodeCommands(node: Command, ask: Ask): void {
  node.summary("look at nodes and change them").description("Looks at the nodes of a cluster and changes them.");
  node.addHelpText("after", examples("ringmaster node list demo", "ringmaster node status ringmaster-demo-1"));
  node
    .command("list")
    .summary("list a cluster's nodes")
    .description("Lists a cluster's nodes with their phase and place.")
    .argument("<cluster>", "name of the cluster")
    .addHelpText("after", examples("ringmaster node list demo"))
    .action((cluster) => show(ask, "nodes", "clusters", cluster, "nodes"));
  const info = node.command("info");
  withNode(info)
    .summary("show one node")
    .description("Shows one node: its phase, place, ports and last failure.")
    .addHelpText("after", nodeExamples("info"))
    .action((words) => ask({ type: "show", view: "node", path: nodePlace(readNode(info, words)) }));
  addWaitForService(node.command("wait-for-service"), ask);
  for (const [name, read, summary, description] of READS) {
    const command = node.command(name);
    withNode(command)
      .summary(summary)
      .description(description)
      .addHelpText("after", nodeExamples(name))
      .action((words) =>
        ask({ type: "show", view: "read", path: nodePlace(readNode(command, words), ["reads", read]) }),
      );
  }
  addTransfers(node.command("transfers"), ask);
  addLogCommands(node.command("log"), ask);
  addBucketTypeCommands(node.command("bucket-type"), ask);
  for (const [name, summary, description, done] of CHANGES) {
    const command = node.command(name);
    withNode(command)
      .summary(summary)
      .description(`${description} Prints the id of the plan that does it.`)
      .option("--wait", FOLLOW)
      .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
      .addHelpText("after", nodeExamples(name, " --wait"))
      .action((words, { wait, timeout }) => {
        const at = readNode(command, words);
        const begun = `Node "${at.node}" is being ${done}`;
        ask({ type: "post", path: nodePlace(at, [name]), begun, ...waitOf(wait, timeout) });
      });
  }
  addRemove(node.command("remove"), ask);
  addRun(node.command("run"), ask);
}

function nodeExamples(command: string, options = ""): string {
  return examples(
    `ringmaster node ${command} demo ringmaster-demo-1${options}`,
    `ringmaster node ${command} ringmaster-demo-1${options}`,
  );
}

function addWaitForService(command: Command, ask: Ask): void {
  withNode(command)
    .summary("wait until a node runs and serves")
    .description("Waits until a node runs and serves, and tells on stderr how far it is.")
    .option("--timeout <seconds>", `wait no longer than this (default: ${SERVICE_SECONDS})`, secondsAsMs)
    .addHelpText("after", nodeExamples("wait-for-service", " --timeout 600"))
    .action((words, { timeout: timeoutMs = SERVICE_SECONDS * 1000 }) => {
      const at = readNode(command, words);
      ask({ type: "waitForNode", node: at.node, path: nodePlace(at), timeoutMs });
    });
}

function addTransfers(command: Command, ask: Ask): void {
  withNode(command)
    .summary("ask a node for the transfers in its ring")
    .description("Asks a Riak node which partitions wait to be handed over, and which are on their way.")
    .option("-w, --wait-for-service", "wait until none waits or is on its way, and tell on stderr how many there are")
    .option(
      "--timeout <seconds>",
      `wait no longer than this (default: ${SERVICE_SECONDS}); implies --wait-for-service`,
      secondsAsMs,
    )
    .addHelpText("after", nodeExamples("transfers") + "\n  $ ringmaster node transfers ringmaster-demo-1 -w")
    .action((words, { waitForService, timeout }) => {
      const at = readNode(command, words);
      const path = nodePlace(at, ["reads", "transfers"]);
      if (waitForService === undefined && timeout === undefined) ask({ type: "show", view: "read", path });
      else ask({ type: "waitForTransfers", node: at.node, path, timeoutMs: timeout ?? SERVICE_SECONDS * 1000 });
    });
}

function addRemove(command: Command, ask: Ask): void {
  withNode(command)
    .summary("take a node out of its cluster")
    .description(
      "Takes a node out of its cluster: it hands its data over, is stopped, and its volume is destroyed. " +
        "Prints the id of the plan that does it.",
    )
    .option("-f, --force", "do not hand its data over: for a node that does not come back")
    .option("--yes", "with --force, do not ask for the node's id first")
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText(
      "after",
      nodeExamples("remove") + "\n  $ ringmaster node remove ringmaster-demo-1 --force --yes --wait",
    )
    .action((words, { force = false, yes = false, wait, timeout }) => {
      const at = readNode(command, words);
      const path = nodePlace(at, [], force ? "?force=true" : "");
      ask({ type: "removeNode", node: at.node, path, force, yes, ...waitOf(wait, timeout) });
    });
}
