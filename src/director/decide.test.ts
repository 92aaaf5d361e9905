// A listener's decisions as stories: who gets which backend, who waits, what is down, ejected or draining.
import { describe, expect, test } from "bun:test";
import { nextRandom } from "../std/random.ts";
import { decide, DEFAULTS, initialState } from "./decide.ts";
import { usableCount } from "./pick.ts";
import type { Action, Attempt, Event, Settings, State, Target } from "./state.ts";

type Untimed = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

const SETTINGS: Settings = { ...DEFAULTS, protocol: "pb", balance: "leastConnections" };

function target(name: string, change: Partial<Target> = {}): Target {
  return { address: `${name}:1`, host: name, port: 1, node: name, draining: false, ...change };
}

/** A listener with its clock. `tell` returns the actions, those that only talk left out. */
class Story {
  state: State;
  nowMs = 1_000_000;
  readonly said: string[] = [];

  constructor(settings: Partial<Settings> = {}, targets: readonly Target[] = [target("a"), target("b")]) {
    this.state = initialState({ ...SETTINGS, ...settings });
    this.tell({ type: "targets", targets });
  }

  tell(event: Untimed): readonly Action[] {
    const { state, actions } = decide(this.state, { ...event, nowMs: this.nowMs });
    this.state = state;
    for (const action of actions) if (action.type === "say") this.said.push(action.text);
    return actions.filter(({ type }) => type !== "say");
  }

  /** Lets time pass, then ticks; probes are left out of the actions. */
  after(delayMs: number): readonly Action[] {
    this.nowMs += delayMs;
    return this.tell({ type: "tick" }).filter(({ type }) => type !== "probe");
  }

  /** A client arrives; returns the name of the backend it is connected to, or the other action's type. */
  arrive(client: number): string {
    return placeOf(this.tell({ type: "arrived", client }));
  }

  close(name: string, outcome: "answered" | "unasked" | "failed" = "answered"): readonly Action[] {
    return this.tell({ type: "closed", address: `${name}:1`, outcome });
  }

  refuse(name: string, attempt: Attempt): string {
    return placeOf(this.tell({ type: "refused", attempt, address: `${name}:1`, detail: "ECONNREFUSED" }));
  }

  probe(name: string, error?: string): readonly Action[] {
    return this.tell({ type: "probed", address: `${name}:1`, ...(error === undefined ? {} : { error }) });
  }
}

function placeOf(actions: readonly Action[]): string {
  const found = actions.find(({ type }) => type === "connect" || type === "refuse");
  if (found?.type === "connect") return found.target.node;
  return found?.type === "refuse" ? found.why : "waits";
}

function attempt(client: number, ...tried: readonly string[]): Attempt {
  return { client, sinceMs: 1_000_000, tried: tried.map((name) => `${name}:1`) };
}

describe("balancing", () => {
  test("least connections goes where the fewest are, round robin on from the last, whatever their number", () => {
    const least = new Story();
    expect([1, 2, 3, 4].map((client) => least.arrive(client))).toEqual(["a", "b", "a", "b"]);
    least.close("b");
    expect([5, 6].map((client) => least.arrive(client))).toEqual(["b", "a"]);
    const round = new Story({ balance: "roundRobin" }, [target("a"), target("b"), target("c")]);
    expect([1, 2, 3, 4].map((client) => round.arrive(client))).toEqual(["a", "b", "c", "a"]);
    round.close("a");
    round.close("a");
    expect(round.arrive(5)).toBe("b");
  });

  test("the own rack comes first, then the own zone, and others only when those are full", () => {
    const near = target("near", { rack: "r1", zone: "z1" });
    const zone = target("zone", { rack: "r2", zone: "z1" });
    const far = target("far", { rack: "r1", zone: "z2" });
    const story = new Story({ rack: "r1", zone: "z1", connectionsMax: 2 }, [far, near, zone]);
    const places = [1, 2, 3, 4, 5, 6, 7].map((client) => story.arrive(client));
    expect(places).toEqual(["near", "near", "zone", "zone", "far", "far", "waits"]);
  });
});

