// What was asked of the framework, in a file: written, and made again.
import { EXIT, Failure } from "../failure.ts";
import type { Request, TaskOf } from "../request.ts";
import { ask, readAnswer } from "./http.ts";
import { pageText, type Terminal } from "./terminal.ts";

const PATH = "/api/v1/clusters";

export async function backup({ url }: Request, { file }: TaskOf<"backup">, terminal: Terminal): Promise<number> {
  const { ClustersViewSchema } = await import("../../databases/api.ts");
  const answer = await ask({ url, method: "GET", path: PATH });
  const { clusters } = readAnswer(ClustersViewSchema, answer);
  await terminal.write(file, `${answer.text}\n`);
  terminal.out(`${clusters.length === 1 ? "1 cluster is" : `${clusters.length} clusters are`} written to "${file}"`);
  return EXIT.ok;
}

export async function restore(request: Request, { file }: TaskOf<"restore">, terminal: Terminal): Promise<number> {
  const { url, json } = request;
  const { z } = await import("zod");
  const text = await terminal.read(file);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Failure(
      "usage",
      `Cannot read "${file}" as JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const FaredSchema = z.array(z.object({ name: z.string(), success: z.boolean(), reason: z.string().optional() }));
  const answer = await ask({ url, method: "PUT", path: PATH, body });
  const fared = readAnswer(FaredSchema, answer);
  if (json) terminal.out(answer.text);
  else
    for (const { name, success, reason = "" } of fared)
      terminal.out(pageText([success ? `Cluster "${name}" is being created` : `Cluster "${name}": ${reason}`]));
  const refused = fared.filter(({ success }) => !success).length;
  if (refused > 0) throw new Failure("refused", `Cannot make ${refused} of ${fared.length} clusters of "${file}"`);
  return EXIT.ok;
}
