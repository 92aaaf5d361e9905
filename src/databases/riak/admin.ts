// What changes a Riak ring, as things to ask one of its nodes. Every operation may be asked again from its beginning: what is
// done already is seen from what Riak says, and done is only what the ring itself shows.
import type { Json } from "../../std/json.ts";
import type { Answer, Ask, CommandLine, Place, Question, Verdict } from "../database.ts";
import type { AdminTask, NodeTask } from "../node.ts";
import {
  isNoAnswer,
  type MemberStatus,
  readClusterStatus,
  readMemberStatus,
  readPlan,
  readRingReady,
  readTransfers,
  said,
  type Staged,
} from "./printed.ts";
import { adminCommand, adminScript } from "./release.ts";

const COMMAND_TIMEOUT_MS = 60_000;
const AGAIN_MS = 3_000;
/** For what a ring does within seconds when nothing is wrong with it. */
const SHORT_MS = 300_000;
/** Handing over all of a large node took days where it was throttled. */
const HANDOFF_MS = 7 * 24 * 3_600_000;
/** Riak says "no transfers" for moments between batches: that many looks in a row must see a ring at rest. */
const LOOKS = 3;

/** Operations that an operator may ask for by name. */
export const OPERATIONS: readonly string[] = [
  "bucket-type-create",
  "bucket-type-update",
  "bucket-type-activate",
  "bucket-type-make",
  "cluster-clear",
  "remove-stranger",
  "settle",
];

/** The asks of an operation; undefined when there is none of that name or its `args` will not do. */
export function adminAsks(admin: AdminTask, task: NodeTask, place: Place): readonly Ask[] | undefined {
  const ring = new Ring(admin, task, place);
  const { node = "", to = "", old = "", nodes = "", type = "", props = "{}", member = "" } = admin.args;
  switch (admin.operation) {
    case "join":
      return to === "" ? undefined : ring.join(to);
    case "commit":
      return nodes === "" ? undefined : ring.commitJoins(nodes.split(","));
    case "settle":
      return ring.settle();
    case "leave":
      return ring.leave(node || task.node);
    case "down":
      return node === "" ? undefined : ring.markDown(node);
    case "force-remove":
      return node === "" ? undefined : ring.forceRemove(node);
    case "remove-stranger":
      return member === "" ? undefined : ring.removeStranger(member);
    case "force-replace":
      return node === "" || old === "" ? undefined : ring.forceReplace(old, node);
    case "cluster-clear":
      return [ring.ask("clearing staged changes", ["cluster", "clear"], unlessFailed(/^Cleared staged/m))];
    case "bucket-type-create":
    case "bucket-type-update":
      return type === ""
        ? undefined
        : ring.bucketType(admin.operation.endsWith("update") ? "update" : "create", type, props);
    case "bucket-type-activate":
      return type === "" ? undefined : ring.activate(type);
    case "bucket-type-make":
      return type === "" ? undefined : [...ring.bucketType("create", type, props), ...ring.activate(type)];
    default:
      return undefined;
  }
}

type Reader = (text: string) => Verdict;

function done(text: string, result?: Json): Verdict {
  return { type: "done", detail: said(text), ...(result === undefined ? {} : { result }) };
}

function again(detail: string, afterMs: number = AGAIN_MS): Verdict {
  return { type: "again", afterMs, detail };
}

function failed(detail: string): Verdict {
  return { type: "failed", detail };
}

/** Done when the text has `pattern`, failed otherwise. */
function unlessFailed(pattern: RegExp): Reader {
  return (text) => (pattern.test(text) ? done(text) : failed(said(text)));
}

/** "not a member": it is out of the ring, which is all that was wanted. */
const NOT_A_MEMBER = "is not a member of the cluster";
/** Riak asks for another try itself, or its claimant is about to change. */
const BUSY =
  /Try again|try again|see log for details|until cluster state has converged|is the claimant|Unable to get ring/;

class Ring {
  readonly #admin: AdminTask;
  readonly #task: NodeTask;
  readonly #place: Place;

  constructor(admin: AdminTask, task: NodeTask, place: Place) {
    this.#admin = admin;
    this.#task = task;
    this.#place = place;
  }

