// Command lines become requests, or texts for people with an exit code.
import { expect, test } from "bun:test";
import { Failure } from "./failure.ts";
import { readArguments } from "./program.ts";

function requestOf(line: string, env: Readonly<Record<string, string>> = {}) {
  const reading = readArguments(line.split(" "), env);
  if (reading.type === "text") throw new Error(`"${line}" gave a text: ${reading.out}${reading.err}`);
  return reading.request;
}

/** What is told about a wrong command line, which must end with 2 and print nothing on stdout. */
function mistakeOf(line: string): string {
  const reading = readArguments(line === "" ? [] : line.split(" "), {});
  if (reading.type === "request") throw new Error(`"${line}" was taken: ${JSON.stringify(reading.request)}`);
  expect({ out: reading.out, code: reading.code }).toEqual({ out: "", code: 2 });
  return reading.err;
}

function helpOf(line: string): string {
  const reading = readArguments(line.split(" "), {});
  if (reading.type === "request") throw new Error(`"${line}" gave a request`);
  expect({ err: reading.err, code: reading.code }).toEqual({ err: "", code: 0 });
  return reading.out;
}

const LOCAL = { url: "http://127.0.0.1:8080", json: false, program: "ringmaster" };

test("each command that looks at something asks for its route", () => {
  const shown = {
    "cluster list": ["clusters", "/api/v1/clusters"],
    "cluster info demo": ["cluster", "/api/v1/clusters/demo"],
    "cluster endpoints demo": ["endpoints", "/api/v1/clusters/demo/endpoints"],
    "node list demo": ["nodes", "/api/v1/clusters/demo/nodes"],
    "node info demo a/b": ["node", "/api/v1/clusters/demo/nodes/a%2Fb"],
    "node status demo r-demo-1": ["read", "/api/v1/clusters/demo/nodes/r-demo-1/reads/status"],
    "plan list": ["plans", "/api/v1/plans"],
    "plan list a&b": ["plans", "/api/v1/plans?cluster=a%26b"],
    "plan show demo-deploy-1": ["plan", "/api/v1/plans/demo-deploy-1"],
  };
  for (const [line, [view, path]] of Object.entries(shown)) {
    const request: unknown = requestOf(line);
    expect(request).toEqual({ ...LOCAL, task: { type: "show", view, path } });
  }
});

test("commands that wait have a limit, their own or the one given", () => {
  const tasks = [
    "plan show p --follow",
    "plan show p --timeout 1.5",
    "cluster wait-for-service demo",
    "cluster wait-for-service demo --timeout 10",
    "cluster destroy demo",
    "cluster destroy demo --yes --wait",
    "cluster destroy demo --timeout 60",
  ].map((line) => requestOf(line).task);
  expect(tasks).toEqual([
    { type: "follow", plan: "p", timeoutMs: 7_200_000 },
    { type: "follow", plan: "p", timeoutMs: 1500 },
    { type: "waitForService", cluster: "demo", timeoutMs: 1_800_000 },
    { type: "waitForService", cluster: "demo", timeoutMs: 10_000 },
    { type: "destroy", cluster: "demo", yes: false },
    { type: "destroy", cluster: "demo", yes: true, waitMs: 7_200_000 },
    { type: "destroy", cluster: "demo", yes: false, waitMs: 60_000 },
  ]);
});

test("cluster create hands on what was given, and nothing that was not", () => {
  expect(requestOf("cluster create demo --version 5.0.4 --package file:///c.tar.gz").task).toEqual({
    type: "create",
    flags: {
      name: "demo",
      version: "5.0.4",
      package: "file:///c.tar.gz",
      constraints: [],
      ports: {},
      env: {},
      sets: [],
    },
    settingFiles: { trees: [], texts: {} },
  });
  const all =
    "cluster create demo --file d.yaml --database cassandra --version 5.0.4 --package file:///c --nodes 5 --cpus 0.5 --mem 2048 --disk 4096 " +
    "--jre file:///j --constraint hostname:UNIQUE --constraint rack:GROUP_BY:3 --datacenter west --rack-attribute @zone --port native=9042 " +
    "--port storage=7000 --env A=1=2 --env B= --setting-file a.yaml --setting-file b.yaml --riak-conf r --advanced-config a --set a=1 --set b=2 --wait --timeout 5";
  expect(requestOf(all).task).toEqual({
    type: "create",
    flags: {
      name: "demo",
      database: "cassandra",
      version: "5.0.4",
      package: "file:///c",
      nodes: 5,
      cpus: 0.5,
      memMb: 2048,
      diskMb: 4096,
      jre: "file:///j",
      constraints: ["hostname:UNIQUE", "rack:GROUP_BY:3"],
      datacenter: "west",
      rackAttribute: "@zone",
      ports: { native: 9042, storage: 7000 },
      env: { A: "1=2", B: "" },
      sets: ["a=1", "b=2"],
    },
    file: "d.yaml",
    settingFiles: { trees: ["a.yaml", "b.yaml"], texts: { "riak.conf": "r", "advanced.config": "a" } },
    waitMs: 5000,
  });
});

