// Opens the store that a URL names. The backends are loaded only when they are asked for.
import type { StoreOptions } from "../options.ts";
import { checkRoot } from "../paths.ts";
import type { Store } from "../store.ts";
import { parseStoreUrl } from "../url.ts";

/**
 * Opens sqlite:FILE, zk://[user:password@]host:port,host:port/path or memory: (a store of its own each time). Rejects with an
 * Error that names the URL, found and wanted when it is malformed, and when the store cannot be opened or reached in time.
 */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  checkRoot(options.root);
  const place = parseStoreUrl(url);
  switch (place.type) {
    case "memory": {
      const { MemoryBackend } = await import("./memory.ts");
      return new MemoryBackend().open(options);
    }
    case "sqlite": {
      const { openSqlite } = await import("./sqlite.ts");
      return openSqlite(place.file, options);
    }
    case "zookeeper": {
      const { openZookeeper } = await import("./zookeeper.ts");
      return openZookeeper(place, options);
    }
  }
}
