// Reads Riak's frames as they pass by, in whatever pieces they come: length, code, end, and one boolean field of the body.
// Nothing but the five bytes of a frame's head is kept.

const HEAD_BYTES = 5;

/** A frame's head: four bytes of length, which counts the code but not itself, and the code. */
export type Head = { readonly code: number; readonly length: number };

/** One direction of a connection. */
export class FrameReader {
  readonly #head = new Uint8Array(HEAD_BYTES);
  #have = 0;
  /** Bytes of the present frame's body that are still to come. */
  #left = 0;
  #field: FieldReader | undefined;

  /** The present frame's head, once it is complete and until the next frame begins. */
  get head(): Head | undefined {
    if (this.#have < HEAD_BYTES) return undefined;
    const [a = 0, b = 0, c = 0, d = 0, code = 0] = this.#head;
    return { code, length: a * 0x1000000 + b * 0x10000 + c * 0x100 + d };
  }

  /** The head's bytes as they came. */
  get headBytes(): Uint8Array {
    return this.#head.slice(0, this.#have);
  }

  /** Whether the present frame is complete. */
  get complete(): boolean {
    return this.#have === HEAD_BYTES && this.#left === 0;
  }

  /** Whether the reader stands between two frames. */
  get between(): boolean {
    return this.#have === 0 || this.complete;
  }

  /** Whether the field that was asked for is in the body, and true. */
  get flag(): boolean {
    return this.#field?.value === true;
  }

  /** Takes bytes from `at` on up to the end of a head; returns where it stopped. A complete frame is forgotten first. */
  readHead(bytes: Uint8Array, at: number): number {
    if (this.complete) this.#have = 0;
    let next = at;
    while (this.#have < HEAD_BYTES && next < bytes.length) {
      this.#head[this.#have] = bytes[next] ?? 0;
      this.#have += 1;
      next += 1;
    }
    if (next > at && this.#have === HEAD_BYTES) {
      this.#left = Math.max(0, (this.head?.length ?? 1) - 1);
      this.#field = undefined;
    }
    return next;
  }

  /** Looks for a boolean field of the body that comes now. */
  want(field: number): void {
    this.#field = new FieldReader(field);
  }

  /** Takes bytes from `at` on up to the end of the body; returns where it stopped. */
  readBody(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    this.#field?.read(bytes, at, end);
    return end;
  }
}

/** Finds one top-level varint field of a protobuf message that comes in pieces. */
class FieldReader {
  readonly #wanted: number;
  #state: "key" | "value" | "length" | "skip" | "lost" = "key";
  #varint = 0;
  #scale = 1;
  #skip = 0;
  #field = 0;
  value: boolean | undefined;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  read(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to;) {
      if (this.#state === "lost") return;
      if (this.#state === "skip") {
        const step = Math.min(this.#skip, to - at);
        at += step;
        this.#skip -= step;
        if (this.#skip === 0) this.#state = "key";
      } else {
        this.#digit(bytes[at] ?? 0);
        at += 1;
      }
    }
  }

  /** One byte of a varint. */
  #digit(byte: number): void {
    // Beyond 2^53 no length or key makes sense, and a value's low bits do not count any more.
    if (this.#scale < 2 ** 49) this.#varint += (byte & 0x7f) * this.#scale;
    else if (this.#scale >= 2 ** 70) this.#state = "lost";
    this.#scale *= 128;
    if (byte >= 0x80) return;
    const varint = this.#varint;
    this.#varint = 0;
    this.#scale = 1;
    if (this.#state === "key") this.#key(varint);
    else if (this.#state === "length") this.#jump(varint);
    else if (this.#state === "value") {
      if (this.#field === this.#wanted) this.value = varint !== 0;
      this.#state = "key";
    }
  }

  #key(key: number): void {
    this.#field = Math.floor(key / 8);
    const type = key % 8;
    if (type === 0) this.#state = "value";
    else if (type === 2) this.#state = "length";
    else if (type === 1 || type === 5) this.#jump(type === 1 ? 8 : 4);
    else this.#state = "lost";
  }

  #jump(length: number): void {
    this.#skip = length;
    this.#state = length === 0 ? "key" : "skip";
  }
}