  join(to: string): readonly Ask[] {
    const hostname = this.#admin.members.find(({ node }) => node === to)?.hostname ?? "";
    const isNeighbour = hostname === this.#task.hostname && !hostname.includes(".");
    const host = isNeighbour ? this.#place.address : hostname;
    const command = adminScript(this.#task, this.#place, JOIN, [to, host]);
    const staged: Reader = (text) => {
      if (/^Success: staged join/m.test(text)) return done(text);
      if (/already a member of a\s+cluster/.test(text)) return { type: "done", detail: "the join is staged or done" };
      return /not reachable|Join failed|Unable to get ring|^no address/m.test(text)
        ? again(said(text))
        : failed(said(text));
    };
    const isIn = this.members(`looking whether it is in the ring of ${to}`, SHORT_MS, (ring) =>
      has(ring, to) && has(ring, this.#task.node)
        ? { type: "done", detail: "" }
        : again(`the ring is ${ring.nodes.map(({ id }) => id).join(", ")}, wanted ${to} in it`),
    );
    return [this.#asking(`staging the join to ${to}`, command, staged, SHORT_MS), isIn];
  }

  commitJoins(nodes: readonly string[]): readonly Ask[] {
    const isExpected = ({ action, nodes: [name = ""] }: Staged): boolean =>
      action === "join" && nodes.some((node) => isNode(name, node));
    const joined = this.members(`waiting until ${nodes.join(", ")} have joined`, SHORT_MS, (ring) => {
      const missing = nodes.filter(
        (node) => !ring.nodes.some(({ id, status }) => isNode(id, node) && status !== "joining"),
      );
      if (missing.length === 0) return { type: "done", detail: sumOf(ring), result: ring };
      // A claimant that went away has forgotten what was staged: no waiting brings that back.
      const lost = missing.filter((node) => !has(ring, node));
      return lost.length > 0
        ? failed(`${lost.join(", ")} is not in the ring`)
        : again(`${missing.join(", ")} is joining`);
    });
    return [...this.#planAndCommit(isExpected), joined];
  }

  settle(): readonly Ask[] {
    const script = "admin ringready; admin member-status; admin transfers";
    const command = adminScript(this.#task, this.#place, script, []);
    return Array.from({ length: LOOKS }, (_, look) =>
      this.#asking(`waiting for a ring at rest, look ${look + 1} of ${LOOKS}`, command, settled, HANDOFF_MS),
    );
  }

  leave(node: string): readonly Ask[] {
    const staged: Reader = (text) => {
      if (/^Success: staged leave|already in the process of leaving/m.test(text)) return done(text);
      if (text.includes(NOT_A_MEMBER)) return { type: "done", detail: `${node} is not in the ring` };
      return BUSY.test(text) ? again(said(text)) : failed(said(text));
    };
    return [
      this.#names(),
      this.#onMembers(`staging the leave of ${node}`, ["cluster", "leave"], [node], staged),
      ...this.#planAndCommit(({ action, nodes: [name = ""] }) => action === "leave" && isNode(name, node)),
      this.#gone(node, HANDOFF_MS),
    ];
  }

  markDown(node: string): readonly Ask[] {
    const marked: Reader = (text) => {
      if (text.includes("marked as down")) return done(text);
      if (text.includes(NOT_A_MEMBER)) return { type: "done", detail: `${node} is not in the ring` };
      return failed(said(text));
    };
    const claimant = this.ask("waiting for a claimant", ["cluster", "status"], (text) => {
      const status = readClusterStatus(text);
      const found = status?.nodes.find((one) => one.claimant);
      if (found === undefined) return again(said(text));
      if (isNode(found.node, node) || !found.avail.startsWith("up"))
        return again(`the claimant is ${found.node}, ${found.avail}`);
      return { type: "done", detail: `the claimant is ${found.node}` };
    });
    return [this.#names(), this.#onMembers(`marking ${node} as down`, ["down"], [node], marked), claimant];
  }

  forceRemove(node: string): readonly Ask[] {
    const staged: Reader = (text) => {
      if (/^Success: staged remove/m.test(text)) return done(text);
      if (text.includes(NOT_A_MEMBER)) return { type: "done", detail: `${node} is not in the ring` };
      return BUSY.test(text) ? again(said(text)) : failed(said(text));
    };
    return [
      ...this.markDown(node),
      this.#onMembers(`staging the removal of ${node}`, ["cluster", "force-remove"], [node], staged),
      ...this.#planAndCommit(({ action, nodes: [name = ""] }) => action === "force-remove" && isNode(name, node)),
      this.#gone(node, SHORT_MS),
    ];
  }

  /** Takes a dead member out that is none of the cluster's nodes, by its Erlang name. */
  removeStranger(member: string): readonly Ask[] {
    const known = this.#admin.members.find(({ node }) => isNode(member, node));
    if (known === undefined) return this.forceRemove(member.split("@")[0] ?? "");
    const detail = `${member} is node "${known.node}": wanted a member that is none; remove the node instead`;
    return [this.members(`looking whose ${member} is`, SHORT_MS, () => failed(detail))];
  }

  /** `node` has been staged to join. */
  forceReplace(old: string, node: string): readonly Ask[] {
    const staged: Reader = (text) => {
      if (/^Success: staged forced replacement|already staged to replace/m.test(text)) return done(text);
      if (text.includes(NOT_A_MEMBER)) return { type: "done", detail: `${old} is not in the ring` };
      return BUSY.test(text) ? again(said(text)) : failed(said(text));
    };
    const isExpected = ({ action, nodes: [name = "", by = ""] }: Staged): boolean =>
      (action === "join" && isNode(name, node)) ||
      (action === "force-replace" && isNode(name, old) && isNode(by, node));
    const isIn = this.members(`looking whether ${node} is in the ring`, SHORT_MS, (ring) =>
      ring.nodes.some(({ id, status }) => isNode(id, node) && status === "valid")
        ? { type: "done", detail: sumOf(ring), result: ring }
        : again(`${node} is not a valid member yet`),
    );
    return [
      ...this.markDown(old),
      this.#onMembers(`staging ${node} in the place of ${old}`, ["cluster", "force-replace"], [old, node], staged),
      ...this.#planAndCommit(isExpected),
      this.#gone(old, SHORT_MS),
      isIn,
    ];
  }

  bucketType(what: "create" | "update", type: string, props: string): readonly Ask[] {
    const read: Reader = (text) => {
      if (/^.* (?:created|updated)$/m.test(text)) return done(text);
      if (what === "create" && /already_active|already active/.test(text))
        return { type: "done", detail: `${type} is active already; its properties are as they were` };
      return failed(said(text));
    };
    return [this.ask(`bucket type ${type}: ${what}`, ["bucket-type", what, type, wrapped(props)], read)];
  }

  activate(type: string): readonly Ask[] {
    const read: Reader = (text) => {
      if (text.includes("has been activated")) return done(text);
      return text.includes("cannot be activated yet") ? again(said(text)) : failed(said(text));
    };
    return [this.ask(`bucket type ${type}: activate`, ["bucket-type", "activate", type], read)];
  }

  ask(say: string, args: readonly string[], read: Reader): Ask {
    return this.#asking(say, adminCommand(this.#task, this.#place, args), read, SHORT_MS);
  }

  members(say: string, patienceMs: number, read: (ring: MemberStatus) => Verdict): Ask {
    const command = adminCommand(this.#task, this.#place, ["member-status"]);
    const reading: Reader = (text) => {
      const ring = readMemberStatus(text);
      return ring === undefined ? again(said(text)) : read(ring);
    };
    return this.#asking(say, command, reading, patienceMs);
  }

  /** Riak only commits what it has shown. Changes that nobody here has staged are another's business: they are not committed. */
  #planAndCommit(isExpected: (staged: Staged) => boolean): readonly Ask[] {
    const plan = this.ask("planning", ["cluster", "plan"], (text) => {
      const changes = readPlan(text);
      if (changes === undefined) return BUSY.test(text) ? again(said(text)) : failed(said(text));
      const foreign = changes.filter((change) => !isExpected(change));
      if (foreign.length > 0) {
        const list = foreign.map(({ action, nodes }) => `${action} ${nodes.join(" ")}`).join(", ");
        return failed(`found staged by another: ${list}; commit it by hand, or run cluster-clear`);
      }
      return {
        type: "done",
        detail: changes.length === 0 ? "there are no staged changes" : `${changes.length} changes`,
      };
    });
    const commit = this.ask("committing", ["cluster", "commit"], (text) => {
      if (/^Cluster changes committed/m.test(text)) return done(text);
      // Without a plan there was nothing to commit: the ring, which is looked at next, shows whether that is so.
      if (/^You must verify the plan/m.test(text)) return { type: "done", detail: "there was nothing to commit" };
      return text.includes("until cluster state has converged") ? again(said(text)) : failed(said(text));
    });
    return [plan, commit];
  }

  #gone(node: string, patienceMs: number): Ask {
    return this.members(`waiting until ${node} is out of the ring`, patienceMs, (ring) => {
      const still = ring.nodes.find(({ id }) => isNode(id, node));
      if (still === undefined) return { type: "done", detail: sumOf(ring), result: ring };
      return again(`${still.id} is ${still.status} and owns ${still.ring_percentage}% of the ring`);
    });
  }

  /** Finds the members' full names, which have the hosts of their first days in them. */
  #names(): Ask {
    const read = (ring: MemberStatus): Verdict => {
      const names = ring.nodes.map(({ id }) => id);
      return { type: "done", detail: names.join(", "), result: names };
    };
    return this.members("looking who is in the ring", SHORT_MS, read);
  }

  /** A command about nodes by their ids, after `#names`. Riak itself says so when one of them is no member. */
  #onMembers(say: string, args: readonly string[], nodes: readonly string[], read: Reader): Ask {
    const question = (found: Json): Question => {
      const names = Array.isArray(found) ? found.map(String) : [];
      const full = nodes.map((node) => names.find((name) => isNode(name, node)) ?? `${node}@0.0.0.0`);
      return commandQuestion(adminCommand(this.#task, this.#place, [...args, ...full]));
    };
    return { say, question, read: answerReader(read), patienceMs: SHORT_MS };
  }

  #asking(say: string, command: CommandLine, read: Reader, patienceMs: number): Ask {
    return { say, question: commandQuestion(command), read: answerReader(read), patienceMs };
  }
}

function commandQuestion(command: CommandLine): Question {
  return { type: "command", command, timeoutMs: COMMAND_TIMEOUT_MS };
}

/** A node that does not answer for a moment is asked again. */
function answerReader(read: Reader): Ask["read"] {
  return (answer: Answer) => {
    if ("error" in answer) return again(answer.error);
    return isNoAnswer(answer.text) ? again(said(answer.text)) : read(answer.text);
  };
}

/** A host without a dot is one that only resolves: its node is named by its address. */
const JOIN = `case $2 in
  *.*) host=$2 ;;
  *) host=$(getent ahostsv4 "$2" | sed -n '1s/ .*//p') ;;
esac
[ -n "$host" ] || { echo "no address for $2"; exit; }
admin cluster join "$1@$host"`;

/** Whether a full name is that of the node with this id. */
function isNode(name: string, id: string): boolean {
  return name.startsWith(`${id}@`);
}

function has(ring: MemberStatus, node: string): boolean {
  return ring.nodes.some(({ id }) => isNode(id, node));
}

function sumOf({ valid, leaving, exiting, joining, down }: MemberStatus): string {
  return `valid ${valid}, leaving ${leaving}, exiting ${exiting}, joining ${joining}, down ${down}`;
}

/** A ring at rest: all members up and of one mind, nothing to be handed over, no one coming or going. */
function settled(text: string): Verdict {
  const [ready, ring, transfers] = [readRingReady(text), readMemberStatus(text), readTransfers(text)];
  if (ready === undefined || ring === undefined || transfers === undefined) return again(said(text));
  if (!ready.ready) {
    const why =
      "nodes_down" in ready.error ? `${ready.error.nodes_down.join(", ")} down` : "nodes list different owners";
    return again(`the ring is not ready: ${why}`);
  }
  const pending = ring.nodes.filter(({ pending_percentage }) => pending_percentage !== null);
  if (pending.length > 0) {
    const list = pending.map(
      ({ id, ring_percentage, pending_percentage }) => `${id} ${ring_percentage}% of ${pending_percentage}%`,
    );
    return again(`ownership moves: ${list.join(", ")}`);
  }
  const { waiting_to_handoff: waiting, stopped, active } = transfers;
  const partitions = [...waiting, ...stopped].reduce((sum, one) => sum + one.partitions, 0);
  if (partitions > 0 || active.length > 0)
    return again(`${partitions} partitions wait for handoff, ${active.length} transfers run`);
  if (ring.joining + ring.leaving + ring.exiting > 0) return again(sumOf(ring));
  return { type: "done", detail: sumOf(ring), result: ring };
}

/** Properties as Riak wants them: {"props": {…}}, in one line. What is no JSON goes as it is: Riak has the words for it. */
function wrapped(props: string): string {
  try {
    const read = JSON.parse(props) as unknown;
    const isWrapped = typeof read === "object" && read !== null && "props" in read;
    return JSON.stringify(isWrapped ? read : { props: read });
  } catch {
    return props;
  }
}
