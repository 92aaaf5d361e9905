// Places with an address of their own each, as agents have them: network namespaces on one bridge where the machine allows
// (Linux, root, iproute2), addresses of the loopback network where it does not.

export type Place = {
  readonly address: string;
  /** What runs a program there. */
  readonly under: readonly string[];
};

export class Places {
  readonly #bridge: string;
  readonly #names: string[] = [];
  readonly #network: string;
  readonly list: readonly Place[];
  /** Whether they are network namespaces. */
  readonly apart: boolean;

  /** Makes so many places. */
  constructor(count: number) {
    const id = process.pid % 100_000;
    this.#bridge = `rmb${id}`;
    // A network that is set aside for tests of networks.
    this.#network = `198.${18 + (id % 2)}.${id % 250}`;
    const numbers = Array.from({ length: count }, (_, at) => at + 1);
    this.apart = this.#makeBridge();
    this.list = numbers.map((number) => (this.apart ? this.#namespace(id, number) : loopback(number)));
  }

  /** Where a program outside of them is reached from all places. */
  get outside(): string {
    return this.apart ? `${this.#network}.254` : "127.0.0.1";
  }

  #makeBridge(): boolean {
    if (process.platform !== "linux" || process.getuid?.() !== 0 || Bun.which("ip") === null) return false;
    const made =
      ip("link", "add", this.#bridge, "type", "bridge") &&
      ip("addr", "add", `${this.#network}.254/24`, "dev", this.#bridge) &&
      ip("link", "set", this.#bridge, "up") &&
      ip("netns", "add", `${this.#bridge}-try`);
    ip("netns", "del", `${this.#bridge}-try`);
    if (!made) ip("link", "del", this.#bridge);
    return made;
  }

  #namespace(id: number, number: number): Place {
    const name = `${this.#bridge}-${number}`;
    const [outer, inner] = [`rmo${id}-${number}`, `rmi${id}-${number}`];
    const address = `${this.#network}.${number}`;
    this.#names.push(name);
    const steps = [
      ["netns", "add", name],
      ["link", "add", outer, "type", "veth", "peer", "name", inner],
      ["link", "set", inner, "netns", name],
      ["link", "set", outer, "master", this.#bridge, "up"],
      ["-n", name, "addr", "add", `${address}/24`, "dev", inner],
      ["-n", name, "link", "set", inner, "up"],
      ["-n", name, "link", "set", "lo", "up"],
    ];
    for (const step of steps)
      if (!ip(...step)) {
        this.remove();
        throw new Error(`Cannot make network namespace "${name}": ip ${step.join(" ")} failed`);
      }
    return { address, under: ["ip", "netns", "exec", name] };
  }

  /** Removes what was made. */
  remove(): void {
    for (const name of this.#names) ip("netns", "del", name);
    if (this.apart) ip("link", "del", this.#bridge);
  }
}

function loopback(number: number): Place {
  return { address: `127.0.1.${number}`, under: [] };
}

function ip(...args: readonly string[]): boolean {
  return Bun.spawnSync(["ip", ...args], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exitCode === 0;
}

/** Passes connections to `address` on to a loopback port, until the function that it returns is called. */
export function forward(address: string, port: number): () => void {
  type End = { peer?: Bun.Socket<End> };
  const pass = (socket: Bun.Socket<End>, bytes: Uint8Array): void => {
    if (socket.data.peer !== undefined && socket.data.peer.write(bytes) !== bytes.length) socket.data.peer.terminate();
  };
  const handlers = {
    data: pass,
    close: (socket: Bun.Socket<End>) => socket.data.peer?.terminate(),
    error: (socket: Bun.Socket<End>) => socket.data.peer?.terminate(),
  };
  const open = new Set<Bun.Socket<End>>();
  const listener = Bun.listen<End>({
    hostname: address,
    port,
    socket: {
      ...handlers,
      open: (socket) => {
        open.add(socket);
        socket.data = {};
        socket.pause();
        void Bun.connect<End>({ hostname: "127.0.0.1", port, socket: handlers, data: { peer: socket } }).then(
          (peer) => {
            socket.data.peer = peer;
            socket.resume();
          },
          () => socket.terminate(),
        );
      },
    },
  });
  return () => {
    listener.stop(true);
    for (const socket of open) socket.terminate();
  };
}
