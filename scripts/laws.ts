// The house's laws that no linter knows: the import arrows, where effects may stand, names, and texts that must not be there.
import { posix } from "node:path";
import { parseSync } from "oxc-parser";

/** One broken law. `message` says what was found and, after the colon, what to do instead. */
export type Violation = { readonly path: string; readonly line: number; readonly message: string };

/** `path:line message`, as it is printed. */
export function violationText(violation: Violation): string {
  return `${violation.path}:${violation.line} ${violation.message}`;
}

/** What each room under src/ may import besides itself. main.ts may import every room. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  std: [],
  store: ["std"],
  mesos: ["std"],
  databases: ["std"],
  cli: ["std", "databases"],
  cepmd: ["std", "store", "databases"],
  director: ["std", "store", "databases"],
  executor: ["std", "store", "databases", "mesos"],
  scheduler: ["std", "store", "databases", "mesos"],
};

const TAKE_TIME = "take `nowMs` from the event";
const TAKE_CHANCE = "keep a seed in the state and use src/std/random.ts";
const LET_IO = "return an action and let io/ carry it out";
const LET_IO_WAIT = "return an action and let io/ wait; what it brings back is an event";

/** Globals that only io/, ui/ and main.ts may use: what they do, and what to do instead. */
const EFFECTS: Readonly<Record<string, readonly [does: string, instead: string]>> = {
  performance: ["reads the clock with performance", TAKE_TIME],
  Temporal: ["reads the clock with Temporal", TAKE_TIME],
  crypto: ["rolls dice with crypto", TAKE_CHANCE],
  setTimeout: ["waits with setTimeout", LET_IO_WAIT],
  setInterval: ["waits with setInterval", LET_IO_WAIT],
  setImmediate: ["waits with setImmediate", LET_IO_WAIT],
  queueMicrotask: ["waits with queueMicrotask", LET_IO_WAIT],
  Promise: ["waits with Promise", LET_IO_WAIT],
  Bun: ["touches the outside with Bun", LET_IO],
  process: [
    "touches the outside with process",
    "take what it needs as an argument, or return an action and let io/ do it",
  ],
  fetch: ["touches the outside with fetch", LET_IO],
  WebSocket: ["touches the outside with WebSocket", LET_IO],
  Worker: ["touches the outside with Worker", LET_IO],
  console: ["prints with console", "return a Reason or an action and let io/ print or log it"],
};

/** Node's modules that compute only. Every other one is for io/, ui/ and main.ts. */
const PURE_MODULES = new Set(["node:assert", "node:buffer", "node:path", "node:url", "node:util"]);

/** Packages that wait, log or touch the outside. */
const OUTSIDE_PACKAGES = new Set(["bun", "node-zookeeper-client", "pino", "pino-pretty", "prom-client"]);

const BANNED_WORDS = /^(utils?|utilities|helpers?|managers?|factory|factories|impls?)$/;

// Two patterns instead of lists, so that this file need not name what no file may name.
const REGISTRY_HOST =
  /\b(?:(?:registry|repo\d*|deb|proxy|static|files|index)\.(?!example)[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|io|net|org)|(?:pypi|crates)\.(?:io|org))\b/i;
const MACHINE_PATH = /(?<![\w.})\]*-])\/(?:work|farm)\/(?=\w)/;

type Node = { readonly type: string; readonly start: number; readonly [key: string]: unknown };
type Import = { readonly specifier: string; readonly start: number };
type Found = { readonly start: number; readonly message: string };

/** Whether the file may wait, read a clock, roll dice, log and touch the outside. */
function mayTouchOutside(path: string): boolean {
  return !path.startsWith("src/") || /\/(?:io|ui)\//.test(path) || /\/main\.ts$|\.test\.tsx?$|\.d\.ts$/.test(path);
}

/** The room under src/ that a path belongs to; "main.ts" for src/main.ts; undefined outside src/. */
function roomOf(path: string): string | undefined {
  return path.startsWith("src/") ? path.split("/")[1] : undefined;
}

