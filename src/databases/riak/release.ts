// How a Riak package is run: a release of our own around it in the sandbox, its files, its environment, its command lines.
import type { Answer, Ask, CommandLine, Companion, Place, RenderedFile, Verdict } from "../database.ts";
import type { NodeTask } from "../node.ts";
import { lineOf, settingsOf, withSetting } from "./settings.ts";

/** Tells Erlang from OTP 21 on to find nodes through cEPMD. */
export const EPMD_MODULE = "ringmaster_epmd";
/** The same for the Erlang of Riak 2, in the place of Erlang's own module. */
export const R16_MODULE = "erl_epmd";

/** cEPMD only serves the processes of its own agent. */
const EPMD_ADDRESS = "127.0.0.1";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const FILES_MAX = 65_536;

/** The node's name in its ring. Long names want a dot in the host: one without it gives way to the agent's address. */
export function nodeName(task: NodeTask, place: Place): string {
  return `${task.node}@${nodeHost(task, place)}`;
}

function nodeHost(task: NodeTask, place: Place): string {
  if (place.address.includes(":"))
    throw new Error(`Cannot name node "${task.node}": found the address "${place.address}", wanted one of IPv4`);
  return task.hostname.includes(".") ? task.hostname : place.address;
}

/**
 * The root of the release that is run: the package's files, but with a configuration, an `erl_epmd` and generated files of
 * its own, as a package may be read-only or shared. It lies deeper than packages are looked for.
 */
function releaseRoot(task: NodeTask, place: Place): string {
  return `${place.sandbox}/run/riak/${task.version}/release`;
}

/** Riak's own logs. The executor lists what lies in `logs` itself: links there lead to the files. */
function logFolder(place: Place): string {
  return `${place.sandbox}/logs/riak`;
}

/** Everything that must outlive the sandbox, the ring included. */
function dataFolder(place: Place): string {
  return `${place.volume}/riak`;
}

export function renderedFiles(task: NodeTask, place: Place): readonly RenderedFile[] {
  // The cookie in it opens the whole cluster.
  return [
    { path: "conf/riak.conf", content: riakConf(task, place), mode: 0o600 },
    { path: "conf/advanced.config", content: advancedConfig(task, place), mode: 0o600 },
  ];
}

function riakConf(task: NodeTask, place: Place): string {
  const { http, pb, handoff, dist } = task.ports;
  const tail: readonly (readonly [string, string])[] = [
    ["nodename", nodeName(task, place)],
    ["distributed_cookie", cookie(task)],
    ["listener.http.internal", `${place.address}:${http}`],
    ["listener.protobuf.internal", `${place.address}:${pb}`],
    ["handoff.ip", place.address],
    ["handoff.port", `${handoff}`],
    ["erlang.distribution.port_range.minimum", `${dist}`],
    ["erlang.distribution.port_range.maximum", `${dist}`],
    ["platform_data_dir", dataFolder(place)],
    ["platform_log_dir", logFolder(place)],
    ["platform_etc_dir", `${releaseRoot(task, place)}/etc`],
  ];
  const lines = [...settingsOf(task.settings).conf, ...tail].map(([key, value]) => `${key} = ${value}`);
  return `# Rendered by Ringmaster at every start of node "${task.node}": what is changed here is lost.\n${lines.join("\n")}\n`;
}

/**
 * One for each cluster, so that no node connects to another cluster's. It is made of half of the framework's token: who can
 * read it in a list of processes has not got the token, which opens more.
 */
function cookie(task: NodeTask): string {
  return `${task.cluster}-${task.token.slice(0, Math.floor(task.token.length / 2))}`;
}

/** The cluster manager listens in all releases with riak_repl, but not all have a key for it in riak.conf. */
function advancedConfig(task: NodeTask, place: Place): string {
  const manager = `{cluster_mgr, {"${place.address}", ${task.ports["cluster_manager"]}}}`;
  return `${withSetting(settingsOf(task.settings).advanced, "riak_core", manager).trimEnd()}\n`;
}

