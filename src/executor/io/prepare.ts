// Makes everything ready for a node's start: volume, package, runtime, files.
import { chmod, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Database, Place } from "../../databases/database.ts";
import type { NodeTask } from "../../databases/node.ts";
import { writeCarried } from "./carried.ts";
import { ownProgram } from "./self.ts";
import { findAddress, findJava, findPackage, realFolder } from "./find.ts";
import { claimVolume, endLeftover } from "./volume.ts";

/** Where an executor works. */
export type Workplace = {
  readonly sandbox: string;
  /** Where the package is looked for; under Mesos the sandbox. */
  readonly packages: string;
  /** MESOS_AGENT_ENDPOINT. */
  readonly agentEndpoint?: string;
  /** For people who read along. */
  readonly say: (text: string) => void;
};

/** Throws an error that says what is missing, a VolumeRefused for a volume that is not this node's. */
export async function prepare(node: NodeTask, database: Database, workplace: Workplace): Promise<Place> {
  const { say } = workplace;
  const sandbox = await realFolder("sandbox", workplace.sandbox);
  // java's class path and log options have colons between their parts.
  if (/[:\s]/.test(sandbox))
    throw new Error(`Cannot use the sandbox "${sandbox}": found a colon or blank in its path, wanted none`);
  const volume = await realFolder("volume", join(sandbox, node.volume));
  if (volume === sandbox) throw new Error(`Cannot use the volume "${node.volume}": it is the sandbox itself`);
  await claimVolume(node, volume);
  await endLeftover(volume, say);

  const packageRoot = await findPackage(database, await realFolder("package folder", workplace.packages), volume);
  const homes = [node.env["JAVA_HOME"], process.env["JAVA_HOME"]];
  const java = database.javaVersions.length === 0 ? "" : await findJava(database, sandbox, volume, homes);
  const address = await findAddress(node.hostname, workplace.agentEndpoint, say);
  const packageFiles: Record<string, readonly string[]> = {};
  for (const folder of database.packageFolders)
    packageFiles[folder] = (await readdir(join(packageRoot, folder))).sort();

  const carried = join(sandbox, "carried");
  await writeCarried(database.carries, carried);
  await mkdir(join(sandbox, "logs"), { recursive: true });
  await rm(join(sandbox, "tmp"), { recursive: true, force: true });
  await mkdir(join(sandbox, "tmp"), { recursive: true });
  const self = await ownProgram(join(sandbox, "tmp"));
  const place: Place = { sandbox, packageRoot, packageFiles, volume, carried, address, java, self };
  for (const file of database.files(node, place)) {
    const path = join(sandbox, file.path);
    await mkdir(dirname(path), { recursive: true });
    // A file keeps the mode that it has: one with a secret gets its own before it gets the secret.
    await writeFile(path, "", { mode: file.mode ?? 0o644 });
    await chmod(path, file.mode ?? 0o644);
    await writeFile(path, file.content);
  }
  return place;
}
