// Carries out `doctor`: shows what does not fit together, and repairs what is safe, each thing once a person has said yes.
import type { FindingView } from "../../databases/api.ts";
import { doctorPage, findingLines, isWell } from "../doctor-page.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Request, TaskOf } from "../request.ts";
import { ask, readAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

export async function examine(request: Request, task: TaskOf<"doctor">, terminal: Terminal): Promise<number> {
  const { url, json } = request;
  if (task.repair && !task.yes && !terminal.attended)
    throw new Failure("usage", "Cannot repair unasked: found no terminal to ask at, wanted --yes");
  const { DiagnosisSchema } = await import("../../databases/api.ts");
  const answer = await ask({ url, method: "GET", path: "/api/v1/doctor" });
  const { findings } = readAnswer(DiagnosisSchema, answer);
  if (!task.repair) {
    terminal.out(json ? answer.text : pageText(doctorPage(findings)));
    return isWell(findings) ? EXIT.ok : EXIT.refused;
  }
  const repaired = new Set<string>();
  for (const finding of findings) {
    if (finding.repair === undefined) continue;
    if (await repair(request, finding, task.yes, terminal)) repaired.add(finding.id);
  }
  const left = findings.filter(({ id }) => !repaired.has(id));
  const summary = `Repaired: ${repaired.size}. Left: ${left.length}`;
  terminal.out(
    json ? JSON.stringify({ repaired: [...repaired], findings: left }) : pageText([summary, ...doctorPage(left)]),
  );
  return isWell(left) ? EXIT.ok : EXIT.refused;
}

/** Whether it was repaired. */
async function repair({ url }: Request, finding: FindingView, yes: boolean, terminal: Terminal): Promise<boolean> {
  if (!yes) {
    const question = `${pageText(findingLines(finding))}\nRepair it? Type yes: `;
    if ((await terminal.ask(question)) !== "yes") return false;
  }
  const { RepairedSchema } = await import("../../databases/api.ts");
  try {
    const path = `/api/v1/doctor/repairs/${encodeURIComponent(finding.id)}`;
    const { does, plan } = readAnswer(RepairedSchema, await ask({ url, method: "POST", path }));
    terminal.err(pageText([`${finding.id}: ${does}${plan === undefined ? "" : `, by plan ${plan}`}`]));
    return true;
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== "refused") throw error;
    terminal.err(pageText([`${finding.id}: ${error.message}`]));
    // What is not there any more is well.
    return error.status === 404;
  }
}
