// The guard against records of a newer release.
import { expect, test } from "bun:test";
import type { Json } from "../std/json.ts";
import { readRecord } from "./records.ts";

const read = (value: Json) => readRecord("nodes/a", { value, version: 1 }, 3);

test("a record of a known schema is given as it is, an older one too", () => {
  expect(read({ schema: 3, name: "a" })).toEqual({ schema: 3, name: "a" });
  expect(read({ schema: 1 })).toEqual({ schema: 1 });
});

test("a record of a newer schema is refused by path, found and wanted", () => {
  expect(() => read({ schema: 4 })).toThrow(
    'Cannot read record "nodes/a": found schema 4, wanted at most 3: a newer release wrote it',
  );
});

test("what is no record of any schema is refused", () => {
  const message = 'Cannot read record "nodes/a": found no schema number, wanted an object with "schema" up to 3';
  for (const value of [null, 1, "schema", [], [1], {}, { schema: "1" }, { schema: 0 }, { schema: 1.5 }]) {
    expect(() => read(value)).toThrow(message);
  }
});
