// Why a command ends without success, and the exit code that says so.
import type { Fault } from "../std/reason.ts";

/** Exit codes, as the root help tells them. */
export const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3, timeout: 4 } as const;

/**
 * - "refused": the request failed or was refused.
 * - "usage": the command line, or a file that it names, is wrong; nothing was sent.
 * - "unreachable": nobody answers at the scheduler's URL.
 * - "timeout": the time to wait ran out; what was asked for goes on.
 */
type FailureKind = Exclude<keyof typeof EXIT, "ok">;

/** An end without success. `faults` are the single wrong things of an input, `answer` is the API's own text if it gave one. */
export class Failure extends Error {
  readonly kind: FailureKind;
  readonly faults: readonly Fault[];
  readonly answer: string | undefined;
  /** The HTTP status behind a refusal. */
  readonly status: number | undefined;

  constructor(
    kind: FailureKind,
    message: string,
    refusal: { readonly faults?: readonly Fault[]; readonly answer?: string; readonly status?: number } = {},
  ) {
    super(message);
    this.kind = kind;
    this.faults = refusal.faults ?? [];
    this.answer = refusal.answer;
    this.status = refusal.status;
  }
}
