// Ports for a Mesos and its nodes that no other harness on this machine uses meanwhile.

/** Blocks lie below the range from which the kernel gives out ports. */
const FIRST_BLOCK = 12_000;
const LAST_BLOCK = 31_000;
const BLOCK = 1_000;

/** Ports that Mesos itself and its keeper may use, at a block's beginning. */
const KEPT = 10;

export type Block = {
  /** The first free port of the block. */
  readonly first: number;
  /** Equal shares of the rest, as Mesos' ranges without brackets. */
  readonly shares: (count: number) => readonly string[];
  readonly release: () => void;
};

/** Takes a block of a thousand ports. Listening on its first port is the lock: it ends with this process at the latest. */
export function lockPorts(): Block {
  const count = (LAST_BLOCK - FIRST_BLOCK) / BLOCK + 1;
  const offset = Math.floor(Math.random() * count);
  for (let i = 0; i < count; i++) {
    const begin = FIRST_BLOCK + ((offset + i) % count) * BLOCK;
    const lock = listen(begin);
    if (lock === undefined) continue;
    lock.unref();
    return {
      first: begin + 1,
      shares: (n) => shares(begin + KEPT, begin + BLOCK - 1, n),
      release: () => lock.stop(true),
    };
  }
  throw new Error(`Cannot start a Mesos: each of ${count} blocks of ${BLOCK} ports from ${FIRST_BLOCK} on is in use`);
}

function listen(port: number): Bun.TCPSocketListener | undefined {
  try {
    return Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => {} } });
  } catch {
    return undefined;
  }
}

function shares(begin: number, end: number, count: number): readonly string[] {
  const size = Math.floor((end - begin + 1) / count);
  return Array.from({ length: count }, (_, i) => `${begin + i * size}-${begin + (i + 1) * size - 1}`);
}
