// What an operator may ask of a Riak cluster, and what is told to those who ask for something else.
import { describe, expect, test } from "bun:test";
import { faultText } from "../../std/reason.ts";
import type { ClusterSpec } from "../cluster.ts";
import { checkRiak, lineOf, settingsOf, withSetting } from "./settings.ts";

const SPEC: ClusterSpec = {
  name: "demo",
  database: "riak",
  version: "3.2.3",
  nodes: 3,
  resources: { cpus: 1, memMb: 1024, diskMb: 1024 },
  package: { uri: "file:///riak.tar.gz" },
  ports: {},
  constraints: [],
  datacenter: "dc1",
  env: {},
  settings: {},
};

function faults(change: Partial<ClusterSpec>): readonly string[] {
  return checkRiak({ ...SPEC, ...change }).map(faultText);
}

function conf(text: unknown): readonly string[] {
  return faults({ settings: { "riak.conf": text } });
}

function advanced(text: unknown): readonly string[] {
  return faults({ settings: { "advanced.config": text } });
}

test("versions 2.0 to 2.2, 2.9 and 3.0 to 3.2 are Riak's", () => {
  const versions = ["2.0.9", "2.2.3", "2.9.10", "3.0.16", "3.2.3", "3.2", "2.3.1", "3.3.0", "1.4.12"];
  expect(versions.map(lineOf)).toEqual(["2", "2", "2", "3", "3", undefined, undefined, undefined, undefined]);
  expect(faults({ version: "4.0.0" })).toEqual([
    'version: found "4.0.0", wanted a version 2.0.x to 2.2.x, 2.9.x or 3.0.x to 3.2.x, such as "3.2.3"',
  ]);
});

test("memory, environment and unknown settings are checked", () => {
  const env = { ERL_FLAGS: "+S 4", ERL_EPMD_PORT: "1", CODE_LOADING_MODE: "embedded", LEVELED_DEBUG: "1" };
  expect(faults({ resources: { ...SPEC.resources, memMb: 64 }, env, settings: { "riak.config": {} } })).toEqual([
    "resources.memMb: found 64, wanted at least 192 for Riak",
    'env.ERL_FLAGS: found a value, wanted none: it comes from the executor; settings."advanced.config" can have vm_args',
    "env.ERL_EPMD_PORT: found a value, wanted none: it comes from the node's ports",
    "env.CODE_LOADING_MODE: found a value, wanted none: it comes from the release that is made of the package",
    'settings.riak.config: found an unknown key, wanted "riak.conf" or "advanced.config"',
  ]);
});

