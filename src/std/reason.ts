// Why something is not done (yet). Every "no" of the product is one of these, kept for CLI, API and dashboard.

/** Why a step waits or a request is refused. `found` and `wanted` are short texts for people, values quoted. */
export type Reason = {
  /** What was checked, as an operator would name it: "cpus", "hostname UNIQUE", "joining". */
  readonly check: string;
  readonly found: string;
  readonly wanted: string;
};

/** One wrong thing in an input. `path` names the place as the operator wrote it, e.g. `settings."cassandra.yaml".num_tokens`. */
export type Fault = { readonly path: string; readonly found: string; readonly wanted: string };

/** `found 0.5, wanted at least 1`, led by the check's name. */
export function reasonText(reason: Reason): string {
  return `${reason.check}: found ${reason.found}, wanted ${reason.wanted}`;
}

/** `path: found x, wanted y`. */
export function faultText(fault: Fault): string {
  return `${fault.path}: found ${fault.found}, wanted ${fault.wanted}`;
}
