// Status update identifiers. A Mesos agent aborts on anything but a real version 4 UUID.
import { nextRandom, type Seed } from "../std/random.ts";

/** The 16 bytes of a version 4 UUID (RFC 4122), and the seed after it. */
export function nextUuid(seed: Seed): { readonly uuid: Uint8Array; readonly seed: Seed } {
  const uuid = new Uint8Array(16);
  const view = new DataView(uuid.buffer);
  for (let offset = 0; offset < 16; offset += 4) {
    const random = nextRandom(seed);
    view.setUint32(offset, random.value * 4294967296);
    seed = random.seed;
  }
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  return { uuid, seed };
}
