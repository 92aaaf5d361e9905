// Mesos' generated protobuf code (src/mesos/gen, made from proto/), and the few words that turn it into plain data.
import "./setup.ts";
import { mesos } from "../gen/mesos.js";

export import v1 = mesos.v1;

/** What stands for an event that cannot be used: its bytes are malformed, or of a type that we do not know. */
export type Unreadable = { readonly type: "unreadable"; readonly reason: string };

/** The field's value where the message carries it. (Unset fields read as proto2's defaults, which is not what plain data wants.) */
export function own<T extends object, K extends keyof T>(message: T, field: K): NonNullable<T[K]> | undefined {
  return Object.hasOwn(message, field) ? (message[field] ?? undefined) : undefined;
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** `fields` without those that are undefined. */
export function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** `convert(value)`, or null (which protobufjs does not write) for undefined. */
export function maybe<T, U>(value: T | undefined, convert: (value: T) => U): U | null {
  return value === undefined ? null : convert(value);
}

/** The name of an enum's number, e.g. "TASK_RUNNING". */
export function enumName<E extends Record<string, string | number>>(names: E, value: number): Exclude<keyof E, number> {
  return names[value] as Exclude<keyof E, number>;
}

export function durationToWire(ms: number): v1.DurationInfo.$Properties {
  return { nanoseconds: Math.round(ms * 1e6) };
}

/** Milliseconds of a DurationInfo or a TimeInfo. */
export function msFromWire(time: { readonly nanoseconds: number }): number {
  return time.nanoseconds / 1e6;
}

/**
 * The event in one RecordIO frame, by a message's own `decode` and `convert` (undefined: it has no meaning here). `names` are
 * those of the message's types. Never throws.
 */
export function readEvent<W extends { readonly type?: number | null }, E>(
  sender: "master" | "agent",
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => W,
  convert: (event: W) => E | undefined,
  names: Readonly<Record<string, string | number>>,
): E | Unreadable {
  try {
    const event = decode(bytes);
    const converted = convert(event);
    if (converted !== undefined) return converted;
    const type = own(event, "type");
    const text = type === undefined ? "that is not in our protocol" : enumName(names, type);
    return { type: "unreadable", reason: `The ${sender} sent an event of type ${text}, which has no meaning here` };
  } catch (error) {
    const reason = `Cannot read an event of ${bytes.length} bytes from the ${sender}: ${String(error)}`;
    return { type: "unreadable", reason };
  }
}
