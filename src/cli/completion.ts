// Completion scripts for bash, zsh and fish: static words, read off the commands.

/** What of a command is needed; commander's Command is one. */
export type Described = {
  name(): string;
  summary(): string;
  helpGroup(): string;
  readonly commands: readonly Described[];
  readonly options: readonly {
    readonly long?: string | undefined;
    readonly description: string;
    readonly required: boolean;
  }[];
  readonly registeredArguments: readonly { readonly argChoices?: readonly string[] | undefined }[];
};

/** The group of the modes in the root's help; their options are known to src/main.ts' rooms only. */
export const MODES_GROUP = "Modes:";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

type Word = { readonly word: string; readonly about: string };

/** `path` leads to the command, each word after a space: " cluster list"; "" is the program itself. */
type Place = { readonly path: string; readonly words: readonly Word[] };

/** The script that makes `shell` complete `program`. */
export function completionScript(shell: Shell, program: Described): string {
  const name = program.name();
  const places = placesOf(program, "", [{ word: "--help", about: "display help" }]);
  const valued = [...new Set(valuedOptions(program))];
  switch (shell) {
    case "bash":
      return bashScript(name, places, valued);
    case "zsh":
      return zshScript(name, places, valued);
    case "fish":
      return fishScript(name, places, valued);
  }
}

function placesOf(command: Described, path: string, inherited: readonly Word[]): readonly Place[] {
  const own = command.options.map((option) => ({ word: option.long ?? "", about: option.description }));
  const below = command.commands.map((inner) => ({ word: inner.name(), about: inner.summary() }));
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const isMode = command.helpGroup() === MODES_GROUP;
  const options = isMode ? [] : [...own.filter(({ word }) => word !== ""), ...inherited];
  const words = [...below, ...choices.map((word) => ({ word, about: "" })), ...options];
  const inner = command.commands.flatMap((next) =>
    placesOf(next, `${path} ${next.name()}`, isMode ? inherited : options),
  );
  return [{ path, words }, ...inner];
}

/** Options that take a value: after them the shell completes file names. */
function valuedOptions(command: Described): readonly string[] {
  const own = command.options.flatMap((option) => (option.required && option.long !== undefined ? [option.long] : []));
  return [...own, ...command.commands.flatMap(valuedOptions)];
}

const paths = (places: readonly Place[], separator: string): string =>
  places.flatMap(({ path }) => (path === "" ? [] : [`"${path}"`])).join(separator);

const cases = (places: readonly Place[]): string =>
  places.map(({ path, words }) => `    "${path}") words="${words.map(({ word }) => word).join(" ")}" ;;`).join("\n");

function bashScript(name: string, places: readonly Place[], valued: readonly string[]): string {
  return `# Completion of ${name} for bash: source <(${name} completion bash)
_${name}() {
  local at="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in ${paths(places, "|")}) at="$at $word" ;; esac
  done
  case "\${COMP_WORDS[COMP_CWORD-1]}" in ${valued.join("|")}) return ;; esac
  case "$at" in
${cases(places)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}
`;
}

function zshScript(name: string, places: readonly Place[], valued: readonly string[]): string {
  return `#compdef ${name}
# Completion of ${name} for zsh: source <(${name} completion zsh)
_${name}() {
  local at="" word words_here=""
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in ${paths(places, "|")}) at="$at $word" ;; esac
  done
  case "\${words[CURRENT-1]}" in ${valued.join("|")}) _files; return ;; esac
  case "$at" in
${cases(places).replaceAll(" words=", " words_here=")}
  esac
  compadd -- \${=words_here} || _files
}
compdef _${name} ${name}
`;
}

function fishScript(name: string, places: readonly Place[], valued: readonly string[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, words }) =>
    words.map(({ word, about }) => {
      const what = word.startsWith("--")
        ? `-l ${word.slice(2)}${valued.includes(word) ? " -r" : " -f"}`
        : `-f -a ${word}`;
      return `complete -c ${name} -n ${quoted(`__${name}_at "${path}"`)} ${what} -d ${quoted(about)}`;
    }),
  );
  return `# Completion of ${name} for fish: ${name} completion fish | source
function __${name}_at
  set -l at ""
  for word in (commandline -opc)[2..]
    contains -- "$at $word" ${paths(places, " ")}; and set at "$at $word"
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}
