// Store URLs: what is taken and what is refused.
import { expect, test } from "bun:test";
import { parseStoreUrl, publicUrl, type StoreUrl } from "./url.ts";

test("a store URL is taken apart", () => {
  const zookeeper = { type: "zookeeper", path: "", credentials: undefined } as const;
  const urls: Readonly<Record<string, StoreUrl>> = {
    "memory:": { type: "memory" },
    "sqlite:ringmaster.db": { type: "sqlite", file: "ringmaster.db" },
    "sqlite:/var/lib/ring master/x.db": { type: "sqlite", file: "/var/lib/ring master/x.db" },
    "zk://a": { ...zookeeper, servers: ["a:2181"] },
    "zk://a:2181/": { ...zookeeper, servers: ["a:2181"] },
    "zk://10.0.0.1:2181,b.example:12181,c/mesos/riak/": {
      ...zookeeper,
      servers: ["10.0.0.1:2181", "b.example:12181", "c:2181"],
      path: "/mesos/riak",
    },
    "zk://anna:s%2Fc:r@t@a:1/p@q": { ...zookeeper, servers: ["a:1"], path: "/p@q", credentials: "anna:s/c:r@t" },
  };
  const parsed = Object.fromEntries(Object.keys(urls).map((url) => [url, parseStoreUrl(url)]));
  expect(parsed).toEqual(urls);
});

test("a malformed store URL is refused by value, found and wanted, and never shows a password", () => {
  const refused = {
    "": 'Cannot use store "": found another scheme, wanted sqlite:FILE, zk://host:port,host:port/path or memory:',
    "zookeeper:a":
      'Cannot use store "zookeeper:a": found another scheme, wanted sqlite:FILE, zk://host:port,host:port/path or memory:',
    "sqlite:": 'Cannot use store "sqlite:": found no file name, wanted sqlite:FILE',
    "zk://": 'Cannot use store "zk://": found an empty host, wanted zk://host:port,host:port/path',
    "zk://a,,b": 'Cannot use store "zk://a,,b": found an empty host, wanted zk://host:port,host:port/path',
    "zk://a:x": 'Cannot use store "zk://a:x": found "a:x", wanted host:port with a port from 1 to 65535',
    "zk://a:70000": 'Cannot use store "zk://a:70000": found "a:70000", wanted host:port with a port from 1 to 65535',
    "zk://a_b:1": 'Cannot use store "zk://a_b:1": found host "a_b", wanted a host name or an IPv4 address',
    "zk://[::1]:2181":
      'Cannot use store "zk://[::1]:2181": found IPv6 address "[::1]:2181", wanted a host name that resolves to it',
    "zk://a//b": 'Cannot use store "zk://a//b": found "" in the path, wanted letters, digits, ".", "_", "@" and "-"',
    "zk://a/b c":
      'Cannot use store "zk://a/b c": found "b c" in the path, wanted letters, digits, ".", "_", "@" and "-"',
    "zk://anna@a":
      'Cannot use store "zk://anna@a": found credentials without a user or a password, wanted user:password, with "/" written as %2F and "%" as %25',
    "zk://anna:s%cret@a":
      'Cannot use store "zk://anna:***@a": found a "%" that begins no escape in the credentials, wanted user:password, with "/" written as %2F and "%" as %25',
    "zk://anna:secret@a:0":
      'Cannot use store "zk://anna:***@a:0": found "a:0", wanted host:port with a port from 1 to 65535',
  };
  const messages = Object.fromEntries(
    Object.keys(refused).map((url) => {
      try {
        return [url, parseStoreUrl(url)];
      } catch (error) {
        return [url, error instanceof Error ? error.message : error];
      }
    }),
  );
  expect(messages).toEqual(refused);
});

test("the public form of a URL hides the password only", () => {
  expect(publicUrl("zk://anna:se@cret@a:1,b:2/p")).toBe("zk://anna:***@a:1,b:2/p");
  expect(publicUrl("zk://a:1,b:2/p")).toBe("zk://a:1,b:2/p");
  expect(publicUrl("sqlite:a:b@c")).toBe("sqlite:a:b@c");
});
