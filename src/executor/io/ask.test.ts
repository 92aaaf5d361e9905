// Questions to a database, put to real servers and processes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask } from "./ask.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ringmaster-ask-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function gone(pid: number): Promise<void> {
  const untilMs = Date.now() + 10_000;
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    if (stat === undefined || stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) return;
    if (Date.now() > untilMs) throw new Error(`Waited in vain until process ${pid} is gone`);
    await Bun.sleep(10);
  }
}

describe("a question", () => {
  test("over HTTP carries its headers and body; what goes wrong is an answer too", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        if (new URL(request.url).pathname === "/slow") await Bun.sleep(5_000);
        if (new URL(request.url).pathname === "/big") return new Response(new Uint8Array(9 * 1024 * 1024));
        return new Response(`${request.method} ${request.headers.get("x-mine")} ${await request.text()}`, {
          status: 202,
        });
      },
    });
    const question = {
      type: "http",
      method: "POST",
      url: server.url.href,
      headers: { "x-mine": "h" },
      body: "b",
      timeoutMs: 4_000,
    } as const;
    expect(await ask(question)).toEqual({ status: 202, text: "POST h b" });
    expect(await ask({ ...question, url: `${server.url.href}slow`, timeoutMs: 50 })).toEqual({
      error: "no answer within 50 ms",
    });
    expect(await ask({ ...question, url: `${server.url.href}big` })).toEqual({
      error: "an answer of more than 8388608 bytes",
    });
    const gone = await ask({ ...question, url: "http://127.0.0.1:1/" });
    expect("error" in gone && gone.error.length > 0).toBe(true);
    await server.stop(true);
  });

  test("by a command is answered with its output and exit code", async () => {
    const run = (script: string, timeoutMs: number): ReturnType<typeof ask> =>
      ask({ type: "command", command: { argv: ["/bin/sh", "-c", script], env: { A: "1" }, cwd: folder }, timeoutMs });
    expect(await run('echo "$A"; echo oops >&2; echo 3; exit 2', 5_000)).toEqual({ status: 2, text: "1\noops\n3\n" });
    expect(await run("kill -9 $$", 5_000)).toEqual({ error: "the command ended by SIGKILL" });
    // The second sleep holds the output open; it ends with the script.
    expect(await run("sleep 1000 & echo $! >child; sleep 1000", 100)).toEqual({ error: "no answer within 100 ms" });
    const child = Number(await readFile(join(folder, "child"), "utf8"));
    await gone(child);
  });

  test("that is given up is answered at once", async () => {
    const stop = new AbortController();
    const command = { argv: ["sleep", "1000"], env: {}, cwd: folder };
    const answer = ask({ type: "command", command, timeoutMs: 60_000 }, stop.signal);
    stop.abort();
    expect(await answer).toEqual({ error: "the question was given up" });
  });

  test("over TCP is answered with the bytes that were waited for", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket, chunk) => {
          socket.write(chunk.subarray(0, 2));
          if (chunk.length === 3) socket.end();
          else setTimeout(() => socket.write(chunk.subarray(2)), 20);
        },
      },
    });
    const send = (sendHex: string, bytes: number, timeoutMs = 5_000): ReturnType<typeof ask> =>
      ask({ type: "tcp", host: "127.0.0.1", port: server.port, sendHex, bytes, timeoutMs });
    expect(await send("0001fffe", 4)).toEqual({ status: 0, text: "0001fffe" });
    expect(await send("0001fffe", 3)).toEqual({ status: 0, text: "0001ff" });
    expect(await send("0001ff", 3)).toEqual({ error: "the connection ended after 2 of 3 bytes" });
    expect(await send("0001fffe", 5, 100)).toEqual({ error: "no answer within 100 ms" });
    const { port } = server;
    server.stop(true);
    const gone = await ask({ type: "tcp", host: "127.0.0.1", port, sendHex: "", bytes: 1, timeoutMs: 5_000 });
    expect("error" in gone && gone.error).toMatch(/connect/i);
  });
});
