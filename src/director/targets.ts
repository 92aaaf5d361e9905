// From what a source of backends says to the targets of each listener.
import type { Endpoint } from "../databases/endpoint.ts";
import type { Protocol, Target } from "./state.ts";

/** The port's name in an endpoint, by protocol. */
const PORT_NAMES: Readonly<Record<Protocol, string>> = { http: "http", pb: "pb", cql: "native" };

export const PROTOCOLS: readonly Protocol[] = ["http", "pb", "cql"];

/** The cluster's nodes that have a port of the protocol. */
export function targetsOf(endpoints: readonly Endpoint[], cluster: string, protocol: Protocol): readonly Target[] {
  return endpoints.flatMap((endpoint) => {
    const port = endpoint.ports[PORT_NAMES[protocol]];
    if (port === undefined || endpoint.cluster !== cluster) return [];
    const { node, hostname: host, rack, zone, state } = endpoint;
    const address = `${host}:${port}`;
    return [
      { address, host, port, node, rack, ...(zone === undefined ? {} : { zone }), draining: state === "draining" },
    ];
  });
}

/** A backend named by hand. */
export function staticTarget({ host, port }: { readonly host: string; readonly port: number }): Target {
  const address = `${host}:${port}`;
  return { address, host, port, node: address, draining: false };
}

/** Reads an endpoint's record. Undefined: it is none, or of a version that this binary does not know. */
export function readEndpoint(value: unknown): Endpoint | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { schema, cluster, database, node, hostname, ports, rack, zone, state } = value as Record<string, unknown>;
  if (schema !== 1 || typeof ports !== "object" || ports === null) return undefined;
  const texts = [cluster, database, node, hostname, rack];
  if (!texts.every((text) => typeof text === "string") || (state !== "serving" && state !== "draining"))
    return undefined;
  if (zone !== undefined && typeof zone !== "string") return undefined;
  if (!Object.values(ports).every((port) => Number.isInteger(port) && port > 0 && port < 65_536)) return undefined;
  return value as Endpoint;
}
