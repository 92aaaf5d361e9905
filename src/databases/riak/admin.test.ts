// Operations as stories: what is asked of a node, what it says, and what comes of it. The texts are Riak KV 3.2.3's own.
import { describe, expect, test } from "bun:test";
import type { Json } from "../../std/json.ts";
import type { Ask, Place, Verdict } from "../database.ts";
import type { Member, NodeTask } from "../node.ts";
import { adminAsks, OPERATIONS } from "./admin.ts";

const TASK: NodeTask = {
  schema: 1,
  framework: "r",
  cluster: "demo",
  node: "r-demo-1",
  database: "riak",
  version: "3.2.3",
  generation: 1,
  expectData: true,
  hostname: "10.0.0.1",
  datacenter: "dc1",
  rack: "rack1",
  cpus: 1,
  memMb: 1024,
  ports: { dist: 31000, http: 31001, pb: 31002, handoff: 31003, cluster_manager: 31004, epmd: 31005, api: 31006 },
  seeds: [],
  volume: "data",
  env: {},
  settings: {},
  graceMs: 60_000,
  token: "sixteen-secrets-and-16-more-ones",
};

const PLACE: Place = {
  sandbox: "/sandbox",
  packageRoot: "/sandbox/riak",
  packageFiles: {},
  volume: "/sandbox/data",
  carried: "/sandbox/carried",
  address: "10.0.0.1",
  java: "",
  self: "/sandbox/ringmaster",
};

const MEMBERS: readonly Member[] = [1, 2, 3, 4].map((number) => ({
  node: `r-demo-${number}`,
  hostname: number === 4 ? "agent-4" : `10.0.0.${number}`,
  rack: "rack1",
  ports: {},
  joined: true,
  state: "serving",
}));

function asks(operation: string, args: Readonly<Record<string, string>>, task: NodeTask = TASK): readonly Ask[] {
  const found = adminAsks({ schema: 1, node: task.node, operation, args, members: MEMBERS }, task, PLACE);
  if (found === undefined) throw new Error(`there is no operation "${operation}"`);
  return found;
}

/** The member-status of a ring: "1 valid 100.0 --, …", the members by number. */
function memberStatus(text: string): string {
  const rows = text.split(", ").map((row) => {
    const [number, status = "", ring = "", pending = "--"] = row.split(" ");
    return `${status.padEnd(8)}  ${ring.padStart(5)}%    ${pending === "--" ? "  --  " : `${pending.padStart(5)}%`}    r-demo-${number}@10.0.0.${number}`;
  });
  const count = (status: string): number => text.split(` ${status} `).length - 1;
  return [
    "================================= Membership ==================================",
    "Status     Ring    Pending    Node",
    "-".repeat(79),
    ...rows,
    "-".repeat(79),
    `Valid:${count("valid")} / Leaving:${count("leaving")} / Exiting:${count("exiting")} / Joining:${count("joining")} / Down:${count("down")}`,
    "ok",
    "",
  ].join("\n");
}

function staged(...changes: readonly string[]): string {
  const title = "=============================== Staged Changes ================================";
  return `${title}\nAction         Details(s)\n${"-".repeat(79)}\n${changes.join("\n")}\n${"-".repeat(79)}\n\nNOTE: …\nok\n`;
}

const COMMITTED = "Cluster changes committed\nok\n";

type Told = { readonly lines: readonly string[]; readonly end: Verdict };

/** Puts the asks; `said` has an answer for each. A line is the command's words and what it came to. */
function tell(list: readonly Ask[], said: readonly string[]): Told {
  const lines: string[] = [];
  let found: Json = null;
  let end: Verdict = { type: "failed", detail: "nothing was asked" };
  let at = 0;
  for (const text of said) {
    const ask = list[at];
    if (ask === undefined) throw new Error(`nothing more is asked, so nobody hears ${JSON.stringify(text)}`);
    const question = typeof ask.question === "function" ? ask.question(found) : ask.question;
    const argv = question.type === "command" ? question.command.argv : [];
    const isScript = argv[0] === "/bin/sh";
    end = ask.read({ status: 0, text });
    lines.push(
      `${isScript ? argv.slice(4).join(" ") || "…" : argv.slice(2).join(" ")}: ${end.type} ${end.detail}`.trim(),
    );
    if (end.type === "failed") break;
    if (end.type === "done") {
      found = end.result ?? found;
      at += 1;
    }
  }
  if (end.type === "done" && at < list.length) throw new Error(`${list.length - at} asks are left`);
  return { lines, end };
}

