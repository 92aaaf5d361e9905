// A million requests of random and mutated bytes, in pieces of any size, through frame reader, request reader and decisions:
// nothing throws, everything is answered or closed, and what is remembered stays within its bounds.
import { expect, test } from "bun:test";
import type { Seed } from "../std/random.ts";
import { nextRandom } from "../std/random.ts";
import { decide, initialState } from "./decide.ts";
import type { Action, State } from "./state.ts";
import { isLocalOnly, readFrame, readRequest } from "./wire.ts";

const INPUTS = 1_000_000;
/** Connections that nodes are registered over at a time, at most. */
const NODES_MAX = 50;

/** Chance, of which a seed gives the same again. */
class Dice {
  #seed: Seed;

  constructor(seed: Seed) {
    this.#seed = seed;
  }

  /** 0 to `sides` - 1. */
  roll(sides: number): number {
    const { value, seed } = nextRandom(this.#seed);
    this.#seed = seed;
    return Math.floor(value * sides);
  }

  one<T>(of: readonly [T, ...T[]]): T {
    return of[this.roll(of.length)] ?? of[0];
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.roll(256));
  }
}

function frame(body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(body.length + 2);
  bytes.set([body.length >>> 8, body.length]);
  bytes.set(body, 2);
  return bytes;
}

/** A request as a client means it. */
function good(dice: Dice): Buffer {
  const name = new TextEncoder().encode(`${dice.one(["demo", "é", "a b", "x".repeat(255), ""])}${dice.roll(40)}`);
  // DUMP tells of a thousand former names: now and then will do.
  const tag = dice.roll(50) === 0 ? 100 : dice.one([122, 122, 122, 122, 65, 65, 72, 110, 115]);
  if (dice.roll(3) > 0) return frame(Uint8Array.of(tag, ...name));
  const again = dice.roll(2) === 0 ? [67, ...dice.bytes(4)] : [120];
  const extra = dice.bytes(dice.roll(4) === 0 ? dice.roll(40) : 0);
  const head = [dice.roll(256), dice.roll(256), 77, 0, 0, dice.roll(8), 0, 5, name.length >>> 8, name.length];
  return frame(Uint8Array.of(...again, ...head, ...name, 0, extra.length, ...extra));
}

/** The same with bytes changed, lost, added or doubled. */
function mutated(dice: Dice, bytes: Buffer): Buffer {
  const changed = [...bytes];
  for (let times = 1 + dice.roll(3); times > 0; times -= 1) {
    const at = dice.roll(changed.length + 1);
    const kind = dice.roll(4);
    if (kind === 0) changed.splice(at, 1, dice.roll(256));
    if (kind === 1) changed.splice(at, dice.roll(8));
    if (kind === 2) changed.splice(at, 0, ...dice.bytes(dice.roll(8)));
    if (kind === 3) changed.splice(at, 0, ...changed.slice(at, at + dice.roll(64)));
  }
  return Buffer.from(changed);
}

function input(dice: Dice): Buffer {
  const kind = dice.roll(8);
  if (kind === 0) return Buffer.from(dice.bytes(dice.roll(24)));
  if (kind === 1) return frame(dice.bytes(1 + dice.roll(dice.roll(100) === 0 ? 3100 : 30)));
  return kind < 5 ? mutated(dice, good(dice)) : good(dice);
}

/** What came of one connection's bytes, sent in pieces. */
function sent(
  state: State,
  dice: Dice,
  connection: number,
  bytes: Buffer,
): { state: State; actions: readonly Action[] } {
  let before: Buffer | undefined;
  for (let at = 0; at < bytes.length;) {
    const size = dice.roll(3) === 0 ? 1 + dice.roll(bytes.length) : bytes.length;
    const read = readFrame(before, bytes.subarray(at, at + size));
    at += size;
    if (read.type === "more") {
      before = read.bytes;
      if (before.length > 3059) throw new Error(`connection ${connection} keeps ${before.length} bytes`);
      continue;
    }
    const request = read.type === "request" ? readRequest(read.bytes, read.end) : undefined;
    if (request === undefined) return { state, actions: [{ type: "close", connection }] };
    const local = !isLocalOnly(request) || dice.roll(10) > 0;
    return decide(state, { nowMs: 0, type: "request", connection, local, request });
  }
  return { state, actions: [{ type: "close", connection }] };
}

test("no bytes harm a cEPMD", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`garbage: seed ${seed}`);
  const dice = new Dice(seed);
  let state = initialState({ port: 4369, relaxed: seed % 2 === 0 }, seed);
  let nodes: { readonly connection: number; readonly name: string }[] = [];
  const counts = { answered: 0, closed: 0, registered: 0 };
  for (let connection = 1; connection <= INPUTS; connection += 1) {
    const bytes = input(dice);
    const decision = sent(state, dice, connection, bytes);
    state = decision.state;
    const outcome = decision.actions.find((action) => action.type !== "say");
    if (outcome?.type === "answer") counts.answered += 1;
    else if (outcome?.type === "close") counts.closed += 1;
    else throw new Error(`input ${connection}: neither answered nor closed: ${Buffer.from(bytes).toString("hex")}`);
    if (outcome.type === "answer" && outcome.after === "keep") {
      counts.registered += 1;
      nodes.push({ connection, name: nameOf(state, connection) });
    }
    if (nodes.length <= NODES_MAX) continue;
    for (const ended of nodes) state = decide(state, { nowMs: 0, type: "closed", ...ended }).state;
    nodes = [];
    // With -relaxed_command_check a name may have been stopped before.
    expect(state.local.size).toBe(0);
  }
  expect(state.local.size).toBeLessThanOrEqual(NODES_MAX);
  expect(state.former.size).toBeLessThanOrEqual(1000);
  expect(state.shares.size).toBe(0);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(INPUTS / 100);
}, 60_000);

function nameOf(state: State, connection: number): string {
  for (const part of state.local.parts)
    for (const registration of part?.values() ?? [])
      if (registration.connection === connection) return registration.node.name;
  throw new Error(`connection ${connection} is kept, but no name is registered over it`);
}
