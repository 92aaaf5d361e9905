// Finds on the agent what a node needs: its package, a Java runtime, its own address.
import { lookup } from "node:dns/promises";
import { access, constants, readdir, realpath } from "node:fs/promises";
import type { Database } from "../../databases/database.ts";

/** How deep below the sandbox an unpacked archive's root may lie, and how many folders are looked at for it. */
const DEPTH_MAX = 3;
const FOLDERS_MAX = 5_000;

/** `top` and the folders below it, nearest first. Links are not followed. `skipped`: real paths that are not entered. */
async function foldersBelow(top: string, skipped: readonly string[]): Promise<readonly string[]> {
  const found = [top];
  let level = [top];
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
      for (const entry of entries) {
        const path = `${folder}/${entry.name}`;
        if (entry.isDirectory() && !skipped.includes(path)) next.push(path);
      }
    }
    found.push(...next.sort());
    if (found.length > FOLDERS_MAX)
      throw new Error(`Cannot look for packages in "${top}": found more than ${FOLDERS_MAX} folders`);
    level = next;
  }
  return found;
}

/** The folder of the unpacked package. `volume` must not be inside it: a package that is replaced would take the data along. */
export async function findPackage(database: Database, top: string, volume: string): Promise<string> {
  const roots: string[] = [];
  for (const folder of await foldersBelow(top, [volume])) {
    for (const marker of database.packageMarkers) {
      const at = marker.lastIndexOf("/");
      const names = await readdir(`${folder}/${marker.slice(0, Math.max(at, 0))}`).catch((): string[] => []);
      const [before = "", after] = marker.slice(at + 1).split("*");
      const matches = (name: string): boolean =>
        after === undefined ? name === before : name.startsWith(before) && name.endsWith(after);
      if (names.some(matches) && !roots.includes(folder)) roots.push(folder);
    }
  }
  const wanted = `one folder with ${database.packageMarkers.map((marker) => `"${marker}"`).join(" or ")}`;
  const [root] = roots;
  if (root === undefined)
    throw new Error(`Cannot find the ${database.name} package in "${top}": found none, wanted ${wanted}`);
  if (roots.length > 1)
    throw new Error(
      `Cannot choose the ${database.name} package: found ${roots.map((one) => `"${one}"`).join(", ")}, wanted ${wanted}`,
    );
  if (`${volume}/`.startsWith(`${root}/`))
    throw new Error(`Cannot use the ${database.name} package "${root}": the volume "${volume}" is inside it`);
  return root;
}

/**
 * The `java` of a runtime unpacked in the sandbox, of JAVA_HOME (`homes`, the first that is set), or on PATH; its release
 * must be one of the database's.
 */
export async function findJava(
  database: Database,
  sandbox: string,
  volume: string,
  homes: readonly (string | undefined)[],
): Promise<string> {
  const home = homes.find((one) => one !== undefined && one !== "");
  const wanted = `Java ${database.javaVersions.join(" or ")}`;
  const unpacked: string[] = [];
  for (const folder of await foldersBelow(sandbox, [volume])) {
    if (await isProgram(`${folder}/bin/java`)) unpacked.push(`${folder}/bin/java`);
  }
  const java = unpacked[0] ?? (home === undefined ? Bun.which("java") : `${home}/bin/java`);
  if (java === null)
    throw new Error(
      `Cannot find Java: found none in the sandbox, no JAVA_HOME, none on PATH "${process.env["PATH"] ?? ""}", wanted ${wanted}`,
    );
  if (!(await isProgram(java)))
    throw new Error(`Cannot run Java: found no program "${java}" (JAVA_HOME), wanted ${wanted}`);
  const release = await javaRelease(java);
  if (!database.javaVersions.includes(release))
    throw new Error(`Cannot run ${database.name} with "${java}": found Java ${release}, wanted ${wanted}`);
  return java;
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** 17 for `openjdk version "17.0.15"`, 8 for `java version "1.8.0_392"`. */
async function javaRelease(java: string): Promise<number> {
  const child = Bun.spawn([java, "-version"], { stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: 30_000 });
  const text = await new Response(child.stderr).text();
  const release = /version "(?:1\.)?(\d+)/.exec(text)?.[1];
  if (release === undefined)
    throw new Error(
      `Cannot tell the release of "${java}": it said ${JSON.stringify(text.slice(0, 200))}, wanted a version`,
    );
  return Number(release);
}

/**
 * The address that other nodes reach this one at: what its host name resolves to. Debian lets a machine's own name resolve
 * to a loopback address, which no other machine reaches: then, and when nothing resolves, it is the agent's own address
 * (`endpoint`, MESOS_AGENT_ENDPOINT). `say` is told of that.
 */
export async function findAddress(
  hostname: string,
  endpoint: string | undefined,
  say: (text: string) => void,
): Promise<string> {
  const agent = endpoint?.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const resolved = await lookup(hostname).then(
    (answer) => answer.address,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  );
  const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";
  if (typeof resolved === "string" && (!isLoopback(resolved) || agent === undefined || isLoopback(agent)))
    return resolved;
  const found = typeof resolved === "string" ? `"${resolved}"` : resolved.message;
  if (agent === undefined) throw new Error(`Cannot resolve the host name "${hostname}": ${found}`);
  say(`Host name "${hostname}" resolves to ${found}: using the agent's address "${agent}"`);
  return agent;
}

/** `path` without links; the path itself must exist. `what` names it in the error. */
export async function realFolder(what: string, path: string): Promise<string> {
  return realpath(path).catch((error: unknown) => {
    throw new Error(`Cannot use the ${what} "${path}": ${error instanceof Error ? error.message : String(error)}`);
  });
}
