// The known keys of cassandra.yaml are those of the real jar.
import { expect, test } from "bun:test";
import { knownKeys } from "../../../src/databases/cassandra/keys.ts";
import { cassandraPackage } from "./package.ts";

/** Java types as Keys.java prints them that stand for a kind with the same name; enums have their values behind "=". */
function kindsOf(output: string): ReadonlyMap<string, string> {
  const kinds = new Map<string, string>();
  for (const line of output.trim().split("\n")) {
    const [name = "", kind = "", , replacedBy] = line.split(" ");
    // A key that replaces itself takes its old form, whole seconds, as well.
    if (replacedBy === name) kinds.set(name, "period");
    else if (!kinds.has(name)) kinds.set(name, replacedBy === undefined ? kind : `${kind}>${replacedBy}`);
  }
  return kinds;
}

test("the keys of Cassandra 5.0 are those of its Config class", async () => {
  const { folder } = await cassandraPackage();
  const java = Bun.spawn(["java", "-cp", `${folder}/lib/*`, `${import.meta.dir}/Keys.java`], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, complaint] = await Promise.all([new Response(java.stdout).text(), new Response(java.stderr).text()]);
  expect([await java.exited, complaint]).toEqual([0, ""]);
  const known = [...knownKeys("5.0")].map(([name, { kind, replacedBy, values }]): readonly [string, string] => [
    name,
    `${kind}${values === undefined ? "" : `=${values.join("|")}`}${replacedBy === undefined ? "" : `>${replacedBy}`}`,
  ]);
  expect(Object.fromEntries(known)).toEqual(Object.fromEntries(kindsOf(output)));
}, 600_000);
