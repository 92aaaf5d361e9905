// cEPMD's decisions, told as stories: events in, what was done out. Names on the wire are played from a recording elsewhere.
import { describe, expect, test } from "bun:test";
import type { Folder } from "../store/store.ts";
import { decide, initialState } from "./decide.ts";
import { type SharedName, toRecord } from "./record.ts";
import type { Action, Event, Settings, State } from "./state.ts";
import { type EpmdNode, NO_BYTES, type Request } from "./wire.ts";

type Told = Event extends infer Kind ? (Kind extends Event ? Omit<Kind, "nowMs"> : never) : never;

const ALONE: Settings = { port: 4369, relaxed: false };
const SHARED: Settings = { port: 4400, relaxed: false, shared: { host: "agent-1", owner: "agent-1:4400/1" } };

function node(name: string, changes: Partial<EpmdNode> = {}): EpmdNode {
  return { name, port: 40_000, nodeType: 77, protocol: 0, highest: 6, lowest: 5, extra: NO_BYTES, ...changes };
}

function elsewhere(name: string, changes: Partial<SharedName> = {}): SharedName {
  return { node: node(name, { port: 50_000 }), host: "agent-2", creation: 77, owner: "agent-2:4400/9", ...changes };
}

function folder(...names: readonly SharedName[]): Folder {
  return new Map(names.map((name) => [name.node.name, { value: toRecord(name), version: 1 }]));
}

/** Plays events at their seconds and keeps what was done, in one line each. */
class Story {
  state: State;
  done: string[] = [];
  claims: SharedName[] = [];

  constructor(settings: Settings, seed = 7) {
    this.state = initialState(settings, seed);
  }

  at(second: number, ...events: readonly Told[]): this {
    for (const event of events) {
      const decision = decide(this.state, { ...event, nowMs: second * 1000 });
      this.state = decision.state;
      for (const action of decision.actions) {
        if (action.type === "claim") this.claims.push(action.mine);
        this.done.push(line(action));
      }
    }
    return this;
  }

  /** A store that is there, and what it holds. */
  connected(...names: readonly SharedName[]): this {
    return this.at(0, { type: "folder", folder: folder(...names) }, { type: "store", store: "connected" });
  }

  alive(second: number, connection: number, registers: EpmdNode, creation?: number): this {
    const again = creation === undefined ? {} : { creation };
    return this.ask(second, connection, { type: "alive", highest: registers.highest, node: registers, ...again });
  }

  ask(second: number, connection: number, request: Request, local = true): this {
    return this.at(second, { type: "request", connection, local, request });
  }

  /** What was done since the last time, creations masked. */
  news(): readonly string[] {
    return this.done.splice(0).map((text) => text.replace(/^(\d+: v0) .*(?= \w+$)/, "$1"));
  }

  /** The creation of a name registered here. */
  creation(name: string): number {
    const [found] = this.claims.slice(-1);
    if (found?.node.name !== name) throw new Error(`the last claim is not of "${name}"`);
    return found.creation;
  }
}

function line(action: Action): string {
  switch (action.type) {
    case "answer":
      return `${action.connection}: ${bytesText(action.bytes)} ${action.after}`;
    case "close":
      return `${action.connection}: closed`;
    case "claim":
      return `claim ${action.key} ${action.serial}`;
    case "release":
      return `release ${action.key}`;
    case "say":
      return `say ${action.text}`;
    case "exit":
      return "exit";
  }
}

function bytesText(bytes: Uint8Array): string {
  const [tag, result, ...rest] = bytes;
  if (tag === 118 || tag === 121) return `${String.fromCharCode(tag)}${result} ${rest.join(".")}`;
  if (tag === 119) return result === 1 ? "noport" : `port ${((rest[0] ?? 0) << 8) | (rest[1] ?? 0)}`;
  return JSON.stringify(String.fromCharCode(...bytes.subarray(bytes.length > 4 ? 4 : 0)));
}

const held = (name: string, serial: number): Told => ({ type: "claimed", name, serial, outcome: "held", detail: "" });
const port = (name: string): Request => ({ type: "port", name });
const gone = (connection: number, name: string): Told => ({ type: "closed", connection, name });

