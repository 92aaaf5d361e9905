// Where masters are: the spellings that operators use, what ZooKeeper holds and where redirects lead.
import { describe, expect, test } from "bun:test";
import { apiBase, atLeast, leaderNode, masterUrl, parseMasters, redirectBase, versionUrl } from "./leader.ts";

describe("masters as an operator writes them", () => {
  test("can be ZooKeeper servers and a path", () => {
    expect(parseMasters("zk://z1:2181,z2:2181/mesos")).toEqual({
      type: "zookeeper",
      servers: "z1:2181,z2:2181",
      path: "/mesos",
    });
    expect(parseMasters("zk://10.0.0.1/prod/mesos/")).toEqual({
      type: "zookeeper",
      servers: "10.0.0.1",
      path: "/prod/mesos",
    });
    expect(parseMasters("zk://z1:2181")).toEqual({ type: "zookeeper", servers: "z1:2181", path: "/" });
    expect(parseMasters("zk://me:secret@z1:2181/mesos")).toEqual({
      type: "zookeeper",
      servers: "z1:2181",
      path: "/mesos",
      digest: "me:secret",
    });
  });

  test("can be URLs, with or without a scheme and a path", () => {
    const bases = (text: string): readonly string[] => {
      const masters = parseMasters(text);
      return masters.type === "urls" ? masters.urls.map(apiBase) : [];
    };
    expect(bases("http://m1:5050, m2:5050/master,https://m3/mesos/")).toEqual([
      "http://m1:5050/master",
      "http://m2:5050/master",
      "https://m3/mesos",
    ]);
    expect(bases("[::1]:5050")).toEqual(["http://[::1]:5050/master"]);
  });

  test.each([
    ["", 'found ""'],
    ["m1:5050,,m2:5050", 'found "" in "m1:5050,,m2:5050"'],
    ["ftp://m1:5050", 'found "ftp://m1:5050", wanted "zk://'],
    ["http://m1:99999", 'found "http://m1:99999"'],
    ["http://m1:5050?x=1", 'found "http://m1:5050?x=1"'],
    ["http://me:secret@m1:5050", 'found a password in "http://***@m1:5050"'],
    ["zk:///mesos", 'found "zk:///mesos", wanted "zk://[user:password@]host:port,.../path"'],
    ["zk://[::1]:2181/mesos", "with names or IPv4 addresses"],
    ["zk://me:secret@z1:x/mesos", 'found "zk://***@z1:x/mesos"'],
  ])("are refused as %p", (text, message) => {
    expect(() => parseMasters(text)).toThrow(message);
  });
});

test("The leader's node is the one with the lowest sequence number", () => {
  expect(leaderNode(["json.info_0000000010", "log_replicas", "json.info_0000000009", "info_0000000001"])).toBe(
    "json.info_0000000009",
  );
  expect(leaderNode(["log_replicas"])).toBeUndefined();
});

test("A leader's address is read from its MasterInfo", () => {
  expect(masterUrl('{"address":{"hostname":"m1","ip":"10.0.0.1","port":5050},"ip":16777226,"port":1}').href).toBe(
    "http://10.0.0.1:5050/",
  );
  expect(masterUrl('{"address":{"ip":"fd00::1","port":5050}}').href).toBe("http://[fd00::1]:5050/");
  for (const json of [
    "",
    "null",
    "{}",
    '{"address":{"ip":"10.0.0.1"}}',
    '{"address":{"ip":"not an ip","port":1}}',
    "\u0000\u0001",
  ])
    expect(() => masterUrl(json)).toThrow("Cannot read the leading master's address: found");
});

test("The version is told beside /master, and below any other path", () => {
  expect(["http://m:5050/master", "https://m/mesos", "http://m/mesos/master"].map(versionUrl)).toEqual([
    "http://m:5050/version",
    "https://m/mesos/version",
    "http://m/mesos/version",
  ]);
});

test("A redirect leads to another API base", () => {
  const from = "http://m1:5050/master/api/v1/scheduler";
  const to = (location: string): string => redirectBase(location, from, "/api/v1/scheduler");
  expect(
    [
      "//m2:5050",
      "//m2:5050/master/api/v1/scheduler",
      "https://m2/mesos/api/v1/scheduler/",
      "http://m2:5050/mesos",
      "/other/api/v1/scheduler",
    ].map(to),
  ).toEqual([
    "http://m2:5050/master",
    "http://m2:5050/master",
    "https://m2/mesos",
    "http://m2:5050/mesos",
    "http://m1:5050/other",
  ]);
  expect(() => to("http://m2:x")).toThrow(
    'Cannot follow the redirect of "http://m1:5050/master/api/v1/scheduler": found Location "http://m2:x"',
  );
});

test("Versions are compared by number", () => {
  expect(
    ["1.5.0", "1.11.0", "2.0", "1.5.0-rc1", "1.4.9", "0.28.3", "1", "new"].map((version) => atLeast(version, "1.5.0")),
  ).toEqual([true, true, true, true, false, false, undefined, undefined]);
});
