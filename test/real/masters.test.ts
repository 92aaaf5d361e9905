// How our scheduler connection finds the leading master and what it says of those it cannot use, on a real Mesos that asks
// frameworks for credentials.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import zookeeper from "node-zookeeper-client";
import { createVolume, reserve } from "../../src/mesos/operations.ts";
import { take } from "../../src/mesos/resources.ts";
import { NODE, SOON_SECONDS, startFramework } from "./mesos/framework.ts";
import { type Mesos, startMesos } from "./mesos/mesos.ts";
import { startZookeeper } from "./zookeeper.ts";

const CREDENTIAL = { principal: "ringmaster", secret: "correct horse" };

let mesos: Mesos;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "masters-test-"));
  const credentials = join(directory, "credentials.json");
  await Bun.write(credentials, JSON.stringify({ credentials: [CREDENTIAL] }));
  const env = {
    MESOS_AUTHENTICATE_HTTP_FRAMEWORKS: "true",
    MESOS_HTTP_FRAMEWORK_AUTHENTICATORS: "basic",
    MESOS_CREDENTIALS: credentials,
    MESOS_AUTHENTICATE_AGENTS: "false",
  };
  mesos = await startMesos({ agents: 1, env });
}, 120_000);

afterAll(async () => {
  await mesos.stop();
  await rm(directory, { recursive: true });
}, 30_000);

describe("with a credential", () => {
  test("the right one subscribes, and reserves under its principal", async () => {
    await using framework = startFramework(mesos.url, { role: "right", credential: CREDENTIAL });
    const offer = await framework.offer();
    const cut = take(offer.resources, "unreserved", NODE);
    const { principal } = CREDENTIAL;
    const reservation = reserve(cut?.taken ?? [], { role: "right", principal, labels: { node: "node-1" } });
    const disk = reservation.resources.find(({ name }) => name === "disk");
    if (disk === undefined) throw new Error("The node has no disk");
    const created = createVolume(disk, { id: "volume-1", principal, containerPath: "data" });
    const operations = [reservation.operation, created.operation];
    framework.send({ type: "accept", offerIds: [offer.id], operations, refuseSeconds: SOON_SECONDS });
    const { resources } = await framework.offer(({ resources }) =>
      resources.some(({ volume }) => volume !== undefined),
    );
    expect(resources.find(({ volume }) => volume !== undefined)).toEqual(created.volume);
    framework.send({ type: "teardown" });
  });

  test("a wrong secret is refused for good, and the error names the principal", async () => {
    await using framework = startFramework(mesos.url, {
      role: "wrong",
      credential: { ...CREDENTIAL, secret: "wrong" },
    });
    const error = await framework.ended;
    expect(error?.message).toBe(
      `Cannot subscribe: master "${mesos.url}/master/api/v1/scheduler" refused principal "ringmaster" (401 Unauthorized.)`,
    );
    expect(framework.state()).toEqual({ type: "ended", reason: error?.message ?? "" });
  });

  test("none at all is refused for good", async () => {
    await using framework = startFramework(mesos.url, { role: "none" });
    expect((await framework.ended)?.message).toContain("refused us without a principal (401");
  });
});

/** A stand-in for a master that cannot be had here: of another version, or one that does not lead. */
function standIn(version: string, location?: (url: URL) => string): Bun.Server<undefined> {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const url = new URL(request.url);
      if (url.pathname === "/version") return Response.json({ version });
      return location === undefined
        ? new Response("No such thing", { status: 404 })
        : new Response(null, { status: 307, headers: { location: location(url) } });
    },
  });
}

