// cEPMD as the compiled binary, with real Erlang nodes and a real ZooKeeper: alone in epmd's place, and one an agent, where the
// agents are network namespaces with addresses of their own if the machine allows.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openStore } from "../../src/store/io/open.ts";
import { play, readRecording } from "./epmd/exchange.ts";
import { type EpmdModule, Erlang, type ErlangNode } from "./erlang.ts";
import { Lines } from "./lines.ts";
import { forward, type Place, Places } from "./places.ts";
import { BINARY, run, until } from "./ringmaster.ts";
import { startZookeeper, type Zookeeper } from "./zookeeper.ts";

setDefaultTimeout(60_000);
const AGENTS = 5;
const START_MS = 10_000;
/** As long as a session lasts, and the half of it again. */
const SILENT_MS = 15_000;
const erlang = Erlang.compile();

type Cepmd = { readonly port: number; readonly process: Bun.Subprocess; readonly lines: Lines };
const started: Bun.Subprocess[] = [];

async function startCepmd(flags: readonly string[], place?: Place): Promise<Cepmd> {
  const argv = [...(place?.under ?? []), BINARY, "cepmd", ...flags];
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  started.push(child);
  const lines = new Lines(child.stdout);
  const errors = new Lines(child.stderr);
  const line = await lines.next((text) => text.includes("cEPMD listens on"), START_MS);
  const port = Number(/ port (\d+)/.exec(line ?? "")?.[1]);
  if (line === undefined) throw new Error(`cEPMD did not start: ${[...lines.all, ...errors.all].join("\n")}`);
  return { port, process: child, lines };
}

async function stopAll(processes: readonly Bun.Subprocess[]): Promise<void> {
  for (const child of processes) child.kill("SIGKILL");
  await Promise.all(processes.map(async (child) => await child.exited));
}

async function epmd(port: number, ...args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["epmd", "-port", String(port), ...args], { stdout: "pipe", stderr: "pipe" });
  return (await new Response(child.stdout).text()).trim();
}

afterAll(async () => {
  await erlang.stop();
  await stopAll(started);
});

describe("alone", () => {
  let nodes: ErlangNode[] = [];
  afterEach(async () => {
    await Promise.all(nodes.map(async (node) => await node.kill()));
    nodes = [];
  });

  for (const recorded of readRecording()) {
    test(`answers as Debian's epmd does: ${recorded.name}`, async () => {
      const flags = recorded.relaxed ? ["--relaxed-command-check"] : [];
      const cepmd = await startCepmd(["--port", "0", "--address", "127.0.0.1", ...flags]);
      expect(await play(recorded, cepmd.port)).toEqual([...recorded.answers]);
    });
  }

  test("stands in for epmd: -names, names/0, ping/1, -kill", async () => {
    const cepmd = await startCepmd(["--port", "0"]);
    const both = ["one", "two"].map(
      async (name) => await erlang.start({ name: `${name}@127.0.0.1`, epmdPort: cepmd.port, module: "erlang's own" }),
    );
    nodes = await Promise.all(both);
    const [one, two] = nodes;
    expect(await one?.eval("net_adm:ping('two@127.0.0.1')")).toBe("pong");
    expect(await one?.eval("net_adm:ping('three@127.0.0.1')")).toBe("pang");
    const names = await one?.eval("begin {ok, Names} = net_adm:names(), lists:sort([N || {N, _} <- Names]) end");
    expect(names).toBe("[[111,110,101],[116,119,111]]");
    const listed = await epmd(cepmd.port, "-names");
    expect(listed.replace(/\d+/g, "N").split("\n").sort()).toEqual([
      "epmd: up and running on port N with data:",
      "name one at port N",
      "name two at port N",
    ]);
    expect(await epmd(cepmd.port, "-kill")).toBe("Killing not allowed - living nodes in database.");
    expect(await two?.eval("net_kernel:stop()")).toContain("error");
    await one?.kill();
    await two?.kill();
    await until("no name is left", START_MS, async () => !(await epmd(cepmd.port, "-names")).includes("name "));
    expect(await epmd(cepmd.port, "-kill")).toBe("Killed");
    expect(await cepmd.process.exited).toBe(0);
  });

  test("takes nodes whose erl_epmd is replaced, and those that are given our module", async () => {
    const cepmd = await startCepmd(["--port", "0"]);
    const start = async (name: string, module: "flag" | "replaced"): Promise<ErlangNode> =>
      await erlang.start({ name: `${name}@127.0.0.1`, epmdPort: cepmd.port, module });
    nodes = await Promise.all([start("old", "replaced"), start("new", "flag")]);
    const [old, young] = nodes;
    expect(await old?.eval("net_adm:ping('new@127.0.0.1')")).toBe("pong");
    expect(await young?.eval("nodes()")).toBe("['old@127.0.0.1']");
    expect(await old?.eval("erl_epmd:module_info(exports) =:= erl_epmd:module_info(exports)")).toBe("true");
    for (const node of nodes) expect(await node.eval("length(element(2, net_adm:names()))")).toBe("2");
  });

  test("says clearly why it cannot run", async () => {
    const cepmd = await startCepmd(["--port", "0", "--address", "127.0.0.1"]);
    const refusals = [
      [
        ["--port", String(cepmd.port), "--address", "127.0.0.1"],
        "found EADDRINUSE, wanted an own address and a free port",
      ],
      [["--port", "70000"], 'Cannot use --port: found "70000", wanted a number from 0 to 65535'],
      [["--address", "agent-1"], 'Cannot use --address: found "agent-1", wanted IP addresses with commas between'],
      [["--prot", "1"], 'found "--prot", which is no option; see ringmaster cepmd --help'],
      [["--port"], "found --port at the end, wanted a value after it"],
      [["--host", "agent-1"], "Cannot use --host: found no --store, wanted both"],
      [["--store", "zookeeper:1"], 'Cannot use store "zookeeper:1"'],
      [["--store", "zk://127.0.0.1:1", "--framework", "No"], 'Cannot use --framework: found "No"'],
      [["--store", "zk://127.0.0.1:1", "--host", "a b"], 'Cannot use --host: found "a b"'],
    ] as const;
    for (const [flags, text] of refusals) {
      const { code, out, err } = await run("cepmd", ...flags);
      expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 1, out: "", lines: 1 });
      expect(err).toContain(text);
    }
  });
});

