// Routes of Riak Mesos' own that have no other name here: which versions there are, and bucket types made in one go.
import { createRoute, z } from "@hono/zod-openapi";
import { AcceptedSchema } from "../../databases/api.ts";
import {
  type Api,
  type ApiScheduler,
  bodyOf,
  changed,
  command,
  json,
  leading,
  NodeParam,
  problem,
  Refusal,
} from "./api-answers.ts";
import { ask } from "./api-nodes.ts";

const TypeParam = NodeParam.extend({ type: z.string() });
const PropsSchema = z.object({ props: z.record(z.string(), z.unknown()) });
const TypesSchema = z.object({
  bucket_types: z.array(z.object({ id: z.string(), active: z.boolean().optional() }).loose()),
});

export function addRiakRoutes(app: Api, scheduler: ApiScheduler): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/riak/versions",
      summary: "The versions of Riak that clusters run, with their packages",
      responses: { 200: json(z.object({ riak_versions: z.record(z.string(), z.string()) }), "By name"), 503: problem },
    }),
    (c) => {
      const specs = [...leading(scheduler).clusters.values()].map(({ record }) => record.spec);
      const versions = specs
        .filter(({ database }) => database === "riak")
        .map(({ version, package: { uri } }) => [`riak-kv-${version.replaceAll(".", "-")}`, uri] as const);
      return c.json({ riak_versions: Object.fromEntries(versions) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/clusters/{cluster}/nodes/{node}/types/{type}",
      summary: "One of Riak's bucket types",
      request: { params: TypeParam },
      responses: { 200: json(z.record(z.string(), z.unknown()), "By its name"), 404: problem, 502: problem },
    }),
    async (c) => {
      const { cluster, node, type } = c.req.valid("param");
      const found = (await typesOf(scheduler, cluster, node)).find(({ id }) => id === type);
      if (found === undefined) throw new Refusal(404, `Cannot find bucket type "${type}" on node "${node}"`);
      return c.json({ [type]: found }, 200);
    },
  );
  addMakeType(app, scheduler);
}

function addMakeType(app: Api, scheduler: ApiScheduler): void {
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/api/v1/clusters/{cluster}/nodes/{node}/types/{type}",
    summary: "Create and activate one of Riak's bucket types, or change one that is active",
    request: { params: TypeParam, body: { content: { "application/json": { schema: PropsSchema } } } },
    responses: { ...changed, 202: json(AcceptedSchema.extend({ operation: z.string() }), "Saved; the plan does it") },
  });
  app.post("/api/v1/clusters/:cluster/nodes/:node/types/:type", async (c) => {
    const { cluster, node, type } = c.req.param();
    const asked = PropsSchema.safeParse(await bodyOf(c));
    if (!asked.success)
      throw new Refusal(400, `Cannot make bucket type "${type}": wanted its properties, as in {"props":{"n_val":3}}`);
    const found = (await typesOf(scheduler, cluster, node)).find(({ id }) => id === type);
    const operation = found?.active === true ? "bucket-type-update" : "bucket-type-make";
    const args = { type, props: JSON.stringify(asked.data) };
    return c.json(
      { ...(await command(scheduler, { type: "operate", cluster, node, operation, args })), operation },
      202,
    );
  });
}

async function typesOf(
  scheduler: ApiScheduler,
  cluster: string,
  node: string,
): Promise<z.infer<typeof TypesSchema>["bucket_types"]> {
  const { answer } = await ask(scheduler, cluster, node, "bucket-types", "read/bucket-types");
  const read = TypesSchema.safeParse(answer);
  if (read.success) return read.data.bucket_types;
  throw new Refusal(
    502,
    `Cannot read the bucket types of node "${node}": found ${JSON.stringify(answer).slice(0, 300)}`,
  );
}
