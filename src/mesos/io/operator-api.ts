// Asks the leading master's operator API what there is.
import type { Credential } from "../leader.ts";
import { readAgents, readFrameworks, readTasks, type Sight } from "../sight.ts";

const TIMEOUT_MS = 30_000;

/** Looks at the master at `base` (the URL below which its API lies). Rejects with an Error that names the call. */
export async function lookAtMesos(base: string, credential: Credential | undefined): Promise<Sight> {
  const basic = credential && Buffer.from(`${credential.principal}:${credential.secret}`).toString("base64");
  const headers = {
    "content-type": "application/json",
    accept: "application/json",
    ...(basic === undefined ? {} : { authorization: `Basic ${basic}` }),
  };
  const ask = async (type: string): Promise<unknown> => {
    const url = `${base}/api/v1`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify({ type }),
      signal,
      proxy: false,
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    throw new Error(`Cannot ask "${url}" for ${type}: found ${response.status} "${text.slice(0, 200)}", wanted 200`);
  };
  const [agents, tasks, frameworks] = await Promise.all([ask("GET_AGENTS"), ask("GET_TASKS"), ask("GET_FRAMEWORKS")]);
  return { agents: readAgents(agents), tasks: readTasks(tasks), frameworks: readFrameworks(frameworks) };
}
