// Metrics and states of several processes as one.
import { expect, test } from "bun:test";
import { sumMetrics, sumStatus } from "./sum.ts";

const text = (clients: number, connected: number, more = ""): string =>
  `# HELP c Clients\n# TYPE c counter\nc{listener="pb"} ${clients}\n${more}# TYPE ringmaster_director_source_connected gauge\nringmaster_director_source_connected ${connected}\n`;

test("metrics are added up by series, and a yes is what all say", () => {
  const summed = sumMetrics([text(1, 1), text(2.5, 0, 'c{listener="http"} 4\n')]);
  expect(summed).toBe(text(3.5, 0, 'c{listener="http"} 4\n'));
  expect(sumMetrics([])).toBe("");
});

test("of states the counts are added up, node by node", () => {
  const state = (actconn: number, id: string, web: string): unknown => ({
    status: { proxy: [{ name: "pb", local_port: 8087, waiting: 1, nodes: [{ id, actconn, port: 1 }] }], web },
  });
  expect(sumStatus([state(1, "a", "x"), state(2, "a", "y"), state(4, "b", "z")])).toEqual({
    status: {
      proxy: [{ name: "pb", local_port: 8087, waiting: 3, nodes: [{ id: "a", actconn: 3, port: 1 }] }],
      web: "x",
    },
  });
});
