// Carries out what is about the framework itself: its new beginning and its end.
import { EXIT, Failure } from "../failure.ts";
import { leftText } from "../framework-page.ts";
import type { Request, TaskOf } from "../request.ts";
import { confirm } from "./change.ts";
import { followFramework } from "./follow.ts";
import { ask, readAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

export async function register({ url, json, program }: Request, terminal: Terminal): Promise<number> {
  const answer = await ask({ url, method: "POST", path: "/api/v1/framework/register" });
  terminal.out(
    json
      ? answer.text
      : pageText([`The framework subscribes again, under a new id. See it: ${program} framework info`]),
  );
  return EXIT.ok;
}

export async function uninstall(request: Request, task: TaskOf<"uninstall">, terminal: Terminal): Promise<number> {
  const { url, json, program } = request;
  const { FrameworkViewSchema } = await import("../../databases/api.ts");
  const view = readAnswer(FrameworkViewSchema, await ask({ url, method: "GET", path: "/api/v1/framework" }));
  if (!task.yes) {
    const names = view.clusters.map(({ name }) => `"${name}"`).join(", ") || "none";
    await confirm(terminal, `uninstall framework "${view.name}" and all its data`, "framework's name", view.name, () =>
      Promise.resolve(`This destroys all clusters (${names}) and their data, and ends framework "${view.name}".`),
    );
  }
  const answer = await ask({ url, method: "POST", path: "/api/v1/framework/uninstall", body: { force: task.force } });
  if (task.waitMs === undefined) {
    const left = leftText(readAnswer(FrameworkViewSchema, answer));
    terminal.out(
      json
        ? answer.text
        : pageText([`Framework "${view.name}" is being uninstalled; ${left}`, `Follow it: ${program} framework info`]),
    );
    return EXIT.ok;
  }
  const { view: end, text, over } = await followFramework(terminal, url, task.waitMs);
  if (json) terminal.out(text);
  if (!over)
    throw new Failure(
      "timeout",
      `Waited ${task.waitMs / 1000} s; ${leftText(end)}. It goes on: ${program} framework info`,
    );
  if (end.status === "removed")
    throw new Failure(
      "refused",
      `Cannot uninstall framework "${view.name}": Mesos has removed it meanwhile; ${leftText(end)}. Register it, then uninstall it again: ${program} framework register`,
    );
  if (!json) terminal.out(`Framework "${view.name}" is uninstalled`);
  return EXIT.ok;
}