const said = (list: readonly Ask[], texts: readonly string[]): readonly string[] => tell(list, texts).lines;

test("operators may ask for some operations; unknown ones and those without their arguments are none", () => {
  for (const operation of OPERATIONS)
    expect(asks(operation, { type: "t", member: "r-demo-9@10.0.0.9" }).length).toBeGreaterThan(0);
  const none = ["join", "commit", "down", "force-remove", "force-replace", "bucket-type-create", "nosuch"];
  for (const operation of none)
    expect(adminAsks({ schema: 1, node: "n", operation, args: {}, members: [] }, TASK, PLACE)).toBeUndefined();
});

describe("join", () => {
  test("is done once the node sees itself in the other's ring", () => {
    expect(
      said(asks("join", { to: "r-demo-2" }), [
        "Node r-demo-2@10.0.0.2 is not reachable!\nerror\n",
        "Success: staged join request for 'r-demo-1@10.0.0.1' to 'r-demo-2@10.0.0.2'\nok\n",
        memberStatus("1 joining 0.0, 2 valid 100.0"),
      ]),
    ).toEqual([
      "r-demo-2 10.0.0.2: again Node r-demo-2@10.0.0.2 is not reachable!",
      "r-demo-2 10.0.0.2: done Success: staged join request for 'r-demo-1@10.0.0.1' to 'r-demo-2@10.0.0.2'",
      "member-status: done",
    ]);
  });

  test("is done already when it is asked for again, but not in another ring", () => {
    const already = "Failed: This node is already a member of a cluster\nerror\n";
    expect(tell(asks("join", { to: "r-demo-2" }), [already, memberStatus("1 valid 50.0, 2 valid 50.0")]).end).toEqual({
      type: "done",
      detail: "",
    });
    expect(tell(asks("join", { to: "r-demo-2" }), [already, memberStatus("1 valid 50.0, 3 valid 50.0")]).end).toEqual({
      type: "again",
      afterMs: 3000,
      detail: "the ring is r-demo-1@10.0.0.1, r-demo-3@10.0.0.3, wanted r-demo-2 in it",
    });
  });

  test("fails where trying again does not help", () => {
    const failure = "Failed: r-demo-2@10.0.0.2 has a different ring_creation_size\nerror\n";
    expect(tell(asks("join", { to: "r-demo-2" }), [failure]).end).toEqual({
      type: "failed",
      detail: "Failed: r-demo-2@10.0.0.2 has a different ring_creation_size",
    });
  });

  test("finds a node by its address where its host name has no dot", () => {
    const argv = (task: NodeTask): readonly string[] => {
      const question = asks("join", { to: "r-demo-4" }, task)[0]?.question;
      return typeof question === "object" && question.type === "command" ? question.command.argv.slice(4) : [];
    };
    expect(argv(TASK)).toEqual(["r-demo-4", "agent-4"]);
    expect(argv({ ...TASK, hostname: "agent-4" })).toEqual(["r-demo-4", "10.0.0.1"]);
  });
});

