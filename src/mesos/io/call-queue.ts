// Calls of one subscription, sent one after the other: Mesos takes calls in the order in which they arrive.
import { failureText } from "./event-stream.ts";

/** More calls than this wait for nobody: Mesos does not answer. */
const MAX_WAITING = 10_000;

/** Why a call was not taken. `status` is absent where no answer came: then Mesos may have taken it all the same. */
export type CallFailure = { readonly status?: number; readonly message: string };

export class CallQueue<Call> {
  readonly #post: (call: Call) => Promise<CallFailure | undefined>;
  readonly #onFailure: (call: Call, failure: CallFailure) => void;
  readonly #waiting: Call[] = [];
  #running: Promise<void> | undefined;
  #closed: string | undefined;

  /** `post` sends one call and tells why it was not taken. Every call that is not taken is told to `onFailure`. */
  constructor(
    post: (call: Call) => Promise<CallFailure | undefined>,
    onFailure: (call: Call, failure: CallFailure) => void,
  ) {
    this.#post = post;
    this.#onFailure = onFailure;
  }

  push(call: Call): void {
    if (this.#closed !== undefined) {
      this.#onFailure(call, { message: this.#closed });
    } else if (this.#waiting.length >= MAX_WAITING) {
      this.#onFailure(call, { message: `${MAX_WAITING} calls wait already` });
    } else {
      this.#waiting.push(call);
      this.#running ??= this.#run();
    }
  }

  /** Resolves when no call waits or is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** What waits fails with `reason`, as does what is pushed from now on. A call under way is left to its end. */
  close(reason: string): void {
    this.#closed ??= reason;
    for (const call of this.#waiting.splice(0)) this.#onFailure(call, { message: reason });
  }

  async #run(): Promise<void> {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      const failure = await this.#post(call).catch((error: unknown) => ({ message: failureText(error) }));
      if (failure !== undefined) this.#onFailure(call, failure);
    }
    this.#running = undefined;
  }
}