test("--url and --json stand before or after the command, and --url wins over RINGMASTER_URL", () => {
  const list = { type: "show", view: "clusters", path: "/api/v1/clusters" } as const;
  const there = { url: "http://there:1/ring", json: true, program: "ringmaster --url http://there:1/ring", task: list };
  const env = { RINGMASTER_URL: "https://env:2/service/ringmaster/" };
  expect(requestOf("--url http://there:1/ring/ --json cluster list", env)).toEqual(there);
  expect(requestOf("cluster list --json --url http://there:1/ring", env)).toEqual(there);
  expect(requestOf("cluster list", env)).toEqual({ ...LOCAL, url: "https://env:2/service/ringmaster", task: list });
  expect(requestOf("cluster list", { RINGMASTER_URL: "" })).toEqual({ ...LOCAL, task: list });
});

test("a URL that is none is refused with its source", () => {
  const wanted = "wanted a URL such as http://127.0.0.1:8080";
  expect(() => requestOf("--url master:8080 cluster list")).toThrow(
    new Failure("usage", `Cannot read --url: found "master:8080", ${wanted}`),
  );
  expect(() => requestOf("cluster list", { RINGMASTER_URL: "nowhere" })).toThrow(
    new Failure("usage", `Cannot read RINGMASTER_URL: found "nowhere", ${wanted}`),
  );
});

test("a mistake is told with what was meant perhaps", () => {
  const hint = "Add --help to see what there is, with examples.\n";
  expect(mistakeOf("clutser list")).toBe(`ringmaster: Unknown command 'clutser'\n(Did you mean cluster?)\n${hint}`);
  expect(mistakeOf("cluster lst")).toBe(`ringmaster: Unknown command 'lst'\n(Did you mean list?)\n${hint}`);
  expect(mistakeOf("schedular")).toContain("(Did you mean scheduler?)");
  expect(mistakeOf("cluster list --jsn")).toBe(`ringmaster: Unknown option '--jsn'\n(Did you mean --json?)\n${hint}`);
  expect(mistakeOf("cluster info")).toBe(`ringmaster: Missing required argument 'name'\n${hint}`);
  expect(mistakeOf("cluster list demo")).toContain("Too many arguments");
  expect(mistakeOf("cluster create")).toContain("found no name, wanted one on the command line or in a --file");
});

test("a value that an option cannot take is told with what was wanted", () => {
  expect(mistakeOf("cluster create demo --nodes three")).toContain('Found "three", wanted a whole number.');
  expect(mistakeOf("cluster create demo --mem 1.5")).toContain('Found "1.5", wanted a whole number.');
  expect(mistakeOf("cluster create demo --cpus lots")).toContain('Found "lots", wanted a number such as 0.5.');
  expect(mistakeOf("cluster create demo --port 9042")).toContain('Found "9042", wanted NAME=PORT, e.g. native=9042.');
  expect(mistakeOf("cluster create demo --env PATH")).toContain('Found "PATH", wanted NAME=VALUE.');
  expect(mistakeOf("plan show p --timeout 0")).toContain('Found "0", wanted seconds, more than 0.');
  expect(mistakeOf("completion tcsh")).toContain("Allowed choices are bash, zsh, fish.");
});

test("without a command the help is on stderr", () => {
  expect(mistakeOf("")).toStartWith("Usage: ringmaster [options] [command]");
  expect(mistakeOf("cluster")).toStartWith("Usage: ringmaster cluster [options] [command]");
});

