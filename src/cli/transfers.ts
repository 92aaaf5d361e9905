// What a Riak node says of the transfers in its ring (`riak admin transfers`, read by the executor), for those who wait.

export type Transfers = {
  /** Partitions that wait to be handed over. */
  readonly waiting: number;
  /** Transfers on their way. */
  readonly active: number;
  /** Nodes that cannot be seen. */
  readonly down: readonly string[];
};

/** The transfers in an answer of the read "transfers"; undefined: it is none, but an error in Riak's words. */
export function readTransfers(answer: unknown): Transfers | undefined {
  const { waiting_to_handoff: waiting, active, down } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(waiting) || !Array.isArray(active)) return undefined;
  return {
    waiting: waiting.reduce((sum: number, each: unknown) => sum + partitionsOf(each), 0),
    active: active.length,
    down: Array.isArray(down) ? down.map(String) : [],
  };
}

/** A node that waits to hand over waits with one partition at least. */
function partitionsOf(waiting: unknown): number {
  const { partitions } = (waiting ?? {}) as { readonly partitions?: unknown };
  return typeof partitions === "number" ? partitions : 1;
}

export function transfersText({ waiting, active, down }: Transfers): string {
  const seen = down.length === 0 ? "" : `, down: ${down.join(", ")}`;
  return `${waiting} ${waiting === 1 ? "partition waits" : "partitions wait"}, ${active} ${active === 1 ? "transfer is" : "transfers are"} active${seen}`;
}
