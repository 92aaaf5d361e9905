// The executor's decisions, told as stories: events in, actions and phases out.
import { describe, expect, test } from "bun:test";
import type { Health } from "../../src/databases/node.ts";
import { statusOf } from "../../src/executor/decide.ts";
import { launched, NODE, PREPARED, serving, Story, type Told } from "./executor-story.ts";

const joining: Health = { phase: "starting", detail: "OperationMode JOINING, native transport off" };
const silent: Health = { phase: "starting", detail: "no answer within 5000 ms" };

describe("a node that starts", () => {
  test("is prepared, started, and reported running when it serves", () => {
    const story = new Story();
    story.at(0, { type: "launch", task: launched() }).at(1, PREPARED);
    story.at(2, { type: "tick" }).at(3, { type: "tick" }, { type: "tick" });
    story.at(4, { type: "probed", answered: "none", health: silent }).at(5, { type: "tick" }).at(6, { type: "tick" });
    story.at(7, { type: "probed", answered: "all", health: joining }).at(9, { type: "tick" });
    story.at(9, { type: "probed", answered: "all", health: serving }).at(18, { type: "tick" }).at(19, { type: "tick" });
    expect(story.done).toEqual([
      "0 TASK_STARTING Preparing volume and files",
      "0 prepare",
      "1 TASK_STARTING The process starts",
      "1 start",
      "3 probe",
      "6 probe",
      "7 TASK_STARTING OperationMode JOINING, native transport off",
      "9 probe",
      "9 TASK_RUNNING healthy OperationMode NORMAL, native transport on",
      "19 probe",
    ]);
    expect(statusOf(story.state)).toEqual({
      phase: "serving",
      healthy: true,
      detail: "OperationMode NORMAL, native transport on",
      node: "ringmaster-demo-1",
    });
  });

  test("makes whole updates", () => {
    const story = new Story().at(2, { type: "launch", task: launched() });
    const { uuid } = story.state.unacknowledgedUpdates[0]!;
    expect(story.actions).toEqual([
      {
        type: "update",
        update: {
          taskId: "t1",
          state: "TASK_STARTING",
          labels: {},
          uuid,
          timestampMs: 2000,
          message: "Preparing volume and files",
        },
      },
      { type: "prepare", node: NODE },
    ]);
  });

  test("fails with the reason when it cannot be prepared", () => {
    const story = new Story().at(0, { type: "launch", task: launched() });
    story.at(1, { type: "failed", message: "Cannot use volume", failure: "empty-volume" }).acknowledgeAll(2);
    expect(story.done.slice(2)).toEqual(["1 TASK_FAILED Cannot use volume [empty-volume]", "2 exit 1"]);
  });

  test("is an error when its task cannot be read", () => {
    const story = new Story().at(0, { type: "launch", task: launched("t1", { ...NODE, memMb: "2G", oops: 1 }) });
    expect(story.done.map((one) => one.slice(0, 125))).toEqual([
      '0 TASK_ERROR Cannot read task "t1": memMb: found "2G", wanted a whole number of megabytes; oops: found an unknown key, wanted',
    ]);
  });

  test("is the only one of its executor", () => {
    const story = new Story().served().at(5, { type: "launch", task: launched("t2.server") });
    expect(story.done).toEqual(['5 t2.server TASK_ERROR Cannot launch task "t2.server": this executor has task "t1"']);
    expect(statusOf(story.state).phase).toBe("serving");
  });

  test("is ended when its database says for a minute that it failed", () => {
    const failed: Health = { phase: "failing", detail: "OperationMode JOINING_FAILED" };
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, PREPARED);
    story
      .at(10, { type: "probed", answered: "all", health: failed })
      .at(40, { type: "probed", answered: "all", health: failed });
    story
      .at(70, { type: "probed", answered: "all", health: failed })
      .at(72, { type: "exited", how: "with code 143", lastLines: "" });
    expect(story.done.slice(4)).toEqual([
      "10 TASK_STARTING OperationMode JOINING_FAILED",
      "70 SIGTERM",
      "72 TASK_FAILED The start failed: OperationMode JOINING_FAILED; the process ended with code 143",
    ]);
  });
});