describe("commit", () => {
  const nodes = { nodes: "r-demo-2,r-demo-3" };
  const two = staged("join           'r-demo-2@10.0.0.2'", "join           'r-demo-3@10.0.0.3'");

  test("waits for a ring that agrees, and is done when the nodes have joined", () => {
    expect(
      said(asks("commit", nodes), [
        "Cannot plan until cluster state has converged.\nCheck 'Ring Ready' in 'riak-admin ring_status'\nok\n",
        two,
        COMMITTED,
        memberStatus("1 valid 100.0, 2 joining 0.0, 3 joining 0.0"),
        memberStatus("1 valid 100.0 37.5, 2 valid 0.0 31.3, 3 valid 0.0 31.3"),
      ]),
    ).toEqual([
      "cluster plan: again Cannot plan until cluster state has converged. Check 'Ring Ready' in 'riak-admin ring_status'",
      "cluster plan: done 2 changes",
      "cluster commit: done Cluster changes committed",
      "member-status: again r-demo-2, r-demo-3 is joining",
      "member-status: done valid 3, leaving 0, exiting 0, joining 0, down 0",
    ]);
  });

  test("does not commit what others have staged", () => {
    const foreign = staged("join           'r-demo-2@10.0.0.2'", "leave          'r-demo-4@10.0.0.4'");
    expect(tell(asks("commit", nodes), [foreign]).end).toEqual({
      type: "failed",
      detail: "found staged by another: leave r-demo-4@10.0.0.4; commit it by hand, or run cluster-clear",
    });
  });

  test("has nothing to do the second time, and fails when what was staged is forgotten", () => {
    const nothing = [
      "There are no staged changes\nok\n",
      "You must verify the plan with 'riak-admin cluster plan' before committing\nok\n",
    ];
    expect(
      tell(asks("commit", nodes), [...nothing, memberStatus("1 valid 37.5, 2 valid 31.3, 3 valid 31.3")]).end.type,
    ).toBe("done");
    expect(tell(asks("commit", nodes), [...nothing, memberStatus("1 valid 50.0, 2 valid 50.0")]).end).toEqual({
      type: "failed",
      detail: "r-demo-3 is not in the ring",
    });
  });
});

describe("settle", () => {
  const READY = "TRUE All nodes agree on the ring ['r-demo-1@10.0.0.1','r-demo-2@10.0.0.2']\nok\n";
  const NONE = "No transfers active\n\nActive Transfers:\n\n\nok\n";
  const look = (ready: string, members: string, transfers: string): Verdict | undefined =>
    asks("settle", {})[0]?.read({ status: 0, text: `${ready}${memberStatus(members)}${transfers}` });

  test("looks three times at a ring at rest", () => {
    const good = `${READY}${memberStatus("1 valid 50.0, 2 valid 50.0")}${NONE}`;
    expect(tell(asks("settle", {}), [good, good, good]).end.type).toBe("done");
  });

  test("says what it waits for", () => {
    const two = "1 valid 50.0, 2 valid 50.0";
    const details = [
      look("FALSE ['r-demo-2@10.0.0.2'] down.  All nodes need to be up to check.\nerror\n", two, NONE),
      look(READY, "1 valid 100.0 50.0, 2 valid 0.0 50.0", NONE),
      look(READY, two, `'r-demo-2@10.0.0.2' waiting to handoff 3 partitions\n\nActive Transfers:\n\n\nok\n`),
      look(READY, "1 joining 0.0, 2 valid 100.0", NONE),
    ].map((verdict) => `${verdict?.type} ${verdict?.detail}`);
    expect(details).toEqual([
      "again the ring is not ready: r-demo-2@10.0.0.2 down",
      "again ownership moves: r-demo-1@10.0.0.1 100% of 50%, r-demo-2@10.0.0.2 0% of 50%",
      "again 3 partitions wait for handoff, 0 transfers run",
      "again valid 1, leaving 0, exiting 0, joining 1, down 0",
    ]);
  });
});

