// What a driver's connection has settled with its node, so that another node can be told the same and take its place.
import { BodyReader, intBytes, shortBytes, stringListBytes } from "./body.ts";
import type { Compression } from "./compression.ts";
import {
  BadBytes,
  envelope,
  FRAMED_SINCE,
  HEAD_BYTES,
  type Head,
  joined,
  NOTHING,
  onStream,
  OPCODES,
} from "./envelopes.ts";
import type { Identity } from "./rows.ts";
import type { Statements } from "./statements.ts";

const CONSISTENCY_ONE = 1;
/** Events of nodes would lead a driver to them. */
export const EVENTS = ["SCHEMA_CHANGE"];

/** How a driver proved who it is. "other": in more than one step, which nobody can do again for it. */
type Login =
  | { readonly type: "none" }
  | { readonly type: "token"; readonly authenticator: string; readonly response: Uint8Array }
  | { readonly type: "other" };

export type Session = {
  readonly identity: Identity;
  readonly statements: Statements;
  /** STARTUP as the driver sent it. */
  startup: Uint8Array | undefined;
  /** What it asks for there: the driver's with its node, whichever that is. */
  compression: Compression | undefined;
  authenticator: string;
  login: Login;
  /** The server has accepted all of it. */
  established: boolean;
  keyspace: string | undefined;
  /** It is registered for EVENTS. */
  listens: boolean;
  /** Bytes of requests that are kept until they are answered. */
  keptBytes: number;
};

export function newSession(identity: Identity, statements: Statements): Session {
  return {
    ...{ identity, statements, startup: undefined, compression: undefined, authenticator: "", login: { type: "none" } },
    ...{ established: false, keyspace: undefined, listens: false, keptBytes: 0 },
  };
}

/** Whether another node can be told all that was settled. */
export function canBeReplayed({ established, login }: Session): boolean {
  return established && login.type !== "other";
}

/** A QUERY of our own on the stream of `head`. */
export function question(head: Omit<Head, "length">, query: string): Uint8Array {
  const text = new TextEncoder().encode(query);
  // Flags have four bytes since version 5.
  const flags = head.version >= FRAMED_SINCE ? intBytes(0) : Uint8Array.of(0);
  const body = joined([intBytes(text.length), text, shortBytes(CONSISTENCY_ONE), flags]);
  return envelope({ ...head, flags: 0, opcode: OPCODES.query }, body, false);
}

/** Sets the keyspace, on the stream of `head`. */
export function use(head: Omit<Head, "length">, keyspace: string): Uint8Array {
  return question(head, `USE "${keyspace.replaceAll('"', '""')}"`);
}

type Step = "startup" | "login" | "use" | "register";

/** Says to a server what was settled with another one. All on stream 0, one step after the other's answer. */
export class Replay {
  readonly #session: Session;
  readonly #head: Omit<Head, "length">;
  #steps: Step[];
  /** The keyspace that it was told. */
  #keyspace: string | undefined;
  /** "more": it goes on; otherwise why it cannot. */
  state: "more" | "done" | { readonly error: string } = "more";

  constructor(session: Session, version: number) {
    this.#session = session;
    this.#head = { version, flags: 0, stream: 0, opcode: OPCODES.startup };
    this.#steps = ["startup"];
    if (session.login.type !== "none") this.#steps.push("login");
    if (session.keyspace !== undefined) this.#steps.push("use");
    if (session.listens) this.#steps.push("register");
  }

  /** Whether it goes on, since another keyspace was set after it was told that. */
  goesOn(): boolean {
    if (this.state !== "done" || this.#keyspace === this.#session.keyspace) return false;
    this.#steps = ["use"];
    this.state = "more";
    return true;
  }

  /** What is said next. */
  next(): Uint8Array {
    const { startup, login, keyspace } = this.#session;
    switch (this.#steps[0]) {
      case "startup":
        return startup === undefined ? NOTHING : onStream(startup, 0);
      case "login":
        return login.type === "token" ? onStream(login.response, 0) : NOTHING;
      case "use":
        this.#keyspace = keyspace;
        return use(this.#head, keyspace ?? "");
      case "register":
        return envelope({ ...this.#head, opcode: OPCODES.register }, stringListBytes(EVENTS), false);
      default:
        return NOTHING;
    }
  }

  /** Hears the answer to the last step. */
  hear(head: Head, whole: Uint8Array): void {
    const step = this.#steps.shift();
    const wrong = this.#wrong(step, head, whole);
    if (wrong !== undefined) this.state = { error: wrong };
    else if (this.#steps.length === 0) {
      this.state = "done";
      this.goesOn();
    }
  }

  #wrong(step: Step | undefined, { opcode }: Head, whole: Uint8Array): string | undefined {
    const { login, authenticator } = this.#session;
    if (opcode === OPCODES.error) return `it refused the ${step} of a connection that moves: ${errorText(whole)}`;
    const wanted = {
      startup: login.type === "none" ? OPCODES.ready : OPCODES.authenticate,
      login: OPCODES.authSuccess,
      use: OPCODES.result,
      register: OPCODES.ready,
    }[step ?? "register"];
    if (opcode !== wanted)
      return `it answered the ${step} of a connection that moves with opcode ${opcode}, not ${wanted}`;
    if (step !== "startup" || login.type === "none") return undefined;
    // A password is for whom the driver gave it to.
    const asks = new BodyReader(whole, HEAD_BYTES).string();
    return asks === authenticator ? undefined : `it wants to know who connects by "${asks}", not "${authenticator}"`;
  }
}

function errorText(whole: Uint8Array): string {
  try {
    const body = new BodyReader(whole, HEAD_BYTES);
    body.int();
    return body.string();
  } catch (error) {
    if (error instanceof BadBytes) return "an error without words";
    throw error;
  }
}