describe("alone", () => {
  test("what changes something is for clients of this machine only", () => {
    const story = new Story({ ...ALONE, relaxed: true }).alive(0, 1, node("demo"));
    story.news();
    for (const request of [
      { type: "alive", highest: 6, node: node("far") },
      { type: "dump" },
      { type: "kill" },
      { type: "stop", name: "demo" },
    ] as const)
      story.ask(1, 2, request, false);
    story.ask(1, 3, port("demo"), false).ask(1, 4, { type: "names" }, false);
    expect(story.news()).toEqual([
      ...Array.from({ length: 4 }, () => "2: closed"),
      "3: port 40000 close",
      '4: "name demo at port 40000\\n" close',
    ]);
  });

  test("a name gets another creation each time, in the form that its node can take", () => {
    for (const highest of [5, 6]) {
      const creations: string[] = [];
      const story = new Story(ALONE);
      for (let connection = 1; connection <= 20; connection += 1) {
        story.alive(0, connection, node("demo", { highest })).at(0, gone(connection, "demo"));
        creations.push(...story.done.splice(0).map((text) => text.replace(/^\d+: [vy]0 (.*) keep$/, "$1")));
      }
      for (const [at, creation] of creations.entries()) {
        expect(creation).not.toBe(creations[at - 1] ?? "");
        expect(creation).toMatch(highest === 5 ? /^0\.[123]$/ : /^\d+(\.\d+){3}$/);
      }
    }
  });

  test("the end of a connection takes only the name that it registered", () => {
    const story = new Story(ALONE).alive(0, 1, node("demo")).alive(0, 2, node("demo", { port: 1 }));
    story.at(0, gone(2, "demo")).ask(0, 3, port("demo")).at(0, gone(1, "demo")).ask(0, 4, port("demo"));
    expect(story.news()).toEqual([
      "1: v0 keep",
      "2: v1 0.0.0.99 idle",
      'say Cannot register "demo": found it registered here already, wanted a name of its own',
      "3: port 40000 close",
      "4: noport close",
    ]);
  });

  test("of the former names the thousand latest are remembered", () => {
    const story = new Story(ALONE);
    for (let at = 0; at < 1200; at += 1) story.alive(0, at, node(`n${at}`)).at(0, gone(at, `n${at}`));
    expect([story.state.former.size, story.state.former.has("n199"), story.state.former.has("n200")]).toEqual([
      1000,
      false,
      true,
    ]);
  });
});

describe("shared", () => {
  test("a node is answered when the store has its name, and found elsewhere and here", () => {
    const story = new Story(SHARED).connected(elsewhere("other")).alive(1, 1, node("demo"));
    expect(story.news()).toEqual(["claim demo 1"]);
    story.ask(1, 2, port("demo")).at(1, held("demo", 1));
    story.ask(1, 3, port("demo")).ask(1, 4, port("other")).ask(1, 5, port("none"));
    expect(story.news()).toEqual([
      "2: noport close",
      "1: v0 keep",
      "3: port 40000 close",
      "4: port 50000 close",
      "5: noport close",
    ]);
    expect(story.claims).toEqual([
      { node: node("demo"), host: "agent-1", creation: story.creation("demo"), owner: "agent-1:4400/1" },
    ]);
  });

  test("NAMES tells of this agent's nodes only, NAMES_AT of those at a host", () => {
    const story = new Story(SHARED).connected(elsewhere("other")).alive(1, 1, node("demo")).at(1, held("demo", 1));
    story.news();
    story.ask(1, 2, { type: "names" }).ask(1, 3, { type: "namesAt", host: "agent-1" });
    story.ask(1, 4, { type: "namesAt", host: "agent-2" }).ask(1, 5, { type: "namesAt", host: "agent-3" });
    expect(story.news()).toEqual([
      '2: "name demo at port 40000\\n" close',
      '3: "name demo at port 40000\\n" close',
      '4: "name other at port 50000\\n" close',
      `5: ${JSON.stringify("\0\0\u0011\u0030")} close`,
    ]);
  });

  test("a name that lives elsewhere is refused, whether the list or the store says so", () => {
    const story = new Story(SHARED).connected(elsewhere("demo")).alive(1, 1, node("demo"));
    story.alive(1, 2, node("late", { highest: 5 }));
    story.at(1, { type: "claimed", name: "late", serial: 1, outcome: "taken", detail: "the cEPMD at agent-2:4400" });
    story.ask(1, 3, port("late"));
    expect(story.news()).toEqual([
      "1: v1 0.0.0.99 idle",
      'say Cannot register "demo": found it held by the cEPMD at agent-2:4400, wanted a name of its own',
      "claim late 1",
      "2: y1 0.99 idle",
      'say Cannot register "late": found it held by the cEPMD at agent-2:4400, wanted a name of its own',
      "3: noport close",
    ]);
    expect([story.state.shares.size, story.state.local.size]).toEqual([0, 0]);
  });

  test("what an earlier cEPMD of this place left is served, and taken over with another creation", () => {
    const left = elsewhere("demo", { host: "agent-1", owner: "agent-1:4400/0", creation: 3 });
    const story = new Story(SHARED).connected(left).ask(1, 1, port("demo"));
    story.alive(1, 2, node("demo", { highest: 5 })).at(1, held("demo", 1));
    expect(story.news()).toEqual(["1: port 50000 close", "claim demo 1", "2: y0 0.1 keep"]);
  });

  test("a node that has its creation keeps it", () => {
    const story = new Story(SHARED).connected().alive(1, 1, node("demo"), 123_456).at(1, held("demo", 1));
    expect(story.done).toEqual(["claim demo 1", "1: v0 0.1.226.64 keep"]);
  });

  test("a node that ends is released, and one that ends before its answer too", () => {
    const story = new Story(SHARED).connected().alive(1, 1, node("demo")).at(1, held("demo", 1), gone(1, "demo"));
    story.alive(2, 2, node("quick")).at(2, gone(2, "quick"), held("quick", 2));
    story.at(
      2,
      { type: "released", name: "demo", outcome: "gone" },
      { type: "released", name: "quick", outcome: "gone" },
    );
    expect(story.news()).toEqual(["claim demo 1", "1: v0 keep", "release demo", "claim quick 2", "release quick"]);
    expect(story.state.shares.size).toBe(0);
  });

  test("a node that comes back while it is released waits its turn", () => {
    const story = new Story(SHARED).connected().alive(1, 1, node("demo")).at(1, held("demo", 1), gone(1, "demo"));
    const before = story.creation("demo");
    story.alive(2, 2, node("demo")).at(2, { type: "released", name: "demo", outcome: "gone" }, held("demo", 2));
    expect(story.news()).toEqual(["claim demo 1", "1: v0 keep", "release demo", "claim demo 2", "2: v0 keep"]);
    expect(story.creation("demo")).not.toBe(before);
  });
});