describe("the leading master", () => {
  test("is followed to by redirects, and its path is kept", async () => {
    await using last = standIn("1.11.0", (url) => `//127.0.0.1:${mesos.port}${url.pathname}`);
    await using first = standIn("1.11.0", () => `http://127.0.0.1:${last.port}/master/api/v1/scheduler`);
    await using framework = startFramework(`127.0.0.1:${first.port}`, { role: "redirected", credential: CREDENTIAL });
    await framework.next("subscribed");
    expect(framework.state()).toEqual({ type: "subscribed", master: `${mesos.url}/master` });
    framework.send({ type: "teardown" });
    await framework.next("disconnected");
  });

  test("is not sought in a circle", async () => {
    await using circle = standIn("1.11.0", (url) => url.pathname);
    await using framework = startFramework(`127.0.0.1:${circle.port}`, { role: "circle", firstSubscriptionMs: 100 });
    expect((await framework.ended)?.message).toBe(
      `Cannot subscribe with Mesos within 100 ms: Cannot subscribe at "http://127.0.0.1:${circle.port}/master": more than 5 redirects`,
    );
  });

  test("is found in a list whose first master is down", async () => {
    const down = standIn("1.11.0");
    await down.stop(true);
    const masters = `127.0.0.1:${down.port},${mesos.url}/master`;
    await using framework = startFramework(masters, { role: "list", credential: CREDENTIAL });
    await framework.next("subscribed");
    expect(framework.state()).toEqual({ type: "subscribed", master: `${mesos.url}/master` });
    framework.send({ type: "teardown" });
  });

  test("is refused when it is too old", async () => {
    await using old = standIn("1.4.0");
    await using framework = startFramework(`127.0.0.1:${old.port}`, { role: "old" });
    expect((await framework.ended)?.message).toBe(
      `Cannot subscribe: found Mesos 1.4.0 at "http://127.0.0.1:${old.port}/master", wanted 1.5.0 or later`,
    );
  });

  test("is named when it cannot be reached", async () => {
    const down = standIn("1.11.0");
    await down.stop(true);
    const masters = `127.0.0.1:${down.port}`;
    await using framework = startFramework(masters, { role: "down", firstSubscriptionMs: 100 });
    expect((await framework.ended)?.message).toBe(
      `Cannot subscribe with Mesos within 100 ms: Cannot reach a Mesos master at "http://${masters}/master": ECONNREFUSED`,
    );
  });

  test("is told from another web server", async () => {
    await using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("Hello") });
    const masters = `127.0.0.1:${other.port}`;
    await using framework = startFramework(masters, { role: "other", firstSubscriptionMs: 100 });
    expect((await framework.ended)?.message).toContain(
      `Cannot find a Mesos master at "http://${masters}/master": "http://${masters}/version" answered 200, wanted {"version":...}`,
    );
  });
});

describe("ZooKeeper", () => {
  test("names the leading master: its node has the lowest sequence number, and is read with a digest", async () => {
    const server = await startZookeeper();
    const down = standIn("1.11.0");
    await down.stop(true);
    const acl = [new zookeeper.ACL(zookeeper.Permission.ALL, new zookeeper.Id("auth", ""))];
    const info = (port: number): Buffer =>
      Buffer.from(
        JSON.stringify({
          address: { hostname: "localhost", ip: "127.0.0.1", port },
          id: "a",
          ip: 16777343,
          port,
          version: "1.11.0",
        }),
      );
    const client = zookeeper.createClient(`127.0.0.1:${server.port}`);
    client.addAuthInfo("digest", Buffer.from("mesos:secret"));
    const create = async (path: string, data: Buffer = Buffer.from("")): Promise<void> => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const done = (error: Error | zookeeper.Exception | null): void =>
        error === null ? resolve() : reject(new Error(error.toString()));
      client.create(path, data, acl, zookeeper.CreateMode.PERSISTENT, done);
      await promise;
    };
    try {
      const connected = new Promise<void>((resolve) => client.once("connected", resolve));
      client.connect();
      await connected;
      await create("/mesos");
      const nobody = startFramework(`zk://mesos:secret@127.0.0.1:${server.port}/mesos`, {
        role: "nobody",
        firstSubscriptionMs: 100,
      });
      expect((await nobody.ended)?.message).toBe(
        `Cannot subscribe with Mesos within 100 ms: Cannot find the leading master in "/mesos" of ZooKeeper "127.0.0.1:${server.port}": there is no json.info_*, so no master leads`,
      );
      await create("/mesos/log_replicas");
      await create("/mesos/json.info_0000000010", info(down.port ?? 0));
      await create("/mesos/json.info_0000000009", info(mesos.port));
      await using framework = startFramework(`zk://mesos:secret@127.0.0.1:${server.port}/mesos`, {
        role: "zk",
        credential: CREDENTIAL,
      });
      await framework.next("subscribed");
      expect(framework.state()).toEqual({ type: "subscribed", master: `${mesos.url}/master` });
      framework.send({ type: "teardown" });
      await framework.next("disconnected");

      const stranger = startFramework(`zk://127.0.0.1:${server.port}/mesos`, {
        role: "stranger",
        firstSubscriptionMs: 100,
      });
      expect((await stranger.ended)?.message).toContain("NO_AUTH");
    } finally {
      client.close();
      await server.stop();
    }
    const away = startFramework(`zk://127.0.0.1:${server.port}/mesos`, { role: "away", firstSubscriptionMs: 100 });
    expect((await away.ended)?.message).toContain("no answer within 10000 ms");
  }, 60_000);
});
