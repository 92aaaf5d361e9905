// RecordIO, the framing of Mesos' event streams: a length in decimal digits, a newline, and that many bytes, again and again.

/** Larger than any event of a real cluster; a longer one means that the bytes are not RecordIO. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

/** Digits that a length may have. */
const MAX_LENGTH_DIGITS = 10;

const ZERO = 0x30;
const NINE = 0x39;
const NEWLINE = 0x0a;

/** Cuts a stream into frames, whatever the chunks it arrives in. After an error the stream is lost: read it no further. */
export class RecordReader {
  readonly #maxFrameBytes: number;
  #digits = 0;
  #length = 0;
  /** The frame under way; undefined while its length is read. */
  #frame: Uint8Array | undefined;
  #filled = 0;

  constructor(maxFrameBytes = MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The frames that `chunk` completes. Throws at bytes that are no RecordIO and at a frame above the limit. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame === undefined) at = this.#readLength(chunk, at);
      if (this.#frame === undefined) break;
      const part = chunk.subarray(at, at + this.#frame.length - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#frame.length) break;
      frames.push(this.#frame);
      this.#frame = undefined;
    }
    return frames;
  }

  /** True between frames: a stream that ends now ends clean. */
  get idle(): boolean {
    return this.#frame === undefined && this.#digits === 0;
  }

  /** Reads digits from `at` on; opens the frame at the newline. Returns the place after what was read. */
  #readLength(chunk: Uint8Array, at: number): number {
    for (let i = at; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      if (byte === NEWLINE && this.#digits > 0) {
        if (this.#length > this.#maxFrameBytes) {
          throw new Error(
            `Cannot read the event stream: found a frame of ${this.#length} bytes, wanted at most ${this.#maxFrameBytes}`,
          );
        }
        this.#frame = new Uint8Array(this.#length);
        this.#filled = 0;
        this.#length = 0;
        this.#digits = 0;
        return i + 1;
      }
      if (byte < ZERO || byte > NINE || this.#digits === MAX_LENGTH_DIGITS) {
        throw new Error(
          `Cannot read the event stream: found ${describe(byte)} in a frame's length after ${this.#digits} digits, ` +
            `wanted 1 to ${MAX_LENGTH_DIGITS} digits and a newline`,
        );
      }
      this.#length = this.#length * 10 + byte - ZERO;
      this.#digits++;
    }
    return chunk.length;
  }
}

function describe(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `byte 0x${byte.toString(16).padStart(2, "0")}`;
}
