// A simulated database cluster: members, their data in three copies, the writes it has acknowledged. One class for rings that
// join by themselves (Cassandra) and rings whose changes are staged and committed (Riak).
import type { Verdict } from "../../src/databases/database.ts";
import type { AdminTask, Health, NodeTask } from "../../src/databases/node.ts";
import { hashOf } from "./chance.ts";
import type { World } from "./world.ts";

/** Copies of everything: Cassandra's replication factor, Riak's n_val. */
const COPIES = 3;
const KEYS = 24;
/** A member that has been away for so long is known to be. */
const NOTICED_MS = 120_000;

/** A persistent volume as it lies on a host. */
export type Volume = {
  readonly id: string;
  marker: string | undefined;
  hasFiles: boolean;
  data: Map<number, number>;
  /** The node on it has left its ring: Cassandra does not start on it any more. */
  hasLeft?: true;
  /** Another node has the place of the node on it: it must never start again, or it would take its tokens back. */
  isReplaced?: true;
  /** Whose database has been on it. */
  node?: string;
  cluster?: string;
};

export type DatabaseProcess = {
  readonly task: NodeTask;
  readonly volume: Volume;
  readonly hostname: string;
  state: "starting" | "serving" | "left";
  hangs: boolean;
  readonly startedMs: number;
  readonly readyMs: number;
  readonly exit: (how: string) => void;
};

/** `harm`: ids of the volumes whose copy is gone for good, and of the copy that never was made. */
type Write = { readonly version: number; readonly harm: Set<string> };

export class Ring {
  readonly name: string;
  readonly kind: string;
  readonly #world: World;
  /** Members by node id, with the volume that holds their part. */
  readonly members = new Map<string, Volume>();
  readonly processes = new Map<string, DatabaseProcess>();
  /** Nodes that have left. */
  readonly leavers = new Set<string>();
  /** Nodes that others have thrown out or replaced, as the ring has agreed to. */
  readonly removed = new Set<string>();
  /** host:port of the cluster port of each node's last start. */
  readonly #addresses = new Map<string, string>();
  /** Of Riak: who has been staged to join, and by whom the change is led. */
  readonly #staged = new Set<string>();
  readonly #down = new Set<string>();
  /** Whether there has ever been a ring. */
  #founded = false;
  #handoffUntilMs = 0;
  /** Of Riak: nobody is left of the ring, and which of the nodes beside it will be the first of a new one is open. */
  #isOpen = false;
  /** The last acknowledged write of each key, and which of its copies are gone since. */
  readonly #writes = new Map<number, Write>();
  /** Since when members do not serve. */
  readonly #awayMs = new Map<string, number>();
  #order: readonly (readonly [number, string])[] = [];

  constructor(world: World, name: string, kind: string) {
    this.#world = world;
    this.name = name;
    this.kind = kind;
  }

  isHome(node: string, volume: Volume): boolean {
    return this.members.get(node) === volume;
  }

  /** Member processes that answer clients. */
  serving(node: string): DatabaseProcess | undefined {
    const process = this.processes.get(node);
    return process?.state === "serving" && !process.hangs && this.members.has(node) ? process : undefined;
  }

