// What an executor does for its database besides running it, told as stories: preparations, companions, admin tasks.
import { describe, expect, test } from "bun:test";
import type { Ask, Companion } from "../../src/databases/database.ts";
import type { AdminTask } from "../../src/databases/node.ts";
import { statusOf } from "../../src/executor/decide.ts";
import type { LaunchedTask } from "../../src/mesos/executor-api.ts";
import { ask, commandOf, launched, PREPARED, preparedFor, serving, Story, type Told } from "./executor-story.ts";

function admin(taskId: string, operation: string, change: Partial<Record<keyof AdminTask, unknown>> = {}): Told {
  const data = { schema: 1, node: "ringmaster-demo-1", operation, args: {}, members: [], ...change };
  return { type: "launch", task: launched(taskId, data) };
}

/** A database with these operations. */
function able(operations: Readonly<Record<string, readonly Ask[]>>): Parameters<Story["served"]>[0] {
  return { admin: ({ operation }) => operations[operation] };
}

const repair = [ask("finding ranges", "ranges"), ask("repairing", "repair")];

describe("before its start", () => {
  const prepare = (): readonly Ask[] => [ask("compiling", "erlc"), ask("checking", "check")];
  const preparing = (): Story =>
    new Story().at(0, { type: "launch", task: launched() }).at(1, preparedFor({ prepare }));

  test("a node does what its database wants, one thing after the other", () => {
    const story = preparing().answer(2, 1, "done").answer(4, 2, "again not yet").at(6, { type: "tick" });
    expect(statusOf(story.state)).toMatchObject({ phase: "preparing", detail: "checking: not yet" });
    story.at(9, { type: "tick" }).answer(10, 3, "done");
    expect(story.done.slice(2)).toEqual([
      "1 TASK_STARTING compiling",
      "1 ask 1: erlc",
      "2 ask 2: check",
      "4 TASK_STARTING checking: not yet",
      "9 ask 3: check",
      "10 TASK_STARTING The process starts",
      "10 start",
    ]);
  });

  test("a node fails with what failed, or with what took too long", () => {
    const story = preparing().answer(2, 1, "no such compiler");
    expect(story.done.at(-1)).toBe("2 TASK_FAILED compiling: no such compiler");
    const slow = preparing().answer(2, 1, "done").answer(60, 2, "again not yet").at(65, { type: "tick" });
    expect(slow.answer(66, 3, "again not yet").done.at(-1)).toBe(
      "66 TASK_FAILED checking: not done after 64 s: not yet",
    );
  });

  test("a node fails when its database cannot tell what it wants", () => {
    const story = new Story().at(0, { type: "launch", task: launched() });
    const odd = (): never => {
      throw new Error('Cannot name node "n": found the address "::1", wanted one of IPv4');
    };
    story.at(1, preparedFor({ prepare: odd }));
    expect(story.done.at(-1)).toBe('1 TASK_FAILED Cannot name node "n": found the address "::1", wanted one of IPv4');
  });

  test("a stop gives it up", () => {
    const story = preparing().at(2, { type: "kill", taskId: "t1" }).answer(3, 1, "done").acknowledgeAll(4);
    expect(story.done.slice(4)).toEqual(["2 give up 1", "2 TASK_KILLED Killed", "4 exit 0"]);
  });
});