describe("riak.conf", () => {
  test("is taken as a map or as a file's text, free-form", () => {
    const map = { ring_size: 16, storage_backend: "leveled", "multi_backend.a\\.b.storage_backend": "bitcask" };
    const text =
      "# ours\nring_size = 16\n\n storage_backend=leveled # as always\nmulti_backend.a\\.b.storage_backend = bitcask\n";
    expect([...conf(map), ...conf(text)]).toEqual([]);
    const pairs = [
      ["ring_size", "16"],
      ["storage_backend", "leveled"],
      ["multi_backend.a\\.b.storage_backend", "bitcask"],
    ] as const;
    expect(settingsOf({ "riak.conf": map }).conf).toEqual(pairs);
    expect(settingsOf({ "riak.conf": text }).conf).toEqual(pairs);
  });

  test("leaves what Ringmaster sets to Ringmaster, and tells where that comes from", () => {
    expect(
      conf({
        nodename: "a@b",
        "listener.http.other": "1.2.3.4:1",
        "handoff.ip": "0.0.0.0",
        "handoff.ssl.certfile": "/c",
      }),
    ).toEqual([
      'settings."riak.conf"."nodename": found "nodename", wanted no such key: Ringmaster sets it from the node\'s id and its agent',
      'settings."riak.conf"."listener.http.other": found "listener.http.other", wanted no such key: Ringmaster sets it from the agent\'s address and the node\'s ports "http" and "pb"',
      'settings."riak.conf"."handoff.ip": found "handoff.ip", wanted no such key: Ringmaster sets it from the agent\'s address',
    ]);
  });

  test("keeps data on the volume and logs in the sandbox", () => {
    const paths = {
      "bitcask.data_root": "/var/lib/riak",
      "multi_backend.a.leveldb.data_root": "$(platform_data_dir)/a",
      "leveled.data_root": "$(platform_data_dir)/../../etc",
      "log.console.file": "$(platform_log_dir)/other.log",
      tictacaae_dataroot: "./aae",
    };
    expect(conf(paths).map((fault) => fault.replace(/^.*conf"\./, ""))).toEqual([
      '"bitcask.data_root": found "/var/lib/riak", wanted a path that begins with $(platform_data_dir)/',
      '"leveled.data_root": found "$(platform_data_dir)/../../etc", wanted a path that begins with $(platform_data_dir)/',
      '"tictacaae_dataroot": found "./aae", wanted a path that begins with $(platform_data_dir)/',
    ]);
  });

  test("is told all its faults at once, by line where it is text", () => {
    expect(conf("ring_size = 12\nno value\nsearch = on\nring_size = 16\nbad key = 1\n")).toEqual([
      'settings."riak.conf" line 1: found 12, wanted a power of two from 8 to 1024',
      'settings."riak.conf" line 2: found "no value", wanted key = value, the key of letters, digits, _ and -, with dots between',
      'settings."riak.conf" line 3: found "on", wanted "off": Riak Search needs fixed ports of its own, which no node has',
      'settings."riak.conf" line 4: found a second value, wanted one',
      'settings."riak.conf" line 5: found "bad key", wanted key = value, the key of letters, digits, _ and -, with dots between',
    ]);
    expect(conf({ anti_entropy: true, a: "x # y", b: "x\ny" }).map((fault) => fault.replace(/^.*conf"\./, ""))).toEqual(
      [
        '"anti_entropy": found true, wanted text, such as "on" or "off", or a number',
        '"a": found "x # y", wanted one line of text without # and without blanks around it',
        '"b": found "x\\ny", wanted one line of text without # and without blanks around it',
      ],
    );
    expect(conf([1])).toEqual([
      'settings."riak.conf": found [1], wanted a map such as {"ring_size": 64}, or the file\'s text',
    ]);
  });
});

describe("advanced.config", () => {
  test("is any list of applications and settings", () => {
    const text = `%% A comment with [ in it.
[
  {riak_core, [{vnode_management_timer, 1000}, {'quoted atom', "a \\"string\\" {"}, {char, $]}]},
  {riak_kv, [{binary, <<"x", 1:8, "y"/utf8>>}, {map, #{a => 1.5e-3, "b" => [1|tail]}}, {based, -16#ff}]},
  {vm_args, [{'+P', 262144}]}
].
`;
    expect(advanced(text)).toEqual([]);
  });

  test("is told where its brackets do not match", () => {
    expect(advanced("[{riak_core, [\n  {a, 1}\n}].")).toEqual([
      'settings."advanced.config" line 3: found "}].", wanted "]" for the "[" of line 1, or a comma',
    ]);
    expect(advanced("[{a, []}]")).toEqual([
      'settings."advanced.config" line 1: found the end, wanted a dot after the last bracket',
    ]);
    expect(advanced('[{a, [{b, "x}]}].')).toEqual([
      'settings."advanced.config" line 1: found a " that is never closed, wanted another "',
    ]);
    expect(advanced("{a, []}.")).toEqual([
      'settings."advanced.config": found no list, wanted a list of applications: [{name, […]}, …].',
    ]);
    expect(advanced("[riak_core].")).toEqual([
      'settings."advanced.config": found "riak_core", wanted {application, [{setting, value}, …]}',
    ]);
    expect(advanced("[".repeat(300))[0]).toContain("wanted at most 200 brackets in brackets");
  });

  test("leaves what Ringmaster sets to Ringmaster", () => {
    const text = `[{riak_core, [{handoff_port, 8099}, {cluster_mgr, {"0.0.0.0", 9080}}, {ring_state_dir, "/r"}]},
      {kernel, [{inet_dist_listen_min, 1}]}, {bitcask, [{data_root, "/b"}]}, {kernel, []}].`;
    expect(advanced(text).map((fault) => fault.replace(/^.*config"\./, ""))).toEqual([
      'riak_core.handoff_port: found a value, wanted none: Ringmaster sets it from the node\'s port "handoff"',
      'riak_core.cluster_mgr: found a value, wanted none: Ringmaster sets it from the node\'s port "cluster_manager"',
      "riak_core.ring_state_dir: found a value, wanted none: Ringmaster sets it from the node's persistent volume; riak.conf can name folders of it",
      'kernel.inet_dist_listen_min: found a value, wanted none: Ringmaster sets it from the node\'s port "dist"',
      "bitcask.data_root: found a value, wanted none: Ringmaster sets it from the node's persistent volume; riak.conf can name folders of it",
      "kernel: found a second section, wanted one for each application",
    ]);
  });

  test("takes one more setting, wherever it has room", () => {
    expect(withSetting("[].", "riak_core", "{a, 1}")).toBe("[{riak_core, [{a, 1}]}\n ].");
    expect(withSetting("[{riak_kv, []}].", "riak_core", "{a, 1}")).toBe("[{riak_core, [{a, 1}]},\n {riak_kv, []}].");
    expect(withSetting("[\n {riak_core, [ {b, 2} ]}\n].", "riak_core", "{a, 1}")).toBe(
      "[\n {riak_core, [{a, 1},\n  {b, 2} ]}\n].",
    );
    expect(withSetting("[{riak_core, []}].", "riak_core", "{a, 1}")).toBe("[{riak_core, [{a, 1}\n ]}].");
  });
});
