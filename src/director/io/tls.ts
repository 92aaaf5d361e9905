// TLS as the director's flags want it.
import type { Certificates, CertificateFiles, Say } from "./certificates.ts";
import type { DirectorFlags } from "./flags.ts";
import type { BackendTls, ClientTls } from "./sockets.ts";

export type Tls = {
  readonly clientTls?: ClientTls;
  readonly backendTls?: BackendTls;
  /** Reads all files again. */
  readonly reload: () => void;
  readonly close: () => void;
};

/** Throws what is wrong with the flags or their files. `handshakesMax`: clients of a listener in their handshakes at a time. */
export async function readTls(flags: DirectorFlags, handshakesMax: number, say: Say): Promise<Tls> {
  const { tlsCert, tlsKey, tlsClientCa, backendTls } = flags;
  const own = together("--tls-cert", tlsCert, "--tls-key", tlsKey);
  const shown = together("--backend-tls-cert", flags.backendTlsCert, "--backend-tls-key", flags.backendTlsKey);
  if (own === undefined && tlsClientCa !== undefined)
    throw new Error("Cannot start: found --tls-client-ca without --tls-cert, wanted both");
  const { backendTlsCa: backendCa, backendTlsName: name } = flags;
  if (backendTls !== true && (shown ?? backendCa ?? name) !== undefined)
    throw new Error("Cannot start: found flags of TLS to the nodes without --backend-tls, wanted that, too");
  const all: Certificates[] = [];
  const read = async (files: CertificateFiles): Promise<Certificates> => {
    // Not for those who do without: it takes Node's TLS along.
    const module = await import("./certificates.ts");
    const certificates = new module.Certificates(files, say);
    all.push(certificates);
    return certificates;
  };
  const ca = (path: string | undefined): CertificateFiles => (path === undefined ? {} : { ca: path });
  const clients = tlsClientCa === undefined ? "unasked" : flags.tlsClients;
  const timeoutMs = flags.connectTimeout * 1000;
  return {
    ...(own === undefined
      ? {}
      : { clientTls: { certificates: await read({ ...own, ...ca(tlsClientCa) }), clients, handshakesMax } as const }),
    ...(backendTls === true
      ? {
          backendTls: {
            ...(name === undefined ? {} : { name }),
            ...{ certificates: await read({ ...shown, ...ca(backendCa) }), check: flags.backendTlsCheck, timeoutMs },
          },
        }
      : {}),
    reload: () => {
      for (const certificates of all) certificates.reload();
    },
    close: () => {
      for (const certificates of all) certificates.close();
    },
  };
}

function together(
  certFlag: string,
  cert: string | undefined,
  keyFlag: string,
  key: string | undefined,
): { readonly cert: string; readonly key: string } | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  const [found, missing] = cert === undefined ? [keyFlag, certFlag] : [certFlag, keyFlag];
  throw new Error(`Cannot start: found ${found} without ${missing}, wanted both`);
}
