// Packages from PyPI for tests with clients that no one here wrote, each in a folder of its own below build/python.
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Failure, Load } from "./director.ts";

const STOP_DEADLINE_MS = 30_000;
const FOLDER = join(import.meta.dir, "../../build/python");

/** A folder for PYTHONPATH with the package, what it needs and `more` ("name==version"), made if it is not there yet. */
export async function pythonPackage(name: string, version: string, ...more: readonly string[]): Promise<string> {
  const folder = join(FOLDER, [`${name}-${version}`, ...more].join("+"));
  if (existsSync(folder)) return folder;
  await mkdir(FOLDER, { recursive: true });
  const fresh = `${folder}.${process.pid}`;
  const argv = ["python3", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", fresh];
  const pip = Bun.spawn([...argv, `${name}==${version}`, ...more], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [errors, code] = await Promise.all([new Response(pip.stderr).text(), pip.exited]);
  if (code !== 0) throw new Error(`Cannot install ${name} ${version} with pip: it ended with ${code}\n${errors}`);
  // Another test may have been faster.
  await rename(fresh, folder).catch(async () => await rm(fresh, { recursive: true, force: true }));
  return folder;
}

/** Runs a script with the package in its path; resolves with what it printed, rejects when it fails. */
export async function runPython(packageFolder: string, script: string, args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["python3", "-c", script, ...args], {
    env: { ...process.env, PYTHONPATH: packageFolder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`The Python script ended with ${code}:\n${out}\n${err.slice(-3000)}`);
  return out;
}

/** What a load's script is given: workers that ask until standard input ends, and tell what became of it in lines. */
const LOAD = `
import json, sys, threading, time
def run_load(workers, ask):
    lock, over, done = threading.Lock(), threading.Event(), [0]
    def say(**what):
        with lock: print(json.dumps(what), flush=True)
    def work(worker):
        count = 0
        while not over.is_set():
            asked = time.time() * 1000
            try:
                ask(worker, count)
                with lock: done[0] += 1
            except Exception as error:
                say(askedMs=asked, failedMs=time.time() * 1000, error=repr(error))
            count += 1
            time.sleep(0.005)
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads: thread.start()
    def count():
        while not over.wait(0.05): say(done=done[0])
    counting = threading.Thread(target=count)
    counting.start()
    sys.stdin.read()
    over.set()
    for thread in threads + [counting]: thread.join()
    say(done=done[0])
`;

/** Starts a script that calls `run_load(workers, ask)`, with the folders in its path. */
export function startPythonLoad(
  name: string,
  folders: readonly string[],
  script: string,
  args: readonly string[],
): Load {
  const child = Bun.spawn(["python3", "-W", "ignore", "-c", LOAD + script, ...args], {
    env: { ...process.env, PYTHONPATH: folders.join(":") },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const failures: Failure[] = [];
  let done = 0;
  const read = async (): Promise<void> => {
    let rest = "";
    const stdout: ReadableStream<Uint8Array> = child.stdout;
    for await (const chunk of stdout) {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const said = JSON.parse(line) as Failure | { readonly done: number };
        if ("done" in said) ({ done } = said);
        else failures.push(said);
      }
    }
  };
  const errors = new Response(child.stderr).text();
  const reading = read();
  return {
    name,
    done: () => done,
    failures: () => failures,
    stop: async () => {
      await child.stdin.end();
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
      const code = await child.exited;
      clearTimeout(late);
      await reading;
      if (code !== 0) throw new Error(`The load "${name}" ended with ${code}:\n${(await errors).slice(-3000)}`);
    },
  };
}