describe("a node that serves", () => {
  test("is unhealthy when it says so, and healthy again", () => {
    const off: Health = { phase: "starting", detail: "native transport off" };
    const story = new Story().served();
    story
      .at(13, { type: "probed", answered: "all", health: off })
      .at(23, { type: "probed", answered: "all", health: off });
    story.at(33, { type: "probed", answered: "all", health: serving });
    expect(story.done).toEqual([
      "13 TASK_RUNNING unhealthy native transport off",
      "33 TASK_RUNNING healthy OperationMode NORMAL, native transport on",
    ]);
  });

  test("may miss five answers in a row, not six", () => {
    const story = new Story().served();
    for (let missed = 1; missed <= 5; missed++)
      story.at(10 * missed, { type: "probed", answered: "none", health: silent });
    expect(story.done).toEqual([]);
    story
      .at(60, { type: "probed", answered: "none", health: silent })
      .at(70, { type: "probed", answered: "none", health: silent });
    expect(story.done).toEqual(["60 TASK_RUNNING unhealthy no answer within 5000 ms"]);
  });

  test("says again that it runs after five minutes without a word, while its agent is there", () => {
    const story = new Story().served();
    const probed = (...seconds: readonly number[]): readonly string[] => {
      for (const second of seconds)
        story.at(second, { type: "probed", answered: "all", health: serving }, { type: "tick" });
      return story.done.splice(0);
    };
    const again = `TASK_RUNNING healthy ${serving.detail}`;
    expect(probed(150, 302)).toEqual([]);
    expect(probed(303, 304)).toEqual([`303 ${again}`]);
    // An update that is never acknowledged keeps none back.
    expect(probed(602, 603)).toEqual([`603 ${again}`]);
    story.at(604, { type: "disconnected" });
    expect(probed(950, 1500)).toEqual([]);
    story.at(1501, { type: "subscribed", agentId: "a1", hostname: "agent-1", frameworkName: "ringmaster" });
    expect(probed(1502, 1503)).toEqual([`1502 ${again}`]);
  });

  test("is killed when it answers nothing for five minutes", () => {
    const story = new Story().served().at(290, { type: "probed", answered: "none", health: silent });
    story.at(304, { type: "tick" }).at(306, { type: "tick" }).at(309, { type: "tick" });
    story.at(310, { type: "exited", how: "by SIGKILL", lastLines: "" });
    expect(story.done).toEqual([
      "304 SIGKILL",
      "309 SIGKILL",
      "310 TASK_FAILED Hung: no answer for 301 s (no answer within 5000 ms); the process ended by SIGKILL",
    ]);
  });

  test("takes its executor along when its process ends", () => {
    const story = new Story().served().at(61, { type: "exited", how: "with code 3", lastLines: "OutOfMemoryError" });
    story.acknowledgeAll(62);
    expect(story.done).toEqual([
      "61 TASK_FAILED cassandra ended by itself with code 3 after 60 s; its last lines: OutOfMemoryError",
      "62 exit 1",
    ]);
  });

  test("keeps a long message short", () => {
    const story = new Story().served().at(5, { type: "exited", how: "with code 1", lastLines: "x".repeat(10_000) });
    expect(story.state.unacknowledgedUpdates[0]?.message).toHaveLength(2001);
  });
});

describe("a stop", () => {
  test("drains, terminates, and tells that the task was killed", () => {
    const story = new Story().served().at(10, { type: "kill", taskId: "t1", graceMs: 40_000 });
    story
      .at(14, { type: "drained" }, { type: "drained" })
      .at(16, { type: "exited", how: "with code 143", lastLines: "bye" });
    story.acknowledgeAll(17);
    expect(story.done).toEqual([
      "10 drain 20000",
      "14 SIGTERM",
      "16 TASK_KILLED Killed; the process ended with code 143",
      "17 exit 0",
    ]);
  });

  test("never takes longer than its grace", () => {
    const story = new Story().served().at(10, { type: "kill", taskId: "t1", graceMs: 40_000 });
    for (const second of [29, 30, 31, 49, 50, 51, 55]) story.at(second, { type: "tick" });
    expect(story.done).toEqual(["10 drain 20000", "30 SIGTERM", "50 SIGKILL", "55 SIGKILL"]);
  });

  test("has the task's own grace when the kill names none, and a later kill can only shorten it", () => {
    const story = new Story().served().at(10, { type: "kill", taskId: "t1" }, { type: "drained" });
    story.at(11, { type: "kill", taskId: "t1", graceMs: 600_000 }, { type: "kill", taskId: "t1", graceMs: 5_000 });
    story.at(15, { type: "tick" }).at(16, { type: "tick" });
    expect(story.done).toEqual(["10 drain 30000", "10 SIGTERM", "16 SIGKILL"]);
  });

  test("of another task changes nothing", () => {
    const story = new Story().served();
    const before = story.state;
    expect(story.at(10, { type: "kill", taskId: "t9" }).state).toBe(before);
  });

  test("does not drain what is no member yet", () => {
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, PREPARED);
    story.at(2, { type: "kill", taskId: "t1" });
    expect(story.done.slice(4)).toEqual(["2 SIGTERM"]);
  });

  test("during the preparation waits for it and starts nothing", () => {
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, { type: "kill", taskId: "t1" });
    story.at(2, PREPARED).acknowledgeAll(3);
    expect(story.done.slice(2)).toEqual(["2 TASK_KILLED Killed", "3 exit 0"]);
  });

  test("by the agent is done before the agent's patience ends", () => {
    const story = new Story().served().at(10, { type: "shutdown" });
    expect(story.done).toEqual(["10 drain 13500"]);
    expect(story.state.phase).toMatchObject({ type: "stopping", killMs: 37_000 });
    expect(new Story().at(0, { type: "shutdown" }).done).toEqual(["0 exit 0"]);
  });

  test("by Ctrl-C drains, by a second one kills at once", () => {
    const story = new Story().served().at(10, { type: "interrupted" }).at(11, { type: "interrupted" });
    expect(story.done).toEqual(["10 drain 30000", "11 SIGKILL"]);
  });
});

