// `bun scripts/jolokia.ts`: brings the Jolokia agent, which the binary carries for Cassandra's JMX, into build/ by Maven.
import { mkdir, rename, rm } from "node:fs/promises";
import { must, ROOT, script } from "./run.ts";

const VERSION = "2.2.9";
/** Of the jar as Maven has it: nothing else is ever put into the binary. */
const SHA256 = "f5c4b31eeeb602888346ce7b545a885cb7caf932eff3b1b630e93cc720483429";
const PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
const FOLDER = `${ROOT}/build/jolokia`;
const JAR = `${FOLDER}/jolokia-agent-jvm.jar`;

async function sha256(path: string): Promise<string> {
  const file = Bun.file(path);
  return (await file.exists()) ? new Bun.CryptoHasher("sha256").update(await file.bytes()).digest("hex") : "";
}

/** Whether it had to fetch the jar. */
export async function fetchJolokia(): Promise<boolean> {
  if ((await sha256(JAR)) === SHA256) return false;
  const fresh = `${FOLDER}/fresh-${process.pid}`;
  await mkdir(fresh, { recursive: true });
  try {
    const artifact = `org.jolokia:jolokia-agent-jvm:${VERSION}:jar:javaagent`;
    await must("fetch the Jolokia agent", [
      "mvn",
      "-q",
      "-B",
      PLUGIN,
      `-Dartifact=${artifact}`,
      `-DoutputDirectory=${fresh}`,
    ]);
    const jar = `${fresh}/jolokia-agent-jvm-${VERSION}-javaagent.jar`;
    const found = await sha256(jar);
    if (found !== SHA256)
      throw new Error(`Cannot use the Jolokia agent "${artifact}": found sha256 "${found}", wanted "${SHA256}"`);
    await rename(jar, JAR);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return true;
}

if (import.meta.main)
  await script(async () => {
    const made = await fetchJolokia();
    console.log(made ? "jolokia: build/jolokia/jolokia-agent-jvm.jar is fetched" : "jolokia: the jar is up to date");
  });