describe("leave", () => {
  test("is over when the node is out of the ring, however long it hands over", () => {
    expect(
      said(asks("leave", { node: "r-demo-2" }), [
        memberStatus("1 valid 50.0, 2 valid 50.0"),
        "Success: staged leave request for 'r-demo-2@10.0.0.2'\nok\n",
        staged("leave          'r-demo-2@10.0.0.2'"),
        COMMITTED,
        memberStatus("2 leaving 31.3 0.0, 1 valid 68.7 100.0"),
        memberStatus("1 valid 100.0"),
      ]),
    ).toEqual([
      "member-status: done r-demo-1@10.0.0.1, r-demo-2@10.0.0.2",
      "cluster leave r-demo-2@10.0.0.2: done Success: staged leave request for 'r-demo-2@10.0.0.2'",
      "cluster plan: done 1 changes",
      "cluster commit: done Cluster changes committed",
      "member-status: again r-demo-2@10.0.0.2 is leaving and owns 31.3% of the ring",
      "member-status: done valid 1, leaving 0, exiting 0, joining 0, down 0",
    ]);
  });

  test("goes on where it was, and does not empty a ring", () => {
    const nothing = [
      "There are no staged changes\nok\n",
      "You must verify the plan with 'riak-admin cluster plan' before committing\nok\n",
    ];
    const ring = memberStatus("2 leaving 31.3 0.0, 1 valid 68.7 100.0");
    const again = ["'r-demo-2@10.0.0.2' is already in the process of leaving the cluster.\nok\n", ...nothing];
    expect(tell(asks("leave", { node: "r-demo-2" }), [ring, ...again, memberStatus("1 valid 100.0")]).end.type).toBe(
      "done",
    );
    const gone = "Failed: 'r-demo-2@0.0.0.0' is not a member of the cluster.\nerror\n";
    const alone = memberStatus("1 valid 100.0");
    expect(said(asks("leave", { node: "r-demo-2" }), [alone, gone, ...nothing, alone])[1]).toBe(
      "cluster leave r-demo-2@0.0.0.0: done r-demo-2 is not in the ring",
    );
    const only = "Failed: 'r-demo-1@10.0.0.1' is the only member.\nerror\n";
    expect(tell(asks("leave", {}), [memberStatus("1 valid 100.0"), only]).end).toEqual({
      type: "failed",
      detail: "Failed: 'r-demo-1@10.0.0.1' is the only member.",
    });
  });
});

