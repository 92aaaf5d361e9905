// What crosses rooms: the command lines of Marathon's applications are read by the modes that they start, and the operator's
// commands by a director's own admin API.
import { afterEach, expect, test } from "bun:test";
import { run } from "../../src/cli/io/stand-in.ts";
import { marathonApp } from "../../src/cli/marathon.ts";
import { DEFAULTS } from "../../src/director/decide.ts";
import { serveAdmin } from "../../src/director/io/admin.ts";
import { readFlags as readDirectorFlags } from "../../src/director/io/flags.ts";
import { Director } from "../../src/director/io/run.ts";
import { readFlags as readSchedulerFlags } from "../../src/scheduler/io/flags.ts";
import { createLog } from "../../src/std/io/log.ts";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** The words that the mode gets, as the shell of a Mesos task makes them of the application's command. */
function wordsOf(app: Readonly<Record<string, unknown>>): readonly string[] {
  const command = String(app["cmd"]).replace("./ringmaster ", "");
  const shell = Bun.spawnSync(["sh", "-c", `printf '%s\\n' ${command}`], {
    env: { PATH: process.env["PATH"] ?? "", HOST: "agent-1", PORT0: "31000", PORT1: "31001", PORT2: "31002" },
  });
  return shell.stdout.toString().trimEnd().split("\n").slice(1);
}

const COMMON = { framework: "prod", cpus: 1, memMb: 512, instances: 1, constraints: [] };

test("A director's application starts a director of the cluster", () => {
  const flags = {
    ...COMMON,
    mode: "director",
    cluster: "sessions",
    isPublic: false,
    args: { rack: "it's r1" },
  } as const;
  const { http, pb, cql, ...rest } = ((words) => ({
    http: words.httpListen,
    pb: words.pbListen,
    cql: words.cqlListen,
    ...{ admin: words.admin, rack: words.rack, framework: words.framework, scheduler: words.scheduler },
  }))(readDirectorFlags(wordsOf(marathonApp(flags, "http://scheduler:8080", "riak"))));
  expect({ http, pb, cql }).toEqual({
    http: { host: "0.0.0.0", port: 31_000 },
    pb: { host: "0.0.0.0", port: 31_001 },
    cql: undefined,
  });
  expect(rest).toEqual({
    admin: { host: "0.0.0.0", port: 31_002 },
    ...{ rack: "it's r1", framework: "prod", scheduler: "http://scheduler:8080" },
  });
  const { cqlListen, admin, store, cluster } = readDirectorFlags(
    wordsOf(marathonApp({ ...flags, store: "zk://z1:2181/" }, "http://scheduler:8080", "cassandra")),
  );
  expect([cqlListen?.port, admin.port, store, cluster]).toEqual([31_000, 31_001, "zk://z1:2181/", "sessions"]);
});

test("A scheduler's application starts a scheduler", () => {
  const flags = {
    ...COMMON,
    mode: "scheduler",
    mesos: "zk://m1:2181,m2:2181/mesos",
    store: "zk://u:p@z1:2181/",
    artifactUri: "https://host/ringmaster",
    args: { "log-json": "", drain: "30" },
  } as const;
  const app = marathonApp(flags, "http://unused:1", "");
  const { name, mesos, store, http, advertise, artifactUri, drain, logJson } = readSchedulerFlags(wordsOf(app));
  expect({ name, mesos, store, http, advertise, artifactUri, drain, logJson }).toEqual({
    ...{ name: "prod", mesos: flags.mesos, store: flags.store, advertise: "agent-1", artifactUri: flags.artifactUri },
    ...{ http: { hostname: "0.0.0.0", port: 31_000 }, drain: 30, logJson: true },
  });
});

test("The operator's commands read a director's own answers", async () => {
  const director = new Director({
    from: { type: "static", backends: [{ host: "127.0.0.1", port: 9, protocol: "pb" }] },
    followed: { framework: "prod", cluster: "" },
    listen: { pb: { host: "127.0.0.1", port: 0 } },
    ...{
      httpMode: "raw",
      httpTimes: { headMs: 10_000, idleMs: 60_000 },
      isPart: false,
      pbMode: "raw",
      cqlMode: "stay",
      clientsMax: 10,
      connectTimeoutMs: 1000,
      probeTimeoutMs: 1000,
    },
    settings: DEFAULTS,
    log: createLog("director", "fatal", false),
  });
  const admin = serveAdmin(director, "127.0.0.1", 0);
  closing.push(async () => await director.stop(AbortSignal.abort()), admin.stop);
  const ask = async (...words: readonly string[]) => await run(admin, ["director", ...words, "--director", admin.url]);
  expect((await ask("nodes")).out).toBe("-\n  name: 127.0.0.1:9\n  protobuf:\n    host: 127.0.0.1\n    port: 9\n");
  expect((await ask("status")).out).toContain("name: pb\n");
  expect((await ask("clusters")).out).toBe("none\n");
  expect((await ask("frameworks")).out).toBe("none\n");
  const refused = await ask("configure", "-c", "other");
  expect([refused.code, refused.err]).toEqual([
    1,
    "ringmaster: Cannot PUT /frameworks/ringmaster/clusters/other: the director refused it with status 409: Cannot follow another cluster: the backends were named by hand with --backend\n",
  ]);
});