describe("a queue", () => {
  test("is served in its order as soon as there is room", () => {
    const story = new Story({ connectionsMax: 1 });
    expect([1, 2, 3, 4].map((client) => story.arrive(client))).toEqual(["a", "b", "waits", "waits"]);
    expect(story.close("b")).toEqual([{ type: "connect", attempt: attempt(3), target: target("b") }]);
    story.tell({ type: "left", client: 4 });
    expect(story.close("a")).toEqual([]);
    expect(story.state.queue).toEqual([]);
  });

  test("has a limit and a time-out, each told with what is the matter", () => {
    const story = new Story({ queueMax: 1, queueTimeoutMs: 500 }, []);
    expect(story.arrive(1)).toBe("waits");
    const full = "there are no backends, and 1 clients wait already";
    expect(story.tell({ type: "arrived", client: 2 })).toEqual([
      { type: "refuse", client: 2, why: "queue_full", detail: full },
    ]);
    expect(story.after(499)).toEqual([]);
    expect(story.after(1)).toEqual([
      { type: "refuse", client: 1, why: "queue_timeout", detail: "there are no backends, for 500 ms" },
    ]);
    expect(story.arrive(3)).toBe("waits");
    const placed = story.tell({ type: "targets", targets: [target("a")] });
    expect(placeOf(placed)).toBe("a");
  });
});

describe("a backend that does not take a connection", () => {
  test("passes the client on to each other one, once, and then tells it", () => {
    const story = new Story({}, [target("a"), target("b"), target("c")]);
    expect(story.arrive(1)).toBe("a");
    expect(story.refuse("a", attempt(1))).toBe("b");
    expect(story.refuse("b", attempt(1, "a"))).toBe("c");
    expect(story.refuse("c", attempt(1, "a", "b"))).toBe("no_backend_left");
    expect(story.state.backends.map(({ connections, failures }) => [connections, failures])).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
  });

  test("is ejected after three failures in a row, each time for longer, and forgiven when it does well for long", () => {
    const story = new Story();
    const failThrice = (): readonly string[] => typesOf([1, 2, 3].flatMap(() => story.close("a", "failed")));
    for (let client = 1; client <= 40; client += 1) story.arrive(client);
    expect(failThrice()).toEqual(["ejected"]);
    expect([41, 42].map((client) => story.arrive(client))).toEqual(["b", "b"]);
    expect(usableCount(story.state, story.nowMs)).toBe(1);
    story.after(1000);
    expect(usableCount(story.state, story.nowMs)).toBe(2);
    // The first failure after an ejection is enough for the next.
    expect(typesOf(story.close("a", "failed"))).toEqual(["ejected"]);
    expect(story.state.backends[0]?.ejectedUntilMs).toBe(story.nowMs + 2000);
    story.after(60_000);
    expect(story.close("a", "failed")).toEqual([]);
    expect(story.state.backends[0]?.ejections).toBe(0);
    expect(failThrice()).toEqual(["ejected"]);
    expect(story.state.backends[0]?.ejectedUntilMs).toBe(story.nowMs + 1000);
  });

  test("is not ejected by failures with an answer, or much time, between them", () => {
    const story = new Story();
    for (let client = 1; client <= 20; client += 1) story.arrive(client);
    for (const outcome of ["failed", "failed", "answered", "failed", "failed"] as const) story.close("a", outcome);
    story.after(10_001);
    story.close("a", "failed");
    expect(story.state.backends[0]).toMatchObject({ failures: 1, ejections: 0, ejectedUntilMs: 0 });
  });

  test("is used in spite of an ejection when all are ejected", () => {
    const story = new Story({ ejectFailures: 1 });
    expect([story.arrive(1), story.arrive(2)]).toEqual(["a", "b"]);
    story.close("a", "failed");
    story.close("b", "failed");
    expect(usableCount(story.state, story.nowMs)).toBe(0);
    expect(story.arrive(3)).toBe("a");
  });
});

function typesOf(actions: readonly Action[]): readonly string[] {
  return actions.map(({ type }) => type);
}

