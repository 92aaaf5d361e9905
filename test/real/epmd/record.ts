// `bun test/real/epmd/record.ts`: writes down what Debian's epmd answers to every request, good and malformed, as
// exchange.json beside this file.
import { type Exchange, play, type Recorded, RECORDING, type Step } from "./exchange.ts";

const START_MS = 5000;

function u16(value: number): string {
  return String.fromCharCode(value >>> 8, value & 0xff);
}

function frame(body: string): string {
  return u16(body.length) + body;
}

function utf8(text: string): string {
  return Buffer.from(text).toString("latin1");
}

type Alive = {
  readonly port?: number;
  readonly type?: number;
  readonly protocol?: number;
  readonly highest?: number;
  readonly lowest?: number;
  readonly extra?: string;
  /** What the request says of its lengths, where that is not true. */
  readonly nameLength?: number;
  readonly extraLength?: number;
  readonly tail?: string;
};

function alive(name: string, options: Alive = {}): string {
  const { port = 1234, type = 77, protocol = 0, highest = 6, lowest = 5, extra = "", tail = "" } = options;
  const { nameLength = name.length, extraLength = extra.length } = options;
  const head = `x${u16(port)}${String.fromCharCode(type, protocol)}${u16(highest)}${u16(lowest)}`;
  return frame(`${head}${u16(nameLength)}${name}${u16(extraLength)}${extra}${tail}`);
}

const ask = (on: string, ...send: readonly string[]): Step => ({ on, send });
const names = (on: string): Step => ask(on, frame("n"));
const dump = (on: string): Step => ask(on, frame("d"));
const port = (on: string, name: string): Step => ask(on, frame(`z${name}`));

/** Each step of these goes over a connection of its own. */
function alone(name: string, sends: readonly (readonly string[])[], relaxed = false): Exchange {
  return { name, relaxed, steps: sends.map((send, at) => ({ on: `c${at}`, send })) };
}

