// The director's admin API: the routes and shapes of the original, and what it had not: /ready and /metrics.
import { publicUrl, parseStoreUrl } from "../../store/url.ts";
import { stateOf } from "../pick.ts";
import type { Backend } from "../state.ts";
import { metricsText } from "./metrics.ts";
import type { Proxy } from "./proxy.ts";
import type { Director } from "./run.ts";

type Answer = { readonly status: number; readonly body: unknown };
const NAME = "([A-Za-z0-9._@-]{1,128})";
const CONFIGURE = new RegExp(`^/frameworks/${NAME}/clusters/${NAME}$`);

/** Serves it. Throws when it cannot listen. */
export function serveAdmin(
  director: Director,
  hostname: string,
  port: number,
): { readonly url: string; readonly stop: () => Promise<void> } {
  try {
    const server = Bun.serve({
      hostname,
      port,
      development: false,
      maxRequestBodySize: 64 * 1024,
      fetch: (request) => respond(director, request),
    });
    return { url: `http://${hostname}:${server.port}`, stop: () => server.stop(true) };
  } catch (error) {
    throw new Error(
      `Cannot serve the admin API on ${hostname}:${port}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

async function respond(director: Director, request: Request): Promise<Response> {
  const { pathname, origin } = new URL(request.url);
  if (pathname === "/metrics" && request.method === "GET")
    return new Response(metricsText(director), { headers: { "content-type": "text/plain; version=0.0.4" } });
  const { status, body } = await answer(director, request.method, pathname, origin);
  return Response.json(body, { status });
}

async function answer(director: Director, method: string, path: string, web: string): Promise<Answer> {
  const configured = CONFIGURE.exec(path);
  const wanted = configured === null ? "GET" : "PUT";
  if (configured === null && !Object.hasOwn(READS, path))
    return problem(404, `found no ${path}, wanted ${Object.keys(READS).join(", ")} or /metrics`);
  if (method !== wanted) return problem(405, `found ${method} ${path}, wanted ${wanted}`);
  if (configured !== null) return await configure(director, configured[1] ?? "", configured[2] ?? "");
  try {
    return (await READS[path]?.(director, web)) ?? problem(404, `found no ${path}`);
  } catch (error) {
    return problem(503, error instanceof Error ? error.message : String(error));
  }
}

function problem(status: number, error: string): Answer {
  return { status, body: { error } };
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

type Read = (director: Director, web: string) => Answer | Promise<Answer>;

const READS: Readonly<Record<string, Read>> = {
  "/status": (director, web) => ok({ status: statusOf(director, web) }),
  "/frameworks": ({ followed, options }) =>
    ok({ frameworks: options.from.type === "static" ? [] : [followed.framework] }),
  "/clusters": async (director) => ok({ clusters: await director.clusters() }),
  "/nodes": (director) => ok({ nodes: nodesOf(director) }),
  "/health": () => ok({ status: "OK" }),
  "/ready": (director) => {
    const why = director.unready();
    return why === undefined ? ok({ status: "OK" }) : { status: 503, body: { status: "not ready", reason: why } };
  },
};

async function configure(director: Director, framework: string, cluster: string): Promise<Answer> {
  const { from } = director.options;
  if (from.type === "static")
    return problem(409, "Cannot follow another cluster: the backends were named by hand with --backend");
  if (from.type === "scheduler" && framework !== director.followed.framework)
    return problem(409, `Cannot follow framework "${framework}": its scheduler's URL is not known, restart with it`);
  await director.configure({ framework, cluster });
  return ok({ framework, cluster });
}

function statusOf(director: Director, web: string): unknown {
  const { followed, options, connected } = director;
  const { from } = options;
  const zookeeper =
    from.type === "store" && from.url.startsWith("zk:")
      ? placeOf(from.url, followed.framework)
      : { hosts: [], nodes_location: "" };
  return {
    proxy: [...director.proxies].map(([name, proxy]) => ({
      name,
      local_ip: proxy.hostname,
      local_port: proxy.port,
      conn_timeout: options.connectTimeoutMs,
      act_timeout: 0,
      waiting: proxy.state.queue.length,
      bound: proxy.bound,
      nodes: proxy.state.backends.map((backend) => backendOf(backend, proxy)),
    })),
    web,
    zookeeper,
    source: {
      type: from.type,
      ...(from.type === "static" ? {} : { url: publicUrl(from.url) }),
      connected,
      ...followed,
    },
  };
}

function placeOf(url: string, framework: string): unknown {
  const place = parseStoreUrl(url);
  const [hosts, path] = place.type === "zookeeper" ? [place.servers, place.path] : [[], ""];
  return { hosts, nodes_location: `${path}/ringmaster/${framework}/endpoints` };
}

/** In the original's words; `act_time` is when the last connection began, in milliseconds of Unix time. */
function backendOf(backend: Backend, proxy: Proxy): unknown {
  const { target, connections } = backend;
  const figures = proxy.figures.backends.get(target.address);
  return {
    id: target.node,
    name: target.host,
    port: target.port,
    status: stateOf(backend, Date.now()),
    maxconn: proxy.state.settings.connectionsMax,
    pendconn: proxy.state.queue.length,
    actconn: connections,
    lasterr: figures?.lastError ?? backend.lastError ?? "",
    lasterrtime: figures?.lastErrorMs ?? 0,
    act_count: figures?.connections ?? 0,
    act_time: figures?.lastUsedMs ?? 0,
  };
}

function nodesOf(director: Director): unknown {
  const names = { pb: "protobuf", http: "http", cql: "cql" } as const;
  const nodes = new Map<string, Record<string, unknown>>();
  for (const [protocol, proxy] of director.proxies)
    for (const { target } of proxy.state.backends) {
      const node = nodes.get(target.node) ?? { name: target.node };
      nodes.set(target.node, { ...node, [names[protocol]]: { host: target.host, port: target.port } });
    }
  return [...nodes.values()];
}
