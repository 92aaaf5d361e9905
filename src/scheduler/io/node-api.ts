// Asks a node's executor: the small HTTP API on the node's own "api" port.
import type { NodeRecord } from "../state.ts";

/** How long an executor may take; databases answer slowly while they start. */
const TIMEOUT_MS = 60_000;

type NodeAnswer =
  { readonly status: number; readonly answer: unknown } | { readonly status: 404 | 502; readonly error: string };

/** GET of a path below /v1/; the answer as JSON, or as the text that it is. */
export async function askExecutor(
  node: NodeRecord,
  path: string,
  token: string,
  timeoutMs = TIMEOUT_MS,
): Promise<NodeAnswer> {
  const port = node.place?.footprint.ports["api"];
  if (node.place === undefined || port === undefined || node.task === undefined) {
    return { status: 502, error: `Cannot ask node "${node.id}": it is ${node.phase} and has no executor` };
  }
  const url = `http://${node.place.hostname}:${port}/v1/${path}`;
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
    const text = await response.text();
    if (response.ok) return { status: response.status, answer: parsed(text) };
    const said = `${response.status} ${text.slice(0, 500)}`;
    const status = response.status === 404 ? 404 : 502;
    return { status, error: `Cannot ask node "${node.id}" for "${path}": it answered ${said}` };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { status: 502, error: `Cannot ask node "${node.id}" at "${url}": ${why}` };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
