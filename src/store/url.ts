// Store URLs as operators write them: sqlite:FILE, zk://[user:password@]host:port,host:port/path, memory:
import { isSegment } from "./paths.ts";

export type StoreUrl =
  | { readonly type: "memory" }
  | { readonly type: "sqlite"; readonly file: string }
  | {
      readonly type: "zookeeper";
      /** "host:port" each. */
      readonly servers: readonly string[];
      /** "" or "/a/b": every znode lies below it. */
      readonly path: string;
      /** "user:password" for the digest scheme, percent escapes undone. */
      readonly credentials: string | undefined;
    };

const ZOOKEEPER_PORT = 2181;
const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/;

/** Takes a store URL apart. Throws an Error that names the URL (without its password), what was found and what is wanted. */
export function parseStoreUrl(url: string): StoreUrl {
  if (url === "memory:") return { type: "memory" };
  if (url.startsWith("sqlite:")) {
    const file = url.slice("sqlite:".length);
    if (file === "") throw refusal(url, "no file name", "sqlite:FILE");
    return { type: "sqlite", file };
  }
  if (url.startsWith("zk://")) return parseZookeeper(url);
  throw refusal(url, "another scheme", "sqlite:FILE, zk://host:port,host:port/path or memory:");
}

/** The URL as it may be shown: with `***` in place of a password. */
export function publicUrl(url: string): string {
  return url.replace(/^(zk:\/\/[^:/@]*):.*@/, "$1:***@");
}

function parseZookeeper(url: string): StoreUrl {
  const rest = url.slice("zk://".length);
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const segments = (slash < 0 ? "" : rest.slice(slash + 1)).replace(/\/$/, "");
  const wrong = segments === "" ? undefined : segments.split("/").find((segment) => !isSegment(segment));
  if (wrong !== undefined) throw refusal(url, `"${wrong}" in the path`, 'letters, digits, ".", "_", "@" and "-"');
  const at = authority.lastIndexOf("@");
  return {
    type: "zookeeper",
    servers: authority
      .slice(at + 1)
      .split(",")
      .map((server) => parseServer(url, server)),
    path: segments === "" ? "" : `/${segments}`,
    credentials: at < 0 ? undefined : parseCredentials(url, authority.slice(0, at)),
  };
}

function parseCredentials(url: string, text: string): string {
  const wanted = 'user:password, with "/" written as %2F and "%" as %25';
  const [, user = "", password = ""] = /^([^:]+):(.+)$/s.exec(text) ?? [];
  if (user === "") throw refusal(url, "credentials without a user or a password", wanted);
  try {
    return `${decodeURIComponent(user)}:${decodeURIComponent(password)}`;
  } catch {
    throw refusal(url, 'a "%" that begins no escape in the credentials', wanted);
  }
}

function parseServer(url: string, server: string): string {
  if (server === "") throw refusal(url, "an empty host", "zk://host:port,host:port/path");
  if (server.startsWith("[")) throw refusal(url, `IPv6 address "${server}"`, "a host name that resolves to it");
  const [host = "", port = String(ZOOKEEPER_PORT), ...more] = server.split(":");
  if (!HOST.test(host)) throw refusal(url, `host "${host}"`, "a host name or an IPv4 address");
  if (more.length > 0 || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw refusal(url, `"${server}"`, "host:port with a port from 1 to 65535");
  }
  return `${host}:${Number(port)}`;
}

function refusal(url: string, found: string, wanted: string): Error {
  return new Error(`Cannot use store "${publicUrl(url)}": found ${found}, wanted ${wanted}`);
}
