// One direction of a CQL connection: plain envelopes first, segments from some point on.
import type { Compression } from "./compression.ts";
import { Envelopes, type Reader } from "./envelopes.ts";
import { Segments, segmentsOf } from "./segments.ts";

export class Direction {
  readonly #plain: Envelopes;
  readonly #segments: Segments;
  /** What comes are segments. */
  framed = false;

  constructor(reader: Omit<Reader, "over">) {
    this.#plain = new Envelopes({
      begins: (head) => reader.begins(head),
      rewrite: (head, whole) => reader.rewrite(head, whole),
      over: () => this.framed,
    });
    this.#segments = new Segments(reader);
  }

  /** What comes next are segments. */
  frame(compression: Compression | undefined): void {
    this.framed = true;
    this.#segments.compressed = compression !== undefined;
  }

  /** Whether what went on so far ends with the end of an envelope. */
  get between(): boolean {
    return this.framed ? this.#segments.between : this.#plain.between;
  }

  /** Puts an envelope of our own between those that pass; what this returns can be sent at once. */
  insert(own: Uint8Array): Uint8Array {
    return this.framed ? this.#segments.insert(own) : this.#plain.insert(own);
  }

  /** An envelope of our own as it is sent where nothing passes at the moment. */
  wrapped(own: Uint8Array): Uint8Array {
    return this.framed && own.length > 0 ? segmentsOf(own, this.#segments.compressed) : own;
  }

  /** What goes on of these bytes, in order. Throws BadBytes. */
  take(bytes: Uint8Array): readonly Uint8Array[] {
    if (this.framed) return this.#segments.take(bytes);
    const { forward, rest } = this.#plain.take(bytes);
    return rest.length === 0 ? forward : [...forward, ...this.#segments.take(rest)];
  }
}