/** Environment of the node and of every command: each command is an Erlang node too, which finds the other by cEPMD. */
function environment(task: NodeTask, place: Place): Readonly<Record<string, string>> {
  const root = releaseRoot(task, place);
  const host = nodeHost(task, place);
  const isOld = lineOf(task.version) === "2";
  const flags = isOld ? [] : ["-start_epmd false", `-epmd_module ${EPMD_MODULE}`, `-pa ${root}/epmd`];
  // A host name may lead to another interface here than elsewhere: then all of them are listened on.
  if (host === place.address) flags.push(`-kernel inet_dist_use_interface {${host.replaceAll(".", ",")}}`);
  return {
    PATH,
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...task.env,
    HOME: root,
    ERL_EPMD_PORT: `${task.ports["epmd"]}`,
    ERL_EPMD_ADDRESS: EPMD_ADDRESS,
    ERL_FLAGS: flags.join(" "),
    // In the default mode a release only loads the modules that it was made of.
    CODE_LOADING_MODE: "interactive",
    RUNNER_ETC_DIR: `${root}/etc`,
    RUNNER_GEN_DIR: root,
    RUNNER_LOG_DIR: logFolder(place),
  };
}

function inRelease(task: NodeTask, place: Place, argv: readonly string[]): CommandLine {
  return { argv, env: environment(task, place), cwd: releaseRoot(task, place) };
}

/** `riak …`. */
export function riakCommand(task: NodeTask, place: Place, args: readonly string[]): CommandLine {
  return inRelease(task, place, [`${releaseRoot(task, place)}/bin/riak`, ...args]);
}

/** `riak admin …`, which older releases call `riak-admin …`. */
export function adminCommand(task: NodeTask, place: Place, args: readonly string[]): CommandLine {
  return inRelease(task, place, [...adminArgv(task, place), ...args]);
}

/** A shell script in which `admin` is the command above; `args` are its "$1", "$2", …. */
export function adminScript(task: NodeTask, place: Place, script: string, args: readonly string[]): CommandLine {
  const admin = adminArgv(task, place)
    .map((word) => `'${word}'`)
    .join(" ");
  return inRelease(task, place, ["/bin/sh", "-c", `admin() { ${admin} "$@"; }\n${script}`, "sh", ...args]);
}

function adminArgv(task: NodeTask, place: Place): readonly string[] {
  const bin = `${releaseRoot(task, place)}/bin`;
  return lineOf(task.version) === "2" ? [`${bin}/riak-admin`] : [`${bin}/riak`, "admin"];
}

/** The node itself; every step of it is an exec, so the process is the Erlang VM's in the end. */
export function startCommand(task: NodeTask, place: Place): CommandLine {
  const riak = `${releaseRoot(task, place)}/bin/riak`;
  const argv = lineOf(task.version) === "2" ? [riak, "console", "-noinput"] : [riak, "foreground"];
  const files = `ulimit -n ${FILES_MAX} 2>/dev/null || ulimit -n "$(ulimit -H -n)"`;
  return inRelease(task, place, ["/bin/sh", "-c", `${files}; exec "$@"`, "sh", ...argv]);
}

/**
 * What the executor runs cEPMD with. The upper tier of Bun's compiler costs 7 MB when thousands of names are read, and makes
 * lookups no faster.
 */
export const CEPMD_ENVIRONMENT: Readonly<Record<string, string>> = { BUN_JSC_useDFGJIT: "0" };

export function companions(task: NodeTask, place: Place): readonly Companion[] {
  const port = task.ports["epmd"] ?? 0;
  const shared =
    task.store === undefined
      ? []
      : ["--store", task.store, "--framework", task.framework, "--host", nodeHost(task, place)];
  const argv = [place.self, "cepmd", "--address", EPMD_ADDRESS, "--port", `${port}`, ...shared];
  const env = { PATH, ...CEPMD_ENVIRONMENT };
  return [{ name: "cepmd", command: { argv, env, cwd: place.sandbox }, host: EPMD_ADDRESS, port }];
}

const PREPARE_MS = 120_000;

