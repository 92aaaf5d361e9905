// For tests: certificate authorities of their own, made by openssl in a folder.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function openssl(...args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(`Cannot run openssl ${args.join(" ")}: ${stderr.toString()}`);
}

export type Issued = { readonly cert: string; readonly key: string };

export class Authority {
  readonly #folder: string;
  readonly #key: string;
  /** Path of its own certificate. */
  readonly ca: string;

  /** A new one in the folder, which is made. */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.ca = join(folder, "ca.pem");
    this.#key = join(folder, "ca.key");
    openssl(
      "req",
      "-x509",
      ...NEW_KEY,
      "-keyout",
      this.#key,
      "-out",
      this.ca,
      "-days",
      "30",
      "-subj",
      "/CN=an authority",
    );
  }

  /** Issues a certificate; returns the paths of its files. `alternatives` as openssl writes them. */
  issue(name: string, alternatives = "DNS:localhost,IP:127.0.0.1"): Issued {
    const at = (end: string): string => join(this.#folder, `${name}.${end}`);
    const made = { cert: at("pem"), key: at("key") };
    writeFileSync(at("ext"), `subjectAltName=${alternatives}\n`);
    openssl("req", ...NEW_KEY, "-keyout", made.key, "-out", at("csr"), "-subj", `/CN=${name}`);
    const signed = ["-CA", this.ca, "-CAkey", this.#key, "-CAcreateserial", "-days", "30", "-extfile", at("ext")];
    openssl("x509", "-req", "-in", at("csr"), ...signed, "-out", made.cert);
    return made;
  }
}
