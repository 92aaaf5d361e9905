// Defects that are planted on purpose, around the real decisions: the simulator has to see every one of them.
import { decide as executorDecide } from "../../src/executor/decide.ts";
import { destroyVolumes, type Operation } from "../../src/mesos/operations.ts";
import type { TaskInfo } from "../../src/mesos/task.ts";
import { decide } from "../../src/scheduler/decide.ts";
import type { Action, Event } from "../../src/scheduler/events.ts";
import type { NodeRecord, State } from "../../src/scheduler/state.ts";
import type { Json } from "../../src/std/json.ts";
import type { Plant } from "./world.ts";

type Change = (actions: readonly Action[], event: Event, state: State) => readonly Action[];

/** A plant that changes what a scheduler wants done. */
function doing(change: Change): Plant {
  return {
    scheduler: () => (state, event) => {
      const decision = decide(state, event);
      return { state: decision.state, actions: change(decision.actions, event, decision.state) };
    },
  };
}

/** A plant that changes what a scheduler knows before it decides; `first`: only with its first event. */
function knowing(change: (state: State, event: Event, isFirst: boolean) => State): Plant {
  return {
    scheduler: () => {
      let isFirst = true;
      return (state, event) => {
        const decision = decide(change(state, event, isFirst), event);
        isFirst = false;
        return decision;
      };
    },
  };
}

const NOTHING_EXPECTED = { expectData: false, expectMarker: false };

function isSave({ type }: Action): boolean {
  return type === "save" || type === "forget";
}

/** Moves actions of a type before the saves. */
function hurried(type: Action["type"]): Plant {
  return doing((actions) => [
    ...actions.filter((action) => action.type === type),
    ...actions.filter((action) => action.type !== type),
  ]);
}

function withNodes(state: State, change: (node: NodeRecord) => NodeRecord): State {
  const clusters = [...state.clusters].map(([name, { record, nodes }]) => {
    const changed = new Map([...nodes].map(([id, node]) => [id, change(node)] as const));
    return [name, { record, nodes: changed }] as const;
  });
  return { ...state, clusters: new Map(clusters) };
}

function withOperations(
  actions: readonly Action[],
  change: (operation: Operation) => readonly Operation[],
): readonly Action[] {
  return actions.map((action) =>
    action.type === "accept" ? { ...action, operations: action.operations.flatMap(change) } : action,
  );
}

/** Accepts the first offered volume that is meant, and destroys it. */
function destroying(isMeant: (owner: string | undefined, reservation: string, state: State) => boolean): Plant {
  return doing((actions, event, state) => {
    if (event.type !== "offers") return actions;
    for (const { id, resources } of event.offers) {
      const volume = resources.find(
        (resource) =>
          resource.volume !== undefined &&
          isMeant(ownerOf(resource.reservations.at(-1)?.labels), resource.volume.id, state),
      );
      const labels = volume?.reservations.at(-1)?.labels;
      if (volume === undefined || labels === undefined) continue;
      const rest = actions.filter((action) => !("offerIds" in action && action.offerIds.includes(id)));
      const others = actions.flatMap((action) =>
        "offerIds" in action && action.offerIds.includes(id) ? action.offerIds.filter((other) => other !== id) : [],
      );
      return [
        ...rest,
        { type: "accept", offerIds: [id], operations: [destroyVolumes([volume], labels)], refuseSeconds: 1 },
        ...(others.length === 0 ? [] : [{ type: "decline", offerIds: others, refuseSeconds: 1 } as const]),
      ];
    }
    return actions;
  });
}

function ownerOf(labels: Readonly<Record<string, string>> | undefined): string | undefined {
  return labels?.["ringmaster.framework"];
}

