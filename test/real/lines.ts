// What a process prints, line by line, so that a test can wait for one.

export class Lines {
  /** All lines so far. */
  readonly all: string[] = [];
  #next = 0;
  #more = Promise.withResolvers<void>();
  #ended = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    void this.#read(stream);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of stream) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.all.push(...lines);
      this.#wake();
    }
    if (rest !== "") this.all.push(rest);
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers<void>();
  }

  /** The first line after the last one returned that `wanted` likes; undefined when none comes in time, or at all. */
  async next(wanted: (line: string) => boolean, limitMs: number): Promise<string | undefined> {
    const limit = Bun.sleep(limitMs).then(() => "late" as const);
    for (;;) {
      for (; this.#next < this.all.length; this.#next += 1) {
        const line = this.all[this.#next];
        if (line === undefined || !wanted(line)) continue;
        this.#next += 1;
        return line;
      }
      if (this.#ended || (await Promise.race([this.#more.promise, limit])) === "late") return undefined;
    }
  }
}
