// The scheduler's figures in Prometheus' text format.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { State } from "../state.ts";

const CONTENT_SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** What the event loop reports as it goes; the rest is read off the state when somebody asks. */
export type Metrics = {
  readonly event: (type: string, decideSeconds: number) => void;
  readonly saved: (records: number, seconds: number) => void;
  readonly call: (type: string) => void;
  readonly text: () => Promise<string>;
};

export function createMetrics(state: () => State | undefined): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const events = new Counter({
    name: "ringmaster_events_total",
    help: "Events taken in, by type",
    labelNames: ["type"],
    registers,
  });
  const calls = new Counter({
    name: "ringmaster_mesos_calls_total",
    help: "Calls sent to Mesos, by type",
    labelNames: ["type"],
    registers,
  });
  const records = new Counter({
    name: "ringmaster_store_records_total",
    help: "Records written to the store",
    registers,
  });
  const decide = new Histogram({
    name: "ringmaster_decide_seconds",
    help: "Time to decide on one event",
    buckets: CONTENT_SECONDS,
    registers,
  });
  const save = new Histogram({
    name: "ringmaster_save_seconds",
    help: "Time to save one decision",
    buckets: CONTENT_SECONDS,
    registers,
  });
  addStateGauges(registry, state);
  addProcessGauges(registry);
  return {
    event: (type, decideSeconds) => {
      events.inc({ type });
      decide.observe(decideSeconds);
    },
    saved: (count, seconds) => {
      records.inc(count);
      save.observe(seconds);
    },
    call: (type) => calls.inc({ type }),
    text: () => registry.metrics(),
  };
}

function addStateGauges(registry: Registry, state: () => State | undefined): void {
  const registers = [registry];
  new Gauge({
    name: "ringmaster_nodes",
    help: "Nodes, by cluster and phase",
    labelNames: ["cluster", "phase"],
    registers,
    collect() {
      this.reset();
      for (const [cluster, { nodes }] of state()?.clusters ?? []) {
        for (const { phase } of nodes.values()) this.inc({ cluster, phase });
      }
    },
  });
  new Gauge({
    name: "ringmaster_nodes_wanted",
    help: "Nodes asked for, by cluster",
    labelNames: ["cluster"],
    registers,
    collect() {
      this.reset();
      for (const [cluster, { record }] of state()?.clusters ?? []) this.set({ cluster }, record.spec.nodes);
    },
  });
  const figure = (name: string, help: string, read: (state: State) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = state();
        this.set(now === undefined ? 0 : read(now));
      },
    });
  };
  figure("ringmaster_leader", "1 while this scheduler leads", () => 1);
  figure("ringmaster_mesos_connected", "1 while subscribed to a master", ({ connected }) => Number(connected));
  figure("ringmaster_offers_suppressed", "1 while Mesos is asked for no offers", ({ offers }) =>
    Number(offers.suppressed),
  );
  figure(
    "ringmaster_unreconciled_tasks",
    "Tasks whose state Mesos has not told yet",
    ({ unreconciled }) => unreconciled.size,
  );
  figure("ringmaster_leftover_reservations", "Reservations to be given back", ({ leftovers }) => leftovers.size);
  figure("ringmaster_orphans", "Tasks of ours that the store does not know", ({ orphans }) => orphans.size);
  figure(
    "ringmaster_active_plans",
    "Plans at work",
    ({ plans }) => [...plans.values()].filter(({ status }) => status === "running").length,
  );
}

function addProcessGauges(registry: Registry): void {
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: "process_cpu_seconds_total",
    help: "CPU time, user and system",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.set((user + system) / 1e6);
    },
  });
  new Gauge({ name: "process_start_time_seconds", help: "Start, in Unix time", registers }).set(
    Date.now() / 1000 - process.uptime(),
  );
  new Gauge({
    name: "ringmaster_event_loop_delay_p99_seconds",
    help: "Lateness of the event loop since the last scrape, 99th percentile",
    registers,
    collect() {
      this.set(delay.percentile(99) / 1e9);
      delay.reset();
    },
  });
}
