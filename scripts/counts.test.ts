// The sum that scripts/test ends with and what it says of failures, against closing lines as `bun test` prints them.
import { expect, test } from "bun:test";
import { closingCounts, countsText, failuresIn, sumCounts } from "./counts.ts";

const GOOD = "(pass) a [0.20ms]\n\n 13 pass\n 0 fail\n 20 expect() calls\nRan 13 tests across 2 files. [1.88s]\n";

test("a good run has its tests as passed", () => {
  expect(closingCounts(GOOD, 0)).toEqual({ passed: 13, failed: 0, skipped: 0 });
});

test("skipped tests and those to be written are counted together", () => {
  const printed = " 1 pass\n 2 skip\n 1 todo\n 0 fail\n 1 expect() calls\nRan 4 tests across 1 file. [4.00ms]\n";
  expect(closingCounts(printed, 0)).toEqual({ passed: 1, failed: 0, skipped: 3 });
});

test("a file that throws while it loads has failed", () => {
  const printed = " 1 pass\n 1 fail\n 1 error\nRan 2 tests across 2 files. [4.00ms]\n";
  expect(closingCounts(printed, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("a run that was killed before its closing lines has failed", () => {
  expect(closingCounts("bun test v1\n\nc.test.ts:\n", 137)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("a run without tests has failed, whatever its exit code", () => {
  const printed = " 0 pass\n 0 fail\nRan 0 tests across 1 file. [2.00ms]\n";
  expect(closingCounts(printed, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("a bad exit code without a failed test is a failure", () => {
  expect(closingCounts(GOOD, 1)).toEqual({ passed: 13, failed: 1, skipped: 0 });
});

test("what a test prints is not taken for closing lines", () => {
  const printed = ` 99 pass\n 5 fail\nRan 104 tests across 1 file. [1ms]\n${"a test's own words\n".repeat(12)}${GOOD}`;
  expect(closingCounts(printed, 0)).toEqual({ passed: 13, failed: 0, skipped: 0 });
});

test("colours do not hide the figures", () => {
  const printed = "\x1b[32m 2 pass\x1b[0m\n\x1b[2m 0 fail\x1b[0m\nRan 2 tests across 1 file. \x1b[0m[4.00ms]\n";
  expect(closingCounts(printed, 0)).toEqual({ passed: 2, failed: 0, skipped: 0 });
});

test("the last line adds all up", () => {
  const all = [
    { passed: 2, failed: 0, skipped: 0 },
    { passed: 3, failed: 1, skipped: 2 },
  ];
  expect(countsText(sumCounts(all))).toBe("5 passed, 1 failed, 2 skipped");
  expect(countsText(sumCounts(all.slice(0, 1)))).toBe("2 passed, 0 failed");
});

test("a failed test is said again with its file and what was printed for it, and no more", () => {
  const long = Array.from({ length: 100 }, (_, index) => `line ${index} ${"x".repeat(100)}`);
  const printed = [
    "a.test.ts:",
    "(pass) one [1.00ms]",
    "error: Expected 2, received 3",
    "",
    "(fail) two [1.00ms]",
    "b.test.ts:",
    ...long,
    "(fail) three [1.00ms]",
    "(pass) four",
  ];
  const failures = failuresIn(printed.join("\n"));
  expect(failures[0]).toBe("a.test.ts:\nerror: Expected 2, received 3\n(fail) two [1.00ms]");
  expect(failures[1]).toEndWith(`${long.at(-1)}\n(fail) three [1.00ms]`);
  expect(failures.map((text) => text.length < 1600)).toEqual([true, true]);
});
