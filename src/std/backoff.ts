// How long to wait before the next try.

export type Backoff = {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** Part of the delay that chance may take away, 0 to 1, so that many clients do not return together. */
  readonly jitter: number;
};

/** Delay before try number `attempt` (0 = first retry); `random` is in [0, 1). */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  const full = Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** Math.min(attempt, 64));
  return Math.round(full * (1 - backoff.jitter * random));
}
