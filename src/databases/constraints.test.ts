// The placement language in its three spellings, and what it says of what it cannot read.
import { expect, test } from "bun:test";
import { constraintText, readConstraints } from "./constraints.ts";

const RACK_AND_HOST = [
  { field: "hostname", operator: "UNIQUE" },
  { field: "rack", operator: "LIKE", parameter: "r-[12]" },
];

test("the three spellings say the same", () => {
  const spellings = [
    '[["hostname","UNIQUE"],["rack","LIKE","r-[12]"]]',
    [
      ["hostname", "UNIQUE"],
      ["rack", "like", "r-[12]"],
    ],
    "hostname:UNIQUE,rack:LIKE:r-[12]",
  ];
  for (const spelling of spellings)
    expect(readConstraints(spelling, "c")).toEqual({ constraints: RACK_AND_HOST as never, faults: [] });
  expect(readConstraints(["rack", "GROUP_BY", 3], "c").constraints).toEqual([
    { field: "rack", operator: "GROUP_BY", parameter: "3" },
  ]);
  expect(readConstraints('["hostname","MAX_PER","2"]', "c").constraints).toEqual([
    { field: "hostname", operator: "MAX_PER", parameter: "2" },
  ]);
});

test("a backslash makes the next character literal, and text is written back the same way", () => {
  const read = readConstraints("os:LIKE:a\\:b\\,c\\\\d", "c");
  expect(read.constraints).toEqual([{ field: "os", operator: "LIKE", parameter: "a:b,c\\d" }]);
  expect(read.constraints.map(constraintText)).toEqual(["os:LIKE:a\\:b\\,c\\\\d"]);
});

test("nothing means no constraints", () => {
  for (const empty of [undefined, null, "", []])
    expect(readConstraints(empty, "c")).toEqual({ constraints: [], faults: [] });
});

test.each([
  ["hostname", 'found "hostname"', "a field, an operator and perhaps a parameter, e.g. hostname:UNIQUE"],
  [
    "hostname:UNQIUE",
    'found "hostname:UNQIUE"',
    "one of the operators UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER, IS, IS_NOT",
  ],
  ["hostname:UNIQUE:1", "", "no parameter for UNIQUE"],
  ["rack:MAX_PER", "", "a parameter for MAX_PER"],
  ["rack:MAX_PER:0", "", "a whole number from 1 for MAX_PER"],
  ["rack:GROUP_BY:three", "", "a whole number from 1 for GROUP_BY"],
  ["rack:LIKE:[", "", "a regular expression for LIKE"],
  ["a b:UNIQUE", "", "a field such as hostname, @zone or the name of an agent attribute"],
  ["[1", "", 'JSON such as [["hostname","UNIQUE"]], or text such as hostname:UNIQUE'],
])("%s is refused and told what was wanted", (text, found, wanted) => {
  const { constraints, faults } = readConstraints(text, "constraints");
  expect(constraints).toEqual([]);
  expect(faults.map((fault) => fault.wanted)).toEqual([wanted]);
  if (found !== "") expect(`found ${faults[0]?.found}`).toBe(found);
});

test("every wrong row is told, and the place of each", () => {
  expect(
    readConstraints("hostname:UNIQUE,rack:NO,zone:MAX_PER:x", "constraints").faults.map(({ path }) => path),
  ).toEqual(["constraints[1]", "constraints[2]"]);
});
