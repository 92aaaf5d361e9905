// Reads Erlang terms as text, as far as advanced.config needs it: what they are, and where in the text they stand.

/** A term. `start` and `end`: offsets in the text. Maps, numbers, binaries and the like are "other": nobody looks into them. */
export type Term = { readonly start: number; readonly end: number } & (
  | { readonly type: "atom"; readonly text: string }
  | { readonly type: "string"; readonly text: string }
  | { readonly type: "tuple" | "list"; readonly parts: readonly Term[] }
  | { readonly type: "other" }
);

/** What is wrong and where; lines count from 1. */
export type TermFlaw = { readonly line: number; readonly found: string; readonly wanted: string };

/** The only term of a file that `file:consult/1` can read: a term, a dot, and nothing but blanks and comments around them. */
export function readTerms(text: string): { readonly term: Term } | { readonly flaw: TermFlaw } {
  const reader = new Reader(text);
  try {
    return { term: reader.file() };
  } catch (error) {
    if (error instanceof Refused) return { flaw: { line: lineAt(text, error.at), ...error.flaw } };
    throw error;
  }
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

class Refused extends Error {
  readonly at: number;
  readonly flaw: { readonly found: string; readonly wanted: string };

  constructor(at: number, found: string, wanted: string) {
    super(`found ${found}, wanted ${wanted}`);
    this.at = at;
    this.flaw = { found, wanted };
  }
}

const DEPTH_MAX = 200;
const CLOSERS = { "[": "]", "{": "}", "<<": ">>", "#{": "}" } as const;

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  file(): Term {
    this.#blanks();
    const term = this.#term();
    this.#blanks();
    if (this.#text[this.#at] !== ".") throw this.#refused("a dot after the last bracket");
    this.#at += 1;
    this.#blanks();
    if (this.#at < this.#text.length) throw this.#refused("nothing after the dot");
    return term;
  }

  #term(): Term {
    const start = this.#at;
    const rest = this.#text.slice(start, start + 2);
    for (const opener of ["<<", "#{", "[", "{"] as const) {
      if (!rest.startsWith(opener)) continue;
      const parts = this.#parts(opener);
      const type = opener === "[" ? "list" : opener === "{" ? "tuple" : "other";
      return type === "other" ? { type, start, end: this.#at } : { type, parts, start, end: this.#at };
    }
    if (rest.startsWith('"')) return { type: "string", text: this.#quoted('"'), start, end: this.#at };
    if (rest.startsWith("'")) return { type: "atom", text: this.#quoted("'"), start, end: this.#at };
    const atom = this.#match(/[a-z][A-Za-z0-9_@]*/y);
    if (atom !== undefined) return { type: "atom", text: atom, start, end: this.#at };
    const other = this.#match(/\$(?:\\.|[^\\])|[+-]?\d+#[0-9A-Za-z]+|[+-]?\d[\d_]*(?:\.\d+(?:[eE][+-]?\d+)?)?/sy);
    if (other === undefined) throw this.#refused("an Erlang term");
    return { type: "other", start, end: this.#at };
  }

  /** The terms between brackets. What stands between the segments of binaries and the pairs of maps separates like a comma. */
  #parts(opener: keyof typeof CLOSERS): readonly Term[] {
    const opened = this.#at;
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw this.#refused(`at most ${DEPTH_MAX} brackets in brackets`);
    this.#at += opener.length;
    const closer = CLOSERS[opener];
    const separator = opener === "<<" ? /,|:|\/|-/y : opener === "#{" ? /,|=>/y : opener === "[" ? /,|\|/y : /,/y;
    const parts: Term[] = [];
    this.#blanks();
    if (!this.#text.startsWith(closer, this.#at)) {
      for (;;) {
        parts.push(this.#term());
        this.#blanks();
        if (this.#match(separator) === undefined) break;
        this.#blanks();
      }
    }
    if (!this.#text.startsWith(closer, this.#at))
      throw this.#refused(`"${closer}" for the "${opener}" of line ${lineAt(this.#text, opened)}, or a comma`);
    this.#at += closer.length;
    this.#depth -= 1;
    return parts;
  }

  #quoted(quote: string): string {
    const opened = this.#at;
    let text = "";
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      const char = this.#text[this.#at] ?? "";
      if (char === quote) {
        this.#at += 1;
        return text;
      }
      if (char === "\\") this.#at += 1;
      text += this.#text[this.#at] ?? "";
    }
    throw new Refused(opened, `a ${quote} that is never closed`, `another ${quote}`);
  }

  #blanks(): void {
    this.#match(/(?:\s|%[^\n]*)+/y);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #refused(wanted: string): Refused {
    const rest = /^\S{1,20}/.exec(this.#text.slice(this.#at))?.[0];
    return new Refused(this.#at, rest === undefined ? "the end" : `"${rest}"`, wanted);
  }
}
