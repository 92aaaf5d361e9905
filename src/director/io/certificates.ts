// Certificates that are read from files, and read again when those change. A bad new file changes nothing but the log.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";

/** Paths of PEM files. `ca`: whose certificates the other end is checked with. */
export type CertificateFiles = { readonly cert?: string; readonly key?: string; readonly ca?: string };

/** What TLS takes of the files. */
export type Pem = { readonly cert?: string; readonly key?: string; readonly ca?: string };

export type Say = (level: "info" | "warn", text: string) => void;

const CHECK_MS = 1000;
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const DAY_MS = 86_400_000;
/** From then on a certificate's end is said as a warning. */
const WARN_DAYS = 7;

export class Certificates {
  readonly #files: CertificateFiles;
  readonly #say: Say;
  readonly #checks: Timer;
  #seen: string;
  #pem: Pem;

  /** Throws what is wrong with the files. */
  constructor(files: CertificateFiles, say: Say) {
    this.#files = files;
    this.#say = say;
    this.#seen = stamp(files);
    this.#pem = readPem(files);
    this.#tellEnd("Using");
    this.#checks = setInterval(() => {
      if (stamp(this.#files) !== this.#seen) this.reload();
    }, CHECK_MS);
    this.#checks.unref();
  }

  /** As they were when last all of them were good. The same object until they change. */
  get pem(): Pem {
    return this.#pem;
  }

  /** Reads the files again; connections that are up keep what they have. */
  reload(): void {
    this.#seen = stamp(this.#files);
    let pem: Pem;
    try {
      pem = readPem(this.#files);
    } catch (error) {
      this.#say("warn", `${error instanceof Error ? error.message : String(error)}; the old one stays in use`);
      return;
    }
    if (JSON.stringify(pem) === JSON.stringify(this.#pem)) return;
    this.#pem = pem;
    this.#tellEnd("New connections use the changed files:");
  }

  close(): void {
    clearInterval(this.#checks);
  }

  #tellEnd(how: string): void {
    const { cert } = this.#pem;
    if (cert === undefined) {
      this.#say("info", `${how} ${named(this.#files.ca)}`);
      return;
    }
    const { subject, validTo } = new X509Certificate(cert);
    const days = (Date.parse(validTo) - Date.now()) / DAY_MS;
    const end = days < 0 ? `which ended on ${validTo}` : `valid until ${validTo}`;
    const level = days < WARN_DAYS ? "warn" : "info";
    this.#say(level, `${how} certificate ${named(this.#files.cert)} (${subject.replaceAll("\n", ", ")}), ${end}`);
  }
}

/** Changes with each of the files; a missing one has a stamp, too. */
function stamp(files: CertificateFiles): string {
  return [files.cert, files.key, files.ca]
    .map((path) => {
      const stat = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? "-" : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    })
    .join(" ");
}

function named(path: string | undefined): string {
  return `"${path ?? ""}"`;
}

function readPem({ cert, key, ca }: CertificateFiles): Pem {
  const pem = {
    ...(cert === undefined ? {} : { cert: read("certificate", cert) }),
    ...(key === undefined ? {} : { key: read("key", key) }),
    ...(ca === undefined ? {} : { ca: read("certificate", ca) }),
  };
  if (pem.ca !== undefined) parse("certificate", ca, () => certificates(pem.ca ?? ""));
  const { cert: ownPem, key: keyPem } = pem;
  if (ownPem === undefined || keyPem === undefined) return pem;
  const own = parse("certificate", cert, () => certificates(ownPem)[0]);
  const secret = parse("key", key, () => createPrivateKey(keyPem));
  if (own?.checkPrivateKey(secret) !== true)
    throw new Error(
      `Cannot use certificate ${named(cert)} with key ${named(key)}: found the key of another one, wanted its own`,
    );
  // Last, what TLS itself would refuse with every connection, such as a key that is too short.
  parse("certificate", cert, () => createSecureContext(pem));
  return pem;
}

function certificates(pem: string): readonly X509Certificate[] {
  const found = [...pem.matchAll(BLOCK)].map(([block]) => new X509Certificate(block));
  if (found.length === 0) throw new Error("found no certificate in it");
  return found;
}

function read(what: string, path: string): string {
  return parse(what, path, () => readFileSync(path, "utf8"));
}

function parse<Result>(what: string, path: string | undefined, make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read ${what} ${named(path)}: ${text}, wanted a PEM file`, { cause: error });
  }
}
