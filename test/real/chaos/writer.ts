// A client that writes numbered rows at QUORUM through any node that answers, and remembers every one that was acknowledged.
import { Client, policies, types } from "cassandra-driver";
import type { EndpointsView } from "../../../src/databases/api.ts";
import { until } from "../ringmaster.ts";

type Node = EndpointsView["nodes"][number];

const WORKERS = 4;
/** Between two rows of a worker: the machine has other work to do. */
const PAUSE_MS = 20;
const ANSWER_MS = 5_000;
const PAGE = 500;
/** A node that failed is asked nothing for so long: who waits for one that stands still writes nothing to the others. */
const PASSED_OVER_MS = 2_000;

/** A client of this node alone that never gives up on it. */
function clientOf(node: Node): Client {
  const contact = `${node.hostname}:${node.ports["native"]}`;
  const { loadBalancing, reconnection, retry } = policies;
  return new Client({
    contactPoints: [contact],
    localDataCenter: "dc1",
    queryOptions: { consistency: types.consistencies.quorum },
    socketOptions: { readTimeout: ANSWER_MS, connectTimeout: ANSWER_MS },
    policies: {
      loadBalancing: new loadBalancing.AllowListPolicy(new loadBalancing.RoundRobinPolicy(), [contact]),
      reconnection: new reconnection.ConstantReconnectionPolicy(500),
      retry: new retry.FallthroughRetryPolicy(),
    },
  });
}

export class Writer {
  #clients: readonly Client[] = [];
  readonly #failedMs = new WeakMap<Client, number>();
  readonly #acknowledged: number[] = [];
  readonly #workers: Promise<void>[] = [];
  #next = 0;
  #stopped = false;
  /** Settled when the writing may go on. */
  #pause: Promise<void> = Promise.resolve();
  #underWay = 0;
  #lastMs = performance.now();
  #longestGapMs = 0;
  #failures = 0;

  constructor(nodes: readonly Node[]) {
    this.#clients = nodes.map(clientOf);
  }

  /** Writes through these nodes from now on. */
  async use(nodes: readonly Node[]): Promise<void> {
    const former = this.#clients;
    this.#clients = nodes.map(clientOf);
    for (const client of former) await client.shutdown().catch(() => undefined);
  }

  /**
   * Lets no write begin while `work` goes on, which starts when every row is on every replica: a read of all of them has mended
   * those that missed some. Then a replica may be gone for good. Undefined: they could not all be read.
   */
  async withEveryReplica<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#pause = promise;
    try {
      // Whoever was about to begin begins.
      await Bun.sleep(PAUSE_MS);
      await until("no write is under way", 60_000, async () => this.#underWay === 0);
      const isEverywhere = await this.#scan(types.consistencies.all).then(
        () => true,
        () => false,
      );
      return isEverywhere ? await work() : undefined;
    } finally {
      resolve(undefined);
    }
  }

  /** Makes the table, with a replica of every row on each of three nodes. */
  async prepare(): Promise<void> {
    for (const client of this.#clients) await until("a client is connected", 60_000, () => connected(client));
    const [client] = this.#clients;
    if (client === undefined) throw new Error("Cannot write: there is no node");
    await client.execute(
      "CREATE KEYSPACE IF NOT EXISTS chaos WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}",
    );
    await client.execute("CREATE TABLE IF NOT EXISTS chaos.rows (id int PRIMARY KEY, value text)");
  }

  start(): void {
    this.#lastMs = performance.now();
    for (let worker = 0; worker < WORKERS; worker++) this.#workers.push(this.#work(worker));
  }

  /** Ends the writing; what is on its way is waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
  }

  async close(): Promise<void> {
    await this.stop();
    for (const client of this.#clients) await client.shutdown().catch(() => undefined);
  }

  get figures(): { readonly acknowledged: number; readonly failures: number; readonly longestGapMs: number } {
    const longestGapMs = Math.round(Math.max(this.#longestGapMs, this.#stopped ? 0 : performance.now() - this.#lastMs));
    return { acknowledged: this.#acknowledged.length, failures: this.#failures, longestGapMs };
  }

  /** Whether every node, asked by itself, finds all three replicas at work. */
  async isWhole(): Promise<boolean> {
    const asked = this.#clients.map((client) =>
      client.execute("SELECT value FROM chaos.rows WHERE id = 0", [], { consistency: types.consistencies.all }),
    );
    return (await Promise.allSettled(asked)).every(({ status }) => status === "fulfilled");
  }

  /** Numbers of acknowledged rows that a read of the whole table at QUORUM does not find as they were written. */
  async lost(): Promise<readonly number[]> {
    const acknowledged = [...this.#acknowledged];
    const found = await this.#scan(types.consistencies.quorum);
    return acknowledged.filter((id) => !found.has(id));
  }

  /** Numbers of the rows that are as they were written. */
  async #scan(consistency: number): Promise<ReadonlySet<number>> {
    const [client] = this.#clients;
    const found = new Set<number>();
    let page: string | undefined;
    do {
      const asked = {
        prepare: true,
        consistency,
        fetchSize: PAGE,
        readTimeout: 30_000,
        ...(page === undefined ? {} : { pageState: page }),
      };
      const result = await client?.execute("SELECT id, value FROM chaos.rows", [], asked);
      for (const row of result?.rows ?? [])
        if (row["value"] === valueOf(Number(row["id"]))) found.add(Number(row["id"]));
      page = result?.pageState;
    } while (page !== undefined && page !== null);
    return found;
  }

  async #work(worker: number): Promise<void> {
    for (let turn = worker; !this.#stopped; turn++) {
      await this.#pause;
      this.#underWay += 1;
      const id = this.#next++;
      const client = this.#clientOf(turn);
      try {
        await client?.execute("INSERT INTO chaos.rows (id, value) VALUES (?, ?)", [id, valueOf(id)], { prepare: true });
        this.#acknowledged.push(id);
        const nowMs = performance.now();
        this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastMs);
        this.#lastMs = nowMs;
      } catch {
        // The row may be there or not: nobody was told that it is.
        this.#failures += 1;
        if (client !== undefined) this.#failedMs.set(client, performance.now());
      }
      this.#underWay -= 1;
      await Bun.sleep(PAUSE_MS);
    }
  }

  /** In turn those that did not fail just now; if all did, all of them. */
  #clientOf(turn: number): Client | undefined {
    const sinceMs = performance.now() - PASSED_OVER_MS;
    const good = this.#clients.filter((client) => (this.#failedMs.get(client) ?? -Infinity) < sinceMs);
    const chosen = good.length > 0 ? good : this.#clients;
    return chosen[turn % chosen.length];
  }
}

async function connected(client: Client): Promise<boolean> {
  await client.connect();
  return true;
}

function valueOf(id: number): string {
  return `row ${id}`;
}
