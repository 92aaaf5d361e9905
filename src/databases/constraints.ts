// The placement language: Marathon's operators in its three spellings, read with every fault told.
import type { Fault } from "../std/reason.ts";
import type { Constraint, ConstraintOperator } from "./cluster.ts";

/** Which parameter each operator takes. */
const OPERATORS: Readonly<
  Record<ConstraintOperator, "none" | "optional" | "text" | "regex" | "count" | "optional count">
> = {
  UNIQUE: "none",
  CLUSTER: "optional",
  GROUP_BY: "optional count",
  LIKE: "regex",
  UNLIKE: "regex",
  MAX_PER: "count",
  IS: "text",
  IS_NOT: "text",
};

const NAMES = Object.keys(OPERATORS) as readonly ConstraintOperator[];

type Read = { readonly constraints: readonly Constraint[]; readonly faults: readonly Fault[] };

/**
 * Reads constraints in any of the three spellings: a JSON list of lists (`[["hostname","UNIQUE"]]`), one flat list
 * (`["rack","GROUP_BY","3"]`), or text (`hostname:UNIQUE,rack:LIKE:r-[12]`, with a backslash before a literal `:`, `,` or `\`).
 * Text that begins with "[" is JSON. Operators in any case. `path` names the input in the faults.
 */
export function readConstraints(input: unknown, path: string): Read {
  if (input === undefined || input === null || input === "") return { constraints: [], faults: [] };
  if (typeof input === "string") {
    if (!input.trimStart().startsWith("[")) return readRows(splitText(input), path);
    let parsed: unknown;
    try {
      parsed = JSON.parse(input);
    } catch {
      return refused(
        path,
        JSON.stringify(input),
        'JSON such as [["hostname","UNIQUE"]], or text such as hostname:UNIQUE',
      );
    }
    return readConstraints(parsed, path);
  }
  if (!Array.isArray(input))
    return refused(
      path,
      JSON.stringify(input),
      'a list such as [["hostname","UNIQUE"]], or text such as hostname:UNIQUE',
    );
  const flat = input.length > 0 && input.every((part) => typeof part === "string" || typeof part === "number");
  return readRows(flat ? [input] : input, path);
}

function refused(path: string, found: string, wanted: string): Read {
  return { constraints: [], faults: [{ path, found, wanted }] };
}

/** `a:b:c,d:e` to rows; a backslash takes the next character literally. */
function splitText(text: string): string[][] {
  const rows: string[][] = [[""]];
  let escaped = false;
  for (const char of text) {
    const row = rows.at(-1) ?? [];
    if (!escaped && char === "\\") {
      escaped = true;
      continue;
    }
    if (!escaped && char === ",") rows.push([""]);
    else if (!escaped && char === ":") row.push("");
    else row.push((row.pop() ?? "") + char);
    escaped = false;
  }
  return rows;
}

/** A constraint as the API shows it: what a cluster was made of makes it again. */
function isShown(row: unknown): row is Readonly<Record<keyof Constraint, unknown>> {
  return typeof row === "object" && row !== null && "field" in row && "operator" in row;
}

function readRows(rows: readonly unknown[], path: string): Read {
  const constraints: Constraint[] = [];
  const faults: Fault[] = [];
  for (const [index, row] of rows.entries()) {
    const read = readRow(row, rows.length === 1 ? path : `${path}[${index}]`);
    if ("wanted" in read) faults.push(read);
    else constraints.push(read);
  }
  return { constraints, faults };
}

function readRow(given: unknown, path: string): Constraint | Fault {
  const row = isShown(given)
    ? [given.field, given.operator, ...(given.parameter === undefined ? [] : [given.parameter])]
    : given;
  const found = Array.isArray(row) ? row.join(":") : JSON.stringify(row);
  const fault = (wanted: string): Fault => ({ path, found: `"${found}"`, wanted });
  if (!Array.isArray(row) || row.length < 2 || row.length > 3)
    return fault("a field, an operator and perhaps a parameter, e.g. hostname:UNIQUE");
  const [field, name, parameter] = row.map((part) => String(part).trim());
  if (field === undefined || !/^@?[A-Za-z0-9_.\-/]+$/.test(field))
    return fault("a field such as hostname, @zone or the name of an agent attribute");
  const operator = NAMES.find((known) => known === name?.toUpperCase());
  if (operator === undefined) return fault(`one of the operators ${NAMES.join(", ")}`);
  const wanted = wantedParameter(operator, parameter);
  if (wanted !== undefined) return fault(wanted);
  return parameter === undefined || parameter === "" ? { field, operator } : { field, operator, parameter };
}

/** What is wrong with an operator's parameter, as what was wanted; undefined: nothing. */
function wantedParameter(operator: ConstraintOperator, parameter: string | undefined): string | undefined {
  const kind = OPERATORS[operator];
  const given = parameter !== undefined && parameter !== "";
  if (!given) return kind === "none" || kind.startsWith("optional") ? undefined : `a parameter for ${operator}`;
  if (kind === "none") return `no parameter for ${operator}`;
  if (kind.endsWith("count") && !/^[1-9]\d{0,5}$/.test(parameter)) return `a whole number from 1 for ${operator}`;
  if (kind === "regex") {
    try {
      new RegExp(`^(?:${parameter})$`, "u");
    } catch {
      return `a regular expression for ${operator}`;
    }
  }
  return undefined;
}

/** `hostname:UNIQUE`, as an operator would write it. */
export function constraintText(constraint: Constraint): string {
  const parts = [
    constraint.field,
    constraint.operator,
    ...(constraint.parameter === undefined ? [] : [constraint.parameter]),
  ];
  return parts.map((part) => part.replace(/[\\:,]/g, "\\$&")).join(":");
}