/** Every defect by its name, with the kinds of failure that show it. */
export const PLANTED: Readonly<Record<string, { readonly plant: Plant; readonly shownAs: readonly string[] }>> = {
  "a status is acknowledged before it is saved": { plant: hurried("acknowledge"), shownAs: ["order"] },
  "a command is answered before it is saved": { plant: hurried("reply"), shownAs: ["order"] },
  "a launch is sent before it is saved": { plant: hurried("accept"), shownAs: ["order"] },
  "offers are hoarded": {
    plant: doing((actions) => actions.filter(({ type }) => type !== "decline")),
    shownAs: ["offers"],
  },
  "offers are used before reconciliation": {
    plant: knowing((state) => ({ ...state, unreconciled: new Set() })),
    shownAs: ["reconciliation"],
  },
  "task ids are used again": {
    plant: knowing((state) => ({ ...state, nextLaunch: Math.min(3, state.nextLaunch) })),
    shownAs: ["ids"],
  },
  "numbers of launches are not reserved": {
    plant: doing((actions, _event, { framework }) =>
      actions.map((action) =>
        action.type === "save" && action.path === "framework"
          ? { ...action, record: { ...framework, launches: 1 } as Json }
          : action,
      ),
    ),
    shownAs: ["ids"],
  },
  "an unreachable node is launched elsewhere": {
    plant: {
      scheduler: () => (state, event) => {
        if (event.type !== "status" || event.status.state !== "TASK_UNREACHABLE") return decide(state, event);
        const lost = withNodes(state, (node) =>
          node.task?.taskId === event.status.taskId ? { ...node, joined: false, unheard: true } : node,
        );
        return decide(lost, { ...event, status: { ...event.status, state: "TASK_DROPPED" } });
      },
    },
    shownAs: ["two tasks", "two processes", "empty start"],
  },
  "a node is launched twice": {
    plant: doing((actions) =>
      withOperations(actions, (operation) => {
        if (operation.type !== "launch") return [operation];
        const again = operation.tasks.map((task): TaskInfo => ({
          ...task,
          taskId: task.taskId.replace(/\.(\d+)\./, ".9$1."),
        }));
        return [operation, { type: "launch", tasks: again }];
      }),
    ),
    shownAs: ["two tasks"],
  },
  "kills are forgotten": {
    plant: doing((actions) => actions.filter(({ type }) => type !== "kill" && type !== "shutdown")),
    shownAs: ["cluster", "plan"],
  },
  "executors that hang are never shut down": {
    plant: doing((actions) => actions.filter(({ type }) => type !== "shutdown")),
    shownAs: ["cluster", "plan"],
  },
  "the volume of a node that is kept is destroyed": {
    plant: destroying((owner, volume, state) => {
      const nodes = [...state.clusters.values()].flatMap((cluster) => [...cluster.nodes.values()]);
      return (
        owner === state.framework.frameworkId && nodes.some(({ place, joined }) => joined && place?.volume === volume)
      );
    }),
    shownAs: ["data"],
  },
  "volumes are destroyed without a look at the label": {
    plant: destroying((owner) => owner === "f-other"),
    shownAs: ["foreign"],
  },
  "a task that the store does not know is killed": {
    plant: doing((actions, event) => {
      if (event.type !== "status" || !event.status.taskId.startsWith("ringmaster-ghost-")) return actions;
      const { taskId, agentId = "" } = event.status;
      return [...actions, { type: "kill", taskId, agentId }];
    }),
    shownAs: ["foreign"],
  },
  "an empty volume is started on": {
    plant: {
      executor: () => (state, event) => {
        const decision = executorDecide(state, event);
        const { node } = decision.state;
        const forgiving = decision.actions.map((action) =>
          action.type === "prepare" ? { ...action, node: { ...action.node, ...NOTHING_EXPECTED } } : action,
        );
        return {
          state: node === undefined ? decision.state : { ...decision.state, node: { ...node, ...NOTHING_EXPECTED } },
          actions: forgiving,
        };
      },
    },
    shownAs: ["empty start"],
  },
  "an agent is promised whoever else is": {
    plant: doing((actions) =>
      actions.map((action) =>
        action.type === "declineInverseOffers" ? { ...action, type: "acceptInverseOffers" } : action,
      ),
    ),
    shownAs: ["promise"],
  },
  "nodes of an agent that is asked for are stopped whoever else is away": {
    plant: doing((actions, event, state) => {
      if (event.type !== "inverseOffers") return actions;
      const asked = event.inverseOffers.map(({ agentId }) => agentId);
      const nodes = [...state.clusters.values()].flatMap((cluster) => [...cluster.nodes.values()]);
      const kills = nodes.flatMap(({ task, place }): readonly Action[] =>
        task !== undefined && place !== undefined && asked.includes(place.agentId)
          ? [{ type: "kill", taskId: task.taskId, agentId: place.agentId }]
          : [],
      );
      return [...actions, ...kills];
    }),
    shownAs: ["quorum"],
  },
  "a restart loses the steps of plans": {
    plant: knowing((state, _event, isFirst) => {
      if (!isFirst) return state;
      const plans = [...state.plans].filter(([, { status }]) => status !== "running");
      return { ...state, plans: new Map(plans) };
    }),
    shownAs: ["cluster"],
  },
  "a restart loses what is to be given back": {
    plant: knowing((state, _event, isFirst) => (isFirst ? { ...state, leftovers: new Map() } : state)),
    shownAs: ["reservation", "cluster"],
  },
  "a framework is begun anew that Mesos has not removed": {
    plant: knowing((state, event) => {
      const isAsked = event.type === "command" && event.command.type === "registerFramework";
      const { framework } = state;
      return isAsked ? { ...state, framework: { ...framework, removed: { atMs: 0, message: "planted" } } } : state;
    }),
    shownAs: ["register"],
  },
  "a framework that is registered again starts on new volumes": {
    plant: {
      scheduler: () => (state, event) => {
        const decision = decide(state, event);
        const { framework } = decision.state;
        if (event.type !== "subscribed" || state.framework.frameworkId !== undefined) return decision;
        if (framework.formerIds === undefined) return decision;
        const anew = withNodes(decision.state, ({ place: _found, task: _ended, ...node }) => ({
          ...{ ...node, phase: "waiting", joined: false, healthy: false },
        }));
        return { ...decision, state: anew };
      },
    },
    shownAs: ["empty start", "lost write"],
  },
  "former ids of the framework are forgotten": {
    plant: knowing((state) => {
      const { formerIds: _former, ...framework } = state.framework;
      return { ...state, framework };
    }),
    shownAs: ["cluster", "plan", "framework"],
  },
  "a framework is torn down before all is given back": {
    plant: doing((actions, event) =>
      event.type === "command" && event.command.type === "uninstallFramework"
        ? [...actions, { type: "teardown" }]
        : actions,
    ),
    shownAs: ["teardown"],
  },
  "an accepted command is not saved": {
    plant: doing((actions, event) =>
      event.type === "command" ? actions.filter((action) => !isSave(action)) : actions,
    ),
    shownAs: ["cluster", "crash"],
  },
};
