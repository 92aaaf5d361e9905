// Which event takes which watches along, and that each is told once.
import { expect, test } from "bun:test";
import { Watches } from "./zookeeper-watches.ts";

const [CREATED, DELETED, CHANGED, CHILDREN] = [1, 2, 3, 4] as const;

function watches() {
  const told: string[] = [];
  const made = new Watches((path) => told.push(path));
  made.registerDataWatcher("/a");
  made.registerDataWatcher("/a");
  made.registerChildWatcher("/a");
  made.registerExistenceWatcher("/b");
  return { told, made };
}

const paths = (made: Watches): readonly (readonly string[])[] => [
  made.getDataWatcherPaths(),
  made.getChildWatcherPaths(),
  made.getExistenceWatcherPaths(),
];

test("an event takes along the watches that it fires, and is told once", () => {
  const left = (type: number, path: string): unknown => {
    const { told, made } = watches();
    made.emit({ type, path });
    made.emit({ type, path });
    return [told, paths(made)];
  };
  expect(left(CHANGED, "/a")).toEqual([["/a"], [[], ["/a"], ["/b"]]]);
  expect(left(CHILDREN, "/a")).toEqual([["/a"], [["/a"], [], ["/b"]]]);
  expect(left(DELETED, "/a")).toEqual([["/a"], [[], [], ["/b"]]]);
  expect(left(CREATED, "/b")).toEqual([["/b"], [["/a"], ["/a"], []]]);
  expect(left(CHANGED, "/c")).toEqual([[], [["/a"], ["/a"], ["/b"]]]);
});

test("those that are left are set again after a broken connection, until none is", () => {
  const { made } = watches();
  expect(made.isEmpty()).toBe(false);
  for (const [type, path] of [
    [DELETED, "/a"],
    [CREATED, "/b"],
  ] as const)
    made.emit({ type: type, path });
  expect(made.isEmpty()).toBe(true);
});

test("an event that nobody knows is an error, which ends the connection and not the process", () => {
  expect(() => watches().made.emit({ type: 9, path: "/a" })).toThrow("found an event of type 9, wanted 1 to 4");
});
