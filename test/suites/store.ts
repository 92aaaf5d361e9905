// The contract of a store: every backend runs this suite. A test file gives a backend and keeps its own tests for what only
// that backend can show.
import { afterEach, describe, test } from "bun:test";
import type { StoreOptions } from "../../src/store/options.ts";
import type { Store } from "../../src/store/store.ts";
import { recordTests } from "./store-records.ts";
import { expectRecovery, sessionTests } from "./store-sessions.ts";
import { watchTests } from "./store-watches.ts";

export type Backend = {
  /** Another store on the same backend. */
  open(options: StoreOptions): Promise<Store>;
  /** Ends the session of every open store, as a long silence would. Left out where a test file shows it in its own way. */
  readonly expire?: () => Promise<void>;
};

/** What the parts of the suite open their stores with; all are closed after each test. */
export type Stores = {
  /** A store on a root that nobody has used. */
  readonly openFirst: (options?: Partial<StoreOptions>) => Promise<Store>;
  /** Another store on the same root. */
  readonly open: (options?: Partial<StoreOptions>) => Promise<Store>;
};

let roots = 0;

/** Runs the contract on what `backend` gives. */
export function storeSuite(name: string, backend: () => Backend): void {
  const opened: Store[] = [];
  let root = "";
  const stores: Stores = {
    openFirst: (options) => {
      roots += 1;
      root = `/suite/${name}-${roots}`;
      return stores.open(options);
    },
    open: async (options = {}) => {
      const store = await backend().open({ root, sessionTimeoutMs: 3000, ...options });
      opened.push(store);
      return store;
    },
  };

  describe(`${name} keeps the contract of a store:`, () => {
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((store) => store.close()));
    });

    recordTests(stores);
    describe("watch", () => watchTests(stores));
    sessionTests(stores);

    test("an expired session is lost and made again: ephemeral records and watches come back, locks do not", async () => {
      const expire = backend().expire;
      if (expire === undefined) return;
      const [store, other] = [await stores.openFirst(), await stores.open()];
      await expectRecovery(store, other, () => expire());
    });
  });
}
