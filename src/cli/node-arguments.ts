// `[cluster] <node>` on the command line: a node's id tells its cluster, so that operators may leave the cluster out.
import { Argument, type Command } from "@commander-js/extra-typings";
import type { Place } from "./request.ts";

const CLUSTER = new Argument("[cluster]", "name of the cluster; may be left out, the node's id tells it");
const NODE = new Argument("<node>", "id of the node, as node list shows it");

/** `<framework>-<cluster>-<n>`. */
const NODE_ID = /^.+-.+-\d+$/;

/** A node as an operator named it, and the words behind it. */
export type NodeWords = { readonly node: string; readonly cluster?: string; readonly rest: readonly string[] };

/** Makes the command take a node, and the `more` arguments behind it, all of which it must get. */
export function withNode(command: Command, ...more: readonly Argument[]) {
  const shown = [CLUSTER, NODE, ...more];
  const terms = shown.map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`));
  // Which word is which, their number tells (readNode): commander has no optional argument before one that must be there.
  return command
    .usage(`[options] ${terms.join(" ")}`)
    .configureHelp({ showGlobalOptions: true, visibleArguments: () => shown })
    .argument("[words...]");
}

/** Reads the words of a command that `withNode` made. Ends in commander's error if they are too few, too many or no node's. */
export function readNode(
  command: { error(message: string): never },
  words: readonly string[],
  ...more: readonly Argument[]
): NodeWords {
  const wanted = [NODE, ...more];
  const missing = wanted[words.length];
  if (missing !== undefined) command.error(`error: missing required argument '${missing.name()}'`);
  const [first = "", ...others] = words;
  if (words.length === wanted.length) {
    if (!NODE_ID.test(first))
      command.error(
        `error: cannot find a cluster by node "${first}": wanted the node's whole id, e.g. ringmaster-demo-1, or its cluster before it`,
      );
    return { node: first, rest: others };
  }
  const [node = "", ...rest] = others;
  if (words.length > wanted.length + 1)
    command.error(`error: too many arguments. Expected ${wanted.length + 1} at most but got ${words.length}.`);
  return { cluster: first, node, rest };
}

/** Where the API has the node, and below it what the segments say. `query` begins with its "?". */
export function nodePlace({ cluster, node }: NodeWords, segments: readonly string[] = [], query = ""): Place {
  const below = segments.map((segment) => `/${encodeURIComponent(segment)}`).join("") + query;
  if (cluster === undefined) return { node, below };
  return `/api/v1/clusters/${encodeURIComponent(cluster)}/nodes/${encodeURIComponent(node)}${below}`;
}
