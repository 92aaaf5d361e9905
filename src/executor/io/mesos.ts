// The executor under a Mesos agent: the agent's events in, status updates out.
import { join } from "node:path";
import { findDatabase } from "../../databases/all.ts";
import { parseExecutorEnvironment } from "../../mesos/executor-environment.ts";
import { connectExecutor, type ExecutorConnectionEvent } from "../../mesos/io/executor-connection.ts";
import { Recorder } from "../../std/io/recorder.ts";
import { type Run, startRun } from "./run.ts";
import { say } from "./say.ts";

/** Returns the exit code. Throws when the environment is not an agent's. */
export async function runUnderMesos(): Promise<number> {
  const environment = parseExecutorEnvironment(process.env);
  const sandbox = process.env["MESOS_SANDBOX"] ?? process.env["MESOS_DIRECTORY"] ?? process.cwd();
  const agentEndpoint = process.env["MESOS_AGENT_ENDPOINT"];

  const records = process.env["RINGMASTER_RECORD_DIR"] ?? "";
  const recorder =
    records === "" ? undefined : new Recorder("executor", join(records, `${environment.executorId}.jsonl`), say);
  const run = startRun({
    workplace: {
      sandbox,
      packages: sandbox,
      say,
      ...(agentEndpoint === undefined ? {} : { agentEndpoint }),
    },
    find: findDatabase,
    timings: { shutdownGraceMs: environment.shutdownGraceMs },
    ...(recorder === undefined ? {} : { recorder }),
    send: (update) => connection.send({ type: "update", update }),
  });
  const connection = connectExecutor({
    environment,
    log: { warn: (fields: unknown, text?: unknown) => say(`${String(text)}: ${JSON.stringify(fields)}`) },
    unacknowledged: () => {
      const { unacknowledgedTasks: tasks, unacknowledgedUpdates: updates } = run.state();
      return { tasks, updates };
    },
    onEvent: async (event) => handOn(run, event),
  });
  const interrupt = (): void => run.tell({ type: "interrupted" });
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  void connection.ended.then((error) => {
    if (error !== undefined) run.tell({ type: "lost", reason: error.message });
  });
  try {
    return await run.done;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    await connection.close();
  }
}

function handOn(run: Run, event: ExecutorConnectionEvent): void {
  if (event.type !== "callFailed") {
    run.tell(event);
  } else if (event.call.type === "update") {
    run.tell({ type: "refused", update: event.call.update });
  }
}