const EXCHANGES: readonly Exchange[] = [
  { name: "nothing registered", relaxed: false, steps: [names("1"), dump("2"), port("3", "a"), ask("4", frame("k"))] },
  {
    name: "the answer's form goes by the highest version",
    relaxed: false,
    steps: [0, 4, 5, 6, 7, 65_535].map((highest) => ask(`v${highest}`, alive(`v${highest}`, { highest }))),
  },
  {
    name: "a node from its start to its end",
    relaxed: false,
    steps: [
      ask("node", alive("demo", { port: 40_000, type: 72, protocol: 9, highest: 6, lowest: 5, extra: "\0\xff~" })),
      port("1", "demo"),
      names("2"),
      dump("3"),
      ask("other", alive("demo", { port: 1 })),
      ask("old", alive("demo", { port: 1, highest: 5 })),
      ask("4", frame("k")),
      { on: "node", send: [], end: true },
      port("5", "demo"),
      names("6"),
      dump("7"),
      ask("again", alive("demo", { port: 40_001 })),
      dump("8"),
      { on: "again", send: [], end: true },
      ask("other", "more"),
      ask("9", frame("k")),
    ],
  },
  {
    name: "several nodes, the latest first, the former ones oldest first",
    relaxed: false,
    steps: [
      ...["a", "b", "c", "d"].map((name) => ask(name, alive(name, { port: 1000 + name.charCodeAt(0) }))),
      { on: "b", send: [], end: true },
      { on: "a", send: [], end: true },
      names("1"),
      dump("2"),
      ask("b2", alive("b")),
      dump("3"),
    ],
  },
  {
    name: "a word too much ends the registration",
    relaxed: false,
    steps: [
      ask("node", alive("demo")),
      ask("node", "x"),
      port("1", "demo"),
      ask("both", `${alive("two")}x`),
      port("2", "two"),
    ],
  },
  {
    name: "requests in pieces",
    relaxed: false,
    steps: [
      ask("1", "\0", "\u0001", "n"),
      ask("2", "\0\u0001", "n"),
      ask("3", ...alive("demo").split("")),
      ask("4", "\0\u0004z", "dem"),
      ask("5", "\0\u0005z", "demo"),
      ask("6", "\0\u0001", "nn"),
      ask("7", "\0\u0005", "zdemo more"),
      { on: "8", send: ["\0"], end: true },
      { on: "9", send: ["\0\u0005zde"], end: true },
    ],
  },
  alone("lengths", [
    ["\0\0"],
    ["\0\0n"],
    ["\u000b\u00f1"],
    ["\u000b\u00f2"],
    ["\u000b\u00f3"],
    ["\xff\xff"],
    ["\0\u0001nn"],
    [frame("n") + frame("n")],
    [frame(`n${"x".repeat(3056)}`)],
    [frame(`n${"x".repeat(3057)}`)],
    [frame("nabc")],
    [frame("dabc")],
    ["\0\u0002n"],
  ]),
  alone("unknown requests", [
    ...["\0", "a", "p", "q", "u", "v", "w", "y", "N", "\xff"].map((tag) => [frame(tag)]),
    [frame("a\0\u0001demo")],
    [frame("GET / HTTP/1.1\r\n\r\n")],
    ["GET / HTTP/1.1\r\n\r\n"],
  ]),
  alone("malformed registrations", [
    [frame("x")],
    [frame("x\0\0M\0\0\u0006\0\u0005\0\0\0\0")],
    [alive("", { tail: "z" })],
    [alive("", { extra: "z" })],
    [alive("abc", { nameLength: 9 })],
    [alive("abc", { nameLength: 65_535 })],
    [alive("abc", { nameLength: 2 })],
    [alive("abc", { extraLength: 1 })],
    [alive("abc", { extraLength: 65_535 })],
    [alive("abd", { tail: "surplus" })],
    [alive("a\0b")],
    [alive("\0")],
    [alive("\xc0\x80")],
    [alive("\xff")],
    [alive("a\xc3")],
    [alive("\xed\xa0\x80")],
    [alive("\xf4\x90\x80\x80")],
    [alive("\xff", { highest: 5 })],
    [alive("p0", { port: 0 })],
    [alive("lh", { highest: 5, lowest: 6 })],
    [frame("n")],
  ]),
  alone("names", [
    [alive(utf8("é✓😀"))],
    [frame(utf8("zé✓😀"))],
    [alive(utf8("\ufeffbom"))],
    [frame(utf8("z\ufeffbom"))],
    [alive("a b\n<at> at port 1")],
    [frame("za b\n<at> at port 1")],
    [alive("x@y")],
    [frame("zx@y")],
    [alive("A")],
    [frame("za")],
    [frame("n")],
    [frame("d")],
  ]),
  alone("long names and extra bytes", [
    [alive("y".repeat(254))],
    [frame(`z${"y".repeat(254)}`)],
    [alive("y".repeat(255))],
    [frame(`z${"y".repeat(255)}`)],
    [alive("y".repeat(256))],
    [alive("y".repeat(256), { highest: 5 })],
    [alive(utf8("é".repeat(254)))],
    [frame(utf8(`z${"é".repeat(254)}`))],
    [alive(utf8("😀".repeat(255)))],
    [frame(utf8(`z${"😀".repeat(255)}`))],
    [alive(utf8("😀".repeat(256)))],
    [alive("y".repeat(1021))],
    [alive("e1020", { extra: "\xff".repeat(1020) })],
    [frame("ze1020")],
    [alive("e1021", { extra: "\xff".repeat(1021) })],
    [alive(utf8("ü".repeat(255)), { extra: "e".repeat(1020) })],
    [frame("n")],
  ]),
  alone("malformed lookups", [
    [alive("demo")],
    [frame("zdemo\0")],
    [frame("zdemo\0\0")],
    [frame("zde\0mo")],
    [frame("z")],
    [frame("z\0")],
    [frame("z\0\0")],
    [frame("zdem")],
    [frame("zdemoo")],
    [frame("z\xff")],
    [frame("zdemo\xff")],
    [frame("z\xc3\xa9")],
  ]),
  alone("stop is not for everybody", [
    [alive("demo")],
    [frame("sdemo")],
    [frame("sother")],
    [frame("s")],
    [frame("n")],
  ]),
  {
    name: "with -relaxed_command_check",
    relaxed: true,
    steps: [
      ask("node", alive("demo")),
      ask("two", alive("two")),
      ask("1", frame("s")),
      ask("2", frame("sdemo\0more")),
      ask("6", frame("sother")),
      ask("node", ""),
      names("3"),
      dump("4"),
      ask("5", frame("k")),
    ],
  },
];

async function record(exchange: Exchange): Promise<Recorded> {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const epmdPort = free.port;
  free.stop();
  const relaxed = exchange.relaxed ? ["-relaxed_command_check"] : [];
  const argv = ["epmd", "-port", String(epmdPort), "-address", "127.0.0.1", ...relaxed];
  const epmd = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  try {
    await listening(epmdPort);
    return { ...exchange, answers: await play(exchange, epmdPort) };
  } finally {
    epmd.kill("SIGKILL");
    await epmd.exited;
  }
}

async function listening(epmdPort: number): Promise<void> {
  const untilMs = performance.now() + START_MS;
  while (performance.now() < untilMs) {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: epmdPort,
      socket: { data: () => undefined },
    }).catch(() => undefined);
    socket?.terminate();
    if (socket !== undefined) return;
    await Bun.sleep(10);
  }
  throw new Error(`Cannot record: epmd does not listen on port ${epmdPort} within ${START_MS} ms`);
}

const recorded: Recorded[] = [];
for (const exchange of EXCHANGES) recorded.push(await record(exchange));
await Bun.write(RECORDING, `${JSON.stringify(recorded, undefined, 1)}\n`);
Bun.spawnSync([process.execPath, "fmt", "--no-script", RECORDING]);
const steps = recorded.reduce((sum, { answers }) => sum + answers.length, 0);
console.log(`Recorded ${recorded.length} exchanges with ${steps} steps`);