describe("while the store is away", () => {
  test("nodes start, are found by their agent, and get their place when it is back", () => {
    const story = new Story(SHARED).alive(1, 1, node("demo")).ask(1, 2, port("demo"));
    expect(story.news()).toEqual([
      "1: v0 keep",
      'say Registered "demo" here only: the store is away, and gets it when it is back',
      "2: port 40000 close",
    ]);
    story.connected();
    expect(story.news()).toEqual(["claim demo 1"]);
  });

  test("the last known list is kept; a holder in it stands in nobody's way once the session is lost", () => {
    const story = new Story(SHARED).connected(elsewhere("demo"));
    story.at(1, { type: "store", store: "suspended" }).ask(1, 1, port("demo")).alive(1, 2, node("demo"));
    story.at(9, { type: "store", store: "lost" }).ask(9, 3, port("demo")).alive(9, 4, node("demo"));
    story.ask(9, 5, port("demo"));
    expect(story.news().filter((text) => !text.startsWith("say"))).toEqual([
      "1: port 50000 close",
      "2: v1 0.0.0.99 idle",
      "3: port 50000 close",
      "4: v0 keep",
      "5: port 40000 close",
    ]);
  });

  test("a running node is not ended for a name that somebody else has put; it gets it when that is gone", () => {
    const story = new Story(SHARED).alive(1, 1, node("demo")).connected(elsewhere("demo"));
    const taken: Told = {
      type: "claimed",
      name: "demo",
      serial: 1,
      outcome: "taken",
      detail: "the cEPMD at agent-2:4400",
    };
    story.at(2, taken, { type: "tick" }).at(3, { type: "tick" }).ask(3, 2, port("demo"));
    story.at(4, { type: "folder", folder: folder() }).at(4, held("demo", 1));
    expect(story.news().slice(2)).toEqual([
      "claim demo 1",
      'say Serving "demo" here only: found it held by the cEPMD at agent-2:4400',
      "2: port 40000 close",
      "claim demo 1",
    ]);
  });

  test("a node waits three seconds for a store that does not answer, and is then answered without it", () => {
    const story = new Story(SHARED)
      .connected()
      .alive(1, 1, node("demo"))
      .at(3.9, { type: "tick" })
      .at(4, { type: "tick" });
    story.at(9, { type: "claimed", name: "demo", serial: 1, outcome: "unknown", detail: "no answer" });
    story.at(9.5, { type: "tick" }).at(9.6, held("demo", 1)).at(10, { type: "tick" });
    expect(story.news()).toEqual([
      "claim demo 1",
      "1: v0 keep",
      'say Registered "demo" here only: the store did not answer within 3000 ms, and gets it later',
      "claim demo 1",
    ]);
  });

  test("what ended meanwhile is released when it is back, and a release that failed is tried again", () => {
    const story = new Story(SHARED).connected().alive(1, 1, node("demo")).at(1, held("demo", 1));
    story.news();
    story.at(2, { type: "store", store: "lost" }, gone(1, "demo"), { type: "tick" });
    expect(story.news()).toEqual([]);
    story.at(3, { type: "store", store: "connected" }).at(3, { type: "released", name: "demo", outcome: "unknown" });
    story.at(4, { type: "tick" }).at(4, { type: "released", name: "demo", outcome: "gone" }).at(5, { type: "tick" });
    expect(story.news()).toEqual(["release demo", "release demo"]);
    expect(story.state.shares.size).toBe(0);
  });

  test("a name that the store has lost is claimed again; one that it has is left alone", () => {
    const story = new Story(SHARED).connected().alive(1, 1, node("demo")).at(1, held("demo", 1));
    const [mine] = story.claims;
    if (mine === undefined) throw new Error("nothing was claimed");
    story.news();
    story.at(2, { type: "folder", folder: folder(mine) }).at(2, { type: "tick" });
    expect(story.news()).toEqual([]);
    story.at(3, { type: "folder", folder: folder() }).at(3, held("demo", 1)).at(4, { type: "tick" });
    story.at(5, { type: "folder", folder: folder({ ...mine, creation: 1 }) });
    expect(story.news()).toEqual(["claim demo 1", "claim demo 1"]);
  });
});
