// What requests that change nothing are answered.
import { unreachable } from "../std/assert.ts";
import { get, values } from "./names.ts";
import { keyOf, nameIn, type SharedName } from "./record.ts";
import type { Registration, State } from "./state.ts";
import { dumpAnswer, type EpmdNode, namesAnswer, portAnswer, type Request } from "./wire.ts";

type Question = Extract<Request, { readonly type: "port" | "address" | "names" | "namesAt" | "dump" }>;

export function answerTo(state: State, question: Question): Uint8Array {
  const { port } = state.settings;
  switch (question.type) {
    case "port":
      return portAnswer(find(state, question.name)?.node);
    case "address": {
      const found = find(state, question.name);
      return portAnswer(found?.node, found?.host);
    }
    case "names":
      return namesAnswer(port, registered(state).map(toNode));
    case "namesAt":
      return namesAnswer(port, namesAt(state, question.host));
    case "dump": {
      const former = [...state.former.values()];
      return dumpAnswer(port, registered(state).map(toDumped), former.map(toDumped));
    }
    default:
      return unreachable(question);
  }
}

/** A node of that name, here or elsewhere, and its host ("" when the names are not shared). */
function find(state: State, name: string): { readonly node: EpmdNode; readonly host: string } | undefined {
  const registration = get(state.local, name);
  if (registration !== undefined && registration.answerByMs === undefined)
    return { node: registration.node, host: state.settings.shared?.host ?? "" };
  const key = state.folder.size === 0 ? undefined : keyOf(name);
  const shared = key === undefined ? undefined : nameIn(state.folder, key);
  return shared === undefined || shared === "unreadable" || isOurs(state, shared) ? undefined : shared;
}

/** What the folder says of ourselves may be of a moment ago: we know better. */
function isOurs(state: State, shared: SharedName): boolean {
  return shared.owner === state.settings.shared?.owner;
}

/** The nodes registered here, the latest first, as epmd lists them. Those of other agents are on other machines. */
function registered(state: State): readonly Registration[] {
  return [...values(state.local)]
    .filter(({ answerByMs }) => answerByMs === undefined)
    .sort((a, b) => b.serial - a.serial);
}

function namesAt(state: State, host: string): readonly EpmdNode[] {
  const elsewhere: EpmdNode[] = [];
  for (const key of state.folder.keys()) {
    const shared = nameIn(state.folder, key);
    if (shared === undefined || shared === "unreadable" || isOurs(state, shared)) continue;
    if (shared.host === host && get(state.local, shared.node.name) === undefined) elsewhere.push(shared.node);
  }
  const here = host === state.settings.shared?.host ? registered(state).map(toNode) : [];
  return [...here, ...elsewhere];
}

function toNode({ node }: Registration): EpmdNode {
  return node;
}

function toDumped({ node, connection }: Pick<Registration, "node" | "connection">) {
  return { name: node.name, port: node.port, connection };
}
