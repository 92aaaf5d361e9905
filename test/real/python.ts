// Packages from PyPI for tests with clients that no one here wrote, each in a folder of its own below build/python.
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const FOLDER = join(import.meta.dir, "../../build/python");

/** A folder for PYTHONPATH with the package and what it needs, made if it is not there yet. */
export async function pythonPackage(name: string, version: string): Promise<string> {
  const folder = join(FOLDER, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  await mkdir(FOLDER, { recursive: true });
  const fresh = `${folder}.${process.pid}`;
  const argv = ["python3", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", fresh];
  const pip = Bun.spawn([...argv, `${name}==${version}`], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
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