describe("connections that can change their backend", () => {
  const up = (story: Story, ...addresses: readonly string[]): void => {
    for (const address of addresses) story.tell({ type: "probed", address });
  };

  test("are spread anew when one backend has more than its share, and rest when it has not", () => {
    const story = new Story({ protocol: "cql", probeIntervalMs: 3_600_000 }, [target("a")]);
    up(story, "a:1");
    for (let client = 1; client <= 30; client += 1) story.arrive(client);
    story.tell({ type: "targets", targets: [target("a"), target("b")] });
    // Nothing moves before all have been well for a while.
    expect(spreads(story.after(20_000))).toEqual([]);
    up(story, "b:1");
    expect(spreads(story.after(9900))).toEqual([]);
    expect(spreads(story.after(100))).toEqual([{ type: "spread", address: "a:1", count: 15 }]);
    expect(spreads(story.after(9900))).toEqual([]);
    for (let client = 31; client <= 44; client += 1) {
      story.arrive(client);
      story.close("a");
    }
    expect(spreads(story.after(10_000))).toEqual([{ type: "spread", address: "a:1", count: 1 }]);
    story.tell({ type: "targets", targets: [target("a"), target("b"), target("c", { draining: true })] });
    expect(spreads(story.after(60_000))).toEqual([]);
    story.tell({ type: "targets", targets: [target("a"), target("b")] });
    story.arrive(45);
    story.close("a");
    expect(spreads(story.after(10_000))).toEqual([]);
  });

  test("come back to the own rack, 32 at a time", () => {
    const story = new Story({ protocol: "cql", rack: "r", probeIntervalMs: 3_600_000 }, [target("b")]);
    up(story, "b:1");
    for (let client = 1; client <= 40; client += 1) story.arrive(client);
    story.tell({ type: "targets", targets: [target("a", { rack: "r" }), target("b")] });
    up(story, "a:1");
    expect(spreads(story.after(10_000))).toEqual([{ type: "spread", address: "b:1", count: 32 }]);
  });

  test("are all there are: others stay where they are", () => {
    const story = new Story({ protocol: "pb", probeIntervalMs: 3_600_000 }, [target("a")]);
    up(story, "a:1");
    for (let client = 1; client <= 30; client += 1) story.arrive(client);
    story.tell({ type: "targets", targets: [target("a"), target("b")] });
    up(story, "b:1");
    expect(spreads(story.after(10_000))).toEqual([]);
  });
});

function spreads(actions: readonly Action[]): readonly Action[] {
  return actions.filter(({ type }) => type === "spread");
}

describe("probes", () => {
  test("are due at once and then at every interval, one at a time", () => {
    const story = new Story({ probeIntervalMs: 1000 }, [target("a")]);
    const probes = (delayMs: number): number => {
      story.nowMs += delayMs;
      return story.tell({ type: "tick" }).filter(({ type }) => type === "probe").length;
    };
    expect([probes(0), probes(5000)]).toEqual([1, 0]);
    story.probe("a");
    expect([probes(999), probes(1), probes(1000)]).toEqual([0, 1, 0]);
  });

  test("take a backend out after two failures and bring it back after two successes, with a clean record", () => {
    const story = new Story({ ejectFailures: 1 });
    story.arrive(1);
    story.close("a", "failed");
    expect(story.probe("a", "no answer")).toEqual([]);
    expect(story.probe("a", "no answer")).toEqual([{ type: "drain", address: "a:1" }]);
    expect([2, 3].map((client) => story.arrive(client))).toEqual(["b", "b"]);
    story.probe("a");
    expect(story.arrive(4)).toBe("b");
    story.probe("a");
    expect(story.arrive(5)).toBe("a");
    expect(story.said.slice(3)).toEqual(["Backend a (a:1) is down: no answer", "Backend a (a:1) is up"]);
  });

  test("that bring the only backend back let waiting clients through", () => {
    const story = new Story({}, [target("a")]);
    story.probe("a", "ECONNREFUSED");
    story.probe("a", "ECONNREFUSED");
    expect(story.arrive(1)).toBe("waits");
    story.probe("a");
    expect(placeOf(story.probe("a"))).toBe("a");
  });
});