describe("updates", () => {
  test("are kept until they are acknowledged, the task until its first one is", () => {
    const story = new Story().at(0, { type: "launch", task: launched() }).at(1, PREPARED);
    story.at(3, { type: "probed", answered: "all", health: serving });
    const [first, ...others] = story.state.unacknowledgedUpdates;
    expect(story.state.unacknowledgedTasks).toEqual([launched()]);
    story.at(4, { type: "acknowledged", taskId: "t1", uuid: first!.uuid });
    expect([story.state.unacknowledgedTasks, story.state.unacknowledgedUpdates]).toEqual([[], others]);
    expect(others.map((update) => update.state)).toEqual(["TASK_STARTING", "TASK_RUNNING"]);
  });

  test("are not kept without end while the agent is away", () => {
    const off: Health = { phase: "starting", detail: "native transport off" };
    const story = new Story().served().at(4, { type: "disconnected" });
    for (let second = 10; second < 3000; second += 10)
      story.at(second, { type: "probed", answered: "all", health: second % 20 === 0 ? serving : off });
    expect(story.state.unacknowledgedUpdates).toHaveLength(100);
    expect(story.state.unacknowledgedUpdates.at(-1)?.timestampMs).toBe(2_990_000);
  });

  test("that the agent refuses are given up", () => {
    const story = new Story().served().at(5, { type: "exited", how: "with code 1", lastLines: "" });
    story.at(6, { type: "refused", update: story.state.unacknowledgedUpdates[0]! });
    expect(story.done.at(-1)).toBe("6 exit 1");
  });

  test("hold up the executor's end for ten seconds, counted from when the agent is there", () => {
    const away: Told = { type: "disconnected" };
    const back: Told = { type: "subscribed", agentId: "a1", hostname: "agent-1", frameworkName: "ringmaster" };
    const story = new Story().served().at(4, away).at(5, { type: "exited", how: "with code 1", lastLines: "" });
    story.at(60, { type: "tick" }, back).at(70, { type: "tick" });
    expect(story.done).toHaveLength(1);
    expect(story.at(71, { type: "tick" }).done.at(-1)).toBe("71 exit 1");
  });
});

describe("an agent that does not come back", () => {
  test("takes the node along, gracefully", () => {
    const story = new Story()
      .served()
      .at(4, { type: "disconnected" })
      .at(900, { type: "lost", reason: "The agent is away" });
    story.at(903, { type: "drained" }).at(905, { type: "exited", how: "with code 143", lastLines: "" });
    expect(story.done).toEqual([
      "900 drain 30000",
      "903 SIGTERM",
      "905 TASK_FAILED The agent is away; the process ended with code 143",
      "905 exit 1",
    ]);
  });

  test("ends an executor that has only its last words to say", () => {
    const story = new Story()
      .served()
      .at(4, { type: "disconnected" })
      .at(5, { type: "exited", how: "by SIGKILL", lastLines: "" });
    expect(story.at(900, { type: "lost", reason: "The agent is away" }).done.at(-1)).toBe("900 exit 1");
  });

  test("or never was there, ends an idle one with an error", () => {
    expect(new Story().at(900, { type: "lost", reason: "no agent" }).done).toEqual(["900 exit 1"]);
    expect(new Story().at(1, { type: "error", message: "unknown executor" }).done).toEqual(["1 exit 1"]);
  });
});
