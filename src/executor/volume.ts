// Whose data a volume holds, and whether a node may start on it.
import { MARKER_FILE, type Marker, type NodeFailure, type NodeTask } from "../databases/node.ts";

/** Says which process uses the volume, so that no second one ever does. */
export const PROCESS_FILE = "ringmaster-process.json";

/** Names that do not count as data: the file system's own and ours. */
const NO_DATA: ReadonlySet<string> = new Set(["lost+found", MARKER_FILE, `${MARKER_FILE}.new`, PROCESS_FILE]);

export type Verdict =
  /** New and expected to be: the marker is to be written. */
  | { readonly type: "fresh" }
  | { readonly type: "ours" }
  | { readonly type: "refused"; readonly failure: NodeFailure; readonly message: string };

export function markerOf(node: NodeTask): Marker {
  const { framework, cluster, node: name, generation } = node;
  return { schema: 1, framework, cluster, node: name, generation };
}

/** `names`: all in the volume's root. `marker`: the marker file's text, undefined when there is none. */
export function judgeVolume(node: NodeTask, names: readonly string[], marker: string | undefined): Verdict {
  const data = names.filter((name) => !NO_DATA.has(name));
  const whose = `volume "${node.volume}" of node "${node.node}"`;
  if (marker !== undefined) {
    const wanted = markerOf(node);
    const differing = differences(wanted, marker);
    if (differing !== undefined)
      return {
        type: "refused",
        failure: "foreign-volume",
        message: `Cannot use ${whose}: its marker has ${differing}`,
      };
    if (node.expectData && data.length === 0) return emptied(whose, "only its marker");
    return { type: "ours" };
  }
  if (node.expectData || node.expectMarker === true)
    return emptied(whose, data.length === 0 ? "nothing" : `${listed(data)} but no marker`);
  if (data.length === 0) return { type: "fresh" };
  const message = `Cannot use ${whose}: found ${listed(data)} but no marker, wanted an empty volume`;
  return { type: "refused", failure: "foreign-volume", message };
}

function emptied(whose: string, found: string): Verdict {
  return {
    type: "refused",
    failure: "empty-volume",
    message: `Cannot use ${whose}: found ${found}, wanted the node's data`,
  };
}

function listed(names: readonly string[]): string {
  const some = names
    .slice(0, 3)
    .map((name) => `"${name}"`)
    .join(", ");
  return names.length > 3 ? `${some} and ${names.length - 3} more` : some;
}

/** What a marker says that another volume's would; undefined: it is the wanted one. */
function differences(wanted: Marker, text: string): string | undefined {
  let found: Readonly<Record<string, unknown>>;
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return `${JSON.stringify(text.slice(0, 80))}, wanted a map`;
    found = parsed as Readonly<Record<string, unknown>>;
  } catch {
    return `${JSON.stringify(text.slice(0, 80))}, wanted JSON`;
  }
  const parts = Object.entries(wanted)
    .filter(([key, value]) => found[key] !== value)
    .map(([key, value]) => `${key} ${JSON.stringify(found[key] ?? null)}, wanted ${JSON.stringify(value)}`);
  return parts.length > 0 ? parts.join("; ") : undefined;
}
