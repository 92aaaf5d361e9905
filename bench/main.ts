// `bun run bench [NAME…] [--json]`: measures the figures that the documents quote. It measures and asserts nothing; ratios are
// against a peer in one interleaved run.
import { parseArgs } from "node:util";
import { measureBinary } from "./binary.ts";
import { measureCepmd } from "./cepmd.ts";
import { measureDirector } from "./director.ts";
import { measureDeploy } from "./deploy.ts";
import { table, type Figure } from "./figure.ts";
import { measureScale } from "./scale.ts";

const BENCHES: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
  deploy: measureDeploy,
  binary: measureBinary,
  cepmd: measureCepmd,
  scale: measureScale,
  director: measureDirector,
};

const { values, positionals } = parseArgs({ options: { json: { type: "boolean" } }, allowPositionals: true });
const unknown = positionals.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(
    `bench: found ${unknown.map((name) => `"${name}"`).join(", ")}, wanted ${Object.keys(BENCHES).join(" or ")}`,
  );
  process.exit(2);
}
const figures: Figure[] = [];
for (const [name, measure] of Object.entries(BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  console.error(`bench: measuring ${name}`);
  const measured = await measure();
  figures.push(...measured);
  if (values.json === true) for (const figure of measured) console.log(JSON.stringify(figure));
}
if (values.json !== true) console.log(table(figures));