describe("companions", () => {
  const companion = (name: string): Companion => ({
    name,
    command: { argv: ["ringmaster", name], env: {}, cwd: "/" },
    host: "127.0.0.1",
    port: 4369,
  });
  const companions = (): readonly Companion[] => [companion("cepmd"), companion("other")];
  const up = (name: string): Told => ({ type: "companionUp", name });
  const ended = (name: string): Told => ({ type: "companionEnded", name, how: "with code 1", lastLines: "oops" });
  const begun = (): Story => {
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, preparedFor({ companions }));
    story.done = [];
    return story;
  };

  test("are there before the database starts, come back with back-off, and end after it", () => {
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, preparedFor({ companions }));
    story.at(2, up("cepmd")).at(3, up("other")).at(5, { type: "probed", answered: "all", health: serving });
    story.at(10, ended("cepmd"), { type: "tick" }).at(11, { type: "tick" });
    story.at(12, ended("cepmd")).at(12.5, { type: "tick" }).at(13, { type: "tick" }).at(14, up("cepmd"));
    story.at(100, ended("cepmd")).at(100.5, { type: "tick" });
    story.at(200, { type: "exited", how: "with code 1", lastLines: "" }, ended("cepmd")).at(300, { type: "tick" });
    expect(story.done.slice(2).filter((one) => !one.endsWith(" probe"))).toEqual([
      "1 start cepmd",
      "1 start other",
      "3 TASK_STARTING The process starts",
      "3 start",
      "5 TASK_RUNNING healthy OperationMode NORMAL, native transport on",
      "11 start cepmd",
      "13 start cepmd",
      "100.5 start cepmd",
      "200 end companions",
      "200 TASK_FAILED cassandra ended by itself with code 1 after 197 s",
    ]);
  });

  test("that do not come fail the start with their last words", () => {
    const story = begun().at(2, up("cepmd"), ended("other")).at(3, { type: "tick" }).at(4, ended("other"));
    story.at(30, { type: "tick" }).at(31, { type: "tick" });
    expect(story.done).toEqual([
      "3 start other",
      "30 start other",
      "31 end companions",
      '31 TASK_FAILED Cannot start the node: no connection after 30 s to "other", which last ended with code 1: oops',
    ]);
  });

  test("end with a start that is given up", () => {
    const story = begun().at(2, { type: "kill", taskId: "t1" }, up("cepmd"), up("other"));
    expect(story.done).toEqual(["2 end companions", "2 TASK_KILLED Killed"]);
  });
});

