// The director's sockets: listening for clients and connecting to backends, with TLS where that is wanted.
import type { Socket, SocketHandler, TCPSocketListener, TLSOptions } from "bun";
import type { Target } from "../state.ts";
import type { Certificates, Pem } from "./certificates.ts";
import { Side } from "./pump.ts";

/** Whether clients must show a certificate of the CA in the files; those that show a wrong one are refused in any case. */
export type ClientTls = {
  readonly certificates: Certificates;
  readonly clients: "required" | "optional" | "unasked";
  /** How many clients may be in their handshakes at a time. */
  readonly handshakesMax: number;
};

export type BackendTls = {
  readonly certificates: Certificates;
  /** The name in the backends' certificates, where it is not the host's. */
  readonly name?: string;
  /** What of a certificate is checked: that it is the host's, or only that it is of a CA. */
  readonly check: "host" | "ca";
  /** How long a handshake may take. */
  readonly timeoutMs: number;
};

/** Where clients are listened for. */
export type Place = {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** Other processes of this director listen on the same port. */
  readonly isPart?: boolean;
  readonly clientTls?: ClientTls;
};

/** What is done with a client's socket. `open`: once bytes can be sent. */
export type ClientHandlers = Omit<SocketHandler<Side>, "handshake" | "binaryType"> &
  Required<Pick<SocketHandler<Side>, "open" | "data" | "end" | "close">>;

/** What is done with a backend's socket, once bytes can be sent. */
export type BackendHandlers<Data> = Omit<SocketHandler<Data>, "open" | "handshake" | "connectError" | "binaryType">;

/** How long a client's handshake may take. */
const HANDSHAKE_MS = 10_000;

/** TLS looks its keys up faster in options that it has seen. */
const OPTIONS = new WeakMap<Pem, TLSOptions>();

/**
 * Listens. With TLS the listener itself knows nothing of it: each socket is given the certificates of the moment, so that
 * these can change without a connection lost. `onFailed`: a handshake failed.
 */
export function listen(
  { hostname, port, isPart, clientTls }: Place,
  handlers: ClientHandlers,
  onFailed: () => void,
): TCPSocketListener<Side> {
  // Bun's types do not know of the port that is shared.
  const place = { hostname, port, allowHalfOpen: true, ...(isPart === true ? { reusePort: true } : {}) };
  if (clientTls === undefined) {
    // Bun gives every socket that it accepts a time-out of two minutes, however much is said on it; not so those put under TLS.
    const open = (socket: Socket<Side>): void => {
      socket.timeout(0);
      void handlers.open(socket);
    };
    return Bun.listen<Side>({ ...place, socket: { ...handlers, open, binaryType: "uint8array" } });
  }
  const greeter = new Greeter(handlers, clientTls, onFailed);
  return Bun.listen<Side>({
    ...place,
    // Something is asked of every socket; with a handler for `data` this one would be handed all the encrypted bytes.
    socket: { drain: () => undefined, open: (socket) => greeter.greet(socket) },
  });
}

/** Takes clients through their handshakes. */
class Greeter {
  readonly #tls: ClientTls;
  readonly #onFailed: () => void;
  readonly #handlers: SocketHandler<Side>;
  /** Those in their handshakes, and the ends of their time. */
  readonly #greeted = new Map<Side, Timer>();

  constructor(handlers: ClientHandlers, tls: ClientTls, onFailed: () => void) {
    this.#tls = tls;
    this.#onFailed = onFailed;
    this.#handlers = {
      ...handlers,
      binaryType: "uint8array",
      open: () => undefined,
      handshake: (socket, success) => this.#shaken(socket, success, handlers.open),
      // What came in one piece with the end of the handshake comes even to a socket that was paused there.
      data: (socket, bytes) => {
        const { early } = socket.data;
        if (early === undefined) void handlers.data(socket, bytes);
        else early.bytes.push(Buffer.from(bytes));
      },
      end: (socket) => {
        const { early } = socket.data;
        if (early === undefined) void handlers.end(socket);
        else early.ended = true;
      },
      close: (socket, error) => {
        if (this.#forget(socket.data)) this.#onFailed();
        else void handlers.close(socket, error);
      },
    };
  }

