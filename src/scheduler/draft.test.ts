// A change that is given up halfway.
import { expect, test } from "bun:test";
import { Draft } from "./draft.ts";
import { initialState } from "./state.ts";

const FRAMEWORK = { schema: 1, name: "ringmaster", launches: 1, token: "t" };
const NOTHING = { clusters: new Map(), plans: new Map(), leftovers: new Map(), maintenance: new Map() };

test("a change that throws leaves state, records and actions as they were before it", () => {
  const settings = { role: "ringmaster", artifactUri: "https://artifacts.example/ringmaster", drainMs: 0 };
  const draft = new Draft(initialState(settings, 1, { framework: FRAMEWORK, ...NOTHING }), 1000);
  draft.putFramework({ ...FRAMEWORK, launches: 101 });
  draft.act({ type: "suppress" });
  const giveUp = (): void =>
    draft.attempt(() => {
      draft.putFramework({ ...FRAMEWORK, launches: 201 });
      draft.forgetEndpoint("ringmaster-demo-1");
      draft.act({ type: "revive" });
      throw new Error("it will not do");
    });
  expect(giveUp).toThrow("it will not do");
  const { state, actions } = draft.decision();
  expect(state.framework.launches).toBe(101);
  expect(actions).toEqual([
    { type: "save", path: "framework", record: { ...FRAMEWORK, launches: 101 } },
    { type: "suppress" },
  ]);
  expect(draft.attempt(() => "done")).toBe("done");
});
