// How many clients the limit of open files allows. With no file left Bun would try to accept the next one over and over.

/** Descriptors that are no client's and no backend's connection. */
const OWN_FILES = 256;
/** More handshakes at a time are none of good clients. */
const HANDSHAKES_MAX = 4096;

/** For each listener. */
export type Limits = {
  readonly clientsMax: number;
  /** Clients that may be in a TLS handshake at a time, besides those. */
  readonly handshakesMax: number;
};

/**
 * A client takes two files, its own and its backend's. Where all listeners go by requests, those that rest take one, and half as
 * many connections to backends are enough. A client in its handshake takes one; with TLS an eighth of all is for those.
 */
export function limitsOf(files: number, listeners: number, byRequests: boolean, tls: boolean): Limits {
  const each = Math.max(0, (files - OWN_FILES) / listeners);
  const handshakesMax = tls ? Math.max(1, Math.min(HANDSHAKES_MAX, Math.floor(each / 8))) : 0;
  return { handshakesMax, clientsMax: Math.max(1, Math.floor((each - handshakesMax) / (byRequests ? 1.5 : 2))) };
}
