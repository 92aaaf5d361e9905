// Something to wait for again and again: whoever waits goes on at the next ring.

export class Bell {
  readonly #waiting = new Set<() => void>();

  ring(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Ends at the next ring, or after `maxMs`. Rejects with the signal's reason when `signal` aborts first. */
  next(maxMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => reject(abortReason(signal));
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort);
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, maxMs);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
      signal?.removeEventListener("abort", abort);
    });
  }
}

/** Why `signal` aborted, as an Error. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error(`Aborted: ${String(reason)}`);
}