/** All violations in one file of the repository. `path` is relative to its root. */
export function checkFile(path: string, source: string): readonly Violation[] {
  const found = [...nameLaws(path), ...textLaws(path, source)];
  if (/\.tsx?$/.test(path)) found.push(...codeLaws(path, source));
  const lines = found.map(({ start, message }) => ({ path, line: lineAt(source, start), message }));
  const seen = new Set<string>();
  return lines
    .filter((violation) => !seen.has(violationText(violation)) && seen.add(violationText(violation)))
    .sort((a, b) => a.line - b.line);
}

function lineAt(source: string, offset: number): number {
  let line = 1;
  for (let at = source.indexOf("\n"); at !== -1 && at < offset; at = source.indexOf("\n", at + 1)) line += 1;
  return line;
}

function nameLaws(path: string): readonly Found[] {
  const word = bannedWord(posix.basename(path));
  return word === undefined
    ? []
    : [{ start: 0, message: `is called "${word}": name the file after what it knows or decides` }];
}

/** The first banned word in a camelCase, kebab-case or dotted name. */
function bannedWord(name: string): string | undefined {
  return name.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g)?.find((word) => BANNED_WORDS.test(word.toLowerCase()));
}

function textLaws(path: string, source: string): readonly Found[] {
  const found: Found[] = [];
  const host = REGISTRY_HOST.exec(source);
  if (host !== null)
    found.push({
      start: host.index,
      message: `names the host "${host[0]}": name the package, its client knows the registry`,
    });
  const place = MACHINE_PATH.exec(source);
  if (place !== null)
    found.push({
      start: place.index,
      message: `names the path "${place[0]}" of one machine: make it relative to the file or take it as an argument`,
    });
  const code = /\.tsx?$/.test(path);
  const shell = !code && source.startsWith("#!");
  if (shell) {
    const left = /#.*\b(TODO|FIXME)\b/.exec(source);
    if (left !== null) found.push({ start: left.index, message: `has a ${left[1]}: do it, or leave it out` });
  }
  const body = source.replace(/^#!.*\n/, "");
  if ((shell && !/^(?:#|""")/.test(body)) || (code && !/^\/[/*]/.test(body)))
    found.push({ start: 0, message: "starts without a comment: say in one or two lines what the file is for" });
  return found;
}

function codeLaws(path: string, source: string): readonly Found[] {
  const parsed = parseSync(path, source, { sourceType: "module" });
  const error = parsed.errors[0];
  if (error !== undefined)
    return [
      { start: error.labels[0]?.start ?? 0, message: `cannot be parsed (${error.message}): mend the syntax first` },
    ];
  const program = parsed.program as unknown as Node;
  const found: Found[] = [];
  const imports: Import[] = [];
  for (const { moduleRequest } of parsed.module.staticImports)
    imports.push({ specifier: moduleRequest.value, start: moduleRequest.start });
  for (const { entries } of parsed.module.staticExports)
    for (const { moduleRequest, exportName, start } of entries) {
      if (moduleRequest !== null) imports.push({ specifier: moduleRequest.value, start: moduleRequest.start });
      const word = exportName.name === null ? undefined : bannedWord(exportName.name);
      if (word !== undefined)
        found.push({
          start,
          message: `exports "${exportName.name}": "${word}" says nothing, name what it knows or decides`,
        });
    }
  for (const { start, end, value } of parsed.comments)
    found.push(...commentLaws(start, value, source.slice(start, end)));
  const declared = declaredNames(program);
  const pure = !mayTouchOutside(path);
  walk(program, undefined, "", false, (node, parent, key, inTypes) => {
    found.push(...anywhereLaws(node));
    const specifier = dynamicSpecifier(node);
    if (specifier !== undefined) imports.push({ specifier, start: node.start });
    if (pure) found.push(...effectLaws(node, parent, key, inTypes, declared));
  });
  for (const { specifier, start } of imports)
    found.push(...importLaws(path, specifier).map((message) => ({ start, message })));
  return found;
}

function commentLaws(start: number, text: string, whole: string): readonly Found[] {
  const found: Found[] = [];
  const left = /\b(?:TODO|FIXME)\b/.exec(text);
  if (left !== null)
    found.push({ start: start + whole.indexOf(left[0]), message: `has a ${left[0]}: do it, or leave it out` });
  const silenced = /@ts-(?:ignore|expect-error|nocheck)/.exec(text);
  if (silenced !== null) found.push({ start, message: `silences the compiler with ${silenced[0]}: mend the type` });
  if (/(?:eslint|oxlint)-disable/.test(text) && !/ -- \S/.test(text))
    found.push({
      start,
      message: 'silences the linter without a reason: mend the code, or add " -- why" to the comment',
    });
  return found;
}

/** Laws about one syntax node that hold in every file. */
function anywhereLaws(node: Node): readonly Found[] {
  if (node.type === "TSAnyKeyword")
    return [{ start: node.start, message: "gives a type up with any: use unknown and narrow it" }];
  const member = memberText(node);
  if (member !== undefined && /^(?:test|it|describe)\.(?:only|skip|todo)$/.test(member))
    return [{ start: node.start, message: `uses ${member}: every test runs, every time` }];
  return [];
}

/** `object.property` for a plain member expression of a name. */
function memberText(node: Node): string | undefined {
  if (node.type !== "MemberExpression" || node.computed === true) return undefined;
  const { object, property } = node as unknown as { object: Node; property: Node };
  return object.type === "Identifier" ? `${String(object.name)}.${String(property.name)}` : undefined;
}

/** The module that `import("x")` loads, or that a type `import("x").T` names. */
function dynamicSpecifier(node: Node): string | undefined {
  if (node.type !== "ImportExpression" && node.type !== "TSImportType") return undefined;
  const value = (node.source as { value?: unknown }).value;
  return typeof value === "string" ? value : undefined;
}

/** Why `path` must not import `specifier`: none or one message. */
function importLaws(path: string, specifier: string): readonly string[] {
  const room = roomOf(path);
  if (room === undefined) return [];
  const pure = !mayTouchOutside(path);
  if (!specifier.startsWith(".")) {
    if (!pure) return [];
    const outside = specifier.startsWith("node:")
      ? !PURE_MODULES.has(specifier)
      : OUTSIDE_PACKAGES.has(specifier.replace(/:.*/, ""));
    return outside ? [`imports ${specifier}: ${LET_IO}, or move the file into io/`] : [];
  }
  const target = posix.join(posix.dirname(path), specifier);
  const targetRoom = roomOf(target);
  if (targetRoom === undefined) {
    if (/^(?:test|bench|scripts)\//.test(target))
      return [
        `imports ${target}: nothing under src/ imports it; move what both need into src/, or the test into test/`,
      ];
    return pure ? [`imports ${target}: only io/, ui/ and main.ts carry files; take its content as an argument`] : [];
  }
  if (targetRoom === "main.ts") return [`imports ${target}: nothing imports it; move what you need into a room`];
  if (room !== "main.ts" && targetRoom !== room) {
    const allowed = ARROWS[room];
    if (allowed === undefined)
      return [`lies in src/${room}/, which is no room: use one of ${Object.keys(ARROWS).join(", ")}`];
    if (!allowed.includes(targetRoom)) {
      const may = allowed.length === 0 ? "nothing but itself" : allowed.join(", ");
      return [`imports ${target}: ${room} may import ${may}; meet on the wire, or move what both need there`];
    }
  }
  if (pure && /\/(?:io|ui)\//.test(target))
    return [
      `imports ${target}: core never imports io/ or ui/, not even a type; move the type here, or this file into io/`,
    ];
  return [];
}

/** Effects at one node of a file that must be pure. `inTypes`: inside an interface or a type, where Promise is only named. */
function effectLaws(
  node: Node,
  parent: Node | undefined,
  key: string,
  inTypes: boolean,
  declared: ReadonlySet<string>,
): readonly Found[] {
  const at = (does: string, instead: string): readonly Found[] => [
    { start: node.start, message: `${does}: ${instead}` },
  ];
  if (node.async === true) return at("waits in an async function", LET_IO_WAIT);
  if (node.type === "AwaitExpression" || (node.type === "ForOfStatement" && node.await === true))
    return at("waits with await", LET_IO_WAIT);
  const member = memberText(node);
  if (member === "Date.now") return at("reads the clock with Date.now", TAKE_TIME);
  if (member === "Math.random") return at("rolls dice with Math.random", TAKE_CHANCE);
  if (node.type === "MetaProperty" && (node.meta as Node).name === "import")
    return at("touches the outside with import.meta", LET_IO);
  if (node.type === "NewExpression" || node.type === "CallExpression") {
    const { callee, arguments: given } = node as unknown as { callee: Node; arguments: readonly Node[] };
    const isDate = callee.type === "Identifier" && callee.name === "Date";
    if (isDate && (given.length === 0 || node.type === "CallExpression"))
      return at("reads the clock with Date()", TAKE_TIME);
  }
  if (node.type !== "Identifier" || !isReference(parent, key)) return [];
  const name = String(node.name);
  const effect = Object.hasOwn(EFFECTS, name) && !declared.has(name) ? EFFECTS[name] : undefined;
  return effect === undefined || (name === "Promise" && inTypes) ? [] : at(...effect);
}

/** Whether an identifier at `key` of `parent` reads a name, rather than being a property's or a member's. */
function isReference(parent: Node | undefined, key: string): boolean {
  if (parent === undefined || parent.computed === true) return true;
  if (/^(?:Import|Export).*Specifier$|^TSEnumMember$|^LabeledStatement$|^TSNamedTupleMember$/.test(parent.type))
    return false;
  return (
    key !== "key" &&
    !(parent.type === "MemberExpression" && key === "property") &&
    !(parent.type === "TSQualifiedName" && key === "right")
  );
}

/** Names that the file itself declares anywhere (a parameter called `process` is not the global). */
function declaredNames(program: Node): ReadonlySet<string> {
  const names = new Set<string>();
  const declare = (patterns: unknown): void => {
    for (const name of patternNames(patterns)) names.add(name);
  };
  walk(program, undefined, "", false, (node) => {
    if (node.type === "VariableDeclarator" || /^(?:Function|Class)Declaration$/.test(node.type)) declare(node.id);
    if (/^Import.*Specifier$/.test(node.type)) declare(node.local);
    if (node.type === "CatchClause") declare(node.param);
    declare(node.params);
  });
  return names;
}

/** The names that a binding pattern, or a list of them, brings in. */
function patternNames(pattern: unknown): readonly string[] {
  if (Array.isArray(pattern)) return pattern.flatMap(patternNames);
  if (!isNode(pattern)) return [];
  if (pattern.type === "Identifier") return [String(pattern.name)];
  const { properties, elements, value, left, argument, parameter } = pattern;
  return [properties, elements, value, left, argument, parameter].flatMap(patternNames);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

type Visit = (node: Node, parent: Node | undefined, key: string, inTypes: boolean) => void;

/** Visits every syntax node below and including `node`. */
function walk(node: Node, parent: Node | undefined, key: string, inTypes: boolean, visit: Visit): void {
  visit(node, parent, key, inTypes);
  const inner = inTypes || node.type === "TSInterfaceDeclaration" || node.type === "TSTypeAliasDeclaration";
  for (const [name, value] of Object.entries(node))
    for (const child of Array.isArray(value) ? (value as readonly unknown[]) : [value])
      if (isNode(child)) walk(child, node, name, inner, visit);
}

const LONGEST_FILE = 400;
const LONGEST_FUNCTION = 70;

/** What is no violation but a question to answer: a long file, a long function (tests apart). */
export function questions(path: string, source: string): readonly Violation[] {
  if (!/\.tsx?$/.test(path)) return [];
  const found: Violation[] = [];
  const lines = lineAt(source, source.trimEnd().length);
  if (lines > LONGEST_FILE) found.push({ path, line: 1, message: `has ${lines} lines: which two things does it do?` });
  if (/\.test\.tsx?$|^test\//.test(path)) return found;
  walk(parseSync(path, source).program as unknown as Node, undefined, "", false, (node, parent) => {
    if (!/^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) return;
    const line = lineAt(source, node.start);
    const length = lineAt(source, Number(node.end)) - line + 1;
    const name = [node.id, parent?.id, parent?.key].flatMap(patternNames)[0] ?? "a function";
    if (length > LONGEST_FUNCTION)
      found.push({ path, line, message: `${name} has ${length} lines: which steps does it have?` });
  });
  return found;
}
