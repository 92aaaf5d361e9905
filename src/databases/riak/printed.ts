// What Riak's commands print, read. Their exit status says nothing: every meaning is in the text. Undefined: the text is none
// of what the command prints when it works.

export type MemberStatus = {
  readonly nodes: readonly {
    readonly id: string;
    readonly status: string;
    readonly ring_percentage: number;
    /** What it will own once all is handed over; null: nothing is to be handed over. */
    readonly pending_percentage: number | null;
  }[];
  readonly valid: number;
  readonly leaving: number;
  readonly exiting: number;
  readonly joining: number;
  readonly down: number;
};

/** `riak admin member-status`. */
export function readMemberStatus(text: string): MemberStatus | undefined {
  const sum = /^Valid:(\d+) \/ Leaving:(\d+) \/ Exiting:(\d+) \/ Joining:(\d+) \/ Down:(\d+)/m.exec(text);
  if (sum === null) return undefined;
  const [valid = 0, leaving = 0, exiting = 0, joining = 0, down = 0] = sum.slice(1).map(Number);
  const nodes = [...text.matchAll(/^(\(?[a-z]+\)?) +([\d.]+)% +(--|[\d.]+%) +'?([^\s']+@[^\s']+)'?$/gm)].map(
    ([, status = "", ring = "", pending = "", id = ""]) => ({
      id,
      status,
      ring_percentage: Number(ring),
      pending_percentage: pending === "--" ? null : Number(pending.slice(0, -1)),
    }),
  );
  return { nodes, valid, leaving, exiting, joining, down };
}

export type RingReady =
  | { readonly ready: true; readonly nodes: readonly string[] }
  | {
      readonly ready: false;
      readonly error: { readonly nodes_down: readonly string[] } | { readonly different_owners: readonly string[] };
    };

/** `riak admin ringready`. */
export function readRingReady(text: string): RingReady | undefined {
  const agreed = /^TRUE All nodes agree on the ring (\[[^\]]*\])/m.exec(text)?.[1];
  if (agreed !== undefined) return { ready: true, nodes: nodesIn(agreed) };
  const down = /^FALSE (\[[^\]]*\]) down\./m.exec(text)?.[1];
  if (down !== undefined) return { ready: false, error: { nodes_down: nodesIn(down) } };
  const unlike = /^FALSE Node (\S+) and (\S+) list different partition owners/m.exec(text);
  if (unlike === null) return undefined;
  return { ready: false, error: { different_owners: nodesIn(unlike.slice(1).join(" ")) } };
}

/** Node names in a list as Erlang prints it, over as many lines as it likes. */
function nodesIn(text: string): readonly string[] {
  return text.match(/[^\s'",[\]]+@[^\s'",[\]]+/g) ?? [];
}

export type Transfers = {
  readonly down: readonly string[];
  readonly waiting_to_handoff: readonly { readonly node: string; readonly partitions: number }[];
  readonly stopped: readonly { readonly node: string; readonly partitions: number }[];
  readonly active: readonly Readonly<Record<string, string>>[];
};

/** `riak admin transfers`. An active transfer has Riak's own words for keys: "transfer type", "partition", …. */
export function readTransfers(text: string): Transfers | undefined {
  const [head = "", tail] = text.split(/^Active Transfers:$/m);
  if (tail === undefined) return undefined;
  const counts = (pattern: RegExp): Transfers["stopped"] =>
    [...head.matchAll(pattern)].map(([, node = "", partitions = ""]) => ({ node, partitions: Number(partitions) }));
  return {
    down: nodesIn(/^Nodes (\[[^\]]*\]) are currently down/m.exec(head)?.[1] ?? ""),
    waiting_to_handoff: counts(/^'?([^\s']+)'? waiting to handoff (\d+) partitions/gm),
    stopped: counts(/^'?([^\s']+)'? does not have (\d+) primary partitions running/gm),
    active: activeTransfers(tail),
  };
}

function activeTransfers(text: string): Transfers["active"] {
  const blocks = text.split(/^(?=transfer type:)/m).filter((block) => block.startsWith("transfer type:"));
  return blocks.map((block) => {
    const found: Record<string, string> = {};
    for (const [, key = "", value = ""] of block.matchAll(/^([a-z][a-z ]*): (.+)$/gm)) found[key] = value.trim();
    const [, from, to] = /(\S+) +=+> +(\S+)/.exec(block) ?? [];
    if (from !== undefined && to !== undefined) Object.assign(found, { "source node": from, "target node": to });
    const done = /(\d+)%/.exec(block)?.[1];
    return done === undefined ? found : { ...found, done: `${done}%` };
  });
}