describe("an admin task", () => {
  test("is accepted, tells how far it is, and ends with what it found", () => {
    const found = ask("repairing", "repair", {
      question: (ranges) => commandOf(`repair ${JSON.stringify(ranges)}`),
      read: (answer) => {
        const text = "text" in answer ? answer.text : answer.error;
        const [word, ...detail] = text.split(" ");
        if (word === "again") return { type: "again", afterMs: 5_000, detail: detail.join(" ") };
        return { type: "done", detail: detail.join(" "), result: { repaired: 2 } };
      },
    });
    const ranges = ask("finding ranges", "ranges", {
      read: () => ({ type: "done", detail: "2 ranges", result: [1, 2] }),
    });
    const story = new Story().served(able({ repair: [ranges, found] })).at(10, admin("a1", "repair"));
    story.answer(11, 1, "").answer(13, 2, "again 10 %").answer(14, 2, "again stale").at(17, { type: "tick" });
    expect(statusOf(story.state).admin).toEqual({ taskId: "a1", operation: "repair", detail: "repairing: 10 %" });
    story.at(18, { type: "tick" }).answer(18.5, 3, "again 20 %").at(19, { type: "tick" }).at(23.5, { type: "tick" });
    story.answer(24, 4, "done all repaired");
    expect(story.done.filter((one) => !one.endsWith(" probe"))).toEqual([
      "10 a1 TASK_STARTING Accepted",
      "10 a1 TASK_RUNNING finding ranges",
      "10 ask 1: ranges",
      "11 ask 2: repair [1,2]",
      "13 a1 TASK_RUNNING repairing: 10 %",
      "18 ask 3: repair [1,2]",
      "18.5 a1 TASK_RUNNING repairing: 20 %",
      "23.5 ask 4: repair [1,2]",
      '24 a1 TASK_FINISHED all repaired\n{"repaired":2}',
    ]);
    expect(story.state.admin).toBeUndefined();
  });

  test("says nothing more often than every two seconds", () => {
    const asks = [ask("one", "1"), ask("two", "2"), ask("three", "3")];
    const story = new Story().served(able({ count: asks })).at(10, admin("a1", "count"));
    story.answer(10.5, 1, "done").answer(11, 2, "done").at(11.5, { type: "tick" }).at(12, { type: "tick" });
    expect(story.done.filter((one) => one.includes("RUNNING"))).toEqual([
      "10 a1 TASK_RUNNING one",
      "12 a1 TASK_RUNNING three",
    ]);
  });

  test("fails with what failed, took too long, or cannot be read", () => {
    const odd = ask("reading", "read", {
      read: () => {
        throw new Error("Unexpected end of JSON input");
      },
    });
    const story = new Story().served(able({ repair, odd: [odd] }));
    story.at(10, admin("a1", "repair")).answer(11, 1, "no ranges");
    story.at(20, admin("a2", "repair")).answer(81, 2, { error: "connection refused" });
    story.at(90, admin("a3", "odd")).answer(91, 3, "");
    expect(story.done.filter((one) => one.includes("FAILED"))).toEqual([
      "11 a1 TASK_FAILED finding ranges: no ranges",
      "81 a2 TASK_FAILED finding ranges: not done after 61 s: connection refused",
      "91 a3 TASK_FAILED reading: cannot read the answer: Unexpected end of JSON input",
    ]);
    expect(story.state.phase.type).toBe("serving");
  });

  test("waits for the one before it; more than four that wait are too many", () => {
    const story = new Story().served(able({ repair, nothing: [] }));
    for (const number of [1, 2, 3, 4, 5, 6]) story.at(10, admin(`a${number}`, number === 2 ? "nothing" : "repair"));
    story.answer(11, 1, "done").answer(12, 2, "done well");
    expect(story.done).toEqual([
      "10 a1 TASK_STARTING Accepted",
      "10 a1 TASK_RUNNING finding ranges",
      "10 ask 1: ranges",
      '10 a2 TASK_STARTING Waits for "repair" to end',
      '10 a3 TASK_STARTING Waits for "repair" to end',
      '10 a4 TASK_STARTING Waits for "repair" to end',
      '10 a5 TASK_STARTING Waits for "repair" to end',
      '10 a6 TASK_FAILED Cannot do "repair": busy with "repair", and 4 others wait',
      "11 ask 2: repair",
      "12 a1 TASK_FINISHED well",
      "12 a2 TASK_FINISHED There was nothing to do",
      "12 a3 TASK_RUNNING finding ranges",
      "12 ask 3: ranges",
    ]);
  });

  test("that is killed asks no further, and lets the next one begin", () => {
    const story = new Story().served(able({ repair }));
    for (const name of ["a1", "a2", "a3"]) story.at(10, admin(name, "repair"));
    story.done = [];
    story.at(11, { type: "kill", taskId: "a2" }, { type: "kill", taskId: "a1" }).answer(12, 1, "done");
    expect(story.done).toEqual([
      "11 a2 TASK_KILLED Killed before it began",
      "11 give up 1",
      "11 a1 TASK_KILLED Killed while finding ranges; what the database has begun may go on",
      "11 a3 TASK_RUNNING finding ranges",
      "11 ask 2: ranges",
    ]);
    const before = story.state;
    expect(story.at(13, { type: "kill", taskId: "a1" }).state).toBe(before);
  });

  test("is refused when it cannot be read, or is for another node, or unknown to the database", () => {
    const story = new Story().served({
      admin: ({ operation }) => {
        if (operation === "odd") throw new Error('found no argument "node"');
        return undefined;
      },
    });
    story.at(10, admin("a1", "repair", { args: { depth: 3 }, members: "none" }));
    story.at(11, admin("a2", "repair", { node: "ringmaster-demo-2" }), admin("a3", "repair"), admin("a4", "odd"));
    expect(story.done).toEqual([
      '10 a1 TASK_ERROR Cannot read admin task "a1": args: found {"depth":3}, wanted a map of names and texts; members: found "none", wanted a list of maps',
      '11 a2 TASK_ERROR Cannot do "repair": it is for node "ringmaster-demo-2", this executor runs node "ringmaster-demo-1"',
      '11 a3 TASK_ERROR Cannot do "repair": cassandra knows no such operation',
      '11 a4 TASK_ERROR Cannot do "odd": found no argument "node"',
    ]);
  });

  test("is refused while its node does not serve, and by an executor that runs none", () => {
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, PREPARED, admin("a1", "repair"));
    expect(story.done.at(-1)).toBe(
      '1 a1 TASK_FAILED Cannot do "repair": node "ringmaster-demo-1" is starting, wanted it serving',
    );
    const empty = new Story().at(0, admin("a1", "repair")).acknowledgeAll(1);
    expect(empty.done).toEqual([
      '0 a1 TASK_FAILED Cannot do "repair": node "ringmaster-demo-1" does not run',
      "1 exit 1",
    ]);
  });

  test("fails before its node does, and before its node stops", () => {
    const both = (): Story => {
      const story = new Story().served(able({ repair })).at(10, admin("a1", "repair"), admin("a2", "repair"));
      story.done = [];
      return story;
    };
    const crashed = both().at(61, { type: "exited", how: "with code 3", lastLines: "" });
    expect(crashed.done).toEqual([
      "61 give up 1",
      "61 a1 TASK_FAILED finding ranges: the node ended meanwhile",
      "61 a2 TASK_FAILED Not begun: the node ended meanwhile",
      "61 TASK_FAILED cassandra ended by itself with code 3 after 60 s",
    ]);
    const stopped = both().at(20, { type: "kill", taskId: "t1" }).at(21, { type: "tick" });
    expect(stopped.done).toEqual([
      "20 give up 1",
      "20 a1 TASK_FAILED finding ranges: the node is stopped: Killed",
      "20 a2 TASK_FAILED Not begun: the node is stopped: Killed",
      "20 drain 30000",
    ]);
  });
});