describe("one an agent, through ZooKeeper", () => {
  let places: Places;
  let zookeeper: Zookeeper;
  let endForward = (): void => undefined;
  const cepmds: Cepmd[] = [];
  const nodes: ErlangNode[] = [];

  const place = (at: number): Place => {
    const found = places.list[at];
    if (found === undefined) throw new Error(`there is no place ${at}`);
    return found;
  };
  const cepmdAt = (at: number): Cepmd => {
    const found = cepmds[at];
    if (found === undefined) throw new Error(`there is no cEPMD ${at}`);
    return found;
  };
  const nodeAt = (at: number): ErlangNode => {
    const found = nodes[at];
    if (found === undefined) throw new Error(`there is no node ${at}`);
    return found;
  };
  /** No resolver knows these hosts: the addresses come from cEPMD. */
  const nodeName = (at: number): string => `demo-${at}@agent-${at}.test`;

  async function startAgent(at: number, port = 0): Promise<void> {
    const { address } = place(at);
    const store = `${zookeeper.url().replace("127.0.0.1", places.outside)}/cepmd-test`;
    const flags = ["--address", places.apart ? "127.0.0.1" : address, "--port", String(port)];
    const shared = ["--store", store, "--framework", "demo", "--host", address];
    const cepmd = await startCepmd([...flags, ...shared], place(at));
    cepmds[at] = cepmd;
    expect(await cepmd.lines.next((line) => line.includes("The store is connected"), START_MS)).toBeDefined();
  }

  async function startNode(at: number, name = nodeName(at), module: EpmdModule = "flag"): Promise<ErlangNode> {
    const { address, under } = place(at);
    const listens = ["-kernel", "inet_dist_use_interface", `{${address.replaceAll(".", ",")}}`];
    return await erlang.start({
      name,
      module,
      under,
      epmdPort: cepmdAt(at).port,
      epmdAddress: places.apart ? "127.0.0.1" : address,
      flags: places.apart ? [] : listens,
    });
  }

  /** What an EPMD answers a client at a place until it closes the connection: sent and read as characters U+0000 to U+00FF. */
  async function ask(at: number, address: string, port: number, body: string): Promise<string> {
    const request = `${String.fromCharCode(body.length >>> 8, body.length & 0xff)}${body}`;
    const script = `
      const { promise, resolve } = Promise.withResolvers();
      let text = "";
      const data = (_, bytes) => { text += bytes.toString("latin1"); };
      const socket = { data, close: () => resolve(text) };
      const client = await Bun.connect({ hostname: "${address}", port: ${port}, socket });
      client.write(Buffer.from(${JSON.stringify(request)}, "latin1"));
      console.log(JSON.stringify(await promise));`;
    const argv = [...place(at).under, process.execPath, "-e", script];
    const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    return String(JSON.parse(await new Response(child.stdout).text()));
  }

  /** What an agent's own cEPMD says of a name: "noport", or the port. */
  async function seenAt(at: number, name: string): Promise<string> {
    const address = places.apart ? "127.0.0.1" : place(at).address;
    const answer = await ask(at, address, cepmdAt(at).port, `z${name.replace(/@.*/, "")}`);
    return answer.startsWith("w\0") ? String(answer.charCodeAt(2) * 256 + answer.charCodeAt(3)) : "noport";
  }

  async function everywhere(name: string, wanted: (port: string) => boolean, what: string): Promise<void> {
    await until(`"${name}" is ${what} everywhere`, 30_000, async () => {
      const seen = await Promise.all(cepmds.map(async (_, at) => await seenAt(at, name)));
      return seen.every(wanted);
    });
  }
  const isThere = (port: string): boolean => /^\d+$/.test(port);
  const isGone = (port: string): boolean => port === "noport";

  async function pings(from: number): Promise<readonly string[]> {
    const others = nodes.keys().filter((at) => at !== from);
    return await Promise.all([...others].map(async (at) => await nodeAt(from).eval(`net_adm:ping('${nodeName(at)}')`)));
  }
  async function expectAllTalk(): Promise<void> {
    for (const at of nodes.keys()) {
      expect(await pings(at)).toEqual(Array.from({ length: nodes.length - 1 }, () => "pong"));
      expect(await nodeAt(at).eval("length(nodes())")).toBe(String(nodes.length - 1));
    }
  }

  beforeAll(async () => {
    places = new Places(AGENTS);
    console.log(places.apart ? "agents are network namespaces" : "agents are loopback addresses");
    zookeeper = await startZookeeper();
    if (places.apart) endForward = forward(places.outside, zookeeper.port);
  });
  afterAll(async () => {
    await Promise.all(nodes.map(async (node) => await node.kill()));
    await stopAll(cepmds.map((cepmd) => cepmd.process));
    endForward();
    await zookeeper.stop();
    places.remove();
  });

  test("two nodes find and ping each other, then five", async () => {
    for (const count of [2, AGENTS]) {
      for (let at = nodes.length; at < count; at += 1) {
        await startAgent(at);
        nodes.push(await startNode(at, nodeName(at), at === 3 ? "replaced" : "flag"));
        await everywhere(nodeName(at), isThere, "known");
      }
      await expectAllTalk();
    }
  });

  test("a second node of a name is refused on another agent", async () => {
    // Our own module tries for some time; Erlang's own calls on 127.0.0.1 only.
    const module = places.apart ? "erlang's own" : "flag";
    const refused: unknown = await startNode(1, "demo-0@agent-1.test", module).catch((error: unknown) => error);
    expect(String(refused)).toContain("seems to be in use by another Erlang node");
    expect(await seenAt(1, nodeName(0))).toBe(await seenAt(0, nodeName(0)));
  });

  test("a client of another machine may look names up, and no more", async () => {
    if (!places.apart) return;
    const { address } = place(0);
    const cepmd = await startCepmd(["--port", "0", "--address", address], place(0));
    const alive = "x\u0004\u00d2M\0\0\u0006\0\u0005\0\u0004demo\0\0";
    const answers = async (at: number): Promise<readonly string[]> => {
      const all: string[] = [];
      for (const body of ["zdemo", "n", "d", "s", "k"]) all.push(await ask(at, address, cepmd.port, body));
      return all;
    };
    const port = String.fromCharCode(0, 0, cepmd.port >>> 8, cepmd.port & 0xff);
    expect([await ask(1, address, cepmd.port, alive), ...(await answers(1))]).toEqual([
      "",
      "w\u0001",
      port,
      "",
      "",
      "",
    ]);
    expect(await answers(0)).toEqual(["w\u0001", port, port, "", "OK"]);
    expect(await cepmd.process.exited).toBe(0);
  });

  test("a killed node's name disappears, and a restarted one gets a new creation", async () => {
    const before = await nodeAt(2).eval("erlang:system_info(creation)");
    await nodeAt(2).kill();
    await everywhere(nodeName(2), isGone, "gone");
    expect(await nodeAt(0).eval(`net_adm:ping('${nodeName(2)}')`)).toBe("pang");
    nodes[2] = await startNode(2);
    expect(await nodeAt(2).eval("erlang:system_info(creation)")).not.toBe(before);
    await everywhere(nodeName(2), isThere, "known");
    await expectAllTalk();
  });

  test("a node moves to another agent", async () => {
    await nodeAt(4).kill();
    await everywhere(nodeName(4), isGone, "gone");
    nodes[4] = await startNode(3, nodeName(4));
    await everywhere(nodeName(4), isThere, "known");
    await expectAllTalk();
  });

  test("a killed cEPMD's nodes talk on, keep their creation, and register with the next one by themselves", async () => {
    const { port, process: child } = cepmdAt(1);
    const creation = await nodeAt(1).eval("erlang:system_info(creation)");
    await stopAll([child]);
    expect(await pings(1)).toEqual(["pong", "pong", "pong", "pong"]);
    await startAgent(1, port);
    const again = await until("the node has registered again", START_MS, async () => {
      const names = await nodeAt(1).eval("length(element(2, net_adm:names()))");
      return names === "1" ? await nodeAt(1).eval("erlang:system_info(creation)") : undefined;
    });
    expect(again).toBe(creation);
    const store = await openStore(zookeeper.url("/cepmd-test"), { root: "/ringmaster/demo" });
    const record = await store.read("epmd/demo-1");
    await store.close();
    expect(record?.value).toMatchObject({
      schema: 1,
      name: "demo-1",
      host: place(1).address,
      creation: Number(creation),
    });
    // The connection is made anew, so that the name is looked up.
    expect(await nodeAt(0).eval(`erlang:disconnect_node('${nodeName(1)}')`)).toBe("true");
    await expectAllTalk();
  });

  test("nodes talk and start while ZooKeeper is dead, and all names are back by themselves with it", async () => {
    await zookeeper.kill();
    await expectAllTalk();
    const late = await startNode(0, "late@agent-0.test");
    expect(await late.eval(`net_adm:ping('${nodeName(0)}')`)).toBe("pong");
    // The last known list is kept.
    expect(await late.eval(`net_adm:ping('${nodeName(4)}')`)).toBe("pong");
    await zookeeper.start();
    await everywhere("late", isThere, "known");
    for (const at of nodes.keys()) await everywhere(nodeName(at), isThere, "known");
    await late.kill();
    await everywhere("late", isGone, "gone");
    await expectAllTalk();
  });

  test("the same when ZooKeeper is frozen for longer than the session", async () => {
    await zookeeper.freeze();
    const frozenMs = performance.now();
    await expectAllTalk();
    const late = await startNode(1, "late@agent-1.test");
    expect(await late.eval(`net_adm:ping('${nodeName(3)}')`)).toBe("pong");
    await nodeAt(0).kill();
    await Bun.sleep(SILENT_MS - (performance.now() - frozenMs));
    for (const cepmd of cepmds)
      expect(await cepmd.lines.next((line) => line.includes("The store is lost"), START_MS)).toBeDefined();
    expect(await late.eval("length(nodes())")).toBe(String(AGENTS - 1));
    zookeeper.thaw();
    for (const cepmd of cepmds)
      expect(await cepmd.lines.next((line) => line.includes("The store is connected"), START_MS)).toBeDefined();
    // What ended meanwhile is gone, what began is there, and the rest is where it was.
    await everywhere(nodeName(0), isGone, "gone");
    await everywhere("late", isThere, "known");
    nodes[0] = await startNode(0);
    for (const at of nodes.keys()) await everywhere(nodeName(at), isThere, "known");
    await late.kill();
    await everywhere("late", isGone, "gone");
    await expectAllTalk();
  });
});