describe("draining", () => {
  test("sends new clients elsewhere and ends the others after a time", () => {
    const story = new Story({ drainTimeoutMs: 2000 });
    expect([1, 2].map((client) => story.arrive(client))).toEqual(["a", "b"]);
    const draining = [target("a", { draining: true }), target("b")];
    expect(story.tell({ type: "targets", targets: draining })).toEqual([{ type: "drain", address: "a:1" }]);
    expect([3, 4].map((client) => story.arrive(client))).toEqual(["b", "b"]);
    expect(story.after(1999)).toEqual([]);
    expect(story.after(1)).toEqual([{ type: "cut", address: "a:1" }]);
    story.close("a");
    expect(story.after(5000)).toEqual([]);
    story.tell({ type: "targets", targets: [target("a"), target("b")] });
    expect(story.arrive(5)).toBe("a");
  });

  test("a backend that the source no longer has is forgotten with its last connection", () => {
    const story = new Story();
    story.arrive(1);
    expect(story.tell({ type: "targets", targets: [target("b")] })).toEqual([{ type: "drain", address: "a:1" }]);
    expect(story.state.backends.map(({ gone }) => gone)).toEqual([true, false]);
    story.close("a");
    expect(story.state.backends.map(({ target: { node } }) => node)).toEqual(["b"]);
  });

  test("a director that stops turns clients away and is done with the last connection", () => {
    const story = new Story({ connectionsMax: 1 });
    expect([1, 2, 3].map((client) => story.arrive(client))).toEqual(["a", "b", "waits"]);
    expect(typesOf(story.tell({ type: "stop" }))).toEqual(["refuse", "drain", "drain"]);
    expect(story.arrive(4)).toBe("stopping");
    expect(story.close("a")).toEqual([]);
    expect(story.refuse("b", attempt(2))).toBe("stopping");
    expect(typesOf(new Story().tell({ type: "stop" }))).toEqual(["drain", "drain", "stopped"]);
  });
});

test("whatever happens in whatever order, no limit is broken and no count goes wrong", () => {
  const seed = 20_261_122;
  for (let run = 0; run < 60; run += 1) {
    const settings = { connectionsMax: 3, queueMax: 4, queueTimeoutMs: 50, ejectFailures: 2, probeFall: 1 };
    const story = new Story(settings);
    let random = seed + run;
    const dice = (sides: number): number => {
      const next = nextRandom(random);
      random = next.seed;
      return Math.floor(next.value * sides);
    };
    const open: { readonly address: string; readonly attempt: Attempt }[] = [];
    const waiting = new Set<number>();
    const take = (actions: readonly Action[]): void => {
      for (const action of actions) {
        if (action.type === "connect") open.push({ address: action.target.address, attempt: action.attempt });
        if (action.type === "connect") waiting.delete(action.attempt.client);
        if (action.type === "refuse") waiting.delete(action.client);
      }
    };
    for (let step = 0; step < 300; step += 1) {
      const names = ["a", "b", "c", "d"].filter(() => dice(3) > 0);
      const one = open.length === 0 ? undefined : open[dice(open.length)];
      const forget = (): void => void open.splice(open.indexOf(one!), 1);
      switch (dice(6)) {
        case 0:
          waiting.add(step);
          take(story.tell({ type: "arrived", client: step }));
          break;
        case 1:
          if (one === undefined) break;
          forget();
          waiting.add(one.attempt.client);
          take(story.tell({ type: "refused", ...one, detail: "x" }));
          break;
        case 2:
          if (one === undefined) break;
          forget();
          take(story.close(one.address.slice(0, 1), (["answered", "unasked", "failed"] as const)[dice(3)]));
          break;
        case 3:
          if (dice(5) > 0) break;
          take(
            story.tell({ type: "targets", targets: names.map((name) => target(name, { draining: dice(4) === 0 })) }),
          );
          break;
        case 4:
          take(story.probe(names[0] ?? "a", dice(2) === 0 ? "x" : undefined));
          break;
        default:
          take(story.after(dice(40)));
      }
      const counted = story.state.backends.map(({ target: { address }, connections }) => [address, connections]);
      const expected = story.state.backends.map(({ target: { address } }) => [
        address,
        open.filter((connection) => connection.address === address).length,
      ]);
      expect({ seed, run, step, counted }).toEqual({ seed, run, step, counted: expected });
      expect(new Set(story.state.queue.map(({ client }) => client))).toEqual(waiting);
      expect(waiting.size).toBeLessThanOrEqual(4);
      for (const { connections } of story.state.backends) expect(connections).toBeLessThanOrEqual(3);
    }
  }
});
