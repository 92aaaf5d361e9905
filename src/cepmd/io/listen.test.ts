// cEPMD's sockets: what a client may and may not do to them.
import { afterEach, expect, test } from "bun:test";
import type { Socket } from "bun";
import { type Cepmd, type CepmdOptions, startCepmd } from "./run.ts";

const cepmds: Cepmd[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await Promise.all(cepmds.splice(0).map(async (cepmd) => await cepmd.stop()));
});

async function start(changes: Partial<CepmdOptions> = {}): Promise<Cepmd> {
  const cepmd = await startCepmd({ addresses: ["127.0.0.1"], port: 0, say: () => undefined, ...changes });
  cepmds.push(cepmd);
  return cepmd;
}

type Client = { readonly socket: Socket; readonly heard: Promise<void>; readonly ended: Promise<string> };

/** A client that sends `text`; `heard` when something has come, `ended` with all that came. */
async function client(port: number, text: string, hostname = "127.0.0.1"): Promise<Client> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const first = Promise.withResolvers<void>();
  const pieces: string[] = [];
  const socket = await Bun.connect({
    hostname,
    port,
    socket: {
      data: (_, bytes) => {
        pieces.push(bytes.toString("latin1"));
        first.resolve();
      },
      close: () => resolve(pieces.join("")),
      error: () => resolve(pieces.join("")),
    },
  });
  sockets.push(socket);
  socket.write(Buffer.from(text, "latin1"));
  return { socket, heard: first.promise, ended: promise };
}

function frame(body: string): string {
  return String.fromCharCode(body.length >>> 8, body.length & 0xff) + body;
}

function alive(name: string): string {
  return frame(`x\u0004\u00d2M\0\0\u0006\0\u0005${String.fromCharCode(0, name.length)}${name}\0\0`);
}

async function register(port: number, name: string): Promise<Client> {
  const node = await client(port, alive(name));
  await node.heard;
  return node;
}

test("garbage, floods and hurried clients are closed upon, and everybody else is served", async () => {
  const { port } = await start();
  const node = await register(port, "demo");
  const flood = await client(port, `${frame("n")}${"x".repeat(1_000_000)}`);
  const bad = ["\0\0", "\xff\xff", "GET / HTTP/1.1\r\n\r\n", frame("q"), frame("zd\xff")];
  const clients = await Promise.all(bad.map(async (text) => await client(port, text)));
  expect(await Promise.all([flood, ...clients].map(async ({ ended }) => await ended))).toEqual([
    "",
    ...bad.map(() => ""),
  ]);
  for (let hurried = 0; hurried < 50; hurried += 1) (await client(port, frame("zdemo"))).socket.terminate();
  expect(await (await client(port, frame("zdemo"))).ended).toStartWith("w\0\u0004\u00d2");
  node.socket.write("more");
  expect(await node.ended).toStartWith("v\0");
  expect(await (await client(port, frame("zdemo"))).ended).toBe("w\u0001");
});

test("who says nothing, or only a part, is closed upon; a registered node is not", async () => {
  const { port } = await start({ idleSeconds: 1 });
  const node = await register(port, "demo");
  const refused = await register(port, "demo");
  const silent = await client(port, "");
  const slow = await client(port, "\0\u0005zde");
  expect(await Promise.all([silent.ended, slow.ended, refused.ended])).toEqual(["", "", "v\u0001\0\0\0\u0063"]);
  expect(await (await client(port, frame("zdemo"))).ended).toStartWith("w\0\u0004\u00d2");
  node.socket.end();
}, 20_000);

test("an answer of any length reaches a client that reads slowly", async () => {
  const { port } = await start();
  const count = 2500;
  const name = (at: number): string => `${"long-name-".repeat(22)}${String(at).padStart(4, "0")}`;
  for (let at = 0; at < count; at += 1) await register(port, name(at));
  const reader = await client(port, "");
  reader.socket.pause();
  reader.socket.write(Buffer.from(frame("n"), "latin1"));
  // Others are served meanwhile.
  for (let at = 0; at < 20; at += 1) expect(await (await client(port, frame(`z${name(at)}`))).ended).toStartWith("w\0");
  reader.socket.resume();
  const text = await reader.ended;
  const lines = text.slice(4).split("\n");
  expect(lines.length).toBe(count + 1);
  expect([lines[0], lines[count - 1]]).toEqual([
    `name ${name(count - 1)} at port 1234`,
    `name ${name(0)} at port 1234`,
  ]);
}, 30_000);

test("connections beyond what the process may open are ended, and there is room again when others end", async () => {
  const { port } = await start({ openFilesMax: 42 });
  const nodes: Client[] = [];
  for (let at = 0; at < 10; at += 1) nodes.push(await register(port, `demo-${at}`));
  expect(await (await client(port, frame("zdemo-1"))).ended).toBe("");
  nodes[0]?.socket.terminate();
  let answer = "";
  while (answer === "") answer = await (await client(port, frame("zdemo-1"))).ended;
  expect(answer).toStartWith("w\0\u0004\u00d2");
});

test("a free port is the same on all addresses", async () => {
  const { port } = await start({ addresses: ["127.0.0.1", "127.0.0.2", "127.0.0.3"] });
  await register(port, "demo");
  for (const hostname of ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    expect(await (await client(port, frame("zdemo"), hostname)).ended).toStartWith("w\0");
});
