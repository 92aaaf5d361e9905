// Stops the program at a broken assumption: a crash is safer than a wrong action on somebody's data.

/** Throws when `condition` is false. `message` is a function so that the text costs nothing while all is well. */
export function assert(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Error(`Broken assumption: ${message()}`);
}

/** For the `default` of a switch over a closed union: a missing case is a type error, and at run time a crash that names it. */
export function unreachable(value: never): never {
  throw new Error(`Broken assumption: no case for ${JSON.stringify(value)}`);
}
