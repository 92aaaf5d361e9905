// The commands below `ringmaster node` for what a node has inside: logs, bucket types, its database's operations.
import { Argument, type Command } from "@commander-js/extra-typings";
import { type Ask, collectedPair, examples, FOLLOW, secondsAsMs, TIMEOUT, waitOf, wholeNumber } from "./arguments.ts";
import { nodePlace, readNode, withNode } from "./node-arguments.ts";
import type { Place } from "./request.ts";

const TYPE = new Argument("<type>", "name of the bucket type");
const PROPS = new Argument("<props-json>", `its properties, e.g. '{"props":{"n_val":3}}'; "props" may be left out`);
const OPERATION = new Argument("<operation>", "name of the operation; a refusal tells which there are");

const LOG = "console.log";
const LINES = 200;

export function addLogCommands(log: Command, ask: Ask): void {
  log.summary("look at a node's log files").description("Looks at a node's log files.");
  log.addHelpText("after", examples("ringmaster node log list ringmaster-demo-1"));
  const list = log.command("list");
  withNode(list)
    .summary("list a node's log files")
    .description("Lists a node's log files with their sizes.")
    .addHelpText("after", examples("ringmaster node log list ringmaster-demo-1"))
    .action((words) => ask({ type: "show", view: "read", path: nodePlace(readNode(list, words), ["logs"]) }));
  const tail = log.command("tail");
  withNode(tail)
    .summary("print the end of a log file")
    .description("Prints the end of a node's log file.")
    .option("--file <name>", `which one, as log list shows it (default: ${LOG})`)
    .option("--lines <count>", `how many lines (default: ${LINES})`, wholeNumber)
    .addHelpText(
      "after",
      examples(
        "ringmaster node log tail ringmaster-demo-1",
        "ringmaster node log tail demo ringmaster-demo-1 --file stderr",
      ),
    )
    .action((words, { file = LOG, lines = LINES }) => {
      const path = nodePlace(readNode(tail, words), ["logs", file], `?lines=${lines}`);
      ask({ type: "show", view: "read", path });
    });
}

/** What changes a bucket type: the arguments behind the node, summary, description, and how to tell that it began. */
const TYPE_CHANGES = {
  create: [
    [TYPE, PROPS],
    "create a bucket type",
    "Creates a bucket type. It can be used once it is activated.",
    "created",
  ],
  update: [[TYPE, PROPS], "change a bucket type", "Changes properties of a bucket type.", "updated"],
  activate: [[TYPE], "activate a bucket type", "Activates a bucket type: from then on it can be used.", "activated"],
} as const;

export function addBucketTypeCommands(types: Command, ask: Ask): void {
  types
    .summary("look at Riak's bucket types and change them")
    .description("Looks at Riak's bucket types and changes them.");
  types.addHelpText("after", examples("ringmaster node bucket-type list ringmaster-demo-1"));
  const list = types.command("list");
  withNode(list)
    .summary("list the bucket types")
    .description("Lists the bucket types that a Riak node knows.")
    .addHelpText("after", examples("ringmaster node bucket-type list ringmaster-demo-1"))
    .action((words) =>
      ask({ type: "show", view: "read", path: nodePlace(readNode(list, words), ["reads", "bucket-types"]) }),
    );
  for (const [name, [more, summary, description, done]] of Object.entries(TYPE_CHANGES)) {
    const command = types.command(name);
    const props = more.length > 1 ? ` '{"props":{"allow_mult":true}}'` : "";
    if (name === "create") command.option("--activate", "activate it, too, so that it can be used at once");
    withNode(command, ...more)
      .summary(summary)
      .description(`${description} Prints the id of the plan that does it.`)
      .option("--wait", FOLLOW)
      .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
      .addHelpText("after", examples(`ringmaster node bucket-type ${name} ringmaster-demo-1 carts${props} --wait`))
      .action((words, { wait, timeout }) => {
        const at = readNode(command, words, ...more);
        const [type = "", props] = at.rest;
        if (props !== undefined) checkProps(command, props);
        const { activate = false } = command.opts() as { readonly activate?: boolean };
        ask({
          type: "bucketType",
          change: name,
          bucketType: type,
          list: nodePlace(at, ["reads", "bucket-types"]),
          path: operationPlace(at, activate ? "bucket-type-make" : `bucket-type-${name}`),
          body: { type, ...(props === undefined ? {} : { props }) },
          begun: `Bucket type "${type}" is being ${done}`,
          ...waitOf(wait, timeout),
        });
      });
  }
}

/** Ends in commander's error if the properties are no JSON object. */
function checkProps(command: { error(message: string): never }, text: string): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    command.error(`error: cannot read the properties: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    command.error(
      `error: cannot read the properties: found ${text}, wanted a JSON object such as {"props":{"n_val":3}}`,
    );
}

export function addRun(command: Command, ask: Ask): void {
  withNode(command, OPERATION)
    .summary("run one of the database's operations on a node")
    .description("Runs one of the database's operations on a node. Prints the id of the plan that does it.")
    .option("--arg <name=value>", "an argument of the operation; may be repeated", collectedPair)
    .option("--wait", FOLLOW)
    .option("--timeout <seconds>", TIMEOUT, secondsAsMs)
    .addHelpText(
      "after",
      examples("ringmaster node run ringmaster-demo-1 bucket-type-activate --arg type=carts --wait"),
    )
    .action((words, { arg = {}, wait, timeout }) => {
      const at = readNode(command, words, OPERATION);
      const [operation = ""] = at.rest;
      const begun = `Operation "${operation}" is being run on node "${at.node}"`;
      ask({ type: "post", path: operationPlace(at, operation), body: arg, begun, ...waitOf(wait, timeout) });
    });
}

function operationPlace(at: Parameters<typeof nodePlace>[0], operation: string): Place {
  return nodePlace(at, ["operations", operation]);
}
