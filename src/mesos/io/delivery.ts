// Hands events to a handler one at a time and in order, wherever they come from.

/** Mesos' own events wait in the stream; what can pile up here are failed calls. */
const MAX_WAITING = 20_000;

export class Delivery<Event> {
  readonly #handler: (event: Event) => Promise<void>;
  readonly #onError: (error: Error) => void;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #stopped = false;

  /** `onError` is told what the handler throws, and when more events wait than have any right to; nothing is handed on then. */
  constructor(handler: (event: Event) => Promise<void>, onError: (error: Error) => void) {
    this.#handler = handler;
    this.#onError = onError;
  }

  /** Resolves when the event was handled. Never rejects. */
  push(event: Event): Promise<void> {
    if (this.#waiting >= MAX_WAITING)
      this.#fail(new Error(`Cannot hand on Mesos' events: ${MAX_WAITING} wait already`));
    if (this.#stopped) return this.#last;
    this.#waiting++;
    this.#last = this.#last.then(() => this.#hand(event));
    return this.#last;
  }

  /** Hands on nothing more. Resolves when the handler is done with what it has. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#last;
  }

  async #hand(event: Event): Promise<void> {
    this.#waiting--;
    if (this.#stopped) return;
    try {
      await this.#handler(event);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#onError(error);
  }
}
