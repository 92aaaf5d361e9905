// Real Erlang nodes for tests, from Debian's package `erlang-base`: each a process that evaluates what it is asked, with the
// epmd module of ours or with Erlang's own.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Lines } from "./lines.ts";

const SOURCES = resolve(import.meta.dir, "../../src/databases/riak/erlang");
const START_MS = 30_000;
const EVAL_MS = 20_000;
const COOKIE = "ringmaster-test";
const ANSWER = "answer: ";
/** From OTP 25 on nodes part from each other when they see different nodes for a moment, as they do when tests kill some. */
const NO_PARTING = ["-kernel", "prevent_overlapping_partitions", "false"];

/** Reads an expression a line, answers with its value a line. Ends with its input, so with whoever started it. */
const SERVE = `
Loop = fun Loop() ->
  case io:get_line("") of
    Line when is_list(Line) ->
      {ok, Tokens, _} = erl_scan:string(Line),
      {ok, Exprs} = erl_parse:parse_exprs(Tokens),
      Value = try {value, V, _} = erl_eval:exprs(Exprs, []), V catch Class:Reason -> {Class, Reason} end,
      io:format("answer: ~w~n", [Value]),
      Loop();
    _ -> halt(0)
  end
end,
io:format("answer: ready~n"),
Loop().`;

/** How a node is told of its epmd module: by a flag, by a copy of Erlang whose erl_epmd is replaced, or not at all. */
export type EpmdModule = "flag" | "replaced" | "erlang's own";

export type NodeOptions = {
  /** "demo-1@agent-1.test". */
  readonly name: string;
  readonly epmdPort: number;
  readonly epmdAddress?: string;
  readonly module: EpmdModule;
  /** Runs the node: `ip netns exec NAME`, for instance. */
  readonly under?: readonly string[];
  readonly flags?: readonly string[];
};

export type ErlangNode = {
  readonly name: string;
  readonly pid: number;
  /** The value of an expression, as ~w prints it. One after the other. */
  eval(expression: string): Promise<string>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
};

/** The modules, compiled by the Erlang that is there, and the nodes that were started with them. */
export class Erlang {
  readonly directory = mkdtempSync(join(tmpdir(), "ringmaster-erlang-"));
  readonly #nodes = new Set<Bun.Subprocess>();
  #root: string | undefined;

  /** Compiles our modules. Throws an Error that says what to install when there is no Erlang, and what erlc complains of. */
  static compile(): Erlang {
    if (Bun.which("erlc") === null)
      throw new Error("Cannot compile Erlang: found no erlc, wanted it from `apt-get install erlang-base`");
    const erlang = new Erlang();
    for (const [module, folder] of [
      ["ringmaster_epmd", "flag"],
      ["erl_epmd", "replaced"],
    ] as const) {
      const out = join(erlang.directory, folder);
      mkdirSync(out);
      must(["erlc", "-Wall", "-Werror", "-o", out, join(SOURCES, `${module}.erl`)]);
    }
    return erlang;
  }

  /** Starts a node; rejects with what it printed when it does not come up. */
  async start(options: NodeOptions): Promise<ErlangNode> {
    const { name, epmdPort, epmdAddress, module, under = [], flags = [] } = options;
    const launch = module === "replaced" ? this.#replaced() : { argv: ["erl"], env: {} };
    const ours = module === "flag" ? ["-pa", join(this.directory, "flag"), "-epmd_module", "ringmaster_epmd"] : [];
    const common = [
      "-name",
      name,
      "-setcookie",
      COOKIE,
      "-start_epmd",
      "false",
      ...NO_PARTING,
      "-noshell",
      "-eval",
      SERVE,
    ];
    const child = Bun.spawn([...under, ...launch.argv, ...ours, ...flags, ...common], {
      cwd: this.directory,
      env: {
        ...process.env,
        ...launch.env,
        HOME: this.directory,
        ERL_CRASH_DUMP_SECONDS: "0",
        ERL_EPMD_PORT: String(epmdPort),
        ...(epmdAddress === undefined ? {} : { ERL_EPMD_ADDRESS: epmdAddress }),
      },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#nodes.add(child);
    const out = new Lines(child.stdout);
    const err = new Lines(child.stderr);
    const answer = async (what: string, limitMs: number): Promise<string> => {
      const line = await out.next((text) => text.startsWith(ANSWER), limitMs);
      if (line !== undefined) return line.slice(ANSWER.length);
      throw new Error(`Node "${name}" did not ${what}: ${[...out.all, ...err.all].join("\n").slice(-2000)}`);
    };
    const evaluate = async (expression: string): Promise<string> => {
      void child.stdin.write(`${expression}.\n`);
      await child.stdin.flush();
      return await answer(`evaluate ${expression}`, EVAL_MS);
    };
    let turn: Promise<unknown> = Promise.resolve();
    const node: ErlangNode = {
      name,
      pid: child.pid,
      eval: async (expression) => {
        const mine = turn.then(async () => await evaluate(expression));
        turn = mine.catch(() => undefined);
        return await mine;
      },
      kill: async () => {
        child.kill("SIGKILL");
        await child.exited;
      },
    };
    await answer("come up", START_MS).catch(async (error: unknown) => {
      await node.kill();
      throw error;
    });
    return node;
  }

  /** A copy of the installed Erlang, mere links but for kernel, whose erl_epmd is ours: as in a sandbox. */
  #replaced(): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
    const installed = must(["erl", "-noshell", "-eval", 'io:format("~s", [code:root_dir()]), halt().']);
    this.#root ??= this.#copy(installed);
    const erts = readdirSync(this.#root).find((entry) => entry.startsWith("erts-")) ?? "";
    const bin = join(this.#root, erts, "bin");
    return {
      argv: [join(bin, "erlexec"), "-boot", join(this.#root, "bin", "start_clean")],
      env: { ROOTDIR: this.#root, BINDIR: bin, EMU: "beam", PROGNAME: "erl" },
    };
  }

  #copy(installed: string): string {
    const root = join(this.directory, "root");
    mkdirSync(join(root, "lib"), { recursive: true });
    for (const entry of readdirSync(installed))
      if (entry !== "lib") symlinkSync(join(installed, entry), join(root, entry));
    for (const entry of readdirSync(join(installed, "lib"))) {
      const [from, to] = [join(installed, "lib", entry), join(root, "lib", entry)];
      if (!entry.startsWith("kernel-")) symlinkSync(from, to);
      else cpSync(from, to, { recursive: true, dereference: true });
    }
    const kernel = readdirSync(join(root, "lib")).find((entry) => entry.startsWith("kernel-")) ?? "";
    const beam = join(root, "lib", kernel, "ebin", "erl_epmd.beam");
    if (!existsSync(beam)) throw new Error(`Cannot replace erl_epmd: found no "${beam}"`);
    cpSync(join(this.directory, "replaced", "erl_epmd.beam"), beam);
    return root;
  }

  /** Ends all nodes. */
  async stop(): Promise<void> {
    for (const node of this.#nodes) node.kill("SIGKILL");
    await Promise.all([...this.#nodes].map(async (node) => await node.exited));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs a program to its end and returns what it printed. */
function must(argv: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { stdin: "ignore" });
  if (exitCode !== 0)
    throw new Error(`"${argv.join(" ")}" ended with ${exitCode}: ${stdout.toString()}${stderr.toString()}`);
  return stdout.toString();
}
