// A node's end: the steps of its stop, its last update, the executor's exit.
import { failAdmin } from "./admin.ts";
import { giveUp } from "./errand.ts";
import type { Decided, ExecutorState, Outcome, Phase } from "./state.ts";
import { chain, update } from "./updates.ts";

/** Between two SIGKILLs: the first can come too early for a process that the kernel holds. */
const KILL_AGAIN_MS = 5_000;
/** Begins the stop, or makes one that is under way faster: drain at most half of the grace, SIGTERM, SIGKILL at its end. */
export function stop(state: ExecutorState, graceMs: number, outcome: Outcome, nowMs: number): Decided {
  const { phase } = state;
  const killMs = nowMs + graceMs;
  switch (phase.type) {
    case "idle": {
      const code = codeOf(outcome);
      return { state: { ...state, phase: { type: "ended", endedMs: nowMs, code } }, actions: [{ type: "exit", code }] };
    }
    case "ended":
      return { state, actions: [] };
    case "preparing":
      if (phase.step === "files")
        return { state: { ...state, phase: { ...phase, outcome: phase.outcome ?? outcome } }, actions: [] };
      return end(state, outcome, nowMs);
    case "stopping": {
      if (phase.step === "killing" || killMs >= phase.killMs) return { state, actions: [] };
      const faster = { ...phase, killMs, stepUntilMs: Math.min(phase.stepUntilMs, killMs) };
      return graceMs === 0 ? kill(state, faster, nowMs) : { state: { ...state, phase: faster }, actions: [] };
    }
    case "starting":
    case "serving":
      return chain(failAdmin(state, `the node is stopped: ${outcome.message}`, nowMs), (next) =>
        beginStop(next, phase, graceMs, outcome, nowMs),
      );
  }
}

type Stopping = Extract<Phase, { type: "stopping" }>;

function beginStop(
  state: ExecutorState,
  phase: Extract<Phase, { type: "starting" | "serving" }>,
  graceMs: number,
  outcome: Outcome,
  nowMs: number,
): Decided {
  const [stepUntilMs, killMs] = [nowMs + graceMs / 2, nowMs + graceMs];
  const stopping: Stopping = { type: "stopping", step: "draining", stepUntilMs, killMs, outcome };
  if (graceMs === 0) return kill(state, stopping, nowMs);
  const { unanswered, health } = phase.watch;
  // A node that does not answer, is no member yet or none any more, cannot hand anything over.
  const drains = phase.type === "serving" && unanswered === 0 && health.phase !== "left";
  if (!drains) return terminate(state, stopping);
  return { state: { ...state, phase: stopping }, actions: [{ type: "drain", timeoutMs: graceMs / 2 }] };
}

export function terminate(state: ExecutorState, phase: Stopping): Decided {
  const next: Stopping = { ...phase, step: "terminating", stepUntilMs: phase.killMs };
  return { state: { ...state, phase: next }, actions: [{ type: "signal", signal: "SIGTERM" }] };
}

export function kill(state: ExecutorState, phase: Stopping, nowMs: number): Decided {
  const next: Stopping = { ...phase, step: "killing", stepUntilMs: nowMs + KILL_AGAIN_MS };
  return { state: { ...state, phase: next }, actions: [{ type: "signal", signal: "SIGKILL" }] };
}

/** Nothing of the node goes on after this. The last update; the executor leaves when the agent has acknowledged everything. */
export function end(state: ExecutorState, outcome: Outcome, nowMs: number): Decided {
  if (state.phase.type === "ended") return { state, actions: [] };
  const code = codeOf(outcome);
  const ended: Decided = {
    state: { ...state, phase: { type: "ended", endedMs: nowMs, code } },
    actions: [
      ...("errand" in state.phase ? giveUp(state.phase.errand) : []),
      ...(state.companions.size > 0 ? [{ type: "endCompanions" } as const] : []),
    ],
  };
  return chain(
    chain(ended, (next) => update(next, next.taskId, outcome, nowMs)),
    exitWhenDone,
  );
}

function codeOf(outcome: Outcome): number {
  return outcome.state === "TASK_KILLED" || outcome.state === "TASK_FINISHED" ? 0 : 1;
}

export function exitWhenDone(state: ExecutorState): Decided {
  const { phase } = state;
  const heard = state.unacknowledgedUpdates.length === 0 || state.link.state === "lost";
  if (phase.type !== "ended" || !heard) return { state, actions: [] };
  return { state, actions: [{ type: "exit", code: phase.code }] };
}