  greet(socket: Socket<Side>): void {
    if (this.#greeted.size >= this.#tls.handshakesMax) {
      this.#onFailed();
      socket.terminate();
      return;
    }
    const side = new Side({ closed: () => undefined }, { bytes: 0 });
    const [, secured] = socket.upgradeTLS<Side>({ data: side, tls: clientOptions(this.#tls), socket: this.#handlers });
    this.#greeted.set(
      side,
      setTimeout(() => secured.terminate(), HANDSHAKE_MS),
    );
  }

  #shaken(socket: Socket<Side>, success: boolean, open: ClientHandlers["open"]): void {
    if (!this.#greeted.has(socket.data)) return;
    if (!success || !this.#isWelcome(socket)) {
      socket.terminate();
      return;
    }
    this.#forget(socket.data);
    void open(socket);
  }

  #isWelcome(socket: Socket<Side>): boolean {
    const { clients } = this.#tls;
    if (clients === "unasked" || socket.authorized) return true;
    return clients === "optional" && Object.keys(socket.getPeerCertificate() ?? {}).length === 0;
  }

  #forget(side: Side): boolean {
    clearTimeout(this.#greeted.get(side));
    return this.#greeted.delete(side);
  }
}

function clientOptions({ certificates: { pem }, clients }: ClientTls): TLSOptions {
  const asked = clients === "unasked" ? {} : { requestCert: true, rejectUnauthorized: clients === "required" };
  return known(pem, () => ({ ...pem, ...asked }));
}

function known(pem: Pem, make: () => TLSOptions): TLSOptions {
  const found = OPTIONS.get(pem);
  if (found !== undefined) return found;
  const made = make();
  OPTIONS.set(pem, made);
  return made;
}

/** Keeps what comes of a client that was paused as it was opened; `release` hands it on. */
export function holdEarly(socket: Socket<Side>): void {
  socket.data.early = { bytes: [], ended: false };
}

/** Hands on what came before the client was resumed. */
export function release(socket: Socket<Side>, handlers: Pick<ClientHandlers, "data" | "end">): void {
  const { early } = socket.data;
  socket.data.early = undefined;
  for (const bytes of early?.bytes ?? []) void handlers.data(socket, bytes);
  if (early?.ended === true) void handlers.end(socket);
}

/** Connects to a backend. Exactly one of the two is called, unless the connection is given up after a time-out. */
export function dial<Data>(
  target: Target,
  data: Data,
  handlers: BackendHandlers<Data>,
  tls: BackendTls | undefined,
  connected: (socket: Socket<Data>) => void,
  failed: (detail: string) => void,
): void {
  const socket: SocketHandler<Data> = {
    ...handlers,
    binaryType: "uint8array",
    connectError: (_socket, error) => failed(connectFailure(error)),
    ...(tls === undefined ? { open: connected } : securely(tls, connected, failed)),
  };
  const { host: hostname, port } = target;
  const options = { hostname, port, allowHalfOpen: true, data, socket };
  Bun.connect<Data>(tls === undefined ? options : { ...options, tls: backendOptions(tls) }).catch((error: unknown) =>
    failed(error instanceof Error ? connectFailure(error) : String(error)),
  );
}

/** The error of a failed connection in few words, e.g. "ECONNREFUSED". */
export function connectFailure(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

function securely<Data>(
  tls: BackendTls,
  connected: (socket: Socket<Data>) => void,
  failed: (detail: string) => void,
): Pick<SocketHandler<Data>, "open" | "handshake"> {
  let timer: Timer | undefined;
  return {
    open: (socket) => {
      timer = setTimeout(() => socket.terminate(), tls.timeoutMs);
    },
    handshake: (socket, success, error) => {
      clearTimeout(timer);
      const wrong = tlsFailure(tls, success, error);
      if (wrong === undefined) connected(socket);
      else {
        failed(wrong);
        socket.terminate();
      }
    },
  };
}

/** Why a backend is not to be trusted; undefined: it is. */
function tlsFailure(tls: BackendTls, success: boolean, error: Error | null): string | undefined {
  if (success && error === null) return undefined;
  const code = error === null ? "refused" : connectFailure(error);
  if (tls.check === "ca" && code === "ERR_TLS_CERT_ALTNAME_INVALID") return undefined;
  return `TLS: ${code === "EPROTO" ? (error?.message ?? code) : code}`;
}

function backendOptions({ certificates: { pem }, name, check }: BackendTls): TLSOptions {
  // Where only the CA is checked the name is told in the handshake all the same.
  const checked = { ...(name === undefined ? {} : { serverName: name }), rejectUnauthorized: check === "host" };
  return known(pem, () => ({ ...pem, ...checked }));
}
