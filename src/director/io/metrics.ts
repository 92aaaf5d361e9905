// The director's figures in Prometheus' text format. Written by hand: what is counted per connection are plain numbers of
// ours, which a metrics library would have to be told of one by one.
import { stateOf } from "../pick.ts";
import { type BackendFigures, BUCKETS, type Histogram } from "./figures.ts";
import type { Director } from "./run.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number, suffix?: string];
type Type = "counter" | "gauge" | "histogram";

const STATES = ["up", "unknown", "ejected", "down", "draining", "gone"] as const;

/** All figures of a director. */
export function metricsText(director: Director): string {
  return [...listenerFamilies(director), ...backendFamilies(director), ...processFamilies(director), ""].join("\n");
}

function listenerFamilies(director: Director): readonly string[] {
  const proxies = [...director.proxies];
  const clients = proxies.map(([listener, { figures }]): Sample => [{ listener }, figures.clients]);
  const refused = proxies.flatMap(([listener, { figures }]) =>
    [...figures.refusals].map(([reason, count]): Sample => [{ listener, reason }, count]),
  );
  const waiting = proxies.map(([listener, { state }]): Sample => [{ listener }, state.queue.length]);
  const bound = proxies.map(([listener, proxy]): Sample => [{ listener }, proxy.bound]);
  const times = proxies.flatMap(([listener, { figures }]) => histogram({ listener }, figures.queueSeconds));
  return [
    family("clients_total", "counter", "Clients that came", clients),
    family("clients_refused_total", "counter", "Clients that got no backend, by reason", refused),
    family("clients_waiting", "gauge", "Clients that wait for a backend", waiting),
    family(
      "clients_bound",
      "gauge",
      "CQL clients that end with their backend, since they logged in in several steps",
      bound,
    ),
    family("queue_seconds", "histogram", "How long clients waited for a backend", times),
  ];
}

function backendFamilies(director: Director): readonly string[] {
  const nowMs = Date.now();
  const figures = [...director.proxies].flatMap(([listener, proxy]) =>
    [...proxy.figures.backends].map(([backend, known]) => ({ labels: { listener, backend, node: known.node }, known })),
  );
  const present = [...director.proxies].flatMap(([listener, proxy]) =>
    proxy.state.backends.map((backend) => {
      const { address, node } = backend.target;
      return { labels: { listener, backend: address, node }, backend };
    }),
  );
  const count = (name: string, help: string, read: (known: BackendFigures) => number): string => {
    const samples = figures.map(({ labels, known }): Sample => [labels, read(known)]);
    return family(`backend_${name}_total`, "counter", help, samples);
  };
  const states = present.flatMap(({ labels, backend }) =>
    STATES.map((state): Sample => [{ ...labels, state }, Number(stateOf(backend, nowMs) === state)]),
  );
  const open = present.map(({ labels, backend }): Sample => [labels, backend.connections]);
  const times = figures.flatMap(({ labels, known }) => histogram(labels, known.connectSeconds));
  return [
    family("backend_state", "gauge", "1 for the state that a backend is in", states),
    family("backend_connections", "gauge", "Connections, those being opened included", open),
    family("backend_connect_seconds", "histogram", "How long backends took to accept", times),
    count("connections", "Connections begun", ({ connections }) => connections),
    count("connect_errors", "Connections that were not accepted", ({ connectErrors }) => connectErrors),
    count("failures", "Connections ended without an answer", ({ failures }) => failures),
    count("ejections", "Ejections", ({ ejections }) => ejections),
    count("probe_failures", "Failed probes", ({ probeFailures }) => probeFailures),
    count("received_bytes", "Bytes from clients", ({ received }) => received.bytes),
    count("sent_bytes", "Bytes to clients", ({ sent }) => sent.bytes),
  ];
}

function processFamilies(director: Director): readonly string[] {
  const { user, system } = process.cpuUsage();
  return [
    family("source_connected", "gauge", "1 while the list of backends is current", [[{}, Number(director.connected)]]),
    `# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes ${process.memoryUsage.rss()}`,
    `# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ${(user + system) / 1e6}`,
  ];
}

function family(name: string, type: Type, help: string, samples: readonly Sample[]): string {
  const full = `ringmaster_director_${name}`;
  const lines = samples.map(([labels, value, suffix = ""]) => `${full}${suffix}${labelText(labels)} ${value}`);
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines].join("\n");
}

function histogram(labels: Labels, { counts, sum }: Histogram): readonly Sample[] {
  let total = 0;
  const buckets = counts.map((count, index): Sample => {
    total += count;
    return [{ ...labels, le: String(BUCKETS[index] ?? "+Inf") }, total, "_bucket"];
  });
  return [...buckets, [labels, sum, "_sum"], [labels, total, "_count"]];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, "_")}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