test("the root help shows commands, modes, exit codes and the environment", () => {
  const help = helpOf("--help");
  for (const word of ["cluster", "node", "plan", "completion", "Modes:", "scheduler", "executor", "cepmd", "director"])
    expect(help).toContain(word);
  expect(help).toContain("RINGMASTER_URL");
  for (const code of ["0  done", "1  the request", "2  the command line", "3  the scheduler", "4  the time"])
    expect(help).toContain(`\n  ${code}`);
});

test("every command has help with an example and the global options", () => {
  const cluster = "create list info endpoints wait-for-service update config config-advanced restart add-node destroy";
  const node =
    "list info wait-for-service status member-status ringready aae-status stats transfers restart stop start replace remove run " +
    "log/list log/tail bucket-type/list bucket-type/create bucket-type/update bucket-type/activate";
  const commands = [
    ...[
      "cluster",
      "node",
      "node log",
      "node bucket-type",
      "plan",
      "plan list",
      "plan show",
      "plan abort",
      "completion",
    ],
    ...cluster.split(" ").map((name) => `cluster ${name}`),
    ...node.split(" ").map((name) => `node ${name.replace("/", " ")}`),
  ];
  for (const command of commands) {
    const help = helpOf(`${command} --help`);
    expect(help).toStartWith(`Usage: ringmaster ${command}`);
    expect(help).toMatch(/\nExamples:\n {2}\$ /);
    expect(help).toContain("--json");
  }
});

test("cluster update hands on what was given, and wants something", () => {
  const flags = { constraints: [], env: {}, unsetEnv: [], sets: [] };
  const settingFiles = { trees: [], texts: {} };
  expect(requestOf("cluster update demo --version 5.0.5 --package file:///c --jre file:///j --wait").task).toEqual({
    type: "update",
    cluster: "demo",
    flags: { ...flags, version: "5.0.5", package: "file:///c", jre: "file:///j" },
    settingFiles,
    waitMs: 7_200_000,
  });
  expect(
    requestOf("cluster update kv --constraint a --constraint b --env A=1 --unset-env B --set x=1 --riak-conf f").task,
  ).toEqual({
    type: "update",
    cluster: "kv",
    flags: { constraints: ["a", "b"], env: { A: "1" }, unsetEnv: ["B"], sets: ["x=1"] },
    settingFiles: { ...settingFiles, texts: { "riak.conf": "f" } },
  });
  expect(mistakeOf("cluster update demo --wait")).toContain(
    'Nothing to change in cluster "demo": wanted an option that says what',
  );
});

test("the other commands that change a cluster or a plan are one request each", () => {
  const post = { type: "post", path: "/api/v1/clusters/a%26b/nodes" };
  const config = { cluster: "kv", setting: "riak.conf", path: "/api/v1/clusters/kv/config" };
  const advanced = { cluster: "kv", setting: "advanced.config", path: "/api/v1/clusters/kv/advancedConfig" };
  const tasks: Readonly<Record<string, object>> = {
    "cluster restart demo": {
      type: "post",
      path: "/api/v1/clusters/demo/restart",
      begun: 'Cluster "demo" is being restarted',
    },
    "cluster add-node a&b": { ...post, body: { count: 1 }, begun: 'Cluster "a&b" is being given 1 node more' },
    "cluster add-node a&b --nodes 2 --timeout 1": {
      ...post,
      body: { count: 2 },
      begun: 'Cluster "a&b" is being given 2 nodes more',
      waitMs: 1000,
    },
    "cluster config kv": { type: "readConfig", config },
    "cluster config kv --file r": { type: "writeConfig", config, file: "r" },
    "cluster config kv -d --wait": { type: "writeConfig", config, waitMs: 7_200_000 },
    "cluster config-advanced kv": { type: "readConfig", config: advanced },
    "cluster config-advanced kv --delete": { type: "writeConfig", config: advanced },
    "plan abort demo-deploy-1": { type: "abort", plan: "demo-deploy-1" },
  };
  for (const [line, task] of Object.entries(tasks)) expect(requestOf(line).task as object).toEqual(task);
  expect(mistakeOf("cluster config kv --file r -d")).toContain(
    "'--file <file>' cannot be used with option '-d, --delete'",
  );
  expect(mistakeOf("cluster config kv --wait")).toContain(
    "Nothing to wait for: wanted --file or --delete beside --wait",
  );
});

test("a mode that stands behind other words is not run", () => {
  expect(mistakeOf("--json scheduler --mesos m:5050")).toStartWith(
    'ringmaster: Cannot run mode "scheduler": found it after other words',
  );
});
