// Files that the binary carries for databases. No other program can read the binary's own file system: they are written out.
import { mkdir } from "node:fs/promises";
import jolokia from "../../../build/jolokia/jolokia-agent-jvm.jar" with { type: "file" };
import erlEpmd from "../../databases/riak/erlang/erl_epmd.erl" with { type: "file" };
import ringmasterEpmd from "../../databases/riak/erlang/ringmaster_epmd.erl" with { type: "file" };

const CARRIED: Readonly<Record<string, string>> = {
  "jolokia-agent-jvm.jar": jolokia,
  "erl_epmd.erl": erlEpmd,
  "ringmaster_epmd.erl": ringmasterEpmd,
};

/** Writes the named files into `folder`. */
export async function writeCarried(names: readonly string[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of names) {
    const source = CARRIED[name];
    if (source === undefined)
      throw new Error(`Cannot write "${name}": this binary carries ${Object.keys(CARRIED).join(", ")}`);
    await Bun.write(`${folder}/${name}`, Bun.file(source));
  }
}