export type AaeStatus = {
  readonly exchanges: readonly { readonly index: string; readonly last: string | null; readonly all: string | null }[];
  readonly entropy_trees: readonly { readonly index: string; readonly built: string | null }[];
  readonly keys_repaired: readonly {
    readonly index: string;
    readonly last: number;
    readonly mean: number;
    readonly max: number;
  }[];
};

/** `riak admin aae-status`. Times are Riak's words, such as "9.2 s"; indexes are too long for a number. */
export function readAaeStatus(text: string): AaeStatus | undefined {
  if (!/^=+ Exchanges =+$/m.test(text)) return undefined;
  const rows = (title: string): readonly (readonly string[])[] => {
    const section = text.split(new RegExp(`^=+ ${title} =+$`, "m"))[1]?.split(/^=+ /m)[0] ?? "";
    return [...section.matchAll(/^\d+ .*$/gm)].map(([row]) => row.trim().split(/ {2,}/));
  };
  const time = (words: string | undefined): string | null => (words === undefined || words === "--" ? null : words);
  return {
    exchanges: rows("Exchanges").map(([index = "", last, all]) => ({ index, last: time(last), all: time(all) })),
    entropy_trees: rows("Entropy Trees").map(([index = "", built]) => ({ index, built: time(built) })),
    keys_repaired: rows("Keys Repaired").map(([index = "", last, mean, max]) => ({
      index,
      last: Number(last),
      mean: Number(mean),
      max: Number(max),
    })),
  };
}

export type ClusterStatus = {
  readonly ring_ready: boolean;
  readonly nodes: readonly {
    readonly node: string;
    readonly claimant: boolean;
    readonly status: string;
    /** "up" or "down"; with "!" where that is not what the ring expects. */
    readonly avail: string;
    readonly ring: number;
    readonly pending: number | null;
  }[];
};

/** `riak admin cluster status`. */
export function readClusterStatus(text: string): ClusterStatus | undefined {
  const ready = /^Ring ready: (true|false)/m.exec(text)?.[1];
  if (ready === undefined) return undefined;
  const nodes = [...text.matchAll(/^\|(.*)\|$/gm)].flatMap(([, row = ""]) => {
    const [name = "", status = "", avail = "", ring = "", pending = ""] = row.split("|").map((cell) => cell.trim());
    const node = nodesIn(name)[0];
    if (node === undefined) return [];
    const claimant = name.startsWith("(C)");
    return [{ node, claimant, status, avail, ring: Number(ring), pending: pending === "--" ? null : Number(pending) }];
  });
  return { ring_ready: ready === "true", nodes };
}

/** `riak admin bucket-type list`. */
export function readBucketTypes(
  text: string,
): readonly { readonly id: string; readonly active: boolean }[] | undefined {
  const types = [...text.matchAll(/^(.+) \((active|not active)\)$/gm)].map(([, id = "", state]) => ({
    id,
    active: state === "active",
  }));
  return types.length === 0 ? undefined : types;
}

/** A staged change as `riak admin cluster plan` shows it: "join", "leave", "force-remove", …, and the nodes it is about. */
export type Staged = { readonly action: string; readonly nodes: readonly string[] };

/** The staged changes; none: an empty list. Undefined: there is no plan to be had now. */
export function readPlan(text: string): readonly Staged[] | undefined {
  if (/^There are no staged changes/m.test(text)) return [];
  const table = /^=+ Staged Changes =+\n[^\n]*\n-+\n([^]*?)^-+$/m.exec(text)?.[1];
  return table
    ?.split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => ({ action: /^\S+/.exec(line)?.[0] ?? "", nodes: nodesIn(line) }));
}

/** Whether the text says that the command could not reach its own node. */
export function isNoAnswer(text: string): boolean {
  return /is not responding to pings|Node is not running|RPC to .* failed|\{badrpc,/.test(text);
}

/** What a command had to say, without its last word ("ok", "error"): a line for people. */
export function said(text: string): string {
  const lines = text.trim().split("\n");
  const last = lines.at(-1) ?? "";
  const words = lines.length > 1 && /^(?:ok|error|\{error,.*\})$/.test(last) ? lines.slice(0, -1) : lines;
  const line = words
    .map((word) => word.trim())
    .join(" ")
    .trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
