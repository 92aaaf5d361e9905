// Where Mesos' masters are, as an operator writes it, and what ZooKeeper and redirects say about the leading one.

/** Where to look for the leading master. */
export type Masters =
  | { readonly type: "zookeeper"; readonly servers: string; readonly path: string; readonly digest?: string }
  | { readonly type: "urls"; readonly urls: readonly URL[] };

/** Credentials for HTTP basic authentication. */
export type Credential = { readonly principal: string; readonly secret: string };

const FORMS = `"zk://host:port,.../path", "http://host:port", "host:port" or a comma separated list of the latter two`;

/** A master's HTTP API lies below this path unless its URL has another. */
const MASTER_PATH = "/master";

/** Reads `zk://[user:password@]host:port,.../path` or a comma separated list of URLs. Throws with found and wanted. */
export function parseMasters(text: string): Masters {
  return text.startsWith("zk://")
    ? parseZooKeeper(text)
    : { type: "urls", urls: text.split(",").map((url) => parseUrl(url, text)) };
}

function parseZooKeeper(text: string): Masters {
  const match = /^zk:\/\/(?:(?<digest>[^@/]+:[^@/]*)@)?(?<servers>[^@/]+)(?<path>\/.*)?$/u.exec(text);
  const { digest, servers = "", path = "/" } = match?.groups ?? {};
  const wellFormed = servers.split(",").every((server) => /^[A-Za-z0-9._-]+(?::\d{1,5})?$/u.test(server));
  if (match === null || !wellFormed) {
    throw new Error(
      `Cannot find Mesos: found "${hidden(text)}", wanted "zk://[user:password@]host:port,.../path" with names or IPv4 addresses`,
    );
  }
  const trimmed = path.replace(/\/+$/u, "");
  return {
    type: "zookeeper",
    servers,
    path: trimmed === "" ? "/" : trimmed,
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The text without a password. */
function hidden(text: string): string {
  return text.replace(/\/\/[^@/]*@/u, "//***@");
}

function parseUrl(text: string, all: string): URL {
  const trimmed = text.trim();
  const full = /^[a-z][a-z0-9+.-]*:\/\//iu.test(trimmed) ? trimmed : `http://${trimmed}`;
  const url = URL.parse(full);
  if (
    trimmed === "" ||
    url === null ||
    !["http:", "https:"].includes(url.protocol) ||
    url.search !== "" ||
    url.hash !== ""
  ) {
    throw new Error(
      `Cannot find Mesos: found "${hidden(trimmed)}"${all === text ? "" : ` in "${hidden(all)}"`}, wanted ${FORMS}`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error(
      `Cannot find Mesos: found a password in "${hidden(trimmed)}", wanted the credential to be given apart from the URL`,
    );
  }
  return url;
}

/** The URL below which a master's API lies, with no slash at its end: `http://m:5050` has it at `http://m:5050/master`. */
export function apiBase(url: URL): string {
  const path = url.pathname.replace(/\/+$/u, "");
  return url.origin + (path === "" ? MASTER_PATH : path);
}

/** Where the master with this API base tells its version: beside, not below, `/master`. */
export function versionUrl(base: string): string {
  return `${base.endsWith(MASTER_PATH) ? base.slice(0, -MASTER_PATH.length) : base}/version`;
}

/** The leader's node among the children of the masters' path: `json.info_` with the lowest sequence number. */
export function leaderNode(children: readonly string[]): string | undefined {
  return children.filter((child) => /^json\.info_\d+$/u.test(child)).sort((a, b) => sequence(a) - sequence(b))[0];
}

function sequence(node: string): number {
  return Number(node.slice(node.lastIndexOf("_") + 1));
}

/** The URL of the master whose MasterInfo this is, in JSON as the masters write it to ZooKeeper. Throws with what was found. */
export function masterUrl(json: string): URL {
  const { ip, port } = readAddress(json) ?? {};
  const url =
    typeof ip === "string" && typeof port === "number"
      ? URL.parse(`http://${ip.includes(":") ? `[${ip}]` : ip}:${port}`)
      : null;
  if (url === null)
    throw new Error(
      `Cannot read the leading master's address: found ${json.slice(0, 200)}, wanted {"address":{"ip":...,"port":...}}`,
    );
  return url;
}

function readAddress(json: string): { readonly ip?: unknown; readonly port?: unknown } | undefined {
  try {
    return (JSON.parse(json) as { readonly address?: { readonly ip?: unknown; readonly port?: unknown } } | null)
      ?.address;
  } catch {
    return undefined;
  }
}

/**
 * The API base that a redirect of a call to `endpoint` (a path below the base, "/api/v1/scheduler") leads to. A Location
 * is `//host:port`, with or without the call's path, or a full URL.
 */
export function redirectBase(location: string, from: string, endpoint: string): string {
  const url = URL.parse(location, from);
  if (url === null)
    throw new Error(`Cannot follow the redirect of "${from}": found Location "${location}", wanted a URL`);
  if (url.pathname === "/" || url.pathname === "")
    return url.origin + new URL(from).pathname.slice(0, -endpoint.length);
  const path = url.pathname.replace(/\/+$/u, "");
  return url.origin + (path.endsWith(endpoint) ? path.slice(0, -endpoint.length) : path);
}

/** Is a version "1.11.0" at least "1.5.0"? Undefined for a text that is no version. */
export function atLeast(version: string, wanted: string): boolean | undefined {
  const [a, b] = [version, wanted].map((text) =>
    /^(\d+)\.(\d+)(?:\.(\d+))?/u
      .exec(text)
      ?.slice(1)
      .map((part) => Number(part ?? 0)),
  );
  if (a === undefined || b === undefined) return undefined;
  const difference = a.map((part, i) => part - (b[i] ?? 0)).find((part) => part !== 0) ?? 0;
  return difference >= 0;
}
