// Completion scripts: what bash offers for a line that is being typed, and the other shells' words.
import { expect, test } from "bun:test";
import { completionScript, type Described, type Shell } from "./completion.ts";
import { readArguments } from "./program.ts";

function scriptOf(shell: Shell): string {
  const reading = readArguments(["completion", shell], {});
  if (reading.type === "request") throw new Error("completion gave a request");
  return reading.out;
}

/** The words that bash offers for the last word of the line. */
async function offered(...line: readonly string[]): Promise<readonly string[]> {
  const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ringmaster; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = Bun.spawn(["bash", "--norc", "-c", `${scriptOf("bash")}\n${ask}`, "bash", ...line], {
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return text.split("\n").filter((word) => word !== "");
}

test("bash offers commands, modes and options where they may stand", async () => {
  expect(await offered("ringmaster", "c")).toEqual(["cluster", "config", "completion", "cepmd"]);
  expect(await offered("ringmaster", "director", "con")).toEqual(["configure", "config"]);
  expect(await offered("ringmaster", "director", "install", "demo", "--m")).toEqual(["--mem", "--marathon"]);
  expect(await offered("ringmaster", "cluster", "")).toEqual([
    ...[
      "create",
      "list",
      "set",
      "info",
      "endpoints",
      "wait-for-service",
      "update",
      "config",
      "config-advanced",
      "restart",
    ],
    ...["add-node", "destroy"],
    ...["--url", "--json", "--help"],
  ]);
  expect(await offered("ringmaster", "--json", "cluster", "create", "demo", "--s")).toEqual([
    "--setting-file",
    "--set",
  ]);
  expect(await offered("ringmaster", "node", "bucket-type", "")).toEqual([
    ...["list", "create", "update", "activate"],
    ...["--url", "--json", "--help"],
  ]);
  expect(await offered("ringmaster", "node", "log", "tail", "ringmaster-demo-1", "--l")).toEqual(["--lines"]);
  expect(await offered("ringmaster", "node", "transfers", "ringmaster-demo-1", "--w")).toEqual(["--wait-for-service"]);
  expect(await offered("ringmaster", "plan", "show", "list", "--f")).toEqual(["--follow"]);
  expect(await offered("ringmaster", "completion", "z")).toEqual(["zsh"]);
});

test("bash offers nothing of ours where a file or a mode's option stands", async () => {
  expect(await offered("ringmaster", "cluster", "create", "--file", "")).toEqual([]);
  expect(await offered("ringmaster", "executor", "--")).toEqual([]);
});

const SMALL: Described = {
  name: () => "ring",
  summary: () => "",
  helpGroup: () => "",
  options: [{ long: "--url", description: "the scheduler's URL", required: true }],
  registeredArguments: [],
  commands: [
    {
      name: () => "list",
      summary: () => "list it",
      helpGroup: () => "",
      options: [{ long: "--all", description: "all of it", required: false }],
      registeredArguments: [{ argChoices: ["here"] }],
      commands: [],
    },
  ],
};

test("zsh gets the same words", () => {
  const script = completionScript("zsh", SMALL);
  expect(script).toStartWith("#compdef ring\n");
  expect(script).toContain(
    '    "") words_here="list --url --help" ;;\n    " list") words_here="here --all --url --help" ;;\n',
  );
  expect(script).toContain('case "${words[CURRENT-1]}" in --url) _files; return ;; esac');
});

test("fish gets each word with what it is for", () => {
  expect(completionScript("fish", SMALL)).toEndWith(`end
complete -c ring -n '__ring_at ""' -f -a list -d 'list it'
complete -c ring -n '__ring_at ""' -l url -r -d 'the scheduler\\'s URL'
complete -c ring -n '__ring_at ""' -l help -f -d 'display help'
complete -c ring -n '__ring_at " list"' -f -a here -d ''
complete -c ring -n '__ring_at " list"' -l all -f -d 'all of it'
complete -c ring -n '__ring_at " list"' -l url -r -d 'the scheduler\\'s URL'
complete -c ring -n '__ring_at " list"' -l help -f -d 'display help'
`);
});