describe("a dead node", () => {
  const DEAD = memberStatus("1 valid 37.5, 2 valid 31.3, 3 valid 31.3");
  const CLAIMANT = (name: string, avail: string): string =>
    `---- Cluster Status ----\nRing ready: true\n\n| (C) ${name} |valid | ${avail} | 37.5|  --   |\n\nKey: …\nok\n`;

  test("is not thrown out while it lives", () => {
    expect(
      tell(asks("force-remove", { node: "r-demo-3" }), [DEAD, "Failed: r-demo-3@10.0.0.3 is up\nerror\n"]).end,
    ).toEqual({
      type: "failed",
      detail: "Failed: r-demo-3@10.0.0.3 is up",
    });
  });

  test("that is no node of the cluster is thrown out by its Erlang name, one that is a node never", () => {
    const list = asks("remove-stranger", { member: "r-demo-9@10.0.0.9" });
    const up = "Failed: r-demo-9@10.0.0.9 is up\nerror\n";
    expect(said(list, [memberStatus("1 valid 68.7, 9 valid 31.3"), up])).toEqual([
      "member-status: done r-demo-1@10.0.0.1, r-demo-9@10.0.0.9",
      "down r-demo-9@10.0.0.9: failed Failed: r-demo-9@10.0.0.9 is up",
    ]);
    expect(list.length).toBe(asks("force-remove", { node: "r-demo-9" }).length);
    expect(tell(asks("remove-stranger", { member: "r-demo-3@10.0.0.3" }), [DEAD]).end).toEqual({
      type: "failed",
      detail: 'r-demo-3@10.0.0.3 is node "r-demo-3": wanted a member that is none; remove the node instead',
    });
  });

  test("is replaced once another claimant is there", () => {
    expect(
      said(asks("force-replace", { old: "r-demo-3", node: "r-demo-4" }), [
        memberStatus("4 joining 0.0, 1 valid 37.5, 2 valid 31.3, 3 valid 31.3"),
        'Success: "r-demo-3@10.0.0.3" marked as down\nok\n',
        CLAIMANT("r-demo-3@10.0.0.3", "down!"),
        CLAIMANT("r-demo-1@10.0.0.1", "up"),
        "Failed: 'r-demo-3@10.0.0.3' is the claimant (see: riak-admin ring_status).\nThe claimant is …\nerror\n",
        "Success: staged forced replacement of 'r-demo-3@10.0.0.3' with 'r-demo-4@10.0.0.4'\nok\n",
        staged("force-replace  'r-demo-3@10.0.0.3' with 'r-demo-4@10.0.0.4'", "join           'r-demo-4@10.0.0.4'"),
        COMMITTED,
        memberStatus("1 valid 37.5, 2 valid 31.3, 4 valid 31.3"),
        memberStatus("1 valid 37.5, 2 valid 31.3, 4 valid 31.3"),
      ]).map((line) => line.replace(/ \(see: .*/, "")),
    ).toEqual([
      "member-status: done r-demo-4@10.0.0.4, r-demo-1@10.0.0.1, r-demo-2@10.0.0.2, r-demo-3@10.0.0.3",
      'down r-demo-3@10.0.0.3: done Success: "r-demo-3@10.0.0.3" marked as down',
      "cluster status: again the claimant is r-demo-3@10.0.0.3, down!",
      "cluster status: done the claimant is r-demo-1@10.0.0.1",
      "cluster force-replace r-demo-3@10.0.0.3 r-demo-4@10.0.0.4: again Failed: 'r-demo-3@10.0.0.3' is the claimant",
      "cluster force-replace r-demo-3@10.0.0.3 r-demo-4@10.0.0.4: done Success: staged forced replacement of 'r-demo-3@10.0.0.3' with 'r-demo-4@10.0.0.4'",
      "cluster plan: done 2 changes",
      "cluster commit: done Cluster changes committed",
      "member-status: done valid 3, leaving 0, exiting 0, joining 0, down 0",
      "member-status: done valid 3, leaving 0, exiting 0, joining 0, down 0",
    ]);
  });
});

describe("a bucket type", () => {
  const words = (operation: string, args: Readonly<Record<string, string>>, text: string): readonly string[] =>
    said(asks(operation, args), [text]);

  test("is created, updated and activated in Riak's words", () => {
    const props = '{"props":{"allow_mult":false}}';
    const created =
      "t1 created\n\nWARNING: After activating t1, nodes in this cluster\ncan no longer be downgraded\nok\n";
    expect(words("bucket-type-create", { type: "t1", props: '{"allow_mult": false}' }, created)).toEqual([
      `bucket-type create t1 ${props}: done t1 created  WARNING: After activating t1, nodes in this cluster can no longer be downgraded`,
    ]);
    expect(words("bucket-type-update", { type: "t1", props }, "t1 updated\nok\n")).toEqual([
      `bucket-type update t1 ${props}: done t1 updated`,
    ]);
    expect(words("bucket-type-activate", { type: "t1" }, "t1 has been activated\n\nWARNING: …\nok\n")).toEqual([
      "bucket-type activate t1: done t1 has been activated  WARNING: …",
    ]);
  });

  test("that is active stays as it is; what cannot be fails", () => {
    expect(
      words("bucket-type-create", { type: "t1" }, "Error creating bucket type t1:\nalready_active\nerror\n"),
    ).toEqual(['bucket-type create t1 {"props":{}}: done t1 is active already; its properties are as they were']);
    expect(
      words(
        "bucket-type-create",
        { type: "bad", props: "{not json" },
        "Cannot create bucket type bad: invalid json\nerror\n",
      ),
    ).toEqual(["bucket-type create bad {not json: failed Cannot create bucket type bad: invalid json"]);
    expect(
      words(
        "bucket-type-activate",
        { type: "t2" },
        "t2 has been created but cannot be activated yet\n{error,not_ready}\n",
      ),
    ).toEqual(["bucket-type activate t2: again t2 has been created but cannot be activated yet"]);
    expect(
      words("bucket-type-activate", { type: "no" }, "no is not an existing bucket type\n{error,undefined}\n"),
    ).toEqual(["bucket-type activate no: failed no is not an existing bucket type"]);
  });
});

test("a node that does not answer is asked again", () => {
  const [first] = asks("cluster-clear", {});
  expect(first?.read({ status: 1, text: "Node r-demo-1@10.0.0.1 is not responding to pings\n" })).toEqual({
    type: "again",
    afterMs: 3000,
    detail: "Node r-demo-1@10.0.0.1 is not responding to pings",
  });
  expect(first?.read({ error: "no answer within 60000 ms" }).type).toBe("again");
});