export function preparation(task: NodeTask, place: Place): readonly Ask[] {
  const root = releaseRoot(task, place);
  const isOld = lineOf(task.version) === "2";
  const build = [place.packageRoot, root, place.sandbox, dataFolder(place), isOld ? "yes" : "no"];
  const compile = [root, `${place.carried}/${isOld ? R16_MODULE : EPMD_MODULE}.erl`, isOld ? "kernel" : "epmd"];
  const script = (text: string, args: readonly string[]): CommandLine => ({
    argv: ["/bin/sh", "-c", text, "sh", ...args],
    env: { PATH, HOME: place.sandbox, LANG: "C.UTF-8" },
    cwd: place.sandbox,
  });
  return [
    oneTry("making a release around the package", script(BUILD, build), /^built$/m),
    oneTry("compiling the Erlang side of cEPMD", script(COMPILE, compile), /^compiled$/m),
    // Besides the check, it makes what `riak` reads the node's name and cookie from.
    oneTry("checking riak.conf and advanced.config", riakCommand(task, place, ["chkconfig"]), /config is OK/),
  ];
}

/**
 * Copies what is written to (bin, releases) or found by its own place (the erts programs), links the rest. The epmd programs
 * become ones that do nothing: Erlang would start one wherever cEPMD is away for a moment, and it would keep the port.
 */
const BUILD = `set -eu
package=$1 root=$2 sandbox=$3 data=$4 own_kernel=$5
rm -rf "$root"
mkdir -p "$root/epmd" "$root/log" "$sandbox/logs/riak" "$data/ring"
for entry in "$package"/*; do
  name=\${entry##*/}
  case $name in
    bin|releases) cp -Rp "$entry" "$root/$name" ;;
    erts-*)
      mkdir "$root/$name"
      for part in "$entry"/*; do
        case \${part##*/} in
          bin) cp -Rp "$part" "$root/$name/bin" ;;
          *) ln -s "$part" "$root/$name/" ;;
        esac
      done ;;
    lib)
      if [ "$own_kernel" = no ]; then ln -s "$entry" "$root/lib"; continue; fi
      mkdir "$root/lib"
      for part in "$entry"/*; do
        case \${part##*/} in
          kernel-*) cp -Rp "$part" "$root/lib/" ;;
          *) ln -s "$part" "$root/lib/" ;;
        esac
      done ;;
    etc|log|data|epmd|generated.conf*) ;;
    *) ln -s "$entry" "$root/$name" ;;
  esac
done
ln -s "$sandbox/conf" "$root/etc"
chmod -R u+w "$root/bin" "$root/releases"
for folder in "$root/bin" "$root"/erts-*/bin; do
  if [ ! -d "$folder" ]; then continue; fi
  chmod u+w "$folder"
  rm -f "$folder/epmd"
  printf '#!/bin/sh\\nexit 0\\n' > "$folder/epmd"
  chmod 755 "$folder/epmd"
done
for log in console error crash; do ln -sf "riak/$log.log" "$sandbox/logs/riak-$log.log"; done
echo built
`;

/**
 * By the release's own Erlang, started as Riak's scripts do it. Its boot file for a bare system names no more than kernel and
 * stdlib, so the paths are given. start_erl.data may lack the end of its line, which `read` takes for a failure.
 */
const COMPILE = `set -eu
root=$1 source=$2 into=$3
erts= version=
read -r erts version < "$root/releases/start_erl.data" || true
if [ "$into" = kernel ]; then out=$(echo "$root"/lib/kernel-*/ebin); chmod -R u+w "$out"; else out=$root/epmd; fi
run="
  case compile:file(\\"$source\\", [{outdir, \\"$out\\"}, report]) of
    {ok, _} -> io:format(\\"compiled~n\\"), halt(0);
    Other -> io:format(\\"~p~n\\", [Other]), halt(1)
  end."
if [ ! -x "$root/erts-$erts/bin/erlexec" ]; then exec erl -noshell -noinput -eval "$run"; fi
export ROOTDIR="$root" BINDIR="$root/erts-$erts/bin" EMU=beam PROGNAME=erl
exec "$BINDIR/erlexec" -boot "$root/releases/$version/start_clean" -noshell -noinput -pa "$root"/lib/*/ebin -eval "$run"
`;

/** Something that either works at once or never. */
function oneTry(say: string, command: CommandLine, done: RegExp): Ask {
  const read = (answer: Answer): Verdict => {
    if ("error" in answer) return { type: "failed", detail: answer.error };
    if (answer.status === 0 && done.test(answer.text)) return { type: "done", detail: "" };
    return { type: "failed", detail: lastLines(answer.text) || `exit status ${answer.status}` };
  };
  return { say, question: { type: "command", command, timeoutMs: PREPARE_MS }, read, patienceMs: PREPARE_MS };
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-5).join("\n");
}
