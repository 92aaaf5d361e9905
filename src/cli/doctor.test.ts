// The doctor's command: what it prints, what it asks before it repairs, and how it ends.
import { afterEach, expect, test } from "bun:test";
import { DiagnosisSchema, type FindingView, RepairedSchema } from "../databases/api.ts";
import { problem, run, standIn, stopStandIns } from "./io/stand-in.ts";

afterEach(stopStandIns);

const STALE: FindingView = {
  id: "endpoint:ringmaster-demo-9",
  severity: "warning",
  what: 'The store has an endpoint of "ringmaster-demo-9", which is no node',
  why: "directors send clients there",
  advice: "remove the record",
  repair: "remove the record",
};
const NOTE: FindingView = { id: "drained:n", severity: "info", what: "Agent drained", why: "w", advice: "a" };
const REPAIR = "POST /api/v1/doctor/repairs/endpoint%3Aringmaster-demo-9";

function diagnosis(...findings: readonly FindingView[]): Response {
  return Response.json(DiagnosisSchema.parse({ findings }));
}

function repaired(): Response {
  return Response.json(RepairedSchema.parse({ id: STALE.id, does: "remove the record" }), { status: 202 });
}

test("says when all is well, ends with 0 for notes alone, and with 1 for more", async () => {
  expect(await run(standIn({ "GET /api/v1/doctor": diagnosis() }), ["doctor"])).toEqual({
    code: 0,
    out: "Store, Mesos and databases agree\n",
    err: "",
  });
  expect((await run(standIn({ "GET /api/v1/doctor": diagnosis(NOTE) }), ["doctor"])).code).toBe(0);
  const { code, out } = await run(standIn({ "GET /api/v1/doctor": diagnosis(STALE, NOTE) }), ["doctor"]);
  expect([code, out]).toEqual([
    1,
    'warning: The store has an endpoint of "ringmaster-demo-9", which is no node\n  why it matters: directors send clients there\n' +
      "  what to do: remove the record\n  --repair would: remove the record\n  (endpoint:ringmaster-demo-9)\n\n" +
      "info: Agent drained\n  why it matters: w\n  what to do: a\n  (drained:n)\n",
  ]);
});

test("repairs only what a person has said yes to", async () => {
  const scheduler = standIn({ "GET /api/v1/doctor": diagnosis(STALE, NOTE), [REPAIR]: repaired() });
  const no = await run(scheduler, ["doctor", "--repair"], { answer: "no" });
  expect([no.code, no.err.includes("Repair it? Type yes"), no.out.split("\n")[0]]).toEqual([
    1,
    true,
    "Repaired: 0. Left: 2",
  ]);
  expect(scheduler.calls.some(({ route }) => route === REPAIR)).toBe(false);
  const yes = await run(scheduler, ["doctor", "--repair"], { answer: "yes" });
  expect([yes.code, yes.out.split("\n")[0]]).toEqual([0, "Repaired: 1. Left: 1"]);
});

test("without a person it wants --yes, and a repair that is refused is left", async () => {
  const scheduler = standIn({ "GET /api/v1/doctor": diagnosis(STALE), [REPAIR]: problem(409, "Cannot repair") });
  expect((await run(scheduler, ["doctor", "--repair"])).code).toBe(2);
  expect(scheduler.calls).toEqual([]);
  const { code, out, err } = await run(scheduler, ["doctor", "--repair", "--yes", "--json"]);
  expect([code, JSON.parse(out)]).toEqual([1, { repaired: [], findings: [STALE] }]);
  expect(err).toBe("endpoint:ringmaster-demo-9: Cannot repair\n");
});