  #setMember(node: string, volume: Volume | undefined): void {
    if (volume === undefined) this.members.delete(node);
    else this.members.set(node, volume);
    this.#order = [...this.members.keys()].map((member) => [hashOf(member), member] as const).sort(([a], [b]) => a - b);
  }

  #replicas(key: number, order = this.#order): readonly string[] {
    const at = hashOf(`key ${key}`);
    const first = order.findIndex(([hash]) => hash >= at);
    const from = first === -1 ? 0 : first;
    return Array.from(
      { length: Math.min(COPIES, order.length) },
      (_, index) => order[(from + index) % order.length]?.[1] ?? "",
    );
  }

  /** A process begins on a volume. */
  start(process: DatabaseProcess): void {
    const { task, volume } = process;
    const { checks, timeline } = this.#world;
    for (const ring of this.#world.rings.values()) {
      for (const [node, other] of ring.processes) {
        if (other.volume === volume)
          checks.fail("two processes", `"${task.node}" starts on the volume that "${node}" uses`);
        if (node === task.node)
          checks.fail("two processes", `"${node}" starts on ${process.hostname} and lives on ${other.hostname}`);
      }
    }
    if (this.members.has(task.node) && !volume.hasFiles)
      checks.fail("empty start", `member "${task.node}" starts on an empty volume under its old identity`);
    if (volume.node !== undefined && volume.node !== task.node && volume.hasFiles)
      checks.fail("foreign data", `"${task.node}" starts on the data of "${volume.node}"`);
    if (volume.isReplaced === true && !checks.givenUp.has(task.node))
      checks.fail("replaced", `"${task.node}" starts, and another node has taken its place`);
    this.#addresses.set(task.node, `${task.hostname}:${task.ports["storage"]}`);
    volume.hasFiles = true;
    volume.node = task.node;
    volume.cluster = task.cluster;
    this.processes.set(task.node, process);
    timeline.say(`database ${task.node}: starts on ${process.hostname}, volume ${volume.id}`);
  }

  end(node: string, how: string): void {
    if (!this.processes.delete(node)) return;
    this.#awayMs.set(node, this.#world.nowMs);
    this.#world.timeline.say(`database ${node}: ends ${how}`);
    // A claimant that goes away forgets what was staged.
    if (this.members.keys().next().value === node) this.#staged.clear();
  }

  /** What the probes of a node's process say. */
  health(process: DatabaseProcess): Health {
    const { task } = process;
    if (process.state === "left") return { phase: "left", detail: "left" };
    if (process.state === "serving") return { phase: "serving", detail: "serves" };
    if (this.#world.nowMs < process.readyMs) return { phase: "starting", detail: "starts" };
    if (process.volume.hasLeft === true && this.kind !== "riak") {
      this.#world.timeline.at(1, () => process.exit("with code 3: it was decommissioned"));
      return { phase: "starting", detail: "was decommissioned" };
    }
    if (this.members.has(task.node)) return this.#serve(process);
    return this.kind === "riak" ? this.#standAlone(process) : this.#bootstrap(process);
  }

  #serve(process: DatabaseProcess): Health {
    process.state = "serving";
    this.#awayMs.delete(process.task.node);
    this.#down.delete(process.task.node);
    this.#repair();
    this.#world.timeline.say(`database ${process.task.node}: serves`);
    return { phase: "serving", detail: "serves" };
  }

  /** Every new Riak node is a ring of its own; the first one is the ring that the others join. */
  #standAlone(process: DatabaseProcess): Health {
    if (!this.#founded || this.#isDead()) {
      this.#isOpen = this.#founded;
      this.#found(process);
    }
    return this.#serve(process);
  }

  /** Whether no member can or shall ever come back: their volumes are gone, or an operator has given them up. */
  #isDead(): boolean {
    const volumes = new Set(this.#world.agents.flatMap((agent) => [...agent.volumes.values()]));
    const { givenUp, mayLive } = this.#world.checks;
    const isGivenUp = (node: string): boolean => givenUp.has(node) && !(mayLive.has(node) && this.processes.has(node));
    return [...this.members].every(([node, volume]) => isGivenUp(node) || !volumes.has(volume) || !volume.hasFiles);
  }

  #found(process: DatabaseProcess): void {
    this.#founded = true;
    // Of a ring before it nothing is left, by fate or by an operator's will.
    this.#writes.clear();
    for (const node of this.members.keys()) this.#setMember(node, undefined);
    this.#setMember(process.task.node, process.volume);
    this.#world.timeline.say(`ring ${this.name}: founded by ${process.task.node}`);
  }

  #bootstrap(process: DatabaseProcess): Health {
    const { task } = process;
    const self = `${task.hostname}:${task.ports["storage"]}`;
    if (task.seeds.includes(self)) {
      const kept = [...this.members.keys()].filter((node) => !this.#world.checks.released.has(node));
      if (this.#founded && kept.length > 0)
        this.#world.checks.fail(
          "second ring",
          `"${task.node}" founds a ring of its own beside that of ${[...this.members.keys()].join(", ")}`,
        );
      this.#found(process);
      return this.#serve(process);
    }
    const old = this.#memberAt(task.replaces ?? self);
    const no = this.#whyNotReplace(old, task.replaces);
    if (no !== undefined) {
      this.#world.timeline.at(1, () => process.exit(`with code 3: ${no}`));
      return { phase: "starting", detail: no };
    }
    const words = this.#whyNotStream(old);
    if (words !== undefined) {
      this.#world.timeline.at(1, () => process.exit(`with code 3: ${words}`));
      return { phase: "starting", detail: words };
    }
    if (old !== undefined) this.#dropMember(old);
    this.#setMember(task.node, process.volume);
    this.#world.timeline.say(`ring ${this.name}: ${task.node} has joined${old === undefined ? "" : ` for ${old}`}`);
    return this.#serve(process);
  }

  #memberAt(address: string): string | undefined {
    return [...this.members.keys()].find((node) => this.#addresses.get(node) === address);
  }

  /** What Cassandra says to a node that wants the place of another, or the address of another without saying so. */
  #whyNotReplace(old: string | undefined, replaces: string | undefined): string | undefined {
    if (replaces === undefined)
      return old === undefined ? undefined : "a node with this address already exists, cancelling join";
    if (old === undefined) return `cannot replace ${replaces} because it does not exist in gossip`;
    return this.#isAlive(old) ? `cannot replace the live node ${old}` : undefined;
  }

  /** A new node wants every member up; a replacement some other copy of everything that the old one had. */
  #whyNotStream(old: string | undefined): string | undefined {
    if (old === undefined) {
      const away = [...this.members.keys()].find((node) => this.serving(node) === undefined);
      return away === undefined ? undefined : `a node required to move the data consistently is down: ${away}`;
    }
    for (let key = 0; key < KEYS; key++) {
      const replicas = this.#replicas(key);
      const others = replicas.filter((node) => node !== old);
      if (replicas.includes(old) && others.length > 0 && others.every((node) => this.serving(node) === undefined))
        return `unable to find sufficient sources for streaming: ${others.join(", ")} are down`;
    }
    return undefined;
  }

  #isAlive(node: string): boolean {
    return this.processes.get(node)?.hangs === false;
  }

  /** A dead member is out of the ring for good. */
  #dropMember(node: string): void {
    const volume = this.members.get(node);
    if (volume !== undefined) {
      volume.isReplaced = true;
      this.harmed(volume);
    }
    this.#setMember(node, undefined);
    this.removed.add(node);
  }

  /** Every serving copy gets the newest of what the serving ones have, as hints and repairs do. */
  #repair(others: readonly Volume[] = []): void {
    for (const key of this.#writes.keys()) {
      const volumes = this.#replicas(key).flatMap((node) => this.serving(node)?.volume ?? []);
      const newest = Math.max(0, ...[...volumes, ...others, ...this.#holders()].map(({ data }) => data.get(key) ?? 0));
      if (newest > 0) for (const { data } of volumes) data.set(key, newest);
    }
  }

  /** Volumes of all serving members: a change of owners streams from those before it. */
  #holders(): readonly Volume[] {
    return [...this.members].flatMap(([node, volume]) => (this.serving(node) === undefined ? [] : [volume]));
  }

  /** A client writes at QUORUM; what is acknowledged is remembered. */
  write(): void {
    if (this.members.size === 0 || this.#isOpen) return;
    const key = this.#world.delay("key", 0, KEYS - 1);
    const replicas = this.#replicas(key);
    const live = replicas.flatMap((node) => this.serving(node) ?? []);
    if (live.length < Math.floor(replicas.length / 2) + 1) return;
    const version = (this.#writes.get(key)?.version ?? 0) + 1;
    for (const { volume } of live) volume.data.set(key, version);
    this.#writes.set(key, { version, harm: new Set(COPIES - live.length > 1 ? ["never made"] : []) });
  }

  /** Copies on a volume are gone by fate or by an operator's will. */
  harmed(volume: Volume): void {
    for (const [key, { version, harm }] of this.#writes)
      if ((volume.data.get(key) ?? 0) >= version) harm.add(volume.id);
  }

  /**
   * What was acknowledged is there, unless fate took more copies than the ring bears: with members that serve, or that operators
   * have left down with their volumes.
   */
  checkWrites(): void {
    const volumes = new Set(this.#world.agents.flatMap((agent) => [...agent.volumes.values()]));
    for (const [key, { version, harm }] of this.#writes) {
      const kept = this.#replicas(key).flatMap((node) => this.members.get(node) ?? []);
      const found = Math.max(0, ...kept.map((volume) => (volumes.has(volume) ? (volume.data.get(key) ?? 0) : 0)));
      if (found < version && harm.size < 2)
        this.#world.checks.fail(
          "lost write",
          `key ${key} of "${this.name}" was acknowledged at version ${version}, found ${found}`,
        );
    }
  }

  /** A member is about to be stopped by us: every replica set that it is in must keep a quorum, as far as can be known. */
  checkKill(node: string): void {
    if (this.serving(node) === undefined || this.members.size < COPIES) return;
    const isKnownAway = (other: string): boolean =>
      (this.#awayMs.get(other) ?? Infinity) + NOTICED_MS < this.#world.nowMs;
    for (let key = 0; key < KEYS; key++) {
      const replicas = this.#replicas(key);
      if (!replicas.includes(node)) continue;
      const left = replicas.filter((other) => other !== node && !isKnownAway(other));
      // An operator's will about another one counts for more.
      if (left.length < 2 && !replicas.some((other) => this.#world.checks.released.has(other)))
        this.#world.checks.fail(
          "quorum",
          `"${node}" is stopped while only ${left.join(", ") || "nobody"} of ${replicas.join(", ")} serves`,
        );
    }
  }

  /** Members whose volumes are promised away at one time: every replica set must keep a quorum, but for operators' wishes. */
  checkPromise(volumes: ReadonlySet<Volume>): void {
    if (this.members.size < COPIES) return;
    const isAway = (node: string): boolean => {
      const volume = this.members.get(node);
      return volume !== undefined && volumes.has(volume);
    };
    for (let key = 0; key < KEYS; key++) {
      const replicas = this.#replicas(key);
      const left = replicas.filter((node) => !isAway(node));
      if (left.length < 2 && !replicas.some((node) => this.#world.checks.released.has(node)))
        this.#world.checks.fail(
          "promise",
          `the agents of all but ${left.join(", ") || "nobody"} of ${replicas.join(", ")} are promised for one time`,
        );
    }
  }

  /** Does one admin operation for a node's executor, as far as it goes now. */
  operate({ node, operation, args }: Pick<AdminTask, "node" | "operation" | "args">): Verdict {
    const again = (detail: string): Verdict => ({ type: "again", afterMs: 3000, detail });
    const done: Verdict = { type: "done", detail: operation };
    if (this.#isBeside(node) && operation !== "join") return this.#operateBeside(node, operation);
    if (this.serving(node) === undefined && operation !== "join") return again(`${node} is no serving member`);
    switch (operation) {
      case "decommission":
        return this.#leave(node);
      case "leave":
        return this.#leave(args["node"] ?? node);
      case "join":
        return this.#stage(node, args["to"] ?? "");
      case "commit":
        return this.#commit((args["nodes"] ?? "").split(","));
      case "settle": {
        const away = [...this.members.keys()].find(
          (member) => this.serving(member) === undefined && !this.#down.has(member),
        );
        if (away !== undefined) return again(`${away} does not answer`);
        return this.#world.nowMs < this.#handoffUntilMs ? again("transfers are going on") : done;
      }
      case "down":
        return this.#markDown(args["node"] ?? "");
      case "check-replace":
        return this.#checkReplace(args["old"] ?? "", args["quorum"] === "wanted");
      case "removenode":
        return this.#isAlive(args["node"] ?? "") ? again("it is alive") : this.#remove(args["node"] ?? "");
      case "force-remove":
        return this.#remove(args["node"] ?? "");
      case "remove-stranger":
        return this.#remove(args["member"] ?? "");
      case "force-replace":
        return this.#replace(args["old"] ?? "", args["node"] ?? "");
      default:
        return done;
    }
  }

  /** Whether the node is a Riak that serves as a ring of its own. */
  #isBeside(node: string): boolean {
    const process = this.processes.get(node);
    return this.kind === "riak" && process?.state === "serving" && !process.hangs && !this.members.has(node);
  }

  /** A node beside the ring knows none of its members: there is nothing to be done about them. */
  #operateBeside(node: string, operation: string): Verdict {
    if (operation === "commit") return { type: "failed", detail: `${node} has nothing to commit` };
    return { type: "done", detail: `${node} is alone in its ring` };
  }

  #leave(node: string): Verdict {
    const process = this.processes.get(node);
    const volume = this.members.get(node);
    if (volume === undefined) return { type: "done", detail: `${node} is not in the ring` };
    const away = [...this.members.keys()].find((member) => this.serving(member) === undefined);
    if (away !== undefined) return { type: "again", afterMs: 5000, detail: `${away} does not serve` };
    if (this.members.size === 1) return { type: "failed", detail: "the last member cannot leave" };
    this.#setMember(node, undefined);
    volume.hasLeft = true;
    this.leavers.add(node);
    this.#repair([volume]);
    this.#handoffUntilMs = this.#world.nowMs + 10_000;
    this.#world.timeline.say(`ring ${this.name}: ${node} has left`);
    if (process !== undefined) {
      process.state = "left";
      if (this.kind === "riak") this.#world.timeline.at(1000, () => process.exit("with code 0"));
    }
    return { type: "done", detail: "left" };
  }

  #stage(node: string, to: string): Verdict {
    // Of two that are alone where a ring was, the one that is joined is the ring.
    const isAlone = this.#isOpen && this.members.size === 1 && this.#isBeside(to);
    if (this.members.has(node) && !isAlone)
      return this.members.has(to)
        ? { type: "done", detail: "is a member" }
        : { type: "again", afterMs: 3000, detail: `${to} is not in the ring` };
    const host = this.processes.get(to);
    if (host !== undefined && this.#isBeside(to)) {
      if (!this.#isOpen && !this.#isDead())
        this.#world.checks.fail(
          "second ring",
          `"${node}" joins "${to}", which is beside ${[...this.members.keys()].join(", ")}`,
        );
      this.#found(host);
    }
    if (this.serving(to) === undefined) return { type: "again", afterMs: 3000, detail: `${to} is not reachable` };
    this.#isOpen = false;
    this.#staged.add(node);
    return { type: "done", detail: "staged" };
  }

  #commit(nodes: readonly string[]): Verdict {
    for (const node of nodes) {
      const process = this.processes.get(node);
      if (this.members.has(node)) continue;
      if (!this.#staged.has(node)) return { type: "failed", detail: `${node} is not in the ring` };
      if (process?.state !== "serving") return { type: "again", afterMs: 3000, detail: `${node} does not answer` };
    }
    for (const node of nodes) this.#join(node);
    return { type: "done", detail: "committed" };
  }

  #join(node: string): void {
    const process = this.processes.get(node);
    this.#staged.delete(node);
    if (process === undefined || this.members.has(node)) return;
    this.#setMember(node, process.volume);
    this.#repair();
    this.#handoffUntilMs = this.#world.nowMs + 10_000;
    this.#world.timeline.say(`ring ${this.name}: ${node} has joined`);
  }

  #checkReplace(old: string, quorum: boolean): Verdict {
    if (!this.members.has(old)) return { type: "failed", detail: `${old} is not in the ring` };
    if (this.#isAlive(old)) return { type: "again", afterMs: 2000, detail: `${old} is alive` };
    const away = [...this.members.keys()].find((node) => node !== old && this.serving(node) === undefined);
    if (quorum && away !== undefined) return { type: "again", afterMs: 2000, detail: `${away} is down too` };
    return { type: "done", detail: `${old} is down` };
  }

  #markDown(node: string): Verdict {
    if (!this.members.has(node)) return { type: "done", detail: `${node} is not in the ring` };
    if (this.processes.has(node)) return { type: "failed", detail: `${node} is up` };
    this.#down.add(node);
    return { type: "done", detail: "marked as down" };
  }

  #remove(node: string): Verdict {
    const marked = this.#markDown(node);
    if (marked.type !== "done") return marked;
    this.#dropMember(node);
    this.#repair();
    return { type: "done", detail: "removed" };
  }

  #replace(old: string, node: string): Verdict {
    if (this.members.has(node)) return { type: "done", detail: "replaced" };
    if (!this.#staged.has(node)) return { type: "failed", detail: `${node} is not staged to join` };
    if (this.processes.get(node)?.state !== "serving")
      return { type: "again", afterMs: 3000, detail: `${node} does not answer` };
    const marked = this.#remove(old);
    if (marked.type !== "done") return marked;
    this.#join(node);
    return { type: "done", detail: "replaced" };
  }
}
