// The memory store runs the contract; it has nothing of its own.
import { type Backend, storeSuite } from "./store.ts";
import { MemoryBackend } from "../../src/store/io/memory.ts";

const memory = new MemoryBackend();
const backend: Backend = {
  open: (options) => Promise.resolve(memory.open(options)),
  expire: () => Promise.resolve(memory.expire()),
};

storeSuite("memory", () => backend);
