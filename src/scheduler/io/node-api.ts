// Asks a node's executor: the small HTTP API on the node's own "api" port.
import type { NodeRecord } from "../state.ts";

/** How long an executor may take; databases answer slowly while they start. */
const TIMEOUT_MS = 30_000;

export type NodeAnswer =
  { readonly status: number; readonly answer: unknown } | { readonly status: 404 | 502; readonly error: string };

/** One of the database's reads ("status", …), as the executor answers it. */
export async function readNode(node: NodeRecord, read: string, token: string): Promise<NodeAnswer> {
  const port = node.place?.footprint.ports.api;
  if (node.place === undefined || port === undefined || node.task === undefined) {
    return { status: 502, error: `Cannot ask node "${node.id}": it is ${node.phase} and has no executor` };
  }
  const url = `http://${node.place.hostname}:${port}/v1/read/${encodeURIComponent(read)}`;
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (response.status === 404)
      return { status: 404, error: `Cannot ask node "${node.id}": it has no read "${read}"` };
    return { status: response.status, answer: parsed(text) };
  } catch (error) {
    return {
      status: 502,
      error: `Cannot ask node "${node.id}" at ${url}: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
