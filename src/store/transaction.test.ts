// The rules of versions, owners and places, as a table.
import { expect, test } from "bun:test";
import { checkPlace, type Found, effectOf, type PreparedWrite, prepareWrites } from "./transaction.ts";

const put = (ephemeral: boolean): PreparedWrite => ({
  type: "put",
  path: "a",
  text: "1",
  ephemeral,
  expect: undefined,
});
const durable: Found = { version: 3, owner: undefined };
const mine: Found = { version: 3, owner: "me" };
const theirs: Found = { version: 3, owner: "them" };

test("a put makes a new record unless kind and owner stay", () => {
  const effects = [undefined, durable, mine, theirs].map((found) => [
    effectOf(put(false), found, "me"),
    effectOf(put(true), found, "me"),
  ]);
  expect(effects).toEqual([
    ["create", "create"],
    ["update", "replace"],
    ["replace", "update"],
    ["replace", "replace"],
  ]);
});

test("a delete removes whoever owns the record, and does nothing where there is none", () => {
  const remove: PreparedWrite = { type: "delete", path: "a", expect: undefined };
  expect([undefined, durable, mine, theirs].map((found) => effectOf(remove, found, "me"))).toEqual([
    "none",
    "remove",
    "remove",
    "remove",
  ]);
});

test("a record and what lies below it do not go into one transaction", () => {
  const writes = [
    { type: "put", path: "a/b/c", value: 1 },
    { type: "delete", path: "a" },
  ] as const;
  expect(() => prepareWrites(writes)).toThrow('Cannot write "a/b/c": found "a" in the same transaction');
});

test("a record's place is free when no record lies above and nothing below", () => {
  expect(() =>
    checkPlace(
      "a/b",
      () => false,
      () => false,
    ),
  ).not.toThrow();
  expect(() =>
    checkPlace(
      "a/b",
      (path) => path === "a",
      () => false,
    ),
  ).toThrow('Cannot put "a/b": found a record "a", wanted a folder there');
  expect(() =>
    checkPlace(
      "a/b",
      () => false,
      () => true,
    ),
  ).toThrow('Cannot put "a/b": found a folder of that name, wanted none');
});
