// A real ZooKeeper server for tests, from Debian's package `zookeeper`: alone, on a free loopback port, with a data directory
// of its own that goes with it.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";

const SERVER = "/usr/share/zookeeper/bin/zkServer.sh";
const START_TRIES = 3;
const START_MS = 60_000;
/** Sessions may last from 2 to 20 ticks. */
const TICK_MS = 500;
const JVM_FLAGS = "-Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

export type Zookeeper = {
  readonly port: number;
  /** "zk://127.0.0.1:PORT" and the path. */
  url(path?: string): string;
  /** Ends the server as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data, and waits until it serves. */
  start(): Promise<void>;
  /** Stops the server's threads, as a long pause of the machine does, until it is thawed. */
  freeze(): Promise<void>;
  thaw(): void;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
};

/** Starts a server and waits until it serves. Rejects with an Error that says what to install when there is none. */
export async function startZookeeper({ tickMs = TICK_MS }: { readonly tickMs?: number } = {}): Promise<Zookeeper> {
  for (const [file, name] of [
    [SERVER, "zookeeper"],
    [Bun.which("java") ?? "java", "default-jre-headless"],
  ] as const) {
    if (!existsSync(file))
      throw new Error(`Cannot start ZooKeeper: found no ${file}, wanted it from \`apt-get install ${name}\``);
  }
  const directory = mkdtempSync(join(tmpdir(), "ringmaster-zookeeper-"));
  for (let tries = 1; ; tries += 1) {
    const port = freePort();
    await Bun.write(join(directory, "zoo.cfg"), configuration(directory, port, tickMs));
    const server = new Server(directory, port);
    try {
      await server.start();
      return server;
    } catch (error) {
      // Somebody may have taken the port meanwhile.
      if (tries < START_TRIES) continue;
      await server.stop();
      throw error;
    }
  }
}

class Server implements Zookeeper {
  readonly port: number;
  readonly #directory: string;
  #process: Subprocess | undefined;

  constructor(directory: string, port: number) {
    this.#directory = directory;
    this.port = port;
  }

  url(path = ""): string {
    return `zk://127.0.0.1:${this.port}${path}`;
  }

  async start(): Promise<void> {
    const log = join(this.#directory, "server.log");
    // The script ends as an exec of java, so that its pid is java's; should this process be killed, the server goes too.
    const command = ["setpriv", "--pdeathsig", "KILL", SERVER, "start-foreground", join(this.#directory, "zoo.cfg")];
    const server = Bun.spawn(command, {
      env: { ...process.env, ZOO_LOG_DIR: this.#directory, JMXDISABLE: "true", SERVER_JVMFLAGS: JVM_FLAGS },
      stdin: "ignore",
      stdout: Bun.file(log),
      stderr: Bun.file(join(this.#directory, "server.err")),
    });
    this.#process = server;
    const deadline = performance.now() + START_MS;
    while (!(await serves(this.port))) {
      const over = server.exitCode !== null ? `it ended with code ${server.exitCode}` : undefined;
      const late = performance.now() > deadline ? `it did not serve within ${START_MS} ms` : undefined;
      const why = over ?? late;
      if (why !== undefined) {
        await this.kill();
        throw new Error(
          `Cannot start ZooKeeper on port ${this.port}: ${why}\n${(await Bun.file(log).text()).slice(-2000)}`,
        );
      }
      await Bun.sleep(50);
    }
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = undefined;
  }

  async freeze(): Promise<void> {
    const { pid } = this.#running();
    process.kill(pid, "SIGSTOP");
    // The signal reaches one thread after the other.
    const tasks = await readdir(`/proc/${pid}/task`);
    for (const task of tasks) {
      while (!(await isStopped(pid, task))) await Bun.sleep(1);
    }
  }

  thaw(): void {
    process.kill(this.#running().pid, "SIGCONT");
  }

  #running(): Subprocess {
    if (this.#process === undefined) throw new Error("Cannot signal the ZooKeeper server: it is not running");
    return this.#process;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Whether a thread is stopped, or has ended meanwhile. */
async function isStopped(pid: number, task: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/task/${task}/status`, "utf8").catch(() => undefined);
  return status === undefined || /^State:\tT/m.test(status);
}

function configuration(directory: string, port: number, tickMs: number): string {
  const lines = [
    `dataDir=${join(directory, "data")}`,
    "clientPortAddress=127.0.0.1",
    `clientPort=${port}`,
    `tickTime=${tickMs}`,
    "admin.enableServer=false",
    "4lw.commands.whitelist=srvr",
    "maxClientCnxns=0",
  ];
  return `${lines.join("\n")}\n`;
}

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = listener;
  listener.stop();
  return port;
}

/** Whether the server answers its word `srvr` with its mode, which it does as soon as it serves clients. */
async function serves(port: number): Promise<boolean> {
  const answer = Promise.withResolvers<string>();
  let text = "";
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, bytes) => {
          text += bytes.toString();
        },
        close: () => answer.resolve(text),
        error: () => answer.resolve(text),
      },
    });
    socket.write("srvr");
    const timer = setTimeout(() => socket.terminate(), 2000);
    const answered = await answer.promise;
    clearTimeout(timer);
    return answered.includes("Mode:");
  } catch {
    return false;
  }
}
