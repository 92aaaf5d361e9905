// The flags about TLS, with certificates that openssl makes.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "./authority.ts";
import { readFlags } from "./flags.ts";
import { readTls } from "./tls.ts";

test("The flags of TLS are refused where one is missing or a file is no good", async () => {
  const folder = mkdtempSync(join(tmpdir(), "director-tls-"));
  const ours = new Authority(join(folder, "ours"));
  const director = ours.issue("director");
  const wrong = async (...args: readonly string[]): Promise<string> => {
    const flags = readFlags(["--backend", "h:1", "--pb-listen", "127.0.0.1:0", ...args]);
    return await readTls(flags, 1, () => undefined).then(
      () => "all well",
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  };
  expect(await wrong("--tls-cert", director.cert)).toBe(
    "Cannot start: found --tls-cert without --tls-key, wanted both",
  );
  expect(await wrong("--tls-client-ca", ours.ca)).toBe(
    "Cannot start: found --tls-client-ca without --tls-cert, wanted both",
  );
  expect(await wrong("--backend-tls-ca", ours.ca)).toContain("without --backend-tls, wanted that, too");
  expect(await wrong("--backend-tls", "--backend-tls-ca", director.key)).toBe(
    `Cannot read certificate "${director.key}": found no certificate in it, wanted a PEM file`,
  );
  expect(await wrong("--tls-cert", director.cert, "--tls-key", join(folder, "none"))).toStartWith(
    `Cannot read key "${join(folder, "none")}": ENOENT`,
  );
  expect(await wrong("--tls-cert", director.cert, "--tls-key", director.key, "--backend-tls")).toBe("all well");
  rmSync(folder, { recursive: true });
});
