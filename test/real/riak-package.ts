// `bun test/real/riak-package.ts`: makes the stand-in for a Riak package, in the layout of an official relocatable one, out of
// test/real/standin-riak and this machine's Erlang: build/riak/riak-VERSION-standin.tar.gz. Made anew when its sources change.
import { access, chmod, cp, mkdir, readdir, rename, rm, symlink } from "node:fs/promises";

const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const SOURCE = `${import.meta.dir}/standin-riak`;
const FOLDER = `${ROOT}/build/riak`;

/** What the stand-in's words were recorded from. */
export const RIAK_VERSION = "3.2.3";

export type RiakPackage = {
  readonly version: string;
  /** The unpacked package: the folder above `riak`. */
  readonly folder: string;
  /** The same as an archive for the Mesos fetcher. */
  readonly archive: string;
};

/** What the release has of Erlang: with the compiler, as Riak's own has it. */
const APPLICATIONS = ["kernel", "stdlib", "compiler"];

/**
 * The package, made if it is not there yet: other versions say so and are the same in all else. Its folder is named after its
 * sources: nobody takes it away under a running node.
 */
export async function riakPackage(version: string = RIAK_VERSION): Promise<RiakPackage> {
  const place = `${FOLDER}/standin-${version}-${(await sourceStamp()).slice(0, 16)}`;
  const archive = `riak-${version}-standin.tar.gz`;
  const made: RiakPackage = { version, folder: place, archive: `${FOLDER}/${archive}` };
  if (!(await exists(`${place}/${archive}`))) {
    const fresh = `${place}.${process.pid}`;
    await rm(fresh, { recursive: true, force: true });
    await makeRelease(`${fresh}/riak`, version);
    await run("pack the stand-in", fresh, ["tar", "-czf", archive, "riak"]);
    // Another process may have been quicker: it has made the same.
    await rename(fresh, place).catch(() => rm(fresh, { recursive: true, force: true }));
  }
  const link = `${made.archive}.${process.pid}`;
  await symlink(`${place}/${archive}`, link);
  await rename(link, made.archive);
  return made;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function makeRelease(riak: string, version: string): Promise<void> {
  const [erlang = "", erts = "", ...versions] = (await erl(ROOT, ASK_ERLANG)).trim().split("\n");
  const bin = `${riak}/erts-${erts}/bin`;
  for (const place of [`${riak}/lib/riak-${version}/ebin`, `${riak}/releases/${version}`, `${riak}/log`, `${riak}/etc`])
    await mkdir(place, { recursive: true });
  await cp(`${erlang}/erts-${erts}/bin`, bin, { recursive: true, dereference: true });
  await rm(`${bin}/erl`);
  for (const [from, to] of [
    ["erl", `${bin}/erl`],
    ["riak", `${riak}/bin/riak`],
    ["riak-admin", `${riak}/bin/riak-admin`],
  ] as const) {
    await cp(`${SOURCE}/bin/${from}`, to);
    await chmod(to, 0o755);
  }
  // Packages of Riak 3 have a second `riak` for systems with a user of that name.
  await mkdir(`${riak}/usr/bin`, { recursive: true });
  await symlink("../../bin/riak", `${riak}/usr/bin/riak`);
  for (const [index, name] of APPLICATIONS.entries()) {
    const folder = `${name}-${versions[index]}`;
    await cp(`${erlang}/lib/${folder}/ebin`, `${riak}/lib/${folder}/ebin`, { recursive: true });
  }
  const ebin = `${riak}/lib/riak-${version}/ebin`;
  const modules = (await readdir(`${SOURCE}/src`)).filter((name) => name.endsWith(".erl")).sort();
  await run("compile the stand-in", `${SOURCE}/src`, ["erlc", "-Werror", "-o", ebin, ...modules]);
  const app = await Bun.file(`${SOURCE}/src/riak.app`).text();
  await Bun.write(`${ebin}/riak.app`, app.replace("VERSION", version));
  await makeBootFiles(riak, version, erts, versions);
  for (const [file, text] of Object.entries(ETC)) await Bun.write(`${riak}/etc/${file}`, text);
}

/** Erlang's folder, the version of its runtime, and those of the applications. */
const ASK_ERLANG = `
  io:format("~s~n~s~n", [code:root_dir(), erlang:system_info(version)]),
  [begin application:load(A), {ok, V} = application:get_key(A, vsn), io:format("~s~n", [V]) end || A <- [${APPLICATIONS.join(", ")}]],
  halt().`;

async function makeBootFiles(riak: string, version: string, erts: string, versions: readonly string[]): Promise<void> {
  const place = `${riak}/releases/${version}`;
  const base = APPLICATIONS.map((name, index) => `{${name}, "${versions[index]}"}`).slice(0, 2);
  const all = [...APPLICATIONS.map((name, index) => `{${name}, "${versions[index]}"}`), `{riak, "${version}"}`];
  const release = (name: string, list: readonly string[]): string =>
    `{release, {"${name}", "${version}"}, {erts, "${erts}"}, [${list.join(", ")}]}.\n`;
  await Bun.write(`${place}/riak.rel`, release("riak", all));
  await Bun.write(`${place}/start_clean.rel`, release("start_clean", base));
  // Paths in a boot file are relative to the root of the release.
  const make = `{ok, _, _} = systools:make_script(N, [silent, no_warn_sasl, {path, ["${riak}/lib/*/ebin"]}])`;
  await erl(place, `[${make} || N <- ["riak", "start_clean"]], halt().`);
  await Bun.write(`${place}/vm.args`, "-name riak@127.0.0.1\n-setcookie riak\n");
  await Bun.write(`${riak}/releases/start_erl.data`, `${erts} ${version}\n`);
}

const ETC: Readonly<Record<string, string>> = {
  "riak.conf":
    "nodename = riak@127.0.0.1\nlistener.http.internal = 127.0.0.1:8098\nlistener.protobuf.internal = 127.0.0.1:8087\n",
  "advanced.config": '[{riak_core, [{cluster_mgr, {"127.0.0.1", 9080}}]}].\n',
};

/** What the package depends on: its sources, this file, and the Erlang of this machine. */
async function sourceStamp(): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const files = [...new Bun.Glob("**/*").scanSync(SOURCE)].sort().map((name) => `${SOURCE}/${name}`);
  for (const file of [...files, import.meta.path]) hash.update(await Bun.file(file).bytes());
  return hash.update(await erl(ROOT, 'io:format("~s", [erlang:system_info(version)]), halt().')).digest("hex");
}

async function erl(cwd: string, expression: string): Promise<string> {
  return run("ask Erlang (Debian package erlang-base)", cwd, ["erl", "-noshell", "-noinput", "-eval", expression]);
}

async function run(what: string, cwd: string, argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`Cannot ${what}: ${output}${complaint}`);
  return output;
}

if (import.meta.main) console.log((await riakPackage()).archive);