describe("a node that leaves its ring", () => {
  const leave = [ask("planning", "plan"), ask("leaving", "status", { endsNode: true })];
  const leaving = (): Story => {
    const story = new Story().served(able({ leave, repair })).at(10, admin("a1", "leave"), admin("a2", "repair"));
    story.acknowledgeAll(10).answer(11, 1, "done");
    story.done = [];
    return story;
  };

  test("has done what was wanted when its process ends", () => {
    const story = leaving().answer(13, 2, "again 4 partitions are left").at(20, {
      type: "exited",
      how: "with code 0",
      lastLines: "",
    });
    story.acknowledgeAll(21);
    expect(story.done).toEqual([
      "13 a1 TASK_RUNNING leaving: 4 partitions are left",
      "20 a1 TASK_FINISHED leaving: 4 partitions are left: the process ended with code 0",
      "20 a2 TASK_FAILED Not begun: the node ended meanwhile",
      "20 TASK_FINISHED Left the ring; the process ended with code 0",
      "21 exit 0",
    ]);
  });

  test("does not fail when its process ends a little later", () => {
    const story = leaving().at(11, { type: "kill", taskId: "a2" }).answer(13, 2, "done gone");
    story.at(20, { type: "exited", how: "with code 0", lastLines: "" });
    expect(story.done.slice(-2)).toEqual([
      "13 a1 TASK_FINISHED gone",
      "20 TASK_FINISHED Left the ring; the process ended with code 0",
    ]);
  });

  test("fails when its process ends before it may", () => {
    const story = new Story().served(able({ leave })).at(10, admin("a1", "leave"));
    story.at(11, { type: "exited", how: "by SIGKILL", lastLines: "" });
    expect(story.done.slice(-2)).toEqual([
      "11 a1 TASK_FAILED planning: the node ended meanwhile",
      "11 TASK_FAILED cassandra ended by itself by SIGKILL after 10 s",
    ]);
  });
});

test("how an admin task ended is never pushed out of what the agent has not acknowledged", () => {
  const story = new Story().served(able({ nothing: [] })).at(4, { type: "disconnected" }, admin("a1", "nothing"));
  for (let second = 10; second < 3000; second += 10) {
    const health = { phase: second % 20 === 0 ? "serving" : "starting", detail: "" } as const;
    story.at(second, { type: "probed", answered: "all", health });
  }
  const kept = story.state.unacknowledgedUpdates;
  expect(kept).toHaveLength(100);
  expect(kept.filter(({ taskId }) => taskId === "a1").map(({ state }) => state)).toEqual(["TASK_FINISHED"]);
  const tasks: readonly LaunchedTask[] = story.state.unacknowledgedTasks;
  expect(tasks.map(({ taskId }) => taskId)).toEqual(["a1"]);
});

test("a node of whose probes some are answered does not hang, and has the patience of one that is not answered", () => {
  const story = new Story().served();
  const health = { phase: "starting", detail: "PB ping: connection refused" } as const;
  for (let second = 10; second <= 400; second += 10) story.at(second, { type: "probed", answered: "some", health });
  expect(story.at(401, { type: "tick" }).done.filter((one) => !one.endsWith(" probe"))).toEqual([
    "60 TASK_RUNNING unhealthy PB ping: connection refused",
    // Five minutes without a word are over.
    "401 TASK_RUNNING unhealthy PB ping: connection refused",
  ]);
});
