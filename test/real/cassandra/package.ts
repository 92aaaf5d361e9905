// `bun test/real/cassandra/package.ts`: makes a Cassandra package in the layout of the official tarball out of what Maven
// Central has, for the demo and the tests: build/cassandra/apache-cassandra-VERSION and …-bin.tar.gz. Made once a version.
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";

const ROOT = new URL("../../..", import.meta.url).pathname.replace(/\/$/, "");
const FOLDER = `${ROOT}/build/cassandra`;

export const CASSANDRA_VERSION = "5.0.4";

export type CassandraPackage = {
  readonly version: string;
  /** The unpacked package. */
  readonly folder: string;
  /** The same as an archive for the Mesos fetcher. */
  readonly archive: string;
};

/** Another process makes the same package: it took 90 s where nothing was downloaded before. */
const LOCK_WAIT_MS = 600_000;

/** The package, made if it is not there yet. */
export async function cassandraPackage(version: string = CASSANDRA_VERSION): Promise<CassandraPackage> {
  const name = `apache-cassandra-${version}`;
  const made: CassandraPackage = { version, folder: `${FOLDER}/${name}`, archive: `${FOLDER}/${name}-bin.tar.gz` };
  await mkdir(FOLDER, { recursive: true });
  await locked(`${FOLDER}/${name}.lock`, async () => {
    // The archive is the last step: with it, all is there.
    if (await exists(made.archive)) return;
    const fresh = `${FOLDER}/${name}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(`${fresh}/conf`, { recursive: true });
    await Bun.write(`${fresh}/pom.xml`, pom(version));
    await run("fetch Cassandra", fresh, [
      "mvn",
      "-q",
      "-B",
      "-DincludeScope=runtime",
      `-DoutputDirectory=${fresh}/lib`,
      "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies",
    ]);
    await rm(`${fresh}/pom.xml`);
    // Native libraries of systems that no Mesos agent has.
    for (const jar of await readdir(`${fresh}/lib`)) if (/-(?:osx|windows)-/.test(jar)) await rm(`${fresh}/lib/${jar}`);
    for (const [file, text] of Object.entries(CONF)) await Bun.write(`${fresh}/conf/${file}`, text);
    await rm(made.folder, { recursive: true, force: true });
    await rename(fresh, made.folder);
    await run("pack Cassandra", FOLDER, ["tar", "-czf", `${made.archive}.new`, name]);
    await rename(`${made.archive}.new`, made.archive);
  });
  return made;
}

/** What an official package has here as well; Ringmaster renders its own and reads none of it. */
const CONF: Readonly<Record<string, string>> = {
  "cassandra.yaml": `cluster_name: 'Test Cluster'
num_tokens: 16
commitlog_sync: periodic
commitlog_sync_period: 10000ms
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
listen_address: localhost
rpc_address: localhost
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:7000"
`,
  "cassandra-rackdc.properties": "dc=dc1\nrack=rack1\n",
  "logback.xml": `<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{ISO8601} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
`,
};

function pom(version: string): string {
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringmaster</groupId>
  <artifactId>cassandra-package</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>${version}</version></dependency>
  </dependencies>
</project>
`;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Runs `body` while no other process has the folder that stands for the lock; one left by a dead process is taken away. */
async function locked(lock: string, body: () => Promise<void>): Promise<void> {
  const untilMs = Date.now() + LOCK_WAIT_MS;
  while (!(await take(lock))) {
    const holder = Number(
      await Bun.file(`${lock}/pid`)
        .text()
        .catch(() => ""),
    );
    const ageMs =
      Date.now() -
      (await stat(lock).then(
        (found) => found.mtimeMs,
        () => Date.now(),
      ));
    // The holder writes its number right after it took the lock.
    const dead = holder > 0 ? !(await exists(`/proc/${holder}`)) : ageMs > 10_000;
    if (dead) await rm(lock, { recursive: true, force: true });
    else if (Date.now() > untilMs)
      throw new Error(`Cannot take the lock "${lock}": process ${holder} has it for too long`);
    else await Bun.sleep(200);
  }
  try {
    await body();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
  } catch {
    return false;
  }
  await Bun.write(`${lock}/pid`, String(process.pid));
  return true;
}

async function run(what: string, cwd: string, argv: readonly string[]): Promise<void> {
  const child = Bun.spawn([...argv], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const output = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`Cannot ${what}: "${argv.join(" ")}" ended with ${code}\n${output.join("").trim()}`);
}

if (import.meta.main) console.log((await cassandraPackage(process.argv[2])).archive);
