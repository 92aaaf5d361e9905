// Asks a running director by its admin API, and tells which servers the commands ask.
import { EXIT } from "../failure.ts";
import type { Page } from "../page.ts";
import type { Request, TaskOf } from "../request.ts";
import { valuePage } from "../tables.ts";
import { ask, type Server } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

const DIRECTOR: Server = { name: "the director", hint: "--director or RINGMASTER_DIRECTOR_URL" };

export async function readDirector(
  { json }: Request,
  { director: url, read }: TaskOf<"directorRead">,
  terminal: Terminal,
): Promise<number> {
  const answer = await ask({ url, method: "GET", path: `/${read}`, server: DIRECTOR });
  terminal.out(json ? answer.text : pageText(directorPage(answer.json)));
  return EXIT.ok;
}

/** What is inside the one field that every answer has. */
function directorPage(answer: unknown): Page {
  const fields: readonly unknown[] = typeof answer === "object" && answer !== null ? Object.values(answer) : [answer];
  const [inner] = fields;
  return Array.isArray(inner) && inner.length === 0 ? ["none"] : valuePage(inner);
}

export async function configureDirector(
  { json }: Request,
  { director: url, framework, cluster }: TaskOf<"directorConfigure">,
  terminal: Terminal,
): Promise<number> {
  const path = `/frameworks/${encodeURIComponent(framework)}/clusters/${encodeURIComponent(cluster)}`;
  const answer = await ask({ url, method: "PUT", path, server: DIRECTOR });
  terminal.out(json ? answer.text : `The director follows cluster "${cluster}" of framework "${framework}"`);
  return EXIT.ok;
}

export function showLocal({ url, json }: Request, terminal: Terminal): number {
  const or = (name: string, otherwise: string): string => terminal.env[name] ?? otherwise;
  const local = {
    scheduler: url,
    director: or("RINGMASTER_DIRECTOR_URL", "http://127.0.0.1:9000"),
    marathon: or("RINGMASTER_MARATHON", ""),
  };
  terminal.out(json ? JSON.stringify(local) : pageText(valuePage(local)));
  return EXIT.ok;
}
