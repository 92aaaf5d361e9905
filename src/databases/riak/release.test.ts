// The files, the environment and the command lines of a node, as they are written.
import { describe, expect, test } from "bun:test";
import type { Place } from "../database.ts";
import type { NodeTask } from "../node.ts";
import { companions, nodeName, preparation, renderedFiles, startCommand } from "./release.ts";

const TASK: NodeTask = {
  schema: 1,
  framework: "ringmaster",
  cluster: "demo",
  node: "ringmaster-demo-2",
  database: "riak",
  version: "3.2.3",
  generation: 1,
  expectData: false,
  hostname: "agent-2",
  datacenter: "dc1",
  rack: "rack-2",
  cpus: 0.5,
  memMb: 1024,
  ports: { dist: 31000, http: 31001, pb: 31002, handoff: 31003, cluster_manager: 31004, epmd: 31005, api: 31006 },
  seeds: [],
  volume: "data",
  env: { LEVELED: "1" },
  settings: { "riak.conf": { ring_size: 16 }, "advanced.config": "[{riak_kv, []}]." },
  graceMs: 60_000,
  token: "sixteen-secrets-and-16-more-ones",
  store: "zk://zk1:2181/",
};

const PLACE: Place = {
  sandbox: "/sandbox",
  packageRoot: "/sandbox/riak",
  packageFiles: {},
  volume: "/sandbox/data",
  carried: "/sandbox/carried",
  address: "10.0.0.2",
  java: "",
  self: "/sandbox/ringmaster",
};

const ROOT = "/sandbox/run/riak/3.2.3/release";

test("riak.conf has the operator's keys and then ours; advanced.config has ours among the operator's", () => {
  expect(renderedFiles(TASK, PLACE)).toEqual([
    {
      path: "conf/riak.conf",
      mode: 0o600,
      content: `# Rendered by Ringmaster at every start of node "ringmaster-demo-2": what is changed here is lost.
ring_size = 16
nodename = ringmaster-demo-2@10.0.0.2
distributed_cookie = demo-sixteen-secrets-
listener.http.internal = 10.0.0.2:31001
listener.protobuf.internal = 10.0.0.2:31002
handoff.ip = 10.0.0.2
handoff.port = 31003
erlang.distribution.port_range.minimum = 31000
erlang.distribution.port_range.maximum = 31000
platform_data_dir = /sandbox/data/riak
platform_log_dir = /sandbox/logs/riak
platform_etc_dir = ${ROOT}/etc
`,
    },
    {
      path: "conf/advanced.config",
      mode: 0o600,
      content: '[{riak_core, [{cluster_mgr, {"10.0.0.2", 31004}}]},\n {riak_kv, []}].\n',
    },
  ]);
});

test("a node is named by its host name when that has a dot, else by its address", () => {
  expect(nodeName(TASK, PLACE)).toBe("ringmaster-demo-2@10.0.0.2");
  expect(nodeName({ ...TASK, hostname: "agent-2.example.com" }, PLACE)).toBe("ringmaster-demo-2@agent-2.example.com");
  expect(() => nodeName(TASK, { ...PLACE, address: "fe80::1" })).toThrow(
    'Cannot name node "ringmaster-demo-2": found the address "fe80::1", wanted one of IPv4',
  );
});

describe("the command", () => {
  test("of Riak 3 runs in the foreground, with cEPMD for every Erlang in it", () => {
    expect(startCommand(TASK, PLACE)).toEqual({
      argv: [
        "/bin/sh",
        "-c",
        'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"; exec "$@"',
        "sh",
        `${ROOT}/bin/riak`,
        "foreground",
      ],
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LANG: "C.UTF-8",
        TERM: "dumb",
        LEVELED: "1",
        HOME: ROOT,
        ERL_EPMD_PORT: "31005",
        ERL_EPMD_ADDRESS: "127.0.0.1",
        ERL_FLAGS: `-start_epmd false -epmd_module ringmaster_epmd -pa ${ROOT}/epmd -kernel inet_dist_use_interface {10,0,0,2}`,
        CODE_LOADING_MODE: "interactive",
        RUNNER_ETC_DIR: `${ROOT}/etc`,
        RUNNER_GEN_DIR: ROOT,
        RUNNER_LOG_DIR: "/sandbox/logs/riak",
      },
      cwd: ROOT,
    });
  });

  test("listens on all interfaces where the name may lead to another", () => {
    const { env } = startCommand({ ...TASK, hostname: "agent-2.example.com" }, PLACE);
    expect(env["ERL_FLAGS"]).toBe(`-start_epmd false -epmd_module ringmaster_epmd -pa ${ROOT}/epmd`);
  });

  test("of Riak 2 is a console without input, and its Erlang has the module in the place of its own", () => {
    const task = { ...TASK, version: "2.2.3" };
    const { argv, env } = startCommand(task, PLACE);
    expect([argv.slice(-3), env["ERL_FLAGS"]]).toEqual([
      ["/sandbox/run/riak/2.2.3/release/bin/riak", "console", "-noinput"],
      "-kernel inet_dist_use_interface {10,0,0,2}",
    ]);
    const compile = preparation(task, PLACE)[1]?.question;
    expect(compile).toMatchObject({
      command: {
        argv: [
          "/bin/sh",
          "-c",
          expect.any(String),
          "sh",
          "/sandbox/run/riak/2.2.3/release",
          "/sandbox/carried/erl_epmd.erl",
          "kernel",
        ],
      },
    });
  });
});

test("cEPMD runs beside it, on the loopback address, and shares its names through the store", () => {
  const command = {
    argv: [
      ...["/sandbox/ringmaster", "cepmd", "--address", "127.0.0.1", "--port", "31005"],
      ...["--store", "zk://zk1:2181/", "--framework", "ringmaster", "--host", "10.0.0.2"],
    ],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", BUN_JSC_useDFGJIT: "0" },
    cwd: "/sandbox",
  };
  expect(companions(TASK, PLACE)).toEqual([{ name: "cepmd", command, host: "127.0.0.1", port: 31005 }]);
  const { store: _none, ...alone } = TASK;
  expect(companions(alone, PLACE)[0]?.command.argv.slice(2)).toEqual(["--address", "127.0.0.1", "--port", "31005"]);
});

test("a preparation that fails says why", () => {
  const [build, compile, check] = preparation(TASK, PLACE);
  expect(build?.read({ status: 0, text: "built\n" }).type).toBe("done");
  expect(compile?.read({ status: 1, text: "a.erl:1: syntax error\n" })).toEqual({
    type: "failed",
    detail: "a.erl:1: syntax error",
  });
  expect(check?.read({ status: 0, text: "config is OK\n-config /x/app.config\n" }).type).toBe("done");
  expect(check?.read({ status: 1, text: "You have tried to set a\nCuttlefish failed! Oh no!\n" })).toEqual({
    type: "failed",
    detail: "You have tried to set a\nCuttlefish failed! Oh no!",
  });
});
