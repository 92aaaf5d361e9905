// What the doctor may repair: none of it can touch a volume. Each looks again, since time has passed since the diagnosis.
import type { Draft } from "./draft.ts";
import type { Repair, Reply } from "./events.ts";
import { unreachable } from "../std/assert.ts";
import { findNode } from "./state.ts";

export function carryOutRepair(draft: Draft, repair: Repair): Reply {
  const { state } = draft;
  switch (repair.type) {
    case "reconcile":
      draft.set({ reconcile: { attempt: 0, nextMs: draft.nowMs } });
      return { type: "done" };
    case "forgetLeftover":
      if (!state.leftovers.has(repair.reservation)) return refused(`no leftover "${repair.reservation}"`, "one");
      draft.forgetLeftover(repair.reservation);
      return { type: "done" };
    case "forgetEndpoint":
      if (findNode(state, repair.node) !== undefined) return refused(`a node "${repair.node}"`, "none of that name");
      draft.forgetEndpoint(repair.node);
      return { type: "done" };
    case "giveBack": {
      const { reservation } = repair.leftover.place;
      const nodes = [...state.clusters.values()].flatMap((cluster) => [...cluster.nodes.values()]);
      const owner = nodes.find(({ place }) => place?.reservation === reservation);
      if (owner !== undefined) return refused(`reservation "${reservation}" with node "${owner.id}"`, "it with nobody");
      if (!state.leftovers.has(reservation)) draft.putLeftover(repair.leftover);
      return { type: "done" };
    }
    default:
      return unreachable(repair);
  }
}

function refused(found: string, wanted: string): Reply {
  return { type: "refused", why: "conflict", message: `Cannot repair: found ${found}, wanted ${wanted}`, faults: [] };
}
