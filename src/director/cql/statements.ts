// The statements that drivers have prepared through a listener, so that they can be prepared where a node does not know them.
import { BodyReader } from "./body.ts";
import { HEAD_BYTES } from "./envelopes.ts";
import { kindOf, onlyReads } from "./queries.ts";

/** Statements and bytes of them that are remembered; those that were used longest ago are forgotten first. */
const STATEMENTS_MAX = 10_000;
const BYTES_MAX = 16 * 1024 * 1024;
/** As much of a statement shows what it does. */
const LOOK_BYTES = 256;

export type Statement = {
  /** The whole PREPARE as its driver sent it. */
  readonly prepare: Uint8Array;
  /** It only reads. */
  readonly safe: boolean;
  /** It sets the keyspace. */
  readonly settles: boolean;
};

export class Statements {
  readonly #byKey = new Map<string, Statement>();
  #bytes = 0;

  /** Remembers one by the id that a server gave it. `version`: of the protocol, since a PREPARE is not the same in all. */
  add(version: number, id: Uint8Array, prepare: Uint8Array): void {
    const key = keyOf(version, id);
    this.#forget(key);
    const query = new BodyReader(prepare, HEAD_BYTES).longString(LOOK_BYTES);
    this.#byKey.set(key, { prepare, safe: onlyReads(query), settles: kindOf(query) === "use" });
    this.#bytes += prepare.length;
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= STATEMENTS_MAX && this.#bytes <= BYTES_MAX) break;
      this.#forget(oldest);
    }
  }

  /** The one that a server calls by this id. */
  get(version: number, id: Uint8Array): Statement | undefined {
    const key = keyOf(version, id);
    const found = this.#byKey.get(key);
    if (found === undefined) return undefined;
    this.#byKey.delete(key);
    this.#byKey.set(key, found);
    return found;
  }

  #forget(key: string): void {
    this.#bytes -= this.#byKey.get(key)?.prepare.length ?? 0;
    this.#byKey.delete(key);
  }
}

function keyOf(version: number, id: Uint8Array): string {
  return `${version} ${Buffer.from(id).toString("latin1")}`;
}
