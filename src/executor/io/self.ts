// This very program as one path, for those that shall run it again.
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A compiled binary is that path itself; run from its sources it is a line of shell in `folder`. */
export async function ownProgram(folder: string): Promise<string> {
  if (Bun.main.startsWith("/$bunfs/")) return process.execPath;
  const path = join(folder, "ringmaster");
  await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${Bun.main}' "$@"\n`);
  await chmod(path, 0o755);
  return path;
}
