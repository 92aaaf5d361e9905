// A map by name that is never changed: a new one shares all but a small part with the old one, so that a decision among ten
// thousand names costs no more than among ten.

export type Names<Value> = {
  readonly size: number;
  readonly parts: readonly (ReadonlyMap<string, Value> | undefined)[];
};

/** A power of two: 10 000 names make maps of about 40. */
const PARTS = 256;
const NO_NAMES = { size: 0, parts: Array.from({ length: PARTS }, () => undefined) };

export function noNames<Value>(): Names<Value> {
  return NO_NAMES;
}

export function get<Value>(names: Names<Value>, name: string): Value | undefined {
  return names.parts[partOf(name)]?.get(name);
}

export function withName<Value>(names: Names<Value>, name: string, value: Value): Names<Value> {
  const part = new Map(names.parts[partOf(name)]);
  const size = names.size + (part.has(name) ? 0 : 1);
  part.set(name, value);
  return { size, parts: names.parts.with(partOf(name), part) };
}

export function withoutName<Value>(names: Names<Value>, name: string): Names<Value> {
  const before = names.parts[partOf(name)];
  if (before?.has(name) !== true) return names;
  const part = new Map(before);
  part.delete(name);
  return { size: names.size - 1, parts: names.parts.with(partOf(name), part) };
}

/** All values, in no order that means anything. */
export function* values<Value>(names: Names<Value>): Generator<Value> {
  for (const part of names.parts) if (part !== undefined) yield* part.values();
}

function partOf(name: string): number {
  let hash = 0;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash, 31) + name.charCodeAt(at);
  return hash & (PARTS - 1);
}
