// Where clients reach a node: what the scheduler tells directors, through the store and through its API.

/**
 * Record `endpoints/<node>`, written by the scheduler while the node serves; there is none for any other node. A director
 * keeps the last list it saw: a scheduler that is away changes nothing for clients.
 */
export type Endpoint = {
  readonly schema: 1;
  readonly cluster: string;
  readonly database: string;
  readonly node: string;
  readonly hostname: string;
  /** By name, as `Database.ports` has them. */
  readonly ports: Readonly<Record<string, number>>;
  readonly rack: string;
  /** The agent's fault domain zone, where Mesos knows one. */
  readonly zone?: string;
  /** "draining": to be stopped soon by a plan; no new connections. */
  readonly state: "serving" | "draining";
};
