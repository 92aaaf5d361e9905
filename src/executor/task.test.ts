// What a node's task is refused for, whose volume it may use, and how its updates are numbered.
import { describe, expect, test } from "bun:test";
import { DATABASE_NAMES } from "../databases/all.ts";
import type { NodeTask } from "../databases/node.ts";
import { faultText } from "../std/reason.ts";
import { readNodeTask } from "./task.ts";
import { nextUuid } from "./uuid.ts";
import { judgeVolume, markerOf } from "./volume.ts";

const TASK: NodeTask = {
  schema: 1,
  framework: "ringmaster",
  cluster: "demo",
  node: "ringmaster-demo-1",
  database: "cassandra",
  version: "5.0.4",
  generation: 2,
  expectData: false,
  hostname: "agent-1",
  datacenter: "dc1",
  rack: "rack1",
  cpus: 0.5,
  memMb: 2048,
  ports: { storage: 31000, native: 31001, jmx: 31002, jolokia: 31003, api: 31004 },
  seeds: ["agent-1:31000"],
  volume: "data",
  env: { LANG: "C" },
  settings: {},
  graceMs: 60_000,
  token: "secret-of-16-letters",
};

describe("a node's task", () => {
  test("is read as it was written", () => {
    expect(readNodeTask(JSON.stringify(TASK))).toEqual({ task: TASK });
    const oneRack = { ...TASK, oneRack: true };
    expect(readNodeTask(JSON.stringify(oneRack))).toEqual({ task: oneRack });
  });

  test.each<[string, readonly string[]]>([
    ["[]", ["task: found [], wanted a map"]],
    [JSON.stringify({ ...TASK, schema: 2 }), ["schema: found 2, wanted 1, the only one that this binary knows"]],
    [
      JSON.stringify({ ...TASK, store: "zk://user:password@host 2" }),
      ["store: found another value, wanted a store URL"],
    ],
    [
      JSON.stringify({ ...TASK, database: "oracle" }),
      [`database: found "oracle", wanted one of ${DATABASE_NAMES.join(", ")}`],
    ],
    [
      JSON.stringify({ ...TASK, volume: "../data", token: "short" }),
      [
        'volume: found "../data", wanted a path relative to the sandbox, without ..',
        "token: found another value, wanted at least 16 letters, digits and . _ ~ + / = -",
      ],
    ],
    [
      JSON.stringify({ ...TASK, volume: "/data" }),
      ['volume: found "/data", wanted a path relative to the sandbox, without ..'],
    ],
    [
      JSON.stringify({ ...TASK, seeds: ["agent-1"], cpus: undefined }),
      ["cpus: found nothing, wanted a number above 0", 'seeds: found ["agent-1"], wanted a list of host:port'],
    ],
    [
      JSON.stringify({ ...TASK, ports: { storage: 1, native: 2, jmx: 3 } }),
      ["ports.jolokia: found nothing, wanted a port", "ports.api: found nothing, wanted a port"],
    ],
    [
      JSON.stringify({ ...TASK, ports: { storage: 70_000 } }),
      ['ports: found {"storage":70000}, wanted a map of names and ports from 1 to 65535'],
    ],
  ])("is refused: %s", (json, faults) => {
    const read = readNodeTask(json);
    expect("faults" in read ? read.faults.map(faultText) : []).toEqual([...faults]);
  });

  test("is refused when it is no JSON", () => {
    const read = readNodeTask("{");
    expect("faults" in read && read.faults[0]?.wanted).toBe("JSON");
  });
});

describe("a volume", () => {
  const mine = JSON.stringify(markerOf(TASK));
  const old = JSON.stringify({ ...markerOf(TASK), generation: 1 });
  const expecting: NodeTask = { ...TASK, expectData: true };
  const begun: NodeTask = { ...TASK, expectMarker: true };
  const whose = 'Cannot use volume "data" of node "ringmaster-demo-1"';

  test.each<readonly [string, NodeTask, readonly string[], string | undefined, string]>([
    ["new", TASK, ["lost+found"], undefined, "fresh"],
    ["of a start that broke off while the marker was written", TASK, ["ringmaster.json.new"], undefined, "fresh"],
    ["of a node that never joined", TASK, ["ringmaster.json", "commitlog"], mine, "ours"],
    ["that may have been begun, and has its marker", begun, ["ringmaster.json"], mine, "ours"],
    [
      "that may have been begun, and was emptied",
      begun,
      [],
      undefined,
      `empty-volume: ${whose}: found nothing, wanted the node's data`,
    ],
    ["with the node's data", expecting, ["ringmaster.json", "data"], mine, "ours"],
    ["emptied", expecting, ["lost+found"], undefined, `empty-volume: ${whose}: found nothing, wanted the node's data`],
    [
      "emptied but for the marker",
      expecting,
      ["ringmaster.json", "ringmaster-process.json"],
      mine,
      `empty-volume: ${whose}: found only its marker, wanted the node's data`,
    ],
    [
      "without a marker where data is expected",
      expecting,
      ["a", "b", "c", "d"],
      undefined,
      `empty-volume: ${whose}: found "a", "b", "c" and 1 more but no marker, wanted the node's data`,
    ],
    [
      "with somebody's files",
      TASK,
      ["photos"],
      undefined,
      `foreign-volume: ${whose}: found "photos" but no marker, wanted an empty volume`,
    ],
    [
      "of an earlier generation",
      expecting,
      ["ringmaster.json", "data"],
      old,
      `foreign-volume: ${whose}: its marker has generation 1, wanted 2`,
    ],
    [
      "with a broken marker",
      TASK,
      ["ringmaster.json"],
      "{",
      `foreign-volume: ${whose}: its marker has "{", wanted JSON`,
    ],
    [
      "with a marker that is no map",
      TASK,
      ["ringmaster.json"],
      "null",
      `foreign-volume: ${whose}: its marker has "null", wanted a map`,
    ],
  ])("%s", (_name, task, names, marker, expected) => {
    const verdict = judgeVolume(task, names, marker);
    expect(verdict.type === "refused" ? `${verdict.failure}: ${verdict.message}` : verdict.type).toBe(expected);
  });
});

test("update identifiers are version 4 UUIDs, each another, the same from the same seed", () => {
  const made = (seed: number): readonly string[] => {
    const all: string[] = [];
    for (let count = 0; count < 100; count++) {
      const next = nextUuid(seed);
      all.push(Buffer.from(next.uuid).toString("hex"));
      seed = next.seed;
    }
    return all;
  };
  const uuids = made(42);
  expect(uuids.filter((uuid) => !/^.{12}4.{3}[89ab].{15}$/.test(uuid))).toEqual([]);
  expect(new Set(uuids).size).toBe(100);
  expect(made(42)).toEqual(uuids);
});
