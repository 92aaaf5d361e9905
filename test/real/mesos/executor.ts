// The smallest executor on our own connection: runs nothing, says TASK_RUNNING, answers a message with what it
// is, and ends when its task was killed.
import { parseExecutorEnvironment } from "../../../src/mesos/executor-environment.ts";
import type { ExecutorUpdate, LaunchedTask } from "../../../src/mesos/executor-api.ts";
import { connectExecutor } from "../../../src/mesos/io/executor-connection.ts";
import type { TaskState } from "../../../src/mesos/task.ts";
import { createLog } from "../../../src/std/io/log.ts";

const tasks = new Map<string, LaunchedTask>();
const killed = new Set<string>();
const updates = new Map<string, ExecutorUpdate>();

const connection = connectExecutor({
  environment: parseExecutorEnvironment(process.env),
  unacknowledged: () => ({ tasks: [...tasks.values()], updates: [...updates.values()] }),
  log: createLog("executor", "info", false),
  onEvent: async (event) => {
    if (event.type === "launch") {
      tasks.set(event.task.taskId, event.task);
      report(event.task.taskId, "TASK_RUNNING", Buffer.from(event.task.data).toString());
    } else if (event.type === "kill") {
      killed.add(event.taskId);
      report(event.taskId, "TASK_KILLED", `after ${event.graceMs} ms`);
    } else if (event.type === "acknowledged") {
      tasks.delete(event.taskId);
      updates.delete(Buffer.from(event.uuid).toString("hex"));
      if (killed.has(event.taskId)) process.exit(0);
    } else if (event.type === "message") {
      connection.send({ type: "message", data: Buffer.from(JSON.stringify({ pid: process.pid, env: process.env })) });
    } else if (event.type === "shutdown" || event.type === "lost") {
      process.exit(0);
    }
  },
});

function report(taskId: string, state: TaskState, message: string): void {
  const uuid = Buffer.from(crypto.randomUUID().replaceAll("-", ""), "hex");
  const update = { taskId, state, message, uuid, timestampMs: Date.now(), labels: { from: "executor" } };
  updates.set(uuid.toString("hex"), update);
  connection.send({ type: "update", update });
}
