// `bun run proto`: makes the TypeScript-typed code of proto/ in src/mesos/gen/, when proto/ or its generator has changed.
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { version } from "protobufjs-cli/package.json";
import { must, ROOT, script } from "./run.ts";

const OUT = `${ROOT}/src/mesos/gen`;
const INPUTS = ["proto/mesos/v1/scheduler/scheduler.proto", "proto/mesos/v1/executor/executor.proto"];
// Types come from comments: without them (--no-comments) the .d.ts is nearly empty. The root's name must be this module's own.
const FLAGS =
  "-t static-module -w esm --dts -r mesos_v1 --keep-case --force-number --no-service --no-verify --no-delimited --no-typeurl --no-convert";

/** What the generated code depends on. */
async function fingerprint(): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256").update(`${version}\n${FLAGS}\n${INPUTS.join(" ")}\n`);
  const names = await readdir(`${ROOT}/proto`, { recursive: true });
  for (const name of names.filter((name) => name.endsWith(".proto")).sort())
    hash.update(`${name}\n${await Bun.file(`${ROOT}/proto/${name}`).text()}`);
  return hash.digest("hex");
}

/** Whether it had to generate anything. Safe to run twice at once: files are renamed into place, the stamp last. */
export async function generateProto(): Promise<boolean> {
  const wanted = await fingerprint();
  const stamp = Bun.file(`${OUT}/stamp`);
  const present = (await stamp.exists()) ? await stamp.text() : "";
  const complete = (await Bun.file(`${OUT}/mesos.js`).exists()) && (await Bun.file(`${OUT}/mesos.d.ts`).exists());
  if (present === wanted && complete) return false;
  const fresh = `${OUT}/fresh-${process.pid}`;
  await mkdir(fresh, { recursive: true });
  try {
    const pbjs = Bun.resolveSync("protobufjs-cli/bin/pbjs", ROOT);
    const argv = [process.execPath, pbjs, ...FLAGS.split(" "), "-p", "proto", "-o", `${fresh}/mesos.js`, ...INPUTS];
    await must("generate code from proto/", argv);
    await Bun.write(`${fresh}/stamp`, wanted);
    for (const name of ["mesos.js", "mesos.d.ts", "stamp"]) await rename(`${fresh}/${name}`, `${OUT}/${name}`);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return true;
}

if (import.meta.main)
  await script(async () => {
    const made = await generateProto();
    console.log(made ? "proto: src/mesos/gen/mesos.js is made" : "proto: src/mesos/gen/mesos.js is up to date");
  });
