// Names as records: their keys, their form, and who may take whose place.
import { describe, expect, test } from "bun:test";
import type { Json } from "../std/json.ts";
import { isSegment } from "../store/paths.ts";
import type { Folder } from "../store/store.ts";
import { fromRecord, keyOf, mayReplace, nameIn, ownerAt, type SharedName, toRecord } from "./record.ts";

const DEMO: SharedName = {
  node: {
    name: "demo-1",
    port: 40_000,
    nodeType: 77,
    protocol: 0,
    highest: 6,
    lowest: 5,
    extra: Uint8Array.of(0, 255),
  },
  host: "agent-1",
  creation: 4_000_000_000,
  owner: "agent-1:4400/5f3a9c01",
};

describe("a key", () => {
  test("is the name where that is a path segment, and one that nobody else has where it is not", () => {
    expect(keyOf("ringmaster-demo-1")).toBe("ringmaster-demo-1");
    expect(keyOf("maint1f_x.y")).toBe("maint1f_x.y");
    expect(keyOf("a@b")).toBe("a@40b");
    expect(keyOf(".")).toBe("@2E");
    expect(keyOf(".a.")).toBe("@2Ea.");
    expect(keyOf("é/😀\n")).toBe("@C3@A9@2F@F0@9F@98@80@0A");
    expect(keyOf("")).toBe("@");
    const names = ["", "@", ".", "..", "@2E", "a/b", "a@2Fb", "é", "\0"];
    const keys = names.map((name) => keyOf(name) ?? "");
    expect(keys.every(isSegment)).toBe(true);
    expect(new Set(keys).size).toBe(names.length);
  });

  test("is missing where the store has no room", () => {
    expect(keyOf("x".repeat(1019))?.length).toBe(1019);
    expect(keyOf("x".repeat(1020))).toBeUndefined();
    expect(keyOf("é".repeat(169))?.length).toBe(1014);
    expect(keyOf("é".repeat(170))).toBeUndefined();
  });
});

describe("a record", () => {
  test("has plain fields, and is read again", () => {
    const record = toRecord(DEMO);
    expect(record).toEqual({
      schema: 1,
      name: "demo-1",
      host: "agent-1",
      port: 40_000,
      nodeType: 77,
      protocol: 0,
      highest: 6,
      lowest: 5,
      extra: "AP8=",
      creation: 4_000_000_000,
      owner: "agent-1:4400/5f3a9c01",
    });
    expect(fromRecord(record)).toEqual(DEMO);
  });

  test("of another version or form is unreadable, not absent", () => {
    const record = toRecord(DEMO) as Record<string, Json>;
    const changes = [
      { schema: 2 },
      { name: 7 },
      { port: 65_536 },
      { port: -1 },
      { creation: 2 ** 32 },
      { highest: 1.5 },
      { extra: "%" },
      { owner: null },
      { host: ["agent-1"] },
    ];
    const bad = [...changes.map((change) => ({ ...record, ...change })), null, "demo", [], 7];
    const folder: Folder = new Map(bad.map((value, at) => [`n${at}`, { value, version: 1 }]));
    for (const key of folder.keys()) expect(nameIn(folder, key)).toBe("unreadable");
    expect(nameIn(folder, "other")).toBeUndefined();
  });
});

describe("a name's holder", () => {
  const other: SharedName = {
    ...DEMO,
    node: { ...DEMO.node, port: 40_001 },
    host: "agent-2",
    owner: "agent-2:4400/01",
  };

  test("keeps it from others", () => {
    expect(mayReplace(DEMO, other)).toBe(false);
    expect(mayReplace("unreadable", other)).toBe(false);
    expect(mayReplace(DEMO, { ...other, host: "agent-1", owner: ownerAt("agent-1", 4401, "02") })).toBe(false);
  });

  test("gives way to the next cEPMD of its place, and to the same node behind another one", () => {
    expect(mayReplace(DEMO, { ...other, host: "agent-1", owner: ownerAt("agent-1", 4400, "02") })).toBe(true);
    expect(mayReplace(DEMO, { ...DEMO, owner: ownerAt("agent-1", 4401, "02") })).toBe(true);
  });
});
